"""Planted copies are found and nothing else; precision is the share of labels; controls are beside it."""

import numpy as np
import pytest
import torch

from unfool.analysis.nearest import Near
from unfool.analysis.neighbours import chance, precision, study
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.runs.neighbours import RANDOM, Neighbours, run_neighbours
from unfool.samples import digits8
from unfool.zoo.address import load


@pytest.fixture
def planted(tmp_path):
    """Test digits, and training digits two of which are copies: one of the same bytes, one with a little noise."""
    own, learned = digits8("test"), digits8("train")
    x, y = own.x[:80].numpy(), own.y[:80].numpy()
    xt, yt = learned.x[:200].numpy().copy(), learned.y[:200].numpy().copy()
    xt[5], yt[5] = x[3], y[3]
    noise = np.random.default_rng(0).integers(-4, 5, x[9].shape)
    xt[7], yt[7] = (x[9].astype(int) + noise).clip(0, 255), (y[9] + 1) % 10
    np.savez(tmp_path / "own.npz", x=x, y=y)
    np.savez(tmp_path / "learned.npz", x=xt, y=yt)
    return tmp_path


def found_in(folder, **how):
    model, source = load("unfool:digits8"), open_data(str(folder / "own.npz"))
    learned = open_data(str(folder / "learned.npz"))
    plan = Neighbours("unfool:digits8", "own.npz", "learned.npz", **how)
    own, other = run_neighbours(plan, model, source, learned, folder / "run")
    return study(plan, own, other, model, source)


def test_planted_leaks_are_found_and_nothing_else(planted):
    found = found_in(planted)
    leaks, within = found.copies
    assert {(p.id, p.other) for p in leaks.pairs if p.pixels <= 0.1} == {("3", "5"), ("9", "7")}
    assert [p.same_bytes for p in leaks.pairs if p.id == "3"] == [True]
    assert leaks.counts["the same pixels"].k == 1
    assert leaks.counts["near in both"].k == 2
    assert within.counts["near in pixels"].k == 0
    label, others = next(p.labels for p in leaks.pairs if p.id == "9")
    assert label != others


def test_a_query_never_meets_its_own_copy(planted):
    found = found_in(planted, ids=("3", "9"))
    first, second = found.shown
    for name in ("features", "pixels", RANDOM):
        assert "5" not in [row[0] for row in first.near[name]]
        assert second.near[name][0][0] == "7"
        distances = [row[2] for row in first.near[name]]
        assert distances == sorted(distances)


def test_a_run_goes_on_where_it_was_stopped(planted):
    found = found_in(planted)
    next((planted / "run/parts/features").glob("part-*")).unlink()
    again = found_in(planted)
    assert again.shown == found.shown


def test_precision_is_the_share_of_labels():
    near = Near(torch.zeros(3, 2), torch.tensor([[0, 1], [1, 2], [2, -1]]))
    found = precision(near, torch.tensor([0, 1, -1]), torch.tensor([0, 1, -1]))
    assert (found.k, found.n) == (1.5, 2)  # half of the first, the one labelled neighbour of the second
    assert chance(torch.tensor([0, 1]), torch.tensor([0, 0, 1, -1])) == 0.5


def test_fewer_images_than_neighbours_are_one_sentence(planted):
    with pytest.raises(InputError, match="200 images are fewer than the 300") as caught:
        found_in(planted, k=300)
    assert "--k" in caught.value.hint
    with pytest.raises(InputError, match="has no sample 'x'"):
        found_in(planted, ids=("x",))
