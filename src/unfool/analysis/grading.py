"""What a method's grades come to, beside those of maps that know nothing of the network."""

from typing import Any, NamedTuple

from ..measures.grading import Measure
from ..runs.grade import Grading, Tables
from ..runs.table import Table
from .bootstrap import bootstrap, difference
from .rates import Mean
from .sanity import Badge, Layers, Sanity, badge, measured, sanity_of
from .scan import Scan, scan_of


class Grade(NamedTuple):
    """One method's mean by one measure, and how far the graded method is ahead of it, image by image."""

    method: str
    mean: Mean
    ahead: Mean | None
    """None for the graded method itself; above 0 where that is better."""

    @property
    def beaten(self) -> bool:
        """Whether the graded method is better beyond doubt: the interval of the difference is above 0."""
        return self.ahead is not None and self.ahead.n > 1 and self.ahead.low > 0


class Line(NamedTuple):
    """A measure, and every method's grade by it, the graded one first."""

    measure: Measure
    grades: tuple[Grade, ...]

    @property
    def name(self) -> str:
        return _name(self.measure)

    @property
    def arrow(self) -> str:
        return "↑" if self.measure.better == "higher" else "↓"


class Report(NamedTuple):
    """All of a grading."""

    plan: Grading
    n: int
    lines: tuple[Line, ...]
    silent: tuple[Measure, ...]
    """Measures that had nothing to say of any image, such as those that need masks."""
    layers: tuple[Layers, ...]
    relabelled: Sanity | None
    badge: Badge
    scan: Scan | None = None
    """Where the method is made at several layers: which one is best."""
    scored: str = ""
    """Whose scores count where it is not the probability of a class."""

    @property
    def methods(self) -> list[str]:
        return [repr(method) for method in self.plan.methods]

    @property
    def reasons(self) -> list[str]:
        """One sentence for each kind of measure that had nothing to say."""
        probable = [one for one in self.silent if one.probabilities and self.scored]
        masked = [one for one in self.silent if one.masks]
        kinds = {
            f"about probabilities, which the score of {self.scored} is not": probable,
            "no masks of what is explained": masked,
            "nothing to say of any image": [one for one in self.silent if one not in (*probable, *masked)],
        }
        names = {why: ", ".join(_name(one) for one in found) for why, found in kinds.items()}
        return [f"{told} left out: {why}" for why, told in names.items() if told]


def _name(measure: Measure) -> str:
    return repr(measure).removesuffix("()")


def graded(found: Tables) -> Report:
    """The means of a finished run with their intervals, and its badge."""
    plan, own = found.plan, repr(found.plan.method)
    lines = [_line(measure, found.graded, own) for measure in plan.measures]
    spoken = tuple(line for line in lines if line.grades[0].mean.n)
    silent = tuple(line.measure for line in lines if not line.grades[0].mean.n)
    layers = _layers(found, own)
    relabelled = None if found.relabelled is None else sanity_of(own, found.relabelled)
    compared = [("all weights drawn anew", layers[0].steps[-1])] if layers else []
    compared += [("a network trained on random labels", relabelled)] if relabelled else []
    return Report(
        plan,
        int(found.graded[own].readable.sum()),
        spoken,
        silent,
        layers,
        relabelled,
        badge(own, compared, "" if layers else "a black box has no weights to draw anew"),
        found.scanned and scan_of(found.scanned),
        found.scored,
    )


def _line(measure: Measure, tables: dict[str, Table], own: str) -> Line:
    sign = 1 if measure.better == "higher" else -1
    values = {name: sign * table[repr(measure)][table.readable] for name, table in tables.items()}
    grades = [
        Grade(name, bootstrap(sign * found), None if name == own else difference(values[own], found))
        for name, found in values.items()
    ]
    return Line(measure, tuple(grades))


def _layers(found: Tables, own: str) -> tuple[Layers, ...]:
    if found.cascading is None or found.independent is None:
        return ()
    return (
        Layers("cascading", found.layers, _steps(found.cascading, own)),
        Layers("independent", found.layers, _steps(found.independent, own)),
    )


def _steps(table: Table, own: str) -> tuple[Sanity, ...]:
    fine = table.readable
    correlation, blank = table["rank_correlation"][fine], table["blank"][fine]
    return tuple(measured(own, correlation[:, k], blank[:, k]) for k in range(correlation.shape[1]))


def numbers(report: Report) -> dict[str, Any]:
    """What goes into ``grade.json``."""
    return {
        "recipe": repr(report.plan),
        "n": report.n,
        "measures": [_told(line) for line in report.lines],
        "scored": report.scored,
        "silent": [_name(one) for one in report.silent],
        "why_silent": report.reasons,
        "layers": report.scan and report.scan.as_dict(),
        "sanity": {
            "badge": report.badge.as_dict(),
            "random_labels": report.relabelled and report.relabelled._asdict(),
            "layers": [
                {
                    "order": one.order,
                    "steps": [
                        {"layer": name, **step._asdict()}
                        for name, step in zip(one.names, one.steps, strict=True)
                    ],
                }
                for one in report.layers
            ],
        },
    }


def _told(line: Line) -> dict[str, Any]:
    grades = [
        {
            "method": one.method,
            **one.mean._asdict(),
            "graded_method_ahead_by": one.ahead and one.ahead._asdict(),
            "beaten": one.beaten,
        }
        for one in line.grades
    ]
    return {"measure": repr(line.measure), "better": line.measure.better, "grades": grades}
