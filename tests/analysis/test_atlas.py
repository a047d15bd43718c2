"""An atlas: what a cell does is what brute force says, planted cells are found, and chance argues for nothing."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from oracles import images, same, seeded
from unfool.aims import Direction
from unfool.analysis.atlas import Charted, against_class, for_class, study
from unfool.analysis.cells import (
    Group,
    argued,
    cells_of,
    groups_of,
    laid_out,
    means_of,
    moves_of,
    ranked,
    shuffled,
    weights_of,
)
from unfool.analysis.rates import mean_of
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.measures.spots import Spots, drawn_spots, layer_maps, place_of
from unfool.method import Question
from unfool.model import Model
from unfool.rows import Batch
from unfool.runs.atlas import Atlas, moved, run_spots
from unfool.spec import parse
from unfool.synthesis.base import Synthesis
from unfool.targets import Neuron
from unfool.zoo.address import load

QUICK = parse("Maximise(Pixels(), (), steps=24, rate=0.1)", Synthesis)
PLAN = Atlas("unfool:digits", "unfool:digits", "features.3", "pca", grid=5, draw=QUICK, sample=60)


class Arrays:
    """Images in memory as data."""

    def __init__(self, x: Tensor):
        self.x = x

    def ids(self) -> tuple[str, ...]:
        return tuple(map(str, range(len(self.x))))

    def batch(self, ids, view=None, classes=()) -> Batch:
        x = self.x[[int(i) for i in ids]]
        return Batch(tuple(ids), x, torch.full((len(x),), -1))


@seeded
def pooled() -> nn.Module:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
            self.head = nn.Linear(6, 4)

        def forward(self, x):
            return self.head(self.body(x).mean((2, 3)))

    return Net()


@seeded
def vit() -> nn.Module:
    return VisionTransformer(32, 8, 2, 2, 12, 24, num_classes=4)


def centred(logits: Tensor) -> Tensor:
    return (logits - logits.mean(-1, keepdim=True)).detach()


def test_before_a_mean_and_a_linear_layer_a_move_does_what_the_weights_say():
    net, x = pooled(), images(3, 3, 6, 7)
    moves = images(2, 6, 20, low=-0.1, high=0.1)
    found = moved(Model(net), "body", x, moves)
    by_hand = centred(moves.mean(2) @ net.head.weight.T)
    assert same(found, by_hand[:, None].expand(2, 3, 4))


def test_of_a_layer_without_positions_the_whole_is_moved():
    net = nn.Sequential(nn.Flatten(), nn.Linear(27, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    moves = images(4, 5, 1, low=-1)
    found = moved(Model(net), "2", images(2, 3, 3, 3), moves)
    assert same(found, centred(moves[:, :, 0] @ net[3].weight.T)[:, None].expand(4, 2, 3))


def test_of_a_transformer_tokens_are_moved_where_they_lie():
    """Token 1 + k of the layer's output is position k; the class token stays."""
    net, x, moves = vit(), images(2, 3, 32, 32), images(3, 12, 16, low=-1)
    layer = "encoder.layers.encoder_layer_0"

    def by_hand(move: Tensor) -> Tensor:
        def instead(_module, _given, out):
            return torch.cat([out[:, :1], out[:, 1:] + move.T], 1)

        handle = net.get_submodule(layer).register_forward_hook(instead)
        try:
            return net(x)
        finally:
            handle.remove()

    with torch.no_grad():
        told = torch.stack([centred(by_hand(move)) for move in moves]) - centred(by_hand(0 * moves[0]))
    assert same(moved(Model(net), layer, x, moves), told)


def test_a_direction_in_the_middle_is_a_sum_of_neurons():
    way = torch.tensor([[3.0, 0.0, 4.0]])
    trace = {"0": images(1, 3, 5, 4), "direction": way}
    score = Direction("0", middle=True).score(trace, torch.zeros(1, dtype=torch.long))
    first, third = (Neuron("0").score(trace, torch.tensor([c])) for c in (0, 2))
    assert same(score, 0.6 * first + 0.8 * third)


