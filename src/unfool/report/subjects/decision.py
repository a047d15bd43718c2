"""The record of one decision, on one page."""

import shlex

import torch
from PIL import Image
from torch import Tensor

from ...analysis.decision import Evidence, Record
from ...analysis.groups import LEAST
from ...analysis.known import Known
from ...show.grades import badged
from ...show.heat import map_picture, overlay, spanned
from ...show.image import enlarged
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name


def decision_page(found: Record) -> Page:
    sections = [_said(found), _why(found), _change(found), _near(found), _like(found), _hashes(found)]
    return Page(
        f"Decision of {found.plan.model} on {found.id} of {found.plan.data}",
        sentence(found),
        [section for section in sections if section.figures or section.tables],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "Maps show where the score is sensitive, not why the model decided so; one that hardly depends on what was learned "
    "shows the image rather than the model.",
    "The smallest change is the smallest that was found: a smaller one may exist. Nothing is certified.",
    "A calibrated probability holds on average over cases like those it was calibrated on, not for this case.",
    "Near cases are near in the model's own features, which may hold what has nothing to do with the question.",
    "The record does not say whether the decision is right, nor whether the case is one that the model is meant for: "
    "inside its envelope is what looks, to the model, like what it has learned from, an adversarial image often too.",
)


def named(found: Record, label: int) -> str:
    return class_name(found.classes, label)


def sentence(found: Record) -> str:
    sure = (
        f"probability {100 * found.probability:.1f} % (not calibrated)"
        if found.calibrated is None
        else f"calibrated probability {100 * found.calibrated:.1f} %"
    )
    flips = [f for f in found.flips if f.found]
    small = f"; a change of {flips[0].size:.3g} in {flips[0].name} makes it {flips[0].label}" if flips else ""
    known = found.envelope
    where = f" The case lies {place(known)} what the model knows." if known and known.status else ""
    return f"The model says {named(found, found.label)}, {sure}{small}.{where}"


def place(known: Known) -> str:
    return {"inside": "inside", "edge": "on the edge of", "outside": "outside"}[known.status or "inside"]


def command(found: Record) -> str:
    """What gives every number again."""
    plan = found.plan
    parts = ["unfool", "inspect", "decision", plan.model, plan.data, "--id", found.id]
    for name in ("training", "cases"):
        parts += [f"--{name}", getattr(plan, name)] if getattr(plan, name) else []
    for method in plan.methods:
        parts += ["--method", repr(method)]
    parts += ["--neighbours", str(plan.neighbours), "--limit", str(plan.sample), "--seed", str(plan.seed)]
    return shlex.join(parts)


def envelope_text(known: Known) -> str:
    """Its status, the reason, and what the status rests on."""
    if known.status is None:
        return known.because
    far = f"{100 * known.share:.2g} % of {known.n} known images are as far out"
    return f"{known.status}, because {known.because}; {far}"


def _said(found: Record) -> Section:
    order = sorted(range(len(found.logits)), key=lambda k: -found.logits[k])[:5]
    rows = [[named(found, k), f"{found.logits[k]:.4f}"] for k in order]
    c, warm, known = found.calibration, found.calibrated, found.envelope
    told = [
        ["decision", named(found, found.label)],
        ["label in the data", found.known],
        ["probability as the model gives it", f"{100 * found.probability:.2f} %"],
        ["calibrated probability", "none: no --cases were given" if warm is None else f"{100 * warm:.2f} %"],
    ]
    told += [["envelope", envelope_text(known)]] if known is not None else []
    if c is not None:
        told += [
            ["temperature", f"{c.temperature:.3f}, on {c.n} cases"],
            ["loss on the other half, before and after", f"{c.loss_before:.4f}, {c.loss_after:.4f}"],
            ["right on the other half", str(c.right)],
        ]
    return Section(
        "What it says",
        "The probability is calibrated by dividing the logits by a temperature that makes the loss smallest on one "
        "half of the cases.",
        tables=[Grid("", ["", ""], told), Grid("Largest logits", ["class", "logit"], rows)],
    )


def picture(image: Tensor) -> Tensor:
    """[C, H, W], of a row of numbers one line."""
    return image[:, None] if image.ndim == 2 else image


def _why(found: Record) -> Section:
    rows = [
        [e.name, f"{e.correlation:.2f} ({e.low:.2f} to {e.high:.2f}, n = {e.n})", e.status]
        for e in every(found)
    ]
    header = ["map", "rank correlation with random networks", ""]
    control = "the same maps of a network with weights drawn anew"
    return Section(
        "Evidence",
        "Where the score of the decision comes from: orange speaks for it, purple against. The band says whether a map "
        f"depends on what was learned.{MIND if found.against is not None else ''}",
        [Figure("evidence", _maps(found), "Above the network's maps.", control)] if rows else (),
        [
            *([Grid("Does the map depend on what was learned?", header, rows)] if rows else []),
            *_contributions(found),
        ],
    )


def every(found: Record) -> tuple[Evidence, ...]:
    """All maps, what speaks against the decision last."""
    return (*found.evidence, *((found.against,) if found.against is not None else ()))


SIDE = 168
"""Wide enough for the words of a badge."""


MIND = " Counterfactual() shows what would change the model's mind: Grad-CAM of the negative score."


