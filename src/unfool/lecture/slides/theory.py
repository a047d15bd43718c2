"""Why it works: planes and lines through images, norms, dimensions, one step."""

import torch
from torch import Tensor

from ...analysis.dimensions import Dimensions, measure_dimensions
from ...analysis.directions import study
from ...analysis.inevitable import Bounds, measure_bounds
from ...analysis.norms import compare, telling
from ...analysis.rates import Rate, rate
from ...attacks.gradient import FGSM, PGD
from ...attacks.noise import RandomNoise
from ...measures.directions import ChurchWindow, LogitsAlong
from ...measures.draws import FirstDraw
from ...method import Question
from ...model import Model
from ...objectives import CrossEntropy, Margin
from ...query import Query
from ...regions import L0, L2, Linf
from ...report.page import Figure, Page
from ...report.subjects.bounds import bounds_page
from ...report.subjects.dimensions import dimensions_page
from ...report.subjects.directions import directions_page
from ...report.subjects.norms import norms_page
from ...rows import Rng
from ...runs.inspect import Directions, Norms, run_directions, run_norms
from ...show.along import Along, logits_and_loss
from ...show.heat import map_picture
from ...show.image import class_colours, enlarged
from ...show.lines import Series, lines
from ...show.sheet import Cell, sheet
from ..kit import Kit
from ..making import cost_of, counted_cost, from_page
from ..slide import Cost, Erratum, Made, Settings, Slide, Slider

DIGITS = "unfool:digits8"


def window(kit: Kit, settings: Settings) -> Made:
    model, reach = kit.model(DIGITS), float(settings["reach"])
    batch = kit.right(model, DIGITS, 3)
    question, points = Question(model), 41
    planes = {
        **{f"gradient, random axis {k}": ChurchWindow(reach, points, draw=k) for k in (1, 2, 3)},
        "two random axes": ChurchWindow(reach, points, across="gaussian"),
    }
    found = {name: plane.columns(question, batch)["plane"] for name, plane in planes.items()}
    rows = [
        (f"a {int(y)}", [_plane(found[name][k], int(y)) for name in planes]) for k, y in enumerate(batch.y)
    ]
    middle = points // 2
    up = torch.stack([found[name][:, middle, middle + 1 :] for name in planes if "random axis" in name], 1)
    down = torch.stack([found[name][:, middle, :middle] for name in planes if "random axis" in name], 1)
    wrong = [float((side != batch.y[:, None, None]).float().mean()) for side in (up, down)]
    control = float((found["two random axes"][:, middle] != batch.y[:, None]).float().mean())
    figure = Figure(
        "planes",
        sheet(list(planes), rows, side=164),
        f"The class the network sees at x + a u + b v, both up to {reach:g} in L2: u, the gradient, to the right; v at "
        "right angles to it. White is right; every other class has its colour.",
        "the last column, two random directions",
    )
    numbers = {"wrong_up": wrong[0], "wrong_down": wrong[1], "wrong_random": control, "n": len(batch)}
    says = (
        f"Up the gradient {100 * wrong[0]:.0f} % of the way is wrong, down it {100 * wrong[1]:.0f} %, along a random "
        f"direction {100 * control:.0f} % (three images)."
    )
    return Made(says, [figure], numbers, [counted_cost("four planes of 41 x 41", kit, len(batch))])


def _plane(labels: Tensor, right: int) -> Cell:
    share = float((labels != right).float().mean())
    return Cell(enlarged(class_colours(labels.flip(0), right), 164), [f"{100 * share:.0f} % wrong"])


def norms(kit: Kit, settings: Settings) -> Made:
    model, source = kit.model(DIGITS), kit.source(DIGITS)
    regions = (L2(float(settings["l2"])), Linf(float(settings["linf"])), L0(int(settings["l0"])))
    plan = Norms(DIGITS, DIGITS, PGD(steps=40, loss=Margin()), regions, 1, kit.few(80))
    tables = run_norms(plan, model, source, kit.folder(plan))
    shown = source.batch(telling(tables, 1, len(regions)), model.view, model.classes)
    page = norms_page(compare(plan, tables, tuple(model.classes), shown))
    bounds = kit.once("bounds", lambda: bounds_page(measure_bounds(Bounds(points=1000))))
    cube = [figure for figure in bounds.figures if figure.name.lower().startswith("linf")][:1]
    made = from_page(page, ["image-1"], [counted_cost("attack and noise in three norms", kit, plan.sample)])
    return made._replace(figures=[*made.figures, *cube], tables=page.sections[1].tables)


def dimensions(kit: Kit, settings: Settings) -> Made:
    plan = Dimensions(float(settings["eps"]), images=kit.few(60), seeds=1, sides=(8, 16, 32))
    if settings["printed"]:
        return jacobian(kit)
    page = kit.once(f"dimensions {plan!r}", lambda: dimensions_page(measure_dimensions(plan)))
    return from_page(page, ["unit", "gaussian", "digits"])


