"""Pictures of learning a substitute: its curves, and the loop it is learned in."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from .chart import GREY, Interval, colours, drawn


def question_curves(asked: Sequence[int], curves: Mapping[str, Sequence[Interval]]) -> str:
    """Rates with their 95 % bands against how many labels they have cost."""

    def draw(axes: Axes) -> None:
        for k, (name, rates) in enumerate(curves.items()):
            values, lows, highs = (list(part) for part in zip(*rates, strict=True))
            axes.plot(asked, values, color=colours(k), marker="o", markersize=3, label=name)
            axes.fill_between(asked, lows, highs, color=colours(k), alpha=0.15, linewidth=0)
        axes.set(xlabel="labels asked of the oracle", ylabel="share of images", ylim=(-0.02, 1.02))
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(asked), [f"{n:,}" for n in asked], rotation=30)
        axes.minorticks_off()
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))

    return drawn(draw, width=8)


def loop_diagram(seeds: int, rounds: int, asked: int, step: float) -> str:
    """How oracle and substitute teach each other, with this run's numbers."""
    boxes = {
        "images": (0.14, 0.72, f"{seeds:,} seeds, then\ntwice as many each round"),
        "oracle": (0.5, 0.72, f"oracle\n{asked:,} labels in {rounds} rounds"),
        "pairs": (0.86, 0.72, "images with\nthe oracle's labels"),
        "substitute": (0.86, 0.2, "substitute\nlearns them"),
        "step": (0.5, 0.2, f"each image a step of {step:g}\nalong the sign of its slope"),
    }
    ways = ("images oracle", "oracle pairs", "pairs substitute", "substitute step", "step images")

    def draw(axes: Axes) -> None:
        axes.set(xlim=(0, 1), ylim=(0, 0.95))
        axes.set_axis_off()
        for k, (x, y, text) in enumerate(boxes.values()):
            colour = colours(1) if k == 1 else colours(0) if k == 3 else GREY
            shape = FancyBboxPatch(
                (x - 0.125, y - 0.11), 0.25, 0.22, "round,pad=0.005", fill=False, edgecolor=colour
            )
            axes.add_patch(shape)
            axes.text(x, y, text, ha="center", va="center", fontsize=8.5)
        for way in ways:
            axes.add_patch(_arrow(*(boxes[name][:2] for name in way.split())))

    return drawn(draw, width=8, height=2.9)


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> FancyArrowPatch:
    """From the edge of one box to the edge of another."""
    (x, y), (u, v) = start, end
    if y == v:
        shift = 0.135 if u > x else -0.135
        ends = (x + shift, y), (u - shift, v)
    elif x == u:
        ends = (x, y - 0.12), (u, v + 0.12)
    else:
        ends = (x - 0.135, y + 0.02), (u, v - 0.12)
    return FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=12, color=GREY, linewidth=1)
