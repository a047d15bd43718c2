"""What a chain of attacks found: which flipped how many, and what that took."""

from typing import NamedTuple

from torch import Tensor

from ..attacks.verdict import HOLDS, Verdict
from ..runs.audit import Audit
from ..runs.table import Table
from .rates import Rate, rate


class Line(NamedTuple):
    """One attack of the chain. Passes are means over the images it was tried on."""

    attack: str
    tried: int
    flipped: int
    forward: float
    backward: float
    scores_only: bool


class Judged(NamedTuple):
    """The verdict on the images that were still right after the curve's own attack."""

    lines: tuple[Line, ...]
    robust: Rate
    by_scores: Rate
    """Of the images that held against every gradient, how many a search by scores alone flips."""
    untried: tuple[str, ...]

    @property
    def strongest(self) -> str:
        """The attack that flipped most of what the curve's own had left."""
        best = max(self.lines, key=lambda line: line.flipped, default=None)
        return best.attack if best and best.flipped else ""


def judged(audit: Audit, method: Verdict, table: Table, right: Tensor, robust: Tensor) -> Judged:
    """``right`` are the images the curve left right, in the order of the table's rows; ``robust`` all that hold."""
    by, forward, backward = (table[name] for name in ("by", "forward", "backward"))
    lines = [_line(attack, by, forward[:, k], backward[:, k], k) for k, attack in enumerate(method.attacks)]
    first = next((k for k, line in enumerate(lines) if line.scores_only), len(lines))
    against = (by == HOLDS) | (by >= first)
    del right
    return Judged(tuple(lines), rate(robust), rate(by[against] >= first), untried(audit))


def _line(attack: object, by: Tensor, forward: Tensor, backward: Tensor, k: int) -> Line:
    tried = (by == HOLDS) | (by >= k)
    n = max(1, int(tried.sum()))
    spent = float(forward.sum()) / n, float(backward.sum()) / n
    return Line(repr(attack), int(tried.sum()), int((by == k).sum()), *spent, not bool(backward.any()))


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
