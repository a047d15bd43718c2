"""Adversarial training, and attacks that change few pixels."""

import torch
from torch import Tensor

from ...analysis.rates import Rate, rate
from ...attacks.base import Attack
from ...attacks.gradient import FGSM, PGD
from ...attacks.noise import RandomNoise
from ...attacks.pixels import Exhaustive, OnePixel
from ...model import Model
from ...objectives import Margin
from ...regions import L0, Linf
from ...report.page import Figure
from ...rows import Batch
from ...show.lines import Series, lines
from ...show.sheet import Cell, sheet
from ...training.base import Training
from ...training.fit import Train
from ...training.plain import Both, Natural
from ..kit import Kit
from ..making import cost_of
from ..slide import Cost, Erratum, Made, Settings, Slide, Slider

DIGITS = "unfool:digits8"

SIZES = (0.05, 0.1, 0.15, 0.2, 0.3)


def training(kit: Kit, settings: Settings) -> Made:
    """Three networks from the same start: plain, on worst images made once, and made anew at every step."""
    del settings
    base = kit.model("unfool:digits8?weights=none")
    learn = kit.batch("unfool:digits8?split=train", 1297, base)
    judged = kit.batch(DIGITS, 200, base)
    epochs = 12 if kit.small == 1 else 1

    cost = list[Cost]()

    def taught(name: str, how: Training, x: Tensor, y: Tensor) -> Model:
        fit = Train(how, epochs=epochs, rows=64)
        pupil = fit.taught(base, x, y, within=Linf(0.2), ids=range(len(x)))
        cost.append(
            Cost(f"learning {name}", *(pupil.spent[way] / len(learn) for way in ("forward", "backward")))
        )
        return pupil.judged()

    plain = taught("as it is", Natural(), learn.x, learn.y)
    worst = FGSM()(plain, learn.x, learn.y, within=Linf(0.2), ids=learn.ids).x
    once, anew = "worst images, made once", "made anew at every step"
    ways = {
        "as it was": plain,
        once: taught(once, Natural(), torch.cat([learn.x, worst]), learn.y.repeat(2)),
        anew: taught(anew, Both(), learn.x, learn.y),
    }
    curves = {name: resisted(model, judged) for name, model in ways.items()}
    noise = [
        rate(~RandomNoise()(plain, judged.x, judged.y, within=Linf(e), ids=judged.ids).success) for e in SIZES
    ]
    series = [
        Series(name, (0.0, *SIZES), [r.value for r in rates], [r.low for r in rates], [r.high for r in rates])
        for name, rates in curves.items()
    ]
    clean = curves["as it was"][0]
    control = [clean, *noise]
    series.append(
        Series("as it was, random signs", (0.0, *SIZES), [r.value for r in control], style="control")
    )
    figure = Figure(
        "before-after",
        lines(series, "eps (Linf)", "right under PGD, 20 steps", share=True),
        f"n = {len(judged)}, bands are 95 % Wilson intervals; {epochs} epochs on 1,297 digits, within 0.2.",
        "the network before, and random signs of the same size on it",
    )
    at = 1 + SIZES.index(0.2)
    told = "; ".join(f"{name} {rates[at].brief} %" for name, rates in curves.items())
    numbers = {"eps": (0.0, *SIZES), **{name: [r.as_dict() for r in rates] for name, rates in curves.items()}}
    return Made(f"Right under PGD at 0.2: {told}.", [figure], numbers, cost)


def resisted(model: Model, batch: Batch) -> list[Rate]:
    found = [rate(model(batch.x).argmax(1) == batch.y)]
    attack = PGD(steps=20, loss=Margin())
    for eps in SIZES:
        found.append(rate(~attack(model, batch.x, batch.y, within=Linf(eps), ids=batch.ids).success))
    return found


