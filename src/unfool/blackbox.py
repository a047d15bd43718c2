"""Whatever answers, as a module."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from .errors import AccessError, InputError, UnfoolError

Access = Literal["gradients", "scores", "labels"]
_ORDER: tuple[Access, ...] = ("labels", "scores", "gradients")
_INSTEAD: dict[Access, str] = {
    "gradients": "",
    "scores": "PGD(slope=NES()) estimates gradients from scores; SurFree() needs labels only",
    "labels": "SurFree(), HopSkipJump() and RandomNoise() need labels only",
}


class BlackBox(nn.Module):
    """A function of numpy images; labels (one of ``classes``) become one-hot scores."""

    def __init__(self, f: Callable[..., Any], classes: int | None):
        super().__init__()
        self.f, self.classes = f, classes
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        out = _numbers(self._told(x.detach().cpu().numpy()))
        if len(out) != len(x):
            raise InputError(f"the black box gave {len(out)} answers for {len(x)} images")
        if self.classes is None:
            return out.float()
        if out.ndim != 1 or out.is_floating_point() or out.min() < 0 or out.max() >= self.classes:
            raise InputError(f"the black box must give labels 0 to {self.classes - 1}, one per image")
        return torch.nn.functional.one_hot(out.long(), self.classes).float()

    def _told(self, x: Any) -> Any:
        try:
            return self.f(x)
        except UnfoolError:
            raise
        except Exception as error:
            reason = (str(error).splitlines() or ["no reason given"])[0][:200]
            raise InputError(
                f"the black box failed on {len(x)} images: {type(error).__name__}: {reason}",
                "--remember FILE keeps what it answers, so that the same command goes on from there",
            ) from error


def _numbers(answer: Any) -> Tensor:
    """An answer as a tensor with one entry per image."""
    try:
        out = torch.as_tensor(np.asarray(answer.detach().cpu() if isinstance(answer, Tensor) else answer))
    except (TypeError, ValueError):
        out = torch.empty(())
    if out.ndim == 0:
        raise InputError(
            f"the black box answers {type(answer).__name__} that holds no numbers, or one for all",
            "give an array with one entry per image: scores [B, K], or labels [B]",
        )
    return out


def check_access(given: Access, needed: Access, who: str) -> None:
    """Raise unless what is given is as much as is needed."""
    if _ORDER.index(given) < _ORDER.index(needed):
        raise AccessError(f"{who} needs {needed}, this model gives {given} only", _INSTEAD[given])
