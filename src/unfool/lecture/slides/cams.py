"""Class activation maps and their flavours, and what each method costs."""

import torch
from torch import Tensor

from ...analysis.rates import mean_of
from ...attacks.base import Attack
from ...attacks.boundary import DeepFool
from ...attacks.carlini import CarliniWagner
from ...attacks.gradient import FGSM, PGD
from ...attacks.noise import RandomNoise
from ...attacks.square import Square
from ...attributions.base import Attribution
from ...attributions.cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from ...attributions.cam_factors import EigenCAM, EigenGradCAM
from ...attributions.cam_scores import AblationCAM, ScoreCAM
from ...attributions.counterfactual import Counterfactual
from ...attributions.gradient import Gradient, IntegratedGradients
from ...attributions.masking import RISE
from ...attributions.occlusion import Occlusion
from ...attributions.relevance import LRP
from ...attributions.rules import Bent, GuidedGradCAM
from ...attributions.wrappers import SmoothGrad
from ...maps import spearman
from ...model import Model
from ...objectives import CrossEntropy
from ...regions import Linf
from ...report.page import Figure, Grid
from ...show.heat import NOTHING, map_picture
from ...show.image import enlarged
from ...show.sheet import Cell, sheet
from ..kit import Kit
from ..making import cost_of
from ..slide import Cost, Erratum, Made, Settings, Slide, Slider
from .maps import IMAGE, NET, PLAIN, anew, film, films, inside, seen, truth

LAYERS = ("features.2", "features.6", "features.10")
CLASSES = ("no finding", "finding")
CELL = 150


def drawn(x: Tensor, heat: Tensor) -> Cell:
    """A map over its image with its largest value; one that is zero says so."""
    top = float(heat.max())
    return seen(x, heat, f"largest {top:.3g}" if top > 0 else NOTHING)


def grad_cam(kit: Kit, settings: Settings) -> Made:
    model, batch = film(kit, settings)
    layer, x = str(settings["layer"]), batch.x
    if settings["printed"]:
        return by_loss(kit, model, layer)
    rows = []
    for label, name in enumerate(CLASSES):
        maps = [
            one(model, x, label).map[0]
            for one in (GradCAM(layer), GuidedGradCAM(layer), Counterfactual(GradCAM(layer)))
        ]
        control = GradCAM(layer)(anew(kit, model), x, label).map[0]
        first = Cell(enlarged(x[0], CELL), [f"p {float(model(x).softmax(1)[0, label]):.2f}"])
        rows.append((name, [first, *(drawn(x[0], heat) for heat in (*maps, control))]))
    strip = [GradCAM(one)(model, x, 1) for one in LAYERS]
    mask = batch.masks[0] if batch.masks is not None else torch.zeros(1)
    cells = [truth(batch)]
    for found in strip:
        share = f"{100 * inside(found.map[0], mask):.0f} % in the finding"
        cells.append(Cell(seen(x[0], found.map[0]).image, [share, "×".join(map(str, found.heat.shape[2:]))]))
    titles = ["film", f"Grad-CAM, {layer}", "Guided Grad-CAM", "counterfactual", "control: random weights"]
    figures = [
        Figure(
            "classes",
            sheet(titles, rows, CELL),
            "Each map on its own scale. A map without positive evidence says so and stays blank.",
            "the last column, the same network with weights drawn anew",
        ),
        Figure(
            "layers",
            sheet(["truth", *LAYERS], [("", cells)], CELL),
            "The finding, by the map of each rectified convolution, first to last.",
            "the truth at the left",
        ),
    ]
    area = float(mask.float().mean())
    shares = {name: inside(found.map[0], mask) for name, found in zip(LAYERS, strip, strict=True)}
    best = max(shares, key=lambda name: shares[name])
    numbers = {"share_in_finding": shares, "area": area}
    says = (
        f"At {best} {100 * shares[best]:.0f} % of the map lie in the finding ({100 * area:.1f} % of the film), more "
        f"than at any "
        "other layer: which is best must be tried."
    )
    return Made(says, figures, numbers, [cost_of("Grad-CAM", strip[0], 1)])