def _maps(found: Record) -> Image.Image:
    image = picture(found.image)
    titles = ["image", *(e.name for e in every(found))]
    above, below = [Cell(image, [found.known])], [Cell(image, [""])]
    for e in every(found):
        seen = badged(overlay(image, picture(e.heat)), e.badge.verdict, e.badge.brief, SIDE)
        above.append(Cell(seen, [spanned(e.heat)]))
        told = [spanned(e.empty), f"correlation {e.correlation:.2f}"] if e.n else ["none", ""]
        below.append(Cell(overlay(image, picture(e.empty)), told))
    return sheet(titles, [("network", above), ("random", below)], side=SIDE)


def _contributions(found: Record) -> list[Grid]:
    c = found.contributions
    if c is None:
        return []
    flat = c.values.flatten()
    order = flat.abs().argsort(descending=True, stable=True)[:10].tolist()
    rest = float(flat.sum()) - sum(float(flat[k]) for k in order)
    rows = [
        *([_place(k, c.values.shape), f"{float(flat[k]):+.4f}"] for k in order),
        ["all others", f"{rest:+.4f}"],
        ["together", f"{float(flat.sum()):+.6f}"],
        ["score minus that of the mean case", f"{c.score - c.mean_score:+.6f}"],
    ]
    return [Grid("The model is linear: what each value adds to the score", ["value", "adds"], rows)]


def _place(k: int, shape: torch.Size) -> str:
    at: list[int] = []
    for n in reversed(shape):
        at.insert(0, k % n)
        k //= n
    return ", ".join(map(str, at))


def _change(found: Record) -> Section:
    if not found.flips:
        return Section("", "")
    image = picture(found.image)
    cells = [Cell(image, [named(found, found.label)])]
    for f in found.flips:
        change = enlarged(map_picture(picture(f.image - found.image)), 144)
        cells += [Cell(picture(f.image), [f.label], f.found), Cell(change, [f"{f.size:.3g} in {f.name}"])]
    titles = ["image", *(t for f in found.flips for t in (f"smallest in {f.name}", "its change"))]
    rows = [
        [f.name, f"{f.size:.4g}" if f.found else "none found", f.label, str(f.noise)] for f in found.flips
    ]
    drawn = sheet(titles, [("", cells)], side=144)
    return Section(
        "What would change it",
        "The smallest change found in each norm: an upper bound of the robustness radius. Noise is Gaussian, of the "
        "same L2 length.",
        [Figure("change", drawn, "Changes are drawn stretched.", "noise of the same length, in the table")],
        [Grid("", ["norm", "size", "becomes", "flipped by noise of that length"], rows)],
    )


def _near(found: Record) -> Section:
    if not found.neighbours:
        return Section("", "")
    own = named(found, found.label)
    cells = [Cell(picture(found.image), [own, ""])]
    cells += [
        Cell(picture(n.image), [n.label, f"{n.distance:.3g}"], n.label != own) for n in found.neighbours
    ]
    drawn = sheet(["this case", *(n.id for n in found.neighbours)], [("", cells)], side=112)
    rows = [[n.id, n.label, f"{n.distance:.4g}"] for n in found.neighbours]
    control = f"the median distance of a training case is {found.usual:.3g}"
    return Section(
        "Nearest training cases",
        "In the features that the last layer reads.",
        [Figure("nearest", drawn, "Label and distance.", control)],
        [Grid("", ["training case", "label", "distance"], rows)],
    )


def _like(found: Record) -> Section:
    rows = [[name, str(r)] for name, r in found.groups.items()]
    few = {k for k, r in enumerate(found.groups.values()) if r.n < LEAST}
    text = f"On the half of the cases that judges. Below {LEAST} cases, in grey, an interval says little."
    return Section("Cases like this", text, tables=[Grid("", ["cases", "right"], rows, few)] if rows else [])


def _hashes(found: Record) -> Section:
    rows = [[name, value] for name, value in found.hashes.items()]
    return Section(
        "What it was made from",
        f"SHA-256 of the weights, of the image and of the data as the model sees them. Every number again: "
        f"{command(found)}",
        tables=[Grid("", ["", "hash"], rows)],
    )


def numbers(found: Record) -> dict[str, object]:
    c = found.contributions
    calibration = found.calibration
    return {
        "command": command(found),
        "id": found.id,
        "decision": named(found, found.label),
        "known_label": found.known,
        "logits": {named(found, k): v for k, v in enumerate(found.logits)},
        "probability": found.probability,
        "calibrated_probability": found.calibrated,
        "calibration": None
        if calibration is None
        else calibration._asdict() | {"right": calibration.right.as_dict()},
        "evidence": [
            {
                "map": e.name,
                "correlation": e.correlation,
                "low": e.low,
                "high": e.high,
                "status": e.status,
                "n": e.n,
            }
            for e in every(found)
        ],
        "smallest_change": [
            {"norm": f.name, "size": f.size, "found": f.found, "becomes": f.label, "noise": f.noise.as_dict()}
            for f in found.flips
        ],
        "nearest": [{"id": n.id, "label": n.label, "distance": n.distance} for n in found.neighbours],
        "median_distance": found.usual,
        "envelope": None if found.envelope is None else found.envelope._asdict(),
        "cases_like_this": {name: r.as_dict() for name, r in found.groups.items()},
        "contributions": None
        if c is None
        else {
            "values": c.values.flatten().tolist(),
            "score": c.score,
            "score_of_mean": c.mean_score,
            "error": c.error,
        },
        "hashes": found.hashes,
    }
