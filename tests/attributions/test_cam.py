"""Two channels A of 2x2 positions and their gradients G, small enough to compute by hand.

Grad-CAM: α_k = mean G_k, map = relu(Σ_k α_k A_k). Grad-CAM++ (eq. 19): a = G² / (2 G² + (Σ A) G³), α_k = Σ a relu(G_k).
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles import (
    KINDS,
    SPACES,
    conv,
    functional,
    half_frozen,
    images,
    one_square,
    residual,
    same,
    seeded,
    tiny_vit,
)
from unfool.answers import AtLayer
from unfool.attributions.base import Attribution
from unfool.attributions.cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, LayerMap, XGradCAM
from unfool.attributions.layers import chosen_layers, on_grid
from unfool.attributions.wrappers import SmoothGrad
from unfool.errors import InputError, UnknownName
from unfool.maps import resize
from unfool.model import Model
from unfool.objectives import CrossEntropy, Logit, LogProb, Objective
from unfool.query import Query
from unfool.rows import Rng
from unfool.targets import Channel, Neuron, Segment

A = torch.tensor([[[1.0, 0.5], [0.25, 0.0]], [[0.0, 1.0], [0.5, 0.5]]])
G = torch.tensor(
    [
        [[[1.0, 2.0], [-1.0, 2.0]], [[0.0, -4.0], [1.0, 1.0]]],  # means 1 and -1/2
        [[[-1.0, -2.0], [-3.0, -2.0]], [[-1.0, -1.0], [0.0, -2.0]]],  # all against it
        [[[0.0, 0.0], [0.0, 4.0]], [[0.0, 8.0], [0.0, 0.0]]],  # means 1 and 2
    ]
)
CAMS = [GradCAM(), GradCAMPlusPlus(), LayerCAM(), XGradCAM()]
each = pytest.mark.parametrize("method", CAMS, ids=repr)
X = images(3, 3, 8, 8)


def query(net: nn.Module) -> Query:
    return Query(Model(net), Logit(), torch.zeros(3, dtype=torch.long), Rng.seeded(0, range(3)))


def by_hand() -> nn.Module:
    """A network whose layer "0" gives the image itself and whose logits have gradients G there."""
    net = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.Flatten(), nn.Linear(8, 3, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(2).view(2, 2, 1, 1))
        net[2].weight.copy_(G.flatten(1))
    return net.eval()


def heat(method: LayerMap, target: int) -> Tensor:
    return type(method)("0")(Model(by_hand()), A[None], target).heat[0, 0]


def test_grad_cam_by_hand():
    assert heat(GradCAM(), 0).tolist() == [
        [1.0, 0.0],
        [0.0, 0.0],
    ]  # A_1 - A_2 / 2, without [.5 - .5, .25 - .25, -.25]
    assert heat(GradCAM(), 2).tolist() == [[1.0, 2.5], [1.25, 1.0]]


def test_grad_cam_plus_plus_by_hand():
    """For class 0: ΣA = 1.75 and 2; where G = 1, a = 1 / 3.75 and 1 / 4; where G = 2, a = 4 / (8 + 14)."""
    first = 1 / 3.75 + 2 * 2 * (4 / 22)
    second = 2 * (1 / 4)
    assert torch.allclose(heat(GradCAMPlusPlus(), 0), first * A[0] + second * A[1])
    last = 16 / (32 + 1.75 * 64) * 4, 64 / (128 + 2 * 512) * 8
    assert torch.allclose(heat(GradCAMPlusPlus(), 2), last[0] * A[0] + last[1] * A[1])


def test_grad_cam_plus_plus_divides_by_its_denominator_and_sums_activations_before_the_product():
    """Not Σ relu(G)³, and not Σ (A G³): both are found in the wild."""
    found = heat(GradCAMPlusPlus(), 0)
    undivided = (G[0].relu() ** 3).sum((1, 2), keepdim=True) * A
    inside = G[0] ** 2 / (2 * G[0] ** 2 + (A * G[0] ** 3).sum((1, 2), keepdim=True)).where(
        G[0] != 0, torch.tensor(1.0)
    )
    mixed = (inside * G[0].relu()).sum((1, 2), keepdim=True) * A
    for wrong in (undivided, mixed):
        assert not torch.allclose(found, wrong.sum(0).relu(), rtol=1e-2)


def test_x_grad_cam_by_hand():
    """Class 0: Σ A G = 1.75 over Σ A = 1.75 is 1; the other channel's is -3 / 2."""
    assert torch.allclose(heat(XGradCAM(), 0), (A[0] - 1.5 * A[1]).relu(), atol=1e-6)


