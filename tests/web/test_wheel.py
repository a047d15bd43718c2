"""What is installed from a wheel, and nothing of this folder, is the studio and the lecture that users meet."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .browser import CHROMIUM, MISSING, WIDE, Page, started

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's own files, unpacked as pip does; what it depends on is that of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    how = ["--no-deps", "--no-build-isolation", "--no-cache-dir"]
    subprocess.run([*pip, "wheel", *how, "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_every_view_of_the_installed_studio_draws(
    installed: Path, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", str(installed))
    told = [sys.executable, "-c", "import unfool; print(unfool.__file__)"]
    assert subprocess.check_output(told, cwd=tmp_path, text=True).startswith(str(installed))
    with started(tmp_path, "unfool:digits8") as address:
        opened = browser.new_page(viewport=WIDE)
        page = Page(opened, address)
        for key, canvas in (
            ("1", "#look canvas"),
            ("2", "#touch .card:nth-child(3) canvas"),
            ("3", "#inside canvas"),
        ):
            opened.keyboard.press(key)
            page.until(f"document.querySelector({canvas!r})")
            page.ready()
            assert page.colours(canvas) > 3
        opened.keyboard.press("4")
        page.ready()
        assert page.said == []
        opened.close()
