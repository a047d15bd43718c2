"""``unfool bench``."""

from .shared import OutputOptions


def bench(
    nets: list[str] | None = None,
    *,
    rounds: int = 7,
    quick: bool = False,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Time the methods as multiples of one forward pass, beside other libraries where they are installed.

    Parameters
    ----------
    nets
        torchvision networks; by default resnet18 and resnet50.
    rounds
        How often each is timed, in turn.
    quick
        Smaller pictures and fewer rounds: a look, not a measurement.
    """
    from ..bench import run_bench

    output.document(
        run_bench(tuple(nets or ("resnet18", "resnet50")), rounds=rounds, quick=quick, report=output.say)
    )
