"""Whether to trust it: short cuts, groups, what it knows, what one decision rests on."""

from ...analysis.counts import systems
from ...analysis.decision import Decision, decide
from ...analysis.envelope import fit_envelope
from ...analysis.outside import Watched, some_of, watch
from ...analysis.shortcuts import study
from ...attributions.cam import GradCAM
from ...attributions.gradient import Gradient
from ...attributions.occlusion import Occlusion
from ...data.counts import Counted, Counts
from ...regions import Linf
from ...report.subjects.decision import decision_page
from ...report.subjects.envelope import envelope_page
from ...report.subjects.groups import groups_page
from ...report.subjects.shortcuts import shortcuts_page
from ...runs.asked import Asked
from ...runs.shortcuts import Shortcuts, run_shortcuts
from ...synthesis.fooling import Fooling
from ..kit import Kit
from ..making import counted_cost, from_page
from ..slide import Cost, Made, Settings, Slide, Slider

TAGS = {"corner": "unfool:digits?tag=corner", "faint": "unfool:digits?tag=faint"}
PILOT = (385, 296, 318, 271)
"""Faces in the Pilot Parliaments Benchmark: lighter men and women, darker men and women."""
SHADES = {
    "IBM": (0.3, 7.1, 12.0, 34.7),
    "Face++": (0.8, 6.0, 0.7, 34.5),
    "Microsoft": (0.0, 1.7, 6.0, 20.8),
}
"""Per cent wrong of each group (Buolamwini & Gebru, 2018)."""
GROUPS = (("lighter", "male"), ("lighter", "female"), ("darker", "male"), ("darker", "female"))


def hans(kit: Kit, settings: Settings) -> Made:
    tag = str(settings["tag"])
    address, data = f"unfool:digits?net={tag}", TAGS[tag]
    model, source = kit.model(address), kit.source(data)
    plan = Shortcuts(address, data, 3, sample=kit.few(400, 120), images=4)
    table = kit.ran(plan, lambda at: run_shortcuts(plan, model, source, at))
    page = shortcuts_page(study(plan, table, model, source, None))
    edits = [figure.name for figure in page.figures if figure.name.endswith("-insert")][-1:]
    made = from_page(page, ["clusters", "cards", *edits])
    return made._replace(cost=[counted_cost("maps and edits", kit, len(table.ids))])


def fairness(kit: Kit, settings: Settings) -> Made:
    del kit
    shown = [str(settings["system"])] if settings["system"] != "all" else list(SHADES)
    rows = [
        Counted(name, group, n, n * wrong / 100)
        for name in shown
        for group, n, wrong in zip(GROUPS, PILOT, SHADES[name], strict=True)
    ]
    counts = Counts(("skin", "sex"), tuple(rows), True)
    page = groups_page("Gender Shades", counts, systems(counts, 0), "Gender Shades")
    splits = [figure.name for figure in page.figures if figure.name.endswith("skin-sex")][:1]
    return from_page(page, ["bars", *splits], [Cost("printed numbers, no network", 0, 0)])


def envelope(kit: Kit, settings: Settings) -> Made:
    address, alarm = "unfool:digits8", float(settings["alarm"])
    model, sample = kit.model(address), kit.few(500, 300)
    plan = Watched(
        address,
        address,
        f"{address}?split=train",
        alarm=alarm,
        edge=max(alarm, 0.05),
        within=Linf(0.2),
        fooling=Fooling(steps=60),
        images=kit.few(60),
        sample=sample,
    )
    learned = some_of(kit.source(f"{address}?split=train"), model, 1297, 0)
    ask = Asked(model)
    known = kit.once("envelope", lambda: fit_envelope(model, learned, None, 10, ask))
    found = watch(plan, known, some_of(kit.source(address), model, sample, 0), learned, None, ask)
    page = envelope_page(found)
    made = from_page(page, ["outside", "kinds", "auroc"], [counted_cost("all that is judged", kit, sample)])
    told = {name: page.numbers[name] for name in ("calibrated_on", "kinds", "right")}
    return made._replace(numbers=told)


def decision(kit: Kit, settings: Settings) -> Made:
    address, k = "unfool:digits", int(settings["image"])
    model = kit.model(address)
    methods = (Gradient(), GradCAM(), Occlusion())
    plan = Decision(address, address, f"test/{k}", f"{address}?split=train", methods=methods, sample=800)
    found = decide(plan, model, kit.source(address), kit.source(plan.training), None)
    page = decision_page(found)
    return from_page(page, ["evidence", "change", "nearest"], [counted_cost("the whole record", kit, 1)])


HANS = Slide(
    "hans",
    "Clever Hans: the right answer for the wrong reason",
    "R17",
    "Maps of one class fall into clusters; one of them is about a mark that has nothing to do with the "
    "digit. Putting the "
    "mark into other images, and taking it out, says whether the answer rests on it.",
    "A short cut by clusters alone: with the faint mark the clusters part as cleanly, and hardly any answer changes.",
    hans,
    "run_shortcuts(Shortcuts('unfool:digits?net={tag}', 'unfool:digits?tag={tag}', 3), …)",
    'unfool inspect shortcuts "unfool:digits?net={tag}" "unfool:digits?tag={tag}" --target 3 --limit 400',
    (Slider("tag", "corner", ("corner", "faint")),),
)
FAIRNESS = Slide(
    "fairness",
    "Fairness: whose errors?",
    "R18",
    "The printed table of Gender Shades as a chart, with the interval of each rate and the size of each group.",
    "A cause, nor how such systems do today; the counts are worked out from printed percentages.",
    fairness,
    "systems(counts, 0)",
    "unfool inspect groups examples/gender_shades.csv",
    (Slider("system", "all", ("all", *SHADES)),),
)
ALARM = Slide(
    "alarm",
    "Trust: which images does it know?",
    "R18, R19",
    "Noise, inverted and turned digits, fooling and adversarial images against an envelope of what the network has "
    "learned from: called inside, edge or outside, at a rate of false alarms that one chooses.",
    "A defence against attacks: whoever knows the envelope can stay inside it.",
    envelope,
    "judge(fit_envelope(model, learned), model, x, alarm={alarm})",
    "unfool inspect envelope unfool:digits8 --alarm {alarm}",
    (Slider("alarm", 0.01, (0.01, 0.05, 0.1), 0.01, "false alarms"),),
)
LEGAL = Slide(
    "legal",
    "The right to an explanation: one decision on one page",
    "R20",
    "What the answer is and how sure, which parts of the image it rests on, each map with its badge, the "
    "smallest changes "
    "that turn it, the nearest cases it has learned from.",
    "Why, as a person would say it. A map whose badge fails says nothing about what was learned.",
    decision,
    "decide(Decision('unfool:digits', 'unfool:digits', 'test/{image}'), model, data, learned, None)",
    'unfool inspect decision unfool:digits --id test/{image} --training "unfool:digits?split=train"',
    (Slider("image", 2, (1, 2, 3), 1.0),),
)
