"""The smallest trigger of every class, of a network in question and of networks whose truth is known."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..attacks.learned import Apply, Learned
from ..attacks.trigger import Trigger
from ..data.base import Source
from ..errors import InputError
from ..method import Question
from ..model import Model
from ..spec import Count, Natural, Positive, Spec
from .begin import Watch, at_once, chosen, claim, first_image, unwatched
from .fit import LEARNED, Learning, run_fit
from .steps import Tables
from .table import read_table
from .work import answered, whole, work

FEWEST = 4
"""Classes among which one can stand out."""


class Backdoor(Spec):
    """Which networks are scanned for triggers, over which images."""

    model: str
    data: str
    training: str = ""
    """Images that triggers are sought on; by default those of the data that nothing is judged on."""
    trigger: Trigger = Trigger()
    classes: tuple[Natural, ...] = ()
    """Which are scanned; by default all."""
    clean: tuple[str, ...] = ()
    """Addresses of networks known to have no backdoor."""
    planted: tuple[str, ...] = ()
    """Addresses of networks known to have one: unfool:digits8?backdoor=7."""
    index: Positive = 2.0
    """From which anomaly index on a class is suspected."""
    sample: Count = 300
    """How many images triggers are sought on, at most."""
    limit: Count = 200
    """How many others they are tried on, at most."""
    seed: Natural = 0


class Scanned(NamedTuple):
    """The triggers of a finished run."""

    plan: Backdoor
    classes: tuple[int, ...]
    found: dict[str, tuple[Learned, ...]]
    """By address, the network in question first: one for each class."""
    tables: Tables
    """Of the network in question, by class: ``trigger-c`` put on images and ``random-c``, noise in its place."""


def run_backdoor(
    plan: Backdoor,
    load: Callable[[str], Model],
    source: Source,
    training: Source,
    folder: Path,
    watch: Watch = unwatched,
) -> Scanned:
    """Do what is missing in ``folder``; ``load`` gives the network of an address, where it is still needed."""
    model = load(plan.model)
    model.need("gradients", "Trigger")
    claim(folder, repr(plan), model)
    ids = chosen(source.ids(), plan.limit, plan.seed)
    image = first_image(source, ids, model.view, model)
    classes = _classes(plan, model(image[None]).shape[1])
    found = dict[str, tuple[Learned, ...]]()
    for k, address in enumerate((plan.model, *plan.clean, *plan.planted)):
        scan = _Scan(plan, address, load, training, folder / "scans" / str(k), watch)
        found[address] = tuple(scan.trigger(c) for c in classes)
    tables: Tables = {}
    for c in classes:
        file = folder / "scans" / "0" / str(c) / LEARNED
        for name, method in (("trigger", Apply(str(file))), ("random", Apply(str(file), "random"))):
            place, question = folder / "parts" / f"{name}-{c}", Question(model, target=c, seed=plan.seed)

            def rows(some: Sequence[str], method: Apply = method, question: Question = question):
                return answered(method, question, source.batch(some, model.view, model.classes))

            with watch(f"{name} {c}", len(ids)) as progress:
                work(f"{name} {c} {plan!r}", place, ids, rows, chunk=at_once(image), progress=progress)
            tables[f"{name}-{c}"] = read_table(place)
    return Scanned(plan, classes, found, tables)


def _classes(plan: Backdoor, width: int) -> tuple[int, ...]:
    classes = plan.classes or tuple(range(width))
    if len(classes) < FEWEST:
        raise InputError(
            f"among {len(classes)} classes none can stand out", f"{FEWEST} or more, by what others need"
        )
    if max(classes) >= width:
        raise InputError(f"there is no class {max(classes)}", f"the network has {width}, from 0")
    return classes


class _Scan:
    """One network's triggers, in a folder."""

    def __init__(
        self,
        plan: Backdoor,
        address: str,
        load: Callable[[str], Model],
        training: Source,
        folder: Path,
        watch: Watch,
    ):
        self.plan, self.address, self.load, self.training = plan, address, load, training
        self.folder, self.watch = folder, watch

    def trigger(self, label: int) -> Learned:
        place, plan = self.folder / str(label), self.plan
        if whole(place / LEARNED):
            return Learned.read(place / LEARNED)
        data, after = (plan.training, 0) if plan.training else (plan.data, plan.limit)
        wanted = Learning(plan.trigger, self.address, data, None, label, after, plan.sample, plan.seed)
        many = len(wanted.ids(self.training)) * plan.trigger.epochs
        with self.watch(f"{self.address} {label}", many) as progress:
            return Learned.read(
                run_fit(wanted, self.load(self.address), self.training, place, progress=progress)
            )
