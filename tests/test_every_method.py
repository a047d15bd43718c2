"""What every attack and every attribution promises, whoever wrote it: found in the catalogue, not listed here."""

import inspect
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import images, random_state, residual, same, state_of
from unfool.attacks.auto import TargetedAPGD
from unfool.attacks.base import Attack
from unfool.attacks.gradient import FGSM, PGD
from unfool.attacks.noise import RandomNoise
from unfool.attacks.pixels import OnePixel
from unfool.attacks.sparse import SimBA, SparseRS
from unfool.attacks.standard import Evaluation
from unfool.attacks.wrappers import Best, Repeated, Smallest
from unfool.attributions.base import Attribution
from unfool.attributions.cam import GradCAM
from unfool.attributions.occlusion import Occlusion
from unfool.attributions.relevance import LRP, PositiveExcitation
from unfool.attributions.rules import Bent, Deconv, GuidedGradCAM
from unfool.attributions.shares import Epsilon, Flat, Gamma, ZPlus
from unfool.attributions.wrappers import SmoothGrad
from unfool.errors import InputError
from unfool.method import Method, Question
from unfool.model import Model
from unfool.objectives import Margin
from unfool.regions import L0, L1, L2, Linf, Mask, Region
from unfool.rows import Batch
from unfool.slopes import NES, SPSA, Expectation, ScaleInvariant, TranslationInvariant
from unfool.spec import Spec, catalogue, options, parse
from unfool.transforms import Shrink

N = 4
X = images(N, 3, 8, 8, dtype=torch.float64)
BOX = (0.0, 0.25, 0.5, 1.0)
REGIONS = [
    Linf(0.05),
    L2(0.5),
    L1(3.0),
    L0(4),
    Linf((1e-6, 0.02, 0.1, 0.5)),
    L2((1e-6, 0.1, 0.5, 5.0)),
    Mask(Linf(0.2), BOX),
    Mask(L1(1.0), BOX),
]

BUDGETS: dict[str, dict[str, Any]] = {
    "APGD": {"steps": 8},
    "BoundaryWalk": {"queries": 60},
    "BoxLBFGS": {"steps": 6, "searches": 3},
    "CarliniWagner": {"steps": 10, "searches": 3},
    "DDN": {"steps": 10},
    "DeepFool": {"steps": 5},
    "FAB": {"steps": 5, "restarts": 1},
    "FMN": {"steps": 10},
    "HopSkipJump": {"queries": 60},
    "KernelSHAP": {"samples": 12, "pieces": 5},
    "LIME": {"samples": 12, "pieces": 5},
    "MeaningfulPerturbation": {"steps": 5},
    "OnePixel": {"population": 20, "generations": 2},
    "RISE": {"samples": 12},
    "RegularisedTargeted": {"steps": 10, "searches": 3},
    "SigmaZero": {"steps": 10},
    "SimBA": {"queries": 30},
    "SparseRS": {"queries": 30},
    "Square": {"queries": 30},
    "SurFree": {"queries": 60},
    "TargetedAPGD": {"steps": 4, "rivals": 2},
    "TargetedAscent": {"steps": 20},
}
"""Less than the defaults, where those take long."""


def ours(kind: type[Spec]) -> list[Any]:
    """The package's own classes, each with its defaults and the least it needs; evaluations are in test_standard.py."""
    found = [cls for cls in catalogue(kind).values() if cls.__module__.startswith("unfool.")]
    return [example(cls) for cls in found if not issubclass(cls, Evaluation)]


def example(cls: type[Spec]) -> Spec:
    needed = {o.name: (FGSM(),) if o.many == "must" else FGSM() for o in options(cls) if o.required}
    return cls(**needed | BUDGETS.get(cls.__name__, {}))


