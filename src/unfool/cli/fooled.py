"""What ``unfool maximise`` tells of images that a model is certain of and that mean nothing to people."""

from typing import TYPE_CHECKING, Any

from .shared import OutputOptions

if TYPE_CHECKING:
    from ..model import Model
    from .liked import Made

SURE = 0.9999


def told(made: "Made", model: "Model", noise: int, seed: int, output: OutputOptions) -> dict[str, Any]:
    """Print what was found, and give it as numbers. The control is how sure the network is of plain noise."""
    import torch

    from ..analysis.fooling import noise_control, usual_distance

    sure, near, batch, y = made.sure, made.near, made.batch, [unit.number for unit in made.units]
    levels = [0.5, 0.99, SURE, float(sure.median())]
    control = noise_control(model, batch.x[:1], levels, noise, seed)
    which, usual = made.real(near.which), usual_distance(batch.x)
    rows = [
        [unit.name, f"{float(sure[k]):.6f}", f"{float(near.distance[k]):.3g}", which[k]]
        for k, unit in enumerate(made.units)
    ]
    output.table("", ["class", "confidence of the file", "L2 to the nearest real", "which"], rows)
    many, alike = int((sure >= SURE).sum()), batch.y[near.which] == torch.tensor(y)
    output.say(f"\n{many} of {len(sure)} at {SURE} or more, median {float(sure.median()):.6f}")
    output.say(f"a real picture is {usual:.3g} from the nearest other (median of {len(batch)})")
    output.say(f"the nearest real picture is of the class itself for {int(alike.sum())} of {len(alike)}")
    for level in control:
        output.say(f"plain noise at {level.confidence:.7g} or more, for any class: {level.noise}")
    return {
        "classes": y,
        "confidence": sure.tolist(),
        "confidence_unrounded": made.unrounded.tolist(),
        "sure": many,
        "nearest": which,
        "nearest_is_of_the_class": alike.tolist(),
        "distance": near.distance.tolist(),
        "usual_distance": usual,
        "noise": [{"confidence": level.confidence, **level.noise.as_dict()} for level in control],
        "median_by_step": made.history.double().quantile(0.5, dim=0).tolist(),
        "cost": made.cost,
    }
