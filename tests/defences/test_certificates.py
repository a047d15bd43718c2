"""Certificates: closed forms where there are any, corners and samples elsewhere, never more than an attack needs."""

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from oracles import Plane, conv, functional, images, residual, seeded, state_of, tiny_vit
from unfool.attacks.boundary import FAB
from unfool.attacks.gradient import PGD
from unfool.attacks.nearest import FMN
from unfool.attacks.wrappers import Smallest
from unfool.defences.bounds import Area, intervals, margins, planes
from unfool.defences.graph import steps_of
from unfool.defences.proofs import ExactRadius, IntervalBounds, LinearBounds
from unfool.defences.smoothing import Elect, Smoothing, lower_end, votes
from unfool.errors import InputError
from unfool.method import Question
from unfool.model import Model
from unfool.regions import L0, L1, L2, Linf
from unfool.rows import Batch, Rng

NORMS = {"Linf": Linf, "L2": L2, "L1": L1}


@seeded
def dense(inputs: int = 4, wide: int = 6, classes: int = 3) -> nn.Module:
    layers = [nn.Flatten(), nn.Linear(inputs, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(wide, classes))


@seeded
def pooled(stride: int = 2) -> nn.Module:
    """Convolution, batch norm, max pooling, a head."""
    norm = nn.BatchNorm2d(4)
    norm.running_mean.uniform_(-0.2, 0.2)
    norm.running_var.uniform_(0.5, 1.5)
    first = [nn.Conv2d(1, 4, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2, stride)]
    return nn.Sequential(
        *first, nn.Conv2d(4, 4, 2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(3)
    )


def made_pooled(stride: int) -> nn.Module:
    net = pooled(stride)
    net(torch.zeros(1, 1, 6, 6))
    return net


class Normalising(nn.Module):
    """Its own normalisation, by numbers and by buffers, and a difference of two branches."""

    def __init__(self):
        super().__init__()
        self.a, self.b = dense(9, seed=1), dense(9, seed=2)
        self.register_buffer("std", torch.tensor([[[[0.5]]]]))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = (1 - (x - 0.4) / self.std) * -2.0
        return self.a(x) - self.b(x.view(x.size(0), -1)) + 1


NETS = {
    "normalising": (Normalising, (1, 3, 3)),
    "dense": (lambda: dense(9), (1, 3, 3)),
    "conv, in-place ReLU": (lambda: conv(1), (1, 6, 6)),
    "functional ReLU": (functional, (3, 6, 6)),
    "residual, batch norm": (residual, (3, 5, 5)),
    "max pooling": (lambda: made_pooled(2), (1, 6, 6)),
    "overlapping windows": (lambda: made_pooled(1), (1, 6, 6)),
}


def around(area: Area, n: int = 400) -> Tensor:
    """Random images of the area, many at its edge: [n, B, C, *]."""
    stream = torch.Generator().manual_seed(0)
    draws = torch.randn((n, *area.x.shape), generator=stream, dtype=torch.float64)
    if area.norm is Linf:
        draws = draws.sign()
    elif area.norm is L1:
        draws = draws * (draws.abs() == draws.abs().flatten(2).amax(2).view(n, -1, 1, 1, 1))
    region = area.norm(1.0)
    size = torch.stack([region.size(one) for one in draws])
    share = torch.rand((n, 1), generator=stream, dtype=torch.float64) ** 0.1
    return (area.x + draws * (share * area.eps / size).view(n, -1, 1, 1, 1)).clamp(0, 1)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("name", NETS)
def test_bounds_hold_every_step_of_images_drawn_inside(name, norm):
    make, shape = NETS[name]
    model = Model(make(), mean=0.4, std=0.5)
    steps = steps_of(model)
    x = images(2, *shape, dtype=torch.float64)
    area = Area(norm, x, torch.tensor([0.05, 0.4], dtype=torch.float64))
    loose, tight = intervals(steps, area), planes(steps, area)
    for drawn in around(area, 60):
        values = [drawn]
        for step in steps[1:]:
            values.append(step.make(*(values[k] for k in step.inputs)).detach())
        for bounds in (loose, tight):
            for value, b in zip(values, bounds, strict=True):
                assert (value >= b.low - 1e-9).all()
                assert (value <= b.high + 1e-9).all()
    for a, b in zip(loose, tight, strict=True):
        assert (b.low >= a.low - 1e-9).all()
        assert (b.high <= a.high + 1e-9).all()


@pytest.mark.parametrize("name", NETS)
def test_the_steps_are_the_network(name):
    make, shape = NETS[name]
    net = make()
    before = state_of(net)
    model, x = Model(net, mean=0.4, std=0.5), images(3, *shape)
    values = [x.double()]
    for step in (steps := steps_of(model))[1:]:
        values.append(step.make(*(values[k] for k in step.inputs)))
    assert torch.allclose(values[-1].float(), model(x), atol=1e-5)
    assert len(steps) > 3
    assert state_of(net) == before


@pytest.mark.parametrize("seed", range(4))
def test_margins_are_below_all_corners_and_planes_are_nearer_to_them(seed):
    model = Model(dense(seed=seed))
    steps, x = steps_of(model), images(3, 1, 2, 2, seed=seed, low=0.3, high=0.7, dtype=torch.float64)
    y = model(x.float()).argmax(1)
    area = Area(Linf, x, torch.full((3,), 0.25, dtype=torch.float64))
    corners = torch.tensor(list(itertools.product((-0.25, 0.25), repeat=4))).view(16, 1, 1, 2, 2)
    scores = torch.stack([model.net.double()(x + corner) for corner in corners]).detach()
    model.net.float()
    own = scores.gather(2, y[None, :, None].expand(16, -1, -1))
    true = (own - scores).amin(0).scatter(1, y[:, None], torch.inf)
    loose = margins(steps, area, intervals(steps, area), y, linear=False)
    tight = margins(steps, area, planes(steps, area), y, linear=True)
    assert (tight <= true + 1e-9).all()
    assert (loose <= tight + 1e-12).all()
    assert (tight > loose + 1e-6).any()


def test_a_single_rectifier_has_its_textbook_bound():
    """Of 2 relu(z) - relu(z) over [-1, 3] intervals say at least -3, planes 2 z less the chord's 0.75 z + 0.75: -2."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[4.0], [4.0]]))
        net[1].bias.fill_(-1)
        net[3].weight.copy_(torch.tensor([[2.0, -1.0], [0.0, 0.0]]))
    steps = steps_of(Model(net.eval()))
    area = Area(Linf, torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64), torch.tensor([0.5]).double())
    assert float(intervals(steps, area)[-1].low[0, 0]) == -3
    y = torch.tensor([0])
    assert float(margins(steps, area, planes(steps, area), y, True)[0, 1]) == -2


@pytest.mark.parametrize("name", NORMS)
def test_of_a_plane_every_proof_is_its_distance(name):
    """Away from the borders of [0, 1], where the distance has a closed form."""
    net = Plane(1, 5, 5)
    x = images(6, 1, 5, 5, low=0.4, high=0.6)
    true = net.radius(x, name).double()
    within = NORMS[name](0.5 if name == "Linf" else 1.5)
    line = nn.Sequential(nn.Flatten(), nn.Linear(25, 2, bias=True))
    with torch.no_grad():
        line[1].weight.copy_(torch.stack([-net.w.flatten(), net.w.flatten()]))
        line[1].bias.copy_(torch.tensor([0.5, -0.5]) * net.w.sum())
    for proof in (LinearBounds(halvings=18), ExactRadius()):
        found = proof(Model(line.eval()), x, within=within).radius
        assert (found - true).abs().max() < 2e-5
        assert (found <= true + 1e-6).all()


def test_an_exact_radius_knows_the_box():
    """Where values have no room left the way is longer, and through a whole corner there may be none."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
        net[1].bias.copy_(torch.tensor([1.2, 0.0]))  # class 1 where the sum is above 1.2
    model = Model(net.eval())
    x = torch.tensor([[[[0.9, 0.0]]], [[[0.5, 0.5]]]])
    assert ExactRadius()(model, x, within=Linf(1.0)).radius.tolist() == pytest.approx([0.2, 0.1], abs=1e-5)
    assert ExactRadius()(model, x, within=L1(2.0)).radius.tolist() == pytest.approx([0.3, 0.2], abs=1e-5)
    assert ExactRadius()(model, x, within=L0(2)).radius.tolist() == pytest.approx([1, 1], abs=1e-5)
    with torch.no_grad():
        net[1].bias[0] = 2.5
    assert ExactRadius()(model, x, within=Linf(1.0)).radius.tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        *itertools.product(["dense", "conv, in-place ReLU", "max pooling"], NORMS),
        ("residual, batch norm", "Linf"),
    ],
)
def test_no_certificate_exceeds_the_best_attack(name, norm):
    make, shape = NETS[name]
    model, x = Model(make()), images(5, *shape)
    within = NORMS[norm].whole(x)
    y = model(x).argmax(1)
    best = torch.full((5,), torch.inf)
    for attack in (FMN(steps=40), FAB(steps=10, restarts=1), Smallest(PGD(steps=10), halvings=6)):
        found = attack(model, x, y, within=within)
        size = {"Linf": found.linf, "L2": found.l2, "L1": found.l1}[norm]
        best = torch.minimum(best, size.where(found.success, torch.inf))
    loose = IntervalBounds()(model, x, within=within)
    tight = LinearBounds()(model, x, within=within)
    assert torch.equal(tight.label, y)
    assert (tight.radius <= best).all()
    assert (loose.radius <= tight.radius + 1e-9).all()
    assert (tight.radius > 0).any()


