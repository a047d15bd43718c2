"""Eigen-CAM: positions projected on the first right singular vector of the centred [positions, channels] matrix."""

import pytest
import torch
from torch import Tensor, nn

from oracles import SPACES, conv, images, residual, tiny_vit
from unfool.attributions.cam_factors import EigenCAM, EigenGradCAM, first_component
from unfool.model import Model

from .test_cam import A, G, by_hand

X = images(3, 3, 8, 8)


def by_svd(maps: Tensor) -> Tensor:
    flat = maps.flatten(2).mT
    flat = flat - flat.mean(1, keepdim=True)
    along = (flat @ torch.linalg.svd(flat, full_matrices=False).Vh[:, :1].mT)[..., 0]
    turned = along.amin(1, keepdim=True).abs() > along.amax(1, keepdim=True).abs()
    return along.where(~turned, -along).view(len(maps), 1, *maps.shape[2:])


@pytest.mark.parametrize("shape", [(4, 9, 5, 6), (4, 60, 5, 6), (2, 7, 3, 4, 5), (3, 5, 20)])
def test_the_gram_matrix_gives_what_the_full_decomposition_gives(shape: tuple[int, ...]):
    maps = images(*shape, dtype=torch.float64)
    assert torch.allclose(first_component(maps), by_svd(maps), atol=1e-9)


def test_of_activations_of_rank_one_it_is_the_spatial_factor_up_to_its_sign_and_mean():
    space, channels = images(3, 1, 4, 5, seed=1), images(3, 6, 1, 1, seed=2) - 0.5
    found = first_component(space * channels)
    factor = (space - space.mean((2, 3), keepdim=True)) * channels.norm(dim=1, keepdim=True)
    turned = factor.amin((2, 3), keepdim=True).abs() > factor.amax((2, 3), keepdim=True)
    assert torch.allclose(found, factor.where(~turned, -factor), atol=1e-5)


def test_by_hand():
    """Centred, A_1 = (9, 1, -3, -7) / 16 and A_2 = (-1, 1, 0, 0) / 2: a 2 x 2 matrix [[140/256, -1/4], [-1/4, 1/2]]."""
    values, vectors = torch.linalg.eigh(torch.tensor([[140 / 256, -0.25], [-0.25, 0.5]]))
    first = vectors[:, -1]
    along = first[0] * torch.tensor([9.0, 1, -3, -7]) / 16 + first[1] * torch.tensor([-1.0, 1, 0, 0]) / 2
    along = along if along.max() > -along.min() else -along
    assert values[-1] > values[0]
    found = EigenCAM("0")(Model(by_hand()), A[None], 0).heat.flatten()
    assert torch.allclose(found, along, atol=1e-6)


def test_with_gradients_by_hand():
    found = EigenGradCAM("0")(Model(by_hand()), A[None], 0).heat
    assert torch.allclose(found, by_svd((A * G[0])[None]), atol=1e-6)


def test_without_gradients_classes_are_not_told_apart_with_them_they_are():
    model = Model(residual())
    assert torch.equal(EigenCAM()(model, X, 0).heat, EigenCAM()(model, X, 1).heat)
    assert not torch.allclose(EigenGradCAM()(model, X, 0).heat, EigenGradCAM()(model, X, 1).heat, atol=1e-3)


def test_the_larger_extreme_is_positive_so_that_no_object_is_lost():
    found = EigenCAM()(Model(residual()), images(16, 3, 8, 8)).heat.flatten(1)
    assert (found.amax(1) >= -found.amin(1)).all()


def test_no_gradient_is_taken_and_inside_others_the_pass_ends_at_the_layer():
    from unfool.attributions.wrappers import SmoothGrad

    assert EigenCAM("3")(Model(conv()), X).cost == {"forward": 3}
    heads: list[int] = []
    net = conv()
    net[6].register_forward_hook(lambda m, a, out: heads.append(len(out)))
    found = SmoothGrad(EigenCAM("3"), samples=4)(Model(net), X, 1)
    assert found.cost == {"forward": 3 * 5}
    assert sum(heads) == 3


def test_constant_activations_give_zero():
    net = conv()
    nn.init.zeros_(net[2].weight)
    assert EigenCAM("3")(Model(net), X).heat.abs().max() == 0


@pytest.mark.parametrize("space", SPACES)
def test_any_number_of_channels_and_dimensions(space: str):
    net, x = SPACES[space]()
    for method in (EigenCAM(), EigenGradCAM()):
        assert method(Model(net), x).map.shape == (3, 1, *x.shape[2:])


def test_tokens():
    assert EigenCAM("norm")(Model(tiny_vit()), X).heat.shape == (3, 1, 4, 4)
