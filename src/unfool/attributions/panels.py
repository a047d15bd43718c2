"""All that hiding one window after the other tells, from one pass each; and what fill and noise do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..detections import finds_boxes
from ..errors import InputError
from ..fills import Fill
from ..maps import resize, spearman, strongest_channel
from ..partial.changed import plain
from ..query import Query
from ..scores import label_of, mean_scores
from ..spec import Fraction
from .base import Attribution
from .cam import place_of
from .layers import connected_layer, grid_at
from .occlusion import Occlusion
from .windows import Windowed
from .wrappers import Noisy, SmoothGrad


class OcclusionPanels(Windowed):
    """Four maps of hiding one window after the other, from one pass for each window (Zeiler & Fergus, 2014).

    The map itself is the fall of the score, at each position the mean over the windows that cover it. Beside it stand,
    at each position for the window whose middle is nearest, the ``probability`` of the class, the ``likely`` label, and
    the ``response`` of the feature map that responds most to the whole image: the sum over its positions.
    """

    layer: str = "auto"
    """Whose feature maps; "auto" is the last layer with positions that the score depends on."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        hider, layers = self.hider(query, x), self._layers(query, x)
        reads = ("output", *layers)
        whole, trace = query.ask_and_read(x, reads)
        about = self._about(query, x, trace, layers)

        def told(part: Query, hidden: Tensor, rows: Tensor) -> dict[str, Tensor]:
            score, seen = part.ask_and_read(hidden, reads)
            return {
                "score": score,
                **self._read(query, x, seen, {k: t[rows] for k, t in about.items()}, layers),
            }

        tables: dict[str, Tensor] = {}
        for place, found in hider.ask(hider.all(), told):
            for name, values in found.items():
                table = tables.setdefault(name, values.new_zeros(len(x), len(hider.grid.corners)))
                table[place] = values
        falls = whole[:, None] - tables.pop("score")
        query.notes.update(about | {name: hider.grid.nearest(table) for name, table in tables.items()})
        return hider.grid.spread(falls.to(x.dtype))

    def _layers(self, query: Query, x: Tensor) -> tuple[str, ...]:
        """The layer that is read, where layers can be."""
        if query.model.access != "gradients":
            return ()
        return (connected_layer(query, x) if self.layer == "auto" else self.layer,)

    def _about(
        self, query: Query, x: Tensor, trace: dict[str, Tensor], layers: Sequence[str]
    ) -> dict[str, Tensor]:
        """What the unchanged images settle: the class whose probability is shown, and the feature map."""
        about: dict[str, Tensor] = {}
        if _tells_classes(query):
            known = "output" in query.objective.reads
            about["shown_class"] = (
                query.y.view(len(x), -1)[:, -1].clone() if known else label_of(trace["output"])
            )
        for layer in layers:
            about["response_layer"] = torch.full((len(x),), place_of(query, layer), device=x.device)
            sums = self._sums(query, x, trace[layer], layer)
            about["response_channel"], about["response_whole"] = sums.argmax(1), sums.amax(1)
        return about

    def _read(
        self,
        query: Query,
        x: Tensor,
        trace: dict[str, Tensor],
        about: dict[str, Tensor],
        layers: Sequence[str],
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        if "shown_class" in about:
            scores = mean_scores(trace["output"])
            found["probability"] = scores.softmax(1).gather(1, about["shown_class"][:, None])[:, 0]
            found["likely"] = scores.argmax(1)
        for layer in layers:
            sums = self._sums(query, x, trace[layer], layer)
            found["response"] = sums.gather(1, about["response_channel"][:, None])[:, 0]
        return found

    def _sums(self, query: Query, x: Tensor, activation: Tensor, layer: str) -> Tensor:
        """The sum of every feature map over its positions: [P, K]."""
        maps = plain(activation)
        return grid_at(query, layer, maps, x).maps(maps).flatten(2).sum(2)


def _tells_classes(query: Query) -> bool:
    return not finds_boxes(query.model) and query.model.outputs != "values"


class OtherFills(Attribution):
    """An attribution that hides parts of the image, and how alike its maps are with other fills.

    The map is that of the attribution as it is. ``filled`` are its maps with each fill in turn, ``alike`` their rank
    correlations with the map. All are made with the same random numbers: only the fill differs.
    """

    asks = "scores"

    inner: Attribution = Occlusion()
    fills: tuple[Fill, ...] = ("mean", "blur", "zero", "noise")
    """What else is put where the image is hidden."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        variants, twins = self._variants(), [query.rng.twin() for _ in self.fills]
        heat, others = self.inner.explain(query, x), list[Tensor]()
        for variant, rng in zip(variants, twins, strict=True):
            again = query.about(query.model)
            again.rng = rng
            others.append(_seen(variant.explain(again, x), x))
        query.notes["filled"] = torch.cat(others, 1)
        query.notes["alike"] = torch.stack([spearman(_seen(heat, x), other) for other in others], 1)
        return heat

    def _variants(self) -> list[Attribution]:
        inner: Any = self.inner
        if not hasattr(inner, "fill"):
            raise InputError(f"{type(inner).__name__} hides nothing", "give Occlusion(), RISE() or LIME()")
        if not self.fills:
            raise InputError("there are no other fills", 'give some: fills=("mean", "zero")')
        return [replace(inner, fill=fill) for fill in self.fills]


class NoiseLevels(Attribution):
    """Any map of noisy copies at several levels of noise, beginning without any (Smilkov et al., 2017).

    The map is that of ``inner`` as it is. ``noisy`` are its maps at each level in turn, made with the same random
    numbers, as many copies each; at level 0 stands the map of the image itself.
    """

    inner: Noisy = SmoothGrad()
    """What is asked at each level: SmoothGrad(), SmoothGradSquared() or VarGrad()."""
    levels: tuple[Fraction, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
    """Spreads of the noise, as shares of each image's own range."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        if not self.levels:
            raise InputError("there are no levels of noise", "give some: levels=(0, 0.1, 0.2)")
        twins = [query.rng.twin() for _ in self.levels]
        heat, found = self.inner.explain(query, x), list[Tensor]()
        for level, rng in zip(self.levels, twins, strict=True):
            again = query.about(query.model)
            again.rng = rng
            asked = replace(self.inner, sigma=level) if level else self.inner.inner
            found.append(_seen(asked.explain(again, x), x))
        query.notes["noisy"] = torch.cat(found, 1)
        return heat


def _seen(heat: Tensor, x: Tensor) -> Tensor:
    return resize(strongest_channel(heat), tuple(x.shape[2:]))