def test_x_grad_cam_of_a_channel_that_cancels_out_is_finite():
    x = torch.stack([torch.tensor([[1.0, -1.0], [0.5, -0.5]]), A[1]])[None]
    net = by_hand()
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(2).view(2, 2, 1, 1))
    at = AtLayer(torch.zeros(1), x, G[:1])
    assert XGradCAM().weights(at).flatten().tolist() == [0.0, -1.5]


def test_hi_res_cam_by_hand_keeps_what_speaks_against():
    found = heat(HiResCAM(), 0)
    assert torch.equal(found, (G[0] * A).sum(0))
    assert found.sum() == by_hand()(A[None])[0, 0] == -1.25


def test_layer_cam_by_hand():
    assert heat(LayerCAM(), 0).tolist() == [[1.0, 1.0], [0.5, 0.5]]
    assert heat(LayerCAM(), 2).tolist() == [[0.0, 8.0], [0.0, 0.0]]


@each
def test_where_all_evidence_is_against_a_class_the_map_is_zero_and_not_stretched_noise(method: LayerMap):
    assert heat(method, 1).tolist() == [[0, 0], [0, 0]]


def test_with_a_global_mean_and_a_linear_head_grad_cam_is_cam():
    """CAM (Zhou et al., 2016) is Σ_k w_k A_k; α_k = w_k / Z for Z positions."""
    net = conv()
    maps = net[:4](X).detach()
    for target in range(5):
        cam = torch.einsum("k,bkhw->bhw", net[6].weight[target].detach(), maps)[:, None]
        assert torch.allclose(GradCAM("3")(Model(net), X, target).heat, cam.relu() / 16, atol=1e-7)


def test_explaining_a_loss_instead_of_a_score_turns_the_evidence_round():
    net = conv(classes=2)
    with torch.no_grad():
        net[6].weight[0] = -net[6].weight[1]
    score, loss = (GradCAM("3")(Model(net), X, 1, objective=o).heat for o in (LogProb(), CrossEntropy()))
    other = GradCAM("3")(Model(net), X, 0).heat
    right = GradCAM("3")(Model(net), X, 1).heat
    for found, meant in ((score, right), (loss, other)):
        assert torch.allclose(
            found / found.amax((2, 3), keepdim=True), meant / meant.amax((2, 3), keepdim=True), atol=1e-5
        )
    assert not torch.allclose(score, loss)


# Batches.


@each
def test_three_images_may_have_one_target_or_three(method: LayerMap):
    net = residual()
    alone = [method(Model(net), X[k : k + 1], t).heat for k, t in enumerate((0, 2, 4))]
    assert torch.allclose(method(Model(net), X, [0, 2, 4]).heat, torch.cat(alone), atol=1e-6)
    assert torch.allclose(method(Model(net), X, 2).heat[1], alone[1][0], atol=1e-6)


@each
def test_a_map_as_wide_as_the_batch_is_not_mixed_up_with_it(method: LayerMap):
    net, x = residual(), images(8, 3, 8, 8)
    whole = method(Model(net), x, torch.arange(8) % 5).heat
    assert whole.shape == (8, 1, 8, 8)
    assert torch.allclose(whole[7], method(Model(net), x[7:], 2).heat[0], atol=1e-6)


# Layers.


@each
def test_the_layer_by_default_is_the_last_with_positions(method: LayerMap):
    found = method(Model(conv()), X, 1)
    assert same(found.heat, type(method)("3")(Model(conv()), X, 1).heat)
    assert found.heat.shape == (3, 1, 4, 4)
    assert found.map.shape == (3, 1, 8, 8)
    assert found.map.min() >= 0


