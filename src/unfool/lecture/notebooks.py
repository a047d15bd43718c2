"""The exercises as notebooks."""

import json
from pathlib import Path
from typing import Any

from ..runs.work import atomically

FGSM_CELLS = (
    (
        "markdown",
        "# FGSM, and accuracy against eps\n\n"
        "A network of two hidden layers over 8x8 digits. Fill in what is left out (`...`); the checks say "
        "whether it is "
        "right, and else give a hint.",
    ),
    (
        "code",
        "import torch\nimport torch.nn.functional as F\nimport matplotlib.pyplot as plt\n\n"
        "from unfool.lecture.exercises import EPS, check, given\n\nnet, x, y = given('fgsm')\nprint(x.shape, net)",
    ),
    (
        "markdown",
        "## One step\n\nEach value moves by `eps` along the sign of the gradient of the cross-entropy.",
    ),
    (
        "answer",
        "def fgsm(net, x, y, eps):\n    x = x.clone().requires_grad_()\n    loss = ...  # one number\n"
        "    (grad,) = ...  # of the loss by x\n    return ...  # an image again\n\n\n"
        "try:\n    changed = fgsm(net, x, y, 0.1)\nexcept TypeError:  # not filled in yet\n    changed = ...",
    ),
    ("code", "check('fgsm', changed)"),
    (
        "markdown",
        "## The curve\n\nThe share of digits that the network still has right, at each `eps` in `EPS`.",
    ),
    ("answer", "curve = ...  # a list of numbers, one for each of EPS"),
    ("code", "check('curve', curve)"),
    (
        "code",
        "if curve is not ...:\n    figure, axes = plt.subplots()\n    axes.plot(EPS, curve, marker='o')\n"
        "    axes.set(xlabel='eps', ylabel='accuracy', ylim=(0, 1))",
    ),
)


SEGMENTATION_CELLS = (
    (
        "markdown",
        "# Saliency and SmoothGrad on a segmentation network\n\n"
        "The network sees a series of 32 frames in which contrast agent passes a heart, and answers with one "
        "map of scores "
        "for each class: background, left ventricle (1), right ventricle (2).",
    ),
    (
        "code",
        "import torch\nimport matplotlib.pyplot as plt\n\n"
        "from unfool.lecture.exercises import COPIES, REGION, SIGMA, check, given\n\n"
        "net, x, y = given('segmentation')\nwith torch.no_grad():\n    scores = net(x)\nprint(x.shape, scores.shape)",
    ),
    (
        "markdown",
        "## Saliency\n\nThe gradient, by the series, of the mean logit of class `REGION` over the positions "
        "where the network "
        "predicts it. Keep the sign.",
    ),
    (
        "answer",
        "def saliency(net, x):\n    x = x.clone().requires_grad_()\n    scores = net(x)\n    here = ...  # "
        "where it predicts "
        "REGION\n    score = ...  # one number\n    (grad,) = ...\n    return grad\n\n\n"
        "try:\n    heat = saliency(net, x)\nexcept TypeError:  # not filled in yet\n    heat = ...",
    ),
    ("code", "check('saliency', heat)"),
    (
        "markdown",
        "## SmoothGrad\n\nThe mean of `COPIES` such maps, each of a copy with normal noise of spread `SIGMA` "
        "times the range of "
        "the series (largest less smallest value). The region stays that of the series without noise.",
    ),
    ("answer", "smooth = ..."),
    ("code", "check('smoothgrad', smooth)"),
    (
        "code",
        "if heat is not ... and smooth is not ...:\n    figure, axes = plt.subplots(1, 3)\n"
        "    for place, image in zip(axes, (x[0, 0, 16], heat.abs()[0, 0].sum(0), smooth.abs()[0, 0].sum(0))):\n"
        "        place.imshow(image.numpy(), cmap='gray')\n        place.axis('off')",
    ),
)


NOTEBOOKS = {"fgsm": FGSM_CELLS, "segmentation": SEGMENTATION_CELLS}


def notebook(exercise: str) -> dict[str, Any]:
    """An exercise as a notebook; cells to be filled in have the tag "answer"."""
    cells = [_cell(k, kind, source) for k, (kind, source) in enumerate(NOTEBOOKS[exercise])]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _cell(k: int, kind: str, source: str) -> dict[str, Any]:
    lines = source.splitlines(keepends=True)
    if kind == "markdown":
        return {"cell_type": kind, "id": f"cell-{k}", "metadata": {}, "source": lines}
    tags = {"tags": ["answer"]} if kind == "answer" else {}
    code = {"cell_type": "code", "execution_count": None, "outputs": []}
    return {**code, "id": f"cell-{k}", "metadata": tags, "source": lines}


def write_exercises(folder: Path) -> None:
    """Every exercise as a notebook of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NOTEBOOKS:
        text = json.dumps(notebook(name), indent=1, ensure_ascii=False) + "\n"
        atomically(folder / f"{name}.ipynb", lambda draft, t=text: draft.write_text(t, encoding="utf-8"))
