"""What verbs share that run over data: who does the work."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from ..errors import InputError, MissingExtra, Unfinished, UnknownName
from .shared import OutputOptions

if TYPE_CHECKING:
    from ..runs.engine import Engine
    from ..track.base import Tracker

TRACKERS = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny", "wandb": "wandb"}
"""Which package each needs; what it imports and its extra are called as the tracker."""


@Parameter(name="*")
@dataclass(frozen=True)
class TrackedOptions(OutputOptions):
    """Where results go, and where they are logged beside.

    Parameters
    ----------
    json
        Print one JSON document and nothing else.
    quiet
        No progress bars.
    track
        tensorboard:FOLDER, mlflow:FOLDER or wandb:PROJECT: log the numbers and pictures there, too.
    """

    track: str | None = None

    @contextmanager
    def watching(self) -> Generator[Callable[[str, int], Any]]:
        """As ever, once it is known that there is such a tracker."""
        if self.track is not None:
            check_tracker(self.track)
        with super().watching() as watch:
            yield watch

    def document(self, value: Any, folder: Path | None = None) -> None:
        super().document(value)
        if self.track is not None:
            from ..track.base import tell

            place = Path(value["folder"]) if "folder" in value else folder
            tell(self.tracked(place), value, place)

    def tracked(self, place: Path | None) -> "Tracker":
        """The tracker, one for all that a command tells."""
        if "it" not in self._opened:
            self._opened["it"] = tracker(self.track or "", place.name if place else "unfool")
        return self._opened["it"]

    @cached_property
    def _opened(self) -> dict[str, Any]:
        return {}


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions(TrackedOptions):
    """Where results go, and who does the work.

    Parameters
    ----------
    json
        Print one JSON document and nothing else.
    quiet
        No progress bars.
    track
        tensorboard:FOLDER, mlflow:FOLDER or wandb:PROJECT: log the numbers and pictures there, too.
    engine
        ray: workers on this machine; ray:auto, ray:HOST:PORT or ray://HOST:PORT: on a cluster that is there; ranks: the
        share that torchrun or a Slurm array gives this process. By default this process alone, or torchrun's ranks.
    workers
        How many workers ray starts; by default one a GPU, or without GPUs one a core.
    part
        Such as 3/8: do the third of eight shares; whoever is last joins them.
    """

    engine: str | None = None
    workers: int | None = None
    part: str | None = None

    def ahead(self, out: Path | None) -> None:
        """Let Ray start while this process loads what it will ask; a run in ``out`` that has ended asks nobody."""
        ended = out is not None and any((out / name).exists() for name in ("table.parquet", "report.html"))
        if (self.engine or "").split(":")[0] == "ray" and self.part is None and not ended:
            from ..runs.ray.worker import ahead

            self._opened["pool"] = ahead(self._address, self.workers)

    @property
    def _address(self) -> str:
        """Of ray."""
        engine = self.engine or ""
        return engine if engine.startswith("ray://") else engine.partition(":")[2]

    @contextmanager
    def watching(self) -> Generator[Callable[[str, int], Any]]:
        """As ever, with all runs inside done by the engine; a rank that is not the last says so."""
        from ..runs.engine import spread

        with spread(self._engine), super().watching() as watch:
            try:
                yield watch
            except Unfinished as rest:
                self.say(str(rest))
                OutputOptions.document(self, {"unfinished": {"missing": rest.missing, "of": rest.total}})
                raise

    @cached_property
    def _engine(self) -> "Engine":
        """The same for all runs of one command."""
        from ..runs.engine import Local
        from ..runs.ranks import part_of, ranks_of, under_torchrun

        engine = self.engine or ("ranks" if under_torchrun() and self.part is None else "local")
        if self.workers is not None and not engine.startswith("ray"):
            raise InputError("--workers is for --engine ray", "leave it out, or add --engine ray")
        if self.part is not None:
            if self.engine not in (None, "ranks"):
                raise InputError(
                    f"--part does a share in this process, not by {engine}", "leave --engine out"
                )
            return part_of(self.part)
        if engine == "local":
            return Local()
        if engine == "ranks":
            return ranks_of()
        if engine.split(":")[0] == "ray":
            from ..runs.ray.engine import Ray

            return Ray(self._address, self.workers, self._opened.get("pool"))
        raise InputError(
            f"there is no engine {engine!r}", "local, ray, ray:ADDRESS, ray://HOST:PORT or ranks"
        )


def check_tracker(text: str) -> str:
    """The kind of tracker, raised about before anything is run."""
    kind = text.partition(":")[0]
    if kind not in TRACKERS:
        raise UnknownName("tracker", kind, TRACKERS)
    if find_spec(kind) is None:
        raise MissingExtra(TRACKERS[kind], kind)
    return kind


def tracker(text: str, name: str) -> "Tracker":
    """``kind:place``, for a run of this name."""
    kind, place = check_tracker(text), text.partition(":")[2]
    match kind:
        case "tensorboard":
            from ..track.tensorboard import TensorBoard as Chosen
        case "mlflow":
            from ..track.mlflow import MLflow as Chosen
        case _:
            from ..track.wandb import WandB as Chosen
    return Chosen(place, name)
