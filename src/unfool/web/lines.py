"""How to have what the page shows without the page: a line of Python, and a command."""

import re
import shlex
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from ..spec import Spec
from .rooms import Room, Setting


def named(public: Collection[str], *specs: Spec | None) -> tuple[list[str], list[str]]:
    """The names that specs are written with, to be imported; their texts, read by ``parse`` where one is not public."""
    texts = [repr(spec) for spec in specs if spec is not None]
    words = {word for text in texts for word in re.findall(r"([A-Za-z_]\w*)\(", text)}
    if words <= {*public}:
        return sorted(words), texts
    return [], [f"parse({text!r})" for text in texts]


def address_of(room: Room, id: str) -> str:
    """The address of one image alone."""
    if id in room.own:
        return room.own[id].name
    return f"{room.data}{'&' if '?' in room.data else '?'}id={quote(id, safe='/:')}"


def begun(room: Room) -> str:
    """How a script comes by a room's model: whoever gave it has it already."""
    return f"# model: what is shown as {room.address!r}" if room.given else f"model = load({room.address!r})"


def loads(room: Room) -> list[str]:
    """The names that a script about a room needs."""
    return ["open_data"] if room.given else ["load", "open_data"]


def python(room: Room, id: str, uses: Sequence[Spec | None], lines: Sequence[str]) -> str:
    """A script: the model, the image, then ``lines``, in which {0}, {1}, ... stand for the specs it uses."""
    words, texts = named(room.public, *uses)
    head = [f"from unfool import {', '.join(sorted([*words, *loads(room)], key=str.lower))}"]
    if any(text.startswith("parse(") for text in texts):
        head.append("from unfool.spec import parse")
    view = "model.view"
    if id in room.own and (own := room.fitted(id).view) is not None and own != room.model.view:
        view, head = repr(own), [*head, "from unfool.views import View"]
    names = iter(texts)
    filled = {str(k): next(names) for k, spec in enumerate(uses) if spec is not None}
    body = [
        begun(room),
        f"data = open_data({address_of(room, id)!r})",
        f"batch = data.batch(data.ids(), {view}, model.classes)",
    ]
    return "\n".join([*head, "", *body, *(fill(line, filled) for line in lines)])


def over(room: Room, imports: Sequence[str], lines: Sequence[str]) -> str:
    """A script about all of a room's images: the model, the data, then ``lines``."""
    head = [f"from unfool import {', '.join(loads(room))}", *imports]
    body = [begun(room), f"data = open_data({room.data!r})", *lines]
    return "\n".join([*head, "", *body])


def fill(line: str, texts: dict[str, str]) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: texts[found[1]], line)


def command(setting: Setting, verb: str, method: Spec, room: Room, id: str, **flags: Any) -> str:
    """The same by ``unfool``."""
    parts = ["unfool", verb, repr(method), address_of(room, id), "--model", room.address]
    for name, value in flags.items():
        if value is not None:
            parts += [f"--{name}", str(value)]
    text = said(parts)
    own = room.fitted(id).view if id in room.own else None
    view = f' --view "{own!r}"' if own is not None and own != room.model.view else ""
    return f"{text}{view}{setting.flags}"


def said(parts: Sequence[str]) -> str:
    """Words as a shell takes them."""
    return " ".join(part if re.fullmatch(r"[\w./:@+-]+", part) else _quoted(part) for part in parts)


def _quoted(part: str) -> str:
    """In double quotes where that says the same: specs hold single ones."""
    return shlex.quote(part) if re.search(r'["$`\\!]', part) else f'"{part}"'
