"""Where a network that answers with heat maps finds its landmarks, and whether a map looks there (R21)."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..landmarks import Landmark, peak_of
from ..method import Columns, Method, Question
from ..phantoms import centres
from ..rows import Batch
from ..segments import part_at
from ..spec import Fraction, Positive

STEP, CAP = 0.01, 0.988


class Places(NamedTuple):
    """Each landmark's place (row, column) [B, K, 2] and the highest probability of its heat map [B, K]."""

    at: Tensor
    probability: Tensor


def located(scores: Tensor) -> Places:
    """Landmarks 1 to K of heat maps [B, 1 + K, H, W], of which 0 is "none" (Xue et al., 2021).

    A place is the centroid of all that is above half of the map's highest probability; where that falls into several
    parts the threshold is raised by 0.01 until it is one. The threshold is half of the maximum itself: published code
    passes it on as a share of the maximum, which makes it the maximum squared, halved, a lower one.
    """
    if scores.ndim != 4 or scores.shape[1] < 2:
        raise InputError(
            f"landmarks are read off heat maps [B, 1 + landmarks, H, W], the network gives {list(scores.shape)}",
            "class 0 is 'no landmark'",
        )
    heat = scores.softmax(1)[:, 1:]
    best = heat.flatten(2).amax(2)
    rows = [torch.stack([_centroid(one) for one in maps]) for maps in heat]
    return Places(torch.stack(rows), best)


def _centroid(heat: Tensor) -> Tensor:
    """The centroid of the one part of a map [H, W] above a threshold that holds its peak and all else above it."""
    peak = tuple(int(p) for p in peak_of(heat[None])[0])
    least = float(heat.max()) / 2
    while True:
        above = heat > least
        part = part_at(above[None], peak)[0] if above[peak] else above
        if torch.equal(part, above) or least + STEP >= min(CAP, float(heat.max())):
            places = part.nonzero().to(heat)
            return places.mean(0) if len(places) else heat.new_tensor(peak)
        least += STEP


class LandmarkMass(Method):
    """Where landmarks are found, how far that is from the data's discs, and which share of a map lies about each.

    The target is a landmark's score at its peak. The control is the share of the same map about the other landmarks,
    and the map of class 0, "no landmark".
    """

    inner: Method
    """An attribution."""
    reach: Positive = 7.5
    """How far about a landmark counts, in pixels: three standard deviations of its heat map."""
    least: Fraction = 0.1
    """A landmark counts as found where the highest probability of its heat map is at least this."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        places = located(question.model(batch.x))
        n = places.at.shape[1]
        maps = self.maps(question, batch, n)
        near = torch.stack([self._share(maps, places.at[:, k]) for k in range(n)], 2)  # [B, map, place]
        own = near[:, 1:].diagonal(dim1=1, dim2=2)
        others = (near[:, 1:].sum(2) - own) / max(1, n - 1)
        nowhere = torch.full((len(batch), n, 2), float("nan"))
        truth = nowhere if batch.masks is None else centres(batch.masks, n)
        return {
            "place": places.at.cpu(),
            "probability": places.probability.cpu(),
            "found": (places.probability >= self.least).cpu(),
            "error": (places.at.cpu() - truth).norm(dim=2),
            "mass": own.cpu(),
            "elsewhere": others.cpu(),
            "none": near[:, 0].mean(1).cpu(),
        }

    def maps(self, question: Question, batch: Batch, landmarks: int) -> Tensor:
        """The map of class 0, then of each landmark: [B, 1 + landmarks, H, W], absolute."""
        ask = [question._replace(target=k, objective=Landmark()) for k in range(landmarks + 1)]
        return torch.cat([self.inner.columns(one, batch)["heat"].abs() for one in ask], 1)

    def _share(self, maps: Tensor, at: Tensor) -> Tensor:
        """The share of each map's values within reach of one place per image: [B, M, H, W] -> [B, M]."""
        rows, columns = (torch.arange(n, device=maps.device) for n in maps.shape[2:])
        place = at.to(maps)[:, :, None, None]
        far = (rows[:, None] - place[:, 0]).square() + (columns - place[:, 1]).square()
        near = (far <= self.reach**2)[:, None]
        return (maps * near).flatten(2).sum(2) / maps.flatten(2).sum(2).clamp_min(1e-30)
