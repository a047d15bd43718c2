"""One step along the sign of the gradient, the lines it follows, and what chance does."""

import torch

from ...analysis.directions import study
from ...analysis.rates import Rate, rate
from ...attacks.gradient import FGSM, PGD
from ...attacks.noise import RandomNoise
from ...measures.directions import LogitsAlong
from ...measures.draws import FirstDraw
from ...method import Question
from ...model import Model
from ...objectives import CrossEntropy, Margin
from ...query import Query
from ...regions import Linf
from ...report.page import Figure, Page
from ...report.subjects.directions import directions_page
from ...rows import Rng
from ...runs.inspect import Directions, run_directions
from ...show.along import Along, logits_and_loss
from ...show.lines import Series, lines
from ...show.sheet import Cell, sheet
from ..kit import Kit
from ..making import cost_of, counted_cost, from_page
from ..slide import Cost, Erratum, Made, Settings, Slide, Slider

DIGITS = "unfool:digits8"

EPSILONS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


ADDRESSES = {"conv": DIGITS, "mlp": "unfool:digits8?net=mlp", "linear": "unfool:digits8?net=linear"}


def fgsm(kit: Kit, settings: Settings) -> Made:
    model, eps = kit.model(ADDRESSES[str(settings["net"])]), float(settings["eps"])
    batch = kit.batch(DIGITS, 250, model)
    if settings["printed"]:
        return first_order(kit, settings)
    curves, cost = kit.once(f"curves {settings['net']}", lambda: accuracies(kit, model))
    series = [
        Series(
            name,
            (0.0, *EPSILONS),
            [r.value for r in rates],
            [r.low for r in rates],
            [r.high for r in rates],
            "control" if "random" in name else "line",
        )
        for name, rates in curves.items()
    ]
    right = batch[(model(batch.x).argmax(1) == batch.y).nonzero()[:10, 0]]
    found = FGSM(loss=CrossEntropy())(model, right.x, right.y, within=Linf(max(eps, 1e-9)), ids=right.ids)
    cells = [
        Cell(x, [f"{int(y)} → {int(label)}"], bool(label != y))
        for x, y, label in zip(found.x, right.y, found.label, strict=True)
    ]
    figures = [
        Figure(
            "accuracy",
            lines(series, "eps (Linf)", "accuracy", share=True),
            f"n = {len(batch)}, bands are 95 % Wilson intervals.",
            "random signs of the same size, once and the worst of 20 draws",
        ),
        Figure(
            "examples",
            sheet([""] * len(cells), [("", cells)], side=80),
            f"FGSM at eps = {eps:g}: label and what the network then says.",
            "the digits themselves, which the network had right",
        ),
    ]
    numbers = {name: [r.as_dict() for r in rates] for name, rates in curves.items()}
    here = rate(
        FGSM(loss=CrossEntropy())(model, batch.x, batch.y, within=Linf(max(eps, 1e-9)), ids=batch.ids).label
        == batch.y
    )
    says = f"At eps = {eps:g} one step leaves {here} right."
    return Made(says, figures, {"eps": (0.0, *EPSILONS), "here": here.as_dict(), "accuracy": numbers}, cost)


def accuracies(kit: Kit, model: Model) -> tuple[dict[str, list[Rate]], list[Cost]]:
    batch = kit.batch(DIGITS, 250, model)
    clean = rate(model(batch.x).argmax(1) == batch.y)
    ways = {
        "FGSM": FGSM(loss=CrossEntropy()),
        "PGD, 40 steps": PGD(steps=40, loss=Margin()),
        "random signs": RandomNoise(),
        "worst of 20 random": RandomNoise(draws=20),
    }
    curves: dict[str, list[Rate]] = {name: [clean] for name in ways}
    spent: dict[str, Cost] = {}
    for name, attack in ways.items():
        for eps in EPSILONS:
            found = attack(model, batch.x, batch.y, within=Linf(eps), ids=batch.ids)
            curves[name].append(rate(~found.success))
            if eps == 0.1:
                spent[name] = cost_of(f"{name}, eps 0.1", found, len(batch))
    return curves, list(spent.values())


