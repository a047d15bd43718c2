"""Medical images: a reviewer's appendix, segmentation, series, alarms by saliency, hot-spots, a benchmark."""

import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ...analysis.cine import deleted, series_badges, shown_series
from ...analysis.landmarks import examples_of, landmarks_badge, representative, summary
from ...attributions.base import Attribution
from ...attributions.gradient import Gradient, IntegratedGradients
from ...attributions.wrappers import SmoothGrad
from ...measures.frames import FrameDeletion
from ...measures.landmarks import LandmarkMass, located
from ...model import Model
from ...report.page import Figure
from ...report.subjects.cine import Seen, cine_page
from ...report.subjects.landmarks import Found, appendix_files, landmarks_page
from ...rows import Batch
from ...runs.local import question_of, run_recipe
from ...runs.recipe import Recipe
from ...show.heat import map_picture, overlay, spanned
from ...show.image import enlarged
from ...show.regions import outlined
from ...show.sheet import Cell, sheet
from ...targets import Segment
from ..kit import Kit
from ..making import cost_of, counted_cost, from_page
from ..slide import Erratum, Made, Settings, Slide, Slider
from .maps import inside

SERIES, FILMS, SIDE = "unfool:cine", "unfool:lesions", 176


def reviewer(kit: Kit, settings: Settings) -> Made:
    address = "unfool:landmarks"
    model, source = kit.model(address), kit.source(address)
    method: Attribution = {"gradient": Gradient(), "smooth": SmoothGrad(samples=9)}[str(settings["method"])]
    measure = LandmarkMass(method)
    recipe = Recipe(measure, address, address, limit=kit.few(16), chunk=16)
    table = kit.ran(recipe, lambda at: run_recipe(recipe, model, source, at))
    why = representative(table, 3, 0)
    batch, question = source.batch(list(why), model.view, model.classes), question_of(recipe, model, source)
    examples = examples_of(measure, question, batch, why, located(model(batch.x)))
    sign = landmarks_badge(measure, question, batch)
    told = summary(tuple(model.classes), table, examples)
    found = Found(address, address, repr(recipe), measure, told, len(source.ids()), 0, sign)
    page = landmarks_page(found, appendix_files(found)["png"])
    made = from_page(
        page, ["appendix-figure"], [counted_cost("all maps", kit, len(table.ids))], lambda grid: True
    )
    (figure,) = made.figures
    assert isinstance(figure.drawn, Image.Image)
    wide = 1000, round(1000 * figure.drawn.height / figure.drawn.width)
    return made._replace(figures=[figure._replace(drawn=figure.drawn.resize(wide, Image.Resampling.LANCZOS))])


