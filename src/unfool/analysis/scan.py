"""Which layer a map is best made at: by what the network does, not by looks."""

from typing import Any, NamedTuple

from ..measures.grading import Measure
from ..runs.grade import Scanned
from .bootstrap import bootstrap, difference
from .rates import Mean

LEAST = 4
"""With fewer images nothing is chosen."""


class Place(NamedTuple):
    """A layer, its mean by each measure, and how far the chosen layer is ahead of it, image by image."""

    layer: str
    means: tuple[Mean, ...]
    ahead: Mean

    @property
    def beaten(self) -> bool:
        """Whether the chosen layer is better beyond doubt."""
        return self.ahead.n > 1 and self.ahead.low > 0


class Scan(NamedTuple):
    """The layer that the first measure chose on every second image, and what the other images say of all layers."""

    measures: tuple[Measure, ...]
    best: str
    chosen_on: int
    """Images the layer was chosen on; no number here comes from them."""
    places: tuple[Place, ...]

    @property
    def by(self) -> Measure:
        return self.measures[0]

    @property
    def rivals(self) -> list[str]:
        """Layers that cannot be told from the chosen one."""
        return [one.layer for one in self.places if one.layer != self.best and not one.beaten]

    def as_dict(self) -> dict[str, Any]:
        places = [
            {
                "layer": one.layer,
                "means": {repr(m): mean._asdict() for m, mean in zip(self.measures, one.means, strict=True)},
                "best_ahead_by": one.ahead._asdict(),
                "beaten": one.beaten,
            }
            for one in self.places
        ]
        return {"by": repr(self.by), "best": self.best, "chosen_on": self.chosen_on, "layers": places}


def scan_of(found: Scanned) -> Scan | None:
    """Chosen on one half of the images, told by the other, so that the best of many is not best by luck."""
    by, tables = found.measures[0], found.tables
    sign = 1 if by.better == "higher" else -1
    values = {name: sign * table[repr(by)][table.readable] for name, table in tables.items()}
    if len(next(iter(values.values()))) < LEAST:
        return None
    chosen = {name: bootstrap(v[::2], draws=1) for name, v in values.items()}
    known = [name for name, mean in chosen.items() if mean.n]
    if not known:
        return None
    best = max(known, key=lambda name: chosen[name].mean)
    places = [
        Place(
            name,
            tuple(bootstrap(table[repr(m)][table.readable][1::2]) for m in found.measures),
            difference(values[best][1::2], values[name][1::2]),
        )
        for name, table in tables.items()
    ]
    return Scan(found.measures, best, chosen[best].n, tuple(places))