def test_what_bounds_do_not_know_is_one_sentence():
    with pytest.raises(InputError, match="bounds do not know"):
        LinearBounds()(
            Model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(144, 2))),
            images(1, 3, 8, 8),
        )
    with pytest.raises(InputError, match=r"bounds do not know|cannot be traced"):
        IntervalBounds()(Model(tiny_vit()), images(1, 3, 8, 8))
    with pytest.raises(InputError, match="is not linear"):
        ExactRadius()(Model(conv()), images(1, 3, 8, 8))
    with pytest.raises(InputError, match="does not work in"):
        LinearBounds()(Model(conv()), images(1, 3, 8, 8), within=L0(2))


@pytest.mark.parametrize(
    ("k", "n", "alpha"), [(0, 10, 0.05), (7, 10, 0.05), (10, 10, 0.001), (990, 1000, 0.001)]
)
def test_the_lower_end_is_that_of_clopper_and_pearson(k, n, alpha):
    expected = binomtest(k, n, alternative="greater").proportion_ci(1 - alpha, "exact").low
    assert float(lower_end(torch.tensor([k]), n, alpha)[0]) == pytest.approx(expected, abs=1e-12)


def test_smoothing_a_plane_gives_its_distance_from_below():
    """The smoothed plane is the plane: its class has a chance of phi(distance / sigma)."""
    net = Plane(1, 4, 4)
    model, x = Model(net), images(24, 1, 4, 4, low=0.35, high=0.65)
    true = net.radius(x, "L2")
    how = Smoothing(sigma=0.2, first=64, samples=4000, alpha=0.001)
    found = how(model, x, within=L2(4.0))
    certified = found.label >= 0
    assert (found.label[certified] == net.label(x)[certified]).all()
    assert (found.radius <= true + 1e-6).all()
    near = certified & (true < 0.3)
    assert near.sum() >= 5
    assert (found.radius[near] > true[near] - 0.05).all()
    chance = torch.distributions.Normal(0.0, 1.0).cdf(true / 0.2)
    share = votes(model, x, 0.2, 4000, Rng.seeded(1, range(24))).gather(1, net.label(x)[:, None])[:, 0] / 4000
    assert (share - chance).abs().max() < 4 * (0.25 / 4000) ** 0.5


