"""t-SNE by openTSNE, the only file that imports it."""

from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import MissingExtra


def tsne(x: Tensor, perplexity: float, seed: int, begin: Literal["pca", "random"] = "pca") -> Tensor:
    """Neighbours stay neighbours in two dimensions (van der Maaten and Hinton, 2008): [N, D] -> [N, 2]."""
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
    ).fit(x.double().numpy())
    return torch.tensor(made.tolist(), dtype=torch.float32)