ATTACKS: list[Attack] = [
    *ours(Attack),
    FGSM(start=0.5),
    PGD(
        steps=3,
        momentum=1.0,
        slope=TranslationInvariant(1, 1.0, Expectation((Shrink(0.7),), 1, ScaleInvariant(2))),
    ),
    PGD(steps=2, slope=SPSA(samples=2)),
    TargetedAPGD(steps=3, rivals=2, order="reach"),
    PGD(steps=3, random_start=False, loss=Margin()),
    PGD(steps=2, slope=NES(samples=2)),
    FGSM(slope=Expectation(samples=2)),
    RandomNoise("gaussian", draws=3),
    OnePixel(8, 1, sure=True),
    Repeated(PGD(steps=2), 2),
    SimBA("dct", queries=20),
    SparseRS("patch", queries=20),
    Best((RandomNoise(), PGD(steps=2))),
    Smallest(PGD(steps=2), halvings=3),
]
ATTRIBUTIONS: list[Attribution] = [
    *ours(Attribution),
    Bent(SmoothGrad(samples=2), Deconv(extend=True)),
    Bent(rule=PositiveExcitation()),
    GuidedGradCAM("conv", Deconv()),
    LRP(Flat(), ZPlus()),
    LRP(Epsilon(0.1), Epsilon(), Gamma()),
    Occlusion((2,), (1,), coarse=3, sample=4),
    SmoothGrad(GradCAM(), samples=3),
    SmoothGrad(GuidedGradCAM(), samples=2),
    SmoothGrad(LRP(), samples=2),
    SmoothGrad(SmoothGrad(samples=2), samples=3),
]
METHODS: list[Any] = [*ATTACKS, *ATTRIBUTIONS]
CLASSES = sorted({type(method) for method in METHODS}, key=lambda cls: cls.__name__)
BASELINES = {"Brightness", "CentrePrior", "Edges", "RandomMap"}
WITHOUT_A_PAPER = {
    "Best",
    "EigenGradCAM",
    "GradientTimesInput",
    "OtherFills",
    "Product",
    "RandomNoise",
    "Repeated",
    "Smallest",
    *BASELINES,
}

each = pytest.mark.parametrize("method", METHODS, ids=repr)
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=repr)
each_attribution = pytest.mark.parametrize("attribution", ATTRIBUTIONS, ids=repr)
each_class = pytest.mark.parametrize("cls", CLASSES)


def model(**how: Any) -> Model:
    """In float64, so that rounding decides no sign; half of the images are wrong to begin with."""
    return Model(residual().double(), **how)


def labels(x: Tensor = X) -> Tensor:
    y = model()(x).argmax(1)
    return torch.where(torch.arange(len(x)) % 2 == 0, y, (y + 1) % 5)


def found(method: Attack | Attribution, x: Tensor = X, y: Tensor | None = None, **how: Any) -> Tensor:
    """Changed images or heat maps."""
    wrapped, y = how.pop("model", None) or model(), labels(x) if y is None else y
    result: Any = method(wrapped, x, y, **how)
    return result.x if isinstance(method, Attack) else result.heat


@each_class
def test_the_text_of_a_method_rebuilds_it(cls: type[Method]):
    for method in (m for m in METHODS if type(m) is cls):
        assert parse(repr(method), Method) == method


@each_class
def test_its_first_line_says_what_it_does_and_where_it_comes_from(cls: type[Method]):
    first, *rest = inspect.getdoc(cls).splitlines()  # type: ignore[union-attr]
    assert first.endswith(".")
    assert len(first) > 20
    assert not rest or not rest[0]
    paper = re.search(r"\([^)]*[A-Z][^)]*, (19|20)\d\d\b[^)]*\)", first)
    assert bool(paper) != (cls.__name__ in WITHOUT_A_PAPER), (
        "name the paper as (Name et al., 2015), or add the class to WITHOUT_A_PAPER in tests/test_every_method.py"
    )


@each_class
def test_every_option_says_what_it_is_or_is_plain_from_its_name(cls: type[Method]):
    plain = {"attack", "attacks", "draws", "inner", "kind", "samples", "slope", "steps", "times"}
    assert not {option.name for option in options(cls) if not option.help} - plain


