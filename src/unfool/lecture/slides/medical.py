"""Medical images: a reviewer's appendix, segmentation, series, alarms by saliency, hot-spots, a benchmark."""

import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ...analysis.cine import deleted, series_badges, shown_series
from ...analysis.detect import study as study_alarms
from ...analysis.hotspots import review
from ...analysis.landmarks import examples_of, landmarks_badge, representative, summary
from ...analysis.rates import mean_of, rate
from ...attacks.gradient import FGSM, PGD
from ...attributions.base import Attribution
from ...attributions.baselines import Brightness, CentrePrior, Edges, RandomMap
from ...attributions.cam import GradCAM, LayerCAM
from ...attributions.gradient import Gradient, IntegratedGradients
from ...attributions.occlusion import Occlusion
from ...attributions.wrappers import SmoothGrad
from ...defences.saliency import SaliencyAlarm
from ...measures.frames import FrameDeletion
from ...measures.grading import Grades
from ...measures.landmarks import LandmarkMass, located
from ...measures.places import Overlap, Pointing
from ...method import Question
from ...model import Model
from ...regions import Linf
from ...report.page import Figure
from ...report.subjects.cine import Seen, cine_page
from ...report.subjects.detect import detect_page
from ...report.subjects.hotspots import hotspots_page
from ...report.subjects.landmarks import Found, appendix_files, landmarks_page
from ...rows import Batch
from ...runs.detect import Detection, run_detection
from ...runs.hotspots import Hotspots, run_hotspots
from ...runs.local import question_of, run_recipe
from ...runs.recipe import Recipe
from ...show.heat import map_picture, overlay, spanned
from ...show.image import enlarged
from ...show.lines import Series, lines
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
    table = run_recipe(recipe, model, source, kit.folder(recipe))
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
    table = run_recipe(recipe, model, source, kit.folder(recipe))
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


def alarms(kit: Kit, settings: Settings) -> Made:
    del settings
    address = "unfool:digits8"
    model = kit.model(address)
    plan = Detection(
        address,
        address,
        f"{address}?split=train",
        (SaliencyAlarm(sees="image", epochs=5), SaliencyAlarm(sees="both", epochs=5)),
        (PGD(steps=10), FGSM()),
        (PGD(steps=10, random_start=False, momentum=0.75),),
        Linf(0.2),
        (0.2,),
        harmless=(),
        sample=kit.few(160, 100),
        limit=kit.few(40, 16),
    )
    found = run_detection(plan, model, kit.source(address), kit.source(plan.training), kit.folder(plan))
    page = detect_page(study_alarms(found, model))
    return from_page(
        page, ["past", "case"], [counted_cost("lessons, judging and attacks", kit, plan.limit or 1)]
    )


def useful(kit: Kit, settings: Settings) -> Made:
    address = {"tube": FILMS, "plain": f"{FILMS}?net=plain"}[str(settings["net"])]
    model, source = kit.model(address), kit.source(f"{FILMS}?shortcut=0")
    methods = (Occlusion((9,), (6,)), Gradient(), GradCAM())
    plan = Hotspots(address, f"{FILMS}?shortcut=0", 1, methods, sample=kit.few(120, 100), images=2)
    found = run_hotspots(plan, model, source, kit.folder(plan))
    page = hotspots_page(review(plan, found, model, source))
    return from_page(page, ["cases", "spots"], [counted_cost("maps of false positives", kit, plan.sample)])


BENCH: dict[str, Attribution] = {
    "occlusion": Occlusion((8,), (4,), "inpaint"),
    "Grad-CAM, middle": GradCAM("features.6"),
    "Grad-CAM, last": GradCAM("features.10"),
    "LayerCAM": LayerCAM("features.6"),
    "gradient": Gradient(),
    "SmoothGrad": SmoothGrad(samples=10),
    "brightness": Brightness(),
    "edges": Edges(),
    "centre": CentrePrior(),
    "random": RandomMap(),
}


