"""Bootstrap intervals are near Student's for means; paired differences cancel what all images share."""

import json
from pathlib import Path

import pytest
import torch
from tests.oracles import images, residual
from torch import Tensor

from unfool.analysis.bootstrap import bootstrap, difference
from unfool.analysis.grading import graded, numbers
from unfool.analysis.rates import mean_of
from unfool.attributions.baselines import BASELINES, CentrePrior
from unfool.attributions.cam import GradCAM
from unfool.data.base import Sample, Source
from unfool.measures.deletion import Deletion
from unfool.measures.places import Overlap, Pointing
from unfool.model import Model
from unfool.report.summary import clean
from unfool.runs.grade import Grading, run_grading
from unfool.views import View


def test_a_bootstrap_interval_is_near_students():
    values = torch.randn(200, generator=torch.Generator().manual_seed(1)).double()
    found, exact = bootstrap(values), mean_of(values.tolist())
    assert found.mean == pytest.approx(exact.mean)
    assert found.low == pytest.approx(exact.low, abs=0.02)
    assert found.high == pytest.approx(exact.high, abs=0.02)
    assert bootstrap(values) == found
    assert bootstrap(values, seed=1) != found


def test_the_interval_holds_the_truth_about_95_times_in_100():
    stream, hits = torch.Generator().manual_seed(2), 0
    for _ in range(200):
        one = bootstrap(torch.rand(40, generator=stream).double(), draws=200)
        hits += one.low <= 0.5 <= one.high
    assert 180 <= hits <= 198


def test_what_is_not_a_number_does_not_count():
    found = bootstrap(torch.tensor([1.0, torch.nan, 3.0]))
    assert (found.mean, found.n) == (2.0, 2)
    assert bootstrap(torch.tensor([torch.nan])).n == 0
    alone = bootstrap(torch.tensor([2.0]))
    assert (alone.low, alone.high) == (2.0, 2.0)


def test_paired_differences_cancel_what_images_share():
    stream = torch.Generator().manual_seed(3)
    shared, noise = torch.randn(50, generator=stream), torch.randn(50, generator=stream) * 0.01
    shared = shared - shared.mean()
    found = difference(shared + 0.1 + noise, shared)
    assert found.low > 0.08
    assert bootstrap(shared + 0.1).low < 0 < bootstrap(shared + 0.1).high


class Squares(Source):
    """Noise, some of it with masks, one sample that cannot be read."""

    masked: bool = True

    def ids(self) -> tuple[str, ...]:
        return tuple(map(str, range(9)))

    def sample(self, id: str, view: View) -> Sample:
        if id == "4":
            raise ValueError("torn")
        mask = torch.zeros(1, 8, 8, dtype=torch.bool)
        mask[:, 2:6, 2:6] = True
        return Sample(images(3, 8, 8, seed=int(id)), mask if self.masked and id != "5" else None)

    def label(self, id: str) -> int | None:
        return None


MEASURES = (Deletion(steps=4), Pointing(), Overlap())


def report(folder: Path, plan: Grading, masked: bool = True, relabelled: Model | None = None):
    return graded(run_grading(plan, Model(residual()), relabelled, Squares(masked), folder))


def grading(**how) -> Grading:
    return Grading(GradCAM("conv"), "net", "squares", MEASURES, **how)


def test_every_grade_stands_beside_the_baselines_and_has_its_n_and_interval(tmp_path: Path):
    found = report(tmp_path, grading())
    assert [line.name for line in found.lines] == ["Deletion(steps=4)", "Pointing", "Overlap"]
    assert [line.arrow for line in found.lines] == ["↓", "↑", "↑"]
    for line in found.lines:
        assert [one.method for one in line.grades] == [repr(GradCAM("conv")), *map(repr, BASELINES)]
        assert line.grades[0].ahead is None
        for one in line.grades:
            assert one.mean.low <= one.mean.mean <= one.mean.high
    assert found.n == 8
    assert found.lines[0].grades[0].mean.n == 8
    assert found.lines[1].grades[0].mean.n == 7  # one has no mask
    assert found.silent == ()
    deletion, centre = found.lines[0].grades[0], found.lines[0].grades[1]
    assert centre.ahead is not None
    assert centre.ahead.mean == pytest.approx(centre.mean.mean - deletion.mean.mean)  # lower is better
    json.dumps(clean(numbers(found)), allow_nan=False)


def test_without_masks_the_measures_that_need_them_say_nothing(tmp_path: Path):
    found = report(tmp_path, grading(), masked=False)
    assert found.silent == (Pointing(), Overlap())
    assert found.reasons == ["Pointing, Overlap left out: no masks of what is explained"]
    assert [line.name for line in found.lines] == ["Deletion(steps=4)"]


def test_a_stopped_grading_goes_on_to_the_same_numbers(tmp_path: Path):
    whole = numbers(report(tmp_path / "a", grading()))
    report(tmp_path / "b", grading())
    for part in sorted((tmp_path / "b").rglob("part-*.safetensors"))[::2]:
        part.unlink()
    assert numbers(report(tmp_path / "b", grading())) == whole
    parts = [sorted((tmp_path / n).rglob("part-*.safetensors")) for n in "ab"]
    assert [p.read_bytes() for p in parts[0]] == [p.read_bytes() for p in parts[1]]


def test_a_network_that_learned_random_labels_counts_for_the_badge(tmp_path: Path):
    alone = report(tmp_path / "a", grading())
    same = report(tmp_path / "b", grading(relabelled="itself"), relabelled=Model(residual()))
    assert alone.relabelled is None
    assert same.relabelled is not None
    assert same.relabelled.correlation == pytest.approx(1)
    assert same.badge.verdict == "fail"
    assert same.badge.against == "a network trained on random labels"


def test_a_baseline_that_is_graded_is_not_its_own_baseline(tmp_path: Path):
    plan = Grading(CentrePrior(), "net", "squares", MEASURES)
    found = report(tmp_path, plan)
    assert found.methods == ["CentrePrior()", "RandomMap()", "Edges()", "Brightness()"]
    assert found.badge.verdict == "fail"


def test_a_black_box_has_no_badge(tmp_path: Path):
    def answers(x: Tensor):
        return residual()(torch.from_numpy(x)).detach().numpy()

    plan = Grading(CentrePrior(), "box", "squares", MEASURES)
    found = graded(run_grading(plan, Model.scores(answers), None, Squares(), tmp_path))
    assert found.badge.verdict == "unknown"
    assert "black box" in found.badge.text
