"""``unfool inspect landmarks``."""

from pathlib import Path

from ...errors import InputError
from ...runs.usual import data_for
from ..running import RunOptions
from ..shared import ModelOptions, folder_for, opened
from .shared import finish


def landmarks(
    model: str = "unfool:landmarks",
    data: str | None = None,
    *,
    method: str = "Gradient()",
    reach: float = 7.5,
    images: int = 6,
    limit: int = 100,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """Where landmarks are found, and a page of maps for an appendix.

    Writes appendix-figure.pdf and .png, one row an image and one column a landmark beside a "no landmark" control,
    and methods.txt, the paragraph that says how it was made.

    Parameters
    ----------
    model
        An address, as for unfool audit: a network that gives heat maps [B, 1 + landmarks, H, W], the first of them
        "no landmark".
    data
        As for unfool audit; by default the model's own.
    method
        An attribution as text, such as "SmoothGrad(samples=25)".
    reach
        How far about a landmark counts, in pixels: three standard deviations of the heat maps learned from.
    images
        How many images are on the page: the best, the median, the worst, one not found, others at random.
    limit
        How many images at most every number is measured on, drawn by the seed.
    out
        The folder for everything; by default one in runs/landmarks named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.landmarks import examples_of, landmarks_badge, representative, summary
    from ...attributions.base import Attribution
    from ...measures.landmarks import LandmarkMass, located
    from ...report.subjects.landmarks import Found, appendix_files, landmarks_page, methods_text
    from ...runs.begin import first_image
    from ...runs.local import question_of, run_recipe
    from ...runs.recipe import Recipe
    from ...runs.work import atomically
    from ...spec import parse

    if images < 1:
        raise InputError(f"--images must be at least 1, not {images}")
    place, network = data_for(data, model), loading.load(model)
    source = opened(place)
    located(network(first_image(source, source.ids(), network.view, network)[None]))
    measure = LandmarkMass(parse(method, Attribution), reach)
    recipe = Recipe(measure, model, place, limit=limit, seed=seed, chunk=16)
    out = folder_for(out, "landmarks", model, recipe, loading.told())
    with output.watching() as watch, watch("landmarks", min(limit, len(source.ids()))) as progress:
        table = run_recipe(recipe, network, source, out / "parts", progress)
    if not table.readable.any():
        raise InputError(f"none of the images can be used: {next(iter(table.errors.values()))}")
    why = representative(table, images, seed)
    batch = source.batch(list(why), network.view, network.classes)
    question = question_of(recipe, network, source)
    examples = examples_of(measure, question, batch, why, located(network(batch.x)))
    sign = landmarks_badge(measure, question, batch)
    told = summary(tuple(network.classes), table, examples)
    found = Found(model, place, repr(recipe), measure, told, len(source.ids()), seed, sign)
    files = appendix_files(found)
    for kind, content in files.items():
        atomically(out / f"appendix-figure.{kind}", lambda draft, held=content: draft.write_bytes(held))
    text = methods_text(found)
    atomically(out / "methods.txt", lambda draft: draft.write_text(text + "\n", encoding="utf-8"))
    finish(landmarks_page(found, files["png"]), out, output)
