"""Touch: an image changed by an attack or by hand, and what follows; beside each change a random one of its size."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..attacks.noise import RandomNoise
from ..attributions.base import Attribution
from ..errors import InputError
from ..method import Question
from ..regions import L0, Mask, Norm, Region
from ..rows import Batch
from ..runs.local import question_of
from ..runs.recipe import Recipe
from ..spec import find
from ..views import from_uint8, to_uint8
from .asked import Asked, known_spec
from .lines import command, python
from .look import chances, described, shown_classes
from .rooms import Room

if TYPE_CHECKING:
    from .stage import Answered, Stage


class Wish(NamedTuple):
    """An attack on one image, as the page asks for it."""

    room: Room
    id: str
    batch: Batch
    attack: Attack
    norm: type[Norm]
    question: Question
    """Without a region."""
    mask: Tensor | None
    """What was drawn: the change stays inside."""

    @property
    def label(self) -> int:
        """What it leads away from: the label, or where there is none what the model says."""
        return int(self.question._replace(target=None).labels(self.batch)[0])

    def aim(self, n: int = 1) -> dict[str, Any]:
        wanted = self.question.labels(self.batch).expand(n)
        how: dict[str, Any] = {"y" if self.question.target is None else "target": wanted}
        how["ids"] = self.batch.ids * n
        if self.mask is not None:
            how["mask"] = self.mask
        return how | ({"starts": self.question.starts} if self.attack.has_to_begin else {})

    def size(self, eps: float) -> float:
        """A size as the norm takes it."""
        return float(max(1, round(eps))) if self.norm is L0 else eps

    def region(self, eps: float | tuple[float, ...]) -> Region:
        return self.norm(eps) if self.mask is None else Mask(self.norm(eps))  # pyright: ignore[reportCallIssue]


def wish(stage: "Stage", asked: Asked) -> Wish:
    room, id = stage.asked_room(asked), asked.text("image")
    attack, norm = asked.spec("attack", Attack), find(asked.text("norm", "Linf"), Norm)
    batch, target = room.batch(id), asked.place("target")
    recipe = Recipe(attack, room.address, room.data, target=target)
    question = question_of(recipe, room.model, room.source)
    for reason in attack.left_out(question, batch).values():
        raise InputError(f"{batch.ids[0]}: {reason}", "choose another class, or lead away from the label")
    drawn = asked.mask("mask", tuple(batch.x.shape[-2:]))
    mask = None if drawn is None else torch.from_numpy(drawn).expand(1, 1, *batch.x.shape[2:])
    return Wish(room, id, batch, attack, norm, question, mask)


def attack(stage: "Stage", asked: Asked) -> "Answered":
    """The changed image at one size, a random change of that size, what the model says of each, and a map."""
    asks = wish(stage, asked)
    model, x = asks.room.model, asks.batch.x
    eps = asks.size(asked.number("eps"))
    if eps == 0:
        return _unchanged(asks)
    found = asks.attack(model, x, within=asks.region(eps), **asks.aim())
    random = RandomNoise()(
        model, x, within=asks.region(eps), **{k: v for k, v in asks.aim().items() if k != "starts"}
    )
    p = chances(model, x, found.x, random.x, from_uint8(to_uint8(found.x)))
    arrays = {"x": found.x[0], "random": random.x[0]}
    value: dict[str, Any] = {
        "eps": eps,
        "success": bool(found.success[0]),
        "saved": bool(
            (p[3].argmax() == asks.question.target)
            if asks.question.target is not None
            else p[3].argmax() != asks.label
        ),
        "random_success": bool(random.success[0]),
        "linf": float(found.linf[0]),
        "l2": float(found.l2[0]),
        "l0": int(found.l0[0]),
        "queries": int(found.queries[0]),
        "no_start": bool(found.no_start[0]),
        **_bars(asks, p[:3]),
        **_told(stage, asks, eps),
    }
    if text := asked.text("method", ""):
        heat, told = _map(asks, known_spec(text, Attribution), found.x)
        arrays["heat"], value["map"] = heat, told
    return value, {name: t.cpu().numpy().astype("f4") for name, t in arrays.items()}


def _unchanged(asks: Wish) -> "Answered":
    p = chances(asks.room.model, asks.batch.x)
    return {"eps": 0, "success": False, "random_success": False, **_bars(asks, p.expand(3, -1))}, {}


def _bars(asks: Wish, p: Tensor) -> dict[str, Any]:
    """The classes worth showing and how likely each is: clean, changed, changed at random."""
    target: Any = asks.question.target
    shown = shown_classes(p, [asks.label, target])
    names = [asks.room.model.label_name(k) for k in shown]
    return {
        "label": asks.label,
        "classes": shown,
        "names": names,
        "p": p[:, shown].tolist(),
        "said": p.argmax(1).tolist(),
    }


def _map(asks: Wish, method: Attribution, x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """The method's map of a changed image, of what the model takes it for."""
    found = method(asks.room.model, x, objective=asks.room.objective, ids=asks.batch.ids)
    return found.map[0, 0], described(found, asks.room.model)


