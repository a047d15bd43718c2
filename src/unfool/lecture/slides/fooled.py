"""The first slides: an image changed so little that nobody sees it, and images that show nothing at all."""

import torch

from ...attacks.gradient import FGSM
from ...attacks.noise import RandomNoise
from ...regions import Linf
from ...report.page import Figure
from ...show.chart import confidence_by_step
from ...show.sheet import Cell, sheet
from ...synthesis.cppn import CPPN
from ...synthesis.fooling import MapElites
from ...views import from_uint8, to_uint8
from ..kit import Kit
from ..making import cost_of
from ..slide import Made, Settings, Slide, Slider

IMAGES = 8


def panda(kit: Kit, settings: Settings) -> Made:
    model = kit.model("unfool:digits")
    batch = kit.right(model, "unfool:digits", IMAGES)
    eps, k = float(settings["eps"]), int(settings["image"]) % len(batch)
    x, y = batch.x[k : k + 1], batch.y[k : k + 1]
    within = Linf(max(eps, 1e-9))
    fooled = FGSM()(model, x, y, within=within, ids=batch.ids[k : k + 1])
    noise = RandomNoise()(model, x, y, within=within, ids=batch.ids[k : k + 1])
    saved, random = (from_uint8(to_uint8(found.x)) for found in (fooled, noise))
    said = model(torch.cat([x, saved, random])).softmax(1)
    told = [f"“{model.label_name(int(p.argmax()))}” {100 * float(p.max()):.1f} %" for p in said]
    delta = (saved - x)[0]
    cells = [
        Cell(x[0], [told[0], "the image"]),
        Cell(delta.sign() / 2 + 0.5, ["its sign", "as large as can be drawn"], edge=True),
        Cell(delta + 0.5, [f"its size: {float(delta.abs().max()):.3f}", "as it is, about grey"]),
        Cell(saved[0], [told[1], "saved with 8 bits, read again"], bool(said[1].argmax() != y)),
        Cell(random[0], [told[2], "random signs of that size"], bool(said[2].argmax() != y)),
    ]
    titles = ["x", "the change", "the change", "x + the change", "control"]
    figure = Figure(
        "triptych",
        sheet(titles, [("", cells)], side=168),
        f"FGSM within Linf({eps:g}), judged on the 8-bit file.",
        "random signs of the same size, the last panel",
    )
    numbers = {
        "label": int(y),
        "said": [int(p.argmax()) for p in said],
        "confidence": [float(p.max()) for p in said],
        "linf": float(delta.abs().max()),
        "fooled": bool(said[1].argmax() != y),
        "random_fooled": bool(said[2].argmax() != y),
    }
    says = f"{told[0]} becomes {told[1]}; with random signs of the same size it is {told[2]}."
    return Made(says, [figure], numbers, [cost_of("FGSM", fooled, 1)])


def negative(kit: Kit, settings: Settings) -> Made:
    model = kit.model("unfool:digits8")
    generations = int(settings["generations"])
    encoding = {"pixels": MapElites(), "patterns": MapElites(CPPN())}[str(settings["encoding"])]
    method = type(encoding)(encoding.encoding, generations=generations)
    learned = kit.batch("unfool:digits8?split=train", 1297).x
    made = method(model, range(10), start=torch.full((1, 1, 8, 8), 0.5))
    saved = from_uint8(to_uint8(made.x))
    sure = model(saved).softmax(1).diagonal()
    far = torch.cdist(saved.flatten(1), learned.flatten(1))
    nearest, distance = learned[far.argmin(1)], far.amin(1)
    noise = kit.generator(0)
    plainly = model(torch.rand(1000 // kit.small, 1, 8, 8, generator=noise)).softmax(1).amax(1)
    share = float((plainly > 0.99).float().mean())
    rows = [
        ("made", [Cell(x, [f"{100 * float(p):.2f} %"]) for x, p in zip(saved, sure, strict=True)]),
        (
            "nearest",
            [Cell(x, [f"L2 {float(d):.1f}"]) for x, d in zip(nearest, distance, strict=True)],
        ),
    ]
    figures = [
        Figure(
            "classes",
            sheet([f"“{k}”" for k in range(10)], rows, side=72),
            "What the network calls each digit, judged on the 8-bit file, over the nearest of 1,297 digits it "
            "learned from.",
            "the nearest real digit and its distance",
        ),
        Figure(
            "generations",
            confidence_by_step(made.history, 0.9999),
            "The median over ten classes; dotted: 99.99 %.",
            f"of {len(plainly)} images of plain noise the network is 99 % sure of {100 * share:.1f} %",
        ),
    ]
    certain = int((sure > 0.9999).sum())
    numbers = {
        "confidence": sure,
        "above_9999": certain,
        "nearest_l2": distance,
        "noise_above_99": share,
        "n_noise": len(plainly),
    }
    says = (
        f"{certain} of 10 classes are above 99.99 % after {generations} generations, on images that show nothing; "
        f"of plain noise the network is 99 % sure of {100 * share:.1f} %."
    )
    return Made(says, figures, numbers, [cost_of(f"{type(method).__name__}, a class", made, 10)])


SLIDES = (
    Slide(
        "panda",
        "Hacked: the panda that is a gibbon",
        "R2, R3",
        "One step along the sign of the gradient, too small to see on a photograph, changes the answer and leaves the "
        "network sure. The answer is that to the file as it was saved.",
        "That it is as easy everywhere: a digit has far fewer pixels than a photograph, so the change is larger "
        "than the 0.007 of the published panda. That random changes do nothing: look at the control as eps grows.",
        panda,
        "FGSM()(model, x, y, within=Linf({eps}))",
        'unfool attack FGSM unfool:digits --within "Linf({eps})"',
        (
            Slider("eps", 0.1, (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3), 0.01),
            Slider("image", 1, (0, 1, 2, 3), 1.0),
        ),
    ),
    Slide(
        "negative",
        "Negative examples: sure of nothing",
        "R6",
        "A network must give every image to some class. Evolution finds, for each class, an image that means "
        "nothing to "
        "people and of which the network is certain.",
        "That such images are far from all real ones: the distance to the nearest digit is written below each. And "
        "being sure of noise is no feat of the search: the control says how often plain noise is enough.",
        negative,
        "MapElites(generations={generations})(model, range(10))",
        'unfool maximise --method "MapElites(generations={generations})" --model unfool:digits8',
        (
            Slider("generations", 25, (1, 5, 10, 25, 50), 1.0),
            Slider("encoding", "pixels", ("pixels", "patterns")),
        ),
    ),
)
