"""The page of a training: its curves, what it changed, each class, and what it cost."""

from typing import Any

from ...analysis.rates import Rate, percent
from ...analysis.training import Trained, rates_of
from ...region import size_text
from ...show.chart import dots
from ...show.lines import Series, lines
from ..page import Figure, Grid, Page, Section

KINDS = ("as they are", "after one step (FGSM)", "under attack")
MOST = 20
"""How many classes are drawn."""


def training_page(found: Trained) -> Page:
    """What was learned, judged on images that were not learned from."""
    course = found.course
    return Page(
        f"{course.train.method!r} within {course.within}: {course.model} on {course.data}",
        sentence(found),
        [_epochs(found), _change(found), _classes(found), _cost(found)],
        limits(found),
        repr(course),
        numbers(found),
    )


def sentence(found: Trained) -> str:
    """What was gained and lost."""
    clean, robust = (found.told("after", name) for name in ("clean", "attack"))
    before = [percent(found.told("before", name).value) for name in ("clean", "attack")]
    return (
        f"Within {found.course.within} {robust} images stay right under attack, where {before[1]} did before; "
        f"unchanged {percent(clean.value)} are right, where {before[0]} were."
    )


def limits(found: Trained) -> list[str]:
    """What the numbers do not say."""
    kept = (
        "Nothing was chosen by these images"
        if found.apart
        else (
            "The last word is over the images by which the best epoch was chosen, so it is a little too good"
        )
    )
    return [
        f"{kept}; the attack is {found.course.judge!r}, and others may find more: unfool audit tries several.",
        f"Nothing is said of changes outside {found.course.within}, nor of other norms.",
        "Seconds are of this machine, with whatever else it had to do; passes do not depend on it.",
        *(note[0].upper() + note[1:] + "." for note in found.log.notes),
    ]


def _epochs(found: Trained) -> Section:
    epochs = found.log.epochs
    told = [rates_of(epoch) for epoch in epochs]
    series = [
        _series(name, [e.number for e in epochs], [row[k] for row in told]) for k, name in enumerate(KINDS)
    ]
    alarms = [epoch.number for epoch in epochs if epoch.overfitted]
    caption = f"Share of {epochs[0].n} images kept back that is right after each epoch, with 95 % Wilson intervals. "
    caption += f"Kept: epoch {found.best.number}. "
    caption += _alarmed(found, alarms)
    chart = lines(series, "epoch", "share right", share=True, ticks=ticks(len(epochs)))
    rows = [
        [
            str(e.number),
            "" if e.loss is None else f"{e.loss:.4f}",
            *(rate.brief for rate in row),
            f"{e.seconds:.1f}",
        ]
        for e, row in zip(epochs, told, strict=True)
    ]
    header = ["epoch", "loss", *KINDS, "seconds"]
    figure = Figure("epochs", chart, caption, "epoch 0, the network before it has learned anything")
    return Section(
        "Epoch by epoch",
        f"n = {epochs[0].n}, always the same images with the same random starts.",
        [figure],
        [Grid("In per cent, with 95 % Wilson intervals", header, rows)],
    )


def ticks(n: int) -> list[int]:
    """Some of the epochs from 0 to n - 1, whole numbers."""
    return list(range(0, n, max(1, round(n / 10))))


def _alarmed(found: Trained, alarms: list[int]) -> str:
    if not alarms:
        return "At no epoch was one step resisted and the attack not."
    done = {
        "stop": "training was stopped",
        "adapt": "it went back and on against more steps",
        "tell": "it went on",
    }
    where = ", ".join(map(str, alarms))
    return f"One step was resisted and the attack not at epoch {where}: {done[found.course.alarm]}."


def _series(
    name: str, x: list[Any], told: list[Rate], style: Any = "line", colour: int | None = None
) -> Series:
    return Series(
        name, x, [r.value for r in told], [r.low for r in told], [r.high for r in told], style, colour
    )


