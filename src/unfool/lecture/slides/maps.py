"""Where a network looks: occlusion, gradients, noise, regions, and the rules that bend gradients."""

import torch
from torch import Tensor

from ...attributions.base import Attribution
from ...attributions.gradient import Gradient, GradientTimesInput
from ...attributions.panels import OcclusionPanels
from ...maps import spearman
from ...measures.sanity import redrawn
from ...model import Model
from ...objectives import CrossEntropy, Logit
from ...query import Query
from ...report.page import Figure
from ...rows import Batch, Rng
from ...show.heat import between, map_picture, overlay, spanned
from ...show.image import class_colours, enlarged
from ...show.lines import Series, lines
from ...show.regions import outlined
from ...show.sheet import Cell, sheet
from ..kit import Kit
from ..making import cost_of, counted_cost
from ..slide import Erratum, Made, Settings, Slide, Slider

FILMS, PLAIN = "unfool:lesions", "unfool:lesions?net=plain"
SIDE = 176


def films(kit: Kit, n: int = 4) -> Batch:
    """Films with a large finding and a tube."""
    held = kit.batch(FILMS, [f"test/{k}" for k in range(60)], kit.model(FILMS))
    assert held.masks is not None
    tube = torch.tensor([t == "tube" for t in held.groups["tube"]])
    return held[(tube & (held.masks.flatten(1).sum(1) > 80)).nonzero()[:n, 0]]


def film(kit: Kit, settings: Settings) -> tuple[Model, Batch]:
    """The network asked for, and one film."""
    net = FILMS if settings.get("net", "plain") == "tube" else PLAIN
    batch = films(kit)
    k = int(settings.get("image", 0)) % len(batch)
    return kit.model(net), batch[torch.tensor([k])]


def seen(x: Tensor, heat: Tensor, told: str = "") -> Cell:
    """A map over its image, with its raw range."""
    return Cell(enlarged(overlay(x, heat), SIDE), [told or spanned(heat), spanned(heat)][: 1 + bool(told)])


def truth(batch: Batch) -> Cell:
    assert batch.masks is not None
    return Cell(enlarged(outlined(batch.x[0], batch.masks[0, 0]), SIDE), ["the finding, as it was drawn in"])


def inside(heat: Tensor, mask: Tensor) -> float:
    """The share of a map's size that lies in a mask."""
    size = heat.abs()
    return float((size * mask).sum() / size.sum().clamp_min(1e-12))


def anew(kit: Kit, model: Model) -> Model:
    """The same network with all weights drawn anew: what a map shows of it, learning has not brought."""
    return kit.once(f"anew {model.name}", lambda: redrawn(model, 0))


