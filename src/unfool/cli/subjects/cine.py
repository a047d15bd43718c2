"""``unfool inspect cine``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ...errors import InputError
from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, class_number, folder_for, opened
from .shared import finish

if TYPE_CHECKING:
    from ...report.subjects.cine import Seen


def cine(
    model: str = "unfool:cine",
    data: str | None = None,
    *,
    target: str | None = None,
    method: Annotated[list[str] | None, Parameter(negative="")] = None,
    objective: str | None = None,
    frames: Annotated[list[int] | None, Parameter(negative="")] = None,
    fill: Literal["first", "mean", "black"] = "first",
    draws: int = 10,
    film: Literal["gif", "mp4", "none"] = "gif",
    images: int = 2,
    limit: int = 40,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """Where a network looks in series, frame by frame, and whether it needs those frames.

    Writes a film of each series shown with the map over it, the map's profile over time under the signal, and what is
    left of the answer once the most salient frames are replaced; random frames and the least salient ones are the
    controls.

    Parameters
    ----------
    model
        An address, as for unfool audit: a network that takes [B, C, frames, H, W].
    data
        As for unfool audit; by default the model's own.
    target
        Class to explain, by name or number; by default the largest but class 0, or the predicted one.
    method
        An attribution, given once for each; by default Gradient and IntegratedGradients.
    objective
        As for unfool explain; of a map of scores the class's region.
    frames
        How many frames are replaced, given once for each number; by default 1, 2, 4 and 8.
    fill
        What they are replaced by: the first frame, the mean of all, or black.
    draws
        Random choices of frames for each series.
    film
        gif, mp4 (needs unfool[video]) or none.
    images
        How many series are shown.
    limit
        How many series at most every number is measured on, drawn by the seed.
    out
        The folder for the page and everything behind it; by default one in runs/cine named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.cine import deleted, series_badges, shown_series
    from ...attributions.base import Attribution
    from ...measures.frames import FrameDeletion, checked_series
    from ...objectives import Objective
    from ...report.subjects.cine import Seen, cine_page
    from ...runs.begin import first_image
    from ...runs.local import question_of, run_recipe
    from ...runs.recipe import Recipe
    from ...spec import parse
    from ...targets import Segment

    place, network = data_for(data, model), loading.load(model)
    source = opened(place)
    first = first_image(source, source.ids(), network.view, network)[None]
    checked_series(first)
    overlap = network(first).ndim > 2
    asked = parse(objective, Objective) if objective else Segment() if overlap else None
    inner = [parse(text, Attribution) for text in method or ("Gradient()", "IntegratedGradients()")]
    measures = [FrameDeletion(one, tuple(frames or (1, 2, 4, 8)), draws, fill) for one in inner]
    aim = class_number(target, network)
    recipes = [
        Recipe(one, model, place, target=aim, limit=limit, seed=seed, objective=asked, chunk=8)
        for one in measures
    ]
    out = folder_for(out, "cine", model, recipes, loading.told())
    with output.watching() as watch:
        tables = []
        for k, recipe in enumerate(recipes):
            with watch(type(inner[k]).__name__, min(limit, len(source.ids()))) as progress:
                tables.append(run_recipe(recipe, network, source, out / "parts" / str(k), progress))
    ids = [i for i in tables[0].ids if i not in tables[0].errors][:images]
    if not ids and images:
        raise InputError(f"none of the series can be used: {next(iter(tables[0].errors.values()))}")
    question = question_of(recipes[0], network, source)
    batch = source.batch(ids, network.view, network.classes) if ids else None
    shown = shown_series(inner, question, batch) if batch else []
    signs = series_badges(inner, question, batch, shown) if batch else []
    results = [deleted(*pair) for pair in zip(measures, tables, strict=True)]
    seen = Seen(model, repr(recipes), tuple(network.classes), results, shown, signs, overlap)
    if film != "none":
        films(seen, out, film)
    finish(cine_page(seen), out, output)


def films(seen: "Seen", out: Path, kind: str) -> None:
    """A film for each series shown and each method."""
    from ...show.film import film_of, write_film
    from ...show.heat import spanned

    for series in seen.series:
        name = seen.classes[series.target] if seen.classes else str(series.target)
        for one, heat, share, badge in zip(
            seen.deleted, series.maps, series.profiles, seen.badges, strict=True
        ):
            told = f"{type(one.method).__name__}, {name}: {spanned(heat)}"
            file = f"{series.id.replace('/', '_')}-{type(one.method).__name__}.{kind}"
            write_film(
                film_of(series.x, heat, share.tolist(), told, badge.verdict, badge.brief),
                out / "films" / file,
            )
