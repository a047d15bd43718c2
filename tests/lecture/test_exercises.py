"""The exercises: solved they are right, wrong answers are told so with a hint, and the notebooks run either way."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import torch
import torch.nn.functional as F

from unfool.errors import UnknownName
from unfool.lecture.exercises import COPIES, EPS, REGION, SIGMA, check, given
from unfool.lecture.notebooks import NOTEBOOKS, notebook

from .solutions import SOLVED

ROOT = Path(__file__).parents[2]


def run_notebook(name: str, answers: tuple[str, ...] | None) -> list[Any]:
    """All cells in order, answers put in; what the cells that check say."""
    mpl.use("Agg")
    left, space, said = list(answers or ()), dict[str, Any](), list[Any]()
    for cell in notebook(name)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        if answers and cell["metadata"].get("tags") == ["answer"]:
            source = left.pop(0)
        if source.startswith("check("):
            said.append(eval(source, space))
        else:
            exec(source, space)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_solved_notebooks_are_right(name: str):
    assert [verdict.right for verdict in run_notebook(name, SOLVED[name])] == [True, True]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_run_before_anything_is_filled_in(name: str):
    assert {verdict.said for verdict in run_notebook(name, None)} == {"nothing has been filled in yet"}


def test_the_notebooks_under_examples_are_those():
    for name in NOTEBOOKS:
        kept = json.loads((ROOT / "examples" / f"{name}.ipynb").read_text(encoding="utf-8"))
        assert kept == notebook(name)


def steps(sign: float = 1.0, eps: float = 0.1, clip: bool = True, signed: bool = True) -> torch.Tensor:
    net, x, y = given("fgsm")
    x = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(F.cross_entropy(net(x), y, reduction="sum"), x)
    found = x.detach() + sign * eps * (grad.sign() if signed else grad)
    return found.clamp(0, 1) if clip else found


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda: steps(-1.0), "wrong way"),
        (lambda: steps(clip=False), "outside"),
        (lambda: steps(eps=0.2), "more than eps"),
        (lambda: steps(eps=0.01), "too short"),
        (lambda: given("fgsm").x[:3], "shape"),
        (lambda: steps() * float("nan"), "not finite"),
        (lambda: None, "filled in"),
    ],
)
def test_wrong_steps_are_told(answer: Any, hint: str):
    verdict = check("fgsm", answer())
    assert not verdict.right
    assert hint in verdict.said


def test_wrong_curves_are_told():
    net, _, y = given("fgsm")
    right = [float((net(steps(eps=e)).argmax(1) == y).float().mean()) for e in EPS]
    assert check("curve", right).right
    assert "per cent" in check("curve", [100 * v for v in right]).said
    assert "eps = 0" in check("curve", [0.5, *right[1:]]).said
    assert "too high" in check("curve", [right[0]] * len(right)).said


def heat(loss: bool = False, noise: torch.Tensor | None = None) -> torch.Tensor:
    net, x, _ = given("segmentation")
    here = net(x).argmax(1) == REGION
    x = (x if noise is None else x + noise).clone().requires_grad_()
    scores = net(x)
    score = scores[:, REGION][here].mean()
    return torch.autograd.grad(F.cross_entropy(scores, scores.argmax(1)) if loss else score, x)[0]


def test_wrong_saliency_is_told():
    right = heat()
    assert check("saliency", right).right
    assert "factor" in check("saliency", 50 * right).said
    assert "keep the sign" in check("saliency", right.abs()).said
    assert "turned" in check("saliency", -right).said
    assert "logits" in check("saliency", heat(loss=True)).said


@pytest.mark.slow
def test_wrong_smoothgrad_is_told():
    _, x, _ = given("segmentation")
    draw, spread = torch.Generator().manual_seed(1), SIGMA * float(x.max() - x.min())
    normal = [heat(noise=spread * torch.randn(x.shape, generator=draw)) for _ in range(COPIES)]
    lifted = [heat(noise=spread * torch.rand(x.shape, generator=draw)) for _ in range(COPIES)]
    assert check("smoothgrad", torch.stack(normal).mean(0)).right
    assert "mean of the noise" in check("smoothgrad", torch.stack(lifted).mean(0)).said
    assert "signed" in check("smoothgrad", torch.stack(normal).abs().mean(0)).said
    assert "not a sum" in check("smoothgrad", torch.stack(normal).sum(0)).said
    assert "without noise" in check("smoothgrad", heat()).said
    assert not check("smoothgrad", normal[0]).right


def test_what_there_is_not():
    with pytest.raises(UnknownName):
        check("nothing", 1)
    with pytest.raises(UnknownName):
        given("nothing")