HEADS: dict[str, tuple[nn.Module, str]] = {
    "one convolution": (nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1)), "1"),
    "enlarged": (nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 1), nn.Upsample(scale_factor=2)), "0"),
    "learned enlarging": (
        nn.Sequential(nn.Conv2d(3, 6, 2, 2), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.ConvTranspose2d(4, 4, 2, 2)),
        "1",
    ),
    "in parts": (
        nn.Sequential(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()), nn.Sequential(nn.Conv2d(6, 4, 1))),
        "0",
    ),
    "one logit": (nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 1, 1)), "1"),
    "as many features as classes": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU()),
        "1",
    ),
    "nothing before it": (nn.Sequential(nn.Conv2d(3, 4, 3)), "0"),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("objective", [Segment("everywhere"), Logit(), Neuron("output", (2, 2))], ids=repr)
def test_a_map_of_scores_is_explained_at_the_last_layer_before_it(head: str, objective: Objective):
    net, layer = HEADS[head]
    with torch.no_grad():
        for weight in net.parameters():
            weight.abs_()  # positive throughout: no rectifier of the head is shut by chance
    model = Model(net.eval(), outputs="logits")
    found = GradCAM()(model, X, 1, objective=objective)
    assert [*model.layers][int(found.notes["layer"][0])] == layer
    assert found.cost == GradCAM(layer)(model, X, 1, objective=objective).cost


def test_a_second_head_that_finishes_later_is_not_what_a_map_of_scores_is_explained_at():
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.other = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 1), nn.Conv2d(6, 5, 1)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            features = self.body(x)
            out = self.head(features)
            return {"out": out, "other": self.other(features)}

    model = Model(TwoHeads().eval())
    found = GradCAM()(model, X, 1, objective=Segment("everywhere"))
    assert [*model.layers][int(found.notes["layer"][0])] == "body"


@pytest.mark.parametrize("layer", ["0", "2"])
def test_a_layer_whose_output_the_next_changes_in_place_is_explained_as_it_gave_it(layer: str):
    net = conv()
    parts = [nn.ReLU() if isinstance(m, nn.ReLU) else m for m in net]
    safe = nn.Sequential(*parts)
    assert same(GradCAM(layer)(Model(net), X, 1).heat, GradCAM(layer)(Model(safe), X, 1).heat)


def test_a_class_token_does_not_make_an_empty_map():
    """After the last block nothing but the class token is read; the layer before it is taken."""
    found = GradCAM()(Model(tiny_vit()), X)
    assert found.heat.shape == (3, 1, 4, 4)
    assert same(found.heat, GradCAM("norm")(Model(tiny_vit()), X).heat)
    at = on_grid(query(tiny_vit()), "norm", X)
    assert (at.grad.flatten(1).abs().amax(1) > 0).all()


WRONG = [
    ("nope", UnknownName, "no layer is called 'nope'"),
    ("fc", UnknownName, "no layer is called 'fc'"),
    ("6", InputError, r"layer '6' gives \[3, 5\], which has no positions in an image of \[8, 8\]"),
    ("5", InputError, "no positions"),
]


class ClassToken(nn.Module):
    """A block of which a class token alone is read; its keys pass a part of their own, as its attention does."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm, self.qkv = nn.Conv2d(3, 12, 2, 2), nn.LayerNorm(12), nn.Linear(12, 36)
        self.keys, self.drop, self.last, self.head = (
            nn.Identity(),
            nn.Dropout(),
            nn.LayerNorm(12),
            nn.Linear(12, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = F.pad(self.patches(x).flatten(2).mT, (0, 0, 1, 0))
        q, k, v = self.qkv(self.norm(tokens)).unflatten(2, (3, 2, 6)).permute(2, 0, 3, 1, 4)
        attention = self.drop((q @ self.keys(k).mT).softmax(-1))  # [B, 2, 17, 17]
        tokens = tokens + (attention @ v).transpose(1, 2).flatten(2)
        return self.head(self.last(tokens)[:, 0])


def test_the_parts_of_an_attention_are_not_taken_for_maps():
    """Its keys [B, heads, tokens, channels] and weights [B, heads, tokens, tokens] are the last that matter."""
    torch.manual_seed(0)
    model = Model(ClassToken().eval())
    for method in (GradCAM(), HiResCAM(), GradCAM("stages")):
        found = method(model, X)
        assert {[*model.layers][k] for k in found.notes["layer"].flatten()} == {"norm"}
        assert found.heat.shape == (3, 1, 4, 4)
    with pytest.raises(InputError, match="positions of layer 'last'") as caught:
        GradCAM("last")(model, X)
    assert "'norm'" in caught.value.hint


class TwoScales(nn.Module):
    """One norm for tokens of two scales, the coarse ones last."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse, self.norm = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        fine, coarse = (self.norm(f(x).flatten(2).mT) for f in (self.fine, self.coarse))
        return self.head(fine.mean(1) + coarse.mean(1))


