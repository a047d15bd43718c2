"""For all tests: slow ones last, a thread for each worker, nothing left to chance; torchvision beside any torch."""

import gc
import os
import random
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # as many workers as cores: a thread each, also for what they start
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


settings.register_profile("same", derandomize=True, database=None)
settings.load_profile("same")


def begin(seed: int) -> None:
    """Start every global stream anew. No test may depend on which others are collected or ran before it."""
    torch.default_generator.manual_seed(
        seed
    )  # the processor's alone: for all devices it takes a millisecond and more
    np.random.seed(seed)
    random.seed(seed)


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    begin(0)  # networks that a module makes when it is imported


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> None:
    begin(1)  # those of fixtures, which a worker makes before whichever of its tests comes first


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    begin(2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # some million objects that stay, and need not be looked through again in every test


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium, one for all: playwright allows no second one in a process."""
    from playwright.sync_api import sync_playwright
    from tests.web.browser import CHROMIUM

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


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
