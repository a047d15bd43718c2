"""How well landmarks are found, how much of each map lies about its landmark, and which images stand for the rest."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..landmarks import peak_of
from ..measures.landmarks import LandmarkMass, Places
from ..measures.sanity import likeness, redrawn
from ..method import Question
from ..phantoms import centres
from ..rows import Batch, stable_number
from ..runs.table import Table
from ..targets import Pixel
from .rates import Mean, Rate, mean_of, rate
from .sanity import ANEW, Badge, badge, measured


class Point(NamedTuple):
    """One landmark over all images."""

    name: str
    found: Rate
    error: Mean | None
    """In pixels, where the data have discs."""
    worst: float
    mass: Mean
    elsewhere: Mean


class Example(NamedTuple):
    """One image of the appendix: the maps of "no landmark" and of each landmark [1 + K, H, W], and where all are."""

    id: str
    why: str
    x: Tensor
    maps: Tensor
    places: Tensor  # [K, 2]
    probability: Tensor  # [K]
    truth: Tensor  # [K, 2], NaN where unknown


class Summary(NamedTuple):
    """Everything about landmarks."""

    n: int
    points: list[Point]
    none: Mean
    """The share of the "no landmark" map about the landmarks."""
    examples: list[Example]


def summary(names: tuple[str, ...], table: Table, examples: list[Example]) -> Summary:
    fine = table.readable
    n, columns = int(fine.sum()), {name: values[fine] for name, values in table.columns.items()}
    each = {name: values for name, values in columns.items() if values.ndim > 1}
    points = [
        _point(
            names[k] if k < len(names) else str(k), {name: values[:, k - 1] for name, values in each.items()}
        )
        for k in range(1, columns["mass"].shape[1] + 1)
    ]
    return Summary(n, points, _mean(columns["none"]), examples)


def _point(name: str, columns: dict[str, Tensor]) -> Point:
    error = columns["error"][columns["error"].isfinite()]
    known = _mean(error) if len(error) else None
    worst = float(error.max()) if len(error) else float("nan")
    return Point(
        name, rate(columns["found"].bool()), known, worst, _mean(columns["mass"]), _mean(columns["elsewhere"])
    )


def _mean(values: Tensor) -> Mean:
    return mean_of(values.double().tolist())


def representative(table: Table, n: int, seed: int) -> dict[str, str]:
    """Images by id, and why they are shown: the best, the median and the worst, one not found, others at random.

    They are ranked by their mean error, or where that is unknown by their least probability.
    """
    ids = [i for i in table.ids if i not in table.errors]
    fine = table.readable
    error, sure = table["error"][fine].mean(1), table["probability"][fine].amin(1)
    rank = torch.where(error.isfinite(), error, 1 - sure).argsort(stable=True).tolist()
    lost = (~table["found"][fine].bool()).any(1).nonzero()[:, 0].tolist()
    wanted = [("best", rank[0]), ("median", rank[len(rank) // 2]), ("worst", rank[-1])]
    wanted += [("not found", lost[0])] if lost else []
    chosen = dict[str, str]()
    for why, row in wanted[:n]:
        chosen.setdefault(ids[row], why)
    others = sorted((i for i in ids if i not in chosen), key=lambda i: stable_number(seed, "shown", i))
    return chosen | dict.fromkeys(others[: max(0, n - len(chosen))], "random")


def landmarks_badge(measure: LandmarkMass, question: Question, batch: Batch, draws: int = 3) -> Badge:
    """Whether maps of the landmarks depend on what was learned; networks drawn anew are asked at the same positions."""
    name, model = repr(measure.inner), question.model
    if model.access != "gradients":
        return Badge(name, None, "no weights to draw anew")
    scores, empty = model(batch.x), [redrawn(model, k) for k in range(draws)]
    rows = list[dict[str, Tensor]]()
    for k in range(1, scores.shape[1]):
        at = peak_of(scores[:, k])
        aim = torch.cat([torch.full_like(at[:, :1], k), at], 1).cpu()
        rows.append(likeness(measure.inner, question._replace(target=aim, objective=Pixel()), batch, empty))
    told = {name: torch.cat([row[name] for row in rows]) for name in ("rank_correlation", "blank")}
    return badge(
        name, [(f"{ANEW}, at the same positions", measured(name, told["rank_correlation"], told["blank"]))]
    )


def examples_of(
    measure: LandmarkMass, question: Question, batch: Batch, why: dict[str, str], places: Places
) -> list[Example]:
    """The maps of a few images."""
    n = places.at.shape[1]
    maps = measure.maps(question, batch, n).cpu()
    unknown = torch.full((len(batch), n, 2), torch.nan)
    truth = unknown if batch.masks is None else centres(batch.masks, n)
    return [
        Example(id, why[id], batch.x[k], maps[k], places.at[k].cpu(), places.probability[k].cpu(), truth[k])
        for k, id in enumerate(batch.ids)
    ]
