"""Look: what a model sees in an image, and what a method says of it."""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..analysis.cine import signals_of
from ..analysis.sanity import Badge, badges
from ..attacks.base import Attack
from ..attributions.base import Attribution, Explained
from ..detections import finds_boxes, told
from ..errors import UnfoolError
from ..measures.frames import profile_of
from ..measures.sanity import settled
from ..method import Question
from ..model import Model
from ..objectives import Objective, label_of
from ..rows import Batch
from ..scores import mean_scores
from ..show.image import colour
from ..spec import catalogue, options
from ..views import to_uint8
from .asked import Asked, known_spec
from .forms import forms
from .frames import Array
from .lines import command, python
from .rooms import Room

if TYPE_CHECKING:
    from .stage import Answered, Stage

SIDE = 56
"""Of a thumbnail, in pixels."""
PAGE = 120
"""How many thumbnails are sent at once, at most."""
ORDER = ("labels", "scores", "gradients")


def room(stage: "Stage", asked: Asked) -> "Answered":
    """All that the page has to know of a model before it shows anything."""
    room = stage.asked_room(asked)
    model, first = room.model, room.first
    able = ORDER.index(model.access)
    fields = {
        "address": room.address,
        "data": room.data,
        "access": model.access,
        "kind": room.kind,
        "classes": list(map(model.label_name, range(model.width or len(model.classes)))),
        "count": len(room.ids),
        "shape": list(first.shape),
        "layers": list(model.spatial_layers(first[None])) if able == 2 else [],
        "region": type(room.region).__name__,
        "eps": room.region.radius,
        "objectives": [form["name"] for form in forms(Objective)],
        "attributions": forms(Attribution, lambda cls: ORDER.index(cls.asks) <= able and able > 0),
        "attacks": attack_forms(model),
    }
    return fields, {}


def attack_forms(model: Model) -> list[dict[str, Any]]:
    """The attacks that work on a model, in which norms each; those that follow a slope can guess it from scores."""
    if finds_boxes(model):
        return []
    able = ORDER.index(model.access)

    def works(cls: type[Attack]) -> bool:
        return ORDER.index(cls.asks) <= able or (able == 1 and _has_slope(cls))

    found, known = forms(Attack, works), catalogue(Attack)
    for form in found:
        cls = known[form["name"]]
        form["norms"], form["nearest"] = [norm.__name__ for norm in cls.norms], cls.nearest or cls.anywhere
        form["given"] = {"slope": "NES()"} if ORDER.index(cls.asks) > able else {}
    return found


def _has_slope(cls: type[Attack]) -> bool:
    return any(option.name == "slope" for option in options(cls))


def thumbs(stage: "Stage", asked: Asked) -> "Answered":
    """Some images as small squares, with their labels."""
    room, start = stage.asked_room(asked), max(0, asked.whole("start", 0))
    of = room.slices.get(asked.text("slice", ""), room.ids)
    ids = list(of[start : start + min(PAGE, asked.whole("count", PAGE))])
    batch = room.source.batch(ids, room.model.view, room.model.classes)
    names = [room.model.label_name(y) if y >= 0 else "" for y in batch.y.tolist()]
    value = {"ids": ids, "labels": names, "errors": batch.errors, "total": len(of)}
    return value, {"pixels": squares(list(batch.x))}


def squares(images: list[Tensor], side: int = SIDE) -> Array:
    """Images of any size as squares: [n, side, side, 3]."""
    small = [_square(colour(image), side) for image in images]
    held = torch.stack(small) if small else torch.zeros(0, 3, side, side)
    return to_uint8(held).permute(0, 2, 3, 1).contiguous().numpy()


def _square(x: Tensor, side: int) -> Tensor:
    smaller = max(x.shape[-2:]) > side
    how: Any = {"mode": "bilinear", "antialias": True} if smaller else {"mode": "nearest"}
    return F.interpolate(x[None].float(), (side, side), **how)[0]


def image(stage: "Stage", asked: Asked) -> "Answered":
    """An image, what is known of it, and what the model says of it."""
    room, id = stage.asked_room(asked), asked.text("image")
    batch = room.batch(id)
    if batch.errors:
        return {"error": batch.errors[id]}, {}
    model, arrays = room.model, {"x": batch.x[0].numpy().astype("f4")}
    value: dict[str, Any] = {"name": batch.ids[0], "told": room.fitted(id).told if id in room.own else ""}
    label = int(batch.y[0])
    value |= {"label": label, "groups": {name: values[0] for name, values in batch.groups.items()}}
    if batch.masks is not None:
        arrays["mask"] = batch.masks[0, 0].to(torch.uint8).numpy()
    if room.kind == "boxes":
        value["boxes"] = boxes(model, batch)
    else:
        scores = model(batch.x).cpu()
        value["best"] = best(scores, model)
        if room.kind == "maps":
            said = scores[0].argmax(0)
            arrays["said"] = said.to(torch.uint8).numpy()
            value["best"] = shares(said, model)
        if batch.x.ndim == 5:
            signals = signals_of(model, batch.x, scores)
            value["signals"] = {k: curve[0].nan_to_num(0).tolist() for k, curve in signals.items()}
    return value, arrays


def best(scores: Tensor, model: Model, n: int = 5) -> list[dict[str, Any]]:
    """The likeliest classes and how likely."""
    if model.outputs == "values":
        return [
            {"class": k, "name": model.label_name(k), "p": float(v)}
            for k, v in enumerate(scores[0].flatten()[:n])
        ]
    p = _chances(model, scores)[0]
    order = p.argsort(descending=True, stable=True)[: 1 if model.access == "labels" else n].tolist()
    return [{"class": k, "name": model.label_name(k), "p": float(p[k])} for k in order]


