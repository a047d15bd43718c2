"""The smallest change that raises w·δ to a gap inside the box: by linear programs and other solvers."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor

from oracles import images
from unfool.attacks.planes import crossing
from unfool.regions import L0, L1, L2, Linf, Norm

SHAPE = (2, 2, 3)
GAPS = [0.05, 0.3, 0.9, -0.05, -0.3, -0.9]
"""As shares of what the box allows."""


def problem(share: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images of which some values are at 0 or 1, slopes of which some are 0, and a gap that can be reached."""
    x = images(4, *SHAPE, seed=seed, low=-0.3, high=1.3, dtype=torch.float64).clamp(0, 1)
    w = images(4, *SHAPE, seed=seed + 50, low=-1, high=1, dtype=torch.float64)
    w = w * (images(4, *SHAPE, seed=seed + 90) > 0.2)
    way = w * np.sign(share)
    most = (way.abs() * torch.where(way > 0, 1 - x, x)).flatten(1).sum(1)
    return x, w, share * most


def least(norm: type[Norm], x: np.ndarray, w: np.ndarray, gap: float) -> float:
    """By another way: a linear program, a general solver, or all sets of positions."""
    n = len(x)
    if norm is Linf:  # of (change, its largest size)
        limits = np.vstack([np.c_[np.eye(n), -np.ones(n)], np.c_[-np.eye(n), -np.ones(n)]])
        box = [*zip(-x, 1 - x, strict=True), (0, None)]
        return linprog(np.r_[np.zeros(n), 1], limits, np.zeros(2 * n), [np.r_[w, 0]], [gap], box).fun
    if norm is L1:  # of (up, down)
        box = [*((0, 1 - v) for v in x), *((0, v) for v in x)]
        return linprog(np.ones(2 * n), A_eq=[np.r_[w, -w]], b_eq=[gap], bounds=box).fun
    if norm is L2:
        plane = {"type": "eq", "fun": lambda d: w @ d - gap, "jac": lambda d: w}
        start, box = np.zeros(n), list(zip(-x, 1 - x, strict=True))
        how = {
            "method": "SLSQP",
            "constraints": plane,
            "bounds": box,
            "options": {"ftol": 1e-14, "maxiter": 500},
        }
        return float(np.sqrt(2 * minimize(lambda d: d @ d / 2, start, jac=lambda d: d, **how).fun))
    way = w * np.sign(gap)
    gain = (np.abs(way) * np.where(way > 0, 1 - x, x)).reshape(SHAPE[0], -1).sum(0)
    return next(
        k
        for k in range(1, len(gain) + 1)
        if max(sum(gain[list(c)]) for c in combinations(range(len(gain)), k)) >= abs(gap)
    )


@pytest.mark.parametrize("share", GAPS)
@pytest.mark.parametrize("norm", [Linf, L2, L1, L0])
def test_no_change_that_crosses_the_plane_is_smaller(norm: type[Norm], share: float):
    x, w, gap = problem(share, seed=int(100 * share) % 7)
    change = crossing(norm, x, w, gap)
    assert (x + change).min() >= 0
    assert (x + change).max() <= 1 + 1e-12
    rise = (w * change).flatten(1).sum(1)
    if norm is L0:
        assert (rise * np.sign(share) >= gap.abs() - 1e-9).all()
    else:
        assert torch.allclose(rise, gap, atol=1e-9)
    flat = zip(x.flatten(1).numpy(), w.flatten(1).numpy(), gap.tolist(), strict=True)
    exact = torch.tensor([least(norm, *row) for row in flat], dtype=torch.float64)
    assert torch.allclose(norm(1.0).size(change), exact, rtol=1e-5)


@pytest.mark.parametrize("norm", [Linf, L2, L1, L0])
def test_a_plane_out_of_reach_is_come_as_near_as_the_box_allows(norm: type[Norm]):
    x, w, gap = problem(0.9, seed=3)
    change = crossing(norm, x, w, 2 * gap)
    corner = torch.where(w > 0, 1 - x, torch.where(w < 0, -x, 0.0))
    assert torch.allclose(change, corner)


@pytest.mark.parametrize("norm", [Linf, L2, L1, L0])
def test_a_mask_and_a_slope_of_zero(norm: type[Norm]):
    x, w, gap = problem(0.3, seed=4)
    assert (crossing(norm, x, torch.zeros_like(w), gap) == 0).all()
    mask = torch.zeros_like(x[:, :1])
    mask[..., :2] = 1
    change = crossing(norm, x, w, gap / 4, mask)
    assert (change[..., 2:] == 0).all()
    alone = crossing(norm, x[..., :2].contiguous(), w[..., :2].contiguous(), gap / 4)
    assert torch.allclose(change[..., :2], alone)


@pytest.mark.parametrize("norm", [Linf, L2, L1, L0])
def test_a_row_does_not_depend_on_its_neighbours(norm: type[Norm]):
    x, w, gap = problem(0.6, seed=5)
    whole = crossing(norm, x, w, gap)
    alone = torch.cat([crossing(norm, x[k : k + 1], w[k : k + 1], gap[k : k + 1]) for k in range(4)])
    assert torch.equal(whole, alone)
