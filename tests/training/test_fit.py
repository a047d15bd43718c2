"""What goes round every method: schedules in closed form, mean weights, smoothing, the ramp, changes of images."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from oracles import conv, images, residual
from unfool.errors import EngineError, InputError, SpecError
from unfool.framing import Flip, Slide
from unfool.method import Question
from unfool.model import Model
from unfool.regions import Linf
from unfool.rows import Batch, Rng
from unfool.spec import catalogue
from unfool.training.fit import Train, repeatable
from unfool.training.optimisers import SGD, Constant, Cosine, Cyclic, Optimiser, Schedule, Steps
from unfool.training.plain import Madry, Natural
from unfool.training.ranks import Ranks, joined_ranks, local_device

N = 6
X, Y = images(N, 3, 8, 8), torch.arange(N) % 5
BATCH = Batch(tuple(map(str, range(N))), X, Y)


def begun(**how: Any) -> tuple[Train, Question, Any]:
    fit, question = Train(**{"method": Natural(), "rows": N} | how), Question(Model(conv()), Linf(0.1))
    return fit, question, fit.start(question, BATCH)


def test_schedules_are_their_formulas():
    assert [Cyclic(0.4).factor(s) for s in (0.0, 0.2, 0.4, 0.7, 1.0)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert [Cosine().factor(s) for s in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(
        [1, (1 + math.sqrt(0.5)) / 2, 0.5, 0]
    )
    assert [Cosine(0.2).factor(s) for s in (0.0, 0.1, 0.2, 0.6)] == pytest.approx([0, 0.5, 1, 0.5])
    assert [Steps((0.5, 0.75), 0.1).factor(s) for s in (0.4, 0.5, 0.9)] == pytest.approx([1, 0.1, 0.01])
    assert Constant().factor(0.3) == 1


@pytest.mark.parametrize("name", catalogue(Schedule))
def test_every_schedule_stays_between_nothing_and_the_whole_rate(name: str):
    factors = [catalogue(Schedule)[name]().factor(k / 99) for k in range(100)]
    assert all(0 <= f <= 1 for f in factors)
    assert max(factors) > 0.97


def test_each_update_learns_at_the_rate_of_its_middle():
    fit, question, pupil = begun(optimiser=SGD(2.0), schedule=Cyclic(0.5), epochs=2, rows=2)
    rates: list[float] = []
    for asked, ids in fit.lessons(question, BATCH.ids):
        pupil = fit.update(asked, pupil, BATCH[torch.tensor([int(i) for i in ids])])
        rates.append(pupil.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([2 * Cyclic(0.5).factor((k + 0.5) / 6) for k in range(6)])


def test_mean_weights_are_the_recurrence_and_are_what_is_judged():
    fit, question, pupil = begun(average=0.5, optimiser=SGD(0.5, momentum=0.0))
    mean: dict[str, torch.Tensor] = {}
    for t in range(1, 4):
        fit.update(question, pupil, BATCH)
        keep = min(0.5, t / (9 + t))
        for name, value in pupil.net.state_dict().items():
            mean[name] = (
                keep * mean[name] + (1 - keep) * value if mean.get(name) is not None else value.clone()
            )
    judged = pupil.judged()
    assert all(torch.allclose(v, mean[k], atol=1e-6) for k, v in judged.net.state_dict().items())
    assert all(torch.allclose(v, mean[k], atol=1e-6) for k, v in fit.finish(pupil).items())
    assert any(not torch.allclose(v, mean[k], atol=1e-6) for k, v in pupil.net.state_dict().items())


def test_running_means_of_batch_norm_are_averaged_and_counts_are_not():
    fit = Train(Natural(), average=0.9, rows=N)
    question = Question(Model(residual()), Linf(0.1))
    pupil = fit.start(question, BATCH)
    for _ in range(3):
        fit.update(question, pupil, BATCH)
    assert pupil.mean["bn.num_batches_tracked"] == 3
    assert not torch.equal(pupil.mean["bn.running_mean"], pupil.net.state_dict()["bn.running_mean"])


def test_labels_are_smoothed_as_torch_smooths_them():
    _, _, pupil = begun(smoothing=0.2)
    logits = pupil.net(X)
    wanted = -(logits.log_softmax(1) * (0.8 * F.one_hot(Y, 5) + 0.2 / 5)).sum(1)
    assert torch.allclose(pupil.surprise(logits, Y), wanted, atol=1e-6)


@pytest.mark.parametrize(("end", "share"), [(0.25, 0.5), (0.5, 1.0), (0.9, 1.0)])
def test_the_region_grows_in_the_beginning(end: float, share: float):
    fit, question, pupil = begun(method=Madry(), ramp=0.5)
    part = fit._prepared(question._replace(span=(0.0, end)), pupil, BATCH)
    assert torch.allclose(part.ball.eps, torch.full((N,), 0.1 * share))


def test_images_are_changed_anew_in_every_epoch_and_the_same_way_whoever_is_beside_them():
    fit, question, pupil = begun(augment=(Slide(2), Flip()))
    first, again, other = (fit._prepared(question._replace(seed=s), pupil, BATCH).x for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    alone = fit._prepared(question._replace(seed=1), pupil, BATCH[torch.tensor([4])]).x
    assert torch.equal(alone[0], first[4])


def test_a_slid_image_is_the_same_image_elsewhere_with_black_behind_it():
    x = images(40, 2, 7, 9, low=0.1)
    moved = Slide(3)(x, Rng.seeded(0, range(40)))
    ways = set()
    for before, after in zip(x, moved, strict=True):
        rows, columns = after[0].any(1).nonzero()[:, 0], after[0].any(0).nonzero()[:, 0]
        down = int(rows[0]) if rows[0] else int(rows[-1]) - 6
        right = int(columns[0]) if columns[0] else int(columns[-1]) - 8
        wanted = torch.zeros_like(before)
        h, w = 7 - abs(down), 9 - abs(right)
        wanted[:, max(0, down) : max(0, down) + h, max(0, right) : max(0, right) + w] = before[
            :, max(0, -down) : max(0, -down) + h, max(0, -right) : max(0, -right) + w
        ]
        assert torch.equal(after, wanted)
        ways.add((down, right))
    assert {abs(d) for way in ways for d in way} == {0, 1, 2, 3}
    assert len(ways) > 15


def test_half_of_the_images_are_flipped_or_none_or_all():
    x = images(400, 1, 3, 5)
    flipped = (Flip()(x, Rng.seeded(0, range(400))) == x.flip(-1)).flatten(1).all(1)
    assert 150 < int(flipped.sum()) < 250
    assert torch.equal(Flip(1.0)(x, Rng.seeded(0, range(400))), x.flip(-1))
    assert torch.equal(Flip(0.0)(x, Rng.seeded(0, range(400))), x)


def test_dropout_follows_the_seed_and_the_processs_own_numbers_are_left_alone():
    before = torch.random.get_rng_state()
    drawn = []
    for seed in (5, 5, 6):
        with repeatable(torch.device("cpu"), seed):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", catalogue(Optimiser))
def test_every_optimiser_learns(name: str):
    fit, question, pupil = begun(optimiser=catalogue(Optimiser)[name](rate=0.02), schedule=Constant())
    losses = []
    for _ in range(15):
        pupil.told.zero_()
        fit.update(question, pupil, BATCH)
        losses.append(float(pupil.told[0]))
    assert losses[-1] < losses[0]


def test_of_what_is_out_of_range_the_name_is_told():
    for how, name in (({"average": 1.0}, "average"), ({"ramp": 2.0}, "ramp"), ({"rows": 0}, "rows")):
        with pytest.raises(SpecError, match=rf"Train\.{name}"):
            Train(**how)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SpecError, match="method"):
        Train("Madry")  # pyright: ignore[reportArgumentType]


def test_labels_the_network_does_not_have_are_refused():
    with pytest.raises(InputError, match="labels must be"):
        Train(Natural(), epochs=1)(Model(conv(), classes=list("abcde")), X, torch.full((N,), 7))


def test_one_process_alone_asks_nobody():
    ranks = Ranks.here()
    assert ranks == (0, 1)
    assert ranks.total(5) == 5
    assert ranks.gathered("a") == ["a"]
    assert ranks.from_first("b") == "b"
    net = conv()
    assert ranks.joined(net) is net


def test_images_are_shared_out_without_a_gap():
    for n in (0, 1, 5, 64):
        for world in (1, 2, 3, 7):
            ends = [Ranks(r, world).bounds(n) for r in range(world)]
            assert ends[0][0] == 0
            assert ends[-1][1] == n
            assert all(a[1] == b[0] for a, b in pairwise(ends))


def test_each_process_of_a_node_has_its_own_gpu(monkeypatch: Any):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert local_device("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "5")
    assert local_device("cuda") == "cuda:1"
    assert local_device("cpu") == "cpu"
    assert local_device(None) is None


def test_processes_that_cannot_find_each_other_are_one_sentence(monkeypatch: Any):
    for name in ("MASTER_ADDR", "MASTER_PORT", "RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="cannot find each other"), joined_ranks(None, {"WORLD_SIZE": "2"}):
        pass


@pytest.mark.parametrize(
    ("said", "raised"),
    [("Read error [127.0.0.1]:1: Connection reset by peer.", EngineError), ("shapes", RuntimeError)],
)
def test_a_process_that_died_is_one_sentence_for_the_others(said: str, raised: Any, monkeypatch: Any):
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *_: None)
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
    with pytest.raises(raised) as caught, joined_ranks(None, {"WORLD_SIZE": "2"}):
        raise RuntimeError(said)
    assert isinstance(caught.value, EngineError) == (raised is EngineError)
