"""Films of maps over series, and the page for an appendix."""

import builtins
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unfool.errors import MissingExtra
from unfool.show.appendix import Row, appendix
from unfool.show.film import film_of, frames_of, top_of, write_film
from unfool.show.heat import overlay
from unfool.show.regions import outlined

SERIES = torch.full((1, 4, 6, 7), 0.5)


def heat() -> torch.Tensor:
    """One bright place, ten times weaker in the second frame than in the third; nothing in the first."""
    heat = torch.zeros(1, 4, 6, 7)
    heat[0, 1, 2, 3], heat[0, 2, 2, 3] = 0.1, 1.0
    return heat


def test_a_colour_means_the_same_in_every_frame():
    frames = frames_of(SERIES, heat())
    away = [float((frame - 0.5).abs().max()) for frame in frames]
    assert away[0] == away[3] == 0
    assert 0 < away[1] < 0.6 * away[2]
    alone = overlay(SERIES[:, 1], heat()[:, 1])  # on its own scale the weak frame is as strong
    assert float((alone - 0.5).abs().max()) == pytest.approx(away[2], abs=1e-6)


def test_a_frame_without_negatives_is_drawn_as_those_that_have_some():
    """Purple and orange in one film: orange in all of it, not the browns of a map without signs."""
    signed = heat()
    signed[0, 1, 2, 3] = -0.1
    third = frames_of(SERIES, signed)[2][:, 2, 3]
    assert not third.equal(frames_of(SERIES, heat())[2][:, 2, 3])
    assert third.equal(overlay(SERIES[:, 2], signed[:, 2], top_of(signed), signed=True)[:, 2, 3])


def test_an_empty_map_stays_empty():
    assert top_of(torch.zeros(1, 4, 6, 7)) == 0
    assert all(torch.equal(frame, torch.full((3, 6, 7), 0.5)) for frame in frames_of(SERIES, 0 * heat()))


def film() -> list[Image.Image]:
    return film_of(SERIES, heat(), [0.0, 0.1, 0.9, 0.0], "Gradient, LV", side=60)


def test_a_gif_has_every_frame_in_its_colours(tmp_path: Path):
    frames = film()
    write_film(frames, tmp_path / "films" / "a.gif")
    with Image.open(tmp_path / "films" / "a.gif") as found:
        assert (found.n_frames, found.size) == (4, frames[0].size)  # type: ignore[attr-defined]
        for k, frame in enumerate(frames):
            found.seek(k)
            away = np.asarray(found.convert("RGB")).astype(int) - np.asarray(frame)
            assert np.abs(away).max() <= 8


def test_an_mp4_has_every_frame(tmp_path: Path):
    av = pytest.importorskip("av")
    frames = film()
    write_film(frames, tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as found:
        decoded = [frame.to_ndarray(format="rgb24") for frame in found.decode(video=0)]
    assert len(decoded) == 4
    assert decoded[0].shape[:2] == frames[0].size[::-1]
    assert np.abs(decoded[2].astype(int) - np.asarray(frames[2])).mean() < 6


def test_without_pyav_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "unfool.show.mp4", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="PyAV, which is not installed") as caught:
        write_film(film(), tmp_path / "a.mp4")
    assert caught.value.hint == "pip install 'unfool[video]'"


def test_an_outline_is_strongest_at_the_edge():
    here = torch.zeros(9, 9, dtype=torch.bool)
    here[2:7, 2:7] = True
    away = (outlined(torch.full((1, 9, 9), 0.5), here) - 0.5).abs().sum(0)
    assert away[0, 0] == 0
    assert 0 < away[4, 4] < away[2, 2]


def page() -> dict[str, bytes]:
    image, maps = torch.full((1, 12, 16), 0.5), torch.zeros(3, 12, 16)
    maps[1, 3, 4] = maps[2, 8, 9] = 1
    places = torch.tensor([[3.0, 4.0], [8.0, 9.0]])
    row = Row("a (best)", image, maps, places, torch.tensor([0.9, 0.8]), places * torch.nan)
    return appendix([row, row], ["base", "apex"], "Saliency", "Appendix Figure.\nTwo lines.")


def test_the_appendix_is_a_pdf_and_a_picture_and_always_the_same():
    files = page()
    assert files["pdf"].startswith(b"%PDF-")
    assert b"CreationDate" not in files["pdf"]
    picture = np.asarray(Image.open(io.BytesIO(files["png"])).convert("RGB")).astype(int)
    assert picture.shape[1] == round(7.2 * 200)
    for tint in ((213, 94, 0), (0, 114, 178)):  # each landmark in its own colour
        assert (np.abs(picture - tint).max(2) < 12).any()
    assert files == page()


def test_every_frame_of_a_film_carries_the_badge():
    plain, signed = films_frames(""), films_frames("pass")
    assert {a.height + 22 for a in plain} == {b.height for b in signed}
    for frame in signed:
        assert (0, 110, 80) in {shade for _, shade in frame.getcolors(1 << 16)}


def films_frames(verdict: str) -> list[Image.Image]:
    return film_of(
        SERIES, heat(), [0.0, 0.1, 0.9, 0.0], "Gradient, LV", verdict, "ok" * bool(verdict), side=60
    )
