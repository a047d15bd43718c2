"""Whatever the network, it sees ``(lo + (hi - lo) x - mean) / std``, answers with logits, and is left as it was."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oracles import (
    KINDS,
    SPACES,
    Gives,
    InPlace,
    Plane,
    conv,
    frozen,
    half_frozen,
    images,
    random_state,
    residual,
    same,
    segmenter,
    shared,
    state_of,
)
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.noise import RandomNoise
from unfool.attributions.cam import GradCAM
from unfool.attributions.gradient import Gradient
from unfool.attributions.wrappers import SmoothGrad
from unfool.errors import AccessError, InputError, UnknownName
from unfool.model import Model
from unfool.slopes import NES

X = images(2, 3, 8, 8)
kinds = pytest.mark.parametrize("kind", KINDS)


class Sees(nn.Module):
    """Notes what it is given."""

    def __init__(self, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        self.__dict__["seen"] = x.detach().clone()
        return torch.stack([x.flatten(1).mean(1) * self.weight, x.flatten(1).amax(1)], 1)


# What the network sees.


@pytest.mark.parametrize("mean", [0.0, 0.4, (0.1, 0.2, 0.3)])
@pytest.mark.parametrize("std", [1.0, 2.0, (0.5, 0.25, 2.0)])
@pytest.mark.parametrize("box", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_the_network_sees_its_own_range_and_normalisation(mean: Any, std: Any, box: tuple[float, float]):
    net = Sees()
    Model(net, mean=mean, std=std, box=box)(X)
    shape = (-1, 1, 1)
    centre, spread = (torch.as_tensor(v, dtype=torch.float64).view(shape) for v in (mean, std))
    expected = (box[0] + (box[1] - box[0]) * X.double() - centre) / spread
    assert torch.allclose(net.seen.double(), expected, rtol=1e-5, atol=1e-5)  # type: ignore[arg-type]


def test_imagenets_numbers_do_to_a_volume_what_torchvision_does_to_an_image():
    net, mean, std = Sees(), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    Model(net, mean=mean, std=std)(images(1, 3, 4, 5, 6))
    flat = images(1, 3, 4, 5, 6).view(3, -1)
    expected = (flat - torch.tensor(mean)[:, None]) / torch.tensor(std)[:, None]
    assert torch.allclose(net.seen.view(3, -1), expected, atol=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_network_sees_its_own_precision(dtype: torch.dtype):
    net = Sees(dtype)
    answer = Model(net)(X)
    assert net.seen.dtype == dtype  # type: ignore[union-attr]
    assert answer.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_eps_is_in_image_units_whatever_the_normalisation():
    net = Plane(3, 8, 8)
    plain = FGSM()(Model(net), X, net.label(X))
    dressed = FGSM()(Model(Gives(net, lambda out: out), mean=0.5, std=0.25, box=(0, 2)), X, net.label(X))
    assert torch.allclose(plain.linf, torch.tensor(8 / 255))
    assert torch.allclose(dressed.linf, torch.tensor(8 / 255))


@pytest.mark.parametrize(
    "wrong", [{"box": (1.0, 0.0)}, {"box": (0.5, 0.5)}, {"std": 0.0}, {"std": (1.0, -1.0, 1.0)}]
)
def test_a_range_without_width_is_refused(wrong: dict[str, Any]):
    with pytest.raises(InputError, match="must have a width and std"):
        Model(conv(), **wrong)


def test_a_mean_for_another_number_of_channels_is_refused():
    with pytest.raises(InputError, match="3 channels"):
        Model(conv(1), mean=(0.1, 0.2, 0.3))(images(2, 1, 8, 8))


def test_only_modules_are_wrapped():
    with pytest.raises(InputError, match="wraps a torch module, not function") as caught:
        Model(lambda x: x)  # type: ignore[arg-type]
    assert "Model.scores" in caught.value.hint


# What it answers.


@kinds
def test_every_kind_of_network_answers_with_one_row_per_image(kind: str):
    model = Model(KINDS[kind]())
    logits = model(X)
    assert logits.shape[0] == 2
    assert logits.shape[1] >= 2
    assert logits.dtype == torch.float32
    assert model.width == logits.shape[1]
    assert torch.allclose(model(X[1:]), logits[1:], atol=1e-2 if kind == "bfloat16" else 1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_any_number_of_channels_and_dimensions(space: str):
    net, x = SPACES[space]()
    assert torch.allclose(Model(net)(x), net(x).detach())


@pytest.mark.parametrize(
    "dress",
    [
        lambda out: {"logits": out, "loss": out.sum()},
        lambda out: {"aux": out * 0, "out": out},
        lambda out: {"output": out},
        lambda out: {"scores": out},
        lambda out: (out, None),
        lambda out: [out],
        lambda out: out.double(),
    ],
)
def test_the_scores_are_found_in_what_is_returned(dress: Callable[[Tensor], Any]):
    assert torch.allclose(Model(Gives(conv(), dress))(X).float(), Model(conv())(X))


@pytest.mark.parametrize(
    ("dress", "said"),
    [
        (lambda out: {"boxes": out}, "a dict with boxes"),
        (lambda out: "cat", "returns str"),
        (lambda out: (), "tuple"),
    ],
)
def test_an_answer_without_scores_is_refused(dress: Callable[[Tensor], Any], said: str):
    with pytest.raises(InputError, match=said):
        Model(Gives(conv(), dress))(X)


@pytest.mark.parametrize("dress", [lambda z: z, lambda z: z[:, 0]], ids=["[B, 1]", "[B]"])
def test_one_logit_becomes_two_whose_difference_it_is(dress: Callable[[Tensor], Tensor]):
    net = conv(classes=1)
    z = net(X).detach()
    logits = Model(Gives(net, dress), outputs="logits")(X)
    assert torch.allclose(logits[:, 1:] - logits[:, :1], z)
    assert torch.allclose(logits.softmax(1)[:, 1:], z.sigmoid())


def test_one_number_between_0_and_1_is_asked_about():
    net = Gives(conv(classes=1), torch.sigmoid)
    with pytest.raises(InputError, match="a probability or a logit") as caught:
        Model(net)(X)
    assert "outputs='probabilities'" in caught.value.hint
    assert torch.allclose(Model(net, outputs="probabilities")(X).softmax(1)[:, 1:], net(X))


def test_probabilities_are_told_and_warned_of_once():
    net = conv()
    model = Model(Gives(net, lambda z: z.softmax(1)))
    with pytest.warns(UserWarning, match="returns probabilities"):
        first = model(X)
    assert torch.allclose(first, net(X).log_softmax(1), atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(X)
        Model(Gives(net, lambda z: z.softmax(1)), outputs="probabilities")(X)


def test_probabilities_of_exactly_0_stay_finite():
    model = Model(Gives(Plane(3, 8, 8, scale=1e5), lambda z: z.softmax(1)), outputs="probabilities")
    assert model(X).isfinite().all()


def test_a_segmenter_answers_with_a_map():
    assert Model(segmenter())(X).shape == (2, 3, 8, 8)


def test_class_names_that_do_not_fit_are_refused():
    assert Model(conv(), classes="abcde").label_name(2) == "c"
    assert Model(conv()).label_name(2) == "2"
    with pytest.raises(InputError, match="answers with 5 classes, there are 3 class names"):
        Model(conv(), classes="abc")(X)


def test_images_the_network_cannot_take_are_named_by_their_shape():
    with pytest.raises(InputError, match=r"Sequential fails on images of shape \[2, 4, 8, 8\]"):
        Model(conv())(images(2, 4, 8, 8))


# What it leaves behind: nothing.


USES: dict[str, Callable[[Model, Tensor], Any]] = {
    "call": lambda model, x: model(x),
    "FGSM": lambda model, x: FGSM()(model, x, 0),
    "PGD": lambda model, x: PGD(steps=2)(model, x, target=1),
    "RandomNoise": lambda model, x: RandomNoise(draws=2)(model, x, 0),
    "Gradient": lambda model, x: Gradient()(model, x),
    "GradCAM": lambda model, x: GradCAM()(model, x),
    "SmoothGrad": lambda model, x: SmoothGrad(samples=2)(model, x),
}
uses = pytest.mark.parametrize("use", USES)

NETS = {
    **{
        name: KINDS[name]
        for name in ("residual, batch norm", "shared modules", "frozen", "bfloat16", "segmenter")
    },
    "training mode": lambda: residual().train(),
    "batch norm frozen in training": lambda: half_frozen(residual()),
    "half of the weights frozen": lambda: _half(residual()),
}


def _half(net: nn.Module) -> nn.Module:
    for p in list(net.parameters())[::2]:
        p.requires_grad_(False)
    return net


@uses
@pytest.mark.parametrize("name", NETS)
@pytest.mark.filterwarnings("ignore:.*training mode")
def test_nothing_is_left_behind(use: str, name: str):
    net = NETS[name]()
    net.user = net.register_forward_hook(lambda module, args, out: None)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    model, x = Model(net), X.clone().requires_grad_()
    USES[use](model, x)  # what is remembered of outputs and layers is settled
    torch.manual_seed(5)
    before, numbers = state_of(net), random_state()
    USES[use](model, x)
    assert state_of(net) == before
    assert random_state() == numbers
    assert x.grad is None
    assert same(x, X)
    copy.deepcopy(net)
    copy.deepcopy(model)


class Stop(BaseException):
    """As KeyboardInterrupt."""


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, Stop, IndexError])
@uses
@pytest.mark.filterwarnings("ignore:.*training mode")
def test_nothing_is_left_behind_where_the_network_raises(use: str, error: type[BaseException]):
    net = half_frozen(residual())
    model = Model(net)
    USES[use](model, X)
    torch.manual_seed(5)
    before, numbers = state_of(net), random_state()

    def raises(module: nn.Module, args: Any, out: Any) -> None:
        raise error("in the user's own code")

    handle = net.head.register_forward_hook(raises)
    with pytest.raises(InputError if issubclass(error, Exception) else error):
        USES[use](model, X)
    handle.remove()
    assert state_of(net) == before
    assert random_state() == numbers
    assert model(X).isfinite().all()


def test_users_own_hooks_still_work_during_a_call_and_after():
    net, calls = conv(), []
    net[0].register_forward_hook(lambda module, args, out: calls.append(out.shape))
    GradCAM("0")(Model(net), X)
    assert len(calls) == 1
    net(X)
    assert len(calls) == 2


def test_a_network_in_training_mode_is_warned_of_and_judged_in_evaluation_mode():
    net = residual()
    expected = net(X).detach()
    net.train()
    with pytest.warns(UserWarning, match="is in training mode"):
        model = Model(net)
    assert same(model(X), expected)
    assert net.training


def test_a_network_without_modes_in_training_mode_is_nothing_to_warn_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model(conv().train())


def test_a_network_that_draws_at_random_answers_the_same_every_time():
    model = Model(Gives(conv(), lambda z: z + torch.randn_like(z)))
    assert same(model(X), model(X))


def test_a_network_that_works_in_place_on_its_input_does_not_change_the_images():
    net, x = InPlace(conv()), X.clone()
    model = Model(net)
    model(x)
    assert same(x, X)
    expected = conv()((X - 0.5) * 2).detach()
    assert torch.allclose(model(X), expected)
    assert Gradient()(model, X, 0).heat.abs().sum() > 0


@pytest.mark.parametrize("around", [torch.no_grad, torch.enable_grad])
def test_gradients_are_taken_also_where_the_caller_has_switched_them_off(around: Callable[[], Any]):
    expected = Gradient()(Model(conv()), X, 0).heat
    with around():
        assert same(Gradient()(Model(conv()), X.clone(), 0).heat, expected)
        assert FGSM()(Model(conv()), X.clone(), 0).linf.min() > 0


def test_inference_mode_where_there_are_no_gradients_is_named():
    model = Model(conv())
    with torch.inference_mode(), pytest.raises(InputError, match="no gradients in torch"):
        Gradient()(model, X.clone(), 0)


# Layers.


def test_layers_are_named_as_the_network_names_them():
    model = Model(residual())
    assert list(model.layers)[:3] == ["stem", "stem.0", "stem.1"]
    assert model.layer("stem.2") is model.net.stem[2]


def test_an_unknown_layer_suggests_the_nearest():
    with pytest.raises(UnknownName, match="no layer is called 'steem'") as caught:
        Model(residual()).layer("steem")
    assert caught.value.hint.startswith("did you mean stem or")


def test_a_layer_that_is_not_used_is_named():
    net = conv()
    net.add_module("7", nn.Identity())
    spare = nn.ModuleDict({"net": conv(), "spare": nn.Linear(2, 2)})
    spare.forward = lambda x: spare["net"](x)
    with pytest.raises(InputError, match="layer 'spare' was not used in the forward pass"):
        Model(spare.eval()).trace(X, ("spare", "output"))


def test_a_layer_that_gives_no_tensor_is_named():
    with pytest.raises(InputError, match="layer 'attention' gives tuple, not a tensor"):
        Model(KINDS["vision transformer"]()).trace(X, ("attention",))


def test_a_pass_stops_as_soon_as_it_has_seen_what_was_asked_for():
    net = conv()
    net[2].register_forward_hook(lambda *_: pytest.fail("went on"))
    assert set(Model(net).trace(X, ("0", "1"))) == {"input", "0", "1"}


def test_a_watched_layer_is_not_overwritten_by_the_next_which_works_in_place():
    net = conv()
    expected = net[0](X).detach()
    assert expected.min() < 0
    trace = Model(net).trace(X, ("0", "output"))
    assert same(trace["0"], expected)
    assert same(trace["output"], net(X))


def test_a_module_used_twice_counts_by_its_first_use():
    net = shared()
    assert same(Model(net).trace(X, ("conv", "output"))["conv"], net.conv(X))


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("in-place ReLU", "3"),
        ("residual, batch norm", "drop"),
        ("vision transformer", "last"),
        ("segmenter", "2"),
    ],
)
def test_the_last_layer_with_positions_is_found(kind: str, layer: str):
    model = Model(KINDS[kind]())
    assert model.last_spatial_layer(X) == {"drop": "relu"}.get(layer, layer)


def test_a_network_without_positions_has_no_such_layer():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()
    with pytest.raises(InputError, match="no layer with positions"):
        Model(net).last_spatial_layer(X)


# Black boxes.


def scores_of(net: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def scores(x: np.ndarray) -> np.ndarray:
        assert isinstance(x, np.ndarray)
        return net(torch.from_numpy(x)).detach().numpy()

    return scores


def test_a_function_that_gives_scores_answers_as_its_network():
    model = Model.scores(scores_of(conv()), classes="abcde")
    assert torch.allclose(model(X), conv()(X))
    assert model.name == "scores"
    assert model.access == "scores"


def test_a_function_that_gives_labels_is_attacked_by_what_needs_labels_only():
    net = Plane(3, 8, 8)
    model = Model.labels(lambda x: net.label(torch.from_numpy(x)).numpy(), 2)
    assert model.classes == ("0", "1")
    found = RandomNoise(draws=5)(model, X, net.label(X))
    assert same(found.label, net.label(found.x))


@pytest.mark.parametrize("answer", [[0.5, 1.0], [0, 3], [[0, 1], [1, 0]], [-1, 0], [0]])
def test_answers_that_are_no_labels_are_refused(answer: Any):
    with pytest.raises(InputError, match="black box"):
        Model.labels(lambda x: np.array(answer), 3)(X)


BLACK = {
    "scores": lambda: Model.scores(scores_of(conv())),
    "labels": lambda: Model.labels(lambda x: np.zeros(len(x), int), 2),
}
NEEDS = [
    (FGSM(), "scores", "FGSM needs gradients, this model gives scores only", "NES"),
    (PGD(), "scores", "PGD needs gradients, this model gives scores only", "NES"),
    (PGD(), "labels", "PGD needs gradients, this model gives labels only", "RandomNoise"),
    (PGD(slope=NES()), "labels", "PGD needs scores, this model gives labels only", "RandomNoise"),
    (Gradient(), "scores", "Gradient needs gradients, this model gives scores only", ""),
    (GradCAM(), "scores", "GradCAM needs gradients, this model gives scores only", ""),
    (GradCAM("0"), "labels", "GradCAM needs gradients, this model gives labels only", ""),
]


@pytest.mark.parametrize(("method", "gives", "message", "hint"), NEEDS, ids=lambda v: repr(v)[:40])
def test_a_method_that_needs_more_says_so_and_what_to_do(method: Any, gives: str, message: str, hint: str):
    with pytest.raises(AccessError) as caught:
        method(BLACK[gives](), X, 0)
    assert str(caught.value) == message
    assert hint in caught.value.hint


# The quick copy.


@pytest.mark.parametrize(
    "kind", ["residual, batch norm", "in-place ReLU", "shared modules", "frozen", "segmenter"]
)
def test_the_quick_copy_answers_like_the_original(kind: str):
    model = Model(KINDS[kind](), fast=True, mean=0.5, std=0.25)
    quick = model.quick(X)
    assert quick is not model
    assert quick.net is not model.net
    slack = 0.05 if next(quick.net.parameters()).dtype == torch.bfloat16 else 1e-4
    assert torch.allclose(quick(X), model(X), atol=slack * float(model(X).abs().max()))
    assert model.quick(X) is quick


def test_batch_norms_are_folded_into_the_quick_copy_but_not_where_it_would_change_the_answer():
    from unfool.fast import folded

    net = residual()
    swift = folded(net, X)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in swift.modules())
    assert torch.allclose(swift(X), net(X), atol=1e-5)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == 2

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.bn.running_var.fill_(4.0)

        def forward(self, x: Tensor) -> Tensor:
            out = self.conv(x)
            return (self.bn(out) + out).mean((2, 3))

    twice = Twice().eval()
    assert folded(twice, X) is twice


@pytest.mark.parametrize("change", ["train", "load", "in place"])
def test_the_quick_copy_is_made_anew_after_the_weights_change(change: str):
    net = residual()
    model = Model(net, fast=True)
    first = model.quick(X)
    if change == "train":
        net(X).sum().backward()
        torch.optim.SGD(net.parameters(), 1.0).step()
    elif change == "load":
        net.load_state_dict(residual(seed=1).state_dict())
    else:
        with torch.no_grad():
            net.head.weight.mul_(-1)
    again = model.quick(X)
    assert again is not first
    assert torch.allclose(again(X), model(X), atol=0.05 * float(model(X).abs().max()))


def test_without_leave_and_for_black_boxes_there_is_no_quick_copy():
    model = Model(conv())
    assert model.quick(X) is model
    black = Model.scores(scores_of(conv()), fast=True)
    assert black.quick(X) is black


def test_what_is_found_on_the_quick_copy_is_judged_on_the_original():
    net = residual()
    found = PGD(steps=5)(Model(net, fast=True), X, net(X).argmax(1))
    assert same(found.label, net(found.x).argmax(1))
    assert torch.allclose(found.confidence, net(found.x).softmax(1).amax(1).detach(), atol=1e-6)


# What is refused at the door.


IMAGES = [
    (np.zeros((1, 3, 8, 8)), "must be a torch tensor, not ndarray"),
    (X[0, 0], r"must be \[B, C, \*space\], not \[8, 8\]"),
    ((X * 255).to(torch.uint8), "must be floats"),
    (X[:0], "there are no images"),
    (X * 255, r"must lie in \[0, 1\]"),
    (X - 0.5, r"must lie in \[0, 1\]"),
    (X * torch.nan, "NaN or infinite"),
    (X.clone().index_fill_(0, torch.tensor([1]), torch.inf), "NaN or infinite"),
]
METHODS = [FGSM(), Gradient()]


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize(("x", "message"), IMAGES)
def test_images_that_are_none_are_refused(method: Any, x: Any, message: str):
    with pytest.raises(InputError, match=message):
        method(Model(conv()), x, 0)


LABELS = [
    (torch.tensor([0.0, 1.0]), "must be whole numbers"),
    (torch.tensor([True, False]), "must be whole numbers"),
    ([0, 1, 2], r"must be one per image, 2, not \[3\]"),
    (torch.zeros(2, 1, dtype=torch.long), r"must be one per image, 2, not \[2, 1\]"),
    ([0, 5], "must be 0 to 4, these span 0 to 5"),
    (-1, "must be 0 to 4|must be 0 or more"),
    ("gibbon", "must be whole numbers"),
    (["cat", "dog"], "must be whole numbers"),
    ([None, 1], "must be whole numbers"),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize(("y", "message"), LABELS, ids=str)
def test_labels_that_are_none_are_refused(method: Any, y: Any, message: str, asked_before: bool):
    model = Model(conv())
    if asked_before:
        model(X)
    with pytest.raises(InputError, match=message):
        method(model, X, y)


@pytest.mark.parametrize("y", [1, [1, 1], (1, 1), torch.tensor(1), np.array([1, 1], dtype=np.uint8)])
def test_labels_may_be_one_for_all_or_a_list_or_an_array(y: Any):
    assert same(FGSM()(Model(conv()), X, y).x, FGSM()(Model(conv()), X, torch.tensor([1, 1])).x)


def test_ids_must_be_one_per_image():
    with pytest.raises(InputError, match="ids must be one per image, 2, not 3"):
        FGSM()(Model(conv()), X, 0, ids="abc")


def test_rounding_of_a_normalisation_undone_is_forgiven():
    assert FGSM()(Model(conv()), X.clamp(1e-7) - 2e-7, 0).x.min() >= 0


def test_half_precision_and_double_images_are_taken_as_they_are():
    for dtype in (torch.bfloat16, torch.float64):
        assert Gradient()(Model(conv()), X.to(dtype), 0).heat.dtype == dtype
        assert FGSM()(Model(frozen(conv())), X.to(dtype), 0).x.dtype == dtype


@pytest.mark.parametrize("error", [ValueError("my own bug"), KeyError("key"), TypeError(), IndexError("far")])
def test_whatever_a_network_raises_is_one_sentence(error):
    class Broken(torch.nn.Module):
        def forward(self, x):
            raise error

    with pytest.raises(InputError, match="Broken fails on images of shape"):
        Model(Broken())(X)


def test_a_network_that_answers_nan_is_one_sentence():
    class Broken(torch.nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3] * float("nan")

    with pytest.raises(InputError, match="answers NaN"):
        Model(Broken())(X)


def test_one_channel_is_given_to_convolutions_in_the_quick_layout_too():
    seen: list[tuple[int, ...]] = []

    class Looks(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)

        def forward(self, x):
            seen.append(x.stride())
            x.mul_(2)
            out = self.conv(x)
            assert out.is_contiguous(memory_format=torch.channels_last)
            return F.max_pool2d(out, 2).flatten(1)

    net, x = Looks().eval(), images(3, 1, 8, 8)
    before = x.clone()
    wanted = F.max_pool2d(net.conv(2 * x), 2).flatten(1)
    assert torch.allclose(Model(net)(x), wanted, atol=1e-5)
    assert torch.equal(x, before)
    assert seen == [(64, 1, 8, 1)]


def test_a_network_elsewhere_than_its_images_are_sent_is_an_error_not_moved():
    net = residual()
    with pytest.raises(InputError, match="the network is on cpu, not on meta") as error:
        Model(net, device="meta")
    assert error.value.hint == "net.to('meta'), then Model(net)"
    assert next(net.parameters()).device.type == "cpu"
