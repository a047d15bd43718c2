"""A table of counts by group, as papers print them: how many images of each group a system had wrong."""

import csv
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError, UnknownName

SYSTEMS = ("system", "model", "classifier", "software")
KINDS = ("wrong", "right", "error")
FORM = "columns such as system,skin,sex,n,wrong, or n and error in per cent"


class Counted(NamedTuple):
    """One system on one group: of ``n`` images so many ``wrong``, with a fraction where a percentage was printed."""

    system: str
    group: tuple[str, ...]
    n: int
    wrong: float


class Counts(NamedTuple):
    """All of a table; ``names`` are those of the attributes."""

    names: tuple[str, ...]
    rows: tuple[Counted, ...]
    rounded: bool
    """Whether counts were worked out from printed percentages."""


def read_counts(path: Path) -> Counts:
    """A .csv with a row for each group and system, or with a column a group and a row ``n`` above the systems."""
    try:
        lines = [row for row in csv.reader(path.read_text(encoding="utf-8-sig").splitlines()) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise DataError(f"cannot read the table {path}: {reason}", FORM) from None
    lines = [[cell.strip() for cell in row] for row in lines]
    if len(lines) < 2 or any(len(row) != len(lines[0]) for row in lines):
        raise DataError(f"{path} is no table: rows of different lengths, or no rows", FORM)
    header, body = [name.lower() for name in lines[0]], lines[1:]
    wide = "n" not in header and body[0][0].lower() == "n"
    found = _wide(lines[0], body) if wide else _long(header, lines[0], body)
    seen = [(row.system, row.group) for row in found.rows]
    if twice := next((one for k, one in enumerate(seen) if one in seen[:k]), None):
        raise DataError(f"{path} has {', '.join((*twice[1], twice[0])).strip(', ')} twice", "one row each")
    if len({group for _, group in seen}) < 2:
        raise DataError(f"{path} has one group", "there is nothing to compare")
    return found


def _long(header: list[str], names: list[str], body: list[list[str]]) -> Counts:
    if "n" not in header:
        raise UnknownName("column", "n", header)
    kind = next((kind for kind in KINDS if kind in header), None)
    if kind is None:
        raise DataError(f"the table has no column {', '.join(KINDS[:-1])} or {KINDS[-1]}", FORM)
    system = next((k for k, name in enumerate(header) if name in SYSTEMS), None)
    taken = {header.index("n"), system, *(header.index(k) for k in KINDS if k in header)}
    columns = [k for k in range(len(header)) if k not in taken]
    if not columns:
        raise DataError("the table has no column of groups", FORM)
    rows = [
        _counted(
            row[system] if system is not None else "",
            tuple(row[k] for k in columns),
            row[header.index("n")],
            row[header.index(kind)],
            kind,
        )
        for row in body
    ]
    return Counts(tuple(names[k] for k in columns), tuple(rows), kind == "error")


def _wide(header: list[str], body: list[list[str]]) -> Counts:
    """Groups across and systems down, errors in per cent."""
    rows = [
        _counted(row[0], (group,), n, cell, "error")
        for row in body[1:]
        for group, n, cell in zip(header[1:], body[0][1:], row[1:], strict=True)
    ]
    if not rows:
        raise DataError("the table has no row below n", "one for each system, its errors in per cent")
    return Counts(("group",), tuple(rows), True)


def _counted(system: str, group: tuple[str, ...], n: str, told: str, kind: str) -> Counted:
    where = ", ".join((*group, system)).strip(", ")
    total, value = _number(n, f"n of {where}"), _number(told.rstrip("% "), f"{kind} of {where}")
    if total < 1 or total != int(total):
        raise DataError(f"n of {where} is {n}, not a number of images")
    if kind == "error" and not 0 <= value <= 100:
        raise DataError(f"the error of {where} is {told}, not a percentage")
    if kind != "error" and not (0 <= value <= total and value == int(value)):
        raise DataError(
            f"{kind} of {where} is {told}, of {n} images", "count images; percentages go under error"
        )
    wrong = {"error": value * total / 100, "wrong": value, "right": total - value}[kind]
    return Counted(system, group, int(total), wrong)


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{what} is {text!r}, not a number") from None
