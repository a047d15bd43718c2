"""A recipe: everything a run depends on, as one line of text."""

from ..method import Method
from ..objectives import Objective
from ..regions import Region
from ..spec import Count, Natural, Spec


class Recipe(Spec):
    """Which method is put to which model over which data, and how."""

    method: Method
    model: str
    """An address, such as ``torchvision:resnet50`` or ``unfool:digits``."""
    data: str
    """An address, such as a folder, ``photos.csv`` or ``unfool:digits``."""
    within: Region | None = None
    target: Natural | None = None
    """A class to lead to or to explain; by default each image's label."""
    limit: Count | None = None
    """How many samples, the first by a shuffle that depends on the seed; None takes all."""
    seed: Natural = 0
    objective: Objective | None = None
    """What an attribution explains; by default a class's logit."""
    chunk: Count = 64
    """How many samples a part holds; results do not depend on it."""
    targets: tuple[Natural, ...] = ()
    """Several numbers instead of one target, such as the pair of classes of ``Between()``."""
    reference: str | None = None
    """The address of a picture that ``Like()`` compares with."""
