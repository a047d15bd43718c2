"""``unfool lecture``."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .shared import OutputOptions

if TYPE_CHECKING:
    from ..web.lectern import Lectern


def lecture(
    *,
    export: Path | None = None,
    slide: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    workers: int = 2,
    port: int | None = None,
    browser: bool = True,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """A lecture on adversarial examples and on seeing what networks see, every figure made as it is shown.

    Slide by slide, with sliders, what each shows and does not show, its numbers and its cost; where the deck it follows
    had a mistake, a switch shows the slide as printed. It needs nothing but what comes with the package: no network.
    Opens in the browser and answers to this machine alone; Ctrl-C ends it.

    Parameters
    ----------
    export
        A folder for all of it as pages that work from a file, with every number in lecture.json and the exercises as
        notebooks. Stopped, the same command goes on from there.
    slide
        Export these slides only, by the names in lecture.json.
    workers
        How many processes make slides for the export.
    port
        Where it answers; by default 8400 if that is free. 0 takes any free one.
    browser
        Open the page in the browser.
    """
    if export is not None:
        return exported(export, tuple(slide or ()), workers, output)
    from ..web.serve import serve

    with TemporaryDirectory(prefix="unfool-") as folder:
        serve(partial(lectern, Path(folder)), port, browser, partial(print, flush=True), "unfool.lecture")


def lectern(folder: Path) -> "Lectern":
    """What answers the page; torch is imported here, when the page is there already."""
    from ..web.lectern import Lectern

    return Lectern(folder)


def exported(folder: Path, slides: tuple[str, ...], workers: int, output: OutputOptions) -> None:
    from ..errors import InputError
    from ..lecture.export import export

    if workers < 1:
        raise InputError(f"--workers must be at least 1, not {workers}")
    with output.watching() as watch:
        found = export(folder, watch, slides, workers=workers)
    failed = [s["key"] for s in found["slides"] for state in s["states"] if "error" in state]
    output.document({"folder": str(folder), "slides": len(found["slides"]), "failed": sorted({*failed})})
    output.say(
        f"{len(found['slides'])} slides: {folder / 'index.html'}; their numbers: {folder / 'lecture.json'}"
    )
    for key in sorted({*failed}):
        output.say(f"slide {key} could not be made; its page says why")