def occlusion(kit: Kit, settings: Settings) -> Made:
    model, batch = film(kit, settings)
    window, fill = int(settings["window"]), str(settings["fill"])
    method = OcclusionPanels((window,), (max(2, window // 3),), fill)  # pyright: ignore[reportArgumentType]
    found = method(model, batch.x, 1)
    control = method(anew(kit, model), batch.x, 1)
    notes = found.notes
    cells = [
        Cell(enlarged(batch.x[0], SIDE), [f"p(finding) {float(model(batch.x).softmax(1)[0, 1]):.2f}"]),
        truth(batch),
        seen(batch.x[0], found.heat[0], "fall of the score"),
        Cell(enlarged(between(notes["probability"][0]), SIDE), ["p(finding), hidden there"]),
        Cell(enlarged(class_colours(notes["likely"][0], 1), SIDE), ["likely label; white: finding"]),
        seen(batch.x[0], control.heat[0], "fall, random weights"),
    ]
    figure = Figure(
        "panels",
        sheet(["film", "truth", "map", "probability", "label", "control"], [("", cells)], SIDE),
        f"A window of {window} x {window}, filled with {fill}, moved over the film by {max(2, window // 3)}.",
        "the last panel, the same network with weights drawn anew",
    )
    mask = batch.masks[0] if batch.masks is not None else torch.zeros(1)
    share = inside(found.map[0].clamp_min(0), mask)
    numbers = {
        "share_in_finding": share,
        "area": float(mask.float().mean()),
        "windows": found.cost["forward"] - 1,
    }
    says = (
        f"{100 * share:.0f} % of the map lies in the finding, which is {100 * float(mask.float().mean()):.1f} % of the "
        f"film; {found.cost['forward']:,} passes forward."
    )
    return Made(says, [figure], numbers, [cost_of("OcclusionPanels", found, 1)])


def saliency(kit: Kit, settings: Settings) -> Made:
    model, batch = film(kit, settings)
    if settings["printed"]:
        return by_probability(kit)
    asked: dict[str, Attribution] = {
        "largest channel": Gradient(),
        "times the input": GradientTimesInput(),
    }
    found = {name: one(model, batch.x, 1) for name, one in asked.items()}
    control = Gradient()(anew(kit, model), batch.x, 1)
    first = found["largest channel"]
    cells = [
        Cell(enlarged(batch.x[0], SIDE), ["the film"]),
        truth(batch),
        Cell(enlarged(map_picture(first.map[0].abs()), SIDE), ["size |∂z/∂x|", spanned(first.map[0].abs())]),
        Cell(enlarged(map_picture(first.heat[0]), SIDE), ["signed ∂z/∂x", spanned(first.heat[0])]),
        Cell(enlarged(map_picture(found["times the input"].heat[0]), SIDE), ["times the input"]),
        Cell(
            enlarged(map_picture(control.map[0].abs()), SIDE),
            ["size, random weights", spanned(control.map[0].abs())],
        ),
    ]
    mask = batch.masks[0] if batch.masks is not None else torch.zeros(1)
    alike = float(spearman(first.map.abs(), control.map.abs())[0])
    figure = Figure(
        "maps",
        sheet(["film", "truth", "", "", "", "control"], [("", cells)], SIDE),
        "The gradient of the finding's logit; each map on its own scale, its range below. Orange: for, "
        "purple: against.",
        "the last panel, the same network with weights drawn anew",
    )
    numbers = {"share_in_finding": inside(first.map[0], mask), "rank_correlation_random_weights": alike}
    says = (
        f"{100 * inside(first.map[0], mask):.0f} % of the gradient's size lies in the finding "
        f"({100 * float(mask.float().mean()):.1f} % of the film); rank correlation with random weights {alike:.2f}."
    )
    return Made(says, [figure], numbers, [cost_of("Gradient", first, 1)])


def by_probability(kit: Kit) -> Made:
    """The gradient of the softmax probability, which fades as the network gets sure; that of the logit does not."""
    model = kit.model("unfool:digits")
    batch = kit.right(model, "unfool:digits", 100)
    with model.settled():
        query = Query(model, Logit(), batch.y, Rng.seeded(0, batch.ids))
        logit = query.gradient(batch.x).slope.flatten(1).norm(dim=1)
        # ∂p/∂x = -p ∂(-log p)/∂x
        surprise = Query(model, CrossEntropy(), batch.y, Rng.seeded(0, batch.ids)).gradient(batch.x)
        p = model(batch.x).softmax(1).gather(1, batch.y[:, None])[:, 0]
        chance = surprise.slope.flatten(1).norm(dim=1) * p
    doubt = (1 - p).clamp_min(1e-12)
    series = [
        Series("|∂p/∂x|", doubt.tolist(), chance.clamp_min(1e-14).tolist(), style="dots", colour=1),
        Series("|∂z/∂x|", doubt.tolist(), logit.tolist(), style="dots", colour=0),
    ]
    figure = Figure(
        "fading",
        lines(series, "1 − p: how unsure the network is", "length of the gradient", log=True),
        f"{len(batch)} digits. The surer the network, the smaller the gradient of its probability: its size "
        f"says nothing "
        "about how accurate a classifier is.",
        "the gradient of the logit, which hardly changes",
    )
    numbers = {
        "median_probability": float(chance.median()),
        "median_logit": float(logit.median()),
        "n": len(batch),
    }
    says = (
        f"Median length {float(chance.median()):.1e} for the probability, {float(logit.median()):.2f} for the logit "
        f"(n = {len(batch)})."
    )
    return Made(says, [figure], numbers, [counted_cost("two gradients", kit, len(batch))])


NET = Slider("net", "plain", ("plain", "tube"), label="network learned from films whose tube goes with")
IMAGE = Slider("image", 0, (0, 1, 2), 1.0)

OCCLUSION = Slide(
    "occlusion",
    "Occlusion",
    "R29",
    "A window is hidden everywhere in turn; the score falls where something was needed. It asks for scores alone, and "
    "costs a pass for each place.",
    "What would happen if two things were hidden together; and the fill is a picture, too: try black.",
    occlusion,
    "OcclusionPanels(({window},), (max(2, {window} // 3),), '{fill}')(model, x, 1)",
    'unfool explain "OcclusionPanels(({window},), fill=\'{fill}\')" unfool:lesions --model "unfool:lesions?net=plain" '
    "--target finding",
    (
        Slider("window", 5, (5, 9, 13), 1.0),
        Slider("fill", "inpaint", ("inpaint", "blur", "mean", "zero", "noise")),
        NET,
        IMAGE,
    ),
)
SALIENCY = Slide(
    "saliency",
    "Saliency: the gradient of a class score",
    "R30",
    "One pass back says how the logit would change with every pixel: its size, its sign, and times the input.",
    "How much each pixel did: a gradient is a slope, not a share. Times the input looks better mostly because it "
    "draws the input.",
    saliency,
    "Gradient()(model, x, 1)",
    'unfool explain Gradient unfool:lesions --model "unfool:lesions?net=plain" --target finding',
    (NET, IMAGE),
    (
        Erratum(
            "E11",
            "‘Class Activation Map’ over a slide that shows |∂score/∂x|",
            "That is gradient saliency; CAM is the sum of feature maps weighted by the last layer (Zhou et al., 2016).",
        ),
        Erratum(
            "E12",
            "the more accurate the classifier, the higher the score",
            "A gradient's size says nothing about accuracy; that of a probability vanishes where the network is sure. "
            "Take the logit, before the softmax.",
            True,
        ),
    ),
)
