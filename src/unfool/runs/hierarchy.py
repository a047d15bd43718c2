"""A run that goes through a network's layers in order: what fires their units, and what a linear model reads there."""

from ..data.base import Source
from ..data.labels import label_numbers
from ..model import Model
from ..spec import Count, Natural, Spec
from .begin import chosen
from .neighbours import model_names
from .probe import Probe
from .units import Looking


class Hierarchy(Spec):
    """Which layers are gone through, over which data."""

    model: str
    data: str
    training: str = ""
    """Where linear probes learn; by default from one half of the data, and the other half judges."""
    layers: tuple[str, ...] = ()
    """Names or patterns; by default the last layer of each size."""
    channels: Count = 4
    """How many units of each layer are shown: those that are most selective."""
    moved: Count = 50
    """How many images are moved, turned and enlarged."""
    sample: Count = 2000
    """How many images at most, drawn by the seed."""
    seed: Natural = 0

    @property
    def looking(self) -> Looking:
        """What looks for the images that fire each unit."""
        return Looking(self.model, self.data, self.layers, limit=self.sample, seed=self.seed)

    def probe(self, layers: tuple[str, ...]) -> Probe:
        """What reads the classes off each layer."""
        return Probe(self.model, self.data, self.training, layers, (), 1, self.moved, self.sample, self.seed)


def teachable(plan: Hierarchy, model: Model, source: Source, training: Source | None) -> bool:
    """Whether there are labels for a probe to learn from and to be judged by: two classes on both sides."""
    own = _labels(plan, model, source)
    count = {y: own.count(y) for y in own if y >= 0}
    if training is None:
        return sum(n > 1 for n in count.values()) > 1
    return len({*count} & {*_labels(plan, model, training)}) > 1


def _labels(plan: Hierarchy, model: Model, source: Source) -> list[int]:
    ids = chosen(source.ids(), plan.sample, plan.seed)
    return label_numbers(ids, [source.label(i) for i in ids], model_names(model, source), {}).tolist()