def first_order(kit: Kit, settings: Settings) -> Made:
    """The loss along the step, and what the printed equation says it is."""
    model = kit.model(ADDRESSES[str(settings["net"])])
    batch = kit.right(model, DIGITS, 100)
    with model.settled():
        query = Query(model, CrossEntropy(), batch.y, Rng.seeded(0, batch.ids))
        first = query.gradient(batch.x)
        steep = first.slope.abs().flatten(1).sum(1)
        way = first.slope.sign()
        eps = [0.3 * k / 20 for k in range(21)]
        true = [query.ask(batch.x + e * way).score.mean() for e in eps]
        kept = [query.ask((batch.x + e * way).clamp(0, 1)).score.mean() for e in eps]
    told = [float((first.score + e * steep).mean()) for e in eps]
    figure = Figure(
        "first-order",
        lines(
            [
                Series("ℓ(x) + ε‖g‖₁, as printed with =", eps, told, style="dashes", colour=1),
                Series("ℓ(x_adv), measured", eps, [float(v) for v in true], colour=0),
                Series("kept in [0, 1]", eps, [float(v) for v in kept], style="control", colour=2),
            ],
            "eps (Linf)",
            "mean cross-entropy",
        ),
        f"The mean over {len(batch)} digits. Equal at ε = 0 alone: the sign is ≈, to first order.",
        "the measured loss, which the equation is to tell",
    )
    numbers = {"eps": eps, "printed": told, "measured": [float(v) for v in true]}
    says = f"At ε = 0.1 the equation says {told[7]:.2f} (at {eps[7]:.3g}); the loss is {float(true[7]):.2f}."
    return Made(says, [figure], numbers, [counted_cost("the two curves", kit, len(batch))])


def along(kit: Kit, settings: Settings) -> Made:
    model, limit = kit.model(DIGITS), float(settings["limit"])
    batch = kit.right(model, DIGITS, 60)
    k, question = int(settings["image"]), Question(model)
    sides = {
        "along the sign of the gradient": LogitsAlong(limit, 61).columns(question, batch),
        "along random signs": LogitsAlong(limit, 61, "sign").columns(question, batch),
    }
    ways, label = torch.linspace(-limit, limit, 61), int(batch.y[k])
    shown = list[tuple[str, Along]]()
    for title, found in sides.items():
        free, kept = found["free"][k], found["clipped"][k]
        loss, loss_kept = (-t.log_softmax(1)[:, label] for t in (free, kept))
        shown.append((title, Along(ways, free, kept, loss, loss_kept, label)))
    right = {
        title: [
            float((found["free"].argmax(2) == batch.y[:, None])[:, half].float().mean())
            for half in (slice(0, 30), slice(31, None))
        ]
        for title, found in sides.items()
    }
    figure = Figure(
        "line",
        logits_and_loss(shown, tuple(model.classes)),
        f"One {label}: all logits above, the loss below. Dashed: kept in [0, 1].",
        "at the right, the same image along random signs of equal size",
    )
    down, up = right["along the sign of the gradient"]
    other = right["along random signs"][1]
    says = (
        f"Over {len(batch)} images, {100 * up:.0f} % of places up the gradient are right and {100 * down:.0f} % down "
        f"it; along random signs {100 * other:.0f} %."
    )
    return Made(
        says, [figure], {"right": right, "n": len(batch)}, [counted_cost("two lines", kit, len(batch))]
    )


