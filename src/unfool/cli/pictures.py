"""Running a recipe for ``attack``, ``explain`` and ``run``, and drawing what came out."""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .shared import OutputOptions, opened

if TYPE_CHECKING:
    from torch import Tensor

    from ..analysis.rates import Rate
    from ..analysis.sanity import Badge
    from ..model import Model
    from ..rows import Batch
    from ..runs.recipe import Recipe
    from ..runs.table import Table

WIDEST = 8
"""How many panels stand in one row."""


class Shown(NamedTuple):
    """A finished run and the few of its samples that are shown: ``rows`` of the table, and their images."""

    recipe: "Recipe"
    model: "Model"
    table: "Table"
    batch: "Batch"
    rows: list[int]
    folder: Path

    def draw(self, panels: Callable[["Shown", int], list[Any]]) -> list[list[Any]]:
        """One PNG for each sample shown; gives its panels."""
        from ..show.grid import save_panels

        every = [panels(self, k) for k in range(len(self.rows))]
        for row, found in zip(self.rows, every, strict=True):
            wide = ceil(len(found) / ceil(len(found) / WIDEST))  # lines of about the same length
            lines = [found[i : i + wide] for i in range(0, len(found), wide)]
            save_panels(self.folder / "pictures" / f"{file_name(self.table.ids[row])}.png", lines)
        return every

    def close(self, output: OutputOptions, numbers: dict[str, Any]) -> None:
        """Say what could not be read and where everything is."""
        from ..attacks.base import OWN_TARGET
        from ..zoo.remember import memory_of

        unread = {sample: error for sample, error in self.table.errors.items() if error != OWN_TARGET}
        for sample, error in unread.items():
            output.say(f"not read: {sample}: {error}")
        if own := len(self.table.errors) - len(unread):
            output.say(f"left out: {own} of the target class already")
        output.say(f"{len(self.table)} samples in {self.folder}")
        if memory := memory_of(self.model):
            output.say(f"black box: {memory}")
        found = {"recipe": repr(self.recipe), "n": len(self.table), "errors": self.table.errors}
        output.document(found | numbers | {"folder": str(self.folder)})


def run_over(recipe: "Recipe", model: "Model", folder: Path, output: OutputOptions, pictures: int) -> Shown:
    import torch

    from ..errors import DataError, InputError
    from ..runs.local import run_recipe

    if pictures < 0:
        raise InputError(f"--pictures must be 0 or more, not {pictures}")
    source = opened(recipe.data)
    with output.watching() as watch, watch(type(recipe.method).__name__, len(source.ids())) as progress:
        table = run_recipe(recipe, model, source, folder, progress, together=False)
    if len(table.errors) == len(table):
        raise DataError(f"none of the {len(table)} samples can be used: {next(iter(table.errors.values()))}")
    rows = [r for r, fine in enumerate(table.readable.tolist()) if fine][:pictures]
    batch = source.batch([table.ids[r] for r in rows or [0]], model.view, model.classes)
    return Shown(recipe, model, table, batch[torch.arange(len(rows))], rows, folder)


def panels(shown: Shown, k: int) -> list[Any]:
    """Image, signs of the change, the change as large as it is, and the changed image of one row, as the file holds it.

    Labels and confidences are those of the image and of the file.
    """
    from ..views import from_uint8

    image, found = shown.batch.x[k], from_uint8(shown.table.at("adversarial", shown.rows[k]))
    change, row = found - image, shown.rows[k]
    before, after = (sure_of(shown.model, x) for x in (image, found))
    lost = shown.table.at("success", row) and not shown.table.at("success_saved", row)
    return [
        (before, image),
        ("signs of the change", 0.5 + change.sign() / 2),
        (f"the change itself, at most {float(change.abs().max()):.3g}", 0.5 + change),
        (f"→ {after}{' (float only)' if lost else ''}", found),
    ]


def redrawn(panel: Any, draw: Callable[[Any], Any]) -> Any:
    """A panel with something drawn into its picture."""
    from ..show.heat import Laid

    picture = draw(panel[1])
    return panel._replace(picture=picture) if isinstance(panel, Laid) else (panel[0], picture)


def with_badge(panels: Sequence[Any], badge: "Badge") -> list[Any]:
    """Maps with what the sanity check says of them under each."""
    from ..show.grades import badged

    return [redrawn(panel, lambda picture: badged(picture, badge.verdict, badge.brief)) for panel in panels]


def sure_of(model: "Model", image: "Tensor") -> str:
    """What a model takes an image for, and how sure it is: 57.7 % panda."""
    return sure(model, model(image[None]))


def sure(model: "Model", logits: "Tensor") -> str:
    """The same of one image's answer that is at hand."""
    from ..objectives import label_of
    from ..scores import mean_scores

    label, means = int(label_of(logits)), mean_scores(logits)
    return f"{100 * float(means.softmax(1)[0, label]):.1f} % {model.label_name(label)}"


UNLABELLED = "the data have no labels: what the model itself predicts is taken as right"


def unlabelled(shown: Shown) -> bool:
    """Whether none of the first samples has a label, so that nothing is known of right and wrong."""
    source = opened(shown.recipe.data)
    return all(source.label(sample) is None for sample in shown.table.ids[:20])


def right_text(right: "Rate", target: int | None) -> str:
    """How many samples an attack is judged on."""
    aim = "right" if target is None else "not taken for the target"
    return f"{aim} to begin with: {right}; the others count in no rate"


def file_name(sample: str) -> str:
    """A sample's id as a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in sample).strip(".") or "sample"
