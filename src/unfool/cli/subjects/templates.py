"""``unfool inspect templates``."""

from pathlib import Path

from ..shared import OutputOptions, folder_for, opened
from .shared import finish


def templates(
    data: str = "unfool:digits",
    *,
    strength: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0),
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """What a linear classifier of pixels looks for in each class, how that changes with regularisation, and its lines.

    Logistic regression on four fifths of the images, judged on the rest. The control learns from shuffled labels.

    Parameters
    ----------
    data
        As for unfool audit, with labels.
    strength
        How freely weights may grow, one --strength each: small ones make smooth templates.
    limit
        How many images at most, drawn by the seed.
    out
        The folder for the page; by default one in runs/templates named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.templates import templates as found_in
    from ...errors import InputError
    from ...report.subjects.templates import templates_page

    if not strength or min(strength) <= 0:
        raise InputError("strengths are numbers above 0", "--strength 0.1 --strength 1")
    found = found_in(opened(data), None, (), sorted(strength), limit, seed)
    out = folder_for(out, "templates", data, strength, limit, seed)
    finish(templates_page(data, found), out, output)
