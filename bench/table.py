"""Write the tables of bench/README.md from results.json (``unfool bench --json``), verdict.json and defects.json.

Other files of ``unfool bench --json`` given by name replace the rows of their networks and tasks in results.json first.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from statistics import median
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
    """Digits: the least and the most of all seeds, in per cent; MNIST and CIFAR-10: one training each; passes."""
    lines = [
        "| digits of 8 x 8, Linf 0.2 | clean | FGSM | PGD-40 | margin, 3 starts | seeds | epochs | passes an epoch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in (r for r in rows if r["task"] == "digits8"):
        cells = [ends_of(row[name]) for name in ("clean", "fgsm", "pgd", "robust")]
        told = f"{len(row['clean'])} | {row['epochs']} | {row['passes']:.1f}"
        lines.append(f"| `{row['method']}` | {' | '.join(cells)} | {told} |")
    lines += [
        "",
        "| MNIST, Linf 0.3 | network | clean | PGD-40, 3 starts | Standard | epochs | minutes | on |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in (r for r in rows if r["task"] == "mnist"):
        cells = [with_interval(row[name]) for name in ("clean", "pgd", "standard")]
        took = f"{row['epochs']} | {row['seconds'] / 60:.0f} | {row['where']}"
        lines.append(f"| `{row['method']}` | {row['net']} | {' | '.join(cells)} | {took} |")
    lines += [
        "",
        "| CIFAR-10, Linf 8/255, ResNet-18 | clean | PGD-50, 10 starts | epochs | minutes | on |",
        "|---|---|---|---|---|---|",
    ]
    for row in (r for r in rows if r["task"] == "cifar"):
        cells = [with_interval(row[name]) for name in ("clean", "pgd")]
        took = f"{row['epochs']} | {row['seconds'] / 60:.1f} | {row['where']}"
        lines.append(f"| `{row['method']}` | {' | '.join(cells)} | {took} |")
    lines += [
        "",
        "| an update | network | images | passes | times as many plain passes | middle half of the rounds |",
        "|---|---|---|---|---|---|",
    ]
    for row in (r for r in rows if r["task"] == "cost"):
        told = f"{' x '.join(map(str, row['shape']))} | {row['passes']:g} | {row['times']:.2f}"
        ends = f"{row['low']:.2f} to {row['high']:.2f} of {row['rounds']}"
        lines.append(f"| `{row['method']}` | {row['net']} | {told} | {ends} |")
    return "\n".join(lines)


def ends_of(shares: list[float]) -> str:
    return f"{100 * min(shares):.1f} to {100 * max(shares):.1f}"


def with_interval(rate: dict[str, float]) -> str:
    ends = f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f}"
    return f"{100 * rate['rate']:.1f} % ({ends}) of {rate['n']:.0f}"


def spread(found: dict[str, Any]) -> str:
    """Of each part that has been measured a line or a table."""
    lines: list[str] = []
    if timed := found.get("times"):
        lines += lengths(timed)
    if killed := found.get("kills"):
        kinds, whose = (Counter(row.split()[k].rstrip(":") for row in killed) for k in (1, 0))
        told = "; ".join(", ".join(f"{n} {k}" for k, n in one.items()) for one in (kinds, whose))
        lines += ["", f"Killed {len(killed)} times ({told}): "]
        lines[-1] += "every run ended in the same bytes, and nothing was done twice."
    if held := found.get("memory"):
        *while_, joined = held["megabytes"]
        lines += [
            "",
            f"{held['rows']:,} rows: {while_[0]:.0f} MB after a tenth, {while_[-1]:.0f} MB after all, ",
        ]
        lines[-1] += (
            f"{max(while_):.0f} MB at most on the way; {joined:.0f} MB when all are joined in one table."
        )
    return "\n".join(lines)


def lengths(timed: list[dict[str, Any]]) -> list[str]:
    """By each engine the seconds of each length, times one process's; of two lengths what a start takes."""
    first, last = timed[0], timed[-1]
    heads = [f"PGD-{one['steps']}: seconds | times one process's" for one in timed]
    lines = [f"| {first['images']:,} images by | {' | '.join(heads)} | of it the start |"]
    lines.append("|---" * (2 * len(timed) + 2) + "|")
    for who in first["seconds"]:
        cells = [who]
        for one in timed:
            seconds, ratios = one["seconds"][who], one["ratios"][who]
            cells += [f"{median(seconds):.1f}"]
            cells += [f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f} of {len(ratios)})"]
        short, long = (median(one["seconds"][who]) for one in (first, last))
        steps = last["steps"] - first["steps"]
        start = f"{short - (long - short) / steps * first['steps']:.1f} s" if steps else "–"
        lines.append(f"| {' | '.join([*cells, start])} |")
    return lines


def looks(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| of ResNet-50 | layers | units | times a plain pass | of the last half of the images |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        whole, last = (
            f"{row[k]['times']:.2f} ({row[k]['low']:.2f} to {row[k]['high']:.2f})" for k in ("whole", "last")
        )
        lines.append(f"| {row['layers']} | {row['count']} | {row['units']} | {whole} | {last} |")
    return "\n".join(lines)


def liked(settings: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| network, layer | bfloat16 | library | seconds an image | times unfool's | median score "
        "| hooks, gradients left |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in settings.items():
        rows = {who: row for who, row in found.items() if isinstance(row, dict)}
        own = rows["unfool"]["cpu_seconds_per_image"]
        for who, row in rows.items():
            took, left = row["cpu_seconds_per_image"], row["left_behind"]
            told = f"{took:.1f} | {took / own:.1f} | {row['median_score']:.4g}"
            quick = "yes" if found["bfloat16"] else "no"
            lines.append(f"| {name} | {quick} | {who} | {told} | {left['hooks']}, {left['gradients']} |")
    return "\n".join(lines)


def mapped(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| task | who | seconds | times openTSNE's | neighbours kept | mean squared way |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        times, kept, way = (
            f"{row[k]:.{n}f}" if k in row else "–" for k, n in (("times", 2), ("kept", 3), ("way", 5))
        )
        lines.append(
            f"| {row['task']} | {row['who']} | {row['cpu_seconds']:.2f} | {times} | {kept} | {way} |"
        )
    return "\n".join(lines)


def near(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| vectors | queries | nearest | threads | who | seconds | same |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        asked = f"{row['n']} x {row['d']} | {row['queries']} | {row['k']} | {row['threads']}"
        lines.append(f"| {asked} | {row['who']} | {row['cpu_seconds']:.2f} | {100 * row['same']:.1f} % |")
    return "\n".join(lines)


SECTIONS = {
    "verdict": verdicts,
    "defects": traps,
    "occlusion": hidden,
    "units": looks,
    "maximise": liked,
    "imagemap": mapped,
    "neighbours": near,
    "train": trained,
    "scale": spread,
}
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
