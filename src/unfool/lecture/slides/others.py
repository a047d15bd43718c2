"""Attacks on models one does not have, and what helps: transfer, stickers, substitutes, training, one pixel."""

from ...analysis.hiding import compare_hiding
from ...analysis.substitute import disjoint
from ...analysis.substitute import study as study_substitute
from ...analysis.transfer import matrix
from ...attacks.gradient import PGD
from ...attacks.substitute import Substitute
from ...data.victims import Victims
from ...objectives import Margin
from ...regions import Linf
from ...report.page import Figure
from ...report.subjects.hiding import hiding_page
from ...report.subjects.transfer import transfer_page
from ...runs.hiding import Hiding, run_hiding
from ...runs.transfer import NINE, Transfer, run_transfer
from ...show.substitute import loop_diagram, question_curves
from ..kit import Kit
from ..making import counted_cost, from_page
from ..slide import Erratum, Made, Settings, Slide, Slider

DIGITS = "unfool:digits8"
DETECTORS = ("small", "twin", "wide", "narrow", "coarse", "broad")


def transfer(kit: Kit, settings: Settings) -> Made:
    named = tuple(f"{DIGITS}?{net}" for net in (NINE if kit.small == 1 else (*NINE[:2], NINE[6])))
    models, source = {address: kit.model(address) for address in named}, kit.source(DIGITS)
    attacked = tuple(a for a in named if models[a].access == "gradients")
    attack = PGD(steps=20, loss=Margin(), random_start=False)
    plan = Transfer(named, attacked, DIGITS, attack, Linf(float(settings["eps"])), limit=kit.few(200))
    found = kit.ran(plan, lambda at: run_transfer(plan, models, source, at))
    first = models[named[0]]
    page = transfer_page(
        matrix(found, source.batch(found.ids, first.view, first.classes).x), tuple(first.classes)
    )
    cost = [counted_cost(f"all of {len(attacked)} attacks and their answers", kit, len(found.ids))]
    return from_page(page, ["matrix", "image", "strip"], cost)


def missed(kit: Kit, settings: Settings) -> Made:
    del settings
    named = tuple(f"unfool:scenes?net={n}" for n in DETECTORS[: 6 if kit.small == 1 else 2])
    models, source = [kit.model(address) for address in named], Victims(kit.source("unfool:scenes"))
    plan = Hiding(named, attack=PGD(steps=20), sticker=None, limit=kit.few(24))
    found = kit.ran(plan, lambda at: run_hiding(plan, models, source, source, at))
    page = hiding_page(compare_hiding(found, models, 1))
    return from_page(page, ["scene-1", "found"], [counted_cost("all stickers", kit, plan.limit)])


def black_box(kit: Kit, settings: Settings) -> Made:
    address = {"conv": DIGITS, "svm": f"{DIGITS}?net=svm", "knn": f"{DIGITS}?net=knn"}[
        str(settings["oracle"])
    ]
    oracle, eps = kit.model(address), float(settings["eps"])
    how = Substitute(rounds=4 if kit.small == 1 else 1, seeds=100, steps=10, eps=(0.1, 0.2, 0.3))
    seeds, scored = disjoint(kit.source(DIGITS), oracle, how.seeds, kit.few(200), 0)
    found = study_substitute(how, oracle, seeds, scored, eps)
    asked = [one.asked for one in found.rounds]
    curves = {
        "agrees with the oracle": [one.agreement.interval for one in found.rounds],
        f"FGSM at {eps:g} fools the oracle": [one.transfer.interval for one in found.rounds],
        "random signs fool it": [one.control.interval for one in found.rounds],
    }
    figures = [
        Figure(
            "loop",
            loop_diagram(how.seeds, how.rounds, asked[-1], how.step),
            "",
            "the picture has no numbers to check",
        ),
        Figure(
            "questions",
            question_curves(asked, curves),
            f"n = {found.scored} images that are no seeds and that the oracle has right; 95 % intervals.",
            "random signs of the same size",
        ),
    ]
    last = found.rounds[-1]
    numbers = {
        "asked": asked,
        "agreement": [one.agreement.as_dict() for one in found.rounds],
        "transfer": [one.transfer.as_dict() for one in found.rounds],
        "control": last.control.as_dict(),
    }
    says = (
        f"{asked[-1]:,} labels teach a substitute that agrees with the oracle on {last.agreement}; what fools it fools "
        f"the oracle in {last.transfer}, random signs in {last.control}."
    )
    return Made(says, figures, numbers, [counted_cost("scoring, at the oracle", kit, found.scored)])


SLIDES = (
    Slide(
        "transfer",
        "Adversarial examples transfer",
        "R12",
        "What is made to fool one model fools others that were learned from other images, and others that are no "
        "networks at all. Rows: where it was made. Columns: who was shown it.",
        "Much, in the column of the tree: random signs of the same size fool it nearly as often.",
        transfer,
        "run_transfer(Transfer(models, within=Linf({eps})), …)",
        'unfool inspect transfer --within "Linf({eps})"',
        (Slider("eps", 0.2, (0.1, 0.2), 0.05),),
        (
            Erratum(
                "E22",
                "tested on 9 models",
                "Which paper the figure is from could not be established; the nine models here are named.",
            ),
        ),
    ),
    Slide(
        "missed",
        "Transferability: the stop sign nobody sees",
        "R13",
        "A sticker made on one detector hides the sign from it, and at times from others. Random and white stickers of "
        "the same size are the control.",
        "A road. The scenes are synthetic, and the detectors small.",
        missed,
        "hide(PGD(steps=20), model, x, objects(batch))",
        'unfool inspect hiding --sticker none --attack "PGD(steps=20)"',
    ),
    Slide(
        "black-box",
        "Black-box attack: only labels are told",
        "R14",
        "A substitute is taught by the oracle's labels on images a step along its own gradients; what fools it fools "
        "the oracle. Every label asked for is counted.",
        "How few questions would do: attacks that ask for labels alone (SurFree) may be cheaper for one image.",
        black_box,
        "study(Substitute(rounds=4, steps=10), oracle, seeds, scored, {eps})",
        'unfool attack "Substitute(rounds=4, steps=10)" unfool:digits8 --model unfool:digits8 --only labels',
        (
            Slider("oracle", "conv", ("conv", "svm", "knn")),
            Slider("eps", 0.2, (0.1, 0.2, 0.3), 0.05),
        ),
    ),
)
