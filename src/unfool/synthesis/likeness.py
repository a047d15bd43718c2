"""Images made from images: what a layer keeps of them, what it would have more of, and what a unit sees in them."""

from typing import Annotated

import torch
from torch import Tensor

from ..aims import Activity, Caricature, Match
from ..errors import InputError
from ..framing import Pad, Pose
from ..model import Model
from ..objectives import Logit, Objective
from ..query import Query
from ..spec import Bound
from ..transforms import Jitter
from .base import Drawn, Synthesis
from .canvas import Fourier, Laplacian
from .looks import Looks
from .maximise import Maximise

_GENTLE = (Pad(0.03, (Pose(3.0, 0.03, 0.02),)),)


class Invert(Synthesis):
    """An image that a layer cannot tell from another (Mahendran & Vedaldi, 2015).

    From grey, towards the same activation; what it leaves out the layer does not hold.
    """

    of_images = True

    layer: str
    how: Maximise = Maximise(Fourier(), (), steps=300, variation=0.1)
    """The search."""

    def aim(self, objective: Objective | None) -> Objective:
        return _only(self, objective, Match(self.layer))

    def read(self, model: Model, start: Tensor) -> dict[str, Tensor]:
        return {"reference": known(model, self.layer, start)}

    def draw(self, query: Query, looks: Looks, seed: int) -> Drawn:
        return self.how.draw(query, _grey(looks), seed)


class Exaggerate(Synthesis):
    """A caricature: much of whatever a layer sees in an image, where it sees it (Olah et al., 2018)."""

    of_images = True

    layer: str
    cosine: Annotated[float, Bound(0)] = 1.0
    """The power of the cosine: the larger, the less of anything else."""
    how: Maximise = Maximise(Fourier(), _GENTLE, steps=256)
    """The search."""

    def aim(self, objective: Objective | None) -> Objective:
        return _only(self, objective, Caricature(self.layer, self.cosine))

    def read(self, model: Model, start: Tensor) -> dict[str, Tensor]:
        return {"reference": known(model, self.layer, start)}

    def draw(self, query: Query, looks: Looks, seed: int) -> Drawn:
        return self.how.draw(query, _grey(looks), seed)


class DeepDream(Synthesis):
    """More of all that a layer sees in an image, beginning at the image itself (Mordvintsev et al., 2015).

    Steps are the gradient over its own mean size, in pixels of all scales at once.
    """

    of_images = True

    layer: str
    how: Maximise = Maximise(Laplacian(noise=1e-6), (Jitter(8),), steps=40, rate=0.005, climb="normed")
    """The search."""

    def aim(self, objective: Objective | None) -> Objective:
        return _only(self, objective, Activity(self.layer))

    def draw(self, query: Query, looks: Looks, seed: int) -> Drawn:
        return self.how.draw(query, looks, seed)


class Accentuate(Synthesis):
    """What a unit would see more of in an image, which keeps its look to an early layer (Hamblin et al., 2024)."""

    of_images = True

    layer: str
    """The layer that is to see the image as before."""
    weight: Annotated[float, Bound(0)] = 10.0
    """What is taken off per squared distance there, in units of the image's squared length."""
    how: Maximise = Maximise(Fourier(noise=1e-3), _GENTLE, steps=128, rate=0.02)
    """The search."""

    def aim(self, objective: Objective | None) -> Objective:
        return (objective or Logit()) + self.weight * Match(self.layer)

    def read(self, model: Model, start: Tensor) -> dict[str, Tensor]:
        return {"reference": known(model, self.layer, start)}

    def draw(self, query: Query, looks: Looks, seed: int) -> Drawn:
        return self.how.draw(query, looks, seed)


def known(model: Model, layer: str, x: Tensor) -> Tensor:
    """What a layer gives for images, some at a time."""
    with torch.no_grad():
        return torch.cat([model.trace(some, (layer,))[layer] for some in x.split(model.capacity)])


def _grey(looks: Looks) -> Looks:
    return looks._replace(start=0 * looks.start + 0.5)


def _only(method: Synthesis, objective: Objective | None, own: Objective) -> Objective:
    if objective is not None:
        raise InputError(f"{type(method).__name__} has an objective of its own", "leave the other out")
    return own
