"""Grades against truth: a linear model's curves are cumulative sums, and of all orders the one of its terms is best.

ROAD imputes by a sparse system with weights 1/6 and 1/12; infidelity is the mean of (I·map - (f(x) - f(x - I)))².
"""

import itertools

import pytest
import torch
from tests.oracles import KINDS, SPACES, Plane, images, one_square, residual
from torch import Tensor, nn

from unfool.attributions.base import Attribution
from unfool.attributions.baselines import BASELINES, RandomMap
from unfool.attributions.cam import GradCAM
from unfool.attributions.gradient import Gradient, GradientTimesInput
from unfool.boxes import box_masks
from unfool.errors import InputError
from unfool.fills import blank
from unfool.measures import imputing
from unfool.measures.deletion import Deletion, Insertion
from unfool.measures.faithful import ConfidenceDrop, ConfidenceIncrease, Infidelity, Sensitivity
from unfool.measures.grading import Grades, Measure
from unfool.measures.imputing import imputed
from unfool.measures.places import Overlap, Pointing, otsu
from unfool.measures.road import ROAD
from unfool.measures.steady import Stability
from unfool.method import Question
from unfool.model import Model
from unfool.objectives import Logit
from unfool.query import Query
from unfool.rows import Batch
from unfool.spec import catalogue, parse

MEASURES: tuple[Measure, ...] = (
    Deletion(steps=4),
    Insertion(steps=4),
    ROAD((0.3, 0.7)),
    Infidelity(draws=4),
    ConfidenceDrop(),
    ConfidenceIncrease(),
    Sensitivity(draws=2),
    Stability(draws=2),
    Pointing(1),
    Overlap(),
)


def batch_of(x: Tensor, masks: Tensor | None = None) -> Batch:
    return Batch(tuple(map(str, range(len(x)))), x, torch.full((len(x),), -1), masks)


