"""Write the tables of bench/README.md from bench/results.json, which ``unfool bench --json`` has printed."""

import json
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


def main() -> None:
    page = HERE / "README.md"
    head = page.read_text().partition(MARK)[0]
    page.write_text(head + MARK + tables())


if __name__ == "__main__":
    main()
