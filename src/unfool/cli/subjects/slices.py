"""``unfool inspect slices``."""

from pathlib import Path

from ...runs.usual import data_for
from ..shared import ModelOptions, OutputOptions, folder_for, opened
from .shared import finish


def slices(
    model: str = "unfool:lesions",
    data: str | None = None,
    *,
    cue: Path | None = None,
    slices: int = 12,
    least: float = 0.1,
    images: int = 6,
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Groups of images on which a model fails and that nobody has named, and whether a cue is why.

    Looked for in the model's features on one half of the images, judged on the other. Where the data mark an artefact,
    or a picture of a cue is given, each suspicious slice ends in an edit that takes the cue out and puts it in, beside
    its controls.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit; labels are needed.
    cue
        A picture of what is suspected, as for unfool inspect shortcuts.
    slices
        Into how many parts the images fall.
    least
        By what share of images more than its control an edit must change for the model to use a cue.
    images
        How many images of each slice are shown.
    limit
        How many images at most, drawn by the seed.
    out
        The folder for the page and everything behind it; by default one in runs/slices named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.outside import some_of
    from ...analysis.slices import Slices, slice_up
    from ...report.subjects.slices import slices_page
    from ...runs.asked import Asked
    from .shortcuts import read_cue

    place, network = data_for(data, model), loading.load(model)
    plan = Slices(model, place, str(cue or ""), slices, least=least, images=images, sample=limit, seed=seed)
    batch = some_of(opened(place), network, limit, seed)
    picture = None if cue is None else read_cue(cue, network)
    out = folder_for(out, "slices", model, plan, loading.told())
    with output.watching() as progress:
        found = slice_up(plan, network, batch, picture, Asked(network, out, repr(plan), progress))
    finish(slices_page(found), out, output)
