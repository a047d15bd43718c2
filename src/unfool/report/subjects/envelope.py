"""The page on an operating envelope: what is inside, what is outside and why, and whether the data have drifted."""

from ...analysis.envelope import SCORES
from ...analysis.outside import CONTROLS, STATUSES, Kind, Watch
from ...analysis.rates import Mean, Rate, percent
from ...show.groups import Dot, dot_plot
from ...show.lines import Series, lines
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name

SHOWN = 20


def envelope_page(found: Watch) -> Page:
    sections = [_statuses(found), _images(found), _auroc(found), _covariate(found), _labels(found)]
    return Page(
        f"Operating envelope of {found.plan.model} over {found.plan.data}",
        sentence(found),
        [s for s in sections if s.figures or s.tables],
        LIMITS + tuple(f"Not tried: {one}." for one in found.left_out),
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "This is no defence against adversarial images: an attacker who knows the envelope stays inside it, and those "
    "below were made without knowing of it.",
    "Inside says that the network has seen images like this, not that it is right; outside, that it has not, not that "
    "it is wrong.",
    "The false-alarm rate holds for images like those the envelope was calibrated on. Where every second training "
    "image was kept for that, new images of the same kind may be called outside more often: a network knows what it "
    "has learned from better than what it has not. --calibrate takes images that it has not learned from.",
    "Label shift is estimated as if each class still looked alike; where features have drifted it may mislead.",
)


def sentence(found: Watch) -> str:
    own = found.kinds[0].shares
    best = max(SCORES, key=lambda s: min((k.auroc[s].mean for k in _strange(found)), default=0.0))
    hard = min(_strange(found), key=lambda k: k.auroc[best].mean)
    return (
        f"Of {found.kinds[0].n} images {own['inside'].k} lie inside the envelope, {own['edge'].k} on its edge and "
        f"{own['outside'].k} outside ({percent(own['outside'].value)}, asked for: {percent(found.plan.alarm)}); "
        f"hardest to tell from them are {_plural(hard.name)}, AUROC {_num(hard.auroc[best])} by {best}. It is no "
        "defence against adversarial images."
    )


def _plural(name: str) -> str:
    return (
        "images with a random change"
        if name.startswith("random")
        else f"{name} images"
        if name != "noise"
        else name
    )


def _strange(found: Watch) -> list[Kind]:
    """What should be told from the data: not the control of the attack."""
    return [k for k in found.kinds[1:] if not k.name.startswith("random")]


def _num(m: Mean) -> str:
    return f"{m.mean:.3f} [{m.low:.3f}–{m.high:.3f}]"


def _told(r: Rate) -> str:
    return f"{r.brief} %" if r.n else "–"


def _statuses(found: Watch) -> Section:
    dots = [Dot(f"{k.name} (n = {k.n})", k.shares["outside"].interval) for k in found.kinds]
    rows = [
        [k.name, str(k.n), *(_told(k.shares[s]) for s in STATUSES), _told(k.changed) if k.changed else "–"]
        for k in found.kinds
    ]
    header = ["images", "n", *STATUSES, "taken for something else"]
    right = [[s, str(r.n), _told(r)] for s, r in found.right.items() if r.n]
    plan = found.plan
    return Section(
        "Inside, edge, outside",
        f"By three scores together: energy, the distance to the nearest class's mean (Mahalanobis, one covariance for "
        f"all), and that to the neighbour of rank {found.known.neighbours}, in the features that the last layer is "
        f"given. Calibrated on {found.known.known.shape[1]} images so that {percent(plan.alarm)} of such images are "
        f"called outside and {percent(plan.edge)} edge or outside.",
        [
            Figure(
                "outside",
                dot_plot(dots, "called outside", plan.alarm),
                "The share called outside, with 95 % intervals; dotted, the false-alarm rate asked for.",
                "the data themselves, and random changes as large as the adversarial ones",
            )
        ],
        [
            Grid("", header, rows),
            *(
                [Grid("How often the model is right on the data", ["status", "n", "right"], right)]
                if right
                else []
            ),
        ],
    )


def _images(found: Watch) -> Section:
    own = found.kinds[0].judged
    order = own.together.argsort(stable=True)[:SHOWN].tolist()
    rows = [[found.ids[k], own.status[k], f"{own.together[k]:.4f}", own.reason[k]] for k in order]
    cells = [
        (
            k.name,
            [Cell(x, [s], s == "outside") for x, s in zip(k.examples, k.judged.status, strict=False)],
        )
        for k in found.kinds
    ]
    columns = max(len(row) for _, row in cells)
    shown = [(name, row) for name, row in cells if len(row) == columns]
    figures = []
    if found.kinds[0].examples.ndim == 4:
        drawn = sheet([""] * columns, shown, side=88)
        figures = [Figure("kinds", drawn, "The first images of each kind.", "the data themselves, first row")]
    return Section(
        "Images and reasons",
        "The images of the data that are furthest outside. The number is the share of known images that are as far "
        "outside.",
        figures,
        [Grid("", ["image", "status", "share", "because"], rows)],
    )