def test_positions_are_drawn_once_whatever_the_batch():
    model, x = Model(pooled()), images(5, 3, 6, 7)
    whole, source = layer_maps(model, x, "body").flatten(2), Arrays(x)
    every = Spots("body", 0).columns(Question(model), source.batch(source.ids()))
    assert torch.equal(every["activation"], whole.mT)
    some = Spots("body", 3).columns(Question(model), source.batch(source.ids()))
    alone = Spots("body", 3).columns(Question(model), source.batch(["3"]))
    assert torch.equal(some["spot"][3:4], alone["spot"])
    assert torch.equal(some["activation"], whole.mT.gather(1, some["spot"][:, :, None].expand(-1, -1, 6)))
    assert len({tuple(row) for row in some["spot"].tolist()}) > 1
    assert drawn_spots(0, "a", 4, 9).tolist() == [0, 1, 2, 3]
    assert place_of(11, (4, 5)) == (2, 1)


def test_the_grid_counts_from_the_bottom_left_and_takes_in_what_is_outside():
    view = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0))
    far = torch.tensor([[9.0, 9.0], [-9.0, 9.0], [0.95, 0.05], [0.5, 0.5]])
    cell = cells_of(torch.cat([view, far]), 3)
    assert cell[-4:].tolist() == [8, 6, 2, 4]
    count = cell.bincount(minlength=9)
    assert count.min() > 350
    assert [len(g.members) for g in groups_of(cell, 0)] == count.tolist()


def test_the_same_activation_lies_in_the_same_place(tmp_path):
    x = images(30, 8).repeat(3, 1)
    view, told = laid_out(PLAN, 2 * x, tmp_path)
    assert torch.equal(view[:30], view[60:])
    assert torch.equal(load_file(tmp_path / "parts" / "layout.safetensors")["view"], view)
    assert told["pca"].trust.value > told["random places"].trust.value


def test_shuffled_cells_hold_as_many_and_are_near_the_mean_of_all():
    cell = torch.arange(400) % 4
    x = nn.functional.one_hot(cell, 4).double()
    own = groups_of(cell, 1)
    control = shuffled(own, 400, 0)
    assert [len(g.members) for g in control] == [100] * 4
    assert len(torch.cat([g.members for g in control]).unique()) == 400
    middle = x.mean(0)
    apart = [(means_of(x, groups) - middle).norm(dim=1) for groups in (own, control)]
    assert apart[0].min() > 5 * apart[1].max()


def test_a_layer_is_moved_where_a_cell_comes_from_and_as_far_for_all():
    groups = [Group("a", 0, torch.arange(4)), Group("b", 1, torch.tensor([4, 5]))]
    weights = weights_of(torch.tensor([0, 1, 2, 3, 3, 3]), groups, 4)
    assert weights.tolist() == [[1, 1, 1, 1], [0, 0, 0, 2]]  # not 4
    moves = moves_of(torch.eye(3)[:2] * 7, weights, 0.5)
    assert moves[0].tolist() == [[0.5] * 4, [0.0] * 4, [0.0] * 4]
    assert moves[1, 1].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_what_a_cell_argues_for_is_found_and_chance_argues_for_nothing():
    own, control = torch.randn(2, 40, 8, 6, generator=torch.Generator().manual_seed(1))
    found, most, bars = argued(own, control)
    assert sum(one.sure for one in found) <= 8  # 2 are expected
    own[1, :, 3] += 4
    found, again, _ = argued(own, control)
    assert (found[1].best, found[1].sure, again) == (3, True, most)
    assert float(found[1].mean[3]) > most > float(bars[0]) > 0
    m = found[1].of(3)
    assert m.low < float(own[1, :, 3].mean()) < m.high
    assert m.n == 8


