"""What every certificate has in common: a radius within which nothing changes a network's answer, for sure."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, final

from torch import Tensor

from ..blackbox import Access
from ..checks import checked_images, row_ids
from ..errors import InputError
from ..method import Columns, Method, Question, checked_model
from ..model import Model
from ..pictured import html, plot, save
from ..regions import L2, Linf, Norm, Region
from ..rows import Batch, Rng

ABSTAINS = -1
"""The label where a certificate does not say any."""


class Certified(NamedTuple):
    """One entry per image: the label that is certified (-1: none), and within which radius nothing changes it."""

    label: Tensor
    radius: Tensor

    plot, save, _repr_html_ = plot, save, html


class Certificate(Method, ABC):
    """A proof that no change of less than some size changes the answer."""

    norms: ClassVar[tuple[type[Norm], ...]] = (Linf, L2)
    """In which norms its radius is."""
    asks: ClassVar[Access] = "gradients"

    @abstractmethod
    def certify(self, model: Model, x: Tensor, within: Region, rng: Rng) -> Certified:
        """The labels and radii of images where the model is; no radius need be above the region's."""

    def smoothed(self) -> float:
        """Of which network it is: with noise of so much spread on its images; 0 is the network itself."""
        return 0.0

    @final
    def __call__(
        self,
        model: Model,
        x: Tensor,
        *,
        within: Region | None = None,
        seed: int = 0,
        ids: Sequence[Any] | None = None,
    ) -> Certified:
        """Certify images ``x`` [B, C, *] in [0, 1], in the norm of ``within`` and up to its radius."""
        checked_model(model)
        model.need(self.asks, type(self).__name__)
        x = checked_images(x)
        within = self._checked(x, within)
        rng = Rng.seeded(seed, row_ids(ids, len(x)), model.device)
        with model.settled():
            found = self.certify(model, x.to(model.device), within, rng)
        return Certified(*(t.to(x.device) for t in found))

    def _checked(self, x: Tensor, within: Region | None) -> Region:
        within = self.norms[0].whole(x) if within is None else within
        if not isinstance(within, Norm) or within.norm not in self.norms:
            known = ", ".join(norm.__name__ for norm in self.norms)
            raise InputError(f"{type(self).__name__} does not work in {within}", f"it works in {known}")
        if isinstance(within.radius, tuple):
            raise InputError("certificates are looked for up to one radius", "give eps as one number")
        return within

    @final
    def columns(self, question: Question, batch: Batch) -> Columns:
        how: dict[str, Any] = {"within": question.within, "seed": question.seed, "ids": batch.ids}
        found = self(question.model, batch.x, **how)
        label, y = found.label.cpu(), question.labels(batch)
        return {"label": label, "radius": found.radius.cpu(), "y": y, "correct": label == y}


def largest(within: Region, x: Tensor) -> Tensor:
    """The region's radius for every image: [B]."""
    return within.around(x).eps
