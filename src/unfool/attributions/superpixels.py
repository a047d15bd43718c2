"""Images cut into pieces of like colour."""

import torch
from torch import Tensor


def superpixels(image: Tensor, pieces: int, compactness: float = 0.5, steps: int = 10) -> Tensor:
    """Which piece each position of one image belongs to: [C, *space] -> [*space], numbers from 0 on.

    Simple linear iterative clustering (Achanta et al., 2012): k-means on colour and position, from a regular grid.
    ``compactness`` is what a distance of one piece's width counts for, in differences of colour.
    """
    space, dims = image.shape[1:], image.ndim - 1
    pieces = min(pieces, space.numel())
    width = (space.numel() / pieces) ** (1 / dims)
    counts = [max(1, round(side / width)) for side in space]
    at = torch.stack(torch.meshgrid(*[torch.arange(n, device=image.device) for n in space], indexing="ij"))
    points = torch.cat([image, at.to(image) * (compactness / width)]).flatten(1).T  # [positions, C + dims]
    lines = [((torch.arange(k) + 0.5) * side / k).long() for k, side in zip(counts, space, strict=True)]
    grid = torch.cartesian_prod(*lines).view(-1, dims)
    step = torch.tensor([space[d + 1 :].numel() for d in range(dims)])
    centres = points[(grid * step).sum(1).to(image.device)]
    label = torch.zeros(len(points), dtype=torch.long, device=image.device)
    for _ in range(steps):
        label = torch.cdist(points, centres).argmin(1)
        total = torch.zeros_like(centres).index_add_(0, label, points)
        count = label.bincount(minlength=len(centres)).to(total)[:, None]
        centres = torch.where(count > 0, total / count.clamp_min(1), centres)
    return label.unique(return_inverse=True)[1].view(space)
