"""Whether one case is one of those that a network knows."""

from typing import NamedTuple

from torch import Tensor

from ..errors import InputError
from ..model import Model
from ..rows import Batch
from .envelope import FEWEST, Status, fit_envelope, judge


class Known(NamedTuple):
    """Whether the case is one of those that the network knows, by its operating envelope; or why nobody can say."""

    status: Status | None
    because: str
    share: float
    """Of known images, those that are as far outside."""
    n: int
    """How many images that share is of."""


def known_case(model: Model, x: Tensor, learned: Batch, held: Batch | None) -> Known:
    """Learned from the training data, calibrated on the cases where there are enough of them."""
    try:
        known = fit_envelope(model, learned, held if held is not None and len(held) >= FEWEST else None)
    except InputError as error:
        return Known(None, f"no envelope: {error}", 0.0, 0)
    n = known.known.shape[1]
    said = judge(known, model, x, max(0.01, 1 / (n + 1)), 0.05)
    return Known(said.status[0], said.reason[0], float(said.together[0]), n)