def test_labels_of_the_nearest_are_ranked():
    apart = torch.eye(4)
    y = torch.tensor([2, 0, -1, 1])
    effect = torch.tensor([[0.0, 1.0, 3.0], [0.0, 1.0, 2.0]])
    assert ranked(effect, apart[:2], apart, y, 1) == mean_of([1.0, 0.0])
    assert ranked(effect, apart[2:], apart, torch.full((4,), -1), 1) is None


def charted(folder, plan: Atlas = PLAN) -> Charted:
    model, source = load(plan.model), open_data(plan.data)
    return study(plan, run_spots(plan, model, source, folder), model, source, folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Charted]:
    folder = tmp_path_factory.mktemp("atlas")
    return folder, charted(folder)


def test_an_atlas_of_digits(made):
    _, found = made
    x, view = found.spots.vectors, found.view
    cell = cells_of(view, 5)
    assert len(x) == 240
    assert found.occupied == len(cell.unique())
    for one in found.cells:
        own = cell == (4 - one.row) * 5 + one.column
        assert one.n == int(own.sum()) >= PLAN.least
        way, moved = x[own].mean(0) - x.mean(0), x - x.mean(0)
        cosine = torch.cosine_similarity(moved, way[None], dim=1)
        assert one.patches[0].value == pytest.approx(float(cosine.max()), abs=1e-5)
        assert len({patch.id for patch in one.patches}) == len(one.patches)
        assert one.effect is not None
        assert one.effect.each.shape == (8, 10)
        assert one.picture.shape == found.cells[0].picture.shape
    counts = {one.name.split()[1]: one.n for one in found.cells}
    assert all(counts[one.name.split()[1]] == one.n for one in found.controls)
    assert found.home.value > 3 / len(found.cells)
    for label in range(10):
        for_it, against = for_class(found, label), against_class(found, label, 3)
        assert not {one.name for one in for_it} & {one.name for one in against}


def test_a_picture_is_what_the_middle_sees_and_comes_to_lie_where_it_says(made):
    (folder, found), model = made, load(PLAN.model)
    kept = next((folder / "parts" / "cells").glob("*.safetensors"))
    x = load_file(kept)["x"].float() / 255
    maps, middle = layer_maps(model, x, PLAN.layer), found.spots.vectors.mean(0)
    got = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2] - middle
    for k, one in enumerate(found.cells):
        cell = cells_of(found.view, 5) == (4 - one.row) * 5 + one.column
        way = found.spots.vectors[cell].mean(0) - middle
        assert one.along == pytest.approx(float(torch.cosine_similarity(got[k], way, dim=0)), abs=1e-5)
    assert found.cells[0].picture.shape[-2:] == found.field.size


def test_what_was_lost_is_made_again_the_same(made):
    folder, _ = made
    parts = sorted((folder / "parts").rglob("*.safetensors"))
    before = [part.read_bytes() for part in parts]
    parts[0].unlink()
    parts[-1].unlink()
    charted(folder)
    assert [part.read_bytes() for part in parts] == before


@pytest.mark.parametrize(
    ("how", "said", "hint"),
    [
        ({"least": 200}, "no cell of 5 by 5 holds 200 activations", "--least"),
        ({"sample": 5}, "20 activations are too few", "--each"),
        (
            {"method": "tsne", "perplexity": 90},
            "perplexity 90 is more than a third of 240",
            "--perplexity 24",
        ),
        ({"layer": "features.99"}, "no layer is called 'features.99'", "did you mean"),
        ({"draw": parse("Fooling()", Synthesis)}, "works for", ""),
    ],
    ids=str,
)
def test_what_cannot_be_laid_out_is_one_sentence(tmp_path, how, said, hint):
    with pytest.raises((InputError, LookupError), match=said) as caught:
        charted(tmp_path, Atlas(**{**{f: getattr(PLAN, f) for f in PLAN.__dataclass_fields__}, **how}))
    assert hint in caught.value.hint
