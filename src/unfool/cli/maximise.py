"""``unfool maximise``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .shared import ModelOptions, OutputOptions, class_number, data_for, folder_for, opened

if TYPE_CHECKING:
    from torch import Tensor

    from ..analysis.fooling import Nearest, Sureness
    from ..model import Model
    from ..rows import Batch
    from ..synthesis.base import Synthesised

SURE = 0.9999


def maximise(
    method: str,
    *,
    model: str = "unfool:digits",
    data: str | None = None,
    only: str | None = None,
    out: Path | None = None,
    real: int = 2000,
    noise: int = 1000,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Make images that a model takes for its classes.

    Writes each image as an 8-bit PNG (confidence is judged on that file), a grid of all beside the nearest real images,
    the confidence from start to end as a chart, and all numbers as maximise.json. The control is how often plain noise
    reaches the same confidence.

    Parameters
    ----------
    method
        A synthesis as text: MapElites, "MapElites(CPPN(), generations=200)", Fooling; unfool methods lists them.
    model
        An address, as for unfool audit.
    data
        Real pictures: their mean is where a method begins, the nearest of them is shown; by default the embedded
        model's own training set.
    only
        Names or numbers of classes, separated by commas; by default every class.
    out
        The folder for pictures and numbers; by default one in runs/maximise named after what is run.
    real
        How many real pictures are compared with at most.
    noise
        How many images of plain noise the control has.
    seed
        Where all random numbers come from.
    """
    from ..runs.begin import chosen, claim
    from ..spec import call_text, parse
    from ..synthesis.base import Synthesis

    network, address, wanted = loading.load(model), data or _training_set(model), parse(method, Synthesis)
    source = opened(address)
    batch = source.batch(chosen(source.ids(), real, seed), network.view, network.classes).readable()
    labels = _classes(only, network, batch.x)
    recipe = call_text("Maximise", [repr(wanted), repr(model), repr(address), repr(labels), f"seed={seed}"])
    out = folder_for(out, "maximise", type(wanted).__name__, recipe, real, loading.told())
    claim(out, recipe, network)
    with output.watching() as watch, watch(type(wanted).__name__, 1) as progress:
        made = wanted(network, labels, start=batch.x.mean(0, keepdim=True), seed=seed)
        progress(1)
    shown = _compared(made, network, batch, out)
    _draw(shown, out)
    numbers = {"recipe": recipe, "classes": labels} | _told(shown, _control(shown, noise, seed), output)
    (out / "maximise.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    output.say(f"pictures in {out}")
    output.document(numbers | {"folder": str(out)})


class Compared(NamedTuple):
    """Made images as their files hold them, how sure the network is of those, and the real images nearest to them."""

    made: "Synthesised"
    model: "Model"
    files: "Tensor"
    sure: "Tensor"
    near: "Nearest"
    batch: "Batch"

    def name(self, k: int) -> str:
        return self.model.label_name(int(self.made.y[k]))


def _compared(made: "Synthesised", model: "Model", batch: "Batch", out: Path) -> Compared:
    from ..analysis.fooling import nearest

    files = _saved(made, out)
    return Compared(made, model, files, _judged(files, made.y, model), nearest(files, batch.x), batch)


def _control(shown: Compared, n: int, seed: int) -> "list[Sureness]":
    """How sure the network is of plain noise."""
    from ..analysis.fooling import noise_control

    levels = [0.5, 0.99, SURE, float(shown.sure.median())]
    return noise_control(shown.model, shown.batch.x[:1], levels, n, seed)


def _told(shown: Compared, control: "list[Sureness]", output: OutputOptions) -> dict[str, Any]:
    """Print what was found, and give it as numbers."""
    from ..analysis.fooling import usual_distance

    made, sure, near, ids = shown.made, shown.sure, shown.near, shown.batch.ids
    which, usual = [ids[int(k)] for k in near.which], usual_distance(shown.batch.x)
    rows = [
        [shown.name(k), f"{float(sure[k]):.6f}", f"{float(near.distance[k]):.3g}", which[k]]
        for k in range(len(sure))
    ]
    output.table("", ["class", "confidence of the file", "L2 to the nearest real", "which"], rows)
    many, alike = int((sure >= SURE).sum()), shown.batch.y[near.which] == made.y
    output.say(f"\n{many} of {len(sure)} at {SURE} or more, median {float(sure.median()):.6f}")
    output.say(f"a real picture is {usual:.3g} from the nearest other (median of {len(ids)})")
    output.say(f"the nearest real picture is of the class itself for {int(alike.sum())} of {len(alike)}")
    for level in control:
        output.say(f"plain noise at {level.confidence:.7g} or more, for any class: {level.noise}")
    return {
        "confidence": sure.tolist(),
        "confidence_unrounded": made.confidence.tolist(),
        "sure": many,
        "nearest": which,
        "nearest_is_of_the_class": alike.tolist(),
        "distance": near.distance.tolist(),
        "usual_distance": usual,
        "noise": [{"confidence": level.confidence, **level.noise.as_dict()} for level in control],
        "median_by_step": made.history.double().quantile(0.5, dim=0).tolist(),
        "cost": made.cost,
    }


def _training_set(model: str) -> str:
    place = data_for(None, model)
    return f"{place}?split=train"


def _classes(only: str | None, model: "Model", x: "Tensor") -> list[int]:
    from ..errors import InputError

    if only is not None:
        found = [class_number(name.strip(), model) for name in only.split(",") if name.strip()]
        if not found:
            raise InputError("--only names no class", "give names or numbers, such as --only 0,3")
        return [k for k in found if k is not None]
    return list(range(model(x[:1]).shape[1]))


def _saved(made: "Synthesised", out: Path) -> "Tensor":
    """The images as the files hold them, read back."""
    import numpy as np
    import torch
    from PIL import Image

    from ..views import as_tensor, from_uint8, to_picture, to_uint8

    np.savez_compressed(out / "images.npz", x=to_uint8(made.x).numpy(), y=made.y.numpy())
    if made.x.ndim != 4 or made.x.shape[1] not in (1, 3):
        return from_uint8(to_uint8(made.x))
    paths = [out / "pictures" / f"{int(c)}.png" for c in made.y]
    paths[0].parent.mkdir(exist_ok=True)
    for path, image in zip(paths, made.x, strict=True):
        to_picture(image).save(path)
    return torch.stack([as_tensor(Image.open(path)) for path in paths])


def _judged(files: "Tensor", y: "Tensor", model: "Model") -> "Tensor":
    """How sure the network is of what the files hold."""
    import torch

    from ..objectives import pick

    logits = torch.cat([model(some.to(model.device)) for some in files.split(model.capacity)])
    return pick(logits.softmax(1), y.to(model.device)).cpu()


def _draw(shown: Compared, out: Path) -> None:
    """A grid of the images, the nearest real one beside each, and the way to their confidence."""
    from ..show.chart import confidence_by_step
    from ..show.grid import Panel, save_panels

    panels: list[Panel] = []
    for k, (image, sure) in enumerate(zip(shown.files, shown.sure.tolist(), strict=True)):
        nearest, far = shown.batch.x[shown.near.which[k]], float(shown.near.distance[k])
        panels += [(f"{shown.name(k)}: {100 * sure:.2f} %", image), (f"nearest, {far:.2f}", nearest)]
    save_panels(out / "grid.png", [panels[k : k + 10] for k in range(0, len(panels), 10)], side=96)
    (out / "curve.svg").write_text(confidence_by_step(shown.made.history, SURE), encoding="utf-8")
