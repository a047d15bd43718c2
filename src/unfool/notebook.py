"""The studio in a notebook: the same page, with the kernel in place of the server."""

import json
import re
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import unfool

from .errors import InputError, MissingExtra
from .model import Model
from .runs.usual import data_for, region_for
from .web.assets import assets
from .web.calls import Calls
from .web.desk import Desk, Job
from .web.late import Late
from .web.rooms import Setting
from .web.stage import Stage
from .zoo.address import load

try:
    import anywidget
    import traitlets
except ModuleNotFoundError as error:
    raise MissingExtra(str(error.name), "notebook") from None


def module() -> str:
    """The widget's own script with every file of the page in it."""
    found = {
        "index.html" if name == "/" else name[1:]: asset.content.decode() for name, asset in assets().items()
    }
    text = files("unfool.web").joinpath("notebook.js").read_text(encoding="utf-8")
    held = json.dumps(found).replace("</", "<\\/")
    return re.sub(r"const FILES = \{\};.*", lambda _: f"const FILES = {held};", text, count=1)


class Studio(anywidget.AnyWidget):
    """The page of ``unfool studio`` below a cell: ``unfool.Studio(model, "photos/")``.

    ``models`` are addresses or models of yours, each called by its name; ``data`` is the address of what they are
    shown, by default an embedded model's own. Needs the extra ``notebook``.
    """

    _esm = module()
    height = traitlets.Int(820).tag(sync=True)
    """Of the page, in pixels."""

    def __init__(self, *models: str | Model, data: str | None = None, height: int = 820):
        super().__init__(height=height)
        if not models:
            raise InputError("there is no model", 'unfool.Studio("unfool:digits")')
        held = dict[str, str | Model]()
        for model in models:
            if (name := _name(model)) in held:
                raise InputError(f"two models are called {name}", "Model(net, name='mine')")
            held[name] = model
        self._desk, self._pages = Desk(), dict[str, Calls]()
        self._act = Late(partial(staged, held, data))
        self._desk.put(self._act.job(lambda error: None))
        self.on_msg(self._told)

    def _told(self, _: Any, told: dict[str, Any], frames: Sequence[Any]) -> None:
        view = str(told.get("view"))
        if told.get("ended"):
            if view in self._pages:
                self._pages.pop(view).end()
            return
        if view not in self._pages:
            self._pages[view] = Calls(self._desk, self._do, partial(self._answer, view))
        self._pages[view].take(bytes(frames[0]))

    def _do(self, job: Job, words: dict[str, Any], arrays: dict[str, Any]) -> Any:
        if words.get("do") == "adopt" and "content" in arrays:
            arrays = {"content": arrays["content"].tobytes()}  # a picture's file
        return self._act(job, words, arrays)

    def _answer(self, view: str, frame: bytes) -> None:
        self.send({"view": view}, [frame])

    def close(self) -> None:
        """End it: its pages show what they have and answer no more."""
        self._desk.close(0.1)
        super().close()


def _name(model: str | Model) -> str:
    return model if isinstance(model, str) else model.address or model.name


def staged(held: dict[str, str | Model], data: str | None) -> Stage:
    def opened(address: str) -> Model:
        model = held[address]
        return load(model) if isinstance(model, str) else model

    return Stage(
        Setting(
            tuple(held),
            frozenset(dir(unfool)),
            opened,
            partial(data_for, data, hint='Studio(…, data="photos/")'),
            partial(region_for, None),
            "",
            (Path("runs"),),
            frozenset(name for name, model in held.items() if isinstance(model, Model) and not model.address),
        )
    )
