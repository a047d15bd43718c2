"""What maps are good for: alarms, hot-spots, and a benchmark against what is there."""

from ...analysis.detect import study as study_alarms
from ...analysis.hotspots import review
from ...analysis.rates import mean_of, rate
from ...attacks.gradient import FGSM, PGD
from ...attributions.base import Attribution
from ...attributions.baselines import Brightness, CentrePrior, Edges, RandomMap
from ...attributions.cam import GradCAM, LayerCAM
from ...attributions.gradient import Gradient
from ...attributions.occlusion import Occlusion
from ...attributions.wrappers import SmoothGrad
from ...defences.saliency import SaliencyAlarm
from ...measures.grading import Grades
from ...measures.places import Overlap, Pointing
from ...method import Question
from ...regions import Linf
from ...report.page import Figure
from ...report.subjects.detect import detect_page
from ...report.subjects.hotspots import hotspots_page
from ...runs.detect import Detection, run_detection
from ...runs.hotspots import Hotspots, run_hotspots
from ...show.lines import Series, lines
from ..kit import Kit
from ..making import counted_cost, from_page
from ..slide import Erratum, Made, Settings, Slide, Slider
from .maps import FILMS


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
    found = kit.ran(
        plan, lambda at: run_detection(plan, model, kit.source(address), kit.source(plan.training), at)
    )
    page = detect_page(study_alarms(found, model))
    return from_page(
        page, ["past", "case"], [counted_cost("lessons, judging and attacks", kit, plan.limit or 1)]
    )


def useful(kit: Kit, settings: Settings) -> Made:
    address = {"tube": FILMS, "plain": f"{FILMS}?net=plain"}[str(settings["net"])]
    model, source = kit.model(address), kit.source(f"{FILMS}?shortcut=0")
    methods = (Occlusion((9,), (6,)), Gradient(), GradCAM())
    plan = Hotspots(address, f"{FILMS}?shortcut=0", 1, methods, sample=kit.few(120, 100), images=2)
    found = kit.ran(plan, lambda at: run_hotspots(plan, model, source, at))
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
