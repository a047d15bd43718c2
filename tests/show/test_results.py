"""Results show themselves: in a notebook, as a picture, as a file; what is drawn is what was found."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import unfool
from unfool.errors import UnknownName


@pytest.fixture(scope="module")
def results() -> list[Any]:
    model, data = unfool.load("unfool:digits"), unfool.open_data("unfool:digits")
    batch = data.batch(data.ids()[:3], None, model.classes)
    return [
        unfool.FGSM()(model, batch.x, batch.y, within=unfool.Linf(0.1)),
        unfool.Gradient()(model, batch.x),
        unfool.Maximise(steps=2)(model, [3, 5], start=batch.x[:1]),
    ]


def test_each_is_a_picture_in_a_notebook(results: list[Any]):
    for found in results:
        html = found._repr_html_()
        alt, content = re.fullmatch(r'<img alt="(.+?)" src="data:image/png;base64,(.+)">', html).groups()  # pyright: ignore[reportOptionalMemberAccess]
        assert alt == f"{type(found).__name__}: the first of {len(found.x)}"
        shown = Image.open(io.BytesIO(base64.b64decode(content)))
        assert shown.size == found.plot().size
        assert len(shown.convert("L").getcolors()) > 20


def test_a_proof_shows_how_many_hold_how_far(tmp_path: Path):
    model = unfool.Model(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2)).eval())
    x = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    found = unfool.ExactRadius()(model, x, within=unfool.L2(0.5))
    assert found._repr_html_().startswith('<img alt="Certified: 5 images" src="data:image/png;base64,')
    assert len(found.plot().convert("L").getcolors()) > 10
    found.save(tmp_path / "a.safetensors")
    assert torch.equal(load_file(tmp_path / "a.safetensors")["radius"], found.radius)
    assert found._replace(label=torch.full((5,), -1)).plot().size == found.plot().size  # of none a proof


def test_a_change_is_drawn_as_far_as_it_goes(results: list[Any]):
    """White and black of the middle panel are the largest change, grey is none."""
    found = results[0]
    picture = found.plot().convert("L")
    width, first = picture.width // 3, picture.height // 3
    middle = picture.crop((width + 8, 40, 2 * width - 8, first - 12))
    low, high = middle.getextrema()
    assert (low, high) == (0, 255)
    assert torch.equal(found.origin + (found.x - found.origin), found.x)


def test_one_result_is_in_the_file_asked_for(results: list[Any], tmp_path: Path):
    for found in results:
        found.save(tmp_path / "deep" / "a.png")
        with Image.open(tmp_path / "deep" / "a.png") as picture:
            assert picture.size == found.plot().size
        found.save(tmp_path / "a.pdf")
        assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
        found.save(str(tmp_path / "a.safetensors"))
        assert torch.equal(load_file(tmp_path / "a.safetensors")["x"], found.x)
        with pytest.raises(UnknownName, match="gif"):
            found.save(tmp_path / "a.gif")
