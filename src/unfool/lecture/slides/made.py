"""How adversarial examples are made: in front of a camera, towards a class, near the image."""

from typing import Any

import torch
from torch import Tensor

from ...analysis.rates import mean_share, rate
from ...attacks.base import Attack
from ...attacks.film import Film
from ...attacks.gradient import PGD
from ...attacks.penalty import TargetedAscent
from ...method import Question
from ...model import Model
from ...objectives import LogProb
from ...query import Query
from ...regions import Linf
from ...report.page import Figure
from ...rows import Batch, Rng
from ...show.chart import climb
from ...show.lines import Series, lines
from ...show.sheet import Cell, sheet
from ...slopes import Expectation
from ...transforms import Brightness, Noise, Rotate, Scale, Shift, Transform
from ...views import from_uint8
from ..kit import Kit
from ..making import cost_of, counted_cost
from ..slide import Erratum, Made, Settings, Slide, Slider

DRAWS = 10
STILL = Expectation((Noise(1e-9),), samples=1, stop="never")
"""Takes all steps, as the attack through transforms does."""


def answer(model: Model, x: Tensor) -> list[tuple[str, int]]:
    """What the network says of each image, in words, and the class."""
    said = model(x).softmax(1)
    return [
        (f"“{model.label_name(int(p.argmax()))}” {100 * float(p.max()):.1f} %", int(p.argmax())) for p in said
    ]


def camera(turn: float) -> tuple[Transform, ...]:
    return (Rotate(max(turn, 0.1)), Scale(0.1), Shift(0.08), Brightness(0.1))


def physical(kit: Kit, settings: Settings) -> Made:
    model, eps, turn = kit.model("unfool:digits"), float(settings["eps"]), float(settings["turn"])
    held = kit.right(model, "unfool:digits", 16)
    batch, views = held[held.y != 3], camera(turn)
    attacks: dict[str, Attack] = {
        "made for the file": PGD(steps=40, slope=STILL),
        "made through 8 cameras": PGD(steps=40, slope=Expectation(views, stop="never")),
    }
    numbers: dict[str, Any] = {}
    rows: list[tuple[str, list[Cell]]] = []
    told: list[str] = []
    for name, attack in attacks.items():
        found = attack(model, batch.x, target=3, within=Linf(eps), ids=batch.ids)
        survived = [shot(model, found.x, batch, views, draw) == 3 for draw in range(DRAWS)]
        fresh, flat = mean_share(torch.stack(survived, 1).float().mean(1)), rate(found.success)
        numbers[name] = {"file": flat.as_dict(), "photographed": fresh.as_dict()}
        told.append(f"{name}: {flat.brief} % on the file, {fresh.brief} % photographed")
        rows.append((name, photos(model, found.x[:1], batch, views)))
    random = (batch.x + eps * Rng.seeded(0, batch.ids).sign(batch.x)).clamp(0, 1)
    survived = [shot(model, random, batch, views, draw) == 3 for draw in range(DRAWS)]
    control = mean_share(torch.stack(survived, 1).float().mean(1))
    numbers["random signs"] = {"photographed": control.as_dict()}
    rows.append(("random signs", photos(model, random[:1], batch, views)))
    figure = Figure(
        "photos",
        sheet(["the file", *(f"photo {k + 1}" for k in range(6))], rows, side=112),
        f"One image made into a “3” within Linf({eps:g}), then turned by up to {turn:g} degrees, scaled, moved and "
        "lit by cameras that no attack has seen. Orange: it is taken for a 3.",
        f"random signs of the same size: {control.brief} % photographed",
    )
    cost = [counted_cost("both attacks and all photographs", kit, len(batch))]
    says = "; ".join(told)
    return Made(f"{says[0].upper()}{says[1:]} (n = {len(batch)}).", [figure], numbers, cost)


def shot(model: Model, x: Tensor, batch: Batch, views: tuple[Transform, ...], draw: int) -> Tensor:
    """What the network says of images through one fresh draw of a camera."""
    return model(seen(x, batch.ids[: len(x)], views, draw)).argmax(1)


def seen(x: Tensor, ids: tuple[str, ...], views: tuple[Transform, ...], draw: int) -> Tensor:
    rng = Rng.seeded(1000 + draw, ids)
    for view in views:
        x = view(x, rng)
    return x.clamp(0, 1)


def photos(model: Model, x: Tensor, batch: Batch, views: tuple[Transform, ...]) -> list[Cell]:
    taken = torch.cat([x, *(seen(x, batch.ids[:1], views, draw) for draw in range(6))])
    return [
        Cell(one, [said], label == 3) for one, (said, label) in zip(taken, answer(model, taken), strict=True)
    ]


