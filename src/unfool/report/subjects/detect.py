"""The page on alarms: who gets past them, what they find, what they take harmless images for, what maps add."""

from ...analysis.detect import Case, Listener, Study, Told, harmless_kinds
from ...analysis.rates import Mean, Rate, percent
from ...runs.detect import ALL, CLEAN, SMALL
from ...show.alarms import beside, roc
from ...show.heat import map_picture
from ...show.lines import Series, lines
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name


def detect_page(found: Study) -> Page:
    sections = [
        _headline(found),
        _case(found),
        _curves(found),
        _attacks(found),
        _harmless(found),
        _gains(found),
    ]
    return Page(
        f"Alarms for {found.plan.model} over {found.plan.data}",
        sentence(found),
        [s for s in sections if s is not None],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "An attack that knows the alarm sets an upper limit to what the alarm is worth, not a lower one: a better "
    "attack may get past more often, never less.",
    "The rate of false alarms holds for images like those the threshold was set on. Images that were scanned, "
    "resized or compressed otherwise may ring far more often: see the harmless changes.",
    "What an alarm finds of attacks it has seen, or of attacks that did not know of it, says nothing of one that does.",
)


def best(found: Study) -> Listener:
    """The alarm that the fewest get past."""
    return min(found.listeners, key=lambda one: one.evasion[found.size].adaptive.value)


def sentence(found: Study) -> str:
    one = best(found)
    seen = one.evasion[found.size]
    return (
        f"Attacked together with the network, even the best of {len(found.listeners)} alarms ({one.name}) lets "
        f"{percent(seen.adaptive.value)} of {seen.adaptive.n} images fool the network unnoticed at {found.size:g}; "
        f"without any alarm {percent(seen.alone.value)} do, and of the same attack without knowledge of the alarm "
        f"{percent(seen.plain.value)} go unnoticed.{_gain_sentence(found)}"
    )


def _gain_sentence(found: Study) -> str:
    gains = [gain for gain in found.gains if gain.name.startswith("image and")]
    if not gains:
        return ""
    points = sorted(100 * gain.points.mean for gain in gains)
    low, high = (f"{points[k]:+.1f}" for k in (0, -1))
    return (
        " Seeing the saliency beside the image changes what is found of an attack that was not learned from by "
        f"{low if low == high else f'{low} to {high}'} points."
    )


def _headline(found: Study) -> Section:
    names = [one.name for one in found.listeners]
    at = [one.evasion[found.size] for one in found.listeners]
    series = {
        "attack through network and alarm": [e.adaptive.interval for e in at],
        "the same attack, unaware of the alarm": [e.plain.interval for e in at],
        "random signs": [e.noise.interval for e in at],
        "no alarm at all": [e.alone.interval for e in at],
    }
    curves = [_by_size(one) for one in found.listeners]
    alone = [e.alone for e in found.listeners[0].evasion.values()]
    curves.append(Series("no alarm", found.plan.sizes, [r.value for r in alone], style="control"))
    rows = [
        [
            one.name,
            str(e.adaptive.n),
            *(r.brief for r in (e.adaptive, e.plain, e.noise, e.alone)),
            one.flagged[CLEAN].brief,
        ]
        for one, e in zip(found.listeners, at, strict=True)
    ]
    adaptive = ", then ".join(map(repr, found.plan.adaptive))
    return Section(
        "Who gets past",
        f"Of the {found.right} images (of {found.n}) that the network has right, how many are taken for something "
        f"else and not called suspicious. The attack through both is {adaptive}; it climbs the network's loss until "
        f"the class has changed and then away from the alarm, whichever is wanted. Images are judged as 8-bit "
        f"files. Thresholds let {percent(found.plan.false)} of unchanged images ring; they are set on {found.held} "
        f"images that nothing was learned from.",
        [
            Figure(
                "past",
                beside(names, series, f"fool unnoticed, change of {found.size:g}"),
                "With 95 % intervals.",
                "random signs of equal size, and the network without an alarm",
            ),
            Figure(
                "sizes",
                lines(curves, "size of the change", "fool unnoticed", share=True, ticks=found.plan.sizes),
                "The attack through network and alarm at every size, with 95 % intervals.",
                "dotted, the network without an alarm",
            ),
        ],
        [
            Grid(
                f"Fool unnoticed at {found.size:g}, per cent",
                [
                    "alarm",
                    "n",
                    "knows the alarm",
                    "does not",
                    "random signs",
                    "no alarm",
                    "false alarms",
                ],
                rows,
            ),
            Grid(
                "How the attack's slope passes",
                ["alarm", "passage"],
                [[one.name, one.passage] for one in found.listeners],
            ),
        ],
    )


def _by_size(one: Listener) -> Series:
    rates = [e.adaptive for e in one.evasion.values()]
    low, high = [r.low for r in rates], [r.high for r in rates]
    return Series(one.name, list(one.evasion), [r.value for r in rates], low, high)


def _case(found: Study) -> Section | None:
    case = found.case
    if case is None:
        return None
    titles = ["unchanged", "attacked", "attacked past the alarm"]
    top = [_cell(found, case, k) for k in range(3)]
    below = [Cell(map_picture(m), ["" if m.any() else "empty: 0 everywhere"]) for m in case.maps]
    drawn = sheet(titles, [("image", top), ("saliency", below)], side=176)
    return Section(
        "One image",
        f"Image {case.id} as the alarm “{case.alarm}” sees it; it is suspicious above {case.threshold:.2f}.",
        [
            Figure(
                "case",
                drawn,
                "Maps are sizes, each with its largest value at 1.",
                "the unchanged image, first column",
            )
        ],
    )


