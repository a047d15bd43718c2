"""t-SNE by openTSNE, the only file that imports it."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import MissingExtra


def tsne(
    x: Tensor,
    perplexity: float,
    seed: int,
    begin: Literal["pca", "random"] = "pca",
    step: Callable[[], None] | None = None,
) -> Tensor:
    """Neighbours stay neighbours in two dimensions (van der Maaten and Hinton, 2008): [N, D] -> [N, 2].

    ``step`` is called now and then; what it raises ends the search.
    """
    try:
        from openTSNE import TSNE  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise MissingExtra("openTSNE", "maps") from None
    maker: Any = TSNE  # it takes fractions, whatever it is annotated as
    made: Any = maker(
        perplexity=perplexity,
        initialization=begin,
        random_state=seed,
        n_jobs=torch.get_num_threads(),
        # up to so many exact neighbours and forces are the faster ones
        neighbors="exact" if len(x) <= 3000 else "auto",
        callbacks=None if step is None else lambda *told: step(),
        callbacks_every_iters=25,
    ).fit(x.double().numpy())
    return torch.tensor(made.tolist(), dtype=torch.float32)