def _change(found: Trained) -> Section:
    radii = [0.0, *found.curves.radii]
    kinds = {"one step": "fgsm", "attack": "attack", "worst of 10 random": "random"}
    series = [
        _series(f"{when}, {name}", radii, found.curve(when, run), _style(when, run), k)
        for when in ("after", "before")
        for k, (name, run) in enumerate(kinds.items())
    ]
    rows = [
        [f"{when}, {name}", *(rate.brief for rate in found.curve(when, run))]
        for when in ("before", "after")
        for name, run in kinds.items()
    ]
    n = found.told("after", "clean").n
    over = "images that nothing was chosen by" if found.apart else "images by which the best epoch was chosen"
    header = ["", *(size_text(r) for r in radii)]
    norm = found.course.within.norm.__name__
    chart = lines(series, f"size of the change, {norm}", "share still right", share=True)
    caption = f"{n} {over}; dashed before, drawn through after; bands are 95 % Wilson intervals."
    figure = Figure("before-after", chart, caption, "random changes of the same size, dotted")
    return Section(
        "Before and after",
        f"The network as it came and as it is now, over {over}.",
        [figure],
        [Grid(f"Right in per cent, n = {n}, by the size of the change in {norm}", header, rows)],
    )


def _style(when: str, run: str) -> str:
    return "control" if run == "random" else "line" if when == "after" else "dashes"


def _classes(found: Trained) -> Section:
    weakest = sorted(found.by_class, key=lambda one: one.robust.value)
    rows = [
        [one.name, str(one.clean.n), *(r.brief for r in (one.clean, one.fgsm, one.robust))] for one in weakest
    ]
    grey = [k for k, row in enumerate(rows) if int(row[1]) < 30]
    drawn = dots([(one.name, one.clean.interval, one.robust.interval) for one in weakest[:MOST]])
    caption = f"The weakest {min(MOST, len(weakest))} classes, with 95 % Wilson intervals."
    return Section(
        "Class by class",
        f"At epoch {found.best.number}, the weakest first; grey where there are fewer than 30 images.",
        [Figure("classes", drawn, caption, "the same images unchanged")],
        [Grid("Right in per cent, with 95 % Wilson intervals", ["class", "n", *KINDS], rows, grey)],
    )


def _cost(found: Trained) -> Section:
    cost = found.cost
    rows = [
        ["forward passes of an image in an epoch", f"{cost.forward:.2f}", "1"],
        ["backward passes", f"{cost.backward:.2f}", "1"],
        ["passes, times natural training's", f"{cost.passes:.2f}", "1"],
    ]
    if cost.seconds is not None and cost.natural is not None:
        rows.append(["seconds of an epoch, the median", f"{cost.seconds:.2f}", f"{cost.natural:.2f}"])
        rows.append(["seconds, times natural training's", f"{cost.times or 0:.2f}", "1"])
    text = (
        f"{found.log.images} images an epoch. Natural training is the control: its passes are counted by "
        "definition, its seconds timed on six updates of a copy. A backward pass to the image alone is cheaper than "
        "one to the weights."
    )
    return Section("What it cost", text, tables=[Grid("", ["", "this training", "natural"], rows)])


def numbers(found: Trained) -> dict[str, Any]:
    """All of it for programs."""
    cost = found.cost
    epochs = [
        {"epoch": e.number, "updates": e.updates, "method": e.method, "loss": e.loss, "seconds": e.seconds}
        | {"overfitted": e.overfitted, "processes": e.world, "by_class": e.counts}
        | {k: r.as_dict() for k, r in zip(("clean", "fgsm", "robust"), rates_of(e), strict=True)}
        for e in found.log.epochs
    ]
    curves = {
        when: {name: [rate.as_dict() for rate in found.curve(when, name)] for name in tables}
        for when, tables in found.curves.tables.items()
    }
    classes = {
        one.name: {k: getattr(one, k).as_dict() for k in ("clean", "fgsm", "robust")}
        for one in found.by_class
    }
    return {
        "kept": found.best.number,
        "stopped": found.log.stopped,
        "notes": found.log.notes,
        "epochs": epochs,
        "radii": [0.0, *found.curves.radii],
        "curves": curves,
        "clean": found.told("after", "clean").as_dict(),
        "robust": found.told("after", "attack").as_dict(),
        "by_class": classes,
        "cost": {
            "forward": cost.forward,
            "backward": cost.backward,
            "seconds": cost.seconds,
            "natural_seconds": cost.natural,
        },
    }
