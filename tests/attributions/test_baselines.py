"""Maps that know nothing: a Gaussian of the place, random numbers of the id, Sobel's filter, the image's mean."""

import torch
from tests.oracles import Plane, images, residual

from unfool.attributions.baselines import BASELINES, Brightness, CentrePrior, Edges, RandomMap
from unfool.model import Model


def test_none_depends_on_the_network_and_each_costs_one_pass():
    x = images(3, 3, 8, 8)
    for method in BASELINES:
        one, other = method(Model(residual()), x), method(Model(Plane(3, 8, 8)), x)
        assert torch.equal(one.heat, other.heat)
        assert one.cost == {"forward": 3}


def test_the_centre_is_the_highest_and_the_map_the_same_for_all():
    found = CentrePrior()(Model(Plane(1, 9, 5)), images(2, 1, 9, 5)).heat
    assert torch.equal(found[0], found[1])
    assert found[0, 0].argmax() == 4 * 5 + 2
    z = [((k - 4) / (9 / 4)) ** 2 / 2 for k in range(9)]
    assert torch.allclose(found[0, 0, :, 2], torch.tensor(z).neg().exp())


def test_edges_are_sobels():
    x = images(1, 3, 6, 7)
    grey = x.mean(1)[0]
    r, c = 3, 4
    patch = grey[r - 1 : r + 2, c - 1 : c + 2]
    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    expected = ((patch * kernel).sum() ** 2 + (patch * kernel.T).sum() ** 2).sqrt()
    found = Edges()(Model(Plane(3, 6, 7)), x).heat
    assert torch.isclose(found[0, 0, r, c], expected, atol=1e-6)
    assert (Edges()(Model(Plane(3, 6, 7)), x * 0 + 0.3).heat.abs() < 1e-6).all()


def test_brightness_is_the_mean_of_the_channels_and_random_maps_differ_by_image():
    x = images(2, 3, 8, 8)
    assert torch.equal(Brightness()(Model(Plane(3, 8, 8)), x).heat, x.mean(1, keepdim=True))
    found = RandomMap()(Model(Plane(3, 8, 8)), x)
    assert found.heat.shape == (2, 1, 7, 7)
    assert not torch.equal(found.heat[0], found.heat[1])
    assert RandomMap()(Model(Plane(1, 4, 4)), images(1, 1, 4, 4)).heat.shape == (1, 1, 4, 4)