def test_a_layer_used_at_two_scales_counts_by_its_first_use():
    torch.manual_seed(0)
    model = Model(TwoScales().eval())
    assert model.spatial_layers(X)["norm"].sides == (4, 4)
    assert HiResCAM("norm")(model, X).heat.shape == (3, 1, 4, 4)
    assert HiResCAM()(model, X).heat.abs().max() > 0
    assert GradCAM("stages")(model, X).heat.shape == (3, 1, 4, 4)


@each
@pytest.mark.parametrize(("layer", "error", "message"), WRONG)
def test_a_layer_without_positions_is_refused(
    method: LayerMap, layer: str, error: type[Exception], message: str
):
    with pytest.raises(error, match=message) as caught:
        type(method)(layer)(Model(conv()), X, 1)
    if "positions" in message:
        assert caught.value.hint == "try '3'"  # type: ignore[attr-defined]


def test_tokens_that_nothing_reads_are_an_error_not_an_empty_map():
    """After the last block a vision transformer reads its class token alone."""
    with pytest.raises(InputError, match="does not depend on the positions of layer 'last'") as caught:
        GradCAM("last")(Model(tiny_vit()), X)
    assert caught.value.hint == "the nearest that has a way to it is 'norm'"


def test_a_layer_after_the_score_is_refused():
    with pytest.raises(InputError, match="the score does not depend on layer '2'"):
        GradCAM("2")(Model(conv()), X, 1, objective=Channel("0"))


