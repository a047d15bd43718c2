"""What verbs share that run over data: who does the work."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from ..errors import InputError, Unfinished
from .shared import OutputOptions

if TYPE_CHECKING:
    from ..runs.engine import Engine


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions(OutputOptions):
    """Where results go, and who does the work.

    Parameters
    ----------
    json
        Print one JSON document and nothing else.
    quiet
        No progress bars.
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

    @contextmanager
    def watching(self) -> Generator[Callable[[str, int], Any]]:
        """As ever, with all runs inside done by the engine; a rank that is not the last says so."""
        from ..runs.engine import spread

        with spread(self._engine), super().watching() as watch:
            try:
                yield watch
            except Unfinished as rest:
                self.say(str(rest))
                self.document({"unfinished": {"missing": rest.missing, "of": rest.total}})
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

            return Ray(engine[4:] if engine.startswith("ray:") else "", self.workers)
        raise InputError(
            f"there is no engine {engine!r}", "local, ray, ray:ADDRESS, ray://HOST:PORT or ranks"
        )
