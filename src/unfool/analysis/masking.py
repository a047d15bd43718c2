"""Whether the gradients hide how weak a network is (Athalye et al., 2018; Carlini et al., 2019)."""

from typing import NamedTuple

from torch import Tensor

from ..measures.gradients import FLAT
from .rates import Rate, percent, rate

FEW = 5
"""So many images may flip by chance without an alarm."""
SATURATED = 30.0
"""Gaps between logits beyond which a float32 softmax is 1 and its cross-entropy flat."""


class Evidence(NamedTuple):
    """One sign that could give masking away."""

    name: str
    finding: str
    alarm: bool


class Masking(NamedTuple):
    """The diagnosis in one sentence, and what it rests on."""

    masked: bool
    sentence: str
    evidence: tuple[Evidence, ...]


class Signs(NamedTuple):
    """What the diagnosis is made from, one entry per image: flags of images that are still right."""

    gradients: Tensor
    gaps: Tensor
    one_step: Tensor
    many_steps: Tensor
    cross_entropy: Tensor
    margin: Tensor
    random: Tensor
    whole_box: Tensor
    by_scores: Tensor
    """Of images that held against every gradient: flipped by a search that asks for scores alone."""
    classes: int


def diagnose(signs: Signs, eps: str) -> Masking:
    """Every test of masking that the runs of an audit allow."""
    evidence = (
        _zero_gradients(signs.gradients),
        _scale(signs.gaps),
        _losses(rate(signs.cross_entropy), rate(signs.margin), eps),
        _steps(rate(signs.one_step), rate(signs.many_steps), eps),
        _random(rate(signs.random), rate(signs.many_steps), eps),
        _whole_box(rate(signs.whole_box), signs.classes),
        *([_scores(rate(signs.by_scores))] if len(signs.by_scores) else []),
    )
    alarms = [e for e in evidence if e.alarm]
    if not alarms:
        return Masking(False, "No sign of gradient masking: " + _calm(signs, eps), evidence)
    found = "; ".join(e.finding for e in alarms)
    return Masking(
        True, f"Gradients are masked, accuracy under attack is not robustness here: {found}.", evidence
    )


def _calm(signs: Signs, eps: str) -> str:
    many, one, box = rate(signs.many_steps), rate(signs.one_step), rate(signs.whole_box)
    return (
        f"many steps leave {percent(many.value)} right at {eps}, one step {percent(one.value)}, "
        f"and with no bound the attack leaves {percent(box.value)}."
    )


def _zero_gradients(lengths: Tensor) -> Evidence:
    flat = rate(lengths <= FLAT)
    finding = f"{percent(flat.value)} of {flat.n} images have a cross-entropy gradient of zero"
    return Evidence("zero gradients", finding, flat.low > 0.05)


def _scale(gaps: Tensor) -> Evidence:
    gap = float(gaps.median()) if len(gaps) else 0.0
    finding = (
        f"the two best logits are {gap:.3g} apart (median); beyond {SATURATED:.0f} cross-entropy is flat"
    )
    return Evidence("logit scale", finding, gap > SATURATED)


def _losses(ce: Rate, margin: Rate, eps: str) -> Evidence:
    finding = f"cross-entropy leaves {percent(ce.value)} right at {eps}, the margin {percent(margin.value)}"
    return Evidence(
        "cross-entropy against margin", finding, ce.low > margin.high and ce.value - margin.value > 0.1
    )


def _steps(one: Rate, many: Rate, eps: str) -> Evidence:
    finding = f"one step leaves {percent(one.value)} right at {eps}, many steps {percent(many.value)}"
    return Evidence("one step against many", finding, one.high < many.low)


def _random(random: Rate, many: Rate, eps: str) -> Evidence:
    finding = f"the worst random change leaves {percent(random.value)} right at {eps}, gradients {percent(many.value)}"
    return Evidence("random against gradient", finding, random.high < many.low)


def _scores(found: Rate) -> Evidence:
    finding = f"of {found.n} images that held against every gradient a search by scores alone flips {found.k}"
    return Evidence("scores against gradients", finding, found.low > 0.05 and found.k >= FEW)


def _whole_box(left: Rate, classes: int) -> Evidence:
    finding = (
        f"with any change allowed {percent(left.value)} stay right, where chance is {percent(1 / classes)}"
    )
    return Evidence("no bound must reach chance", finding, left.low > 1 / classes)
