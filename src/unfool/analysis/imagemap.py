"""A map of images by a network's features: several layouts, each judged; a grid of it; slices of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..data.base import Source
from ..errors import InputError
from ..model import Model
from ..runs.begin import Watch, unwatched
from ..runs.imagemap import ImageMap, Mapped
from ..runs.neighbours import model_names
from ..runs.work import atomically
from .layouts import Quality, components, quality, scattered
from .pacmaps import pacmap_of
from .tiles import Cells, grid_size, snapped
from .tsne import tsne


class Layout(NamedTuple):
    """One map, and what it keeps."""

    name: str
    kind: Literal["t-SNE", "PaCMAP", "PCA", "random places"]
    seed: int
    perplexity: float
    view: Tensor
    """[N, 2]: to the right and up."""
    quality: Quality


class Grid(NamedTuple):
    """Images snapped to a grid, and how far those beside each other are truly apart."""

    cells: Cells
    rows: int
    columns: int
    seams: list[tuple[int, int, float]]
    """Two images side by side, or one over the other, and their distance as a share of the median of random pairs."""


class Charted(NamedTuple):
    """All that is known of the map."""

    plan: ImageMap
    classes: tuple[str, ...]
    mapped: Mapped
    layouts: tuple[Layout, ...]
    shown: Layout
    grid: Grid
    label_above: float | None
    """How often the nearest in the vectors themselves has the image's label."""


def study(
    plan: ImageMap, mapped: Mapped, model: Model, source: Source, folder: Path, watch: Watch = unwatched
) -> Charted:
    """All layouts, those that are in the folder already as they are there."""
    x, y = mapped.space.vectors["features"], mapped.space.y
    _checked(plan, x, y)
    labels = y if plan.labelled else None
    first = components(x)
    asked = wanted(plan, len(x))
    layouts = list[Layout]()
    with watch("maps", len(asked)) as progress:
        for kind, perplexity, seed in asked:
            view = _kept(folder, kind, perplexity, seed, first, seed == plan.seed)
            name = f"{kind}, perplexity {perplexity:g}" if kind == "t-SNE" else kind
            layouts.append(
                Layout(name, kind, seed, perplexity, view, quality(x, view, plan.k, labels, plan.seed))
            )
            progress(1)
    kind = {"tsne": "t-SNE", "pacmap": "PaCMAP"}[plan.method]
    shown = next(
        one
        for one in layouts
        if one.kind == kind and one.seed == plan.seed and one.perplexity in (plan.perplexity, 0)
    )
    above = None if labels is None else quality(x, x, plan.k, labels, plan.seed).label
    told = None if above is None else above.value
    return Charted(
        plan, model_names(model, source), mapped, tuple(layouts), shown, gridded(x, shown.view), told
    )


def _checked(plan: ImageMap, x: Tensor, y: Tensor) -> None:
    if float(x.double().std(0).max()) == 0:
        raise InputError("all images are the same to this layer", "name another with --layer")
    known = y[y >= 0].unique()
    if plan.labelled and len(known) == 1:
        raise InputError(
            "all images have one label, so there is no agreement of labels to count",
            "more classes, or --no-labelled maps them as they are",
        )


def wanted(
    plan: ImageMap, n: int
) -> list[tuple[Literal["t-SNE", "PaCMAP", "PCA", "random places"], float, int]]:
    """Every layout: t-SNE at three perplexities as far as the images allow, PaCMAP, and the baselines."""
    several = [p for p in (plan.perplexity / 3, plan.perplexity, plan.perplexity * 3) if 1 <= p <= n / 3]
    if plan.perplexity not in several:
        several.append(plan.perplexity)
    seeds = range(plan.seed, plan.seed + plan.seeds)
    return [
        *(("t-SNE", p, seed) for p in several for seed in seeds),
        *(("PaCMAP", 0.0, seed) for seed in seeds),
        ("PCA", 0.0, plan.seed),
        ("random places", 0.0, plan.seed),
    ]


def _kept(folder: Path, kind: str, perplexity: float, seed: int, x: Tensor, leading: bool) -> Tensor:
    """A layout from the folder, or made and written there; the ``leading`` seed begins at the components."""
    name = f"{kind}-{perplexity:g}-{seed}".replace(" ", "-").lower()
    path = folder / "parts" / "layouts" / f"{name}.safetensors"
    if path.exists():
        return load_file(path)["view"]
    path.parent.mkdir(parents=True, exist_ok=True)
    view = _made(kind, perplexity, seed, x, leading).contiguous()
    atomically(path, lambda draft: save_file({"view": view}, draft))
    return view


def _made(kind: str, perplexity: float, seed: int, x: Tensor, leading: bool) -> Tensor:
    if kind == "t-SNE":
        return tsne(x, perplexity, seed, "pca" if leading else "random")
    if kind == "PaCMAP":
        return pacmap_of(x, seed)
    return components(x, 2) if kind == "PCA" else scattered(len(x), seed)


def gridded(x: Tensor, view: Tensor) -> Grid:
    """The map on a grid, with the true distances of its neighbours."""
    cells = snapped(view)
    rows, columns = grid_size(len(x))
    where = {(int(r), int(c)): k for k, (r, c) in enumerate(cells)}
    pairs = [
        (k, where[other])
        for (r, c), k in where.items()
        for other in ((r, c + 1), (r + 1, c))
        if other in where
    ]
    a, b = (torch.tensor([pair[side] for pair in pairs], dtype=torch.long) for side in (0, 1))
    apart = (x[a].double() - x[b].double()).norm(dim=1)
    stream = torch.Generator().manual_seed(0)
    p, q = torch.randint(len(x), (2, 2000), generator=stream)
    usual = float((x[p].double() - x[q].double()).norm(dim=1)[p != q].median())
    seams = [(i, j, d / max(usual, 1e-30)) for (i, j), d in zip(pairs, apart.tolist(), strict=True)]
    return Grid(cells, rows, columns, seams)


def inside(view: Tensor, corners: Sequence[float]) -> Tensor:
    """Which points [N, 2] lie in a polygon of corners x0, y0, x1, y1, …: [N] bool."""
    if len(corners) < 6 or len(corners) % 2:
        raise InputError(
            f"a lasso of {len(corners)} numbers has no inside", "three corners at least: x0,y0,x1,y1,x2,y2"
        )
    ring = np.asarray(corners, np.float64).reshape(-1, 2)
    x, y = view.double().numpy().T
    found = np.zeros(len(x), bool)
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, 0), strict=True):
        crosses = (ay > y) != (by > y)
        found ^= crosses & (x < (bx - ax) * (y - ay) / np.where(by == ay, 1, by - ay) + ax)
    if not found.any():
        ends = ", ".join(f"{low:.3g} to {high:.3g}" for low, high in ((x.min(), x.max()), (y.min(), y.max())))
        raise InputError("no image lies inside the lasso", f"the map spans {ends}")
    return torch.from_numpy(found)
