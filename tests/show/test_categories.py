"""A map of labels: colours by how common a label is, its own nearly white, and a legend that adds up."""

import torch

from unfool.show.categories import OTHERS, OWN, label_map
from unfool.show.heat import POSITIVE, between
from unfool.show.image import PALETTE


def shade(picture: torch.Tensor, row: int, column: int) -> tuple[int, ...]:
    return tuple(round(255 * float(v)) for v in picture[:, row, column])


def test_the_commonest_other_label_takes_the_first_colour():
    labels = torch.tensor([[5, 5, 2, 2], [5, 5, 2, 7]])
    picture = label_map(labels, 5, {2: "two", 5: "five", 7: "seven"}, side=40)
    assert picture.shape[2] == 40
    assert picture.shape[1] > 20  # the legend is below
    assert shade(picture, 5, 5) == OWN
    assert shade(picture, 5, 25) == PALETTE[0]
    assert shade(picture, 15, 35) == PALETTE[1]


def test_labels_beyond_the_colours_are_others():
    labels = torch.arange(12).view(3, 4)
    picture = label_map(labels, 0, {k: str(k) for k in range(12)}, side=120)
    assert shade(picture, 75, 105) == OTHERS


def test_of_a_volume_its_middle_is_shown():
    labels = torch.zeros(3, 2, 2, dtype=torch.long)
    labels[1] = 1
    assert shade(label_map(labels, 0, {0: "a", 1: "b"}, side=20), 5, 5) == PALETTE[0]


def test_numbers_without_a_zero_go_from_white_to_dark():
    picture = between(torch.tensor([[3.0, 5.0]]))
    assert shade(picture, 0, 0) == POSITIVE[0]
    assert shade(picture, 0, 1) == POSITIVE[-1]
    assert between(torch.full((2, 2), 0.7)).isfinite().all()


def test_names_too_long_for_two_columns_stand_one_below_the_other_and_are_not_cut():
    labels = torch.zeros(16, 16, dtype=torch.long)
    labels[:4] = 1
    short, long = (
        label_map(labels, 0, {0: name, 1: "b"}, 128) for name in ("a", "a dog of a very rare breed")
    )
    assert short.shape[1] == 128 + 6 + 18  # one line of both
    assert long.shape[1] >= 128 + 6 + 3 * 18  # the long name's lines, then the other
    assert (long[:, 128 + 6 :, -1] > 0.9).all()  # nothing runs into the edge