def _auroc(found: Watch) -> Section:
    kinds, names = found.kinds[1:], [*SCORES, *CONTROLS]
    series = [
        Series(
            name,
            [j + 0.13 * (i - 2) for j in range(len(kinds))],
            [k.auroc[name].mean for k in kinds],
            [k.auroc[name].low for k in kinds],
            [k.auroc[name].high for k in kinds],
            "dots",
            (0, 1, 2, 5, 6)[i],
        )
        for i, name in enumerate(names)
    ]
    axis = ", ".join(f"{j}: {k.name}" for j, k in enumerate(kinds))
    drawn = lines(series, axis, "AUROC", share=True, ticks=list(range(len(kinds))), width=8.6)
    rows = [[k.name, str(k.n), *(_num(k.auroc[name]) for name in names)] for k in kinds]
    return Section(
        "How well each score tells them from the data",
        "The area under the curve of hits against false alarms: 0.5 is chance, 1 is never wrong. Intervals are "
        "DeLong's, 95 %.",
        [
            Figure(
                "auroc",
                drawn,
                "With 95 % intervals.",
                "random numbers, and how far the mean brightness is off",
            )
        ],
        [Grid("", ["images", "n", *names], rows)],
    )


def _covariate(found: Watch) -> Section:
    c = found.covariate
    if c is None:
        return Section("", "")
    rows = [[str(f.number), f"{f.distance:.3f}", _p(f.p), f"{f.psi:.3f}"] for f in c.features[:10]]
    told = [
        ["the data", str(c.told.right), _p(c.told.p)],
        ["control: halves of the known images", str(c.control.right), _p(c.control.p)],
    ]
    return Section(
        "Have the images drifted?",
        f"{c.differing} of {len(c.features)} features are distributed otherwise than in the known images "
        "(Kolmogorov and Smirnov, corrected by Holm). A logistic regression on the features learns to tell known "
        "images from new ones on half of them; on the other half chance is 50 %. A stability index above 0.25 is "
        "commonly called a shift.",
        tables=[
            Grid("A classifier that tells known images from new ones", ["", "right", "by chance"], told),
            Grid("The features furthest apart", ["feature", "distance", "p, Holm", "stability index"], rows),
        ],
    )


def _labels(found: Watch) -> Section:
    if not found.labels:
        return Section("", "")
    rows = [
        [
            class_name(found.classes, s.label),
            f"{100 * s.known:.1f} %",
            f"{100 * s.new:.1f} [{100 * s.low:.1f}–{100 * s.high:.1f}] %",
            "–" if s.counted is None else f"{100 * s.counted:.1f} %",
            "shifted" if s.shifted else "",
        ]
        for s in found.labels
    ]
    header = ["class", "known images", "estimated in the data", "by the data's labels", ""]
    return Section(
        "Do classes come as often as before?",
        "From what the model says of the data and how it mistakes classes for each other on labelled images "
        "(black-box shift estimation; training images, where no others were given). Intervals hold for all classes "
        "together, 95 %.",
        tables=[Grid("", header, rows)],
    )


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def numbers(found: Watch) -> dict[str, object]:
    own, c = found.kinds[0].judged, found.covariate
    return {
        "calibrated_on": found.known.known.shape[1],
        "kinds": {
            k.name: {
                "n": k.n,
                **{s: r.as_dict() for s, r in k.shares.items()},
                "auroc": {name: m._asdict() for name, m in k.auroc.items()},
                "changed": k.changed.as_dict() if k.changed else None,
            }
            for k in found.kinds
        },
        "right": {s: r.as_dict() for s, r in found.right.items()},
        "images": [
            {
                "id": found.ids[k],
                "status": own.status[k],
                "share_as_far": float(own.together[k]),
                "p": dict(zip(SCORES, own.p[:, k].tolist(), strict=True)),
                "because": own.reason[k],
            }
            for k in range(len(found.ids))
        ],
        "covariate_shift": None
        if c is None
        else {
            "features": [f._asdict() for f in c.features],
            "differing": c.differing,
            "told_apart": {"right": c.told.right.as_dict(), "p": c.told.p},
            "control": {"right": c.control.right.as_dict(), "p": c.control.p},
        },
        "label_shift": [s._asdict() | {"shifted": s.shifted} for s in found.labels],
    }
