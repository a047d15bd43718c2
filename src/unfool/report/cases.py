"""One image of the report: what was changed, and where the network looks before and after."""

from typing import Any

import torch
from torch import Tensor

from ..analysis.audit import Audited, Case
from ..region import size_text
from ..show.heat import overlay, scaled
from ..show.image import class_colours, colour, data_uri, enlarged, png
from .live import numbers

KINDS = {"fooled": "fooled", "wrong": "wrong to begin with", "right": "holds"}


def case_view(found: Audited, case: Case, badges: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The texts and pictures of one image."""
    size = float(case.change.abs().max())
    sign = case.change.sign()
    pictures = [
        ("image", says(found, case.before), case.image),
        (f"sign of change × {size_text(size)}", "", 0.5 + sign / 2),
        ("changed image", saved_text(found, case), case.adversarial),
        ("the change as it is, about grey", "", 0.5 + case.change),
        (f"the change × {0.5 / (size or 1):.3g}", "", 0.5 + case.change / (2 * (size or 1))),
    ]
    return {
        "id": case.id,
        "kind": KINDS[case.kind],
        "label": name(found, case.label),
        "triptych": [{"title": t, "text": s, "uri": uri(image)} for t, s, image in pictures],
        "maps": [map_view(case, method, badges[method]) for method in case.heat],
        "planes": [plane_view(told, labels, case) for told, labels in case.planes.items()],
        "reach": case.reach,
    }


def name(found: Audited, label: int) -> str:
    return found.classes[label] if 0 <= label < len(found.classes) else str(label)


def says(found: Audited, answer: tuple[int, float]) -> str:
    return f"{name(found, answer[0])}, {100 * answer[1]:.1f} %"


def saved_text(found: Audited, case: Case) -> str:
    """What the 8-bit file is taken for; a change that does not survive rounding is said to be float only."""
    lost = case.after[0] != case.saved[0]
    return says(found, case.saved) + (f" (float only: {says(found, case.after)})" if lost else "")


def uri(image: Tensor) -> str:
    return data_uri(png(enlarged(colour(image), 160)))


def map_view(case: Case, method: str, badge: dict[str, Any]) -> dict[str, Any]:
    before, after = case.heat[method]
    return {
        "method": method,
        "badge": badge,
        "before": one_map(case.image, before),
        "after": one_map(case.adversarial, after),
    }


def one_map(image: Tensor, heat: Tensor) -> dict[str, Any]:
    """A map over its image, and its numbers; an all-zero one is left blank and says so."""
    if not heat.any():
        return {
            "uri": uri(colour(image).mean(0, keepdim=True)),
            "text": "no positive evidence: the map is all zero",
            "live": None,
        }
    low, high = float(heat.min()), float(heat.max())
    ends = f"{low:.3g} to {high:.3g}; colour is full at {scaled(heat).scale:.3g}"
    return {"uri": uri(overlay(enlarged(image, 160), heat)), "text": ends, "live": numbers(heat)}


def plane_view(told: str, labels: Tensor, case: Case) -> dict[str, Any]:
    """A plane of directions, white where the class is right."""
    wrong = float((labels != case.label).float().mean())
    picture = enlarged(class_colours(labels.flip(0), case.label), 205)
    middle = torch.tensor(labels.shape) // 2
    clean = "right" if int(labels[tuple(middle)]) == case.label else "wrong"
    return {"axis": told, "uri": data_uri(png(picture)), "wrong": wrong, "clean": clean}
