"""Changes that are learned on some images and put on others, which they have never seen."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..checks import checked_images, row_ids
from ..detections import finds_boxes
from ..errors import DataError, InputError
from ..method import Columns, Fit, Method, Question, checked_model
from ..model import Model
from ..objectives import Objective, Targeted, Untargeted
from ..query import Query
from ..regions import Linf, Region
from ..rows import Batch, Rng, stable_number
from ..spec import parse
from ..transforms import Change, moved, posed
from .base import Attacked, aimed, columns_of, judged
from .hide import Hidden

Control = Literal["random", "plain"]
CONTROLS: tuple[Control, ...] = ("random", "plain")


class Pose(NamedTuple):
    """How the change is looked at: turned by an angle, at a share of its size; where not given, as drawn."""

    degrees: float
    scale: float


class LearnedAttack(Fit, ABC):
    """A change that is learned on some images and put on others.

    It is learned towards the question's target, or where there is none away from every image's label.
    """

    bounded: ClassVar[bool] = False
    """Whether a region bounds the change's size; else it only says where."""

    @abstractmethod
    def put(
        self, learned: Columns, x: Tensor, rng: Rng, pose: Pose | None = None, on: Tensor | None = None
    ) -> Tensor:
        """Images with the change on them, placed by each row's own random numbers, or ``on`` an object [B, 5] of each.

        What has a place of its own in the image stays there.
        """

    @abstractmethod
    def control(self, learned: Columns, kind: Control, rng: Rng) -> Columns:
        """The same size of change with nothing learned in it; ``rng`` has one stream."""

    @abstractmethod
    def picture(self, learned: Columns) -> Tensor:
        """The change itself as a picture in [0, 1]: [C, *space]."""

    @final
    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Any = None,
        *,
        target: Any = None,
        within: Region | None = None,
        mask: Tensor | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> "Learned":
        """Learn from images ``x`` [B, C, *] in [0, 1]: away from labels ``y``, or towards one ``target``.

        Of a detector ``y`` are the objects to hide, [B, 5] as :func:`objects` gives them.
        """
        checked_model(model, boxes=True)
        x = checked_images(x)
        if finds_boxes(model):
            return self._to_hide(model, x, y, target, within, seed, ids)
        _, labels = aimed(x, y, target, model.width)
        if target is not None and len(labels.unique()) > 1:
            raise InputError("one change for all images has one target", "give target as one number")
        names = tuple(map(str, row_ids(ids, len(x))))
        masks = None if mask is None else mask.bool().expand(len(x), 1, *x.shape[2:])
        question = Question(model, within, None if target is None else int(labels[0]), seed)
        with model.settled():
            return Learned(self, self.learn(question, Batch(names, x, labels.cpu(), masks)))

    def _to_hide(
        self,
        model: Model,
        x: Tensor,
        y: Any,
        target: Any,
        within: Region | None,
        seed: int,
        ids: Sequence[Any] | None,
    ) -> "Learned":
        if target is not None or not isinstance(y, Tensor) or y.shape != (len(x), 5):
            raise InputError(
                f"of a detector y are the objects to hide, [{len(x)}, 5], and there is no target",
                "objects(boxes, labels) makes them",
            )
        names = tuple(map(str, row_ids(ids, len(x))))
        batch = Batch(names, x, torch.full((len(x),), -1), objects=y[:, None].cpu())
        with model.settled():
            return Learned(self, self.learn(Question(model, within, None, seed), batch))


def asked(question: Question, batch: Batch, loss: Objective, who: str) -> Query:
    """Towards the target or away from the labels, by ``loss``, of the quick copy where there is one.

    Of a detector: let no box be on the objects, as a loss :class:`Hidden` says; any other is taken for ``Hidden()``.
    """
    goal = Untargeted(loss) if question.target is None else Targeted(loss)
    if finds_boxes(question.model):
        goal = loss if isinstance(loss, Hidden) else Hidden()
    query = question.query(batch, goal, who)
    return query.about(question.model.quick(batch.x.to(question.model.device)))