def test_a_layer_on_no_way_to_the_score_is_refused():
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.aside = conv(), nn.Conv2d(3, 2, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.main(x), self.aside(x)

    with pytest.raises(InputError, match="the score does not depend on layer 'aside'"):
        GradCAM("aside")(Model(Aside().eval()), X)


def test_a_layer_that_is_not_used_is_refused():
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.spare = conv(), nn.Conv2d(3, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.main(x)

    with pytest.raises(InputError, match="layer 'spare' was not used"):
        GradCAM("spare")(Model(Spare().eval()), X)


def test_a_network_without_positions_is_refused():
    with pytest.raises(InputError, match="has no layer with positions"):
        GradCAM()(Model(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()), X)


@pytest.mark.parametrize("name", ["input", "output"])
def test_a_layer_whose_name_is_taken_is_refused_rather_than_mistaken(name: str):
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(name, nn.Conv2d(3, 4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.get_submodule(name)(x).relu().mean((2, 3))

    with pytest.raises(InputError, match=f"a layer called '{name}' cannot be told"):
        GradCAM()(Model(Named().eval()), X)


# Several layers.


def test_several_layers_come_from_one_pass_each_as_it_is_alone():
    net = Walls()
    model = Model(net)
    names = ("first", "second", "third")
    whole = GradCAM(names)(model, X, 1)
    assert whole.cost == {"forward": 3, "backward": 3}
    asked = Query(model, Logit(), torch.ones(3, dtype=torch.long), Rng.seeded(0, range(3)), images=X)
    for name, found in GradCAM(names).by_layer(asked, X).items():
        assert same(found.heat, GradCAM(name)(model, X, 1).heat)
    assert asked.cost == {"forward": 3, "backward": 3}
    assert [[*model.layers][k] for k in whole.notes["layer"][0]] == [*names]


class Walls(nn.Module):
    """Three sizes of maps."""

    def __init__(self) -> None:
        super().__init__()
        parts = conv()
        self.first, self.second, self.third = parts[0], nn.MaxPool2d(2), parts[2]
        self.head = parts[6]
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.third(self.second(self.first(x)).relu()).relu().mean((2, 3)))


def test_a_fused_map_is_the_mean_of_maps_over_their_own_largest_value():
    model = Model(Walls())
    maps = [GradCAM(name)(model, X, 1).heat for name in ("first", "third")]
    ones = [t / t.amax((1, 2, 3), keepdim=True).clamp_min(1e-30) for t in maps]
    expected = (resize(ones[0], (8, 8)) + resize(ones[1], (8, 8))) / 2
    assert torch.allclose(GradCAM(("first", "third"))(model, X, 1).heat, expected, atol=1e-6)


def test_the_maps_of_all_layers_stand_beside_the_fused_one():
    model = Model(Walls())
    names = ("first", "third")
    notes = GradCAM(names)(model, X, 1).notes
    for k, name in enumerate(names):
        alone = GradCAM(name)(model, X, 1).heat
        assert same(notes["each"][:, k : k + 1], resize(alone, (8, 8)))
        assert same(notes["each_max"][:, k], alone.flatten(1).amax(1))


def test_stages_are_the_last_layers_of_each_size_and_all_are_the_convolutions():
    query = Query(Model(conv()), Logit(), torch.ones(3, dtype=torch.long), Rng.seeded(0, range(3)), images=X)
    assert chosen_layers(query, X, "stages") == ("1", "3")
    deep = seeded(lambda: nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(3)), *conv()))()
    x = images(3, 3, 14, 14)
    query = Query(Model(deep), Logit(), torch.ones(3, dtype=torch.long), Rng.seeded(0, range(3)), images=x)
    assert chosen_layers(query, x, "all") == ("0", "1", "2", "3", "5")


def test_what_stands_beside_a_map():
    model = Model(by_hand())
    notes = GradCAM("0")(model, A[None], 0).notes
    assert [*model.layers][int(notes["layer"])] == "0"
    assert notes["positive"].tolist() == [0.5]  # means 1 and -1/2
    assert GradCAM("0")(model, A[None], 1).notes["positive"].tolist() == [0.0]


# Tokens, channels last.


class Tokens(nn.Module):
    """Tokens of a grid that is not square, in an image that is, so that their number says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.LayerNorm(3), nn.Linear(3, 5)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(F.adaptive_avg_pool2d(x, (2, 7)).flatten(2).mT).square().mean(1))


def test_a_grid_that_cannot_be_told_can_be_said():
    assert GradCAM("norm")(Model(Tokens()), X).heat.shape == (3, 1, 2, 2)  # 14 = 10 + 2 * 2
    assert GradCAM("norm", grid=(2, 7))(Model(Tokens()), X).heat.shape == (3, 1, 2, 7)
    with pytest.raises(
        InputError, match=r"which has no positions in an image of \[8, 8\] on a grid of \[3, 7\]"
    ):
        GradCAM("norm", grid=(3, 7))(Model(Tokens()), X)


def test_weights_of_tokens_are_means_over_tokens_not_over_channels():
    net = tiny_vit()
    kept: list[Tensor] = []
    handle = net.norm.register_forward_hook(lambda m, a, out: kept.append(out))
    net.requires_grad_(True)
    (grad,) = torch.autograd.grad(net(X)[:, 2].sum(), kept)
    handle.remove()
    tokens, slopes = kept[0][:, 1:].detach(), grad[:, 1:]
    expected = (slopes.mean(1, keepdim=True) * tokens).sum(2).relu().view(3, 1, 4, 4)
    assert torch.allclose(GradCAM("norm")(Model(net), X, 2).heat, expected, atol=1e-6)


class ChannelsLast(nn.Module):
    """Blocks that work on [B, H, W, K], as Swin's do."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.block, self.head = nn.Conv2d(3, 6, 2, stride=2), nn.Linear(6, 6), nn.Linear(6, 5)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.patches(x).permute(0, 2, 3, 1)).relu().mean((1, 2)))


def test_channels_that_come_last_are_found_and_summed_over():
    net = seeded(ChannelsLast)()
    maps = net.block(net.patches(X).permute(0, 2, 3, 1)).detach()
    slopes = net.head.weight[1].detach() / 16 * (maps > 0)
    expected = (slopes.mean((1, 2), keepdim=True) * maps).sum(3)[:, None].relu()
    assert torch.allclose(GradCAM("block")(Model(net), X, 1).heat, expected, atol=1e-6)


# Every kind of network.


@each
@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("plane", "quadratic")])
def test_every_kind_of_network(method: LayerMap, kind: str):
    found = method(Model(KINDS[kind]()), X, 1)
    assert found.map.shape == (3, 1, 8, 8)
    assert found.heat.dtype == torch.float32
    assert found.map.isfinite().all()


