"""What ``unfool explain`` shows of a network whose answer is a map of scores."""

from typing import TYPE_CHECKING, Any

from .pictures import Shown, with_badge
from .words import beside, explained, met, span

if TYPE_CHECKING:
    from torch import Tensor

    from ..analysis.sanity import Badge
    from ..data.base import Source
    from ..model import Model


def gives_maps(model: "Model", source: "Source") -> bool:
    """Whether a network answers with a map of scores: if it has not answered yet, a look at the first image tells."""
    from ..detections import finds_boxes
    from ..runs.begin import first_image

    if finds_boxes(model):
        return False
    if model.maps is None:
        model(first_image(source, source.ids(), model.view, model)[None])
    return bool(model.maps)


def map_panels(shown: Shown, k: int, badge: "Badge | None" = None) -> list[Any]:
    """Image, the region explained, map and overlay of one row; of a series its most salient frame."""
    from ..measures.frames import profile_of
    from ..show.heat import laid, map_picture
    from ..show.regions import outlined

    image, row = shown.batch.x[k], shown.rows[k]
    heat, target = shown.table.at("heat", row), int(shown.table.at("target", row).flatten()[0])
    at = position(shown, row)
    here = region_shown(shown, k, target) if at is None else at
    name = shown.model.label_name(target)
    told = f"{explained(shown, row)}: {span(shown, row)}"
    frame = ""
    if image.ndim == 4:
        t = int(profile_of(heat[None])[0].argmax())
        frame = f", {t + 1} of {image.shape[1]}"
        image, heat = image[:, t], heat[:, t]
        here = here[t] if here.ndim == 3 else here
    over = ", ".join(filter(None, (beside(shown, row), met(shown, row)))) or "overlay"
    found = [(told, map_picture(heat)), laid(over, image, heat)]
    if badge is not None:
        found = with_badge(found, badge)
    given = f"{name} as {'given' if by_mask(shown) else 'predicted'}" if at is None else "the position"
    return [(f"image{frame}", image), (given, outlined(image, here)), *found]


def position(shown: Shown, row: int) -> "Tensor | None":
    """The one position of the answer that was explained, where it was one: bool [*space]."""
    import torch

    from ..targets import Neuron, Pixel

    objective, numbers = shown.recipe.objective, shown.table.at("target", row).flatten().tolist()
    space = shown.model(shown.batch.x[:1]).shape[2:]
    if isinstance(objective, Pixel):
        place = numbers[1:]
    elif isinstance(objective, Neuron) and objective.layer == "output":
        place = objective.position or [side // 2 for side in space]
    else:
        return None
    here = torch.zeros(space, dtype=torch.bool)
    here[tuple(place)] = True
    return here


def by_mask(shown: Shown) -> bool:
    return "'mask'" in repr(shown.recipe.objective) and shown.batch.masks is not None


def region_shown(shown: Shown, k: int, target: int) -> "Tensor":
    """Where the class is, by the data's mask where that is what was asked about, else by the network: bool [*space]."""
    import torch

    from ..measures.frames import truth_of

    scores, masks = shown.model(shown.batch.x[k : k + 1]), shown.batch.masks
    masks = masks[k : k + 1] if masks is not None and by_mask(shown) else None
    found = truth_of(masks, scores.cpu(), torch.tensor([target]))
    assert found is not None
    return found[0]
