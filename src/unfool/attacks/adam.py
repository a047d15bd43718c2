"""Adam as a value: its memory is the caller's, who can write it down."""

from typing import NamedTuple

import torch
from torch import Tensor


class Adam(NamedTuple):
    """Steps of about ``rate`` in every value, whatever the gradient's scale (Kingma & Ba, 2015)."""

    rate: float
    betas: tuple[float, float] = (0.9, 0.999)

    @staticmethod
    def nothing(value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both moments and the number of steps before the first."""
        steps = torch.zeros((), dtype=torch.long, device=value.device)
        return torch.zeros_like(value), torch.zeros_like(value), steps

    def up(
        self, value: Tensor, grad: Tensor, first: Tensor, second: Tensor, steps: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One step that raises what has this gradient; where it is zero nothing moves."""
        steps = steps + 1
        fast, slow = self.betas
        first = fast * first + (1 - fast) * grad
        second = slow * second + (1 - slow) * grad.square()
        size = (second / (1 - slow**steps)).sqrt()
        way = first / (1 - fast**steps) / size.clamp_min(torch.finfo(size.dtype).tiny)
        return value + self.rate * way, first, second, steps
