"""``unfool explain … --grade``: numbers, charts and a badge for the maps of a run."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .shared import ModelOptions, OutputOptions, opened

if TYPE_CHECKING:
    from ..analysis.grading import Line, Report
    from ..analysis.rates import Mean
    from ..analysis.scan import Scan
    from ..model import Model
    from ..runs.recipe import Recipe

LEARNED_NOTHING = {"unfool:digits": "unfool:digits?net=shuffled"}
"""Networks that were trained on random labels, by the address of the one that was not."""


def grade_run(
    recipe: "Recipe",
    network: "Model",
    measures: Sequence[str],
    relabelled: str | None,
    folder: Path,
    loading: ModelOptions,
    output: OutputOptions,
) -> "Report":
    """Grade what a run explained, print the table, and write ``grade.json`` and the charts beside it."""
    from ..analysis.grading import graded
    from ..measures.grading import Measure
    from ..runs.grade import MEASURES, Grading, run_grading
    from ..spec import parse

    relabelled = relabelled or LEARNED_NOTHING.get(recipe.model)
    plan = Grading(
        recipe.method,
        recipe.model,
        recipe.data,
        tuple(parse(text, Measure) for text in measures) or MEASURES,
        relabelled,
        recipe.target,
        recipe.limit,
        seed=recipe.seed,
        objective=recipe.objective,
        targets=recipe.targets,
        reference=recipe.reference,
    )
    other = None if relabelled is None else loading.load(relabelled)
    with output.watching() as watch:
        found = run_grading(plan, network, other, opened(recipe.data), folder / "grade", watch)
    report = graded(found)
    write(report, folder)
    say(report, output)
    return report


def write(report: "Report", folder: Path) -> None:
    """``grade.json``, ``grades`` and ``sanity`` as SVG and PNG."""
    from ..analysis.grading import numbers
    from ..analysis.sanity import FAIL, PASS
    from ..report.summary import clean
    from ..runs.work import atomically
    from ..show.grades import Panel, Steps, dot_plot, layer_plot

    told = json.dumps(clean(numbers(report)), indent=1, allow_nan=False)
    atomically(folder / "grade.json", lambda draft: draft.write_text(told, encoding="utf-8"))
    panels = [
        Panel(f"{line.name} {line.arrow}", [(_short(one.method), _ends(one.mean)) for one in line.grades])
        for line in report.lines
    ]
    note = f"{report.n} images, bootstrapped 95 % intervals; grey: maps that know nothing of the network"
    note += f"; scores of {report.scored}" if report.scored else ""
    charts = {"grades": dot_plot(panels, note)} if panels else {}
    if report.layers:
        names = ["the network itself" if name == "" else name for name in report.layers[0].names]
        steps = [
            Steps(one.order, [(s.correlation, s.low, s.high) for s in one.steps]) for one in report.layers
        ]
        charts["sanity"] = layer_plot(names, steps, PASS, FAIL)
    for name, chart in charts.items():
        whole = f'<?xml version="1.0" encoding="utf-8"?>\n{chart.svg}'
        atomically(folder / f"{name}.svg", lambda draft, w=whole: draft.write_text(w, encoding="utf-8"))
        atomically(folder / f"{name}.png", lambda draft, c=chart: draft.write_bytes(c.png))


def say(report: "Report", output: OutputOptions) -> None:
    """One row for each measure, the baselines beside the method; * where the method is ahead beyond doubt."""
    header = ["measure", "", "n", *(folded(_short(method), 11) for method in report.methods)]
    output.table("Grades", header, [_row(line) for line in report.lines])
    output.say(
        f"{report.n} images; 95 % of 1000 bootstraps; ↑ up is better, ↓ down; "
        "*: behind the method in paired differences"
    )
    if report.scored:
        output.say(f"scores are those of {report.scored}")
    for reason in report.reasons:
        output.say(reason)
    if report.scan is not None:
        say_layers(report.scan, output)
    output.say(f"badge: {report.badge.text}, against {report.badge.against}\n")


def say_layers(scan: "Scan", output: OutputOptions) -> None:
    """One row for each layer; * where the chosen one is ahead beyond doubt."""
    header = ["layer", "n", *(folded(repr(one).removesuffix("()"), 15) for one in scan.measures)]
    rows = [
        [
            f"{one.layer}{' (best)' if one.layer == scan.best else ''}",
            str(one.means[0].n),
            *(
                f"{mean.mean:.2f}{' *' if one.beaten and not k else ''}  {_span(mean)}" if mean.n else "–"
                for k, mean in enumerate(one.means)
            ),
        ]
        for one in scan.places
    ]
    output.table("Layers", header, rows)
    output.say(
        f"best layer by {scan.by!r}: {scan.best}, chosen on {scan.chosen_on} images; numbers from the others; "
        "*: behind it in paired differences"
    )
    if scan.rivals:
        output.say(f"not told apart from it: {', '.join(scan.rivals)}")


def _row(line: "Line") -> list[str]:
    n = digits(line)
    cells = [
        f"{_number(one.mean.mean, n)}{' *' if one.beaten else ''}\n{_span(one.mean, n)}"
        for one in line.grades
    ]
    return [folded(line.name, 15), line.arrow, str(line.grades[0].mean.n), *cells]


def _span(mean: "Mean", digits: int = 2) -> str:
    return f"{_number(mean.low, digits)}–{_number(mean.high, digits)}"


def _number(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # no minus before a zero


def digits(line: "Line") -> int:
    """How many behind the point: two of shares, fewer of scores that run into tens and hundreds."""
    most = max(abs(end) for one in line.grades for end in (one.mean.low, one.mean.high))
    return 2 if not most >= 2 else 1 if most < 100 else 0


def _ends(mean: "Mean") -> tuple[float, float, float]:
    return mean.mean, mean.low, mean.high


def folded(text: str, width: int) -> str:
    """A name over several lines, parted before its options and where its words meet, so that 80 columns are enough."""
    lines = [""]
    for piece in re.split(r"(?<=[(,])|(?<=[a-z])(?=[A-Z])", text):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
            piece = piece.lstrip()
        lines[-1] += piece
    return "\n".join(lines)


def _short(method: str) -> str:
    return method.removesuffix("()")
