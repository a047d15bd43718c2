"""The page on probes: few labels and all, layer by layer, and what moving the image changes."""

from collections.abc import Sequence

from ...analysis.probe import Changes, Layer, Probed, Read
from ...analysis.rates import Mean
from ...measures.moving import ANGLES, SCALES
from ...runs.neighbours import RANDOM
from ...show.bars import bars
from ...show.lines import Series, lines
from ..page import Figure, Grid, Page, Section

NAMES = {"pixels": "pixels", RANDOM: "random weights", "features": "trained network"}


def probe_page(found: Probed) -> Page:
    plan = found.plan
    return Page(
        f"What linear models read in {plan.model}, over {plan.data}",
        sentence(found),
        [_few(found), layers(found), *_changes(found)],
        LIMITS,
        repr(plan),
        numbers(found),
    )


LIMITS = (
    "That a class can be read off a layer does not show that the network uses it there.",
    "Where the probes learn from images that the network has learned from, its features there are surer than of new "
    "ones; by default both sides are the data that are given.",
    "Intervals over draws say what other labels would give, those of all labels what other images to judge by would.",
    "Wider layers give a linear model more to choose from: widths are in the table.",
    "Named layers are read at their mean over positions, pixels on a grid of at most 32 positions a dimension.",
)


def sentence(found: Probed) -> str:
    shots = [s for s in found.plan.shots if s not in found.left_out]
    if not shots:
        told = {name: f"{100 * r.full.value:.1f} %" for name, r in found.spaces.items()}
        how = "From all labels"
    else:
        some = shots[len(shots) // 2]
        told = {name: f"{100 * r.few[some].mean:.1f} %" for name, r in found.spaces.items()}
        how = f"From {some} {'label' if some == 1 else 'labels'} a class"
    return (
        f"{how} a linear probe is right on {told['features']} of the images in the trained network's features, "
        f"on {told['pixels']} in pixels and on {told[RANDOM]} in features of random weights."
    )


def _few(found: Probed) -> Section:
    shots = [s for s in found.plan.shots if s not in found.left_out]
    series = {
        NAMES[name]: [
            *((r.few[s].mean, r.few[s].low, r.few[s].high) for s in shots),
            r.full.interval,
            r.voted.interval,
        ]
        for name, r in found.spaces.items()
    }
    groups = [*(f"{s} a class" for s in shots), "all labels", "5 neighbours"]
    left = ", ".join(map(str, found.left_out))
    note = f" Some class has fewer than {left} images to learn from." if left else ""
    return Section(
        "Few labels and all",
        f"Logistic regression learned from {found.n[0]} images at most, judged on {found.n[1]} others; the labels are "
        f"drawn {found.plan.draws} times. At the right the vote of the five nearest among all.{note}",
        [
            Figure(
                "labels",
                bars(groups, series, "share right", found.usual, "largest class"),
                "With 95 % intervals: over draws for few labels, over images for the others.",
                "pixels, and the same network with weights drawn anew",
            )
        ],
        [
            Grid(
                "",
                ["space", "numbers", *groups],
                [[NAMES[n], *_row(r, shots)] for n, r in found.spaces.items()],
            )
        ],
    )


def _row(r: Read, shots: list[int]) -> list[str]:
    return [str(r.wide), *(_mean(r.few[s]) for s in shots), str(r.full), str(r.voted)]


def _mean(m: Mean) -> str:
    return f"{100 * m.mean:.1f} [{100 * m.low:.1f}–{100 * m.high:.1f}] %"


def layers(found: Probed) -> Section:
    """How well each layer is read."""
    places = list(range(len(found.layers)))
    series = [
        Series(
            "linear probe",
            places,
            [one.full.value for one in found.layers],
            [one.full.low for one in found.layers],
            [one.full.high for one in found.layers],
        ),
        Series(
            "random weights",
            places[1:],
            [one.empty.value for one in found.layers if one.empty],
            [one.empty.low for one in found.layers if one.empty],
            [one.empty.high for one in found.layers if one.empty],
            style="dashes",
        ),
        Series("largest class", places, [found.usual] * len(places), style="control", colour=6),
    ]
    drawn = lines(series, _axis(found.layers), "share right", share=True, ticks=places, width=8.4)
    rows = [
        [one.name, str(one.wide), str(one.full), str(one.empty) if one.empty else ""] for one in found.layers
    ]
    return Section(
        "Layer by layer",
        "A linear probe learned from all labels on each layer's mean over positions, in the order in which the network "
        "runs; last is what the last linear layer is given.",
        [
            Figure(
                "layers",
                drawn,
                "With 95 % intervals.",
                "pixels at the left; dashed, the same layers with weights drawn anew",
            )
        ],
        [Grid("", ["layer", "numbers", "right", "random weights"], rows)],
    )


def _axis(layers: tuple[Layer, ...]) -> str:
    return ", ".join(f"{k}: {one.name}" for k, one in enumerate(layers))


def _changes(found: Probed) -> list[Section]:
    some = [one.changes for one in found.layers if one.changes is not None]
    return [moved(some, found.shifts)] if some else []


def moved(some: Sequence[Changes], shifts: Sequence[int]) -> Section:
    """How much each layer changes with the image; the shifts are in pixels."""
    axes = (
        ("shifts", shifts, "pixels to the right", [one.shifts for one in some]),
        ("angles", ANGLES, "degrees", [one.angles for one in some]),
        ("scales", SCALES, "times as large", [one.scales for one in some]),
    )
    figures = [
        Figure(
            name,
            _curves(some, places, axis, curves),
            f"Change with {axis}, mean over {some[0].shifts[0].n} images with its 95 % interval.",
            "the dotted line, how far another image is",
        )
        for name, places, axis, curves in axes
    ]
    steps = [*(f"{s} px" for s in shifts[1:]), *(f"{a}°" for a in ANGLES[1:])]
    header = ["layer", *steps, *(f"× {s:g}" for s in SCALES[1:])]
    rows = [[one.name, *(f"{m.mean:.2f} [{m.low:.2f}–{m.high:.2f}]" for m in _steps(one))] for one in some]
    return Section(
        "What moving, turning and enlarging the image changes",
        "How far a layer's whole output is from that for the image as it is, as a share of how far it is from that for "
        "another image: 0 is invariant, 1 is as another image. The border is repeated.",
        figures,
        [Grid("", header, rows)],
    )


def _steps(one: Changes) -> tuple[Mean, ...]:
    """All but those of the image as it is."""
    return (*one.shifts[1:], *one.angles[1:], *one.scales[1:])


def _curves(
    some: Sequence[Changes], places: Sequence[float], axis: str, curves: Sequence[tuple[Mean, ...]]
) -> str:
    series = [
        Series(
            one.name,
            places,
            [m.mean for m in curve],
            [m.low for m in curve],
            [m.high for m in curve],
            colour=6 if one.name == "pixels" else k - 1,
        )
        for k, (one, curve) in enumerate(zip(some, curves, strict=True))
    ]
    other = Series("another image", places, [1.0] * len(places), style="control", colour=6)
    return lines([*series, other], axis, "change of the output", ticks=places, width=6.4, height=3.2)


def told(one: Changes, shifts: Sequence[int]) -> dict[str, object]:
    """The same as numbers."""
    return {
        "shifts": {str(s): m._asdict() for s, m in zip(shifts, one.shifts, strict=True)},
        "angles": {str(a): m._asdict() for a, m in zip(ANGLES, one.angles, strict=True)},
        "scales": {str(s): m._asdict() for s, m in zip(SCALES, one.scales, strict=True)},
    }


def numbers(found: Probed) -> dict[str, object]:
    return {
        "learned_from": found.n[0],
        "judged_on": found.n[1],
        "largest_class": found.usual,
        "spaces": {
            NAMES[name]: {
                "numbers": r.wide,
                "few": {str(s): m._asdict() for s, m in r.few.items()},
                "all": r.full.as_dict(),
                "five_neighbours": r.voted.as_dict(),
            }
            for name, r in found.spaces.items()
        },
        "layers": [
            {
                "name": one.name,
                "numbers": one.wide,
                "all": one.full.as_dict(),
                "random_weights": one.empty.as_dict() if one.empty else None,
                **({} if one.changes is None else told(one.changes, found.shifts)),
            }
            for one in found.layers
        ],
    }
