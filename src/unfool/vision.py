"""torchvision where it is needed, also beside a build of torch that it was not compiled for."""

import importlib
import re
from types import ModuleType

import torch

from .errors import MissingExtra


def torchvision() -> ModuleType:
    """The package. Its wheel is built for CUDA; beside a torch without, the operators its import asks for are declared.

    Networks, transforms and data sets need none of them.
    """
    for _ in range(8):
        try:
            importlib.import_module("torchvision.models")
            return importlib.import_module("torchvision")
        except ModuleNotFoundError:
            raise MissingExtra("torchvision", "vision") from None
        except RuntimeError as error:
            operator = re.search(r"operator (torchvision::\w+) does not exist", str(error))
            if operator is None:
                raise
            torch.library.define(operator[1], "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    raise MissingExtra("a torchvision that fits this torch", "vision")
