"""What a chain of attacks found: which flipped how many, and what that took."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..attacks.verdict import HOLDS, Verdict
from ..runs.audit import Audit
from ..runs.recipe import Recipe
from ..runs.table import Table
from ..spec import parse


class Line(NamedTuple):
    """One attack of the chain. Passes are means over the images it was tried on."""

    attack: str
    tried: int
    flipped: int
    forward: float
    backward: float


class Judged(NamedTuple):
    """The verdict on the images that the curve's own attack left right."""

    lines: tuple[Line, ...]
    by_scores: Tensor
    """Flags of the images that held against every gradient: flipped by a search that asks for scores alone."""
    by: dict[str, str]
    """The attack that flipped each image."""


def judged(folder: Path, table: Table) -> Judged:
    """What the parts of a verdict in ``folder`` say."""
    method = parse((folder / "recipe.txt").read_text(), Recipe).method
    assert isinstance(method, Verdict)
    by, forward, backward = (table[name] for name in ("by", "forward", "backward"))
    lines = [_line(attack, by, forward[:, k], backward[:, k], k) for k, attack in enumerate(method.attacks)]
    scores = torch.tensor([k for k, attack in enumerate(method.attacks) if attack.asks != "gradients"])
    found = torch.isin(by, scores)
    names = {i: lines[k].attack for i, k in zip(table.ids, by.tolist(), strict=True) if k >= 0}
    against = found[found | (by == HOLDS)] if len(scores) else torch.zeros(0, dtype=torch.bool)
    return Judged(tuple(lines), against, names)


def _line(attack: object, by: Tensor, forward: Tensor, backward: Tensor, k: int) -> Line:
    tried = (by == HOLDS) | (by >= k)
    n = max(1, int(tried.sum()))
    spent = float(forward.sum()) / n, float(backward.sum()) / n
    return Line(repr(attack), int(tried.sum()), int((by == k).sum()), *spent)


def flipped(ids: Sequence[str], table: Table | None) -> Tensor:
    """Which of ``ids`` the verdict flipped: [N] bool."""
    if table is None:
        return torch.zeros(len(ids), dtype=torch.bool)
    gone = {i for i, flag in zip(table.ids, table["flipped"].tolist(), strict=True) if flag}
    return torch.tensor([i in gone for i in ids])


def untried(audit: Audit) -> tuple[str, ...]:
    """What could still flip an image, in words."""
    more = {
        "quick": "rival classes one by one and a search by scores alone (--level standard)",
        "standard": "several starts of each attack, FAB and longer searches (--level thorough)",
        "thorough": "",
    }[audit.level]
    always = (
        f"changes other than {type(audit.within).__name__}",
        "an attack made by hand against whatever defence this model has",
        "what survives a printer and a camera",
    )
    return (more, *always) if more else always