def half(x: Tensor) -> Tensor:
    masks = torch.zeros(len(x), 1, *x.shape[2:], dtype=torch.bool)
    masks[..., : x.shape[-1] // 2] = True
    return masks


@pytest.mark.parametrize("channels", [1, 3])
def test_the_curves_of_a_linear_model_are_cumulative_sums(channels: int):
    plane, x = Plane(channels, 4, 5).double(), images(3, channels, 4, 5, dtype=torch.float64)
    terms = (plane.w * x).sum(1, keepdim=True)  # what each position adds to the score when the rest is black
    ordered = terms.flatten(1).sort(dim=1, descending=True).values
    empty = plane.side(torch.zeros_like(x))
    fallen = torch.cat([torch.zeros(3, 1), ordered.cumsum(1)], 1)
    for measure, points in (
        (Deletion(20, "zero"), plane.side(x)[:, None] - fallen),
        (Insertion(20, "zero"), empty[:, None] + fallen),
    ):
        found = measure(Model(plane), x, terms, target=1, objective=Logit())
        assert torch.allclose(found.value, torch.trapezoid(points, dim=1) / 20, atol=1e-12)


def test_of_all_orders_the_one_of_the_terms_is_deleted_best_and_inserted_best():
    plane, x = Plane(1, 1, 5).double(), images(1, 1, 1, 5, dtype=torch.float64)
    orders = torch.tensor(list(itertools.permutations(range(5))), dtype=torch.float64).view(-1, 1, 1, 5)
    many = x.expand(len(orders), -1, -1, -1)
    for measure, best in ((Deletion(5, "zero"), torch.amin), (Insertion(5, "zero"), torch.amax)):
        of = lambda heat, n: measure(Model(plane), many[:n], heat, target=1).value  # noqa: E731, B023
        assert torch.isclose(of(plane.w * x, 1)[0], best(of(orders, 120), 0), atol=1e-12)


def test_the_square_that_a_network_looks_at_is_deleted_better_than_any_other_map():
    net, x = one_square(), images(8, 3, 8, 8, low=0.2)
    perfect = net.mask.expand(8, -1, -1, -1)
    measure = Deletion(steps=7, fill="zero")  # 9 of 64 positions in the first step: the whole square
    score = lambda heat: measure(Model(net), x, heat, target=1).value  # noqa: E731
    rivals = [RandomMap(8)(Model(net), x, seed=k).map for k in range(20)]
    rivals += [baseline(Model(net), x).map for baseline in BASELINES]
    assert all((score(perfect) <= score(rival) + 1e-9).all() for rival in rivals)
    assert all(float(score(perfect).mean()) < float(score(rival).mean()) for rival in rivals)


def test_a_map_without_an_order_is_deleted_in_a_random_one():
    x = images(3, 1, 6, 6)
    found = [
        Deletion(6)(Model(Plane(1, 6, 6)), x, torch.zeros(3, 1, 6, 6), target=1, seed=s).value
        for s in (0, 0, 1)
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


@pytest.mark.parametrize("fill", ["blur", "mean", "zero"])
def test_a_blank_image_keeps_a_constant_one_or_is_black(fill):
    x = torch.full((2, 3, 9, 12), 0.4)
    empty = blank(x, fill)
    assert torch.allclose(empty, torch.zeros_like(x) if fill == "zero" else x, atol=1e-6)
    noisy = images(2, 3, 9, 12)
    assert blank(noisy, fill).std() < noisy.std() / 3


def dense(x: Tensor, kept: Tensor) -> Tensor:
    """The same system written out: every hole is the weighted mean of its neighbours."""
    space, places = kept.shape[2:], list(itertools.product(*map(range, kept.shape[2:])))
    out = x.clone()
    for row in range(len(x)):
        holes = [p for p in places if not kept[(row, 0, *p)]]
        for channel in range(x.shape[1]):
            left, right = torch.zeros(len(holes), len(holes)).double(), torch.zeros(len(holes)).double()
            for i, p in enumerate(holes):
                for step in itertools.product((-1, 0, 1), repeat=len(space)):
                    q = tuple(a + b for a, b in zip(p, step, strict=True))
                    moved = sum(s != 0 for s in step)
                    if not moved or any(not 0 <= a < n for a, n in zip(q, space, strict=True)):
                        continue
                    weight = (1 / 6 if moved == 1 else 1 / 12) if len(space) == 2 else 2.0**-moved
                    left[i, i] += weight
                    if kept[(row, 0, *q)]:
                        right[i] += weight * x[(row, channel, *q)]
                    else:
                        left[i, holes.index(q)] -= weight
            for p, value in zip(holes, torch.linalg.solve(left, right), strict=True):
                out[(row, channel, *p)] = value
    return out


@pytest.mark.parametrize("shape", [(3, 2, 7, 9), (2, 1, 12), (2, 2, 3, 4, 5)])
def test_imputing_solves_the_system_that_is_written_out(shape):
    x = images(*shape, dtype=torch.float64)
    kept = images(shape[0], 1, *shape[2:], seed=3) > torch.linspace(0.3, 0.8, shape[0]).view(
        -1, *[1] * (len(shape) - 1)
    )
    assert torch.allclose(imputed(x, kept), dense(x, kept), atol=1e-4)
    assert torch.equal(imputed(x, kept).where(kept, 0), x.where(kept, 0))
    alone = torch.cat([imputed(x[k : k + 1], kept[k : k + 1]) for k in range(shape[0])])
    assert torch.allclose(alone, imputed(x, kept), atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 3000), (2, 3, 160, 224), (1, 1, 3, 90, 120), (1, 1, 20, 33, 40)])
