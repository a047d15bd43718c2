"""Where the positions of a layer are: [B, K, h, w], [B, h, w, K], or tokens [B, prefix + h * w, K]."""

import pytest
import torch

from oracles import images
from unfool.grids import Grid, grid_of, grids_of

SHAPES = [
    ((2, 64, 7, 7), (224, 224), Grid((7, 7))),
    ((2, 7, 7, 768), (224, 224), Grid((7, 7), True)),  # Swin
    ((2, 64, 7, 10), (224, 320), Grid((7, 10))),
    ((2, 7, 10, 64), (224, 320), Grid((7, 10), True)),
    ((2, 197, 768), (224, 224), Grid((14, 14), True, 1)),  # ViT
    ((2, 198, 768), (224, 224), Grid((14, 14), True, 2)),  # DeiT
    ((2, 201, 768), (224, 224), Grid((14, 14), True, 5)),  # registers
    ((2, 196, 768), (224, 224), Grid((14, 14), True)),
    ((2, 141, 768), (224, 160), Grid((14, 10), True, 1)),
    ((2, 1569, 96), (16, 224, 224), Grid((8, 14, 14), True, 1)),  # a video in tubes of two frames
    ((2, 8, 4, 5, 6), (8, 10, 12), Grid((4, 5, 6))),
    ((2, 4, 5, 6, 8), (8, 10, 12), Grid((4, 5, 6), True)),
    ((2, 5, 40), (80,), Grid((40,))),
    ((2, 512, 1, 1), (224, 224), None),
    ((2, 1000), (224, 224), None),
    ((2, 1, 768), (224, 224), None),
]


@pytest.mark.parametrize(("shape", "space", "grid"), SHAPES)
def test_the_grid_of_a_layer(shape: tuple[int, ...], space: tuple[int, ...], grid: Grid | None):
    assert grid_of(shape, space) == grid


@pytest.mark.parametrize("shape", [shape for shape, _, grid in SHAPES if grid])
def test_maps_go_back_where_they_came_from(shape: tuple[int, ...]):
    space = next(space for s, space, _ in SHAPES if s == shape)
    t = images(*shape)
    grid = grid_of(shape, space)
    assert grid is not None
    maps = grid.maps(t)
    assert maps.shape == (len(t), maps.shape[1], *grid.sides)
    assert torch.equal(grid.put(maps, t), t)
    assert torch.equal(grid.maps(grid.put(maps + 1, t)), maps + 1)
    if grid.prefix:
        assert torch.equal(grid.put(maps + 1, t)[:, : grid.prefix], t[:, : grid.prefix])


def test_sides_can_be_said():
    assert grid_of((1, 6, 8), (224, 224), (1, 6)) == Grid((1, 6), True)
    assert grid_of((1, 6, 8), (224, 224), (2, 2)) == Grid((2, 2), True, 2)
    assert grid_of((1, 7, 7, 7), (224, 224), (7, 7)) == Grid((7, 7))
    assert grid_of((1, 6, 8), (224, 224), (3, 3)) is None


TABLES = {
    "keys": (2, 3, 17, 64),  # 3 heads, 16 patches and a class token
    "keys of one patch": (2, 8, 1, 48),
    "channels across positions": (2, 506, 16),  # as tokens, they would be 22 by 23
    "positions of patches": (2, 32, 4, 16),
}
MAPS = {"stem": (2, 16, 32, 32), "block": (2, 8, 4, 4), "tokens": (2, 17, 192)}


def test_tables_of_heads_channels_and_patches_are_no_grids():
    shapes = {**TABLES, **MAPS}
    assert all(grid_of(shape, (64, 64)) for shape in shapes.values())
    for convolutions in ((), ("stem", "block"), ("positions of patches", "block")):
        assert [*grids_of(shapes, (64, 64), convolutions)] == [*MAPS]


def test_convolutions_may_leave_the_proportions_of_the_image():
    """As those of networks for spectra do, and none of what follows them is then lost."""
    shapes = {"stem": (2, 8, 32, 32), "narrow": (2, 8, 8, 32), "relu": (2, 8, 8, 32), "end": (2, 8, 2, 32)}
    assert [*grids_of(shapes, (64, 64), ("stem", "narrow", "end"))] == [*shapes]
    assert [*grids_of({"narrow": shapes["narrow"]}, (64, 64))] == [
        "narrow"
    ]  # nor where there is nothing else


@pytest.mark.parametrize(("sides", "space"), [((2, 3), (64, 65)), ((8, 9), (299, 330)), ((9, 21), (70, 160))])
def test_edges_may_cost_a_position_more_in_one_dimension(sides: tuple[int, ...], space: tuple[int, ...]):
    shapes = {"conv": (2, 8, *sides), "relu": (2, 8, *sides), "keys": (2, 3, 17, 99)}
    assert [*grids_of(shapes, space, ("conv",))] == ["conv", "relu"]