def care(kit: Kit, settings: Settings) -> Made:
    size = str(settings["size"])
    address = f"{FILMS}?net=plain"
    model = kit.model(address)
    batch = kit.batch(f"{FILMS}?shortcut=0", 300, model)
    assert batch.masks is not None
    area = batch.masks.flatten(1).sum(1)
    seen = (batch.y == 1) & (model(batch.x).argmax(1) == 1)
    wanted = {"all": area > 0, "small": (area > 0) & (area <= 45), "large": area > 45}[size]
    some = batch[(seen & wanted).nonzero()[: kit.few(30), 0]]
    assert some.masks is not None
    overlaps, hits = list[tuple[float, float, float]](), list[tuple[float, float, float]]()
    numbers: dict[str, object] = {}
    for name, method in BENCH.items():
        told = Grades(method, (Overlap(), Pointing())).columns(Question(model, target=1), some)
        iou, hit = told[repr(Overlap())].nan_to_num(), told[repr(Pointing())]
        mean, touched = mean_of(iou.tolist()), rate(hit > 0.5)
        overlaps.append((mean.mean, max(0.0, mean.low), mean.high))
        hits.append(touched.interval)
        numbers[name] = {"overlap": mean._asdict(), "hit": touched.as_dict()}
    figure = Figure(
        "benchmark",
        lines(
            [
                Series(
                    name,
                    [k + shift for k in range(len(BENCH))],
                    [one[0] for one in found],
                    [one[1] for one in found],
                    [one[2] for one in found],
                    "dots",
                )
                for name, found, shift in (("overlap (IoU)", overlaps, -0.08), ("hit", hits, 0.08))
            ],
            "",
            "mean overlap, share of hits",
            share=True,
            ticks=range(len(BENCH)),
            names=list(BENCH),
            width=11,
        ),
        f"{len(some)} films with a finding that the network says so of ({size}); 95 % intervals.",
        "brightness, edges, the centre and random numbers, which know nothing of the network",
    )
    best = max(BENCH, key=lambda name: overlaps[list(BENCH).index(name)][0])
    says = (
        f"Best overlap: {best}, {overlaps[list(BENCH).index(best)][0]:.2f} on average of {len(some)} films."
    )
    return Made(says, [figure], {"n": len(some), **numbers}, [counted_cost("ten maps", kit, len(some))])


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
ALARMS = Slide(
    "alarms",
    "Saliency against adversarial examples",
    "R36",
    "Alarms that see the image alone, or its saliency beside it, against attacks that do not know of "
    "them and one that does. The "
    "number that counts is how often the latter fools network and alarm together.",
    "That saliency helps: the image alone does as well, and both ring at harmless noise.",
    alarms,
    "run_detection(Detection('unfool:digits8', 'unfool:digits8', 'unfool:digits8?split=train'), …)",
    "unfool inspect detect --limit 40 --sample 160",
    errata=(
        Erratum(
            "E21",
            "100 % on MNIST, above 90 % on CIFAR-10",
            "No evidence that saliency helps: an alarm that sees the image alone finds as many, rings at "
            "harmless noise, and "
            "an attack that knows the alarm gets past.",
        ),
    ),
)
USEFUL = Slide(
    "useful",
    "Saliency may be useful: the drain is the hot-spot",
    "R37",
    "False positives whose hot-spot is the drain tube; taking the tube out turns most of them, taking "
    "the same shape out "
    "elsewhere turns none.",
    "That it finds all short cuts: only those somebody can see, and take out.",
    useful,
    "run_hotspots(Hotspots('unfool:lesions', 'unfool:lesions?shortcut=0', 1), …)",
    'unfool inspect hotspots unfool:lesions "unfool:lesions?shortcut=0" --limit 200',
    (Slider("net", "tube", ("tube", "plain"), label="network learned from films whose tube goes with"),),
)
CARE = Slide(
    "care",
    "Saliency with care: a benchmark",
    "R38",
    "How well maps lie on the finding, as overlap with its mask and as hits of their strongest position, beside maps "
    "that know nothing of the network. Small findings are harder.",
    "What radiologists would reach: the truth here is the drawn mask, there is no second reader.",
    care,
    "Grades(GradCAM('features.6'), (Overlap(), Pointing())).columns(Question(model, target=1), batch)",
    'unfool explain "GradCAM(\'features.6\')" unfool:lesions --model "unfool:lesions?net=plain" --target '
    "finding --grade",
    (Slider("size", "all", ("all", "small", "large"), label="findings"),),
)
