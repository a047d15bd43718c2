"""Features, answers and made images that take long, in parts of a folder: a command that was stopped goes on there."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from ..measures.embed import features_and_logits
from ..model import Model
from .begin import Watch, claim, unwatched
from .table import read_table
from .work import Part, work

Ask = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Gives the features [N, D] and the logits [N, K] of images."""

ASKED, MADE = 128, 16
"""How many images a part holds; of those that are searched for, fewer."""


class Asked:
    """``features_and_logits`` of the same images once only, whoever asks; without a folder nothing is kept.

    ``text`` says what the folder is for: one that is for something else, or of other weights, is refused.
    """

    def __init__(self, model: Model, folder: Path | None = None, text: str = "", watch: Watch = unwatched):
        self.model, self.folder, self.text, self.watch = model, folder, text, watch

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.folder is None or not len(x):
            return features_and_logits(self.model, x)
        key = sha256(x.cpu().contiguous().numpy().tobytes()).hexdigest()[:16]
        ids = [str(k) for k in range(len(x))]

        def rows(some: Sequence[str]) -> dict[str, Tensor]:
            features, logits = features_and_logits(self.model, x[int(some[0]) : int(some[-1]) + 1])
            return {"features": features, "logits": logits}

        found = self._kept(f"asked-{key}", "features and answers", ids, rows, ASKED)
        return found["features"], found["logits"]

    def made(self, name: str, ids: Sequence[str], make: Callable[[list[int]], Tensor]) -> Tensor:
        """Images [N, C, *], some at a time; ``make`` is given which of the ids."""
        if self.folder is None:
            return make([*range(len(ids))])
        where = {i: k for k, i in enumerate(ids)}

        def rows(some: Sequence[str]) -> dict[str, Tensor]:
            return {"x": make([where[i] for i in some]).cpu()}

        return self._kept(f"made-{name}", f"{name} images", ids, rows, MADE)["x"]

    def _kept(
        self,
        place: str,
        name: str,
        ids: Sequence[str],
        rows: Callable[[Sequence[str]], dict[str, Tensor]],
        chunk: int,
    ) -> dict[str, Tensor]:
        assert self.folder is not None
        claim(self.folder, self.text, self.model)
        folder = self.folder / "parts" / place
        with self.watch(name, len(ids)) as progress:
            work(place, folder, ids, lambda some: Part(rows(some), {}, {}), chunk=chunk, progress=progress)
        return dict(read_table(folder).columns)
