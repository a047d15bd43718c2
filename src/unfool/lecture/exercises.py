"""The course's exercises as notebooks, and checks that know the answer and tell no more than a hint."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks.gradient import FGSM
from ..attributions.gradient import Gradient
from ..attributions.wrappers import SmoothGrad
from ..data.address import open_data
from ..errors import UnknownName
from ..model import Model
from ..objectives import CrossEntropy
from ..regions import Linf
from ..targets import Segment
from ..zoo.address import load

EPS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
SIGMA, COPIES, REGION = 0.1, 20, 1


class Given(NamedTuple):
    """What an exercise is about: a network in evaluation mode, images in [0, 1], their labels or maps of labels."""

    net: nn.Module
    x: Tensor
    y: Tensor


class Verdict(NamedTuple):
    """Whether an answer is right, and a hint where it is not."""

    right: bool
    said: str

    def __repr__(self) -> str:
        return f"{'right' if self.right else 'not yet'}: {self.said}"


@cache
def _digits() -> tuple[Model, Given]:
    model, data = load("unfool:digits8?net=mlp"), open_data("unfool:digits8")
    batch = data.batch(data.ids()[:200], model.view, model.classes)
    return model, Given(model.net, batch.x, batch.y)


@cache
def _series() -> tuple[Model, Given]:
    model, data = load("unfool:cine"), open_data("unfool:cine")
    batch = data.batch(data.ids()[:1], model.view, model.classes)
    assert batch.masks is not None
    return model, Given(model.net, batch.x, batch.masks)


def given(exercise: str) -> Given:
    """What the exercise "fgsm" or "segmentation" begins with."""
    makes = {"fgsm": _digits, "segmentation": _series}
    if exercise not in makes:
        raise UnknownName("exercise", exercise, makes)
    return makes[exercise]()[1]


def check(question: str, answer: Any) -> Verdict:
    """Whether an answer (a tensor, an array or a list of numbers) is right; if not, a hint."""
    if question not in CHECKS:
        raise UnknownName("question", question, CHECKS)
    if answer is None or answer is ...:
        return Verdict(False, "nothing has been filled in yet")
    found = answer if isinstance(answer, Tensor) else torch.as_tensor(answer)
    return CHECKS[question](found.detach().float().cpu())


def _shaped(found: Tensor, shape: tuple[int, ...]) -> str:
    if tuple(found.shape) != shape:
        return f"the answer has shape {list(found.shape)}, it should have {list(shape)}"
    return "" if bool(found.isfinite().all()) else "there are numbers in it that are not finite"


@cache
def _fgsm(eps: float) -> Tensor:
    model, held = _digits()
    within = Linf(max(eps, 1e-9))
    return FGSM(loss=CrossEntropy())(model, held.x, held.y, within=within).x


def check_fgsm(found: Tensor) -> Verdict:
    """Images changed at eps = 0.1."""
    x, truth = _digits()[1].x, _fgsm(0.1)
    if said := _shaped(found, tuple(x.shape)):
        return Verdict(False, said)
    if float(found.min()) < -1e-6 or float(found.max()) > 1 + 1e-6:
        return Verdict(False, "some values are outside [0, 1]: what comes out must be an image")
    if float((found - x).abs().max()) > 0.1 + 1e-5:
        return Verdict(False, "some values have moved by more than eps")
    agree = ((found - truth).abs() < 1e-4).float().mean()
    if agree > 0.99:
        return Verdict(True, f"{100 * float(agree):.1f} % of the values are where they should be")
    inner = (x > 0.1) & (x < 0.9)
    if float(((found - x) * (truth - x) < 0)[inner].float().mean()) > 0.9:
        return Verdict(False, "it goes the wrong way: the loss should rise")
    if float((found - x).abs().flatten(1).amax(1).median()) < 0.09:
        return Verdict(
            False, "the steps are too short: is it the sign of the gradient, of the sum over the images?"
        )
    return Verdict(
        False, f"{100 * float(agree):.0f} % of the values are where they should be: the gradient of what?"
    )


def check_curve(found: Tensor) -> Verdict:
    """Accuracy at each of ``EPS``."""
    model, held = _digits()
    if said := _shaped(found, (len(EPS),)):
        return Verdict(False, said)
    truth = torch.tensor([(model(_fgsm(eps)).argmax(1) == held.y).float().mean() for eps in EPS])
    if bool(((found - truth).abs() <= 0.015).all()):
        return Verdict(True, "every point is where it should be")
    if bool(((found / 100 - truth).abs() <= 0.015).all()):
        return Verdict(False, "as shares from 0 to 1, please, not in per cent")
    if abs(float(found[0] - truth[0])) > 0.015:
        return Verdict(False, "look at eps = 0 first: there nothing is changed")
    worst = int((found - truth).abs().argmax())
    way = "high" if found[worst] > truth[worst] else "low"
    return Verdict(False, f"furthest off at eps = {EPS[worst]:g}, where it is too {way}")


@cache
def _saliency() -> Tensor:
    model, held = _series()
    return Gradient()(model, held.x, REGION, objective=Segment()).heat


def check_saliency(found: Tensor) -> Verdict:
    """The gradient of the mean score of the left ventricle over where it is predicted, signed."""
    truth = _saliency()
    if said := _shaped(found, tuple(truth.shape)):
        return Verdict(False, said)
    alike = _cosine(found, truth)
    if alike > 0.999:
        if abs(float(found.norm() / truth.norm()) - 1) < 0.01:
            return Verdict(True, "the map is right, its size too")
        return Verdict(False, "the map is right but for a factor: the mean over the region, not the sum")
    if _cosine(found, truth.abs()) > 0.99:
        return Verdict(False, "keep the sign: sizes are taken when it is drawn")
    if alike < -0.99:
        return Verdict(False, "the sign is turned: the score, not a loss")
    if float(found.norm() / truth.norm()) < 0.1:
        return Verdict(False, "it is very small: is it a loss, or a probability? Take the logits")
    return Verdict(False, "over which positions, and of which class, is the score?")


@cache
def _smooth(lift: bool) -> Tensor:
    """The mean over many copies; ``lift`` is what noise from [0, 1) does instead."""
    model, held = _series()
    spread = SIGMA * float(held.x.max() - held.x.min())
    x, sigma = (held.x + spread / 2, SIGMA / 12**0.5) if lift else (held.x, SIGMA)
    return SmoothGrad(samples=60, sigma=sigma)(model, x.clamp(0, 1), REGION, objective=Segment()).heat


def check_smoothgrad(found: Tensor) -> Verdict:
    """The mean of ``COPIES`` signed maps of copies with noise of ``SIGMA`` of the range."""
    truth, plain = _smooth(False), _saliency()
    if said := _shaped(found, tuple(truth.shape)):
        return Verdict(False, said)
    if bool((found >= 0).all()):
        return Verdict(False, "nothing is negative: average the signed maps, take sizes last")
    if _cosine(found, plain) > 0.999:
        return Verdict(False, "that is the map without noise")
    size = float(found.norm() / truth.norm())
    if size > 3:
        return Verdict(False, "it is many times too large: a mean, not a sum")
    if _cosine(found, _smooth(True)) > _cosine(found, truth):
        return Verdict(False, "it is the map of a brighter series: is the mean of the noise zero?")
    alike = _cosine(found, truth)
    if alike < ENOUGH:
        return Verdict(
            False, "too unlike the mean of many copies: how wide is the noise, and how many are there?"
        )
    return Verdict(True, f"as like the mean of 60 other copies (cosine {alike:.2f}) as it can be")


ENOUGH = 0.95


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(F.cosine_similarity(a.flatten(), b.flatten(), dim=0))


CHECKS: dict[str, Callable[[Tensor], Verdict]] = {
    "fgsm": check_fgsm,
    "curve": check_curve,
    "saliency": check_saliency,
    "smoothgrad": check_smoothgrad,
}
