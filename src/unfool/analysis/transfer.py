"""How often what was made to fool one model fools another (Papernot et al., 2016; Liu et al., 2017)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..runs.transfer import RANDOM, Transfer, Transferred
from .rates import Rate, rate


class Shown(NamedTuple):
    """One image and what every victim says of it: itself, made on ``source``, and with random signs."""

    id: str
    y: int
    source: str
    images: tuple[Tensor, Tensor, Tensor]  # [C, H, W]
    labels: tuple[tuple[int, ...], ...]  # 3 x victims
    confidences: tuple[tuple[float, ...], ...]  # not a number where a victim gives labels only


class Matrix(NamedTuple):
    """Rates at which victims are wrong about images that all of them had right."""

    plan: Transfer
    victims: tuple[str, ...]
    sources: tuple[str, ...]
    names: dict[str, str]  # address -> short name
    clean: dict[str, Rate]
    n: int
    common: int
    cells: dict[str, tuple[Rate, ...]]  # by source, RANDOM the last: one rate a victim
    shown: Shown

    def own(self, source: str, victim: str) -> bool:
        """Whether the victim is the source or one of its members."""
        return victim in source.split(" + ")

    @property
    def others(self) -> list[Rate]:
        """The cells where victim and source share no model."""
        return [
            cell
            for source in self.sources
            for victim, cell in zip(self.victims, self.cells[source], strict=True)
            if not self.own(source, victim)
        ]


def matrix(found: Transferred, images: Tensor) -> Matrix:
    """The whole matrix; ``images`` are the common ones as the models see them: [n, C, *space]."""
    wrong = {s: table["labels"] != table["y"][:, None] for s, table in found.found.items()}
    cells = {
        source: tuple(rate(flags[:, k]) for k in range(flags.shape[1])) for source, flags in wrong.items()
    }
    clean = {address: rate(table["correct"][table.readable].bool()) for address, table in found.clean.items()}
    addresses = (*found.plan.models, *found.sources)
    n = len(next(iter(found.clean.values())))
    return Matrix(
        found.plan,
        found.plan.models,
        found.sources,
        short_names(addresses),
        clean,
        n,
        len(found.ids),
        cells,
        _typical(found, wrong, images),
    )


def _typical(found: Transferred, wrong: dict[str, Tensor], images: Tensor) -> Shown:
    """The first image that fools as many victims as the median image does, by the source that fools most."""
    source = max(found.sources, key=lambda s: float(wrong[s].double().mean()))
    fooled = wrong[source].sum(1)
    k = int((fooled == fooled.median()).nonzero()[0, 0])
    made, noisy = found.found[source], found.found[RANDOM]
    place = [found.clean[a].ids.index(found.ids[k]) for a in found.plan.models]
    before = list(found.clean.values())
    sure = [
        float("nan") if made["confidences"][k][v].isnan() else float(t["confidence"][i])
        for v, (t, i) in enumerate(zip(before, place, strict=True))
    ]
    return Shown(
        found.ids[k],
        int(made["y"][k]),
        source,
        (images[k], made["adversarial"][k] / 255, noisy["adversarial"][k] / 255),
        (
            tuple(int(t["label"][i]) for t, i in zip(before, place, strict=True)),
            tuple(made["labels"][k].tolist()),
            tuple(noisy["labels"][k].tolist()),
        ),
        (tuple(sure), tuple(made["confidences"][k].tolist()), tuple(noisy["confidences"][k].tolist())),
    )


def short_names(addresses: Sequence[str]) -> dict[str, str]:
    """A name for each address that fits on an axis: what tells it from the others."""
    short = {address: " + ".join(_short(part) for part in address.split(" + ")) for address in addresses}
    counts = [list(short.values()).count(name) for name in short.values()]
    return {a: name if n == 1 else a for (a, name), n in zip(short.items(), counts, strict=True)}


def _short(address: str) -> str:
    place, _, query = address.partition("?")
    options = {name: value for name, _, value in (part.partition("=") for part in query.split("&"))}
    if place == "unfool:scenes":
        return options.get("net") or ", ".join(f"{k} {v}" for k, v in options.items() if k) or "wide"
    if place.startswith("unfool:"):
        net = "robust" if options.get("robust", "0") != "0" else options.get("net", "conv")
        half = options.get("half", "0")
        return net if half == "0" else f"{net}, half {half}"
    return place.rpartition(":")[2]


def spread_of_rates(rates: Sequence[Rate]) -> tuple[float, float]:
    """The smallest and the largest of some rates."""
    values = torch.tensor([one.value for one in rates], dtype=torch.float64)
    return (float(values.min()), float(values.max())) if len(values) else (float("nan"), float("nan"))
