"""What a run of a search that counts its queries, or of one that changes a few pixels, shows beside its panels."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .pictures import Shown, sure_of
from .shared import OutputOptions, opened

if TYPE_CHECKING:
    from ..regions import Region
    from ..runs.table import Table

MOST_CANDIDATES = 2_100
"""Where one pixel of an image can be changed in at most so many ways, all are tried."""


def counted(shown: Shown, output: OutputOptions) -> dict[str, Any]:
    """Success against queries, beside random changes of the same size with as many queries: queries.svg."""
    from ..analysis.rates import fooled_by, rate
    from ..attacks.base import Attack

    method = shown.recipe.method
    if not isinstance(method, Attack) or method.asks == "gradients":
        return {}
    from ..show.chart import success_against_queries

    fair, control = shown.table.fair, at_random(shown, output)
    curves, found = {}, {}
    for name, table in ((type(method).__name__, shown.table), ("random, as many queries", control)):
        fooled, queries = table["success"][fair].bool(), (table["queries"][fair] - 1).clamp_min(1)
        curves[name] = [(at, r.interval) for at, r in fooled_by(fooled, queries)]
        found[name] = rate(fooled).as_dict() | quartiles(queries[fooled])
        told = ", ".join(f"{k} {v:.0f}" for k, v in quartiles(queries[fooled]).items())
        output.say(f"{name}: fooled {rate(fooled)}; queries until then: {told or 'none'}")
    (shown.folder / "queries.svg").write_text(success_against_queries(curves), encoding="utf-8")
    return {"queries": found}


def at_random(shown: Shown, output: OutputOptions) -> "Table":
    """The same run with random changes, as many for each image as the attack has asked at most."""
    from ..attacks.noise import RandomNoise
    from ..runs.local import run_recipe

    draws = max(1, int(shown.table["queries"].max()) - 1)
    recipe = replace(shown.recipe, method=RandomNoise(draws=draws), within=bound(shown))
    source = opened(recipe.data)
    with output.watching() as watch, watch("control", len(source.ids())) as progress:
        return run_recipe(recipe, shown.model, source, shown.folder / "control", progress)


def quartiles(queries: Any) -> dict[str, float]:
    """How often the network was asked, of those fooled."""
    if not len(queries):
        return {}
    ends = {"median": 0.5, "lower quartile": 0.25, "upper quartile": 0.75}
    return {name: float(queries.double().quantile(q)) for name, q in ends.items()}


def few_pixels(shown: Shown) -> bool:
    """Whether what is shown are changes of a few pixels."""
    from ..regions import L0

    return bound(shown).norm is L0


def bound(shown: Shown) -> "Region":
    """The region of a run, also where the attack has chosen it itself."""
    from ..attacks.base import Attack

    assert isinstance(shown.recipe.method, Attack)
    return shown.recipe.method.region(shown.batch.x, shown.recipe.within)


def pixel_panels(shown: Shown, k: int) -> list[Any]:
    """The image, the changed one with rings round its pixels, and where one pixel is enough."""
    from ..show.heat import laid
    from ..show.pixels import ringed
    from ..views import from_uint8

    image, row = shown.batch.x[k], shown.rows[k]
    found = from_uint8(shown.table.at("adversarial", row))
    before, after = (sure_of(shown.model, picture) for picture in (image, found))
    panels = [("image", image), (f"{before} → {after}", ringed(image, found))]
    works = working(shown, k)
    if works is None:
        return panels
    return [
        *panels,
        laid(f"one pixel works at {int((works > 0).sum())} of {works.numel()}", image, works),
    ]


def working(shown: Shown, k: int) -> Any:
    """The share of values that flip an image at each position, where trying them all is quick."""
    import torch

    from ..attacks.pixels import WorkingPixels
    from ..method import Question

    channels, positions = shown.batch.x.shape[1], shown.batch.x[0, 0].numel()
    levels = next((n for n in (17, 2) if positions * n**channels <= MOST_CANDIDATES), None)
    if levels is None:
        return None
    question = Question(shown.model, None, shown.recipe.target, shown.recipe.seed)
    one = shown.batch[torch.tensor([k])]
    return WorkingPixels(levels).columns(question, one)["works"][0]


def draw_classes(shown: Shown) -> None:
    """Which class was taken for which: classes.svg."""
    import torch

    from ..show.chart import class_grid

    names = shown.model.classes or tuple(map(str, range(shown.model.width or 0)))
    table, fair = shown.table, shown.table.fair
    y, fooled = table["y"], table["success"].bool() & fair
    counts = torch.zeros(len(names), len(names))
    counts.index_put_((y[fooled], table["label"][fooled]), torch.ones(int(fooled.sum())), accumulate=True)
    totals = torch.bincount(y[fair], minlength=len(names))
    (shown.folder / "classes.svg").write_text(class_grid(counts, totals, names), encoding="utf-8")
