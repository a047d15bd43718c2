"""``unfool inspect hotspots``."""

from pathlib import Path

from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, class_number, folder_for, opened
from .shared import finish


def hotspots(
    model: str = "unfool:lesions",
    data: str | None = None,
    *,
    target: str | None = None,
    method: tuple[str, ...] = ("Occlusion()", "Gradient()", "GradCAM()"),
    tolerance: int = 2,
    limit: int = 1000,
    images: int = 3,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """Whether false positives look at an artefact, and whether they go when it is taken out.

    The data mark the artefact, such as a tube. Its pixels are filled in from around them and the image is judged
    again, beside the same shape filled in elsewhere.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit, with artefacts marked: an .npz with artefacts beside x and y, or unfool:lesions.
    target
        The finding, by name or number; by default class 1.
    method
        Attributions as text, one --method each.
    tolerance
        So many pixels beside the artefact still count as on it.
    limit
        How many images at most, drawn by the seed.
    images
        How many false positives are shown.
    out
        The folder for the page and everything behind it; by default one in runs/hotspots named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.hotspots import review
    from ...attributions.base import Attribution
    from ...report.subjects.hotspots import hotspots_page
    from ...runs.hotspots import Hotspots, run_hotspots
    from ...spec import parse

    place, network = data_for(data, model), loading.load(model)
    source, number = opened(place), class_number(target, network)
    methods = tuple(parse(text, Attribution) for text in method)
    plan = Hotspots(model, place, 1 if number is None else number, methods, tolerance, limit, images, seed)
    out = folder_for(out, "hotspots", model, plan, loading.told())
    with output.watching() as watch:
        found = run_hotspots(plan, network, source, out, watch)
    finish(hotspots_page(review(plan, found, network, source)), out, output)
