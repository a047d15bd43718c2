"""What is left of an attack once its pictures have been printed and photographed."""

import torch
from torch import Tensor

from ..method import Columns, Method, Question
from ..model import Model
from ..objectives import label_of
from ..rows import Batch, Rng, stable_number
from ..spec import Count
from ..transforms import Camera, Transform
from ..views import from_uint8


class Photographed(Method):
    """How often a change still works after random transforms, and how often it is undone (Kurakin et al., 2017).

    ``survives`` is the share of draws in which the goal is reached, ``undone`` that in which the true label is back:
    its mean over the images that were right before and fooled after is the destruction rate. The draws are fresh: no
    attack, slope or fit has seen them.
    """

    inner: Method
    """An attack, or what was learned: whatever gives changed images."""
    transforms: tuple[Transform, ...] = (Camera(),)
    samples: Count = 10

    def columns(self, question: Question, batch: Batch) -> Columns:
        found, model = self.inner.columns(question, batch), question.model
        x = from_uint8(found["adversarial"]).to(model.device)
        wanted = question.labels(batch).to(model.device)
        right = (
            batch.y.to(model.device) if (batch.y >= 0).all() else question._replace(target=None).labels(batch)
        )
        seen = torch.stack(self._labels(model, x, question.seed, batch), 1)
        reached = (seen == wanted[:, None]) == (question.target is not None)
        return {
            "right_before": (label_of(model(batch.x)) == right.to(model.device)).cpu(),
            "fooled": found["success_saved"].cpu(),
            "survives": reached.float().mean(1).cpu(),
            "undone": (seen == right.to(seen)[:, None]).float().mean(1).cpu(),
        }

    def _labels(self, model: Model, x: Tensor, seed: int, batch: Batch) -> list[Tensor]:
        labels: list[Tensor] = []
        for k in range(self.samples):
            rng, seen = Rng.seeded(stable_number(seed, "photo", k), batch.ids, x.device), x
            for transform in self.transforms:
                seen = transform(seen, rng)
            labels.append(label_of(model(seen.clamp(0, 1))))
        return labels
