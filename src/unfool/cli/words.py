"""What ``unfool explain`` writes over its pictures and into its table."""

from pathlib import Path
from typing import TYPE_CHECKING

from .pictures import Shown

if TYPE_CHECKING:
    from ..objectives import Objective


def explained(shown: Shown, row: int) -> str:
    """What was explained of one row, in words."""
    from ..attributions.counterfactual import Counterfactual

    what = _what(shown, shown.recipe.objective, shown.table.at("target", row).flatten().tolist())
    return f"against {what}" if isinstance(shown.recipe.method, Counterfactual) else what


def _what(shown: Shown, objective: "Objective | None", numbers: list[int]) -> str:
    from ..landmarks import Landmark
    from ..objectives import Between, Logit
    from ..targets import Box, Channel, Like, Neuron, Pixel, Segment

    if isinstance(objective, Like):
        return f"like {Path(shown.recipe.reference or 'the reference').name}"
    if isinstance(objective, (Channel, Neuron)) and objective.layer != "output":
        at = f" at {objective.position}" if isinstance(objective, Neuron) and objective.position else ""
        return f"{objective.layer}[{numbers[0]}]{at}"
    names = [shown.model.label_name(number) for number in numbers[:2]]
    if isinstance(objective, Between):
        return f"{names[1]} against {names[0]}"
    if isinstance(objective, Pixel):
        return f"{names[0]} at {tuple(numbers[1:])}"
    if isinstance(objective, Neuron):
        return f"{names[0]} at {objective.position or 'the middle'}"
    usual = objective is None or isinstance(objective, (Logit, Segment, Box, Landmark))
    return names[0] if usual else f"{objective!r} of {names[0]}"


def span(shown: Shown, row: int) -> str:
    """The map's raw range; of an empty map, that it is one."""
    from ..show.heat import spanned

    return spanned(shown.table.at("heat", row))


def beside(shown: Shown, row: int) -> str:
    """At which layer a map was made, how large it was there, and which share of its weights is positive."""
    if "layer" not in shown.table.columns:
        return ""
    names, share = layers(shown, row), float(shown.table.at("positive", row))
    place = names[0] if len(names) == 1 else f"{len(names)} layers"
    sides = shown.table.at("computed", row).tolist()
    coarse = (
        f", {'x'.join(map(str, sides))} interpolated"
        if sides != [*shown.table.at("heat", row).shape[1:]]
        else ""
    )
    return f"{place}{coarse}, {100 * share:.0f} % positive weights"


def met(shown: Shown, row: int) -> str:
    """How many operators followed a backward rule, by kind; 0 of a kind that it leaves alone."""
    names = [name for name in shown.table.columns if name.endswith("_met")]
    return ", ".join(f"{name.removesuffix('_met')} {int(shown.table.at(name, row))}" for name in names)


def layers(shown: Shown, row: int) -> list[str]:
    names = [*shown.model.layers]
    return [names[int(place)] for place in shown.table.at("layer", row).flatten()]