def test_smoothing_abstains_where_two_classes_are_as_frequent():
    net = Plane(1, 4, 4)
    x = torch.full((3, 1, 4, 4), 0.5)
    found = Smoothing(samples=200)(Model(net), x)
    assert found.label.tolist() == [-1] * 3
    assert found.radius.tolist() == [0.0] * 3
    batch = Batch(("a", "b", "c"), x, torch.zeros(3, dtype=torch.long))
    assert Elect(Smoothing(samples=200)).columns(Question(Model(net)), batch)["label"].tolist() == [-1] * 3


def test_smoothing_draws_the_same_in_any_company_and_of_a_black_box():
    model, x = Model(conv()), images(5, 3, 8, 8)
    how = Smoothing(first=30, samples=150)
    whole = how(model, x, ids=list("abcde"))
    alone = how(model, x[3:4], ids=["d"])
    assert torch.equal(whole.radius[3:4], alone.radius)
    box = Model.labels(lambda t: model(torch.from_numpy(np.asarray(t))).argmax(1).numpy(), 5)
    assert torch.equal(how(box, x, ids=list("abcde")).radius, whole.radius)


def test_a_radius_in_linf_is_that_in_l2_over_root_d():
    model, x = Model(Plane(1, 4, 4)), images(4, 1, 4, 4)
    how = Smoothing(samples=300)
    assert torch.allclose(how(model, x, within=Linf(1.0)).radius, how(model, x, within=L2(4.0)).radius / 4)
