"""Write the tables of bench/README.md from results.json (``unfool bench --json``), verdict.json and defects.json.

Other files of ``unfool bench --json`` given by name replace the rows of their networks and tasks in results.json first.
"""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARK = "<!-- Written by bench/table.py from results.json; do not edit below. -->\n"


def times(rows: list[dict[str, Any]]) -> str:
    """One line for each task and library, one column for each network."""
    nets = list(dict.fromkeys(row["net"] for row in rows))
    found = {(row["task"], row["who"], row["net"]): row for row in rows}
    lines = [f"| task | library | {' | '.join(nets)} |", f"|---|---|{'---|' * len(nets)}"]
    for task, who in dict.fromkeys((row["task"], row["who"]) for row in rows):
        cells = [cell(found.get((task, who, net))) for net in nets]
        lines.append(f"| {task} | {who} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(row: dict[str, Any] | None) -> str:
    return f"{row['passes']:.2f} ({row['low']:.2f} to {row['high']:.2f})" if row else "–"


def found(rows: list[dict[str, Any]]) -> str:
    lines = ["| task | library | fooled | 95 % interval | n |", "|---|---|---|---|---|"]
    for row in rows:
        rate = row["fooled"]
        ends = f"{100 * rate['low']:.1f} % to {100 * rate['high']:.1f} %"
        lines.append(f"| {row['task']} | {row['who']} | {100 * rate['rate']:.1f} % | {ends} | {rate['n']} |")
    return "\n".join(lines)


def tables() -> str:
    results = json.loads((HERE / "results.json").read_text())
    return f"\n{times(results['times'])}\n\n{found(results['found'])}\n"


def verdicts(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network | eps | who | right | 95 % interval | n | forward | backward |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        right, spent = row["right"], f"{row['forward']:.0f} | {row['backward']:.0f}"
        ends = f"{100 * right['low']:.1f} % to {100 * right['high']:.1f} %"
        who = f"| {row['net']} | {row['eps']:.3g} | {row['who']} | {100 * right['rate']:.1f} %"
        lines.append(f"{who} | {ends} | {right['n']} | {spent} |")
    return "\n".join(lines)


def traps(rows: list[dict[str, Any]]) -> str:
    """One line for each trap, one column for each library; below, what was seen where one failed."""
    names = list(dict.fromkeys(row["who"] for row in rows))
    found = {(row["trap"], row["who"]): row for row in rows}
    lines = [f"| trap | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for trap in dict.fromkeys(row["trap"] for row in rows):
        cells = [found.get((trap, who)) for who in names]
        lines.append(
            f"| {trap} | {' | '.join('–' if c is None else '✓' if c['passed'] else '✗' for c in cells)} |"
        )
    failed = [f"- {row['who']}, {row['trap']}: {row['text']}" for row in rows if not row["passed"]]
    return "\n".join([*lines, "", *failed])


def hidden(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| network | image | windows | library | seconds | times unfool's | maps differ by |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        grid = (row["side"] // row["window"]) ** 2
        told = f"{row['seconds']:.1f} | {row['times']:.1f} | {row['off']:.0e}"
        lines.append(f"| {row['net']} | {row['side']} | {grid} of {row['window']} | {row['who']} | {told} |")
    return "\n".join(lines)


def trained(rows: list[dict[str, Any]]) -> str:
    """Digits: the least and the most of all seeds, in per cent; MNIST: one training, with intervals."""
    lines = [
        "| digits of 8 x 8, Linf 0.2 | clean | FGSM | PGD-40, 3 starts | passes, natural's | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for row in (r for r in rows if r["task"] == "digits8"):
        cells = [ends_of(row[name]) for name in ("clean", "fgsm", "robust")]
        times = row["seconds"] / row["epochs"] / row["natural_seconds"] if row["natural_seconds"] else 1
        lines.append(f"| `{row['method']}` | {' | '.join(cells)} | {row['passes']:.1f} | {times:.1f} |")
    lines += [
        "",
        "| MNIST, Linf 0.3 | network | clean | PGD-40, 3 starts | Standard | epochs | minutes | on |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in (r for r in rows if r["task"] == "mnist"):
        cells = [with_interval(row[name]) for name in ("clean", "pgd", "standard")]
        took = f"{row['epochs']} | {row['seconds'] / 60:.0f} | {row['where']}"
        lines.append(f"| `{row['method']}` | {row['net']} | {' | '.join(cells)} | {took} |")
    return "\n".join(lines)


def ends_of(shares: list[float]) -> str:
    return f"{100 * min(shares):.1f} to {100 * max(shares):.1f}"


def with_interval(rate: dict[str, float]) -> str:
    ends = f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f}"
    return f"{100 * rate['rate']:.1f} % ({ends}) of {rate['n']:.0f}"


SECTIONS = {"verdict": verdicts, "defects": traps, "occlusion": hidden, "train": trained}
"""What is written between ``<!-- name -->`` and ``<!-- /name -->`` from name.json, where that has been measured."""


def filled(page: str) -> str:
    """The page with its marked sections written anew."""
    for name, write in SECTIONS.items():
        if not (HERE / f"{name}.json").exists():
            continue
        before, _, rest = page.partition(f"<!-- {name} -->\n")
        after = rest.partition(f"<!-- /{name} -->")[2]
        text = write(json.loads((HERE / f"{name}.json").read_text()))
        page = f"{before}<!-- {name} -->\n\n{text}\n\n<!-- /{name} -->{after}"
    return page


def taken_in(path: Path) -> None:
    """Put another run's rows where results.json has those of the same network and task."""
    held, new = (json.loads(p.read_text()) for p in (HERE / "results.json", path))
    for kind, rows in new.items():
        again = {(row["net"], row["task"]) for row in rows}
        held[kind] = [row for row in held[kind] if (row["net"], row["task"]) not in again] + rows
    (HERE / "results.json").write_text(json.dumps(held, indent=1) + "\n")


def main() -> None:
    for path in map(Path, sys.argv[1:]):
        taken_in(path)
    page = HERE / "README.md"
    head = filled(page.read_text().partition(MARK)[0])
    page.write_text(head + MARK + tables())


if __name__ == "__main__":
    main()
