"""The page of a transfer matrix."""

import math

from ...analysis.rates import Rate, percent
from ...analysis.transfer import Matrix, Shown, spread_of_rates
from ...runs.transfer import RANDOM
from ...show.matrix import Answers, Cells, answer_strip, heat_map
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name


def transfer_page(found: Matrix, classes: tuple[str, ...]) -> Page:
    """The matrix with its random row, one image and everybody's answer to it, every rate with its interval."""
    return Page(
        f"Transfer of {found.plan.attack!r} within {found.plan.within} over {found.plan.data}",
        sentence(found),
        [_matrix(found), _strip(found, classes), _rates(found)],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "A column whose random row is high says little: that model is fooled by noise, not by the transfer.",
    "Only images that every model has right are counted; on others models may differ more.",
    "Only these models on these images: models alike in training and form share more than strangers would.",
    "An attack made to transfer (momentum, ensembles, transforms) would carry further; "
    "these are no upper bounds.",
)


def sentence(found: Matrix) -> str:
    low, high = spread_of_rates(found.others)
    quiet, loud = spread_of_rates(found.cells[RANDOM])
    return (
        f"Images made to fool one model fool others {percent(low)} to {percent(high)} of the time; "
        f"random signs of the same size {percent(quiet)} to {percent(loud)}. All models had "
        f"the {found.common} images right."
    )


def _matrix(found: Matrix) -> Section:
    victims = [found.names[v] for v in found.victims]
    sources = [*found.sources, RANDOM]
    cells = Cells(
        [*(found.names[s] for s in found.sources), "random signs"],
        victims,
        [[cell.value for cell in found.cells[s]] for s in sources],
        [[s != RANDOM and found.own(s, v) for v in found.victims] for s in sources],
        apart=1,
    )
    caption = (
        f"Per cent of {found.common} images (of {found.n}, those that all models have right) "
        "that the victim gets "
        "wrong; ringed where the victim is the source or part of it."
    )
    text = "Each row is an attack made on one model, each column a model that is shown the result as an 8-bit file."
    drawn = heat_map(cells, "attack made on", "shown to")
    return Section(
        "Who is fooled by whom",
        text,
        [Figure("matrix", drawn, caption, "the last row, random signs of equal size")],
    )


def _strip(found: Matrix, classes: tuple[str, ...]) -> Section:
    shown, source = found.shown, found.names[found.shown.source]
    rows = ["the image", f"made on {source}", "random signs"]
    cells = [
        Cell(
            image,
            [
                f"at most {float((image - shown.images[0]).abs().max()):.3g} away"
                if k
                else f"a {class_name(classes, shown.y)}"
            ],
        )
        for k, image in enumerate(shown.images)
    ]
    pictures = sheet(rows, [("", cells)], side=160)
    texts = [
        [_answer(classes, label, sure) for label, sure in zip(labels, confidences, strict=True)]
        for labels, confidences in zip(shown.labels, shown.confidences, strict=True)
    ]
    wrong = [[label != shown.y for label in labels] for labels in shown.labels]
    answers = Answers(rows, [found.names[v] for v in found.victims], texts, wrong)
    control = "the same image with random signs of equal size"
    return Section(
        "One image, everybody's answer",
        f"Image {shown.id}, the first that fools as many models as the median image does. "
        "Per cent where a model says how sure it is.",
        [
            Figure("image", pictures, "What the models were shown.", control),
            Figure("strip", answer_strip(answers), "Filled where the answer is wrong.", control),
        ],
    )


def _answer(classes: tuple[str, ...], label: int, sure: float) -> str:
    name = class_name(classes, label)[:12]
    return name if math.isnan(sure) else f"{name}  {100 * sure:.0f} %"


def _rates(found: Matrix) -> Section:
    names = [found.names[v] for v in found.victims]
    rows = [
        [found.names.get(source, "random signs"), *(_cell(cell) for cell in cells)]
        for source, cells in found.cells.items()
    ]
    clean = [["right without attack", *(_cell(rate) for rate in found.clean.values())]]
    header = ["", *names]
    return Section(
        "Every rate with its interval",
        f"95 % Wilson intervals; n = {found.common} in every cell of the matrix, {found.n} without attack.",
        tables=[
            Grid("Wrong, of images that all have right", ["attack made on", *names], rows),
            Grid("Each model by itself", header, clean),
        ],
    )


def _cell(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} ({100 * rate.low:.0f}–{100 * rate.high:.0f})"


def numbers(found: Matrix) -> dict[str, object]:
    return {
        "n": found.n,
        "common": found.common,
        "victims": found.victims,
        "clean": {victim: rate.as_dict() for victim, rate in found.clean.items()},
        "wrong": {
            source: {victim: cell.as_dict() for victim, cell in zip(found.victims, cells, strict=True)}
            for source, cells in found.cells.items()
        },
        "shown": _shown(found.shown),
    }


def _shown(shown: Shown) -> dict[str, object]:
    return {"id": shown.id, "label": shown.y, "source": shown.source, "answers": shown.labels}
