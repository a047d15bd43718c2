"""``unfool inspect map``."""

from pathlib import Path
from typing import Literal

from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, folder_for, opened
from .shared import finish

SIDE = 128
"""Pictures of the map have no more pixels a side."""


def map(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    layer: str = "",
    method: Literal["tsne", "pacmap"] = "tsne",
    perplexity: float = 30.0,
    seeds: int = 3,
    k: int = 10,
    labelled: bool = True,
    lasso: str = "",
    export: bool = False,
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """A map of images by what a network makes of them: as a poster, as a grid, and how far to trust it.

    t-SNE at three perplexities and PaCMAP, with several seeds, beside a plane of principal components and random
    places. Needs unfool[maps].

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        As for unfool audit.
    layer
        Whose output is mapped, its mean over positions; by default what the last linear layer is given.
    method
        Which map is drawn large: tsne or pacmap.
    perplexity
        About how many neighbours t-SNE lets count.
    seeds
        How many seeds each map is made with.
    k
        Of how many nearest images it is counted how many stay so.
    labelled
        With --no-labelled, the labels are not looked at.
    lasso
        A polygon in the map's coordinates, x0,y0,x1,y1,x2,y2 and so on: the ids inside are written to slice.txt, which
        any data address takes as ?only=slice.txt.
    export
        Write projector/ for TensorBoard, and map.parquet with images/ for Embedding Atlas, Spotlight and FiftyOne.
    limit
        How many images at most, drawn by the seed.
    out
        The folder for the page and everything behind it; by default one in runs/map named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.imagemap import inside, study
    from ...measures.embed import coarse
    from ...report.exports import write_exports, write_slice
    from ...report.subjects.imagemap import map_page
    from ...runs.imagemap import ImageMap, run_map
    from ...views import View

    corners = _corners(lasso)
    place, network = data_for(data, model), loading.load(model)
    source = opened(place)
    plan = ImageMap(model, place, layer, method, perplexity, seeds, k, labelled, limit, seed)
    out = folder_for(out, "map", model, plan, loading.told())
    with output.watching() as watch:
        found = study(plan, run_map(plan, network, source, out, watch), network, source, out, watch)
    ids = found.mapped.space.ids
    images = [coarse(source.sample(i, network.view or View()).x[None], SIDE)[0] for i in ids]
    chosen: list[str] = []
    if corners:
        chosen = [i for i, flag in zip(ids, inside(found.shown.view, corners).tolist(), strict=True) if flag]
        write_slice(out / "slice.txt", chosen)
    if export:
        write_exports(found, images, out)
    finish(map_page(found, images, corners, chosen), out, output)


def _corners(text: str) -> tuple[float, ...]:
    from ...errors import InputError
    from ...spec import parse_number

    corners = tuple(parse_number(part) for part in text.split(",")) if text else ()
    if corners and (len(corners) < 6 or len(corners) % 2):
        raise InputError(
            f"a lasso of {len(corners)} numbers has no inside", "three corners at least: x0,y0,x1,y1,x2,y2"
        )
    return corners
