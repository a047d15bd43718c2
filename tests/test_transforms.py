"""Random changes of images: the same size, differentiable, one draw per row from its own stream."""

import pytest
import torch
from torch import Tensor

from oracles import images
from unfool.rows import Rng
from unfool.spec import catalogue
from unfool.transforms import (
    Bias,
    Brightness,
    Camera,
    Gain,
    Jitter,
    Noise,
    Rotate,
    Scale,
    Shift,
    Shrink,
    Transform,
    posed,
)

TRANSFORMS = list(catalogue(Transform).values())
STILL = Camera(roll=0, shift=0, scale=0, light=0, tint=0, noise=0)
SMALLEST = [
    Jitter(0),
    Noise(1e-9),
    Scale(1e-9),
    Rotate(1e-6),
    Brightness(1e-9),
    Shift(1e-9),
    Gain(1.0),
    Bias(1e-9),
    Shrink(1.0),
]
SMALLEST += [STILL, Gain(1.0, "pixel"), Bias(1e-9, "pixel")]


def rng(*ids: int) -> Rng:
    return Rng.seeded(0, ids)


@pytest.mark.parametrize("cls", TRANSFORMS)
def test_a_row_is_changed_the_same_alone_and_in_company(cls: type[Transform]):
    x = images(4, 2, 6, 8)
    together = cls()(x, rng(5, 6, 7, 8))
    assert together.shape == x.shape
    alone = torch.cat([cls()(x[k : k + 1], rng(5 + k)) for k in range(4)])
    assert torch.allclose(together, alone, atol=1e-6)
    assert not torch.allclose(
        together - x, (together - x)[:1].expand_as(x), atol=1e-4
    )  # each row another way


@pytest.mark.parametrize("cls", TRANSFORMS)
def test_gradients_pass(cls: type[Transform]):
    x = images(2, 1, 6, 6).requires_grad_()
    cls()(x, rng(0, 1)).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("smallest", SMALLEST, ids=repr)
def test_a_change_of_nothing_is_the_identity(smallest: Transform):
    x = images(3, 2, 5, 7)
    assert torch.allclose(smallest(x, rng(0, 1, 2)), x, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 1, 16), (3, 2, 6, 6), (3, 1, 4, 5, 6)])
def test_jitter_rolls_each_dimension_by_at_most_its_pixels(shape: tuple[int, ...]):
    x = images(*shape)
    for one, moved in zip(x, Jitter(2)(x, rng(1, 2, 3)), strict=True):
        assert torch.equal(one.flatten().sort().values, moved.flatten().sort().values)
        assert _shift(one, moved) <= 2


def _shift(one: Tensor, moved: Tensor) -> int:
    """How far a roll went in its widest dimension."""
    dims = tuple(range(1, one.ndim))
    reach = [range(-2, 3)] * len(dims)
    shifts = torch.cartesian_prod(*(torch.tensor(list(r)) for r in reach)).reshape(-1, len(dims))
    fits = [s for s in shifts.tolist() if torch.equal(one.roll(tuple(s), dims), moved)]
    return max(map(abs, fits[0])) if fits else 99


def test_every_shift_of_jitter_is_as_likely():
    x = torch.zeros(4000, 1, 9)
    x[:, 0, 4] = 1
    where = Jitter(2)(x, Rng.seeded(0, range(4000)))[:, 0].argmax(1) - 4
    counts = where.add(2).bincount(minlength=5)
    assert len(counts) == 5
    assert (counts.float() / 800 - 1).abs().max() < 0.15


def test_rotation_keeps_distances_in_images_that_are_not_square():
    x = torch.zeros(20, 1, 41, 81)
    x[:, 0, 20, 60] = 1  # 20 to the right of the middle
    turned = Rotate(60.0)(x, Rng.seeded(0, range(20)))[:, 0]
    total = turned.sum((1, 2))
    down = (turned.sum(2) * torch.arange(41)).sum(1) / total - 20
    right = (turned.sum(1) * torch.arange(81)).sum(1) / total - 40
    assert ((down**2 + right**2).sqrt() - 20).abs().max() < 1
    assert down.abs().max() > 5


def test_scale_is_about_the_middle():
    x = torch.zeros(10, 1, 41, 41)
    x[:, 0, 20, 20] = 1
    assert (Scale(0.3)(x, Rng.seeded(0, range(10))).flatten(1).argmax(1) == 20 * 41 + 20).all()


