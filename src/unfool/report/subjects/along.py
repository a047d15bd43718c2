"""Logits and loss along a line, as figures."""

from collections.abc import Sequence

from ...analysis.directions import Studied
from ...show.along import Along, logits_and_loss
from ..page import Figure, class_name


def line_figures(found: Studied, ids: Sequence[str]) -> list[Figure]:
    """One figure an image: every logit above, the loss below."""
    places = [found.row(i) for i in ids]
    return [_figure(found, i, row, k) for k, (i, row) in enumerate(zip(ids, places, strict=True))]


def _figure(found: Studied, id: str, row: int, k: int) -> Figure:
    label = int(found.y[row])
    name = class_name(found.classes, label)
    sides = [("along the sign of the gradient", found.lines), ("along random signs", found.random)]
    shown = [
        (
            title,
            Along(
                side.amplitudes,
                side.free[row],
                side.clipped[row],
                side.loss[row],
                side.loss_clipped[row],
                label,
            ),
        )
        for title, side in sides
    ]
    return Figure(
        f"line-{k + 1}",
        logits_and_loss(shown, found.classes),
        f"Image {id}, a {name}.",
        "at the right, the same image along random signs of equal size",
    )
