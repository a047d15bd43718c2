"""What ``unfool maximise`` made: one image for each unit, its files, and what is told of it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .shared import OutputOptions
from .units import Unit, grouped

if TYPE_CHECKING:
    from torch import Tensor

    from ..analysis.fooling import Nearest
    from ..analysis.liked import Best, Strongest
    from ..model import Model
    from ..objectives import Objective
    from ..rows import Batch
    from ..synthesis.base import Synthesis


class Made(NamedTuple):
    """Images as their files hold them, what the network says of those, and the real images they are compared with.

    ``near`` are the real images nearest in L2, ``best`` those that the unit itself likes best. Of channels, by the
    unit's place here, ``patches`` are the strongest real positions and ``largest`` the made image's own value.
    """

    units: list[Unit]
    method: "Synthesis"
    x: "Tensor"
    score: "Tensor"
    label: "Tensor"
    sure: "Tensor"
    unrounded: "Tensor"
    history: "Tensor"
    cost: dict[str, int]
    best: "Best"
    near: "Nearest"
    batch: "Batch"
    patches: "dict[int, Strongest]"
    largest: dict[int, float]

    def real(self, which: "Tensor") -> list[str]:
        return [self.batch.ids[int(k)] for k in which]


def made_for(
    units: list[Unit],
    method: "Synthesis",
    model: "Model",
    batch: "Batch",
    seed: int,
    progress: Callable[[int], Any],
) -> Made:
    """An image for each unit, those that one objective scores together."""
    from collections import Counter

    import torch

    from ..analysis.fooling import nearest
    from ..analysis.liked import Best, best_of
    from ..synthesis.looks import looks_of
    from ..views import from_uint8, to_uint8

    looks, found, order, cost = looks_of(batch.x.split(64)), list[Any](), list[int](), Counter[str]()
    patches = dict[int, "Strongest"]()
    for objective, places in grouped(units):
        y = torch.tensor([units[k].number for k in places])
        one = method(model, y, start=looks, objective=objective, seed=seed)
        best = best_of(model, method.aim(objective), y, batch.x)
        found.append(
            (one.x, one.score_saved, one.label, one.confidence_saved, one.confidence, one.history, *best)
        )
        order += places
        patches |= zip(places, _patches(model, objective, y, batch.x), strict=False)
        cost.update(one.cost)
        progress(len(places))
    back = torch.tensor(order).argsort()
    x, score, label, sure, unrounded, history, top, which = (
        torch.cat(parts)[back] for parts in zip(*found, strict=True)
    )
    x = from_uint8(to_uint8(x))
    near, best = nearest(x, batch.x), Best(top, which)
    largest = _largest(model, units, x, patches)
    return Made(
        units,
        method,
        x,
        score,
        label,
        sure,
        unrounded,
        history,
        dict(cost),
        best,
        near,
        batch,
        patches,
        largest,
    )


def _patches(model: "Model", objective: "Objective | None", y: "Tensor", x: "Tensor") -> "list[Strongest]":
    """The strongest real positions of channels; nothing for classes, or objectives of one's own."""
    from ..analysis.liked import strongest
    from ..targets import Channel, Neuron

    return strongest(model, objective.layer, y, x) if isinstance(objective, (Channel, Neuron)) else []


def _largest(
    model: "Model", units: list[Unit], x: "Tensor", patches: "dict[int, Strongest]"
) -> dict[int, float]:
    """The largest value that each channel has at any position of its own made image."""
    from ..measures.spots import layer_maps

    found = dict[int, float]()
    for k in patches:
        objective = units[k].objective
        assert objective is not None
        (layer,) = objective.reads
        found[k] = float(layer_maps(model, x[k : k + 1], layer)[0, units[k].number].max())
    return found


def save(made: Made, out: Path) -> None:
    """One PNG for each image, all of them as .npz, a grid beside real ones, and the way there as a chart."""
    import numpy as np

    from ..show.liked import save_liked
    from ..views import to_picture, to_uint8

    numbers = np.array([unit.number for unit in made.units])
    np.savez_compressed(out / "images.npz", x=to_uint8(made.x).numpy(), y=numbers)
    if made.x.ndim == 4 and made.x.shape[1] in (1, 3):
        (out / "pictures").mkdir(exist_ok=True)
        for name, image in zip(file_names(made.units), made.x, strict=True):
            to_picture(image).save(out / "pictures" / f"{name}.png")
    own, real = panels(made)
    wide = max(len(unit.name) for unit in made.units) > 4
    save_liked(out / "grid.png", own, real, side=160 if wide else 96)
    (out / "curve.svg").write_text(_curve(made), encoding="utf-8")


def file_names(units: list[Unit]) -> list[str]:
    """One for each image; the second of a unit has a number behind it."""
    seen, names = dict[str, int](), list[str]()
    for unit in units:
        seen[unit.file] = seen.get(unit.file, 0) + 1
        names.append(unit.file + (f"-{seen[unit.file]}" if seen[unit.file] > 1 else ""))
    return names