def test_brightness_multiplies_and_noise_adds_with_the_spread_it_says():
    x = images(50, 1, 20, 20, low=0.2)
    ratio = (Brightness(0.1)(x, Rng.seeded(0, range(50))) / x).flatten(1)
    assert (ratio - ratio[:, :1]).abs().max() < 1e-5
    assert 0.9 <= ratio.min() < 0.93
    assert 1.07 < ratio.max() <= 1.1 + 1e-6
    assert (Noise(0.05)(x, Rng.seeded(0, range(50))) - x).std().item() == pytest.approx(0.05, rel=0.03)


def test_shift_moves_by_at_most_its_share_and_by_parts_of_a_pixel():
    x = torch.zeros(60, 1, 41, 81)
    x[:, 0, 20, 40] = 1
    moved = Shift(0.1)(x, Rng.seeded(0, range(60)))[:, 0]
    down = (moved.sum(2) * torch.arange(41)).sum(1) / moved.sum((1, 2)) - 20
    right = (moved.sum(1) * torch.arange(81)).sum(1) / moved.sum((1, 2)) - 40
    assert 3.4 < down.abs().max() <= 4.11
    assert 6.8 < right.abs().max() <= 8.11
    assert (down - down.round()).abs().max() > 0.3


def test_a_pose_turns_and_scales_about_the_middle():
    x = torch.zeros(1, 1, 41, 41)
    x[0, 0, 20, 26] = 1  # 6 to the right
    seen = posed(x, torch.tensor([90.0]), torch.tensor([2.0]))[0, 0]
    down = (seen.sum(1) * torch.arange(41)).sum() / seen.sum() - 20
    right = (seen.sum(0) * torch.arange(41)).sum() / seen.sum() - 20
    assert abs(float(down)) == pytest.approx(12, abs=0.3)
    assert abs(float(right)) < 0.3


@pytest.mark.parametrize(("per", "numbers"), [("channel", 3), ("pixel", 20)])
def test_gain_and_bias_are_of_a_channel_or_of_a_pixel(per, numbers):
    x = images(50, 3, 4, 5, low=0.3)
    gains = Gain(1.3, per)(x, Rng.seeded(0, range(50))) / x
    biases = Bias(0.15, per)(x, Rng.seeded(0, range(50))) - x
    for found, low, high in ((gains, 1 / 1.3, 1.3), (biases, -0.15, 0.15)):
        assert len(found[0].flatten().mul(1e4).round().unique()) <= numbers + 1
        assert found.min() == pytest.approx(low, abs=0.01)
        assert found.max() == pytest.approx(high, abs=0.01)


def test_a_camera_is_its_parts_one_after_the_other():
    x = images(5, 3, 9, 9, low=0.3, high=0.6)
    camera, by_hand, stream = Camera(grain=0.1, speckle=0.01), x, Rng.seeded(3, range(5))
    assert [type(part).__name__ for part in camera.parts()] == [
        "Rotate",
        "Scale",
        "Shift",
        "Gain",
        "Bias",
        "Gain",
        "Bias",
        "Noise",
    ]
    for part in camera.parts():
        by_hand = part(by_hand, stream)
    assert torch.equal(camera(x, Rng.seeded(3, range(5))), by_hand.clamp(0, 1))


@pytest.mark.parametrize("space", [(20,), (20, 30), (20, 10, 30)])
def test_shrink_puts_a_smaller_picture_anywhere_on_black(space: tuple[int, ...]):
    x = torch.ones(60, 2, *space)
    found = Shrink(0.5, 1.0)(x, Rng.seeded(0, range(60)))
    assert set(found.round(decimals=5).unique().tolist()) == {0.0, 1.0}
    for axis, side in enumerate(space, 2):
        lines = found.movedim(axis, 1).flatten(2).amax(2)  # [B, side]
        length, first = lines.sum(1), lines.argmax(1)
        assert torch.equal(length, lines.cumsum(1).amax(1))
        assert length.min() >= 0.5 * side - 1e-4
        assert length.max() <= side
        assert length.unique().numel() > 4
        assert first.unique().numel() > 3


def test_shrink_leaves_as_many_images_alone_as_it_says():
    x = images(400, 1, 12, 12, low=0.1)
    changed = (Shrink(0.5, 0.3)(x, Rng.seeded(0, range(400))) != x).flatten(1).any(1)
    assert 0.22 < changed.float().mean() < 0.38


def test_a_picture_shrunk_to_half_is_the_mean_of_neighbours():
    x = images(1, 1, 8, 8)
    torch.manual_seed(0)
    found = next(
        f for k in range(2000) if (f := Shrink(0.5, 1.0)(x, Rng.seeded(k, [0])))[0, 0].any(1).sum() == 4
    )
    here = found[0, 0][found[0, 0].any(1)][:, found[0, 0].any(0)]
    assert torch.allclose(here, torch.nn.functional.avg_pool2d(x, 2)[0, 0], atol=1e-5)
