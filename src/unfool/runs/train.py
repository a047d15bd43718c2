"""A training in a folder: judged after every epoch, the best weights kept, killed at any moment it goes on the same."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ..data.base import Source
from ..errors import DataError, InputError
from ..method import Columns, Question
from ..model import Model
from ..spec import parse
from ..training.base import Training
from ..training.plain import Natural
from ..training.ranks import Ranks
from .begin import Watch, at_once, claim, first_image, unwatched
from .course import Course, Epoch, Log, check_classes, one_step_only, splits
from .fit import plain
from .reading import Read, Reader, ahead, held
from .standing import Judge
from .work import Progress, atomically, whole

MODEL, LAST, BEST, SO_FAR = (f"{name}.safetensors" for name in ("model", "last", "best", "state"))
HISTORY = "history.json"
Tell = Callable[[Epoch | str], None]
"""Told each epoch, those of a run that goes on or is done too, and what else is to be known."""


def run_train(
    course: Course,
    model: Model,
    source: Source,
    judged: Source | None,
    folder: Path,
    *,
    every: int = 200,
    watch: Watch = unwatched,
    tell: Tell = lambda what: None,
) -> Log:
    """Do what is missing of a training; ``model`` stays as it is, what was learned is ``model.safetensors``.

    The state is written after every epoch and every so many updates. Under torchrun all processes call this, the first
    one writes.
    """
    ranks = Ranks.here()
    if ranks.first:
        claim(folder, course.identity, model)
    ranks.from_first(None)  # the others wait for the folder
    if not (done := whole(folder / MODEL)):
        learn, kept = splits(course, source, judged)
        log = Log(images=len(learn), notes=check_classes(source, model, learn, _width(model, source, learn)))
        for note in log.notes:
            tell(note)
        with watch("reading", len(learn) + len(kept)) as progress:
            read = reader(source, model, learn if judged else (*learn, *kept), progress)
            other = reader(judged, model, kept, progress) if judged else read
        many = at_once(first_image(judged or source, kept, model.view, model))
        judge = Judge(course.judge, course.within, kept, other, course.seed, many)
        names = model.classes or source.label_names()
        with watch("training", len(learn) * course.train.epochs) as progress:
            _Run(course, model, read, judge, learn, folder, every, progress, tell, names, log).go()
    if ranks.first:
        for name in (SO_FAR, BEST):
            (folder / name).unlink(missing_ok=True)
    log = ranks.from_first(read_log(folder) if ranks.first else None)
    for epoch in log.epochs if done else ():
        tell(epoch)
    return log


def read_log(folder: Path) -> Log:
    """What was noted of a finished training."""
    try:
        return Log.read((folder / HISTORY).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{folder} holds no finished training: {error.strerror}", "unfool train makes one"
        ) from None


def reader(source: Source, model: Model, ids: Sequence[str], progress: Progress) -> Read:
    return held(source, model, ids, progress) or Reader(source, model)


def _width(model: Model, source: Source, ids: Sequence[str]) -> int:
    batch = source.batch(ids[:8], model.view)  # under their own labels: those are checked with this
    first = batch.readable()
    if not len(first):
        raise DataError(f"none of the first images can be read: {next(iter(batch.errors.values()))}")
    return model(first.x[:1].to(model.device)).shape[1]


@dataclass
class _Run:
    """One process's part of a training."""

    course: Course
    model: Model
    read: Read
    judge: Judge
    learn: Sequence[str]
    folder: Path
    every: int
    progress: Progress
    tell: Tell
    names: Sequence[str]
    log: Log
    begun: int = 0

    def __post_init__(self) -> None:
        self.ranks, self.fit = Ranks.here(), self.course.train
        self.question = Question(self.model, self.course.within, seed=self.course.seed)
        self.like = self.read(self.learn[:8])
        if not len(self.like):
            raise DataError("none of the first images to learn from can be read")
        self.pupil = self.fit.start(self.question, self.like)

    def go(self) -> None:
        """All updates that are missing, and the weights that did best."""
        self._take_up()
        if not self.log.epochs:
            self.log.natural = self._natural_seconds()
            self._close(0, 0)
        per_epoch = self.fit.updates(len(self.learn))
        self.progress(self.begun * self.fit.rows)
        lessons = islice(self.fit.lessons(self.question, self.learn), self.begun, None)
        for step, (asked, batch) in enumerate(ahead(self.read, self._own(lessons)), self.begun + 1):
            if self.log.stopped:
                break
            begun = time.perf_counter()
            self.pupil = self.fit.update(asked, self.pupil, batch)
            if step % per_epoch == 0:
                float(self.pupil.told[0])  # waits for the device
            self.log.partial += time.perf_counter() - begun
            self.progress(self.fit.rows)
            if step % per_epoch == 0:
                self._close(step // per_epoch, step)
            elif step % self.every == 0:
                self._write(step)
        self._finish()

    def _own(
        self, lessons: Iterator[tuple[Question, tuple[str, ...]]]
    ) -> Iterator[tuple[Question, tuple[str, ...]]]:
        for asked, ids in lessons:
            begin, end = self.ranks.bounds(len(ids))
            yield asked, ids[begin:end]

    def _close(self, number: int, step: int) -> None:
        """Judge an epoch, keep its weights where they are the best, and write all of it down."""
        self.pupil.agree()
        loss = self._loss(number) if number else None
        passes = self._passes()
        counts = self.judge(self.pupil.judged(), self.ranks)
        told = Epoch(
            number, step, repr(self.fit.method), loss, counts, passes, self.log.partial, self.ranks.world
        )
        grown = (number - 1) / self.fit.epochs >= self.fit.ramp
        wrong = self.fit.method.adversarial and number > 0 and one_step_only(told, self.log.epochs, grown)
        told, self.log.partial = replace(told, overfitted=wrong), 0.0
        self.log.epochs.append(told)
        self.tell(told)
        if self.log.best(self.fit.method.adversarial) is told:
            self._save(BEST, self.pupil.weights(), {"epoch": number})
        if wrong and self.course.alarm != "tell":
            self._warned()
        self._write(step)

    def _loss(self, number: int) -> float:
        """The mean loss of the epoch, of all processes."""
        told = self.pupil.told.clone()
        self.ranks.add([told])
        self.pupil.told.zero_()
        loss = float(told[0] / told[1].clamp_min(1))
        if not isfinite(loss):
            raise InputError(
                f"the loss of epoch {number} is not a number",
                "a smaller rate, such as --optimiser 'Adam(1e-4)'",
            )
        return loss

    def _passes(self) -> tuple[int, int]:
        spent = self.pupil.spent
        return self.ranks.total(spent["forward"]), self.ranks.total(spent["backward"])

    def _warned(self) -> None:
        """Stop, or go back to the best weights and on against an attack of more steps."""
        if self.course.alarm == "stop":
            self.log.stopped = True
            return
        best = load_file(self.folder / BEST) if self.ranks.first else None
        self.pupil.restart(self.ranks.from_first(best))
        self.fit = replace(self.fit, method=self.fit.method.stronger())

    def _write(self, step: int) -> None:
        tensors = self.fit.written(self.pupil)
        note = {"log": self.log.text(), "step": str(step), "method": repr(self.fit.method)}
        note["accumulate"] = str(self.fit.accumulate)
        self._save(SO_FAR, tensors, note)

    def _save(self, name: str, tensors: Columns, note: dict[str, Any]) -> None:
        if self.ranks.first:
            told = {"unfool": json.dumps(note)}
            atomically(self.folder / name, lambda draft: save_file(plain(tensors), draft, told))

    def _take_up(self) -> None:
        """Go on from the state that was written, with as many processes as there are now."""
        found: tuple[dict[str, str], Columns] | None = None
        if self.ranks.first and whole(self.folder / SO_FAR):
            found = noted(self.folder / SO_FAR), load_file(self.folder / SO_FAR)
        if (found := self.ranks.from_first(found)) is None:
            return
        note, tensors = found
        self.log, self.begun = Log.read(note["log"]), int(note["step"])
        self.fit = replace(self.fit, method=parse(note["method"], Training))
        self.pupil = self.fit.taken_up(self.pupil, tensors)
        for epoch in self.log.epochs:
            self.tell(epoch)
        then = self.log.epochs[-1].world if self.log.epochs else self.ranks.world
        self._changed(then, self.ranks.world, "on {} processes instead of {}")
        self._changed(
            int(note.get("accumulate", self.fit.accumulate)), self.fit.accumulate, "in {} parts instead of {}"
        )

    def _changed(self, then: int, now: int, what: str) -> None:
        """Note what is otherwise than when the run began."""
        if then != now:
            self.log.notes.append(f"from update {self.begun} " + what.format(now, then))
            self.tell(self.log.notes[-1])

    def _natural_seconds(self) -> float | None:
        """How long natural training takes for an image, measured on a copy that is thrown away."""
        fit, some = (
            replace(self.fit, method=Natural()),
            islice(self.fit.lessons(self.question, self.learn), 6),
        )
        pupil, times = fit.start(self.question, self.like), list[float]()
        for asked, batch in ahead(self.read, self._own(iter(some))):
            begun = time.perf_counter()
            pupil = fit.update(asked, pupil, batch)
            float(pupil.told[0])  # waits for the device
            times.append((time.perf_counter() - begun) / max(1, len(batch)))
        return median(times[1:] or times)

    def _finish(self) -> None:
        """The best weights and the last ones, with all that is needed to load them again."""
        if not self.ranks.first:
            return
        best = self.log.best(self.course.train.method.adversarial)
        about = {
            "model": self.course.model,
            "classes": list(self.names),
            "view": repr(self.model.view) if self.model.view else "",
            "course": repr(self.course),
        }
        self._save(LAST, self.pupil.weights(), {**about, "epoch": self.log.epochs[-1].number})
        text = self.log.text()
        atomically(self.folder / HISTORY, lambda draft: draft.write_text(text, encoding="utf-8"))
        self._save(MODEL, load_file(self.folder / BEST), {**about, "epoch": best.number})


def noted(path: Path) -> dict[str, Any]:
    """What stands beside the tensors of a file of this package."""
    with safe_open(path, "pt") as file:
        return json.loads((file.metadata() or {})["unfool"])