def test_a_few_steps_solve_large_holes_whatever_their_size(shape, monkeypatch):
    """Plain conjugate gradients take about as many steps as a hole is wide."""
    space = shape[2:]
    corner = sum(
        (torch.linspace(0, 1, n).view(-1, *[1] * (len(space) - 1 - d)) ** 2 for d, n in enumerate(space)),
        torch.zeros(()),
    )
    kept = (corner < corner.flatten().kthvalue(corner.numel() // 10).values).expand(shape[0], 1, *space)
    x = images(*shape)
    monkeypatch.setattr(imputing, "ENOUGH", 1e-11)
    monkeypatch.setattr(imputing, "MOST", 200)
    exact = imputed(x.double(), kept)
    monkeypatch.setattr(imputing, "ENOUGH", 1e-5)
    monkeypatch.setattr(imputing, "MOST", 30)
    assert (imputed(x, kept) - exact).abs().max() < 1e-3
    holes = (~kept).double()
    unlike = holes * (imputing.neighbours(torch.ones_like(exact)) * exact - imputing.neighbours(exact))
    assert unlike.abs().max() < 1e-7


def test_where_nothing_or_all_is_kept_there_is_nothing_to_solve():
    x = images(2, 3, 6, 6, dtype=torch.float64)
    assert torch.equal(imputed(x, torch.ones(2, 1, 6, 6, dtype=torch.bool)), x)
    gone = imputed(x, torch.zeros(2, 1, 6, 6, dtype=torch.bool))
    assert torch.allclose(gone, x.mean((2, 3), keepdim=True).expand_as(x), atol=1e-5)


def test_road_tells_the_right_map_from_its_opposite_and_from_chance():
    plane, x = Plane(1, 8, 8, scale=4), images(40, 1, 8, 8)
    heat = plane.w * (x - 0.5)
    right, wrong, chance = (
        float(ROAD()(Model(plane), x, m.detach(), target=1).value.mean())
        for m in (heat, -heat, RandomMap(8)(Model(plane), x).map)
    )
    assert right > 0.1
    assert abs(right + wrong) < 0.02
    assert abs(chance) < right / 4
    parts = [ROAD(first=kind)(Model(plane), x, heat.detach(), target=1).value for kind in ("least", "most")]
    assert float((parts[0] - parts[1]).mean()) == pytest.approx(right, abs=1e-6)


def test_the_gradient_of_a_linear_model_leaves_nothing_unexplained():
    plane, x = Plane(3, 6, 6).double(), images(4, 3, 6, 6, dtype=torch.float64)
    grade = lambda m, **how: Infidelity(**how)(Model(plane), x, m, target=1).value  # noqa: E731
    w = plane.w.detach().expand_as(x)
    assert (grade(w).abs() < 1e-9).all()
    assert (grade(w * 7).abs() < 1e-9).all()
    assert torch.allclose(grade(-w), torch.ones(4).double())  # no factor below 0
    assert torch.allclose(grade(w * 0), torch.ones(4).double())
    assert (grade(w, scaled=False).abs() < 1e-9).all()
    much = grade(w * 0, scaled=False, draws=3000)  # E (I·w)² is sigma² |w|²
    assert torch.allclose(much, (0.04 * plane.w.square().sum()).expand(4).detach(), rtol=0.12)


def test_infidelity_is_the_mean_of_yehs_square():
    net, x, sigma = residual().double(), images(2, 3, 8, 8, dtype=torch.float64), 0.2
    heat = images(2, 3, 8, 8, seed=4, dtype=torch.float64) - 0.5
    seen: list[Tensor] = []
    hook = net.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    found = Infidelity(draws=5, sigma=sigma, scaled=False)(Model(net), x, heat, target=2).value
    hook.remove()
    noise = [x - shown for shown in torch.cat(seen)[2:].split(2)]
    score = lambda v: net(v)[:, 2]  # noqa: E731
    squares = [((i * heat).flatten(1).sum(1) - (score(x) - score(x - i))).square() for i in noise]
    assert len(squares) == 5
    assert torch.allclose(found, torch.stack(squares).mean(0).detach())


def test_confidence_with_only_what_the_map_marks():
    net, x = residual(), images(6, 3, 8, 8)
    heat = images(6, 1, 8, 8, seed=2) * 3 - 1
    kept = x * (heat.clamp_min(0) / heat.flatten(1).amax(1).view(-1, 1, 1, 1))
    before, after = (net(v).softmax(1)[:, 3].detach().double() for v in (x, kept))
    drop = ConfidenceDrop()(Model(net), x, heat, target=3).value
    more = ConfidenceIncrease()(Model(net), x, heat, target=3).value
    assert torch.allclose(drop, (before - after).clamp_min(0) / before, atol=1e-6)
    assert torch.equal(more, (after > before).double())
    assert torch.equal((drop > 0).double() + more, torch.ones(6).double())


class Fickle(Attribution):
    """A map of its own for every image, however near."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        return (x.double() * 1e6).sin().mean(1, keepdim=True).to(x)


def test_maps_that_do_not_move_and_maps_that_always_do():
    plane, x = Plane(1, 8, 8), images(4, 1, 8, 8)
    assert (Sensitivity()(Model(plane), x, Gradient()).value == 0).all()
    assert (Stability()(Model(plane), x, Gradient()).value > 1 - 1e-9).all()
    assert (Stability()(Model(plane), x, Fickle()).value.abs() < 0.3).all()
    moved = Sensitivity(eps=0.01)(Model(plane), x.clamp(0.1, 0.9), GradientTimesInput(), target=1).value
    most = 0.01 * plane.w.norm() / (plane.w * x.clamp(0.1, 0.9)).flatten(1).norm(dim=1)
    assert ((moved > 0.3 * most) & (moved <= most + 1e-6)).all()


def test_stability_counts_only_changes_that_keep_the_label():
    plane = Plane(1, 8, 8, scale=50)
    x = images(6, 1, 8, 8)
    w = plane.w[None]
    on = (x - plane.side(x).view(-1, 1, 1, 1) * w / w.square().sum()).detach().clamp(0, 1)  # at the boundary
    found = Stability(draws=1, eps=0.2)(Model(plane), on.repeat(8, 1, 1, 1), Gradient()).value
    assert found.isnan().any()
    assert (found[~found.isnan()] > 1 - 1e-9).all()


def test_pointing_by_hand():
    x, heat = torch.rand(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)
    heat[0, 0, 4, 4] = 1
    masks = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    masks[0, 0, 7, 8] = True  # 3 down, 4 across: 5 away
    point = lambda n, **how: float(Pointing(n)(Model(Plane(1, 9, 9)), x, heat, masks=masks, **how).value)  # noqa: E731
    assert [point(n) for n in (0, 4, 5, 15)] == [0, 0, 1, 1]
    heat.zero_()
    assert point(15) == 0  # points nowhere
    masks.zero_()
    assert point(15) != point(15)  # nothing to point at: not counted


def test_overlap_by_hand():
    x, heat = torch.rand(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    heat[0, 0, :2, :2] = torch.tensor([[4.0, 3.0], [3.0, -9.0]])
    masks = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    masks[0, 0, 0, :] = True
    model = Model(Plane(1, 4, 4))
    grade = lambda **how: float(Overlap(**how)(model, x, heat, masks=masks).value)  # noqa: E731
    assert grade() == pytest.approx(2 / 5)  # three positions are marked, two of them in the row of four
    assert grade(threshold=0.9) == pytest.approx(1 / 4)
    sure = float(model(x).softmax(1).amax())
    assert grade(cutoff=sure - 0.01) == pytest.approx(2 / 5)
    assert torch.tensor(grade(cutoff=1.0)).isnan()
    assert grade(cutoff=1.0, over="all") == 0
    masks.zero_()
    assert torch.tensor(grade()).isnan()
    assert grade(over="all") == 0


def test_masks_count_for_the_class_of_the_label_alone():
    x = images(4, 3, 8, 8)
    y = torch.tensor([0, 1, 0, 1])
    batch = Batch(tuple("abcd"), x, y, half(x))
    question = Question(Model(residual()), target=1)
    found = Grades(Gradient(), (Pointing(), Overlap(over="all"))).columns(question, batch)
    assert found["Pointing()"].isnan().tolist() == [True, False, True, False]
    assert (found["Overlap(over='all')"][[0, 2]] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_otsu_is_the_best_of_all_thresholds(seed):
    values = images(3, 60, seed=seed, dtype=torch.float64).square().mul(20).round().div(20)
    for row, found in zip(values, otsu(values), strict=True):
        between = {}
        for cut in row.unique()[:-1].tolist():
            low, high = row[row <= cut], row[row > cut]
            between[cut] = len(low) * len(high) * float(low.mean() - high.mean()) ** 2
        assert between[float(found)] == pytest.approx(max(between.values()))


def test_boxes_become_masks():
    masks = box_masks(torch.tensor([[1.0, 0, 3, 2], [0, 0, 5, 4]]), (4, 5))
    assert masks.shape == (2, 1, 4, 5)
    assert masks[0, 0].nonzero().tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert masks[1].all()


COSTS = [  # forward passes per image beside the one that says what it is, and maps made
    (Deletion(steps=8), 8, 0),
    (Insertion(steps=8), 8, 0),
    (ROAD((0.2, 0.5, 0.9)), 6, 0),
    (ROAD((0.2, 0.5, 0.9), "most"), 3, 0),
    (Infidelity(draws=5), 5, 0),
    (ConfidenceDrop(), 1, 0),
    (ConfidenceIncrease(), 1, 0),
    (Sensitivity(draws=3), 0, 3),
    (Stability(draws=3), 3, 3),
    (Pointing(), 0, 0),
    (Overlap(cutoff=0.5), 0, 0),
]


@pytest.mark.parametrize(("measure", "passes", "maps"), COSTS, ids=lambda v: repr(v))
def test_passes_per_image(measure: Measure, passes: int, maps: int):
    net, x, seen = residual(), images(4, 3, 8, 8), []
    net.register_forward_hook(lambda module, args, out: seen.append(len(out)))
    found = measure(Model(net), x, Gradient(), masks=half(x))
    assert sum(seen) == 4 * (1 + 1 + passes + maps)  # the look, the map, and what is asked
    assert found.cost["forward"] == 4 * (1 + passes)
    assert found.cost["maps forward"] == 4 * (1 + maps)


def test_what_two_measures_need_is_asked_once():
    net, x, seen = residual(), images(4, 3, 8, 8), []
    net.register_forward_hook(lambda module, args, out: seen.append(len(out)))
    grades = Grades(
        Gradient(), (Deletion(steps=8), Insertion(steps=8), ConfidenceDrop(), ConfidenceIncrease())
    )
    found = grades.columns(Question(Model(net)), batch_of(x))
    assert sum(seen) == 4 * (1 + 1 + (2 * 8 - 1) + 1)
    assert (found["passes"] == 1 + (2 * 8 - 1) + 1).all()


def test_rows_measures_and_packing_do_not_depend_on_each_other():
    x, net = images(4, 3, 8, 8, dtype=torch.float64), residual().double()
    batch = batch_of(x, half(x))
    grades = Grades(GradCAM("conv"), MEASURES)
    whole = grades.columns(Question(Model(net), seed=3), batch)
    one = [grades.columns(Question(Model(net), seed=3), batch[torch.tensor([k])]) for k in range(4)]
    packed = grades.columns(Question(Model(net, capacity=1), seed=3), batch)
    for measure in MEASURES:
        name = repr(measure)
        close = lambda a, b: torch.allclose(a, b, atol=1e-6, equal_nan=True)  # noqa: E731
        assert close(torch.cat([part[name] for part in one]), whole[name]), name
        assert close(packed[name], whole[name]), name
        alone = Grades(GradCAM("conv"), (measure,)).columns(Question(Model(net), seed=3), batch)
        assert torch.equal(alone[name].nan_to_num(), whole[name].nan_to_num()), name
    assert repr(parse(repr(grades))) == repr(grades)


@pytest.mark.parametrize("kind", SPACES)
def test_any_shape_can_be_graded(kind: str):
    net, x = SPACES[kind]()
    found = Grades(Gradient(), MEASURES).columns(Question(Model(net)), batch_of(x, half(x)))
    assert all(found[repr(measure)].isfinite().all() for measure in MEASURES)


@pytest.mark.parametrize(
    "kind", ["segmenter", "one logit", "functional ReLU", "vision transformer", "frozen"]
)
def test_any_network_can_be_graded(kind: str):
    x = images(2, 3, 8, 8)
    found = Grades(Gradient(), MEASURES).columns(Question(Model(KINDS[kind]())), batch_of(x, half(x)))
    assert all(found[repr(measure)].isfinite().all() for measure in MEASURES)


def test_images_and_networks_that_say_nothing_give_numbers_or_nothing():
    x = torch.full((2, 3, 8, 8), 0.5)
    net = residual()
    nn.init.zeros_(net.head.weight)
    found = Grades(Gradient(), MEASURES).columns(Question(Model(net)), batch_of(x, half(x)))
    assert not any(found[repr(measure)].isinf().any() for measure in MEASURES)
    assert found[repr(Stability(draws=2))].isnan().all()
    assert (found[repr(Pointing(1))] == 0).all()


def test_what_is_missing_is_said_in_one_sentence():
    model, x = Model(residual()), images(2, 3, 8, 8)
    heat = torch.rand(2, 1, 4, 4)
    assert Deletion(4)(model, x, heat).value.shape == (2,)  # maps are resized
    with pytest.raises(InputError, match="Pointing needs masks"):
        Pointing()(model, x, heat)
    with pytest.raises(InputError, match="Stability makes maps of changed images"):
        Stability()(model, x, heat)
    with pytest.raises(InputError, match="maps of"):
        Deletion()(model, x, heat[:1])
    with pytest.raises(InputError, match="masks"):
        Pointing()(model, x, heat, masks=torch.ones(2, 1, 5, 5))
    with pytest.raises(InputError, match="grades an attribution"):
        Deletion()(model, x, Deletion())
    with pytest.raises(InputError, match="targets"):
        Deletion()(model, x, heat, target=99)


def test_a_black_box_is_graded_by_its_scores():
    box = Model.scores(lambda x: residual()(torch.from_numpy(x)).detach().numpy())
    x = images(2, 3, 8, 8)
    assert Deletion(4)(box, x, BASELINES[0]).value.isfinite().all()


@pytest.mark.parametrize("cls", catalogue(Measure).values(), ids=lambda cls: cls.__name__)
def test_every_measure_names_its_paper_and_is_its_text(cls):
    first = cls.__doc__.strip().splitlines()[0]
    assert (first.endswith(").") and ", 20" in first) or cls is ROAD
    assert parse(repr(cls()), Measure) == cls()