def shares(said: Tensor, model: Model, n: int = 5) -> list[dict[str, Any]]:
    """Of which share of the positions a map of scores says each class."""
    share = said.flatten().bincount().double() / said.numel()
    order = [k for k in share.argsort(descending=True, stable=True)[:n].tolist() if share[k]]
    return [{"class": k, "name": model.label_name(k), "p": float(share[k])} for k in order]


def boxes(model: Model, batch: Batch) -> list[dict[str, Any]]:
    """What a detector finds, and what the data say is there."""
    found, scores, labels = told(model, batch.x)[0]
    rows = [
        {"box": box.tolist(), "name": model.label_name(int(label)), "p": float(p), "said": True}
        for box, p, label in zip(found, scores, labels, strict=True)
        if p >= 0.3
    ]
    if batch.objects is not None:
        known = [one for one in batch.objects[0] if one[4] >= 0]
        rows += [
            {"box": one[:4].tolist(), "name": model.label_name(int(one[4])), "p": None, "said": False}
            for one in known
        ]
    return rows


def explain(stage: "Stage", asked: Asked) -> "Answered":
    """One method's map of an image."""
    room, id = stage.asked_room(asked), asked.text("image")
    method, target = asked.spec("method", Attribution), asked.place("target")
    objective = objective_of(room, asked)
    batch = room.batch(id)
    question = Question(room.model, target=target, objective=objective).about(batch)
    found = method(room.model, batch.x, target, objective=objective, given=question.given, ids=batch.ids)
    extra = "" if target is None else f", target={target}"
    extra += "" if objective is None else ", objective={1}"
    extra += given_text(objective, batch)
    lines = [f"found = {{0}}(model, batch.x{extra}, ids=batch.ids)", "heat = found.map[0, 0]"]
    told: Any = {"target": target, "objective": objective if objective != room.objective else None}
    value = {
        **described(found, room.model),
        "method": repr(method),
        "badged": (repr(method), repr(objective)) in room.badges,
        "python": python(room, id, (method, objective), lines),
        "command": command(stage.setting, "explain", method, room, id, **told),
    }
    return value, {"heat": found.map[0, 0].cpu().numpy().astype("f4")}


def given_text(objective: Objective | None, batch: Batch) -> str:
    text = repr(objective)
    names = [name for name in ("mask", "box") if f"'{name}'" in text or (name == "box" and "'given'" in text)]
    if "mask" in names and batch.masks is not None:
        return ', given={"mask": batch.masks}'
    if "box" in names and batch.objects is not None:
        return ', given={"box": batch.victims[:, :4]}'
    return ""


def objective_of(room: Room, asked: Asked) -> Objective | None:
    text = asked.text("objective", "").strip()
    return known_spec(text, Objective) if text else room.objective


def described(found: Explained, model: Model) -> dict[str, Any]:
    """A map in numbers: its raw range, what was explained, at which layer, and what it cost."""
    low, high = (float(t) for t in found.map.aminmax())
    numbers, layers = found.target[0].flatten().tolist(), [*model.layers]
    value: dict[str, Any] = {
        "low": low,
        "high": high,
        "score": float(found.score[0]),
        "cost": dict(found.cost),
    }
    value["target"] = numbers
    value["name"] = model.label_name(int(numbers[0]))
    value["computed"] = list(found.heat.shape[2:])
    if "layer" in found.notes:
        value["layers"] = [layers[int(k)] for k in found.notes["layer"][0].flatten()]
    if found.map.ndim == 5:
        value["profile"] = profile_of(found.map)[0].tolist()
    return value


FEW = 6
"""From how many images a badge is made."""


def badge(stage: "Stage", asked: Asked) -> "Answered":
    """Whether a method's maps depend on what the network has learned, from a few images."""
    room = stage.asked_room(asked)
    method, objective = asked.spec("method", Attribution), objective_of(room, asked)
    key = repr(method), repr(objective)
    if key not in room.badges:
        room.badges[key] = _badge(room, method, objective)
    found = room.badges[key]
    return {**found.as_dict(), "brief": found.brief, "n": 0 if found.worst is None else found.worst.n}, {}


def _badge(room: Room, method: Attribution, objective: Objective | None) -> Badge:
    model, batch = room.model, room.few(FEW if room.small else 3)
    if model.access != "gradients":
        return Badge(repr(method), None, "no weights to draw anew")
    try:
        question = settled(Question(model, objective=objective), batch)
        return badges([method], question, batch)[0]
    except UnfoolError as error:
        return Badge(repr(method), None, str(error))


def chances(model: Model, *images: Tensor) -> Tensor:
    """The probability of every class for images: [n, K]."""
    return _chances(model, model(torch.cat(images))).cpu()


def _chances(model: Model, scores: Tensor) -> Tensor:
    """A model that gives labels only says of none how likely it is: 1 for what it says."""
    found = mean_scores(scores)
    return found if model.access == "labels" else found.softmax(1)


def shown_classes(p: Tensor, known: list[int | None], n: int = 6) -> list[int]:
    """Which classes are worth a bar: those asked about, then the likeliest of any row."""
    order = [k for k in known if k is not None and k >= 0]
    order += p.amax(0).argsort(descending=True, stable=True)[:n].tolist()
    return list(dict.fromkeys(order))[:n]


def predicted(room: Room, batch: Batch) -> int:
    return int(label_of(room.model(batch.x))[0])


ACTS = {"room": room, "thumbs": thumbs, "image": image, "explain": explain, "badge": badge}
