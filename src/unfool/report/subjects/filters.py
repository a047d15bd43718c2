"""The page on first-layer filters."""

import torch

from ...analysis.filters import DEAD, DOUBLE, Filters
from ...show.filters import SHOWN_CHANNELS, filter_grid
from ..page import Figure, Grid, Page, Section
from .units import times

LIMITS = (
    "Smooth filters are a sign of enough training, not a proof; small ones (3 × 3) can hardly be judged by eye.",
    "The range that the network's normalisation gives its images is not in the filters, batch norm behind them is.",
)


def filters_page(model: str, found: Filters) -> Page:
    dead, noisy, double = int(found.dead.sum()), int(found.noisy.sum()), len(found.double)
    count, channels = found.weight.shape[:2]
    random = torch.empty_like(found.weight).normal_(
        0, float(found.weight.std()), generator=torch.Generator().manual_seed(0)
    )
    names = [_name(found, k) for k in range(count)]
    colour = (
        "In colour"
        if channels == 3
        else f"Each with its first {min(channels, SHOWN_CHANNELS)} channels side by side"
    )
    grids = [
        Figure(
            name,
            filter_grid(found.weight, own, names),
            f"{text} {colour}. Orange names are flagged: d dead, n noisy, = a double.",
            "the random filters below",
        )
        for name, own, text in (
            ("common", False, "All on one scale, grey is zero."),
            ("own", True, "Each over its own range, which makes the faint ones look like the strong."),
        )
    ]
    some = min(count, 16)
    control = Figure(
        "random",
        filter_grid(random[:some], False, [str(k) for k in range(some)]),
        "Random numbers of the same spread: what an untrained layer looks like.",
        "this is the control",
    )
    small = "" if min(found.weight.shape[2:]) >= 5 else " (too small to say which are noisy)"
    return Page(
        f"Filters of {model}, layer {found.layer}",
        f"{count} filters of {times(found.weight.shape[2:])} over {channels} channels{small}: {dead} dead, "
        f"{noisy} noisy, {double} pairs alike.",
        [
            Section(
                "Filters",
                "As they act on the image: batch norm behind the layer is folded in.",
                [*grids, control],
            ),
            Section(
                "Flags",
                f"Dead: a norm below {DEAD:g} of the median. Noisy: no peak in its spectrum and much of it at high "
                f"frequencies, where white noise has {100 * found.white:.0f} %. Alike: a cosine beyond ±{DOUBLE}.",
                tables=[Grid("", ["filter", "norm", "high frequencies", "flags"], _flagged(found))],
            ),
        ],
        LIMITS,
        f"{model} {found.layer}",
        numbers(found),
    )


def _flags(found: Filters, k: int) -> str:
    double = any(k in pair[:2] for pair in found.double)
    return "d" * bool(found.dead[k]) + "n" * bool(found.noisy[k]) + "=" * double


def _name(found: Filters, k: int) -> str:
    flags = _flags(found, k)
    return f"{k} {flags}" if flags else str(k)


def _flagged(found: Filters) -> list[list[str]]:
    """The flagged ones, and beside them the median filter."""
    middle = int(found.norm.argsort()[len(found.norm) // 2])
    rows = [k for k in range(len(found.norm)) if _flags(found, k)][:40]
    words = {"d": "dead", "n": "noisy", "=": "alike"}
    told = [(str(k), k, ", ".join(words[f] for f in _flags(found, k))) for k in rows]
    alike = [f"{a} and {b} ({c:+.2f})" for a, b, c in found.double[:40]]
    table = [
        [name, f"{float(found.norm[k]):.3g}", f"{100 * float(found.rough[k]):.0f} %", flags]
        for name, k, flags in [*told, (f"{middle} (median)", middle, "")]
    ]
    return table + [[pair, "", "", "alike"] for pair in alike]


def numbers(found: Filters) -> dict[str, object]:
    return {
        "layer": found.layer,
        "norm": found.norm.tolist(),
        "high_frequencies": found.rough.tolist(),
        "white_noise": found.white,
        "dead": found.dead.nonzero()[:, 0].tolist(),
        "noisy": found.noisy.nonzero()[:, 0].tolist(),
        "alike": [list(pair) for pair in found.double],
        "frequency": found.frequency.tolist(),
    }