@each
@pytest.mark.parametrize("space", SPACES)
def test_any_number_of_channels_and_dimensions(method: LayerMap, space: str):
    net, x = SPACES[space]()
    found = method(Model(net), x)
    assert found.map.shape == (3, 1, *x.shape[2:])
    assert found.heat.shape[:2] == (3, 1)


def test_in_three_dimensions_the_weights_are_means_over_all_three():
    net, x = SPACES["volume"]()
    maps = net[:4](x).detach()
    cam = torch.einsum("k,bkdhw->bdhw", net[6].weight[1].detach(), maps)[:, None].relu() / maps[0, 0].numel()
    assert torch.allclose(GradCAM("3")(Model(net), x, 1).heat, cam, atol=1e-7)


@each
def test_frozen_and_half_precision_networks_give_the_same_map(method: LayerMap):
    plain = method(Model(conv()), X, 1).heat
    assert same(method(Model(KINDS["frozen"]()), X, 1).heat, plain)
    half = method(Model(KINDS["bfloat16"]()), X, 1).heat
    assert torch.allclose(half, plain, atol=0.1 * float(plain.amax()))


@each
def test_a_relu_that_is_a_function_is_no_different(method: LayerMap):
    net = functional()
    modules = nn.Sequential(
        net.first, nn.ReLU(), net.second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.head
    ).eval()
    found = type(method)("second")(Model(net), X, 1).heat
    assert torch.allclose(found, type(method)("2")(Model(modules), X, 1).heat, atol=1e-7)


@each
def test_the_map_peaks_in_the_square_that_is_looked_at(method: LayerMap):
    found = type(method)("conv")(Model(one_square()), images(3, 3, 8, 8, low=0.5), 1).map
    peak = found.flatten(1).argmax(1)
    assert all(1 <= p // 8 < 4 <= p % 8 < 7 for p in peak.tolist())


@each
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_images_give_finite_maps(method: LayerMap, level: float):
    assert method(Model(residual()), torch.full((2, 3, 8, 8), level)).map.isfinite().all()


@pytest.mark.parametrize("method", [*CAMS, SmoothGrad(GradCAM(), samples=2)], ids=repr)
def test_the_mode_of_every_module_is_put_back(method: Attribution):
    net = half_frozen(residual())
    before = [module.training for module in net.modules()]
    with pytest.warns(UserWarning, match="training mode"):
        method(Model(net), X)
    assert [module.training for module in net.modules()] == before


def test_of_a_map_of_scores_the_layer_is_the_one_it_is_read_off():
    """Not the answer itself, nor its enlargement: a map of those is the answer once more."""
    net = nn.Sequential(
        *(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(),
        ),
        *(nn.Conv2d(8, 3, 1), nn.Upsample(scale_factor=2)),
    )
    model, x = Model(net.eval()), images(2, 1, 12, 12)
    found = GradCAM()(model, x, 1, objective=Segment("everywhere"))
    named = GradCAM("4")(model, x, 1, objective=Segment("everywhere"))
    assert torch.equal(found.heat, named.heat)
    several = GradCAM("stages")(model, x, 1, objective=Segment("everywhere"))
    assert found.heat.shape[2:] == (6, 6)
    assert several.notes["layer"].shape[0] == 2 if "layer" in several.notes else True