def by_loss(kit: Kit, model: Model, layer: str) -> Made:
    """Weights from the gradient of the loss, as printed: what speaks against the class is kept."""
    batch = films(kit, 24)
    logit = GradCAM(layer)(model, batch.x, 1)
    loss = GradCAM(layer)(model, batch.x, 1, objective=CrossEntropy())
    minus = GradCAM(layer)(model, batch.x, 1, objective=-CrossEntropy())
    rows = []
    for k in range(min(3, len(batch))):
        cells = [Cell(enlarged(batch.x[k], CELL), ["film"])]
        cells += [drawn(batch.x[k], one.map[k]) for one in (logit, loss, minus)]
        rows.append((batch.ids[k], cells))
    blank = float((loss.map.flatten(1).amax(1) <= 0).float().mean())
    alike = mean_of(spearman(logit.map, loss.map).nan_to_num().tolist())
    figure = Figure(
        "loss",
        sheet(["film", "logit (right)", "loss (as printed)", "minus the loss"], rows, CELL),
        "With the loss all signs turn, and the rectifier keeps what speaks against the class.",
        "minus the loss, which agrees with the logit in sign",
    )
    numbers = {"blank": blank, "rank_correlation": alike._asdict(), "n": len(batch)}
    says = (
        f"Rank correlation with the right map {alike.mean:.2f} ({alike.low:.2f} to {alike.high:.2f}); "
        f"{100 * blank:.0f} % of {len(batch)} maps are blank."
    )
    return Made(says, [figure], numbers, [cost_of("Grad-CAM of the loss", loss, len(batch))])


FLAVOURS: dict[str, type[Attribution]] = {
    "Grad-CAM": GradCAM,
    "Grad-CAM++": GradCAMPlusPlus,
    "XGrad-CAM": XGradCAM,
    "Ablation-CAM": AblationCAM,
    "Score-CAM": ScoreCAM,
    "Eigen-CAM": EigenCAM,
    "Eigen-Grad-CAM": EigenGradCAM,
    "LayerCAM": LayerCAM,
    "HiResCAM": HiResCAM,
}


def flavours(kit: Kit, settings: Settings) -> Made:
    model, batch = film(kit, settings)
    layer, x = str(settings["layer"]), batch.x
    mask = batch.masks[0] if batch.masks is not None else torch.zeros(1)
    grid: dict[str, list[Cell]] = {name: [] for name in (*CLASSES, "random weights")}
    cost, shares = list[Cost](), dict[str, float]()
    for name, kind in FLAVOURS.items():
        method = kind(layer)  # pyright: ignore[reportCallIssue]
        found = [method(model, x, label) for label in range(2)]
        control = method(anew(kit, model), x, 1)
        for row, one in zip(grid, (*found, control), strict=True):
            grid[row].append(Cell(enlarged(map_picture(one.map[0]), 96), [f"to {float(one.map.max()):.2g}"]))
        cost.append(cost_of(name, found[1], 1))
        shares[name] = inside(found[1].map[0].clamp_min(0), mask)
    figure = Figure(
        "grid",
        sheet(list(FLAVOURS), list(grid.items()), 96),
        f"At {layer}, each map on its own scale with its largest value.",
        "the last row, the same network with weights drawn anew, asked for the finding",
    )
    best = max(shares, key=lambda name: shares[name])
    says = (
        f"Most of {best} lies in the finding: {100 * shares[best]:.0f} %, of "
        f"{100 * float(mask.float().mean()):.1f} % of the film."
    )
    return Made(says, [figure], {"share_in_finding": shares}, cost)


