"""On paper a picture has the size that was asked for: dots / dots per inch · 2.54 cm, and its own place on the page."""

import re
import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.oracles import images

from unfool.show.printed import save_printable
from unfool.views import to_uint8


@pytest.mark.parametrize(("shape", "width"), [((3, 9, 9), 8.0), ((1, 10, 16), 3.5), ((3, 400, 300), 30.0)])
def test_a_printable_picture_says_its_true_size_and_keeps_every_pixel(shape, width, tmp_path: Path):
    image = images(*shape)
    png, pdf = save_printable(image, width, tmp_path / "new" / "patch")
    with Image.open(png) as picture:
        dots = picture.info["dpi"]
        assert picture.width / dots[0] * 2.54 == pytest.approx(width, rel=1e-3)
        assert picture.height / dots[1] * 2.54 == pytest.approx(width * shape[1] / shape[2], rel=1e-3)
        assert dots[0] >= 299
        step = picture.width // shape[2]
        pixel = torch.tensor(picture.convert("RGB").getpixel((step // 2, step // 2)))
        assert (pixel == to_uint8(image)[:, 0, 0]).all()
    assert placed(pdf.read_bytes()) == pytest.approx((width, width * shape[1] / shape[2]), rel=1e-3)


def placed(pdf: bytes) -> tuple[float, float]:
    """How wide and high the page draws its picture, in cm."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
    for stream in streams:
        try:
            text = zlib.decompress(stream)
        except zlib.error:
            continue
        number = rb"(-?[\d.]+)\s+"
        if drawn := re.search(number * 6 + rb"cm\s+/I1\s+Do", text):
            wide, high = abs(float(drawn[1])), abs(float(drawn[3]) or float(drawn[4]))
            return wide / 72 * 2.54, high / 72 * 2.54
    raise AssertionError("the page draws no picture")
