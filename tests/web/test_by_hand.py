"""Cues and films: what is erased, stamped and counted is what the library says, each beside its control."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unfool.analysis.edits import filled
from unfool.errors import InputError
from unfool.objectives import label_of
from unfool.synthesis.maximise import Maximise
from unfool.web.films import doubling

from .test_acts import ID, drawn, run_lines

BOX = (slice(2, 6), slice(1, 5))


def test_an_erased_part_is_filled_from_around_it(ask, stage):
    value, arrays = ask("hide", drawn(BOX), image=ID, fill="around")
    x = stage.room(0).batch(ID).x
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., BOX[0], BOX[1]] = True
    assert np.allclose(arrays["x"], filled(x, mask)[0].numpy(), atol=1e-6)
    assert value["elsewhere"][1] == 24
    lines = run_lines(value["python"])
    assert np.allclose(lines["other"][0].numpy(), arrays["x"], atol=1e-6)


def test_a_stamped_cue_is_the_other_images_pixels_and_its_controls_are_whole(ask, stage):
    room = stage.room(0)
    other = next(i for i in room.ids if i != ID and int(label_of(room.model(room.batch(i).x))[0]) == 0)
    value, arrays = ask("stamp", drawn(BOX), image=ID, **{"from": other})
    x, donor = room.batch(ID).x[0].numpy(), room.batch(other).x[0].numpy()
    wanted = x.copy()
    wanted[:, BOX[0], BOX[1]] = donor[:, BOX[0], BOX[1]]
    assert np.array_equal(arrays["x"], wanted)
    label = int(label_of(room.model(torch.from_numpy(wanted)[None]))[0])
    assert value["said"][1] == label
    assert value["flipped"] == (label != value["said"][0])
    assert value["elsewhere"][1] == 24
    whole, _ = ask("stamp", {"mask": np.ones((8, 8), "u1")}, image=ID, **{"from": other})
    assert whole["said"][1] == 0  # all of it is the other image
    lines = run_lines(value["python"])
    assert np.array_equal(lines["other"].where(lines["mask"], lines["batch"].x)[0].numpy(), wanted)


def test_a_cue_over_the_data_has_n_interval_and_controls(ask):
    value, arrays = ask("over_all", drawn(BOX), **{"from": ID})
    put, taken = value["edits"]
    assert (put["kind"], taken["kind"]) == ("insert", "remove")
    for edit in (put, taken):
        v, low, high, n = edit["changed"]["cue"]
        assert low <= v <= high
        assert 0 < n <= 60
        assert set(edit["more"]) == set(edit["changed"]) - {"cue"}
    held = run_lines(value["python"])
    assert held["put"].changed["cue"].value == pytest.approx(put["changed"]["cue"][0])
    assert held["taken"].changed["scattered"].value == pytest.approx(taken["changed"]["scattered"][0])
    shown = sum(3 * len(edit["shown"]) for edit in value["edits"])
    assert arrays["pictures"].shape == (shown, 72, 72, 3)
    with pytest.raises(InputError, match="nothing is drawn yet"):
        ask("over_all", **{"from": ID})


def film(arrays: Any) -> list[Any]:
    picture: Any = Image.open(io.BytesIO(arrays["gif"].tobytes()))
    frames = []
    for k in range(picture.n_frames):
        picture.seek(k)
        frames.append(np.asarray(picture.convert("RGB")))
    return frames


def test_a_film_of_sizes_has_each_size_beside_a_random_change(ask):
    value, arrays = ask("film_sizes", image=ID, attack="FGSM()", most=0.4)
    frames = film(arrays)
    assert len(frames) == value["frames"] == 20
    assert (frames[0] != frames[-1]).any()
    with pytest.raises(InputError, match="no frames"):
        ask("film_frames", image=ID, method="Gradient()")


def test_a_film_of_a_search_shows_the_search_itself(ask, stage):
    value, arrays = ask("film_ascent", limit=60, channel=0, method="Maximise(steps=6)")
    assert (len(film(arrays)), value["frames"]) == (4, 6)  # the last one stays longer
    assert doubling(6) == [1, 2, 4, 6]
    assert doubling(8) == [1, 2, 4, 8]
    model, x = stage.room(0).model, stage.room(0).batch(ID).x
    some, all_ = (Maximise(steps=n)(model, [3], start=x, seed=0).history for n in (4, 8))
    assert torch.equal(some, all_[:, :4])  # a shorter search is the beginning of a longer one
    with pytest.raises(InputError, match="takes no steps"):
        ask("film_ascent", limit=60, channel=0, method="MapElites()")
