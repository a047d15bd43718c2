"""A unit's best images by brute force: max over positions of every image at once, sorted, ties by the earlier image."""

import pytest
import torch
from torch import Tensor, nn

from oracles import conv, images
from unfool.errors import InputError, UnknownName
from unfool.measures.units import Units, unit_layers, watched
from unfool.model import Model
from unfool.rows import Batch


def batch(x: Tensor, y: Tensor | None = None, first: int = 0) -> Batch:
    ids = tuple(str(first + k) for k in range(len(x)))
    return Batch(ids, x, torch.full((len(x),), -1) if y is None else y)


def looked(
    model: Model, x: Tensor, y: Tensor, sizes: list[int], keep: int = 4, classes: int = 3
) -> dict[str, Units]:
    """The units of every layer, the images in batches of those sizes."""
    grids = unit_layers(model, x[:1], ("all",))
    found = {}
    with torch.no_grad():
        seen = {name: model.trace(x[:1], (name,))[name] for name in grids}
    for name, grid in grids.items():
        found[name] = Units.none(grid.maps(seen[name]).shape[1], keep, x.ndim - 2, classes)
    first = 0
    for some, label in zip(x.split(sizes), y.split(sizes), strict=True):
        numbers = torch.arange(first, first + len(some))
        new = watched(model, grids, batch(some, label, first), numbers, numbers % 2 == 0, classes, found)
        found = {name: units.joined(new[name]) for name, units in found.items()}
        first += len(some)
    return found


class Rounded(nn.Module):
    """To tenths: many ties."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 10).round() / 10


NETS = {
    "plain": lambda: conv(),
    "ties": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), Rounded(), nn.Conv2d(5, 2, 3)),
    "all negative": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.Softplus(), Negative(), nn.Conv2d(5, 2, 3)),
    "in place": lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Conv2d(5, 2, 3)),
}


class Negative(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("sizes", [[23], [8, 8, 7], [1, 20, 2]])
def test_the_best_images_are_those_of_brute_force_bit_for_bit(kind: str, sizes: list[int]):
    """Top-k that begins at zero, as one rival's, gives no image at all of a channel that is always negative."""
    torch.manual_seed(0)
    net = NETS[kind]().eval()
    x, y = images(23, 3, 9, 9), torch.arange(23) % 3
    found = looked(Model(net), x, y, sizes)
    for name, units in found.items():
        with torch.no_grad():
            parts = [Model(net).trace(some, (name,))[name] for some in x.split(sizes)]
        maps = torch.cat(parts)
        each = maps.flatten(2).amax(2)
        order = each.sort(dim=0, descending=True, stable=True).indices[:4].T
        assert torch.equal(units.image, order), name
        assert torch.equal(units.value, each.T.gather(1, order))
        for c, k in ((0, 0), (1, 3)):
            place = units.place[c, k].tolist()
            assert maps[order[c, k], c, place[0], place[1]] == units.value[c, k]
        assert units.images == 23
        assert torch.equal(units.live, (each > 0).sum(0))
        assert torch.allclose(units.mean, each.double().mean(0))
        assert torch.allclose(units.deviation, each.double().std(0, correction=0), atol=1e-6)
        assert torch.allclose(units.profile[:, 1], each[y == 1].double().mean(0))
        assert torch.equal(units.drawn, each[::2])
    if kind == "all negative":
        assert (found["2"].value < 0).all()
        assert found["2"].dead.all()


def test_shards_joined_are_one_pass():
    x, y = images(20, 3, 9, 9), torch.arange(20) % 3
    model = Model(conv())
    whole = looked(model, x, y, [5, 5, 5, 5])
    grids = unit_layers(model, x[:1], ("all",))
    for name in grids:
        shards = []
        for first in (0, 10):
            state = Units.none(whole[name].value.shape[0], 4, 2, 3)
            for at in (first, first + 5):
                numbers = torch.arange(at, at + 5)
                new = watched(
                    model,
                    {name: grids[name]},
                    batch(x[at : at + 5], y[at : at + 5]),
                    numbers,
                    numbers % 2 == 0,
                    3,
                    {name: state},
                )
                state = state.joined(new[name])
            shards.append(state)
        joined = shards[0].joined(shards[1])
        for part in ("value", "image", "place", "low", "live", "by_class", "of_class", "drawn", "images"):
            assert torch.equal(getattr(joined, part), getattr(whole[name], part)), part


def test_units_that_say_the_same_are_alike():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 2, 3))
    with torch.no_grad():
        net[0].weight[1] = 2 * net[0].weight[0]
        net[0].weight[3] = 0
    units = looked(Model(net), images(20, 3, 9, 9), torch.zeros(20, dtype=torch.long), [20])["0"]
    alike = units.alike()
    assert torch.allclose(alike[0, 1], torch.tensor(1.0, dtype=torch.float64))
    assert alike[3].abs().max() == 0  # a constant unit is like none
    assert units.dead[3]


def test_layers_are_found_by_name_pattern_or_size():
    model, x = Model(conv()), images(1, 3, 9, 9)
    every = unit_layers(model, x, ("all",))
    assert set(unit_layers(model, x)) < set(every)
    assert len({grid.sides for grid in unit_layers(model, x).values()}) == len(unit_layers(model, x))
    first = next(iter(every))
    assert list(unit_layers(model, x, (first,))) == [first]
    with pytest.raises(UnknownName, match="no layer is called 'nowhere'"):
        unit_layers(model, x, ("nowhere",))


def test_a_layer_without_positions_has_no_patches():
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(InputError, match="layer '3' has no positions"):
        unit_layers(Model(net), images(1, 3, 9, 9), ("3",))
