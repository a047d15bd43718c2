"""Why it works: planes and lines through images, norms, dimensions, one step."""

from dataclasses import replace

import torch
from torch import Tensor

from ...analysis.dimensions import Dimensions, linear_unit, measure_dimensions
from ...analysis.inevitable import Bounds, measure_bounds
from ...analysis.norms import compare, telling
from ...attacks.gradient import PGD
from ...measures.directions import ChurchWindow
from ...method import Question
from ...objectives import Margin
from ...regions import L0, L2, Linf
from ...report.page import Figure
from ...report.subjects.bounds import bounds_page
from ...report.subjects.dimensions import dimensions_page
from ...report.subjects.norms import norms_page
from ...runs.inspect import Norms, run_norms
from ...show.heat import map_picture
from ...show.image import class_colours, enlarged
from ...show.sheet import Cell, sheet
from ..kit import Kit
from ..making import counted_cost, from_page
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
    tables = kit.ran(plan, lambda at: run_norms(plan, model, source, at))
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
    usual = replace(plan, eps=Dimensions.eps)  # of eps the linear units alone know
    found = kit.once("dimensions", lambda: measure_dimensions(usual))
    units = tuple(linear_unit(d, plan.eps, plan.law, plan.draws, plan.seed) for d in plan.gaussian)
    found = found._replace(plan=plan, units=units)
    cost = [Cost(f"smallest changes, {one.name}", one.forward, one.backward) for one in found.digits]
    return from_page(dimensions_page(found), ["unit", "gaussian", "digits"], cost)


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
    return Made(says, [figure], numbers, [Cost("one layer, no network", 0, 0)])


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
    (Slider("eps", 0.1, (0.05, 0.1, 0.2), 0.01),),
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
