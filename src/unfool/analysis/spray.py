"""Spectral relevance analysis: a class's heat maps in clusters (Lapuschkin et al., 2019).

Maps are brought to a coarse grid and to length 1; each is joined to its nearest neighbours; the eigenvalues of the
normalised Laplacian ``I - D^-1/2 W D^-1/2`` tell how many clusters there are: as many as lie below the widest gap.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError

NEIGHBOURS = 10
FEWEST = 12
"""Below so many maps there is nothing to cluster."""


class Clusters(NamedTuple):
    """Which cluster each map is in, largest first; the eigenvalues, and a view of all maps in two dimensions."""

    label: Tensor
    eigenvalues: Tensor
    gap: float
    """The gap that gave the number of clusters."""
    view: Tensor

    @property
    def n(self) -> int:
        return int(self.label.max()) + 1

    def members(self, k: int) -> Tensor:
        return (self.label == k).nonzero()[:, 0]


def fingerprints(heat: Tensor, side: int) -> Tensor:
    """Maps [N, 1, *space] on a grid of at most ``side`` a dimension, each of length 1: [N, D]."""
    dims = heat.ndim - 2
    pool: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[dims - 1]
    small = pool(heat.double(), [min(side, n) for n in heat.shape[2:]]).flatten(1)
    return small / small.norm(dim=1, keepdim=True).clamp_min(1e-12)


def spray(heat: Tensor, side: int = 16, most: int = 8, seed: int = 0) -> Clusters:
    """Clusters of maps [N, 1, *space]; ``most`` is the largest number of them."""
    if len(heat) < FEWEST:
        raise InputError(
            f"{len(heat)} maps are too few to cluster", f"at least {FEWEST}: more images, or another class"
        )
    points = fingerprints(heat, side).numpy()
    near = affinity(points, min(NEIGHBOURS, len(points) // 4))
    values = laplacian_eigenvalues(near)[: most + 1]
    gaps = np.diff(values)[1:]  # one cluster is no finding: two at least
    n = int(gaps.argmax()) + 2
    label = _by_size(_cut(near, n))
    view = torch.from_numpy(laid_out(points, seed))
    return Clusters(label, torch.from_numpy(values), float(gaps.max()), view)


def affinity(points: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """1 where two points are among each other's ``k`` nearest, 1/2 where one is among the other's: [N, N]."""
    from sklearn.neighbors import kneighbors_graph  # pyright: ignore[reportMissingTypeStubs]

    near: Any = kneighbors_graph(points, k, include_self=False)
    dense = near.toarray()
    return (dense + dense.T) / 2


def laplacian_eigenvalues(near: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the normalised Laplacian, ascending: as many zeros as there are separate parts."""
    root = 1 / np.sqrt(near.sum(1))
    return np.asarray(np.linalg.eigvalsh(np.eye(len(near)) - near * root[:, None] * root[None]), np.float64)


def _cut(near: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    from scipy.sparse.csgraph import connected_components
    from sklearn.cluster import spectral_clustering  # pyright: ignore[reportMissingTypeStubs]

    parts, label = connected_components(near, directed=False)
    if parts >= n:  # separate already
        return label.astype(np.int64)
    near = near + 1e-9 * (near.mean())  # scikit-learn warns of parts without a bridge
    return np.asarray(
        spectral_clustering(near, n_clusters=n, assign_labels="cluster_qr", random_state=0), np.int64
    )


def _by_size(label: NDArray[np.int64]) -> Tensor:
    sizes = np.bincount(label)
    rank = np.empty_like(sizes)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return torch.from_numpy(rank[label].astype(np.int64))


def laid_out(points: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    """Neighbours stay neighbours in two dimensions (van der Maaten and Hinton, 2008)."""
    from sklearn.manifold import TSNE  # pyright: ignore[reportMissingTypeStubs]

    wide: Any = min(30.0, (len(points) - 1) / 3)
    return np.asarray(TSNE(perplexity=wide, init="pca", random_state=seed).fit_transform(points), np.float32)
