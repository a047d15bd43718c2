"""One change for many images: as good as a linear network allows, on images it never saw, beside its controls.

On the plane s(x) = w·(x - 1/2) the best change of size eps for all images of a class is the one for each of them,
eps times the sign of w, and moves every score by eps·||w||₁.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import Plane, conv, images, segmenter
from unfool.attacks.learned import Apply, Learned, LearnedAttack, Pose
from unfool.attacks.patch import Patch
from unfool.attacks.printing import THIRTY, roughness, unprintable
from unfool.attacks.sticker import Sticker
from unfool.attacks.trigger import Trigger
from unfool.attacks.universal import Universal
from unfool.errors import DataError, InputError, SpecError, UnfoolError
from unfool.method import Method, Question
from unfool.model import Model
from unfool.objectives import CrossEntropy, Margin
from unfool.regions import L0, L1, L2, Linf, Mask, Region
from unfool.rows import Batch, Rng
from unfool.spec import catalogue, options, parse
from unfool.transforms import Camera, Noise, Rotate

NET = Plane(3, 6, 6)
X = images(40, 3, 6, 6, low=0.4, high=0.6)
Y = NET.label(X)
X, Y = X[Y == 1], Y[Y == 1]
FITS = [
    Universal(epochs=2),
    Patch(epochs=2, side=0.4),
    Patch(epochs=2, side=0.5, place=(0.5, 0.5), shape="square", camera=(Noise(0.01),)),
    Sticker(epochs=2, find=1, weight=0.01, rough=0.001, ink=0.1),
    Trigger(epochs=2),
]
each_fit = pytest.mark.parametrize("fit", FITS, ids=repr)


def learned(fit: LearnedAttack, **how: Any) -> Learned:
    return fit(Model(NET), X, Y, **how)


# Truth.


@pytest.mark.parametrize("loss", [Margin(), CrossEntropy()], ids=repr)
@pytest.mark.parametrize("within", [Linf(0.01), L2(0.1), L1(0.2)], ids=repr)
def test_a_universal_change_of_a_plane_is_the_steepest_one(within: Region, loss: Any):
    change = learned(Universal(loss=loss), within=within).tensors["change"]
    drop = -(change * NET.w.detach()).sum()
    steepest = within.gain(NET.w.detach()[None])[0] * float(within.radius)  # type: ignore[arg-type]
    assert within.size(change) <= float(within.radius) * (1 + 1e-5)  # type: ignore[arg-type]
    assert drop == pytest.approx(float(steepest), rel=0.02)


def test_it_fools_as_many_as_the_plane_allows():
    eps = float(NET.radius(X, "Linf").median())
    found = learned(Universal(), within=Linf(eps * 1.0001))(Model(NET), X, Y)
    assert torch.equal(found.success, NET.radius(X, "Linf") <= eps)
    assert 0 < found.success.sum() < len(X)


def test_a_fixed_square_patch_on_a_plane_is_black_and_white_where_the_weights_say():
    fit = Patch(side=1.0, place=(0.5, 0.5), shape="square", turn=0.0, zoom=0.0, epochs=40)
    patch = learned(fit).tensors["patch"][0]
    assert torch.equal(patch, (NET.w.detach() < 0).float())


def test_the_non_printability_score_is_the_product_of_distances_to_the_palette():
    x, mask = images(2, 3, 4, 4), images(1, 1, 4, 4).round()
    palette = torch.tensor(THIRTY)
    by_hand = torch.zeros(2)
    for k in range(2):
        for i in range(4):
            for j in range(4):
                by_hand[k] += mask[0, 0, i, j] * (x[k, :, i, j] - palette).norm(dim=1).prod()
    assert torch.allclose(unprintable(x, mask), by_hand, rtol=1e-4)
    printable = palette[:16].T.reshape(1, 3, 4, 4)
    assert unprintable(printable, torch.ones(1, 1, 4, 4)).item() == pytest.approx(0, abs=1e-9)


def test_roughness_of_a_step_is_its_height_times_its_length():
    x = torch.zeros(1, 2, 5, 4)
    x[:, 1, :, 2:] = 0.5
    assert roughness(x).item() == pytest.approx(0.5 * 5)


def test_the_weights_of_a_sticker_do_what_they_say():
    where = Mask(Linf(1.0), (0.0, 0.0, 1.0, 1.0))
    plain, small, smooth = (
        learned(Sticker(camera=(), epochs=30, **how), within=where).tensors["change"]
        for how in ({"weight": 0.0}, {"weight": 5.0}, {"weight": 0.0, "rough": 1.0})
    )
    assert small.norm() < 0.2 * plain.norm()
    assert roughness(smooth) < 0.3 * roughness(plain)


def test_ink_brings_the_printed_colours_to_the_palette():
    where, grey = Mask(Linf(1.0), (0.0, 0.0, 1.0, 1.0)), torch.full((4, 3, 6, 6), 0.45)
    score = {}
    for ink in (0.0, 100.0):
        fit = Sticker(camera=(), epochs=60, weight=0.0, ink=ink, rate=0.03, palette=(0.2,) * 3 + (0.8,) * 3)
        change = fit(Model(NET), grey, torch.ones(4, dtype=torch.long), within=where).tensors["change"]
        score[ink] = unprintable((grey[:1] + change).clamp(0, 1), torch.ones(1, 1, 6, 6), fit.palette).item()
    assert score[100.0] < 0.3 * score[0.0]


def test_the_mask_is_found_where_it_matters_most_and_covers_what_it_should():
    net = Plane(1, 10, 10)
    with torch.no_grad():
        net.w.mul_(0.05)
        net.w[0, 2:4, 5:8] *= 100
    x = images(8, 1, 10, 10, low=0.4, high=0.6)
    fit = Sticker(find=30, cover=0.06, camera=(), epochs=60, weight=0.05)
    tensors = fit(Model(net), x, net.label(x)[:1].expand(8)).tensors
    inside = tensors["mask"][0, 0]
    assert inside.sum() == 6
    assert inside[2:4, 5:8].all()
    assert not (tensors["change"][0, 0] * (1 - inside)).any()


# Pasting.


def test_a_patch_of_one_colour_covers_the_area_it_should_inside_the_image():
    x = torch.zeros(200, 1, 40, 60)
    for shape, area in (("circle", torch.pi / 4), ("square", 1.0)):
        fit = Patch(side=0.5, zoom=0.0, turn=30.0, shape=shape)  # type: ignore[arg-type]
        seen = Learned(fit, {"patch": torch.ones(1, 1, 20, 20)}).put(x)
        assert torch.allclose(seen.sum((1, 2, 3)), torch.tensor(area * 400), rtol=0.02)
        middle = (seen * torch.arange(60)).sum((1, 2, 3)) / seen.sum((1, 2, 3))
        assert middle.min() >= 9
        assert middle.max() <= 50
        assert middle.std() > 5


def test_a_straight_patch_is_pasted_pixel_by_pixel():
    patch, x = images(1, 3, 4, 4), torch.zeros(1, 3, 8, 12)
    fit = Patch(side=0.5, place=(0.5, 0.5), shape="square")
    seen = Learned(fit, {"patch": patch}).put(x, pose=Pose(0.0, 1.0))
    assert torch.allclose(seen[..., 3:5, 5:7], patch[..., 1:3, 1:3], atol=1e-5)
    assert torch.allclose(seen[..., 2:6, 4:8], patch, atol=0.51 * float(patch.max()))
    assert not seen[..., :1, :].any()


def test_a_quarter_turn_turns_the_patch_by_a_quarter():
    patch, x = images(1, 1, 8, 8), torch.zeros(1, 1, 16, 10)
    put = Learned(Patch(side=0.8, place=(0.5, 0.5)), {"patch": patch}).put
    turned = put(x, pose=Pose(90.0, 1.0))[..., 3:13, :]
    straight = put(x, pose=Pose(0.0, 1.0))[..., 3:13, :]
    assert torch.allclose(turned, straight.rot90(-1, (2, 3)), atol=1e-5)


# What every fit of an attack promises.


@each_fit
def test_its_text_rebuilds_it(fit: LearnedAttack):
    assert parse(repr(fit), LearnedAttack) == fit
    assert {type(f) for f in FITS} == {
        cls for cls in catalogue(LearnedAttack).values() if cls.__module__.startswith("unfool.")
    }
    assert [o.name for o in options(type(fit)) if not o.help] == [n for n in ("shape",) if hasattr(fit, n)]


@each_fit
def test_the_same_seed_learns_the_same_and_does_so_whatever_the_order_of_the_images(fit: LearnedAttack):
    ids = [f"i{k}" for k in range(len(X))]
    first = learned(fit, seed=3, ids=ids)
    torch.manual_seed(7)
    again = fit(Model(NET), X.flip(0), Y.flip(0), seed=3, ids=ids[::-1])
    other = learned(fit, seed=4, ids=ids)
    for name, t in first.tensors.items():
        assert torch.equal(t, again.tensors[name])
    assert any(not torch.equal(t, other.tensors[n]) for n, t in first.tensors.items()) or fit == FITS[0]


@each_fit
def test_a_row_gets_it_the_same_alone_and_in_company(fit: LearnedAttack):
    made = learned(fit)
    whole = made.put(X[:4], ids=list("abcd"))
    alone = torch.cat([made.put(X[k : k + 1], ids=["abcd"[k]]) for k in range(4)])
    assert torch.allclose(whole, alone, atol=1e-6)
    assert whole.min() >= 0
    assert whole.max() <= 1


@each_fit
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_images_and_zero_gradients_are_finite(fit: LearnedAttack, level: float):
    net = conv()
    with torch.no_grad():
        net[-1].weight.zero_()
    made = fit(Model(net), torch.full((3, 3, 8, 8), level), [0, 1, 2])
    assert all(t.isfinite().all() for t in made.tensors.values())


@pytest.mark.parametrize("fit", [Universal(epochs=3), Patch(epochs=3)], ids=repr)
def test_shifting_and_scaling_the_logits_changes_nothing(fit: LearnedAttack):
    class Loud(torch.nn.Module):
        def __init__(self, net: Any):
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) * 2.0**13 - 50

    x, y = images(6, 3, 8, 8), torch.arange(6) % 5
    quiet, loud = (fit(Model(net.eval().double()), x.double(), y).tensors for net in (conv(), Loud(conv())))
    for name, t in quiet.items():
        assert torch.allclose(t, loud[name], atol=1e-4)


@each_fit
def test_float64_stays_float64_and_one_channel_and_two_classes_are_fine(fit: LearnedAttack):
    made = fit(Model(conv(1, 2).double()), images(4, 1, 9, 7, dtype=torch.float64), [0, 1, 0, 1])
    assert all(t.dtype == torch.float64 for t in made.tensors.values())


@pytest.mark.parametrize("shape", [(3, 2, 16), (3, 1, 6, 8, 8)])
def test_universal_takes_any_dimensions_and_a_patch_says_that_it_needs_two(shape: tuple[int, ...]):
    net = Model(conv(shape[1], dims=len(shape) - 2))
    made = Universal(epochs=1)(net, images(*shape), [0, 1, 2], within=Linf(0.1))
    assert made.tensors["change"].shape == (1, *shape[1:])
    with pytest.raises(InputError, match="Patch needs pictures"):
        Patch(epochs=1)(net, images(*shape), [0, 1, 2])


def test_a_segmenter_can_be_attacked():
    made = Universal(epochs=2)(Model(segmenter()), images(4, 3, 8, 8), [0, 1, 2, 0], within=Linf(0.1))
    assert made.tensors["change"].abs().max() <= 0.1 + 1e-6


def test_towards_a_target_success_means_the_target():
    net = Model(conv())
    x = images(8, 3, 8, 8)
    made = Universal()(net, x, target=2, within=Linf(0.5))
    found = made(net, x, target=2)
    assert torch.equal(found.success, found.label == 2)
    with pytest.raises(InputError, match="one target"):
        Universal()(net, x, target=[0, 1, 2, 3, 0, 1, 2, 3])


# Controls.


@pytest.mark.parametrize("within", [Linf(0.05), L2(0.3), L1(1.0), L0(5)], ids=repr)
def test_the_random_control_is_as_large_in_every_norm(within: Region):
    made = learned(Universal(epochs=2), within=within)
    own, control = made.tensors["change"], made.instead("random").tensors["change"]
    assert not torch.equal(own, control)
    for norm in (Linf, L2, L1, L0):
        assert torch.allclose(norm(1.0).size(own), norm(1.0).size(control), rtol=1e-5)


@each_fit
def test_controls_are_the_same_each_time_and_stay_where_the_change_may_be(fit: LearnedAttack):
    made = learned(fit)
    for kind in ("random", "plain"):
        first, again = made.instead(kind), made.instead(kind)  # type: ignore[arg-type]
        assert all(torch.equal(t, again.tensors[n]) for n, t in first.tensors.items())
        if "mask" in made.tensors:
            assert not (first.tensors["change"] * (1 - made.tensors["mask"])).any()


# Places.


def test_a_change_stays_inside_its_mask():
    box = Mask(Linf(0.3), (0.0, 0.0, 0.5, 0.5))
    for fit in (Universal(epochs=2), Sticker(epochs=2)):
        change = learned(fit, within=box).tensors["change"]
        assert change[..., :3, :3].any()
        assert not change[..., 3:, :].any()
        assert not change[..., :, 3:].any()
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., 4:, 2:4] = 1
    change = learned(Sticker(epochs=2), mask=mask).tensors["change"]
    assert not (change * (1 - mask)).any()


def test_what_makes_no_sense_is_one_sentence():
    each = torch.zeros(len(X), 1, 6, 6)
    each[: len(X) // 2, :, 0] = 1
    with pytest.raises(InputError, match="one place"):
        learned(Universal(), within=Mask(Linf(0.1)), mask=each)
    with pytest.raises(InputError, match="one eps"):
        learned(Universal(), within=Linf((0.1,) * len(X)))
    with pytest.raises(InputError, match="still looking for its mask"):
        learned(Sticker(epochs=1, find=50))
    with pytest.raises(SpecError, match=r"Patch\.place"):
        learned(Patch(place=(0.5,)))
    with pytest.raises(InputError, match="images of"):
        learned(Universal(epochs=1)).put(images(2, 3, 8, 8))
    with pytest.raises(InputError, match="channels"):
        learned(Patch(epochs=1)).put(images(2, 1, 8, 8))
    with pytest.raises(InputError, match="1 or 3 channels"):
        unprintable(images(1, 2, 4, 4), torch.ones(1, 1, 4, 4))


# Files.


@each_fit
def test_what_was_learned_can_be_kept_and_applied_as_a_method(fit: LearnedAttack, tmp_path: Any):
    made = learned(fit, seed=1)
    made.save(tmp_path / "l.safetensors")
    again = Learned.read(tmp_path / "l.safetensors")
    assert again.fit == fit
    method = parse(repr(Apply(str(tmp_path / "l.safetensors"))), Method)
    batch = Batch(tuple(map(str, range(len(X)))), X, Y)
    columns = method.columns(Question(Model(NET), seed=5), batch)
    found = made(Model(NET), X, Y, seed=5, ids=batch.ids)
    assert torch.equal(columns["success"], found.success)
    assert torch.equal(columns["adversarial"], (found.x * 255).round().to(torch.uint8))
    assert not columns["started"].any()
    control = Apply(str(tmp_path / "l.safetensors"), "random").columns(Question(Model(NET), seed=5), batch)
    assert not torch.equal(control["adversarial"], columns["adversarial"])


def test_a_file_with_nothing_learned_in_it_says_so(tmp_path: Any):
    (tmp_path / "x.safetensors").write_text("nothing")
    for name in ("x.safetensors", "y.safetensors"):
        with pytest.raises(DataError, match="holds nothing learned"):
            Learned.read(tmp_path / name)
    assert issubclass(DataError, UnfoolError)


def test_the_camera_is_part_of_what_is_learned():
    where = Mask(Linf(1.0), (0.0, 0.0, 1.0, 1.0))
    still, moved = (
        learned(Sticker(camera=c, epochs=5), within=where).tensors["change"]
        for c in ((), (Rotate(90.0), Camera()))
    )
    assert not torch.allclose(still, moved)
    assert isinstance(Rng.seeded(0, [1]), Rng)
