"""The nearest image of another class: a price on distance."""

from dataclasses import replace

from PIL import Image
from torch import Tensor

from ...analysis.rates import rate
from ...attacks.base import Attacked
from ...attacks.penalty import RegularisedTargeted
from ...model import Model
from ...objectives import LogProb
from ...query import Query
from ...report.page import Figure
from ...rows import Batch, Rng
from ...show.chart import price_of_distance
from ...show.sheet import Cell, sheet
from ..kit import Kit
from ..making import cost_of, counted_cost
from ..slide import Erratum, Made, Settings, Slide, Slider
from .made import answer

PRICES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)


def iterative(kit: Kit, settings: Settings) -> Made:
    model, price = kit.model("unfool:digits8"), float(settings["price"])
    batch = kit.right(model, "unfool:digits8", 50)
    goal = (batch.y + 1) % 10
    if settings["printed"]:
        return without_price(kit, model, batch, goal, price)
    method = RegularisedTargeted(steps=100, lambda_=price)

    def paid(price: float) -> Attacked:
        how = replace(method, lambda_=price)
        return kit.once(f"price {price}", lambda: how(model, batch.x, target=goal, ids=batch.ids))

    found, each = paid(price), [paid(one) for one in PRICES]
    rates = [rate(one.success) for one in each]
    far = [float(one.l2[one.success].mean()) for one in each]
    figures = [
        Figure(
            "pair",
            changed(model, batch, found.x, found.success),
            f"Towards the next digit at a price of {price:g} on the squared distance. Orange: reached.",
            "the upper row, the images as they are",
        ),
        Figure(
            "price",
            price_of_distance(PRICES, [one.interval for one in rates], far),
            f"n = {len(batch)}, with 95 % intervals.",
            "price 0, where nothing holds the image back",
        ),
    ]
    numbers = {
        "prices": PRICES,
        "success": [one.as_dict() for one in rates],
        "mean_l2_of_those": far,
        "here": {"price": price, "success": rate(found.success).as_dict()},
    }
    here = float(found.l2[found.success].mean()) if found.success.any() else float("nan")
    says = (
        f"At a price of {price:g}, {rate(found.success)} reach the target, {here:.2f} away in L2 on average."
    )
    return Made(says, figures, numbers, [cost_of(f"RegularisedTargeted at {price:g}", found, len(batch))])


def changed(model: Model, batch: Batch, x: Tensor, reached: Tensor, n: int = 7) -> Image.Image:
    before, after = answer(model, batch.x[:n]), answer(model, x[:n])
    delta = (x - batch.x)[:n]
    rows = [
        ("image", [Cell(one, [said]) for one, (said, _) in zip(batch.x[:n], before, strict=True)]),
        ("change", [Cell(one / 2 + 0.5, [f"L2 {float(one.norm()):.2f}"]) for one in delta]),
        (
            "both",
            [
                Cell(one, [said], bool(flag))
                for one, (said, _), flag in zip(x[:n], after, reached[:n], strict=True)
            ],
        ),
    ]
    return sheet([""] * len(delta), rows, side=104)


def without_price(kit: Kit, model: Model, batch: Batch, goal: Tensor, price: float) -> Made:
    """The printed update: the gradient of the cross-entropy alone, and no box."""
    x, rate_ = batch.x, 0.05
    with model.settled():
        for _ in range(100):
            query = Query(model, LogProb(), goal, Rng.seeded(0, batch.ids))
            x = x + rate_ * query.gradient(x).slope
    reached = model(x).argmax(1) == goal
    beyond = ((x < 0) | (x > 1)).float().mean()
    distance = float((x - batch.x).flatten(1).norm(dim=1).mean())
    figure = Figure(
        "pair",
        changed(model, batch, x, reached),
        f"As printed, the update is that of the cross-entropy alone: the price of {price:g} does nothing, and "
        f"{100 * float(beyond):.0f} % of the values end outside [0, 1], drawn here as if they had not.",
        "the upper row, the images as they are",
    )
    numbers = {"success": rate(reached).as_dict(), "outside_box": float(beyond), "mean_l2": distance}
    says = (
        f"Whatever the price, {rate(reached)} reach the target, {distance:.2f} away on average, with "
        f"{100 * float(beyond):.0f} % of the values no image can have."
    )
    return Made(says, [figure], numbers, [counted_cost("100 printed steps", kit, len(batch))])


ITERATIVE = Slide(
    "iterative",
    "Iterative method: the nearest gibbon",
    "R5",
    "With a price on the squared distance the result stays near the image. The dearer distance is, the nearer it "
    "stays, until the target is no longer reached: both curves fall.",
    "The smallest change there is: attacks that look for it (DeepFool, FMN, DDN) find smaller ones.",
    iterative,
    "RegularisedTargeted(steps=100, lambda_={price})(model, x, target=(y + 1) % 10)",
    'unfool attack "RegularisedTargeted(steps=100, lambda_={price})" unfool:digits8 --model unfool:digits8 --target 3',
    (Slider("price", 1.0, PRICES, 0.1, "price of distance"),),
    (
        Erratum(
            "E3",
            "the objective is ℓ_ce − λ‖x − x_ori‖², the update uses ∂ℓ_ce/∂x alone, without a box",
            "The update takes the gradient of the whole objective, x ← clip(x + α(∂log p_t/∂x − 2λ(x − x_ori))): "
            "else λ does nothing, and what comes out need not be an image.",
            True,
        ),
    ),
)
