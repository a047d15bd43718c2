"""Touch by hand: a drawn part is hidden or erased; a suspected cue is stamped; each beside the same elsewhere."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..analysis.edits import Cue, Edit, filled, insert, moves, predicted, remove, shifted
from ..errors import InputError
from ..fills import without
from ..rows import Batch, Rng
from ..runs.begin import at_once, chosen
from .asked import Asked
from .lines import address_of, over, python
from .look import chances, shown_classes, squares
from .outcomes import span
from .rooms import Room
from .touch import mask_line

if TYPE_CHECKING:
    from .stage import Answered, Stage

PLACES, FEW = 24, 8
"""To how many other places a drawn region is moved, as the control; of large images where filling in takes long."""
FILLS = ("around", "mean", "blur", "zero", "noise")
AMONG, MOST = 400, 60
"""Among how many images those are looked for that a cue is put into or taken from, and how many of each at most."""


def hide(stage: "Stage", asked: Asked) -> "Answered":
    """What the model says once a drawn region is hidden; and once the same region is hidden elsewhere."""
    room, id = stage.asked_room(asked), asked.text("image")
    batch, mask, fill = room.batch(id), _drawn(room, id, asked), asked.text("fill", "mean")
    if fill not in FILLS:
        raise InputError(f"fill must be one of {', '.join(FILLS)}, not {fill[:20]!r}")
    x = batch.x
    masks = _spread(torch.stack([mask, *moved(mask)]), x)
    if fill == "around":
        masks = masks if x.numel() < 60_000 else masks[: FEW + 1]
        hidden = filled(x.expand(len(masks), *x.shape[1:]), masks.expand(-1, 1, *x.shape[2:]))
    else:
        hidden = torch.where(masks, without(x, fill, Rng.seeded(0, batch.ids)), x)  # pyright: ignore[reportArgumentType]
    lines = python(room, id, (), _hide_lines(mask, fill))
    return _judged(room, batch, mask, hidden) | {"python": lines, "command": ""}, _image(hidden)


def stamp(stage: "Stage", asked: Asked) -> "Answered":
    """What the model says once a cue of another image is in this one; and once the same cue is elsewhere in it."""
    room, id, source = stage.asked_room(asked), asked.text("image"), asked.text("from")
    batch, mask, donor = room.batch(id), _drawn(room, source, asked), room.batch(source).x
    if batch.x.shape != donor.shape:
        raise InputError(f"a cue of an image {[*donor.shape[1:]]} does not fit {[*batch.x.shape[1:]]}")
    whole = _spread(mask[None], donor).expand(1, 1, *donor.shape[2:])
    by = moves(whole.expand(PLACES, *whole.shape[1:]), whole.expand(PLACES, *whole.shape[1:]), 0)
    masks = torch.cat([whole, shifted(whole.expand(PLACES, *whole.shape[1:]), by)])
    pixels = torch.cat([donor, shifted(donor.expand(PLACES, *donor.shape[1:]), by)])
    stamped = torch.where(masks, pixels, batch.x)
    text = [
        f"donor = open_data({address_of(room, source)!r})",
        "other = donor.batch(donor.ids(), model.view, model.classes).x",
        mask_line(mask),
        "print(model(other.where(mask, batch.x)).softmax(1))",
    ]
    told = _judged(room, batch, mask, stamped)
    return told | {"python": python(room, id, (), text), "command": ""}, _image(stamped)


def _drawn(room: Room, id: str, asked: Asked) -> Tensor:
    """What was drawn on an image: [H, W] bool."""
    found = asked.mask("mask", tuple(room.batch(id).x.shape[-2:]))
    if found is None:
        raise InputError("nothing is drawn yet", "draw on the image")
    return torch.from_numpy(found)


def _spread(masks: Tensor, like: Tensor) -> Tensor:
    """Masks [N, H, W] so that they go with images [1, C, *, H, W]."""
    return masks[:, None].view(-1, 1, *[1] * (like.ndim - 4), *masks.shape[1:])


def _image(changed: Tensor) -> dict[str, Any]:
    return {"x": changed[0].numpy().astype("f4")}


def _judged(room: Room, batch: Batch, mask: Tensor, changed: Tensor) -> dict[str, Any]:
    """What the model says of an image, of it changed (the first row), and of the controls (the others)."""
    p = torch.cat([chances(room.model, batch.x), *(chances(room.model, part) for part in changed.split(64))])
    label = int(p[0].argmax())
    shown, control = shown_classes(p[:2], [int(batch.y[0]), label]), p[2:]
    return {
        "label": label,
        "classes": shown,
        "names": [room.model.label_name(k) for k in shown],
        "p": torch.stack([p[0], p[1], control.mean(0)])[:, shown].tolist(),
        "said": p.argmax(1)[:2].tolist(),
        "share": float(mask.float().mean()),
        "flipped": bool(p[1].argmax() != label),
        "elsewhere": [int((control.argmax(1) != label).sum()), len(control)],
    }


def moved(mask: Tensor) -> list[Tensor]:
    """The same region at random other places, entering again at the far side where it leaves."""
    draw = torch.Generator().manual_seed(0)
    steps = torch.rand(PLACES, 2, generator=draw)
    height, width = mask.shape
    return [
        mask.roll((1 + int(a * (height - 1)), 1 + int(b * (width - 1))), (0, 1)) for a, b in steps.tolist()
    ]


def _hide_lines(mask: Tensor, fill: str) -> list[str]:
    if fill == "around":
        first = ["from unfool.analysis.edits import filled", mask_line(mask), "other = filled(batch.x, mask)"]
    else:
        first = ["from unfool.fills import without", "from unfool.rows import Rng", mask_line(mask)]
        first += [f"other = without(batch.x, {fill!r}, Rng.seeded(0, batch.ids))"]
    return [*first, "print(model(other.where(mask, batch.x)).softmax(1))"]


class Sorted(NamedTuple):
    """Images by what the model takes them for."""

    ids: tuple[str, ...]
    x: Tensor
    said: Tensor


def over_all(stage: "Stage", asked: Asked) -> "Answered":
    """A cue put into images that the model takes for something else, and taken out of those it takes for the same."""
    room, id = stage.asked_room(asked), asked.text("from")
    mask, donor = _drawn(room, id, asked), room.batch(id).x
    target, seen = int(predicted(room.model, donor)[0]), sorted_images(stage, room)
    whole = _spread(mask[None], donor).expand(1, 1, *donor.shape[2:])
    own, others = seen.x[seen.said == target][:MOST], seen.x[seen.said != target][:MOST]
    if not len(own) or not len(others):
        name = room.model.label_name(target)
        raise InputError(
            f"the model takes {'none' if not len(own) else 'all'} of {len(seen.x)} images for {name}"
        )
    put = insert(room.model, others, Cue(donor, whole), target, 0)
    taken = remove(room.model, own, whole.expand(len(own), *whole.shape[1:]), target, 0)
    value = {
        "target": room.model.label_name(target),
        "among": len(seen.x),
        "edits": [_told(room, edit) for edit in (put, taken)],
        "python": over(room, *_over_lines(room, id, mask)),
        "command": f"unfool inspect shortcuts {room.address} {room.data} --target {target} --cue cue.png",
    }
    pictures = [t for edit in (put, taken) for t in (edit.before, edit.after, edit.control)]
    return value, {"pictures": squares([x for part in pictures for x in part], 72)}


def _told(room: Room, edit: Edit) -> dict[str, Any]:
    names = [[room.model.label_name(k) for k in row] for row in edit.labels.tolist()]
    return {
        "kind": edit.kind,
        "changed": {place: span(one) for place, one in edit.changed.items()},
        "more": {place: list(one) for place, one in edit.more.items()},
        "shown": names,
    }


def sorted_images(stage: "Stage", room: Room) -> Sorted:
    """Images of one shape, some drawn once, and what the model takes them for."""
    if "sorted" not in room.held:
        ids, n, parts = chosen(room.ids, AMONG, 0), at_once(room.first), list[Batch]()
        with stage.job.watch("images", len(ids)) as progress:
            for k in range(0, len(ids), n):
                parts.append(
                    room.source.batch(ids[k : k + n], room.model.view, room.model.classes).readable()
                )
                progress(len(parts[-1]))
        x = torch.cat([part.x for part in parts])
        room.held["sorted"] = Sorted(
            tuple(i for part in parts for i in part.ids), x, predicted(room.model, x)
        )
    return room.held["sorted"]


def _over_lines(room: Room, id: str, mask: Tensor) -> tuple[list[str], list[str]]:
    imports = [
        "from unfool.analysis.edits import Cue, insert, predicted, remove",
        "from unfool.runs.begin import chosen",
    ]
    return imports, [
        f"batch = data.batch([{id!r}], model.view, model.classes)",
        mask_line(mask),
        f"x = data.batch(chosen(data.ids(), {AMONG}, 0), model.view, model.classes).readable().x",
        "target, said = int(predicted(model, batch.x)[0]), predicted(model, x)",
        f"own, others = x[said == target][:{MOST}], x[said != target][:{MOST}]",
        "put = insert(model, others, Cue(batch.x, mask), target, 0)",
        "taken = remove(model, own, mask.expand(len(own), *mask.shape[1:]), target, 0)",
        "print(put.changed, put.more, taken.changed, taken.more)",
    ]


ACTS = {"hide": hide, "stamp": stamp, "over_all": over_all}
