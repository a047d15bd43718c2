"""A few images looked at closely: attacked, explained before and after, and seen along straight lines."""

import torch
from torch import Tensor

from ..attacks.base import Attack
from ..attacks.sweep import asked
from ..attributions.base import Attribution
from ..method import Columns, Method, Question
from ..objectives import label_of
from ..rows import Batch
from ..scores import mean_scores
from ..views import from_uint8, to_uint8


class CaseStudy(Method):
    """An attack on each image, judged on what an 8-bit file would hold, with maps of the predicted class on both sides.

    Columns ``heat_K`` and ``heat_K_after`` are the K-th attribution's maps [B, 1, *space] of image and attacked image.
    """

    attack: Attack
    attributions: tuple[Attribution, ...]

    def columns(self, question: Question, batch: Batch) -> Columns:
        model = question.model
        query, within, ball = asked(self.attack, question, batch)
        with model.settled():
            found = self.attack.found(query, within, ball)
            flipped = query.reached(found)
        saved = to_uint8(found).cpu()
        after = Batch(batch.ids, from_uint8(saved), batch.y)
        exact = {
            "adversarial": saved,
            "change": (found - ball.center).cpu(),
            "flipped": flipped.cpu(),
            "y": query.y.cpu(),
        }
        return {
            "image": to_uint8(batch.x),
            **exact,
            **_answers(question, batch.x, "before"),
            **_answers(question, found, "after"),
            **_answers(question, after.x, "saved"),
            **self._maps(question, batch, ""),
            **self._maps(question, after, "_after"),
        }

    def _maps(self, question: Question, batch: Batch, suffix: str) -> Columns:
        found = (method.columns(question._replace(target=None), batch) for method in self.attributions)
        return {f"heat_{k}{suffix}": columns["heat"].cpu() for k, columns in enumerate(found)}


def _answers(question: Question, x: Tensor, when: str) -> Columns:
    """Label and confidence of what the network says of images."""
    logits = question.model(x)
    logits = mean_scores(logits)
    probabilities = torch.softmax(logits, 1).amax(1)
    return {f"label_{when}": label_of(logits).cpu(), f"confidence_{when}": probabilities.cpu()}