def chance(kit: Kit, settings: Settings) -> Made:
    model, eps = kit.model(DIGITS), float(settings["eps"])
    plan = Directions(
        DIGITS, DIGITS, points=11, plane=3, planes=1, eps=0.3, draws=100, images=1, sample=kit.few(100)
    )

    def found() -> Page:
        tables = kit.ran(plan, lambda at: run_directions(plan, model, kit.source(DIGITS), at))
        return directions_page(study(plan, tables, tuple(model.classes), 64))

    page = kit.once("directions", found)
    batch = kit.batch(DIGITS, 100, model)
    first = FirstDraw(100).columns(Question(model, Linf(eps)), batch)["draw"]
    n = list(range(1, 101))
    worst = [rate(first > k) for k in n]
    curve = Figure(
        "draws",
        lines(
            [
                Series(
                    f"random signs of {eps:g}",
                    n,
                    [r.value for r in worst],
                    [r.low for r in worst],
                    [r.high for r in worst],
                )
            ],
            "n draws, of which the worst counts",
            "share still right",
            share=True,
        ),
        f"{len(batch)} images of 64 values: 95 % Wilson intervals.",
        "the curve is itself the control of the gradient",
    )
    made = from_page(page, ["radii"])
    numbers = {
        "first_flips": page.numbers["first_flips"],
        "ratio": page.numbers["ratio"],
        "root_d": page.numbers["root_d"],
        "worst_of": {str(k): worst[k - 1].as_dict() for k in (1, 10, 100)},
    }
    says = (
        f"{page.sentence} Of 100 random draws of size {eps:g} the worst leaves {worst[99]} right, a single one "
        f"{worst[0]}."
    )
    return Made(says, [*made.figures, curve], numbers, [counted_cost("100 draws", kit, len(batch))])


ONE_STEP = Slide(
    "fgsm",
    "FGSM: the fast gradient sign method",
    "R3",
    "One step takes most of the accuracy, many steps the rest, and random signs of the same size next to none, unless "
    "they may be drawn often.",
    "Robustness, where FGSM fails: PGD is below it everywhere, and an attack that finds nothing proves nothing.",
    fgsm,
    "FGSM(loss=CrossEntropy())(model, x, y, within=Linf({eps}))",
    'unfool attack "FGSM(loss=CrossEntropy())" unfool:digits8 --model unfool:digits8 --within "Linf({eps})"',
    (
        Slider("eps", 0.1, (0.0, 0.05, 0.1, 0.2, 0.3), 0.01),
        Slider("net", "conv", ("conv", "mlp", "linear"), label="network"),
    ),
    (
        Erratum(
            "E6",
            "ℓ(x_adv) = ℓ(x) + …, ‖x − x_adv‖_∞ < ε",
            "≈, to first order, and ≤ ε: the printed x_adv lies on the boundary.",
            True,
        ),
    ),
)


LINE = Slide(
    "straight",
    "FGSM intuition: the logits are nearly straight",
    "R9",
    "Along the sign of the gradient the logits are nearly straight lines; the class changes where they cross. Along "
    "random signs little happens.",
    "What happens elsewhere: it is one line, through one image, of one network.",
    along,
    "LogitsAlong({limit}, 61).columns(Question(model), batch)",
    "unfool inspect directions --limit {limit}",
    (Slider("limit", 0.3, (0.1, 0.3, 0.5), 0.05), Slider("image", 0, (0, 1, 2, 3), 1.0)),
)


RANDOM = Slide(
    "random",
    "FGSM intuition: random perturbation is not effective?",
    "R10",
    "The size at which images flip along the gradient and along random directions of the same length: "
    "apart by about √d.",
    "That random changes are harmless: with enough draws one flips the image, the sooner the fewer pixels there are.",
    chance,
    "FirstDraw(100).columns(Question(model, Linf({eps})), batch)",
    "unfool inspect directions --eps {eps} --draws 100",
    (Slider("eps", 0.2, (0.1, 0.2, 0.3), 0.01),),
    (
        Erratum(
            "E7",
            "random perturbation is not effective",
            "Weaker by about √d, and for few draws. Always say how many were drawn and how many pixels there are.",
        ),
    ),
)
