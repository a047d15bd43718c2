"""``unfool bench``."""

from .shared import OutputOptions


def bench(
    nets: list[str] | None = None,
    *,
    tasks: tuple[str, ...] = (),
    rounds: int = 7,
    quick: bool = False,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Time the methods as multiples of one forward pass, beside other libraries where they are installed.

    Parameters
    ----------
    nets
        torchvision networks; by default resnet18 and resnet50.
    tasks
        Only these, such as "Grad-CAM"; by default every task.
    rounds
        How often each is timed, in turn.
    quick
        Smaller pictures and fewer rounds: a look, not a measurement.
    """
    from ..bench import run_bench

    names = tuple(nets or ("resnet18", "resnet50"))
    output.document(run_bench(names, tasks=tasks, rounds=rounds, quick=quick, report=output.say))
