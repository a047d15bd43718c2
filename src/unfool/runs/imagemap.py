"""A run that turns images into vectors for a map of them, and asks what the network says of each."""

from pathlib import Path
from typing import Literal, NamedTuple

from torch import Tensor

from ..data.base import Source
from ..errors import InputError
from ..measures.embed import Embed, EmbedPixels, looked_into
from ..measures.predict import Predict
from ..model import Model
from ..spec import Count, Natural, Positive, Spec
from .begin import Watch, chosen, claim, unwatched
from .neighbours import Embedder, Space


class ImageMap(Spec):
    """Which images are mapped, by which layer, and how."""

    model: str
    data: str
    layer: str = ""
    """By default what the last linear layer is given."""
    method: Literal["tsne", "pacmap"] = "tsne"
    """Which map is drawn large; both are judged."""
    perplexity: Positive = 30.0
    """About how many neighbours t-SNE lets count; a third and three times as many are tried, too."""
    seeds: Count = 3
    k: Count = 10
    """Of how many nearest it is counted how many stay so."""
    labelled: bool = True
    sample: Count = 2000
    """How many images at most, drawn by the seed."""
    seed: Natural = 0


class Mapped(NamedTuple):
    """Vectors of the images, and what the network says of each."""

    space: Space
    said: Tensor
    sure: Tensor


def run_map(plan: ImageMap, model: Model, source: Source, folder: Path, watch: Watch = unwatched) -> Mapped:
    """The vectors of all images that can be read, and the network's answers."""
    looked_into(model)
    ids = chosen(source.ids(), plan.sample, plan.seed)
    checked(plan, len(ids))
    claim(folder, repr(plan), model)
    embedder = Embedder(plan.model, model, plan.seed, folder, watch)
    space = embedder.space(plan.data, source, ids, {"features": Embed(plan.layer), "pixels": EmbedPixels()})
    checked(plan, len(space.ids))
    told = embedder.table("answers", plan.data, source, ids, "answers", Predict())
    place = {i: k for k, i in enumerate(told.ids)}
    rows = [place[i] for i in space.ids]
    return Mapped(space, told["label"][rows], told["confidence"][rows])


def checked(plan: ImageMap, n: int) -> None:
    """Raise where there are too few images for what is asked."""
    if n <= 2 * plan.k:
        raise InputError(
            f"{n} images are too few to count the {plan.k} nearest", "more images, or a smaller --k"
        )
    if plan.perplexity > n / 3:
        raise InputError(
            f"perplexity {plan.perplexity:g} is more than a third of {n} images",
            f"more images, or --perplexity {max(1, n // 10)}",
        )
