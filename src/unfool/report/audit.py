"""The report of an audit: one self-contained HTML file."""

from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from ..analysis.audit import Audited, Group, curve_text
from ..analysis.rates import Rate, percent
from ..analysis.sanity import Sanity
from ..analysis.verdict import untried
from ..errors import DataError
from ..region import size_text
from ..runs.work import atomically
from ..show.chart import Interval, accuracy_curves, distributions, dots, logits_along
from .cases import case_view
from .live import script
from .page import check_figures, framed, shown
from .subgroups import subgroup_sections

CONTROLS = ("random", "worst-random")
WORST = 20
"""How many of many classes are shown."""
VERDICTS = {
    "pass": "✓ changes with the weights",
    "weak": "△ changes little with the weights",
    "fail": "✗ hardly changes with the weights",
    "unknown": "? too few maps to tell",
}


def write_report(found: Audited, path: Path, command: str) -> None:
    """Write the page; it opens offline and asks nothing of any other host.

    Raises :class:`DataError` where a control is missing: no figure ships without one.
    """
    check_controls(found)
    check_figures([figure for section in subgroup_sections(found.subgroups) for figure in section.figures])
    page = _template().render(page_values(found, command))
    atomically(path, lambda draft: draft.write_text(page, encoding="utf-8"))


class AuditReport(NamedTuple):
    """An audit as a notebook shows it: ``AuditReport(read_audit(folder))``."""

    found: Audited

    def save(self, path: Path | str) -> None:
        """The page as a file."""
        write_report(self.found, Path(path), "")

    def _repr_html_(self) -> str:
        check_controls(self.found)
        return framed(_template().render(page_values(self.found, "")))


def check_controls(found: Audited) -> None:
    missing = [run for run in CONTROLS if run not in found.curves]
    missing += [way for way in ("sign", "gaussian") if way not in found.along]
    missing += ["plane of random directions"] * any("random" not in c.planes for c in found.cases if c.planes)
    if missing:
        raise DataError(f"the report has no control: {', '.join(missing)} is missing", "run the audit again")


def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("unfool.report", "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"percent": percent, "size": size_text, "shown": shown}
    return environment.get_template("audit.html")


def page_values(found: Audited, command: str) -> dict[str, Any]:
    """Everything the page shows, as texts, tables and pictures."""
    badges = {one.method: badge(one) for one in found.sanity}
    ways = {"gradient": "sign of the gradient", "sign": "random signs", "gaussian": "Gaussian noise"}
    return {
        "found": found,
        "command": command,
        "script": script(),
        "within": str(found.audit.within),
        "region": type(found.audit.within).__name__,
        "headline": headline(found),
        "untried": untried(found.audit),
        "names": {run: curve_name(found, run) for run in found.curves},
        "curve_chart": accuracy_curves(
            {r: size_text(r) for r in found.radii},
            {curve_name(found, run): [interval(r) for r in rates] for run, rates in found.curves.items()},
            found.audit.eps,
            f"size of the change, {type(found.audit.within).__name__}",
        ),
        "radius_chart": distributions(
            {"strongest attack": found.radius}, "smallest change that flips", found.audit.eps
        ),
        "along_chart": distributions(
            {told: found.along[way] for way, told in ways.items()}, "± size, of equal L2 length"
        ),
        "subgroups": subgroup_sections(found.subgroups),
        "groups": [group_view(name, rows) for name, rows in found.groups.items()],
        "cases": [case_view(found, case, badges) for case in found.cases],
        "badges": list(badges.values()),
        "logit_charts": {
            case.id: logits_along(
                case.amplitudes, case.logits, case.clipped, case.label, label_name(found, case.label)
            )
            for case in found.cases
        },
    }


def headline(found: Audited) -> str:
    robust = found.robust
    return (
        f"Within {found.audit.within}, {robust.k} of {robust.n} images stay right: accuracy falls from "
        f"{percent(found.clean.value)} to {percent(robust.value)}."
    )


def curve_name(found: Audited, run: str) -> str:
    audit = found.audit
    strong = f"PGD-{audit.steps}, margin loss, {audit.restarts} starts"
    return strong if run == "pgd" else curve_text(audit, run)


def label_name(found: Audited, label: int) -> str:
    return found.classes[label] if 0 <= label < len(found.classes) else str(label)


def interval(one: Rate) -> Interval:
    return one.value, one.low, one.high


def badge(one: Sanity) -> dict[str, Any]:
    """What the sanity check says of a method, in words and a symbol as well as a colour."""
    return {"method": one.method, "verdict": one.verdict, "text": VERDICTS[one.verdict], "one": one}


def group_view(name: str, rows: tuple[Group, ...]) -> dict[str, Any]:
    shown = rows[:WORST]
    chart = dots([(row.name, interval(row.clean), interval(row.robust)) for row in shown])
    return {"name": name, "rows": shown, "more": len(rows) - len(shown), "chart": chart}
