"""Points of a map on a grid, one in each cell, so that no picture hides another."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

EXACT = 1600
"""Up to so many points the assignment is the best there is."""

Points = NDArray[np.float64]
Cells = NDArray[np.int64]


def grid_size(n: int) -> tuple[int, int]:
    """Rows and columns of a grid with room for ``n``, about as wide as high."""
    columns = math.ceil(math.sqrt(n))
    return math.ceil(n / columns), columns


def snapped(points: Tensor, exact: int = EXACT) -> Cells:
    """The row and column of each point [N, 2] of (right, up), row 0 at the top: [N, 2].

    Up to ``exact`` points the sum of squared ways is the least possible; of more, the points are split at their median
    again and again, with the grid.
    """
    at = unit(points.double().numpy())
    rows, columns = grid_size(len(at))
    return _best(at, rows, columns) if len(at) <= exact else _split(at, rows, columns)


def unit(points: Points) -> Points:
    """Points spread over [0, 1], the second axis downwards."""
    low, high = points.min(0), points.max(0)
    at = (points - low) / np.maximum(high - low, 1e-12)
    return np.stack([at[:, 0], 1 - at[:, 1]], 1)


def centres(rows: int, columns: int) -> Points:
    """Where the cells are, row by row: [rows * columns, 2]."""
    down, right = np.mgrid[:rows, :columns]
    return np.stack([right.ravel() / max(1, columns - 1), down.ravel() / max(1, rows - 1)], 1)


def _best(at: Points, rows: int, columns: int) -> Cells:
    cost = np.square(at[:, None] - centres(rows, columns)[None]).sum(2)
    _, cell = linear_sum_assignment(cost)
    return np.stack(np.divmod(cell, columns), 1).astype(np.int64)


def _split(at: Points, rows: int, columns: int) -> Cells:
    cells = np.zeros((len(at), 2), np.int64)
    ahead = [(np.arange(len(at)), 0, 0, rows, columns)]
    while ahead:
        some, top, left, high, wide = ahead.pop()
        if high * wide == 1 or not len(some):
            cells[some] = top, left
            continue
        across = wide >= high
        first = (wide if across else high) // 2
        room, rest = (
            (first * high, (wide - first) * high) if across else (first * wide, (high - first) * wide)
        )
        n = min(room, max(len(some) - rest, round(len(some) * room / (high * wide))))
        order = some[np.argsort(at[some, 0 if across else 1], kind="stable")]
        if across:
            ahead += [
                (order[:n], top, left, high, first),
                (order[n:], top, left + first, high, wide - first),
            ]
        else:
            ahead += [
                (order[:n], top, left, first, wide),
                (order[n:], top + first, left, high - first, wide),
            ]
    return cells
