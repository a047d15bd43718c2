"""Images that mean nothing to people and one class to a network."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..objectives import LogProb
from ..query import Query
from ..region import l2_norm
from ..rows import Rng, column
from ..scores import mean_scores
from ..spec import Count, Fraction, Positive
from .base import Drawn, Synthesis
from .genomes import Direct, Encoding, Genomes
from .looks import Looks


class Fooling(Synthesis):
    """Climb a class's probability from the start plus noise, while the image decays to it (Nguyen et al., 2015).

    Each step is as long as brings the wanted rise of the probability if the network is linear there: ``early`` while it
    is small, ``late`` of what is left to 1.
    """

    climbs = LogProb()

    steps: Count = 300
    noise: Positive = 0.1
    """Spread of the normal noise that is added to the start."""
    decay: Fraction = 0.01
    """The part of the difference from the start that is lost in each step."""
    early: Fraction = 0.03
    """How much the probability should rise in a step."""
    late: Fraction = 0.1
    """At most this part of what is left to 1."""

    def draw(self, query: Query, looks: Looks, seed: int) -> Drawn:
        start = looks.start
        x = (start + self.noise * query.rng.normal(start)).clamp(0, 1)
        history: list[Tensor] = []
        for _ in range(self.steps):
            score, _, grad = query.gradient(x)
            assert grad is not None
            history.append(score.exp())
            x = self._stepped(x, start, grad, history[-1])
        return Drawn(x, torch.stack([*history, query.ask(x).score.exp()], 1))

    def _stepped(self, x: Tensor, start: Tensor, grad: Tensor, p: Tensor) -> Tensor:
        """One step up the log-probability, which rises by 1 at most, after the decay."""
        rise = torch.minimum(torch.full_like(p, self.early), self.late * (1 - p))
        length = (rise / p.clamp_min(1e-30)).clamp(max=1.0) / l2_norm(grad).square().clamp_min(1e-12)
        return (start + (1 - self.decay) * (x - start) + column(length, x) * grad).clamp(0, 1)


class Elite(NamedTuple):
    """The best of each niche so far: its genome, and the log-probability of its class."""

    genomes: Genomes
    score: Tensor


class MapElites(Synthesis):
    """Evolve images in one niche per class, the best of each breed for all (Nguyen et al., 2015; Mouret & Clune, 2015).

    A child takes over every niche it is better in, whatever its parents' were. All classes of the network evolve
    together, so that what is found for one depends neither on which are asked for nor on how many. Scores are enough.
    """

    climbs = LogProb()

    encoding: Encoding = Direct()
    """How an image is written: value by value, or as a small network of its coordinates."""
    generations: Count = 100
    children: Count = 200
    """How many images are bred, and asked in one pass, in each generation; as many begin."""

    def draw(self, query: Query, looks: Looks, seed: int) -> Drawn:
        start = looks.start
        query.model.need("scores", query.who)
        rng = Rng.seeded(seed, ("every class",), start.device)
        genomes = self.encoding.first(self.children, start, rng)
        elite = self._settled(query, start, genomes, None)
        history = [elite.score.exp()]
        for _ in range(self.generations):
            genomes = self.encoding.bred(elite.genomes, self.children, rng)
            elite = self._settled(query, start, genomes, elite)
            history.append(elite.score.exp())
        kept = tuple(part[query.y] for part in elite.genomes)
        return Drawn(self.encoding.painted(kept, start), torch.stack(history, 1)[query.y])

    def _settled(self, query: Query, start: Tensor, genomes: Genomes, elite: Elite | None) -> Elite:
        """The best of each niche once all have been asked: one pass for all of them."""
        logits = query.logits(self.encoding.painted(genomes, start))
        score = mean_scores(logits).log_softmax(1)
        best, who = score.max(0)  # [K] each
        new = tuple(part[who] for part in genomes)
        if elite is None:
            return Elite(new, best)
        better = best > elite.score
        parts = zip(new, elite.genomes, strict=True)
        kept = tuple(torch.where(column(better, a), a, b) for a, b in parts)
        return Elite(kept, torch.maximum(best, elite.score))