def pixels(kit: Kit, settings: Settings) -> Made:
    model, n = kit.model(DIGITS), int(settings["pixels"])
    batch = kit.right(model, DIGITS, 60)
    attack: Attack = OnePixel(population=100, generations=20, levels=17)
    found = attack(model, batch.x, batch.y, within=L0(n), ids=batch.ids)
    truth = kit.once(
        "every pixel", lambda: Exhaustive(17)(model, batch.x, batch.y, within=L0(1), ids=batch.ids)
    )
    noise = RandomNoise(kind="uniform", draws=20)(model, batch.x, batch.y, within=L0(n), ids=batch.ids)
    order = found.success.int().argsort(descending=True, stable=True)[:7]
    before = model(batch.x).softmax(1)
    above, below = [], []
    for k in order.tolist():
        y, label = int(batch.y[k]), int(found.label[k])
        above.append(Cell(batch.x[k], [f"“{y}” {100 * float(before[k, y]):.1f} %"]))
        below.append(
            Cell(
                ringed(found.x[k], (found.x[k] != batch.x[k]).any(0)),
                [f"“{label}” {100 * float(found.confidence[k]):.1f} %"],
                label != y,
                False,
            )
        )
    figure = Figure(
        "ringed",
        sheet([""] * len(above), [("image", above), ("changed", below)], side=112),
        f"What differential evolution found with {n} pixel{'s' * (n > 1)}, ringed; those that are fooled first.",
        "the images as they are, above",
    )
    rates = {
        "evolution": rate(found.success),
        "every single pixel tried": rate(truth.success),
        "random": rate(noise.success),
    }
    numbers = {name: r.as_dict() for name, r in rates.items()}
    says = (
        f"{n} pixel{'s fool' if n > 1 else ' fools'} {rates['evolution']}; every single pixel with each of 17 values "
        f"tried, {rates['every single pixel tried']}; random pixels, the best of 20 draws, {rates['random']}."
    )
    cost = [cost_of("OnePixel", found, len(batch)), cost_of("Exhaustive", truth, len(batch))]
    return Made(says, [figure], numbers, cost)


def ringed(x: Tensor, where: Tensor, factor: int = 14) -> Tensor:
    """An enlarged image whose changed pixels have an orange ring."""
    large = x.expand(3, -1, -1).repeat_interleave(factor, 1).repeat_interleave(factor, 2).clone()
    for row, column in where.nonzero().tolist():
        top, left = row * factor, column * factor
        for part in (
            large[:, top : top + 2, left : left + factor],
            large[:, top + factor - 2 : top + factor, left : left + factor],
            large[:, top : top + factor, left : left + 2],
            large[:, top : top + factor, left + factor - 2 : left + factor],
        ):
            part.copy_(torch.tensor([0.9, 0.4, 0.0])[:, None, None].expand_as(part))
    return large


TRAINING = Slide(
    "training",
    "Adversarial training",
    "R15",
    "Learning on images and the worst near them, made anew at every step against the weights as they are, gives a "
    "network that resists many steps, too. Worst images made once, as printed, help little.",
    "A cure: at larger changes, or others than those trained against, it falls as well.",
    training,
    "Train(Both(), epochs=12)(model, x, y, within=Linf(0.2))",
    'unfool train unfool:digits8?weights=none --method "Both()" --epochs 12 --within "Linf(0.2)"',
    errata=(
        Erratum(
            "E9",
            "ℓ(x) + ℓ(x_adv); prepare adversarial samples, then train further",
            "That is Goodfellow's objective times two: halve the learning rate, or average. And the samples must "
            "be "
            "made anew at every step; the curve “made once” is the printed recipe.",
        ),
    ),
)


ONE_PIXEL = Slide(
    "one-pixel",
    "One-pixel attack",
    "R16",
    "Differential evolution asks for scores alone and changes few pixels. The images are so small that every pixel "
    "with every value can be tried: that is the truth it is held against.",
    "How it is on photographs: with 64 pixels one is 1.6 % of the image.",
    pixels,
    "OnePixel(population=100, generations=20, levels=17)(model, x, y, within=L0({pixels}))",
    'unfool attack "OnePixel(population=100, generations=20, levels=17)" unfool:digits8 --model unfool:digits8 '
    '--within "L0({pixels})"',
    (Slider("pixels", 1, (1, 3, 5), 1.0),),
    (
        Erratum(
            "E10",
            "16.04 % of ImageNet test images can be perturbed to at least one target class",
            "The run on ImageNet was not targeted: it lowered the true class's probability.",
        ),
    ),
)
