"""What a network says, and how sure it is."""

from ..method import Columns, Method, Question
from ..objectives import label_of
from ..rows import Batch
from ..scores import mean_scores


class Predict(Method):
    """The label, its probability, and the gap between the two best logits."""

    every: bool = False
    """Keep the probability of every class as well."""

    def columns(self, question: Question, batch: Batch) -> Columns:
        logits = question.model(batch.x)
        logits = mean_scores(logits)
        best = logits.topk(min(2, logits.shape[1]), 1).values
        label = label_of(logits)
        chances = logits.softmax(1).cpu()
        found = {
            "label": label.cpu(),
            "confidence": chances.amax(1),
            "gap": (best[:, 0] - best[:, -1]).cpu(),
            "correct": (label.cpu() == batch.y) & (batch.y >= 0),
            "y": batch.y,
        }
        return found | ({"probabilities": chances} if self.every else {})
