"""A finished audit read from its folder: every number of the report, none of its looks."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import DataError
from ..measures.directions import ChurchWindow, LogitsAlong
from ..region import size_text
from ..regions import L0
from ..runs.audit import Audit
from ..runs.recipe import Recipe
from ..runs.table import Table, read_table
from ..spec import parse
from .groups import Subgroups, Told, subgroups
from .masking import Masking, Signs, diagnose
from .rates import Mean, Rate, Spread, rate, spread
from .sanity import Sanity, sanity_of
from .verdict import Judged, flipped, judged

CURVES = {
    "fgsm": "FGSM",
    "pgd": "PGD",
    "random": "random change",
    "worst-random": "worst of {draws} random",
}
"""The curves of an audit, by the name of their run."""


class Group(NamedTuple):
    """One class or group of images."""

    name: str
    clean: Rate
    robust: Rate
    radius: Spread


class Case(NamedTuple):
    """One image looked at closely. Images are [C, *space] in [0, 1], maps [*space], signed as computed."""

    id: str
    kind: str  # "fooled", "wrong" or "right"
    label: int
    image: Tensor
    adversarial: Tensor  # as the 8-bit file holds it
    change: Tensor
    before: tuple[int, float]  # label and confidence
    after: tuple[int, float]  # of the floating-point image
    saved: tuple[int, float]  # of the 8-bit file
    heat: dict[str, tuple[Tensor, Tensor]]  # method -> maps before and after
    logits: Tensor  # [points, K] along ±limit, not clipped to [0, 1]
    clipped: Tensor
    amplitudes: Tensor  # [points]
    planes: dict[str, Tensor]  # "gradient", "gradient, another random axis", "random": classes [down, across]
    reach: float


class Audited(NamedTuple):
    """Everything an audit found."""

    audit: Audit
    classes: tuple[str, ...]
    weights: str
    ids: tuple[str, ...]
    n: int
    unreadable: dict[str, str]
    labelled: bool
    clean: Rate
    radii: tuple[float, ...]  # ascending, 0 first
    curves: dict[str, tuple[Rate, ...]]  # accuracy at each radius, by run
    radius: Tensor  # [n] smallest change that flips; 0 wrong to begin with, inf not flipped
    along: dict[str, Tensor]  # first flip along a straight direction, by direction
    robust: Rate
    """What is right at the audited radius after every attack."""
    verdict: Judged | None
    masking: Masking
    groups: dict[str, tuple[Group, ...]]
    subgroups: Subgroups | None
    """How well the model does on the groups that were named."""
    sanity: tuple[Sanity, ...]
    cases: tuple[Case, ...]
    passes: dict[str, float]  # images put through the network, per image of the data

    def at(self, run: str, eps: float) -> Rate:
        """Accuracy of one curve at one radius."""
        nearest = min(range(len(self.radii)), key=lambda i: abs(self.radii[i] - eps))
        if run not in self.curves or abs(self.radii[nearest] - eps) > 1e-6 * max(1.0, eps):
            shown = ", ".join(map(size_text, self.radii))
            raise DataError(
                f"the audit has no {run}@{size_text(eps)}", f"there is {', '.join(self.curves)} at {shown}"
            )
        return self.curves[run][nearest]

    @property
    def flipped_by(self) -> tuple[str, ...]:
        """The strongest attack needed for each image at the audited radius: the curve's own, the verdict's, or none."""
        later = {} if self.verdict is None else self.verdict.by
        held = (self.radius > self.audit.eps * (1 + 1e-6)).tolist()
        wrong = (self.radius == 0).tolist()
        own = ["wrong to begin with" if w else repr(self.audit.strong) for w in wrong]
        return tuple(later.get(i, "" if h else name) for i, h, name in zip(self.ids, held, own, strict=True))

    @property
    def gap(self) -> Rate:
        """The largest gap between the errors of two of the groups that were named."""
        found = Mean(0.0, 0.0, 1.0, 0) if self.subgroups is None else self.subgroups.gap
        return Rate(found.mean * found.n, found.n, found.low, found.high)

    @property
    def median_radius(self) -> Spread:
        """Of the images that were right to begin with."""
        return spread(self.radius[self.radius > 0])


def curve_text(audit: Audit, run: str) -> str:
    """The name of a curve for people."""
    if run == "fgsm" and audit.within.norm is L0:
        return "one step"
    return CURVES[run].format(draws=audit.draws)


def read_audit(folder: Path) -> Audited:
    """What a finished audit found."""
    audit = parse((folder / "recipe.txt").read_text(), Audit)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    parts = {path.name: read_table(path) for path in sorted((folder / "parts").iterdir())}
    fine = parts["predict"].readable
    curves = {run: ~parts[run]["flipped"][fine].bool() for run in CURVES}
    classes, radius = tuple(manifest["classes"]), parts["pgd"]["radius"][fine]
    members = {
        "class": _class_names(parts["predict"]["y"][fine], classes),
        **_kept(parts["predict"].groups, fine),
    }
    curve = _at(curves["pgd"], audit)
    ids = [i for i, keep in zip(parts["predict"].ids, fine.tolist(), strict=True) if keep]
    verdict = judged(folder / "parts" / "verdict", parts["verdict"]) if "verdict" in parts else None
    robust = curve & ~flipped(ids, parts.get("verdict"))
    known = bool((parts["predict"]["y"][fine] >= 0).any())
    return Audited(
        audit,
        classes,
        manifest["weights"],
        tuple(ids),
        int(fine.sum()),
        parts["predict"].errors,
        known,
        rate(curves["pgd"][:, 0]),
        (0.0, *audit.grid),
        {run: tuple(rate(right[:, k]) for k in range(right.shape[1])) for run, right in curves.items()},
        radius,
        {name[6:]: table["radius"] for name, table in parts.items() if name.startswith("along-")},
        rate(robust),
        verdict,
        diagnose(_signs(parts, fine, audit, curves, verdict), str(audit.within)),
        {name: _groups(values, curves["pgd"][:, 0], robust, radius) for name, values in members.items()},
        _subgroups(audit, parts["predict"], members, robust, _at(curves["worst-random"], audit)),
        tuple(sanity_of(repr(method), parts[f"sanity-{k}"]) for k, method in enumerate(audit.attributions)),
        tuple(_cases(audit, parts, _axes(folder))),
        _passes(parts, fine),
    )


def _at(curve: Tensor, audit: Audit) -> Tensor:
    """What is right at the audited radius."""
    return curve[:, [0.0, *audit.grid].index(audit.eps)]


def _subgroups(
    audit: Audit, said: Table, members: dict[str, list[str]], robust: Tensor, random: Tensor
) -> Subgroups | None:
    if not audit.groups:
        return None
    fine = said.readable
    y, label, chances = (said[name][fine] for name in ("y", "label", "probabilities"))
    told = Told(y, label, chances, robust, random)
    return subgroups(told, {name: members[name] for name in audit.groups}, audit.positive, audit.seed)


def _signs(
    parts: dict[str, Table], fine: Tensor, audit: Audit, curves: dict[str, Tensor], verdict: Judged | None
) -> Signs:
    right = curves["pgd"][:, 0]
    left = {name: ~parts[name]["flipped"][fine][:, 1].bool() for name in ("cross-entropy", "whole-box")}
    return Signs(
        gradients=parts["gradients"]["cross_entropy_gradient"][fine][right],
        gaps=parts["predict"]["gap"][fine],
        one_step=_at(curves["fgsm"], audit),
        many_steps=_at(curves["pgd"], audit),
        cross_entropy=left["cross-entropy"],
        margin=_at(curves["pgd"], audit),
        random=_at(curves["worst-random"], audit),
        whole_box=left["whole-box"],
        by_scores=torch.zeros(0) if verdict is None else verdict.by_scores,
        classes=int(parts["logits"]["free"].shape[-1]),
    )


def _class_names(labels: Tensor, classes: tuple[str, ...]) -> list[str]:
    return [classes[y] if 0 <= y < len(classes) else str(y) for y in labels.tolist()]


def _kept(groups: dict[str, tuple[str, ...]], fine: Tensor) -> dict[str, list[str]]:
    return {
        name: [v for v, keep in zip(values, fine.tolist(), strict=True) if keep]
        for name, values in groups.items()
    }


def _groups(values: list[str], clean: Tensor, robust: Tensor, radius: Tensor) -> tuple[Group, ...]:
    """Each value's rates, worst robust accuracy first."""
    rows: list[Group] = []
    for value in sorted(set(values)):
        here = torch.tensor([v == value for v in values])
        rows.append(Group(value, rate(clean[here]), rate(robust[here]), spread(radius[here & (radius > 0)])))
    return tuple(sorted(rows, key=lambda row: row.robust.value))


