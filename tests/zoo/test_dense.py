"""Networks that answer with maps of scores. Calibration (R33, R21): Dice .99; landmarks within 2 px."""

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles import same
from unfool.data.address import open_data
from unfool.measures.frames import dice
from unfool.phantoms import bolus, centres, cine, heart, landmarks
from unfool.rows import Batch
from unfool.zoo.address import load
from unfool.zoo.dense import DENSE, CineNet, heat_maps, train


def all_of(address: str, n: int = 100) -> Batch:
    source = open_data(address)
    return source.batch(source.ids()[:n])


def test_both_chambers_are_found():
    batch = all_of("unfool:cine")
    assert batch.masks is not None
    found = load("unfool:cine")(batch.x)
    assert found.shape == (100, 3, 40, 40)
    for chamber in (1, 2):
        overlap = dice(found.argmax(1) == chamber, batch.masks[:, 0] == chamber)
        assert overlap.mean() > 0.99
        assert overlap.min() > 0.95


def test_the_points_are_found():
    batch = all_of("unfool:landmarks")
    assert batch.masks is not None
    found = load("unfool:landmarks")(batch.x)[:, 1:]
    place = torch.stack(torch.unravel_index(found.flatten(2).argmax(2), found.shape[2:]), 2)
    away = (place - centres(batch.masks, 3)).norm(dim=2)
    assert away.max() < 2
    assert away.mean() < 0.6


def test_time_is_needed():
    """Of a still series, its brightest frame repeated, the network finds little: before the bolus all is alike."""
    batch = all_of("unfool:cine", 20)
    assert batch.masks is not None
    still = batch.x[:, :, :1].expand_as(batch.x)
    lost = dice(load("unfool:cine")(still).argmax(1) == 1, batch.masks[:, 0] == 1)
    assert lost.mean() < 0.2


def test_a_bolus_peaks_where_it_says():
    t = np.arange(30)
    curve = bolus(t, 4, 2.0)
    assert curve[10] == curve.max() == 1
    assert (curve[:5] == 0).all()


def test_right_before_left():
    data = cine("test")
    assert data.masks is not None
    for series, mask in zip(data.x[:, 0].float(), data.masks[:, 0], strict=True):
        left, right = (series[:, mask == chamber].mean(1).argmax() for chamber in (1, 2))
        assert right < left


def test_discs_lie_about_the_points():
    for seed in range(20):
        _, discs, points = heart(np.random.default_rng(seed))
        found = centres(torch.from_numpy(discs)[None, None], 3)
        assert (found[0] - torch.from_numpy(points)).norm(dim=1).max() < 0.5


def test_heat_maps_sum_to_one_and_peak_at_the_points():
    data = landmarks("test")
    assert data.masks is not None
    heat = heat_maps(data.masks[:4])
    assert same(heat.sum(1), torch.ones(4, 48, 48))
    places = torch.stack(torch.unravel_index(heat[:, 1:].flatten(2).argmax(2), (48, 48)), 2)
    assert (places - centres(data.masks[:4], 3)).abs().max() <= 0.5


def test_splits_share_nothing_and_are_always_the_same():
    for data in (cine, landmarks):
        again = data.__wrapped__("test")
        assert torch.equal(again.x, data("test").x)
        train_set = {row.numpy().tobytes() for row in data("train").x}
        assert not train_set & {row.numpy().tobytes() for row in again.x}


def test_training_again_gives_the_same_network():
    def trained() -> list[Tensor]:
        torch.manual_seed(0)
        net = CineNet(3, 8, (2, 2, 2))
        x = torch.rand(8, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1))
        train(net, x, (x.mean((1, 2)) > 0.5).long(), 2)
        return list(net.parameters())

    with torch.random.fork_rng(devices=[]):
        first, second = trained(), trained()
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", DENSE)
def test_masks_are_maps_of_classes(name: str):
    batch = all_of(f"unfool:{name}", 3)
    assert batch.masks is not None
    assert batch.masks.dtype == torch.uint8
    assert batch.masks.unique().tolist() == list(range(3 if name == "cine" else 4))
    assert batch.y.tolist() == [-1, -1, -1]
