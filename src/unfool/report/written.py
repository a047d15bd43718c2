"""All that a finished audit leaves: the page for people, the numbers for programs, the table for other tools."""

import json
from dataclasses import replace
from pathlib import Path

from ..analysis.audit import Audited
from ..runs.parts import atomically
from ..runs.table import read_table, write_parquet
from .audit import write_report
from .summary import summary


def write_all(found: Audited, out: Path, command: str) -> None:
    """``report.html``, ``audit.json`` and ``table.parquet``; ``command`` is what made it."""
    write_report(found, out / "report.html", command)
    text = json.dumps(summary(found), indent=1, allow_nan=False)
    atomically(out / "audit.json", lambda draft: draft.write_text(text))
    both = read_table(out / "parts" / "predict").joined(read_table(out / "parts" / "pgd"))
    names = dict(zip(found.ids, found.flipped_by, strict=True))
    by = {"flipped_by": tuple(names.get(i, "") for i in both.ids)}
    write_parquet(replace(both, groups=both.groups | by), out / "table.parquet")