def _told(stage: "Stage", asks: Wish, eps: float) -> dict[str, str]:
    """How to have the same without the page."""
    target, mask = asks.question.target, asks.mask
    within = asks.region(round(eps, 6))
    box = None if mask is None else box_of(mask)
    lines = [
        "found = {0}(model, batch.x, " + (f"target={target}" if target is not None else f"y=[{asks.label}]")
    ]
    lines[0] += ", within={1}" + ("" if mask is None else ", mask=mask") + ", ids=batch.ids)"
    if mask is not None:
        lines.insert(0, mask_line(mask))
    flags: dict[str, Any] = {
        "target": target,
        "within": within if box is None else Mask(asks.norm(round(eps, 6)), box),
    }  # pyright: ignore[reportCallIssue]
    by_hand = mask is not None and box is None
    return {
        "python": python(asks.room, asks.id, (asks.attack, within), lines),
        "command": ""
        if by_hand
        else command(stage.setting, "attack", asks.attack, asks.room, asks.id, **flags),
    }


def edges(mask: Tensor) -> tuple[int, int, int, int] | None:
    """Top, left, bottom and right of what was drawn, where that is a rectangle."""
    plane = mask.reshape(-1, *mask.shape[-2:])[0].bool()
    rows, columns = plane.any(1).nonzero()[:, 0], plane.any(0).nonzero()[:, 0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return (top, left, bottom, right) if bool(plane[top:bottom, left:right].all()) else None


def box_of(mask: Tensor) -> tuple[float, ...] | None:
    """The same as shares of the image's sides."""
    found, (height, width) = edges(mask), mask.shape[-2:]
    if found is None:
        return None
    return tuple(round(n / side, 6) for n, side in zip(found, (height, width, height, width), strict=True))


def mask_line(mask: Tensor) -> str:
    """Python that makes the mask; one drawn freely is read from the file that the page saves."""
    found = edges(mask)
    if found is None:
        read = "View(channels=1)(Image.open('mask.png'))[None] > 0.5  # PIL's Image, unfool.views' View"
        return f"mask = {read}"
    top, left, bottom, right = found
    return f"mask = batch.x[:, :1] * 0 > 0; mask[..., {top}:{bottom}, {left}:{right}] = True"


def sizes_to(asks: Wish, most: float) -> list[float]:
    """The sizes of a curve, close together where they are small."""
    if not most > 0:
        raise InputError("the largest size must be more than 0")
    n = 20 if asks.room.small else 8
    return sorted({asks.size(most * (k / n) ** 2) for k in range(1, n + 1)})


def curve(stage: "Stage", asked: Asked) -> "Answered":
    """Probabilities over the size of the change: all sizes in one batch, and random changes of the same sizes."""
    asks = wish(stage, asked)
    sizes = sizes_to(asks, asked.number("most"))
    model, x = asks.room.model, asks.batch.x
    many, region = x.expand(len(sizes), *x.shape[1:]), asks.region(tuple(sizes))
    aim = asks.aim(len(sizes))
    found = asks.attack(model, many, within=region, **aim)
    random = RandomNoise()(model, many, within=region, **{k: v for k, v in aim.items() if k != "starts"})
    clean, led, drawn = chances(model, x), chances(model, found.x), chances(model, random.x)
    target: Any = asks.question.target
    shown = shown_classes(torch.cat([clean, led]), [asks.label, target], 4)
    told = {
        "sizes": [0.0, *sizes],
        "classes": shown,
        "names": [model.label_name(k) for k in shown],
        "label": asks.label,
        "flip": next((eps for eps, won in zip(sizes, found.success.tolist(), strict=True) if won), None),
        "random_flip": next(
            (eps for eps, won in zip(sizes, random.success.tolist(), strict=True) if won), None
        ),
    }
    rows = {"attack": torch.cat([clean, led])[:, shown], "random": torch.cat([clean, drawn])[:, shown]}
    return told, {name: t.numpy().astype("f4") for name, t in rows.items()}


ACTS = {"attack": attack, "curve": curve}