def panels(made: Made) -> tuple[list[Any], list[list[Any]]]:
    """Each image with its caption, and the real images beside it."""

    own: list[Any] = []
    real: list[list[Any]] = []
    for k, unit in enumerate(made.units):
        near = (f"nearest, {float(made.near.distance[k]):.2f}", made.batch.x[made.near.which[k]])
        if made.method.climbs is not None:
            own.append((f"{unit.name}: {100 * float(made.sure[k]):.2f} %", made.x[k]))
            real.append([near])
            continue
        top, best = float(made.best.score[k]), made.batch.x[made.best.which[k]]
        own.append((f"{unit.name}: {float(made.score[k]):.3g}", made.x[k]))
        alive = top > 0 or not unit.inside
        first = (f"best, {top:.3g}", best) if alive else ("dead: none above 0", 0 * best + 1)
        real.append([first, *_patch_panel(made, k, alive), near])
    return own, real


def _patch_panel(made: Made, k: int, alive: bool) -> list[Any]:
    """The strongest real position of a channel; where only other units have one, white."""
    from ..show.atlas import at_place

    if not made.patches:
        return []
    if k not in made.patches or not alive:
        return [("", 0 * made.batch.x[0] + 1)]
    one = made.patches[k]
    return [(f"patch, {one.value:.3g}", at_place(made.batch.x[one.which], one.box, one.place, one.field))]


def _curve(made: Made) -> str:
    from ..show.chart import confidence_by_step
    from ..show.liked import score_by_step
    from .fooled import SURE

    if made.method.climbs is not None:
        return confidence_by_step(made.history, SURE)
    return score_by_step(made.history, made.best.score)


def told(made: Made, model: "Model", noise: int, seed: int, output: OutputOptions) -> dict[str, Any]:
    """Print what was found, and give it as numbers."""
    import torch

    from ..analysis.fooling import usual_distance
    from ..analysis.liked import gain
    from ..report.summary import clean

    gains, base = gain(made.score, made.best.score), _of_noise(made, model, noise, seed)
    dead, usual = (
        gains.isnan() & torch.tensor([unit.inside for unit in made.units]),
        usual_distance(made.batch.x),
    )
    labels = [model.label_name(int(k)) for k in made.label]
    best, near = made.real(made.best.which), made.real(made.near.which)
    rows = [
        [
            unit.name,
            *(f"{float(t[k]):.4g}" for t in (made.score, made.best.score, base)),
            "dead" if dead[k] else f"{float(gains[k]):.2f}" if gains[k] == gains[k] else "-",
            f"{labels[k]}, {float(made.sure[k]):.4f}",
            f"{float(made.near.distance[k]):.3g}, {near[k]}",
        ]
        for k, unit in enumerate(made.units)
    ]
    header = ["unit", "score", "best real", "best noise", "times real", "class, p", "L2 to the nearest real"]
    if made.patches:
        header.append("largest, best real patch's")
        rows = [[*row, _compared(made, k)] for k, row in enumerate(rows)]
    output.table("", header, rows)
    alive = gains[~gains.isnan()]
    median = float(alive.median()) if len(alive) else None
    if median is not None:
        above = int((alive > 1).sum())
        output.say(
            f"\n{above} of {len(alive)} above the best of {len(made.batch)} real images, median {median:.3g} times"
        )
    if dead.any():
        output.say(f"{int(dead.sum())} of {len(dead)} units are dead: no real image brings them above zero")
    output.say(f"a real picture is {usual:.3g} from the nearest other (median of {len(made.batch)})")
    return {
        "units": [unit.name for unit in made.units],
        "classes": [unit.number for unit in made.units] if made.units[0].objective is None else None,
        "score": made.score.tolist(),
        "best": made.best.score.tolist(),
        "best_image": [None if gone else name for name, gone in zip(best, dead.tolist(), strict=True)],
        "best_of_noise": base.tolist(),
        "gain": clean(gains.tolist()),
        "median_gain": median,
        "dead": [unit.name for unit, gone in zip(made.units, dead.tolist(), strict=True) if gone],
        "label": labels,
        "confidence": made.sure.tolist(),
        "nearest": near,
        "distance": made.near.distance.tolist(),
        "usual_distance": usual,
        "best_patch": [_patch(made, k) for k in range(len(made.units))] if made.patches else None,
        "noise": noise,
        "real": len(made.batch),
        "median_by_step": torch.quantile(made.history.double(), 0.5, dim=0).tolist(),
        "cost": made.cost,
    }


def _compared(made: Made, k: int) -> str:
    return f"{made.largest[k]:.4g}, {made.patches[k].value:.4g}" if k in made.patches else "-"


def _patch(made: Made, k: int) -> dict[str, Any] | None:
    if k not in made.patches:
        return None
    one = made.patches[k]
    box = [[side.start, side.stop] for side in one.box]
    return {"id": made.batch.ids[one.which], "value": one.value, "box": box, "largest_made": made.largest[k]}


def _of_noise(made: Made, model: "Model", n: int, seed: int) -> "Tensor":
    """The best score that plain noise has with each unit."""
    import torch

    from ..analysis.liked import best_of, noise_like

    found = torch.full_like(made.score, -torch.inf)
    for objective, places in grouped(made.units):
        y = torch.tensor([made.units[k].number for k in places])
        images = noise_like(made.batch.x[:1], n, seed, model.capacity)
        found[places] = best_of(model, made.method.aim(objective), y, images).score.to(found)
    return found
