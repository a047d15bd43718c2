"""Inside: the first filters, and which images are nearest to one as the network sees them."""

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..measures.embed import Embed, EmbedPixels
from ..method import Method, Question
from ..rows import Batch
from ..runs.begin import at_once, chosen
from .asked import Asked
from .lines import over
from .lines import python as python_lines
from .look import squares
from .rooms import Room

if TYPE_CHECKING:
    from .stage import Answered, Stage

MOST_FILTERS, AMONG, NEAREST = 256, 400, 8
"""How many filters are sent; among how many images neighbours are looked for, drawn once; how many are shown."""


class Vectors(NamedTuple):
    """Images as vectors, in one space."""

    ids: tuple[str, ...]
    y: Tensor
    vectors: Tensor


def filters(stage: "Stage", asked: Asked) -> "Answered":
    """The filters of a convolution, of the first where none is named: numbers [K, C, h, w]."""
    room = stage.asked_room(asked)
    layer, found = room.model.filters(room.first[None], asked.text("layer", ""))
    python = python_lines(room, room.ids[0], (), [f"name, filters = model.filters(batch.x, {layer!r})"])
    told = {
        "layer": layer,
        "total": len(found),
        "python": python,
        "command": f"unfool inspect filters --model {room.address}",
    }
    planes = found[:MOST_FILTERS].reshape(min(len(found), MOST_FILTERS), found.shape[1], -1, found.shape[-1])
    return told, {"filters": planes.numpy().astype("f4")}


def neighbours(stage: "Stage", asked: Asked) -> "Answered":
    """The images nearest to one: by what a layer gives for them, and as the control by their pixels."""
    room, id = stage.asked_room(asked), asked.text("image")
    batch, layer = room.batch(id), asked.text("layer", "")
    rows = {
        "layer": nearest(room, Embed(layer), batch, id),
        "pixels": nearest(room, EmbedPixels(), batch, id),
    }
    told: dict[str, Any] = {
        "among": min(AMONG, len(room.ids)),
        "spaces": {},
        "python": over(room, *_python(room, id, layer)) if id not in room.own else "",
        "command": _command(room, id, layer),
    }
    pixels = {}
    for name, found in rows.items():
        told["spaces"][name] = [
            {"id": i, "label": room.model.label_name(y) if y >= 0 else "", "far": far} for i, y, far in found
        ]
        pixels[name] = squares(
            [room.source.batch([i], room.model.view, room.model.classes).x[0] for i, _, _ in found]
        )
    return told, pixels


def _python(room: Room, id: str, layer: str) -> tuple[list[str], list[str]]:
    imports = [
        "from unfool.measures.embed import Embed",
        "from unfool.method import Question",
        "from unfool.runs.begin import chosen",
    ]
    return imports, [
        f"ids = [{id!r}, *(i for i in chosen(data.ids(), {AMONG}, 0) if i != {id!r})]",
        "batch = data.batch(ids, model.view, model.classes)",
        f'vectors = Embed({repr(layer) if layer else ""}).columns(Question(model), batch)["embedding"]',
        f"order = (vectors - vectors[0]).norm(dim=1).argsort()[1:{NEAREST + 1}]",
        "print([ids[k] for k in order])",
    ]


def _command(room: Room, id: str, layer: str) -> str:
    own = "" if id in room.own else f" --ids {id}"
    return f"unfool inspect neighbours {room.data} --model {room.address}{own}{f' --layer {layer}' if layer else ''}"


def nearest(room: Room, method: Method, batch: Batch, id: str) -> list[tuple[str, int, float]]:
    """Ids, labels and distances of the nearest of the images looked among, itself left out."""
    among = vectors(room, method)
    here = method.columns(Question(room.model), batch)["embedding"]
    far = torch.cdist(here.flatten(1), among.vectors)[0]
    order = [k for k in far.argsort().tolist() if among.ids[k] != id][:NEAREST]
    return [(among.ids[k], int(among.y[k]), float(far[k])) for k in order]


def vectors(room: Room, method: Method) -> Vectors:
    """The images looked among as vectors; worked out once for each layer."""
    key = repr(method)
    if key not in room.vectors:
        ids, n = chosen(room.ids, AMONG, 0), at_once(room.first)
        parts: list[tuple[Batch, Tensor]] = []
        for k in range(0, len(ids), n):
            batch = room.source.batch(ids[k : k + n], room.model.view, room.model.classes).readable()
            parts.append((batch, method.columns(Question(room.model), batch)["embedding"].flatten(1)))
        held = tuple(i for batch, _ in parts for i in batch.ids)
        room.vectors[key] = Vectors(
            held, torch.cat([b.y for b, _ in parts]), torch.cat([v for _, v in parts])
        )
    return room.vectors[key]


ACTS = {"filters": filters, "neighbours": neighbours}