def _cell(found: Study, case: Case, k: int) -> Cell:
    score = case.scores[k]
    said = "suspicious" if score > case.threshold else "quiet"
    return Cell(
        case.images[k],
        [class_name(found.classes, case.labels[k]), f"{score:.2f}, {said}"],
        score > case.threshold,
    )


def _curves(found: Study) -> Section:
    plain = {one.name: one.plain for one in found.listeners}
    adaptive = {one.name: one.adaptive for one in found.listeners}
    return Section(
        "Every threshold",
        "Images that fooled the network against images as they are. The attack that knows the alarm aims below its "
        "threshold, at the thin line, and stops there; at another threshold it would have aimed elsewhere.",
        [
            Figure(
                "roc-plain",
                roc(plain, found.plan.false, "the attack does not know the alarm"),
                f"{found.plan.attacks[0]!r} at {found.size:g}.",
                "dotted, chance",
            ),
            Figure(
                "roc-adaptive",
                roc(adaptive, found.plan.false, "the attack knows the alarm"),
                "Each alarm attacked by itself.",
                "dotted, chance, and the curves beside",
            ),
        ],
    )


def _attacks(found: Study) -> Section:
    names = [repr(attack) for attack in found.plan.attacks]
    known = [[one.name, *(_told(t) for t in one.known)] for one in found.listeners]
    unknown = [[one.name, *(_told(t) for t in one.unknown)] for one in found.listeners]
    sizes = [
        [f"{one.name}, {TAUGHT[lesson]}", *(t.found.brief if t.found.n else "–" for t in told.values())]
        for one in found.listeners
        for lesson, told in one.sizes.items()
    ]
    counts = [f"n = {t.found.n}" for t in found.listeners[0].known]
    titles = [f"{name} ({n})" for name, n in zip(names, counts, strict=True)]
    by_size = [f"{e:g} (n = {t.found.n})" for e, t in found.listeners[0].sizes[ALL].items()]
    return Section(
        "Attacks that do not know the alarm",
        f"Found at the threshold, per cent, then the area under the curve, each with its 95 % interval; n are images "
        f"that fooled the network. Alarms learned from {found.learned} training images.",
        tables=[
            Grid("Every attack learned from", ["alarm", *titles], known),
            Grid("The attack left out, the others learned from", ["alarm", *titles], unknown),
            Grid(f"{names[0]} by size of change, found", ["alarm", *by_size], sizes),
        ],
    )


TAUGHT = {ALL: "all attacks", SMALL: "the smallest size"}


def _told(told: Told) -> str:
    area = told.auroc
    ends = f"[{area.low:.3f}–{area.high:.3f}]".replace("1.000", "1")
    return f"{told.found.brief}; {area.mean:.3f} {ends}" if told.found.n else "–"


def _harmless(found: Study) -> Section:
    changes = [repr(change) for change in found.plan.harmless]
    noise = [f"random signs, {e:g}" for e in found.plan.sizes]
    kinds = dict(zip(harmless_kinds(found.plan), ["unchanged", *noise, *changes], strict=True))
    rows = [[kinds[kind], *(one.flagged[kind].brief for one in found.listeners)] for kind in kinds]
    taught = "were" if found.plan.noisy else "were not"
    return Section(
        "Harmless images that ring",
        f"Images that nobody meant to fool with, called suspicious, per cent with 95 % intervals (n = {found.n}). "
        f"Random changes {taught} among what the alarms were taught to be harmless (--noisy).",
        tables=[Grid("", ["change", *(one.name for one in found.listeners)], rows)],
    )


def _gains(found: Study) -> Section | None:
    if not found.gains:
        return None
    rows = [[g.name, g.attack, str(g.points.n), _points(g.points)] for g in found.gains]
    return Section(
        "What saliency adds to the image",
        "How many points more of the same images are found than by the alarm that sees the image alone, of an "
        "attack that neither has learned from; 95 % intervals by drawing images again.",
        tables=[Grid("", ["alarm", "attack left out", "n", "points"], rows)],
    )


def _points(gain: Mean) -> str:
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def numbers(found: Study) -> dict[str, object]:
    return {
        "n": found.n,
        "right": found.right,
        "learned_from": found.learned,
        "calibrated_on": found.held,
        "size": found.size,
        "alarms": {one.name: _numbers(one) for one in found.listeners},
        "gains": [g._asdict() | {"points": g.points._asdict()} for g in found.gains],
    }


def _numbers(one: Listener) -> dict[str, object]:
    told = lambda t: {"found": t.found.as_dict(), "auroc": t.auroc._asdict()}  # noqa: E731
    evasion = {f"{e:g}": {k: _rate(r) for k, r in v._asdict().items()} for e, v in one.evasion.items()}
    return {
        "alarm": repr(one.alarm),
        "passage": one.passage,
        "threshold": one.threshold,
        "fool_unnoticed": evasion,
        "harmless_flagged": {kind: r.as_dict() for kind, r in one.flagged.items()},
        "known": [told(t) for t in one.known],
        "left_out": [told(t) for t in one.unknown],
        "sizes": {s: {f"{e:g}": told(t) for e, t in v.items()} for s, v in one.sizes.items()},
    }


def _rate(value: Rate) -> dict[str, float]:
    return value.as_dict()