class Loss(nn.Module):
    """The mean cross-entropy of a map of scores, for the labels that the network itself gives."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        z = self.net(x)
        return F.cross_entropy(z, z.argmax(1), reduction="none").flatten(1).mean(1, keepdim=True)


def segmentation(kit: Kit, settings: Settings) -> Made:
    model, k = kit.model(SERIES), int(settings["image"])
    label = {"LV": 1, "RV": 2}[str(settings["region"])]
    batch = kit.batch(SERIES, [f"test/{k}"], model)
    found = Gradient()(model, batch.x, label, objective=Segment())
    said = model(batch.x).argmax(1)[0] == label
    heat = over_time(found.heat)
    if settings["printed"]:
        return by_mean_loss(kit, model, batch, heat, said)
    smooth = SmoothGrad(samples=10, sigma=0.1)(model, batch.x, label, objective=Segment())
    frame = batch.x[0, :, int(found.heat[0].abs().sum((0, 2, 3)).argmax())]
    everywhere = Gradient()(model, batch.x, label, objective=Segment("everywhere"))
    cells = [
        Cell(enlarged(frame, SIDE), ["the frame with most of it"]),
        Cell(enlarged(outlined(frame, said), SIDE), [f"{settings['region']}, as predicted"]),
        Cell(enlarged(map_picture(heat), SIDE), ["|∂ mean score / ∂x|", spanned(heat)]),
        Cell(enlarged(overlay(frame, heat), SIDE), ["over the frame"]),
        Cell(enlarged(map_picture(over_time(smooth.heat)), SIDE), ["SmoothGrad, n = 10"]),
        Cell(enlarged(map_picture(over_time(everywhere.heat)), SIDE), ["control: all of the image"]),
    ]
    share = inside(heat, said[None])
    figure = Figure(
        "saliency",
        sheet([""] * len(cells), [("", cells)], SIDE),
        "The size of the gradient of the mean score over the predicted region, summed over time: one pass back.",
        "the last panel, the same score over all of the image",
    )
    numbers = {"share_in_region": share, "area": float(said.float().mean())}
    says = (
        f"{100 * share:.0f} % of the map lies in the region, which is {100 * float(said.float().mean()):.1f} "
        f"% of the image."
    )
    return Made(says, [figure], numbers, [cost_of("Gradient of a region", found, 1)])


def over_time(heat: Tensor) -> Tensor:
    """Sizes of a map over a series [B, C, T, H, W], summed over time: [1, H, W] of the first."""
    return heat[:1].abs().amax(1).sum(1)


def by_mean_loss(kit: Kit, model: Model, batch: Batch, right: Tensor, said: Tensor) -> Made:
    """The gradient of the mean loss, as printed: where the network is sure there is next to nothing left."""
    lossy = Model(Loss(model.net), view=model.view, outputs="logits")
    found = Gradient()(lossy, batch.x, 0)
    heat = over_time(found.heat)
    cells = [
        Cell(enlarged(map_picture(right), SIDE), ["score of the region", spanned(right)]),
        Cell(enlarged(map_picture(heat), SIDE), ["mean loss, as printed", spanned(heat)]),
        Cell(enlarged(map_picture(right - heat), SIDE), ["their difference", "on the scale of the first"]),
    ]
    alike = float(F.cosine_similarity(right.flatten(), heat.flatten(), dim=0))
    figure = Figure(
        "loss",
        sheet(["", "", ""], [("", cells)], SIDE),
        "Both maps on their own scale; look at the ranges. The loss is that of the network's own labels.",
        "the map of the region's score",
    )
    sizes = [float(t.mean()) for t in (right, heat)]
    numbers = {
        "mean_size_score": sizes[0],
        "mean_size_loss": sizes[1],
        "cosine": alike,
        "area": float(said.float().mean()),
    }
    says = f"Mean size {sizes[0]:.2g} for the score, {sizes[1]:.2g} for the loss; cosine of the two maps {alike:.2f}."
    return Made(says, [figure], numbers, [cost_of("Gradient of the loss", found, 1)])


def dynamic(kit: Kit, settings: Settings) -> Made:
    model, source = kit.model(SERIES), kit.source(SERIES)
    method: Attribution = {"gradient": Gradient(), "integrated": IntegratedGradients(8, tolerance=1)}[
        str(settings["method"])
    ]
    label = {"LV": 1, "RV": 2}[str(settings["region"])]
    measure = FrameDeletion(method, (1, 2, 4, 8), 3)
    recipe = Recipe(measure, SERIES, SERIES, target=label, limit=kit.few(10), objective=Segment(), chunk=8)
    table = kit.ran(recipe, lambda at: run_recipe(recipe, model, source, at))
    question = question_of(recipe, model, source)
    batch = source.batch(table.ids[:1], model.view, model.classes)
    shown = shown_series([method], question, batch)
    signs = series_badges([method], question, batch, shown)
    page = cine_page(
        Seen(SERIES, repr(recipe), tuple(model.classes), [deleted(measure, table)], shown, signs, True)
    )
    return from_page(
        page, ["series-1", "profile-1", "deletion"], [counted_cost("maps and deletions", kit, len(table.ids))]
    )


REGION = Slider("region", "LV", ("LV", "RV"))
REVIEWER = Slide(
    "reviewer",
    "A reviewer asks: where does it look for landmarks?",
    "R21",
    "The appendix figure: for each landmark the map of its own peak, how much of the map lies about it, "
    "and a control for "
    "no landmark at all.",
    "A heart: these are rings with known landmarks. A map lies about its landmark whatever the weights "
    "are; see the badge.",
    reviewer,
    "run_recipe(Recipe(LandmarkMass(Gradient()), 'unfool:landmarks', 'unfool:landmarks'), …)",
    "unfool inspect landmarks --limit 16",
    (Slider("method", "gradient", ("gradient", "smooth")),),
)
SEGMENTATION = Slide(
    "segmentation",
    "Saliency of a segmentation",
    "R32",
    "The score of a whole region is explained by one pass back: the mean logit over where the network says LV, with "
    "respect to every pixel of every frame.",
    "Which pixel is responsible for which: the region's pixels share one map. The mask used is the predicted one.",
    segmentation,
    "Gradient()(model, x, {region}, objective=Segment())",
    'unfool explain Gradient unfool:cine --objective "Segment()" --target {region}',
    (REGION, Slider("image", 0, (0, 1, 2), 1.0)),
    (
        Erratum(
            "E14",
            "S = |∂ℓ_seg/∂x^(i)| with x^(i) both a pixel of the loss and of the input",
            "S_q = |∂L/∂x_q| for every input pixel q, with the labels said (true or predicted). A loss's map vanishes "
            "where the network is sure: take the score of the region.",
            True,
        ),
    ),
)
DYNAMIC = Slide(
    "dynamic",
    "Dynamic saliency: 2D + T",
    "R33",
    "The map of a series has frames, too: its share of each frame, and what is left of the overlap once the frames it "
    "calls important are replaced, beside random and least important ones.",
    "That saliency is larger while the bolus passes: it need not be. What counts is the order of deletion.",
    dynamic,
    "FrameDeletion(Gradient(), (1, 2, 4, 8), 3)",
    "unfool inspect cine --method Gradient --target {region} --limit 10",
    (REGION, Slider("method", "gradient", ("gradient", "integrated"))),
)
