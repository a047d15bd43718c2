"""PaCMAP, the only file that imports it."""

import logging
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import MissingExtra


def pacmap_of(x: Tensor, seed: int) -> Tensor:
    """Near pairs stay near and middling ones middling (Wang et al., 2021): [N, D] -> [N, 2]."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pacmap  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        raise MissingExtra("pacmap", "maps") from None
    logging.getLogger("pacmap").setLevel(logging.ERROR)  # it tells of every seed that one is set
    neighbours = min(10, len(x) // 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maker: Any = pacmap.PaCMAP(n_components=2, n_neighbors=neighbours, random_state=seed)
        made: Any = maker.fit_transform(np.asarray(x.float().numpy()), init="pca")
    return torch.tensor(made.tolist(), dtype=torch.float32)