def create(kit: Kit, settings: Settings) -> Made:
    model = kit.model("unfool:digits")
    target, start = int(settings["target"]), str(settings["start"])
    batch = kit.right(model, "unfool:digits", 24)
    batch = batch[batch.y != target]
    if settings["printed"]:
        return by_batch_mean(kit, model, batch, target)
    attack = TargetedAscent(start=start, confidence=0.99)  # pyright: ignore[reportArgumentType]
    found = attack(model, batch.x, target=target, ids=batch.ids)
    film = Film(attack, frames=7).columns(Question(model, target=target), batch[torch.tensor([0])])
    frames = from_uint8(film["frames"][0])
    steps = film["frame_steps"][0].tolist()
    cells = [
        Cell(x, [said, f"step {t}"], label == target)
        for x, t, (said, label) in zip(frames, steps, answer(model, frames), strict=True)
    ]
    taken = kit.few(200)
    noise = model(torch.rand(taken, *batch.x.shape[1:], generator=kit.generator(0))).argmax(1) == target
    figures = [
        Figure(
            "film",
            sheet([""] * len(cells), [("", cells)], side=120),
            f"Climbing the log-probability of “{target}” from {start}. Nothing keeps it near an image of anything.",
            f"of {taken} images of noise without any climbing {100 * float(noise.float().mean()):.0f} % are a {target}",
        ),
        Figure(
            "climb",
            climb(film["probability"][0], film["l2"][0], f"“{target}”"),
            "Whole: the probability; dashed: how far it has gone.",
            "step 0, before anything was changed",
        ),
    ]
    reached = rate(found.success)
    numbers = {
        "reached": reached.as_dict(),
        "median_steps": float(film["probability"][0].isfinite().sum()) - 1,
        "median_l2": float(found.l2.median()),
        "noise_of_target": float(noise.float().mean()),
    }
    says = f"{reached} images become a “{target}”, {float(found.l2.median()):.1f} away in L2 (median)."
    return Made(says, figures, numbers, [cost_of("TargetedAscent", found, len(batch))])


def by_batch_mean(kit: Kit, model: Model, batch: Batch, target: int) -> Made:
    """The printed step, along the gradient of a mean over the batch: how far it goes depends on who else is there."""
    sizes, series, needed = (1, 4, 16), list[Series](), dict[str, int]()
    for size in sizes:
        p = ascent(model, batch[torch.tensor([0])], target, 1.0 / size)
        series.append(Series(f"beside {size - 1} others", range(len(p)), p, style="dashes"))
        needed[f"mean over {size}"] = next((t for t, v in enumerate(p) if v > 0.9), -1)
    p = ascent(model, batch[torch.tensor([0])], target, 1.0)
    series.append(Series("each by itself", range(len(p)), p))
    needed["each by itself"] = next((t for t, v in enumerate(p) if v > 0.9), -1)
    figure = Figure(
        "batch",
        lines(series, "step", f"probability of “{target}”", share=True),
        "The same image, the same step size. As printed, x goes along the gradient of a mean over the batch, and takes "
        "the longer the more images are beside it.",
        "the whole line, the sum in place of the mean: it does not depend on the batch",
    )
    told = ", ".join(f"{name}: {n if n >= 0 else 'never'}" for name, n in needed.items())
    return Made(
        f"Steps until the probability is above 0.9: {told}.",
        [figure],
        {"steps_to_09": needed},
        [counted_cost("four climbs of 60 steps", kit, 1)],
    )


def ascent(
    model: Model, one: Batch, target: int, share: float, steps: int = 60, rate: float = 0.02
) -> list[float]:
    x, told = one.x, list[float]()
    with model.settled():
        for _ in range(steps):
            query = Query(model, LogProb(), torch.tensor([target]), Rng.seeded(0, one.ids))
            found = query.gradient(x)
            told.append(float(found.score.exp()))
            x = (x + rate * share * found.slope).clamp(0, 1)
    return told


PHYSICAL = Slide(
    "physical",
    "Adversarial examples in the physical world",
    "R11",
    "A change that is made for one file is undone by a camera; one that is made through many simulated cameras "
    "stays, at cameras it has not seen.",
    "A street: printer, lens and a detector's own pre-processing come on top of what is simulated here.",
    physical,
    "PGD(steps=40, slope=Expectation((Rotate({turn}), Scale(0.1), Shift(0.08), Brightness(0.1)), stop='never'))"
    "(model, x, target=3, within=Linf({eps}))",
    'unfool attack "PGD(steps=40, slope=Expectation((Rotate({turn}), Scale(0.1), Shift(0.08), Brightness(0.1)), '
    'stop=\'never\'))" unfool:digits --target 3 --within "Linf({eps})"',
    (
        Slider("eps", 0.25, (0.15, 0.25, 0.35), 0.01),
        Slider("turn", 20.0, (5.0, 20.0, 40.0), 1.0, "camera's turn in degrees"),
    ),
)
CREATE = Slide(
    "create",
    "Create adversarial examples: make it a gibbon",
    "R4",
    "Climbing the probability of a class from anywhere leads to an image that the network is sure of. Nothing in "
    "the objective asks that it look like one.",
    "That the class has such a look: from black or from noise the result is no picture of the digit to us.",
    create,
    "TargetedAscent('{start}', confidence=0.99)(model, x, target={target})",
    "unfool attack \"TargetedAscent('{start}', confidence=0.99)\" unfool:digits --target {target} --film 1",
    (
        Slider("target", 3, (0, 3, 7, 8), 1.0),
        Slider("start", "image", ("image", "zeros", "noise")),
    ),
    (
        Erratum(
            "E1",
            "ℓ_ce = (1/B) Σ log y_gibbon, and x ← x + α ∂ℓ_ce/∂x",
            "That is the log-likelihood; cross-entropy has a minus, and then the step goes down. And the sum (or "
            "each image's own gradient) belongs there: with the mean a step is B times shorter in a batch of B.",
            True,
        ),
        Erratum("E2", "ŷ is drawn as the one-hot target", "p = softmax(z) is the prediction, t the target."),
    ),
)