@each_attack
@pytest.mark.parametrize("within", REGIONS, ids=repr)
def test_attacked_images_are_inside_the_region_and_the_box(attack: Attack, within: Region):
    if within.norm not in attack.usable:
        with pytest.raises(InputError, match=f"does not work in {within.norm.__name__}"):
            found(attack, within=within)
        return
    x = found(attack, within=within)
    ball = within.around(X)
    assert x.shape == X.shape
    assert x.dtype == X.dtype
    assert x.min() >= 0
    assert x.max() <= 1
    assert (within.size(x - X) <= ball.eps * (1 + 1e-9) + 1e-12).all()
    if ball.mask is not None:
        assert not ((x != X) & (ball.mask == 0)).any()


@each_attribution
def test_heat_maps_have_the_shape_of_their_image(attribution: Attribution):
    result = attribution(model(), X, labels())
    assert result.heat.shape[0] == N
    assert result.heat.ndim == X.ndim
    assert result.map.shape == (N, 1, 8, 8)
    assert result.map.isfinite().all()
    assert result.score.shape == result.target.shape == (N,)


@each
def test_rows_do_not_depend_on_their_neighbours(method: Attack | Attribution):
    y, ids = labels(), list("abcd")
    whole = found(method, ids=ids)
    backwards = found(method, X.flip(0), y.flip(0), ids=ids[::-1]).flip(0)
    alone = torch.cat([found(method, X[k : k + 1], y[k : k + 1], ids=ids[k]) for k in range(N)])
    assert torch.allclose(whole, backwards, atol=1e-9)
    assert torch.allclose(whole, alone, atol=1e-9)


@each
def test_rows_do_not_depend_on_how_they_are_packed(method: Attack | Attribution):
    whole = found(method)
    for capacity in (1, 9):
        assert torch.allclose(found(method, model=model(capacity=capacity)), whole, atol=1e-9)


@each
def test_the_same_seed_gives_the_same_result_whatever_else_draws_at_random(method: Attack | Attribution):
    first = found(method, seed=3)
    torch.manual_seed(11)
    assert torch.equal(found(method, seed=3), first)


@each
@pytest.mark.filterwarnings("ignore:.*training mode")
def test_the_network_is_left_as_it_was(method: Attack | Attribution):
    net, x = residual().train(), X.float()
    wrapped = Model(net)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    net(x)
    found(method, x, labels(), model=wrapped)
    torch.manual_seed(5)
    before, numbers, kept = state_of(net), random_state(), x.clone()
    found(method, x, labels(), model=wrapped)
    assert state_of(net) == before
    assert random_state() == numbers
    assert torch.equal(x, kept)


@each
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_images_give_finite_results(method: Attack | Attribution, level: float):
    assert found(method, torch.full_like(X, level), torch.zeros(N, dtype=torch.long)).isfinite().all()


@each
def test_a_network_whose_gradient_is_zero_everywhere_gives_finite_results(method: Attack | Attribution):
    net = residual().double()
    torch.nn.init.zeros_(net.head.weight)
    assert found(method, model=Model(net)).isfinite().all()


@each
@pytest.mark.parametrize("known", [True, False])
def test_a_run_gets_one_entry_per_row(method: Method, known: bool):
    y = labels() if known else torch.full((N,), -1)
    batch = Batch(tuple("abcd"), X.float(), y)
    within = method.usable[0](1.0) if isinstance(method, Attack) else None
    question = Question(Model(residual()), within, seed=1)
    columns = method.columns(question, batch)
    assert columns
    assert all(len(column) == N and column.device.type == "cpu" for column in columns.values())
    some = torch.tensor([0, 2])
    part = method.columns(question, batch[some])
    assert part.keys() == columns.keys()
    for name in ("success", "label", "score", "target"):
        assert name not in columns or same(part[name], columns[name][some])
