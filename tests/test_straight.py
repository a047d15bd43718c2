"""Going forward a step is itself; going backward its slope is that of the line it follows."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from oracles import images
from unfool.straight import straightened

X = images(2, 1, 4, 4)

STEPS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "torch.round": (lambda x: torch.round(x * 4) / 4, 1),
    ".round": (lambda x: (x * 4).round() / 4, 1),
    ".round_": (lambda x: (x * 4).round_() / 4, 1),
    "decimals": (lambda x: torch.round(x, decimals=1), 1),
    "floor": (torch.floor, 1),
    "ceil": (torch.ceil, 1),
    "trunc": (torch.trunc, 1),
    "fix": (torch.fix, 1),
    "sign": (lambda x: torch.sign(x - 0.5), 1),
    "heaviside": (lambda x: torch.heaviside(x - 0.5, torch.tensor(1.0)), 1),
    "//": (lambda x: x // 0.25, 4),
    "floor_divide": (lambda x: torch.floor_divide(x, 0.25), 4),
    "div": (lambda x: torch.div(x, 0.25, rounding_mode="floor"), 4),
    ">": (lambda x: (x > 0.5).float(), 1),
    "> of a number": (lambda x: (x < 0.5).float(), -1),
    "torch.ge": (lambda x: torch.ge(x, 0.5).to(torch.float32), 1),
    "lt": (lambda x: (x < 0.5).type_as(x), -1),
    "> times": (lambda x: (x > 0.5) * 3.0, 3),
    "byte": (lambda x: (x * 255).byte().float() / 255, 1),
    "to": (lambda x: (x * 255).to(torch.uint8).to(torch.float32) / 255, 1),
    "long": (lambda x: (x * 4).long() / 4, 1),
    "where": (lambda x: torch.where(x > 0.5, 2.0, -1.0), 3),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_keeps_its_values_and_gets_the_slope_of_its_line(name: str):
    f, slope = STEPS[name]
    x = X.clone().requires_grad_()
    with straightened() as mode:
        out = f(x)
    (grad,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(out, f(X))
    assert torch.allclose(grad, torch.full_like(grad, slope))
    assert mode.met == 1


WITH_GRADIENTS = {
    "a mask": lambda x: x * (x > 0.5),
    "where": lambda x: torch.where(x > 0.5, x, 0.1 * x),
    "relu": lambda x: torch.relu(x - 0.5),
    "casts of floats": lambda x: x.double().to(torch.float32),
}


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_what_has_a_gradient_keeps_it(name: str):
    x, f = X.clone().requires_grad_(), WITH_GRADIENTS[name]
    with straightened() as mode:
        (grad,) = torch.autograd.grad(f(x).sum(), x)
    assert torch.equal(grad, torch.autograd.grad(f(x).sum(), x)[0])
    assert mode.met == 0


def test_numbers_that_need_no_gradient_are_left_alone():
    with straightened() as mode:
        assert not torch.round(X).requires_grad
    assert mode.met == 0


def test_nothing_is_left_of_it():
    x = X.clone().requires_grad_()
    with pytest.raises(ZeroDivisionError), straightened():
        _ = 1 / 0
    with straightened():
        torch.round(x)
    assert not torch.autograd.grad(torch.round(x).sum(), x)[0].any()