def _passes(parts: dict[str, Table], fine: Tensor) -> dict[str, float]:
    """Mean passes per image over the runs on all images."""
    found = {
        f"{run} {way}": parts[run].columns.get(f"{way}_passes")
        for run in parts
        for way in ("forward", "backward")
    }
    return {name: float(values[fine].mean()) for name, values in found.items() if values is not None}


class Axes(NamedTuple):
    """What the axes of the straight-line pictures measure."""

    amplitudes: Tensor
    reach: float


def _axes(folder: Path) -> Axes:
    along, plane = (
        parse((folder / "parts" / run / "recipe.txt").read_text(), Recipe).method
        for run in ("logits", "window")
    )
    assert isinstance(along, LogitsAlong)
    assert isinstance(plane, ChurchWindow)
    return Axes(torch.linspace(-along.limit, along.limit, along.points), plane.limit)


def _cases(audit: Audit, parts: dict[str, Table], axes: Axes) -> list[Case]:
    return [_case(audit, parts, axes, k) for k in range(len(parts["cases"]))]


def _case(audit: Audit, parts: dict[str, Table], axes: Axes, k: int) -> Case:
    column = {name: values[k] for name, values in parts["cases"].columns.items()}
    said = {
        when: (int(column[f"label_{when}"]), float(column[f"confidence_{when}"]))
        for when in ("before", "after", "saved")
    }
    label = int(column["y"])
    heat = {
        repr(m): (column[f"heat_{i}"][0], column[f"heat_{i}_after"][0])
        for i, m in enumerate(audit.attributions)
    }
    names = {"window": "gradient", "window-again": "gradient, another random axis", "window-random": "random"}
    planes = {told: parts[run]["plane"][k] for run, told in names.items() if k < len(parts[run])}
    kind = "wrong" if said["before"][0] != label else "fooled" if bool(column["flipped"]) else "right"
    return Case(
        parts["cases"].ids[k],
        kind,
        label,
        column["image"] / 255,
        column["adversarial"] / 255,
        column["change"],
        said["before"],
        said["after"],
        said["saved"],
        heat,
        parts["logits"]["free"][k],
        parts["logits"]["clipped"][k],
        axes.amplitudes,
        planes,
        axes.reach,
    )