COSTED: dict[str, Attribution | Attack] = {
    "Gradient": Gradient(),
    "Guided backpropagation": Bent(),
    "Grad-CAM": GradCAM(),
    "Guided Grad-CAM": GuidedGradCAM(),
    "LRP": LRP(),
    "SmoothGrad, n = 25": SmoothGrad(),
    "Integrated gradients, 32 steps": IntegratedGradients(32, tolerance=1),
    "Occlusion, windows of 9 by 4": Occlusion((9,), (4,)),
    "RISE, 200 masks": RISE(200),
    "Ablation-CAM, before a linear head": AblationCAM(),
    "Ablation-CAM, a layer earlier": AblationCAM("features.6"),
    "Score-CAM": ScoreCAM(),
    "FGSM": FGSM(),
    "PGD, 10 steps": PGD(),
    "DeepFool": DeepFool(),
    "Carlini & Wagner": CarliniWagner(steps=50, searches=3),
    "Square, 200 queries": Square(queries=200),
    "random noise": RandomNoise(),
}
"""What the table of costs is about."""


def costs(kit: Kit, settings: Settings) -> Made:
    del settings
    model, batch = kit.model(PLAIN), films(kit, 4)
    rows, told = list[list[str]](), list[Cost]()
    for name, method in COSTED.items():
        if isinstance(method, Attack):
            found = method(
                model, batch.x, batch.y, within=None if method.nearest else Linf(0.02), ids=batch.ids
            )
        else:
            found = method(model, batch.x, 1)
        one = cost_of(name, found, len(batch))
        told.append(one)
        part = found.cost.get("tail", 0) / len(batch)
        rows.append(
            [name, f"{one.forward:.4g}", f"{one.backward:.4g}", f"{part:.4g}" if part else "", _several(one)]
        )
    header = ["method", "forward", "backward", "from a layer on", "several backward?"]
    grid = Grid("Passes of each image, counted in this run", header, rows)
    many = [one.what for one in told if one.backward > 1]
    says = f"Several passes back: {'; '.join(many)}. The others need one or none."
    return Made(says, (), {one.what: (one.forward, one.backward) for one in told}, told, [grid])


def _several(one: Cost) -> str:
    return "yes" if one.backward > 1 else "one" if one.backward else "none"


LAYER = Slider("layer", "features.10", LAYERS)
GRAD_CAM = Slide(
    "grad-cam",
    "Grad-CAM",
    "R34",
    "Feature maps weighted by the mean gradient of a class, rectified: one map for each class, its guided product, and "
    "with the gradient turned what speaks against.",
    "Details finer than the layer's grid; and for small findings the last layer is not the best: see the strip.",
    grad_cam,
    "GradCAM('{layer}')(model, x, 1)",
    'unfool explain "GradCAM(\'{layer}\')" unfool:lesions --model "unfool:lesions?net=plain" --target finding',
    (LAYER, NET, IMAGE),
    (
        Erratum(
            "E15",
            "derivative of the class score or loss with respect to A^k",
            "Of the score, before the softmax, or of minus the loss: with the loss the sign is turned and the "
            "rectifier "
            "keeps the evidence against.",
            True,
        ),
    ),
)
CAMS = Slide(
    "flavours",
    "Flavours of class activation maps",
    "R35",
    "Nine ways to weigh the same feature maps, for both classes, with what each costs.",
    "Which is right: without a truth to hold them against they only differ.",
    flavours,
    "ScoreCAM('{layer}')(model, x, 1)",
    'unfool explain "ScoreCAM(\'{layer}\')" unfool:lesions --model "unfool:lesions?net=plain" --target finding',
    (LAYER, NET, IMAGE),
    (
        Erratum(
            "E19",
            "Score-CAM: measure how the output drops",
            "Score-CAM keeps the highlighted part and measures how the score rises from a blank image; "
            "Ablation-CAM is the "
            "one that measures the drop.",
        ),
        Erratum(
            "E20",
            "Grad-CAM++: second-order gradients",
            "Its closed form has powers of the first gradient, because the score is put through an exponential.",
        ),
    ),
)
COSTS = Slide(
    "costs",
    "Which methods need several passes back?",
    "R42",
    "Passes forward and backward of each image, as counted while the methods ran on four films. Images that are fooled "
    "early leave early, so attacks may cost less than their steps.",
    "Seconds: a pass back takes about as long as two forward, and a pass from a layer on a part of one.",
    costs,
    "SmoothGrad()(model, x, 1).cost",
    'unfool explain SmoothGrad unfool:lesions --model "unfool:lesions?net=plain" --target finding',
)
