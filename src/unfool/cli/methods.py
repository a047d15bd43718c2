"""``unfool methods``."""

from .shared import OutputOptions


def methods(
    name: str | None = None,
    *,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """What there is: every method, its options and its paper.

    Parameters
    ----------
    name
        One method, such as PGD; without it, all are listed by family.
    """
    from ..spec import find

    if name:
        _one(find(name.partition("(")[0]), output)
    else:
        _all(output)


def _all(output: OutputOptions) -> None:
    from ..spec import catalogue

    found = families()
    output.document(
        {family: {n: _summary(c) for n, c in catalogue(kind).items()} for family, kind in found.items()}
    )
    for family, kind in found.items():
        output.say(f"\n{family}")
        for name, cls in catalogue(kind).items():
            output.say(f"  {name:<20} {_summary(cls)}")
    output.say("\nunfool methods NAME lists a method's options.")


def families() -> dict[str, type]:
    from ..attacks.base import Attack
    from ..attacks.learned import LearnedAttack
    from ..attributions.base import Attribution
    from ..defences.alarm import Alarm
    from ..defences.certificate import Certificate
    from ..objectives import Objective
    from ..regions import Region
    from ..slopes import Slope
    from ..synthesis.base import Synthesis
    from ..synthesis.canvas import Canvas
    from ..synthesis.cleaning import Cleaning
    from ..synthesis.genomes import Encoding
    from ..training.base import Training
    from ..training.optimisers import Optimiser, Schedule
    from ..transforms import Transform

    return {
        "attacks": Attack,
        "learned attacks": LearnedAttack,
        "attributions": Attribution,
        "objectives": Objective,
        "regions": Region,
        "slopes": Slope,
        "synthesis": Synthesis,
        "canvases": Canvas,
        "cleaning": Cleaning,
        "encodings": Encoding,
        "transforms": Transform,
        "trainings": Training,
        "optimisers": Optimiser,
        "schedules": Schedule,
        "alarms": Alarm,
        "certificates": Certificate,
    }


def _one(cls: type, output: OutputOptions) -> None:
    from inspect import cleandoc

    from ..spec import options

    found = options(cls)
    shown = {o.name: {"default": None if o.required else repr(o.default), "help": o.help} for o in found}
    output.document({"name": cls.__name__, "doc": cleandoc(cls.__doc__ or ""), "options": shown})
    output.say(f"{cls.__name__}\n{cleandoc(cls.__doc__ or '')}\n")
    for option in found:
        kind = " or ".join(map(repr, option.choices)) or getattr(option.type, "__name__", str(option.type))
        default = "required" if option.required else f"default {option.default!r}"
        output.say(f"  {option.name}: {kind}{f' {option.bound}' if option.bound else ''}, {default}")
        if option.help:
            output.say("      " + option.help.replace("\n", "\n      "))


def _summary(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0]