def jacobian(kit: Kit) -> Made:
    """A layer's true Jacobian beside the matrix that is printed for it."""
    draw = kit.generator(0)
    w, b, x = (
        torch.randn(24, 16, generator=draw),
        torch.randn(24, generator=draw),
        torch.randn(16, generator=draw),
    )
    true = torch.where((w @ x + b)[:, None] > 0, w, torch.zeros(()))
    moved = [
        float((torch.relu(w @ (x + 1e-3 * u) + b) - torch.relu(w @ x + b)).norm()) for u in torch.eye(16)
    ]
    columns = [float(1e-3 * m.norm(dim=0)[0]) for m in (w, true)]
    wrong = float((w - true).norm() / w.norm())
    cells = [
        Cell(map_picture(w[None]), ["W, as printed"]),
        Cell(map_picture(true[None]), ["diag(1[Wx + b > 0]) W"]),
        Cell(map_picture((w - true)[None]), ["what is too much"]),
    ]
    figure = Figure(
        "jacobian",
        sheet(["", "", ""], [("", cells)], side=220),
        "The Jacobian of ReLU(Wx + b) for 24 units and 16 inputs: the rows of units that are off are zero. And x + εW "
        "adds a matrix to an image: only for a single unit, with W a vector, does it mean something.",
        "the true Jacobian in the middle, which measured changes agree with",
    )
    numbers = {
        "relative_error": wrong,
        "units_on": int((true.abs().sum(1) > 0).sum()),
        "first_input_moves_by": moved[0],
        "as_printed": columns[0],
        "true": columns[1],
    }
    says = (
        f"{numbers['units_on']} of 24 units are on; W is {100 * wrong:.0f} % away from the Jacobian. Moving the first "
        f"input by 0.001 moves the output by {moved[0]:.4f}: {columns[1]:.4f} is right, W says {columns[0]:.4f}."
    )
    return Made(says, [figure], numbers)


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
        tables = run_directions(plan, model, kit.source(DIGITS), kit.folder(plan))
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


INTUITION = Slide(
    "intuition",
    "Intuition: where the network has never been",
    "R9",
    "Around an image, in the plane of the gradient and a random direction, the network is right nearly "
    "everywhere but on "
    "one side: adversarial images lie in a direction, not in holes.",
    "Continuous manifolds of adversarial images: what is seen is contiguous in the plotted slice.",
    window,
    "ChurchWindow({reach}, 41).columns(Question(model), batch)",
    "unfool inspect directions --reach {reach}",
    (Slider("reach", 2.0, (1.0, 2.0, 4.0), 0.25, "reach in L2"),),
    (
        Erratum(
            "E8",
            "adversarial samples live on continuous manifolds",
            "Evidence from one- and two-dimensional slices: contiguous along the gradient direction in the "
            "plotted slice.",
        ),
    ),
)
VISUAL = Slide(
    "visual",
    "Visual assurance: small in which norm?",
    "R7",
    "The same images attacked within three budgets, with a random change of the same budget below, and "
    "what theory says: "
    "how many images must lie near a boundary, whatever the classifier.",
    "That attacks are inevitable on real images: the bound needs how dense a class is, which for photographs nobody "
    "knows, and is then usually empty.",
    norms,
    "PGD(steps=40, loss=Margin())(model, x, y, within=L2({l2}))",
    'unfool inspect norms --within "L2({l2})" --within "Linf({linf})" --within "L0({l0})"',
    (
        Slider("l2", 1.0, (0.5, 1.0, 2.0), 0.1, "L2"),
        Slider("linf", 0.2, (0.1, 0.2, 0.3), 0.01, "Linf"),
        Slider("l0", 5, (1, 5, 10), 1.0, "L0 (pixels)"),
    ),
)
DIMENSIONALITY = Slide(
    "dimensionality",
    "Dimensionality: small changes add up",
    "R8",
    "For one linear unit the sign of the weights moves the answer by ε‖w‖₁, random signs by ε‖w‖₂: the "
    "more inputs, the "
    "wider apart. Where every dimension brings a signal of its own, the radius that flips falls as 1/√d.",
    "That more pixels alone make a classifier easier to fool: digits on ever finer grids hardly are.",
    dimensions,
    "measure_dimensions(Dimensions({eps}))",
    "unfool inspect dimensions --eps {eps}",
    (Slider("eps", 0.1, (0.1,), 0.0),),
    (
        Erratum(
            "E4",
            "y = ReLU(Wx + b), ∂y/∂x = W, x_adv = x + εW",
            "The Jacobian is diag(1[Wx + b > 0]) W, and x + εW does not fit an image. For one unit y = w·x: "
            "x + ε sign(w) moves it by ε‖w‖₁, x + εw by ε‖w‖₂².",
            True,
        ),
        Erratum(
            "E5",
            "more dimensions, more sensitive",
            "True only where the added dimensions carry independent signal: the two sets of data show both ends.",
        ),
    ),
)
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
