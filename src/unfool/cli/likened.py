"""What ``unfool maximise`` tells of images that are made from images: what became of each."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .shared import OutputOptions, opened

if TYPE_CHECKING:
    from torch import Tensor

    from ..model import Model
    from ..rows import Batch
    from ..synthesis.base import Synthesis, Synthesised
    from .units import Unit

MOST = 8
"""Of so many images of a data set one is made at most."""


class Likened(NamedTuple):
    """Images, what was made of them, and the probabilities of both: of the files that are written."""

    batch: "Batch"
    made: "Synthesised"
    x: "Tensor"
    before: "Tensor"
    after: "Tensor"


def likened(method: "Synthesis", units: "list[Unit]", address: str, model: "Model", seed: int) -> Likened:
    """One image of each at the address; with a unit, for that unit."""
    import torch

    from ..runs.begin import chosen
    from ..scores import mean_scores
    from ..views import from_uint8, to_uint8

    source = opened(address)
    batch = source.batch(chosen(source.ids(), MOST, seed), model.view).readable()
    y, objective = (units[0].number, units[0].objective) if units else (None, None)
    made = method(model, y, start=batch.x, objective=objective, seed=seed, ids=batch.ids)
    x = from_uint8(to_uint8(made.x))
    before, after = (
        torch.cat([mean_scores(model(some)).softmax(1).cpu() for some in t.split(model.capacity)])
        for t in (batch.x, x)
    )
    return Likened(batch, made, x, before, after)


def save(found: Likened, model: "Model", out: Path) -> None:
    """A PNG of each image, all of them as .npz, and a grid beside the images they were made of."""
    import numpy as np

    from ..show.grid import save_panels
    from ..views import to_picture, to_uint8
    from .pictures import file_name

    np.savez_compressed(out / "images.npz", x=to_uint8(found.x).numpy(), y=found.made.y.numpy())
    if found.x.ndim == 4 and found.x.shape[1] in (1, 3):
        (out / "pictures").mkdir(exist_ok=True)
        for id, image in zip(found.batch.ids, found.x, strict=True):
            to_picture(image).save(out / "pictures" / f"{file_name(id)}.png")
    both = ((found.batch.x, found.before), (found.x, found.after))
    panels = [(_most(model, p, k), t[k]) for k in range(len(found.x)) for t, p in both]
    save_panels(out / "grid.png", [panels[k : k + 8] for k in range(0, len(panels), 8)], side=128)


def _most(model: "Model", probabilities: "Tensor", k: int) -> str:
    """The likeliest class of one image."""
    p, label = probabilities[k].max(0)
    return f"{model.label_name(int(label))}, {100 * float(p):.0f} %"


def told(found: Likened, model: "Model", output: OutputOptions) -> dict[str, Any]:
    """Print what became of each image, and give it as numbers."""
    made, moved = found.made, (found.x - found.batch.x).flatten(1).norm(dim=1)
    rows = [
        [id, f"{float(made.score_saved[k]):.4g}", f"{float(moved[k]):.3g}"]
        + [_most(model, p, k) for p in (found.before, found.after)]
        for k, id in enumerate(found.batch.ids)
    ]
    output.table("", ["image", "score", "L2 from the image", "was", "is"], rows)
    labels = [[model.label_name(int(k)) for k in p.argmax(1)] for p in (found.before, found.after)]
    return {
        "images": list(found.batch.ids),
        "score": made.score_saved.tolist(),
        "distance": moved.tolist(),
        "label_before": labels[0],
        "label": labels[1],
        "confidence": found.after.amax(1).tolist(),
        "median_by_step": made.history.double().quantile(0.5, dim=0).tolist(),
        "cost": made.cost,
    }
