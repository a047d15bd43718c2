"""The numbers of an audit as one JSON document."""

import math
from typing import Any

from ..analysis.audit import Audited, Group
from ..analysis.groups import as_numbers
from ..analysis.rates import Spread, spread
from ..analysis.sanity import Sanity
from ..analysis.verdict import untried


def summary(found: Audited) -> dict[str, Any]:
    """Numbers and texts only; what is infinite or undefined is null."""
    return clean(
        {
            "audit": repr(found.audit),
            "weights": found.weights,
            "n": found.n,
            "unreadable": found.unreadable,
            "labelled": found.labelled,
            "clean": found.clean.as_dict(),
            "robust": found.robust.as_dict(),
            "verdict": None if found.verdict is None else [line._asdict() for line in found.verdict.lines],
            "untried": untried(found.audit),
            "radii": found.radii,
            "accuracy": {run: [rate.as_dict() for rate in rates] for run, rates in found.curves.items()},
            "smallest_change": _spread(found.median_radius),
            "first_flip_along": {
                way: _spread(spread(radii[radii > 0])) for way, radii in found.along.items()
            },
            "masking": _masking(found),
            "groups": {name: [_group(row) for row in rows] for name, rows in found.groups.items()},
            "subgroups": as_numbers(found.subgroups),
            "sanity": [_sanity(one) for one in found.sanity],
            "cases": [
                {"id": c.id, "kind": c.kind, "label": c.label, "saved_as": c.saved} for c in found.cases
            ],
            "passes": found.passes,
        }
    )


def clean(value: Any) -> Any:
    """The same without infinite or undefined numbers, which JSON does not have."""
    if isinstance(value, dict):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _spread(found: Spread) -> dict[str, Any]:
    quartiles = {"lower_quartile": found.low, "median": found.median, "upper_quartile": found.high}
    return {"n": found.n, **quartiles, "never_flipped": found.infinite}


def _masking(found: Audited) -> dict[str, Any]:
    evidence = [one._asdict() for one in found.masking.evidence]
    return {"masked": found.masking.masked, "sentence": found.masking.sentence, "evidence": evidence}


def _group(row: Group) -> dict[str, Any]:
    rates = {"clean": row.clean.as_dict(), "robust": row.robust.as_dict()}
    return {"name": row.name, **rates, "smallest_change": _spread(row.radius)}


def _sanity(one: Sanity) -> dict[str, Any]:
    return {**one._asdict(), "verdict": one.verdict}
