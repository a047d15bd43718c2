"""``unfool inspect hiding``."""

from pathlib import Path

from ...errors import InputError
from ..running import RunOptions
from ..shared import ModelOptions, opened
from .shared import finish

SIX = ("small", "twin", "wide", "narrow", "coarse", "broad")
"""The embedded detectors, shown where none is named."""


def hiding(
    *detectors: str,
    data: str = "unfool:scenes",
    object: str = "",
    attack: str = "PGD(steps=40)",
    share: float = 0.5,
    altogether: bool = False,
    sticker: str = "Patch(side=0.5, shape='square', turn=5.0, zoom=0.0, camera=(Camera(),))",
    learn: str | None = None,
    limit: int = 100,
    images: int = 2,
    out: Path = Path("runs/hiding"),
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """What stickers hide from detectors: a sticker for each scene, and one that is learned for all.

    Makes stickers on each detector and shows them to all, as 8-bit files and as simulated photos; random and white
    squares of equal size are the controls. Stopped at any moment, the same command goes on from there.

    Parameters
    ----------
    detectors
        Addresses, such as unfool:scenes?net=wide, torchvision:ssdlite320_mobilenet_v3_large or file.py:function that
        gives unfool.detector(net); by default the six embedded ones.
    data
        unfool:scenes, or a .json of COCO's form, whose pictures lie beside it or in FILE.json?images=FOLDER.
    object
        The class to hide, by name; by default each picture's first object, of a .json its largest.
    attack
        What makes a sticker for each scene.
    share
        The sticker's width as a share of the object's.
    altogether
        Boxes of any class count: the object is not to be taken for another thing either.
    sticker
        What is learned as one sticker for all scenes; none learns nothing.
    learn
        Data to learn it on; by default the other split of embedded data, or what is not judged on.
    limit
        How many scenes at most, drawn by the seed; the learned sticker sees three times as many others.
    images
        How many scenes are shown.
    out
        The folder for the page and everything behind it.
    seed
        Where all random numbers come from.
    """
    from ...analysis.hiding import compare_hiding
    from ...attacks.base import Attack
    from ...attacks.hide import Hidden
    from ...attacks.learned import LearnedAttack
    from ...data.victims import Victims
    from ...report.subjects.hiding import hiding_page
    from ...runs.hiding import Hiding, run_hiding
    from ...spec import parse
    from ..learned import its_own_split

    if not detectors and not data.startswith("unfool:"):
        raise InputError("from which detectors?", "name them: torchvision:… file.py:function")
    named = detectors or tuple(f"unfool:scenes?net={name}" for name in SIX)
    networks = [loading.detector(address) for address in named]
    source = Victims(opened(data), object)
    goal, fit = Hidden(altogether=altogether), None if sticker == "none" else parse(sticker, LearnedAttack)
    learn = learn or its_own_split(data) or ""
    limit = limit if learn or not fit else min(limit, max(1, len(source.ids()) // 2))
    how = parse(attack, Attack)
    plan = Hiding(named, data, object, how, share, fit, learn, goal=goal, limit=limit, seed=seed)
    lessons = Victims(opened(learn), object) if learn else source
    with output.watching() as watch:
        found = run_hiding(plan, networks, source, lessons, out, watch)
    finish(hiding_page(compare_hiding(found, networks, images)), out, output)
