"""What several verbs share: which model, over which data, progress and output."""

import json
import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

from cyclopts import Parameter

from ..errors import InputError, UnknownName

if TYPE_CHECKING:  # torch is imported when a command runs, not for its --help
    from ..data.base import Source
    from ..model import Model
    from ..regions import Region


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions:
    """How the model is loaded and its pictures are cut.

    Parameters
    ----------
    classes
        File of class names, one a line, or "key<TAB>name" where folders or labels are called by a key.
    view
        How pictures are cut, such as "View(resize=256, crop=224)", where the model does not bring it.
    outputs
        "logits" or "probabilities", where the numbers do not tell; "values" of a regression.
    device
        Such as cpu or cuda:0.
    fast
        Search with a private copy: folded batch norm and, where the processor has it, bfloat16.
    trust
        Load a file that needs unpickling, which can run any code in it.
    only
        "scores" or "labels": treat the model as a black box that gives no more.
    remember
        File that keeps every answer of a black box: what was asked once is not asked again.
    """

    classes: Path | None = None
    view: str | None = None
    outputs: str | None = None
    device: str | None = None
    fast: bool = False
    trust: bool = False
    only: str | None = None
    remember: Path | None = None

    def load(self, address: str, boxes: bool = False, seed: int = 0) -> "Model":
        """A model that tells classes, or with ``boxes`` a detector as well; ``seed`` draws weights not yet learned."""
        from ..method import checked_model

        model = self._asked(self._loaded(address, seed))
        checked_model(model, boxes)
        return model

    def detector(self, address: str) -> "Model":
        """A model that tells boxes."""
        from ..detections import checked_detector

        if self.only or self.remember:
            raise InputError("--only and --remember are for models that tell classes", "leave them out here")
        model = self._loaded(address)
        checked_detector(model)
        return model

    def _loaded(self, address: str, seed: int = 0) -> "Model":
        from ..outputs import Outputs
        from ..runs.ranks import own_device
        from ..spec import parse
        from ..views import View
        from ..zoo.address import load

        if self.outputs not in (None, *get_args(Outputs)):
            raise InputError(f"--outputs must be logits, probabilities or values, not {self.outputs}")
        view, device = parse(self.view, View) if self.view else None, own_device(self.device)
        how = {"classes": self.classes, "device": device, "fast": self.fast, "trust": self.trust}
        return load(address, view=view, outputs=self.outputs, seed=seed, **how)  # pyright: ignore[reportArgumentType]

    def told(self) -> str:
        """What of it results depend on."""
        return repr((str(self.classes), self.view, self.outputs, self.fast, self.only))

    def _asked(self, model: "Model") -> "Model":
        """The model as a black box, where that is wanted, and with its memory."""
        from ..zoo.remember import only, remembered

        if self.only not in (None, "scores", "labels"):
            raise InputError(f"--only must be scores or labels, not {self.only}")
        model = model if self.only is None else only(model, self.only)  # pyright: ignore[reportArgumentType]
        return model if self.remember is None else remembered(model, self.remember)


@Parameter(name="*")
@dataclass(frozen=True)
class OutputOptions:
    """Where results go.

    Parameters
    ----------
    json
        Print one JSON document and nothing else.
    quiet
        No progress bars.
    """

    json: Annotated[bool, Parameter(negative="")] = False
    quiet: Annotated[bool, Parameter(negative="")] = False

    def say(self, text: str) -> None:
        """Print for people; nothing where the output is for programs."""
        if not self.json:
            print(text)

    def table(self, title: str, header: list[str], rows: list[list[str]]) -> None:
        if self.json:
            return
        from rich.console import Console
        from rich.table import Column, Table

        columns = [Column(name, overflow="fold") for name in header]  # nothing is cut off
        table = Table(
            *columns, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        for row in rows:
            table.add_row(*row)
        Console().print(table, markup=False)

    def document(self, value: Any, folder: Path | None = None) -> None:
        """The whole result for programs; ``folder`` is where it lies, if the result does not say so."""
        del folder
        if self.json:
            print(json.dumps(value, indent=1, allow_nan=False))

    @contextmanager
    def watching(self) -> Generator[Callable[[str, int], Any]]:
        """A bar for each step on a terminal, nothing elsewhere."""
        if self.json or self.quiet or not sys.stderr.isatty():
            yield unseen
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:>16}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:

            @contextmanager
            def step(name: str, total: int) -> Generator[Callable[[int], None]]:
                task = progress.add_task(name, total=total)
                yield lambda done: progress.advance(task, done)

            yield step


@contextmanager
def unseen(name: str, total: int) -> Generator[Callable[[int], None]]:
    """Nobody watches."""
    yield lambda done: None


class Job(NamedTuple):
    """What ``unfool attack`` is to do, whatever the attack."""

    network: "Model"
    model: str
    data: str
    within: "Region | None"
    target: int | None
    limit: int | None
    seed: int
    out: Path
    output: OutputOptions


def class_number(name: str | None, model: "Model") -> int | None:
    """A class by its name or number."""
    if name is None:
        return None
    if name.isdecimal():
        return int(name)
    folded = [known.lower() for known in model.classes]
    if name.lower() not in folded:
        raise UnknownName("class", name, model.classes)
    return folded.index(name.lower())


def target_numbers(text: str | None, model: "Model") -> tuple[int, ...]:
    """One class by its name or number, or several numbers with commas between."""
    if text is None:
        return ()
    parts = [text] if text in model.classes else text.split(",")
    return tuple(number for part in parts if (number := class_number(part.strip(), model)) is not None)


def folder_for(out: Path | None, verb: str, name: str, *settings: object) -> Path:
    """``out``, or a folder of its own for what is run: another one for other settings, the same for the same again."""
    if out is not None:
        return out
    digest = blake2b("\n".join(map(repr, settings)).encode(), digest_size=4).hexdigest()
    short = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[-40:]
    return Path("runs") / verb / "-".join(part for part in (short, digest) if part)


def opened(address: str) -> "Source":
    from ..data.address import open_data

    return open_data(address)
