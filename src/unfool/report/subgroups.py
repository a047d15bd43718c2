"""The groups of an audit: dots with intervals, beside groups drawn at random."""

from ..analysis.discrimination import BINS
from ..analysis.groups import LEAST, Attribute, Gap, Member, Subgroups
from ..analysis.rates import Mean, percent
from ..show.groups import Dot, dot_plot
from .page import Figure, Grid, Section

SHOWN = 40
"""How many groups of one attribute a figure shows."""
CONTROL = "the grey bars, within which 19 of 20 groups of that size lie that are drawn at random from the same images"


def subgroup_sections(found: Subgroups | None) -> list[Section]:
    if found is None:
        return []
    return [_all(found), *(_section(found, one) for one in found.attributes)]


def subgroups_sentence(found: Subgroups) -> str:
    """What an audit says of its groups in a sentence or two."""
    ranked = found.ranked
    if not ranked:
        return f"No group has {LEAST} images: too few to compare."
    name, worst = ranked[0]
    text = (
        f"Worst group: {worst.name} ({name}), error {percent(worst.error.value)} "
        f"[{percent(worst.error.low)}, {percent(worst.error.high)}], n = {worst.n}."
    )
    gaps = [a for a in found.attributes if a.error is not None]
    if not gaps:
        return text
    widest = max(gaps, key=lambda a: a.error.gap.mean if a.error else 0.0)
    assert widest.error is not None
    gap = f"Largest gap: {points(widest.error.gap)} by {widest.name}, between {between(widest.error)}"
    apart = [m for a in found.attributes for m in a.members if m.holm < 0.05]
    differ = f"{len(apart)} of {found.tested} groups differ from the rest after Holm's correction."
    return f"{text} {gap}; {chance(widest.error)}. {differ}"


def points(gap: Mean) -> str:
    return f"{100 * gap.mean:.1f} points [{100 * gap.low:.1f}, {100 * gap.high:.1f}]"


def between(gap: Gap) -> str:
    return f"{gap.worst} and {gap.best}"


def chance(gap: Gap) -> str:
    return (
        f"between random groups of the same sizes it is {100 * gap.chance[0]:.1f} points, "
        f"in 19 of 20 draws at most {100 * gap.chance[1]:.1f}"
    )


def _all(found: Subgroups) -> Section:
    rows = [
        [
            f"{name}: {m.name}",
            str(m.n),
            m.error.brief + " %",
            _p(m.holm),
            m.robust.brief + " %",
            _p(m.holm_robust),
        ]
        for name, m in found.ranked
    ]
    header = ["group", "n", "error", "differs from the rest", "right under attack", "differs from the rest"]
    return Section(
        "Groups that were named",
        f"{subgroups_sentence(found)} Of {found.n} images with labels. Groups of fewer than {LEAST} images are grey "
        f"and not ranked. Whether a group differs from all other images is Fisher's exact test, corrected by Holm for "
        f"{found.tested} groups; rates of true and false positives are corrected together, for both rates of each. "
        f"{_kinds(found)} Calibration is the expected calibration error over {BINS} bins of "
        "equal width; behind it what a perfectly calibrated network would show on as many images.",
        tables=[Grid("Ranked by their error", header, rows[:WORST])] if rows else [],
    )


WORST = 20


def _kinds(found: Subgroups) -> str:
    if found.positive is None:
        return (
            "Rates of true and false positives, precision and AUC are means over the classes, each against the rest; "
            "the rates are tested within each class (Cochran, Mantel and Haenszel)."
        )
    return f"True and false positives are of class {found.positive}."


def _section(found: Subgroups, one: Attribute) -> Section:
    shown = one.members[:SHOWN]
    few = {k for k, m in enumerate(one.members) if m.few}
    wrong = [Dot(m.name, m.error.interval, m.usual, m.few) for m in shown]
    total = sum(m.error.k for m in one.members) / found.n
    held = sum(m.robust.k for m in one.members) / found.n
    robust = [Dot(m.name, m.robust.interval, m.usual_robust, m.few) for m in shown]
    slug = one.name.replace(" × ", "-").replace(" ", "-")
    more = len(one.members) - len(shown)
    caption = f"With 95 % Wilson intervals; dotted, all images{f'; {more} more groups are not shown' if more else ''}."
    return Section(
        f"By {one.name}",
        _told(one),
        [
            Figure(f"groups-{slug}", dot_plot(wrong, "error", total), caption, CONTROL),
            Figure(
                f"groups-{slug}-robust", dot_plot(robust, "right under attack", held, 1), caption, CONTROL
            ),
        ],
        [
            Grid("", QUALITY, [_quality(m) for m in one.members], few),
            Grid("Under attack", ATTACK, [_attack(m) for m in one.members], few),
        ],
    )


def _told(one: Attribute) -> str:
    if one.error is None or one.robust is None:
        return f"Fewer than two groups have {LEAST} images: none is compared with another."
    return (
        f"Errors lie up to {points(one.error.gap)} apart, between {between(one.error)}; {chance(one.error)}. Under "
        f"attack, up to {points(one.robust.gap)} between {between(one.robust)}; {chance(one.robust)}. The intervals of "
        "the gaps hold for whichever two groups they turn out to be."
    )


DIFFERS = ["error differs", "TPR differs", "FPR differs"]
QUALITY = ["group", "n", "error", "TPR", "FPR", "PPV", "AUC", "calibration error", *DIFFERS]
ATTACK = ["group", "right under attack", "of those right, fooled", "right, worst of random", "p, Holm"]


def _quality(m: Member) -> list[str]:
    q = m.quality
    return [
        m.name,
        str(m.n),
        f"{m.error.brief} %",
        *(_share(one) for one in (q.tpr, q.fpr, q.ppv)),
        f"{q.auc.mean:.3f} [{q.auc.low:.3f}–{q.auc.high:.3f}]" if q.auc.n else "–",
        f"{_share(q.ece)}; {100 * q.ece_chance:.1f}",
        *("few" if m.few else _p(p) for p in (m.holm, m.holm_tpr, m.holm_fpr)),
    ]


def _attack(m: Member) -> list[str]:
    fooled = f"{m.fooled.brief} % of {m.fooled.n}" if m.fooled.n else "–"
    return [
        m.name,
        f"{m.robust.brief} %",
        fooled,
        f"{m.random.brief} %",
        "few" if m.few else _p(m.holm_robust),
    ]


def _share(one: Mean) -> str:
    return f"{100 * one.mean:.1f} [{100 * one.low:.1f}–{100 * one.high:.1f}] %" if one.n else "–"


def _p(p: float) -> str:
    if p != p:
        return "–"
    text = "< 0.001" if p < 0.001 else f"= {p:.3f}"
    return f"{'yes' if p < 0.05 else 'no'}, p {text}"