def photographed(query: Query, question: Question, changes: Tensor, through: tuple[Change, ...]) -> Tensor:
    """The slope of changes [B, *] that ``through`` puts on images and then shows by a camera.

    What a detector is asked about is looked for where the camera shows it.
    """
    if finds_boxes(question.model):
        twin, (put, *camera) = query.rng.twin(), through
        boxes = moved(query.y[:, :4], put(changes, twin), camera, twin)
        query = query.instead(query.objective, torch.cat([boxes, query.y[:, 4:]], 1))
    return query.gradient(changes, through).slope


def looked_at(x: Tensor, pose: Pose | None) -> Tensor:
    """Pictures as they are, or each as a whole at one angle and size."""
    if pose is None:
        return x
    one = x.new_ones(len(x))
    return posed(x.clamp(0, 1), pose.degrees * one, pose.scale * one)


@dataclass(frozen=True)
class Learned:
    """What a fit has learned, ready to be put on images."""

    fit: LearnedAttack
    tensors: Columns

    def put(
        self,
        x: Tensor,
        *,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
        pose: Pose | None = None,
        on: Tensor | None = None,
    ) -> Tensor:
        """Images in [0, 1] with the change on them, or ``on`` an object [B, 5] of each."""
        rng = Rng.seeded(seed, row_ids(ids, len(x)), x.device)
        here = {
            name: t.to(x) if t.is_floating_point() else t.to(x.device) for name, t in self.tensors.items()
        }
        return self.fit.put(here, x, rng, pose, None if on is None else on.to(x)).clamp(0, 1)

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Any = None,
        *,
        target: Any = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
        pose: Pose | None = None,
    ) -> Attacked:
        """Put it on images and ask whether the goal is reached; nothing is searched any more."""
        checked_model(model)
        x = checked_images(x)
        goal, labels = aimed(x, y, target, model.width)
        rng = Rng.seeded(seed, row_ids(ids, len(x)), model.device)
        query = Query(model, goal, labels.to(model.device), rng, who=type(self.fit).__name__)
        origin, x = x, x.to(model.device)
        with model.settled():
            found = self.put(x, seed=seed, ids=ids, pose=pose)
            return judged(found, x, query.logits(found), query, seed, origin, Linf.whole(x))

    def instead(self, kind: Control, seed: int = 0) -> "Learned":
        """The control: the same size of change, random or plain."""
        like = next(iter(self.tensors.values()))
        rng = Rng.seeded(stable_number(seed, "control"), [kind], like.device)
        return Learned(self.fit, self.fit.control(self.tensors, kind, rng))

    @property
    def picture(self) -> Tensor:
        """The change itself as a picture in [0, 1]: [C, *space]."""
        return self.fit.picture(self.tensors)

    def save(self, path: Path | str) -> None:
        """One safetensors file that :class:`Apply` takes."""
        tensors = {name: t.detach().cpu().contiguous() for name, t in sorted(self.tensors.items())}
        save_file(tensors, path, self.fit.note())

    @classmethod
    def read(cls, path: Path | str) -> "Learned":
        return cls(*read_fit(path, LearnedAttack))


Learner = TypeVar("Learner", bound=Fit)


def read_fit(path: Path | str, kind: type[Learner]) -> tuple[Learner, Columns]:
    """A fit and what it has learned, from the file that holds both."""
    try:
        with safe_open(path, "pt") as file:
            told = json.loads((file.metadata() or {})["unfool"])["fit"]
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{path} holds nothing learned ({reason})", "unfool attack writes one") from None
    return parse(told, kind), tensors


class Apply(Method):
    """Put on every image what a fit has learned, or a control of it, and ask whether the goal is reached."""

    file: str
    """Where ``unfool attack`` or ``Learned.save`` wrote it."""
    instead: Literal["", "random", "plain"] = ""
    """A control of equal size in its place."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        learned = _read(str(Path(self.file).resolve()), _age(self.file))
        learned = learned.instead(self.instead) if self.instead else learned
        wanted = question.labels(batch)
        aim: dict[str, Any] = {"y" if question.target is None else "target": wanted}
        found = learned(question.model, batch.x, **aim, seed=question.seed, ids=batch.ids)
        return {**columns_of(found, question, batch, wanted), "y": batch.y}


def _age(path: str) -> int:
    return Path(path).stat().st_mtime_ns if Path(path).is_file() else 0


@lru_cache(maxsize=8)
def _read(path: str, age: int) -> Learned:
    del age  # another file of the same name is another one
    return Learned.read(path)
