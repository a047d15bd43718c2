"""Images that classes and units like best, by gradient ascent."""

import torch

from ...analysis.units import selective
from ...report.page import Figure
from ...report.subjects.units import patch_cells
from ...show.sheet import Cell, sheet
from ...synthesis.canvas import Fourier, Pixels
from ...synthesis.cleaning import Blur
from ...synthesis.looks import looks_of
from ...synthesis.maximise import Maximise
from ...targets import Neuron
from ...views import from_uint8, to_uint8
from ..kit import Kit
from ..making import cost_of
from ..slide import Made, Settings, Slide, Slider
from .looking import DIGITS, looked_at


def classes(kit: Kit, settings: Settings) -> Made:
    model, price = kit.model(DIGITS), float(settings["price"])
    learned = kit.batch(f"{DIGITS}?split=train", 1297, model)
    looks = looks_of(learned.x.split(64))
    method = {
        "pixels": Maximise(Pixels(), (), 100, 0.5, "plain", price),
        "blurred": Maximise(Pixels(), (), 100, 0.5, "plain", price, cleaning=(Blur(),)),
        "Fourier": Maximise(Fourier(), steps=128, l2=price),
    }[str(settings["canvas"])]
    found = method(model, range(10), start=looks)
    saved = from_uint8(to_uint8(found.x))
    sure, score = model(saved).softmax(1).diagonal(), model(saved).diagonal()
    real = model(learned.x).gather(1, learned.y[:, None])[:, 0]
    best = torch.stack([real[learned.y == k].max() for k in range(10)])
    far = torch.cdist(saved.flatten(1), learned.x.flatten(1))
    above = [
        Cell(x, [f"{100 * float(p):.1f} %", f"logit {float(z):.0f}"])
        for x, p, z in zip(saved, sure, score, strict=True)
    ]
    tops = [int(torch.where(learned.y == k, real, -torch.inf).argmax()) for k in range(10)]
    below = [
        Cell(learned.x[k], [f"logit {float(z):.0f}", f"L2 {float(d):.1f}"])
        for k, z, d in zip(tops, best, far.amin(1), strict=True)
    ]
    figures = [
        Figure(
            "gallery",
            sheet([f"“{k}”" for k in range(10)], [("drawn", above), ("best real", below)], 88),
            "What raises each logit most, at its price on size, over the real digit with the largest logit; L2 is the "
            "distance of the drawn one to the nearest of all.",
            "the real digits below",
        )
    ]
    times = float((score / best).median())
    numbers = {
        "score": score,
        "confidence": sure,
        "best_real": best,
        "nearest_l2": far.amin(1),
        "times": times,
    }
    says = (
        f"The drawn ones reach {times:.1f} times the logit of the best real digits (median of ten classes)."
    )
    return Made(says, figures, numbers, [cost_of("Maximise, a class", found, 10)])


def layers(kit: Kit, settings: Settings) -> Made:
    layer = str(settings["layer"])
    model, _, one, gallery = looked_at(kit, layer, 300)
    chosen = selective(one.units, 8)
    looks = looks_of(kit.batch(f"{DIGITS}?split=train", 300, model).x.split(64))
    drawn = Maximise(Fourier(), steps=100)(model, chosen, start=looks, objective=Neuron(layer))
    noise = torch.rand(64, *drawn.x.shape[1:], generator=kit.generator(0))
    chance = model.trace(noise, (layer,))[layer].detach().flatten(2).amax(2).amax(0)
    best = one.units.value[:, 0]
    cells = [
        Cell(x, [f"{float(z):.2g}", f"{float(z / best[c]):.2f} × best"])
        for x, z, c in zip(drawn.x, drawn.score, chosen, strict=True)
    ]
    first = [patch_cells(one, gallery.patches(one, c))[:3] for c in chosen]
    rows = [("drawn", cells), *((f"patch {k + 1}", [each[k] for each in first]) for k in range(3))]
    rows.append(("noise", [Cell(noise[0], [f"{float(chance[c]):.2g}", "best of 64"]) for c in chosen]))
    figure = Figure(
        "units",
        sheet([f"unit {c}" for c in chosen], rows, 96),
        f"Units of {layer}: the image that its middle position likes best, over the real patches that fire it most.",
        "the last row, the best of 64 images of noise",
    )
    times = (drawn.score / best[chosen]).median()
    numbers = {"channels": chosen, "score": drawn.score, "best_real": best[chosen], "noise": chance[chosen]}
    says = (
        f"Drawn images reach {float(times):.2f} times the best real patch (median of {len(chosen)} units of "
        f"{layer})."
    )
    return Made(says, [figure], numbers, [cost_of("Maximise, a unit", drawn, len(chosen))])


CLASSES = Slide(
    "classes",
    "Gradient ascent: what a class looks like",
    "R40",
    "Climbing a class's logit from grey, with a price on size: what the network would most call that digit.",
    "A digit: nothing asks for one. Other canvases give other looks of the same network.",
    classes,
    "Maximise(Pixels(), (), 100, 0.5, 'plain', {price})(model, range(10), start=looks)",
    "unfool maximise --method \"Maximise(Pixels(), (), 100, 0.5, 'plain', {price})\" --model unfool:digits",
    (
        Slider("price", 0.1, (0.0, 0.03, 0.1, 0.3), 0.01, "price of size λ"),
        Slider("canvas", "pixels", ("pixels", "blurred", "Fourier")),
    ),
)
LAYERS = Slide(
    "layers",
    "Gradient ascent: what units like, layer by layer",
    "R41",
    "For the most selective units of a layer, the drawn image beside the real patches that fire them: "
    "where both agree, "
    "the unit is about what they share.",
    "That a unit is about one thing: dead units are left out, and the drawn image is one of many.",
    layers,
    "Maximise(Fourier(), steps=100)(model, channels, objective=Neuron('{layer}'))",
    'unfool inspect units unfool:digits --layer {layer} --draw "Maximise(Fourier(), steps=100)"',
    (Slider("layer", "features.5", ("features.1", "features.3", "features.5")),),
)
