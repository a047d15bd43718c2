"""Whether maps depend on what a network has learned, as a number and a badge."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor

from ..measures.sanity import likeness, redrawn
from ..method import Method, Question
from ..rows import Batch
from ..runs.table import Table

PASS, FAIL = 0.3, 0.5
"""Up to the first rank correlation a method passes, above the second it fails."""
Verdict = Literal["pass", "weak", "fail", "unknown"]


class Sanity(NamedTuple):
    """How much a method's maps depend on what was learned: rank correlation with those of a random network."""

    method: str
    correlation: float
    low: float
    high: float
    n: int

    @property
    def verdict(self) -> Verdict:
        """ "pass" where maps change when the weights do, "fail" where they hardly do, "weak" between."""
        if self.n < 2:
            return "unknown"
        return "pass" if self.correlation <= PASS else "weak" if self.correlation <= FAIL else "fail"


def sanity_of(method: str, table: Table) -> Sanity:
    """The mean correlation over images that could be read."""
    fine = table.readable
    return measured(method, table["rank_correlation"][fine], table["blank"][fine])


def measured(method: str, correlation: Tensor, blank: Tensor) -> Sanity:
    """The mean and its 95 % interval by the normal approximation, of maps that are not blank themselves."""
    found = correlation[~blank.bool()].double()
    if len(found) < 2:
        return Sanity(method, float("nan"), -1.0, 1.0, len(found))
    middle, half = float(found.mean()), 1.96 * float(found.std()) / len(found) ** 0.5
    return Sanity(method, middle, middle - half, middle + half, len(found))


class Layers(NamedTuple):
    """The correlation after each step down the network; the untouched network is not among them."""

    order: Literal["cascading", "independent"]
    names: tuple[str, ...]
    steps: tuple[Sanity, ...]


class Badge(NamedTuple):
    """What every picture of a method's maps says of it: its worst comparison with a network that knows nothing."""

    method: str
    worst: Sanity | None
    against: str

    @property
    def verdict(self) -> Verdict:
        return "unknown" if self.worst is None else self.worst.verdict

    @property
    def text(self) -> str:
        """In words, with the number and the threshold."""
        if self.worst is None or self.verdict == "unknown":
            return f"sanity not known: {self.against}"
        told, rho = f"{self.worst.correlation:.2f}", "rank corr."
        return {
            "pass": f"✓ depends on training: {rho} {told} ≤ {PASS}",
            "weak": f"~ weak: {rho} {told}, not ≤ {PASS}",
            "fail": f"✗ ignores training: {rho} {told} > {FAIL}",
        }[self.verdict]

    @property
    def brief(self) -> str:
        """So short that it fits under a picture."""
        if self.worst is None or self.verdict == "unknown":
            return "sanity not known"
        told = f"rank corr. {self.worst.correlation:.2f}"
        fine, bad = f"✓ {told} ≤ {PASS}", f"✗ {told} > {FAIL}"
        return {"pass": fine, "weak": f"~ {told} > {PASS}", "fail": bad}[self.verdict]

    def as_dict(self) -> dict[str, object]:
        worst = None if self.worst is None else self.worst._asdict()
        colour = {"pass": "green", "weak": "amber", "fail": "red", "unknown": "grey"}[self.verdict]
        told = {"verdict": self.verdict, "badge": colour, "text": self.text, "against": self.against}
        return {**told, "pass_up_to": PASS, "fail_above": FAIL, "worst": worst}


ANEW = "networks with weights drawn anew"


def badges(methods: Sequence[Method], question: Question, batch: Batch, draws: int = 3) -> list[Badge]:
    """A badge for each method, from the few images that are shown and networks with all weights drawn anew."""
    if question.model.access != "gradients":
        return [Badge(repr(method), None, "no weights to draw anew") for method in methods]
    empty, found = [redrawn(question.model, k) for k in range(draws)], list[Badge]()
    for method in methods:
        told = likeness(method, question, batch, empty)
        one = measured(repr(method), told["rank_correlation"], told["blank"])
        found.append(badge(repr(method), [(ANEW, one)]))
    return found


def badge(method: str, compared: Sequence[tuple[str, Sanity]], why_not: str = "") -> Badge:
    """The badge after comparisons with some networks, by what each of them is."""
    known = [(against, one) for against, one in compared if one.verdict != "unknown"]
    if not known:
        return Badge(method, None, why_not or "too few maps that are not blank")
    against, worst = max(known, key=lambda pair: pair[1].correlation)
    return Badge(method, worst, against)
