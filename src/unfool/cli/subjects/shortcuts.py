"""``unfool inspect shortcuts``."""

from pathlib import Path
from typing import Any

from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, class_number, folder_for, opened
from .shared import finish


def shortcuts(
    model: str = "unfool:digits?net=corner",
    data: str | None = None,
    *,
    target: str | None = None,
    method: str = "GradientTimesInput()",
    cue: Path | None = None,
    least: float = 0.1,
    side: int = 16,
    most: int = 8,
    limit: int = 1000,
    images: int = 4,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """Cues that have nothing to do with a class: clusters of maps propose them, edits decide.

    The maps of all images of a class are put into clusters (SpRAy); what marks a cluster is put into images of other
    classes and taken out of its own, beside edits of equal size. Cues that the data mark, or a picture of one, are
    tried likewise.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit; labels are needed.
    target
        The class whose images are explained, by name or number.
    method
        The attribution as text: Gradient, "IntegratedGradients(steps=16)".
    cue
        A picture of what is suspected: as large as the images where it stands, or smaller and put anywhere. Black is
        left out, or what is transparent.
    least
        By what share of images more than its control an edit must change for the model to use a cue.
    side
        Maps are brought to so many positions a side.
    most
        No more clusters than this.
    limit
        How many images of the class, and how many others, at most.
    images
        How many images of each kind are shown.
    out
        The folder for the page and everything behind it; by default one in runs/shortcuts named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.shortcuts import study
    from ...attributions.base import Attribution
    from ...report.subjects.shortcuts import shortcuts_page
    from ...runs.shortcuts import Shortcuts, run_shortcuts
    from ...spec import parse

    place, network = data_for(data, model), loading.load(model)
    source = opened(place)
    plan = Shortcuts(
        model,
        place,
        _target(target, network),
        parse(method, Attribution),
        "" if cue is None else str(cue),
        side,
        most,
        least,
        limit,
        images,
        seed,
    )
    picture = None if cue is None else read_cue(cue, network)
    out = folder_for(out, "shortcuts", model, plan, loading.told())
    with output.watching() as watch:
        table = run_shortcuts(plan, network, source, out, watch)
    finish(shortcuts_page(study(plan, table, network, source, picture)), out, output)


def _target(name: str | None, network: Any) -> int:
    from ...errors import InputError

    number = class_number(name, network)
    if number is None:
        raise InputError("the maps of which class?", "name it with --target")
    return number


def read_cue(path: Path, network: Any) -> Any:
    """A picture with its mask as the last channel: [C + 1, H, W]."""
    import torch
    from PIL import Image

    from ...errors import DataError
    from ...views import as_tensor

    try:
        with Image.open(path) as file:
            drawn = as_tensor(file.convert("RGBA"))
    except (OSError, SyntaxError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no picture"
        raise DataError(f"cannot read {path}: {reason}", "a picture, such as a .png") from None
    colour, alpha = drawn[:3], drawn[3:]
    mask = (alpha > 0.5) & (colour.amax(0, keepdim=True) > 0) if bool((alpha == 1).all()) else alpha > 0.5
    if not mask.any():
        raise DataError(f"{path} is black or transparent all over", "what is to be put in must be neither")
    grey = network.view is not None and network.view.channels == 1
    return torch.cat([colour.mean(0, keepdim=True) if grey else colour, mask.float()])
