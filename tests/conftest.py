"""For all tests: slow ones last, a thread for each worker; torchvision imports beside a torch it was not built for."""

import os
import re

import pytest
import torch

if "PYTEST_XDIST_WORKER" in os.environ:  # as many workers as cores: a thread each, also for what they start
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def import_torchvision() -> None:
    """Import torchvision; where its compiled part cannot load, declare the operators its import asks for.

    Its only wheel for Linux is built for CUDA, so beside a CPU build of torch that part is missing.
    Networks for classification and segmentation and all transforms work without it.
    """
    missing = None
    while True:
        try:
            import torchvision  # noqa: F401 - wanted in sys.modules

            return
        except RuntimeError as error:
            operator = re.search(r"operator (torchvision::\w+) does not exist", str(error))
            if operator is None or operator[1] == missing:
                raise
            missing = operator[1]
            torch.library.define(missing, "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


import_torchvision()
