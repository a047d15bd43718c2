"""The page on a network's view of series: films, profiles over time, and what is left once frames go."""

from typing import NamedTuple

import torch

from ...analysis.cine import ORDERS, Deleted, Series
from ...analysis.rates import Mean
from ...analysis.sanity import ANEW, Badge
from ...maps import strongest_channel
from ...show.cine import deletions, profiles
from ...show.film import frames_of, top_of
from ...show.grades import badged
from ...show.heat import map_picture, spanned
from ...show.regions import outlined
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name


class Seen(NamedTuple):
    """Everything on the page."""

    model: str
    recipe: str
    classes: tuple[str, ...]
    deleted: list[Deleted]
    series: list[Series]
    badges: list[Badge]
    """One for each method; none without series."""
    overlap: bool
    """Whether the answer is a region; else it is a probability."""

    @property
    def names(self) -> list[str]:
        return [repr(one.method) for one in self.deleted]

    @property
    def answer(self) -> str:
        return "overlap with the mask (Dice)" if self.overlap else "probability of the class"


def cine_page(seen: Seen) -> Page:
    return Page(
        f"Where {seen.model} looks, frame by frame",
        sentence(seen),
        [_films(seen), _deletion(seen)],
        LIMITS,
        seen.recipe,
        {"deletion": [numbers(one) for one in seen.deleted], "shown": [one.id for one in seen.series]}
        | {"badges": {one.method: one.as_dict() for one in seen.badges}},
    )


LIMITS = (
    "A large share in a frame does not say that the frame is needed: what is left once it goes does.",
    "A replaced frame makes a series that the network has never seen; the controls see as many of them.",
    "A map of a region lies about that region whatever the weights are, which alone makes maps of networks that have "
    "learned nothing like it: only a green badge says that where it looks was learned.",
    "One scale of colours holds for all frames of a film, not for two films.",
)


def sentence(seen: Seen) -> str:
    first = seen.deleted[0]
    told = [
        f"{one.method!r} {one.left['salient'][-1].mean:.2f}, random {one.left['random'][-1].mean:.2f}, "
        f"least {one.left['least'][-1].mean:.2f}"
        for one in seen.deleted
    ]
    return (
        f"{seen.answer[0].upper()}{seen.answer[1:]} of {first.n} series is {first.whole.mean:.2f}; "
        f"once the {first.frames[-1]} most salient frames are replaced: {'; '.join(told)}."
    )


SIDE = 120
MOMENTS = 6
"""How many frames of a series a page shows."""


def _films(seen: Seen) -> Section:
    figures: list[Figure] = []
    for k, one in enumerate(seen.series, 1):
        shares = dict(zip(seen.names, one.profiles, strict=True))
        figures.append(_strip(seen, one, k))
        figures.append(
            Figure(
                f"profile-{k}",
                profiles(one.signals, shares),
                f"{one.id}: brightness where the network finds each class, and each frame's share of the map.",
                "the dotted line, equal shares",
            )
        )
    text = (
        "The whole films are beside this page, one for each series and method. The band under each map says whether it "
        f"depends on what was learned: its rank correlation with maps of the same region by {ANEW}."
    )
    return Section("Over time", text, figures)


def _strip(seen: Seen, one: Series, k: int) -> Figure:
    """A few frames as they are, then each method's map over them, then its sum over time."""
    t = torch.linspace(0, one.x.shape[1] - 1, MOMENTS).round().long().tolist()
    plain = [Cell(one.x[:, i], [f"frame {i + 1}"]) for i in t]
    name = class_name(seen.classes, one.target)
    middle = one.x[:, int(one.profiles[0].argmax())]
    last = Cell(middle if one.here is None else outlined(middle, one.here), [f"{name} as predicted"])
    rows = [("series", [*plain, last])]
    scales = [
        f"{type(method.method).__name__} from {spanned(heat)}, colour is full at {top_of(heat):.3g}"
        for method, heat in zip(seen.deleted, one.maps, strict=True)
    ]
    for method, heat, share, badge in zip(seen.deleted, one.maps, one.profiles, seen.badges, strict=True):
        frames = [badged(frame, badge.verdict, badge.brief, SIDE) for frame in frames_of(one.x, heat)]
        cells = [Cell(frames[i], [f"share {100 * float(share[i]):.1f} %"]) for i in t]
        total = strongest_channel(heat[None])[0].abs().sum(1)
        summed = badged(map_picture(total), badge.verdict, badge.brief, SIDE)
        rows.append(
            (
                type(method.method).__name__,
                [*cells, Cell(summed, ["sum over time", f"up to {total.max():.3g}"])],
            )
        )
    return Figure(
        f"series-{k}",
        sheet([*[""] * MOMENTS, ""], rows, SIDE),
        f"{one.id}, explained: {name}. {'; '.join(scales)}.",
        "the series itself above the maps",
    )


def _deletion(seen: Seen) -> Section:
    sides = [
        (repr(one.method), one.frames, {order: [m[:3] for m in one.left[order]] for order in ORDERS})
        for one in seen.deleted
    ]
    chart = Figure(
        "deletion",
        deletions(sides, seen.answer),
        f"What is left once frames are replaced, mean of {seen.deleted[0].n} series with its 95 % interval.",
        "random frames and the least salient ones, as many",
    )
    header = ["method", "frames", "most salient", "random", "least salient", "random less salient"]
    rows = [
        [repr(one.method), str(n), *(told(one.left[o][i]) for o in ORDERS), told(one.gain[i])]
        for one in seen.deleted
        for i, n in enumerate(one.frames)
    ]
    text = "A map that knows which frames matter loses the answer before random frames do; one that does not, does not."
    return Section("Without frames", text, [chart], [Grid("", header, rows)])


def told(mean: Mean) -> str:
    value, low, high = (round(v, 2) + 0.0 for v in (mean.mean, mean.low, mean.high))  # never "-0.00"
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def numbers(one: Deleted) -> dict[str, object]:
    left = {order: [m._asdict() for m in one.left[order]] for order in ORDERS}
    gain = [m._asdict() for m in one.gain]
    whole = {"method": repr(one.method), "n": one.n, "frames": one.frames, "whole": one.whole._asdict()}
    return {**whole, "left": left, "random_less_salient": gain, "profile": one.profile.tolist()}
