"""What every subject of ``unfool inspect`` ends with."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..shared import OutputOptions

if TYPE_CHECKING:
    from ...report.page import Page


def finish(page: "Page", out: Path, output: OutputOptions) -> None:
    """Write the page, and say what it says."""
    from ...report.page import typed, write_page
    from ...report.summary import clean

    write_page(page, out, typed())
    output.document(
        clean({"title": page.title, "sentence": page.sentence, "folder": str(out), **page.numbers})
    )
    output.say(page.sentence)
    figures = (
        f"{len(page.figures)} figures and their numbers: " if page.figures else "Its pages and numbers: "
    )
    output.say(f"\n{figures}{out / 'report.html'}")
