"""The mean gradient of noisy copies, and the rules that bend gradients at rectifiers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...analysis.rates import mean_of
from ...attributions.base import Attribution, Explained
from ...attributions.gradient import Gradient
from ...attributions.rules import Bent, Deconv, Guided
from ...attributions.wrappers import SmoothGrad, SmoothGradSquared, VarGrad
from ...maps import spearman
from ...model import Model
from ...objectives import Logit, Objective
from ...query import Query
from ...report.page import Figure
from ...rows import Rng
from ...show.heat import map_picture, spanned
from ...show.image import enlarged
from ...show.lines import Series, lines
from ...show.sheet import Cell, sheet
from ...targets import Neuron
from ..kit import Kit
from ..making import cost_of, counted_cost
from ..slide import Erratum, Made, Settings, Slide, Slider
from .maps import IMAGE, NET, SIDE, anew, film


def monte_carlo(kit: Kit, settings: Settings) -> Made:
    model, batch = film(kit, settings)
    sigma, n = float(settings["sigma"]), int(settings["samples"])
    x = batch.x
    plain = Gradient()(model, x, 1)
    smooth = SmoothGrad(samples=n, sigma=sigma)(model, x, 1)
    if settings["printed"]:
        return with_rand(kit, model, x, sigma, n, plain, smooth)
    others = {
        "squared": SmoothGradSquared(samples=n, sigma=sigma),
        "variance": VarGrad(samples=n, sigma=sigma),
    }
    control = SmoothGrad(samples=n, sigma=sigma)(anew(kit, model), x, 1)
    cells = [
        Cell(enlarged(x[0], SIDE), ["the film"]),
        size_of(plain, "one gradient"),
        size_of(smooth, f"mean of {n}"),
        *(size_of(one(model, x, 1), name) for name, one in others.items()),
        size_of(control, "mean, random weights"),
    ]
    reference = kit.once(
        f"smooth {sigma} {settings['image']}",
        lambda: SmoothGrad(samples=120, sigma=sigma)(model, x, 1, seed=1),
    )
    counts = [2, 5, 10, 25, 50]
    alike = [cosine(SmoothGrad(samples=k, sigma=sigma)(model, x, 1).heat, reference.heat) for k in counts]
    figures = [
        Figure(
            "maps",
            sheet(
                ["film", "gradient", "SmoothGrad", "SmoothGrad²", "VarGrad", "control"], [("", cells)], SIDE
            ),
            f"Sizes; noise of {100 * sigma:g} % of the film's range, {n} copies.",
            "the last panel, the same network with weights drawn anew",
        ),
        Figure(
            "convergence",
            lines(
                [
                    Series("SmoothGrad", counts, alike),
                    Series(
                        "one gradient",
                        counts,
                        [cosine(plain.heat, reference.heat)] * len(counts),
                        style="control",
                    ),
                ],
                "copies n",
                "cosine with 120 others",
                log_x=True,
                ticks=counts,
            ),
            "How fast the mean settles.",
            "dotted, the gradient without any noise",
        ),
    ]
    numbers = {"copies": counts, "cosine": alike, "gradient_cosine": cosine(plain.heat, reference.heat)}
    at = cosine(smooth.heat, reference.heat)
    says = (
        f"The mean of {n} is {at:.3f} alike (cosine) to that of 120 others; the plain gradient "
        f"{cosine(plain.heat, reference.heat):.3f}."
    )
    return Made(says, figures, numbers, [cost_of(f"SmoothGrad, n = {n}", smooth, 1)])


def size_of(found: Explained, told: str) -> Cell:
    size = found.map[0].abs()
    return Cell(enlarged(map_picture(size), SIDE), [told, spanned(size)])


def cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))


def with_rand(
    kit: Kit, model: Model, x: Tensor, sigma: float, n: int, plain: Explained, right: Explained
) -> Made:
    """``X + sigma * rand``: noise that is never below zero, a third as wide; sizes are averaged, not gradients."""
    spread = sigma * float(x.max() - x.min())
    draw = kit.generator(0)
    total, sizes, bright = torch.zeros_like(x), torch.zeros_like(x), 0.0
    with model.settled():
        for _ in range(n):
            noisy = x + spread * torch.rand(x.shape, generator=draw)
            query = Query(model, Logit(), torch.tensor([1]), Rng.seeded(0, [0]))
            slope = query.gradient(noisy).slope
            total, sizes, bright = (
                total + slope / n,
                sizes + slope.abs() / n,
                bright + float(noisy.mean()) / n,
            )
        lifted = SmoothGrad(samples=n, sigma=sigma / 12**0.5)(model, (x + spread / 2).clamp(0, 1), 1)
    cells = [
        Cell(enlarged(x[0], SIDE), [f"mean brightness {float(x.mean()):.3f}"]),
        Cell(enlarged((x[0] + spread / 2).clamp(0, 1), SIDE), [f"with rand: {bright:.3f}"]),
        size_of(right, "right: N(0, σ²)"),
        Cell(enlarged(map_picture(total[0].abs()), SIDE), ["printed: rand", spanned(total[0].abs())]),
        Cell(enlarged(map_picture(sizes[0]), SIDE), ["mean of sizes", spanned(sizes[0])]),
        size_of(plain, "no noise"),
    ]
    figure = Figure(
        "rand",
        sheet(
            ["film", "what is seen", "SmoothGrad", "as printed", "and with |·| first", "control"],
            [("", cells)],
            SIDE,
        ),
        "np.random.rand gives numbers in [0, 1): the film gets brighter by σ/2 and the noise is 3.5 times too narrow. "
        "(As printed the code stops at once: rand takes whole numbers, not a shape, and the sum was never begun.)",
        "the gradient without noise",
    )
    numbers = {
        "brightness": float(x.mean()),
        "brightness_with_rand": bright,
        "cosine_printed_and_right": cosine(total, right.heat),
        "cosine_printed_and_brightened": cosine(total, lifted.heat),
        "cosine_printed_and_plain": cosine(total, plain.heat),
    }
    says = (
        f"The film gets brighter, {float(x.mean()):.3f} to {bright:.3f}. Cosine of the printed map with the right one "
        f"{numbers['cosine_printed_and_right']:.3f}, with SmoothGrad of the brightened film "
        f"{numbers['cosine_printed_and_brightened']:.3f}."
    )
    return Made(says, [figure], numbers, [counted_cost("both", kit, 1)])


RULES: Mapping[str, Callable[[], Attribution]] = {
    "gradient": Gradient,
    "deconvnet": lambda: Bent(rule=Deconv()),
    "guided": lambda: Bent(rule=Guided()),
}


def rules(kit: Kit, settings: Settings) -> Made:
    address = "unfool:digits"
    model, layer, k = kit.model(address), str(settings["layer"]), int(settings["image"])
    batch = kit.right(model, address, 8)
    x = batch.x[k : k + 1]
    activation = model.trace(x, (layer,))[layer][0]
    best = activation.flatten(1).amax(1).argsort(descending=True)[:3].tolist()
    empty, rows, cost = anew(kit, model), [], []
    for channel in best:
        place = torch.unravel_index(activation[channel].argmax(), activation[channel].shape)
        unit: Objective = Neuron(layer, tuple(int(i) for i in place))
        cells = [Cell(enlarged(x[0], SIDE), [f"channel {channel} at {int(place[0])}, {int(place[1])}"])]
        for name, make in RULES.items():
            found = make()(model, x, channel, objective=unit)
            cells.append(Cell(enlarged(map_picture(found.heat[0]), SIDE), [name, spanned(found.heat[0])]))
            if not rows:
                cost.append(cost_of(name, found, 1))
        random = Bent()(empty, x, channel, objective=unit)
        cells.append(Cell(enlarged(map_picture(random.heat[0]), SIDE), ["guided", spanned(random.heat[0])]))
        rows.append((f"unit {len(rows) + 1}", cells))
    y = model(batch.x).argmax(1)
    with_random: dict[str, Any] = {}
    for name, make in RULES.items():
        ours, theirs = (make()(one, batch.x, y).map.abs() for one in (model, empty))
        with_random[name] = mean_of(spearman(ours, theirs).tolist())._asdict()
    figure = Figure(
        "rules",
        sheet(["digit", *RULES, "control: random weights"], rows, SIDE),
        f"What in the digit drives three units of {layer}, by the gradient and the two rules that bend it at "
        f"rectifiers.",
        "the last column, guided backpropagation through a network that has learned nothing",
    )
    told = ", ".join(f"{name} {one['mean']:.2f}" for name, one in with_random.items())
    says = f"Rank correlation of class maps with those of random weights (n = {len(batch)}): {told}."
    return Made(says, [figure], {"rank_correlation_random_weights": with_random}, cost)


MONTE_CARLO = Slide(
    "monte-carlo",
    "Monte-Carlo: SmoothGrad",
    "R31",
    "The mean gradient of noisy copies is less speckled; how much noise and how many copies is up to "
    "you. Every copy costs "
    "a pass forward and one back.",
    "That the smoother map is truer: of the mean of squares and of the variance even less is due to learning.",
    monte_carlo,
    "SmoothGrad(samples={samples}, sigma={sigma})(model, x, 1)",
    'unfool explain "SmoothGrad(samples={samples}, sigma={sigma})" unfool:lesions --model "unfool:lesions?net=plain" '
    "--target finding",
    (
        Slider("sigma", 0.15, (0.05, 0.1, 0.15, 0.2, 0.3, 0.5), 0.01, "σ, share of the range"),
        Slider("samples", 25, (5, 10, 25, 50), 1.0, "copies n"),
        NET,
        IMAGE,
    ),
    (
        Erratum(
            "E13",
            "saliency_map += compute(X + sigma * np.random.rand(X.shape))",
            "Noise from N(0, σ²), σ a share of max − min (randn, not rand); a sum that begins at zero; and the mean of "
            "signed gradients, of which the size is taken last.",
            True,
        ),
    ),
)


GUIDED = Slide(
    "guided",
    "Guided backpropagation",
    "R39",
    "What in the image drives single units: the gradient, the deconvnet's rule, and both together, which is guided "
    "backpropagation. It is the cleanest picture of the three.",
    "What was learned: through random weights it is nearly as clean, see the control.",
    rules,
    "Bent(rule=Guided())(model, x, channel, objective=Neuron('{layer}', place))",
    'unfool explain "Bent()" unfool:digits --objective "Neuron(\'{layer}\')" --target 0',
    (Slider("layer", "features.4", ("features.2", "features.4")), Slider("image", 1, (0, 1, 2), 1.0)),
    (
        Erratum(
            "E18",
            "‘Guided backprop’ over ‘take one activation, compute its gradient to x’",
            "That is the plain gradient of a neuron; guided backpropagation is the rule at rectifiers on the "
            "last slide.",
        ),
    ),
)
