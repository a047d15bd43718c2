"""What ``unfool attack --film`` draws."""

from typing import TYPE_CHECKING

from .pictures import Shown, file_name
from .shared import opened

if TYPE_CHECKING:
    from ..attacks.base import Attack


def draw_films(attack: "Attack", shown: Shown, n: int) -> None:
    """Each picture's way as a strip of frames, and as a chart of probability and distance."""
    import torch

    from ..attacks.film import Film
    from ..runs.local import question_of
    from ..show.chart import climb
    from ..show.grid import Panel, save_panels
    from ..views import from_uint8

    recipe, batch = shown.recipe, shown.batch[torch.arange(min(n, len(shown.batch)))]
    question = question_of(recipe, shown.model, opened(recipe.data))
    film = Film(attack).columns(question, batch)
    away = [f"all but {shown.model.label_name(int(y))}" for y in question.labels(batch)]
    for k, sample in enumerate(batch.ids):
        goal = away[k] if recipe.target is None else shown.model.label_name(recipe.target)
        chance, far, steps = film["probability"][k], film["l2"][k], film["frame_steps"][k].tolist()
        frames = dict(
            zip(steps, film["frames"][k], strict=True)
        )  # a short way has the same state several times
        panels: list[Panel] = [
            (f"step {t}: {100 * float(chance[t]):.1f} %, {float(far[t]):.2f}", from_uint8(frame))
            for t, frame in frames.items()
        ]
        place = shown.folder / "pictures" / f"{file_name(sample)}-film"
        save_panels(
            place.with_suffix(".png"), [panels[i : i + 4] for i in range(0, len(panels), 4)], side=160
        )
        place.with_suffix(".svg").write_text(climb(chance, far, goal), encoding="utf-8")
