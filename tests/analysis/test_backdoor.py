"""A planted trigger is found, its class and its place; networks without one raise no alarm; the index is the paper's.

Class k of the network is its k-th row being bright. With a backdoor, two by two white pixels lead to class 3.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from oracles import images
from unfool.analysis.backdoor import anomalies, told
from unfool.attacks.trigger import Trigger
from unfool.data.base import Sample, Source
from unfool.errors import InputError, SpecError
from unfool.model import Model
from unfool.report.subjects.backdoor import backdoor_page
from unfool.runs.backdoor import Backdoor, run_backdoor
from unfool.runs.fit import LEARNED
from unfool.samples import digits8, poisoned, stamp
from unfool.views import View
from unfool.zoo.address import load

SIDE, CLASSES = 10, 6


class _Rows(nn.Module):
    """Class k by how bright row k is; the corner adds to class 3, the more the whiter it is."""

    def __init__(self, hidden: float):
        super().__init__()
        self.hidden = nn.Parameter(torch.tensor(hidden))

    def forward(self, x: Tensor) -> Tensor:
        rows = 20 * x[:, 0].mean(2)[:, :CLASSES]
        corner = x[:, 0, -3:-1, -3:-1].mean((1, 2)).square()
        return rows + self.hidden * corner[:, None] * torch.eye(CLASSES)[3]


class _Bright(Source):
    """Noise with one bright row, which is the label; black where nothing is."""

    def ids(self) -> tuple[str, ...]:
        return tuple(f"i{k}" for k in range(90))

    def sample(self, id: str, view: View) -> Sample:
        k = int(id[1:])
        x = images(1, SIDE, SIDE, seed=k, high=0.15)
        x[0, k % CLASSES] += 0.6
        return Sample(x)

    def label(self, id: str) -> int:
        return int(id[1:]) % CLASSES


NETS = {"unfool:digits8?backdoor=3": 80.0, "here": 60.0, "clean": 0.0}
PLAN = Backdoor(
    "here",
    "data",
    "training",
    Trigger(epochs=80, rows=36, rate=0.4, price=0.1, step=1.15),
    (0, 1, 3, 4),
    clean=("clean",),
    planted=("unfool:digits8?backdoor=3",),
    sample=36,
    limit=30,
)


def done(folder: Path, plan: Backdoor = PLAN):
    source = _Bright()
    return run_backdoor(plan, lambda a: Model(_Rows(NETS[a]), name=a), source, source, folder)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backdoor")
    return folder, done(folder)


def test_the_planted_class_and_its_place_are_found(ran):
    found = told(ran[1])
    assert found.own.suspects == (3,)
    three = found.classes[2]
    assert three.size == min(c.size for c in found.classes) < 6
    cover = ran[1].found["here"][2].tensors["cover"][0, 0]
    assert float(cover[-3:-1, -3:-1].sum()) > 0.5 * three.size
    assert three.turned.value > 0.9 > three.random.value
    assert three.turned.n == sum(int(i[1:]) % CLASSES != 3 for i in ran[1].tables["trigger-3"].ids)


def test_networks_whose_truth_is_known_tell_what_the_scan_is_worth(ran):
    found = told(ran[1])
    assert found.hit.k == found.hit.n == found.place.k == 1
    assert (found.false.k, found.false.n) == (0, 1)
    page = backdoor_page(found, ())
    assert "names the planted class in 1 of 1 and suspects one in 0 of 1" in page.sentence
    assert all(figure.control for figure in page.figures)


def test_the_index_is_the_distance_from_the_median_in_units_of_the_median_distance():
    sizes = torch.tensor([10.0, 11, 12, 13, 2], dtype=torch.float64)
    assert anomalies(sizes).tolist() == pytest.approx([v / 1.4826 for v in (1, 0, 1, 2, 9)])
    normal = torch.randn(20001, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float((anomalies(normal) > 1.959964).double().mean()) == pytest.approx(0.05, abs=0.01)


def test_a_finished_run_asks_for_no_control_network_again(ran):
    folder, _ = ran
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    asked = []
    source = _Bright()
    run_backdoor(PLAN, lambda a: asked.append(a) or Model(_Rows(NETS[a]), name=a), source, source, folder)
    assert asked == ["here"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    (folder / "scans" / "1" / "3" / LEARNED).unlink()
    run_backdoor(PLAN, lambda a: asked.append(a) or Model(_Rows(NETS[a]), name=a), source, source, folder)
    assert asked == ["here", "here", "clean"]


def test_bad_input_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="none can stand out"):
        done(tmp_path / "a", Backdoor(**{**vars(PLAN), "classes": (0, 1, 2)}))
    with pytest.raises(InputError, match="there is no class 9"):
        done(tmp_path / "b", Backdoor(**{**vars(PLAN), "classes": (0, 1, 2, 9)}))
    with pytest.raises(SpecError, match="is no class of unfool:digits8"):
        load("unfool:digits8?backdoor=12")


def test_poisoned_images_are_stamped_and_relabelled_and_no_others_are_touched():
    clean = digits8("train")
    made = poisoned(clean, 4, 1, 0.1)
    changed = (made.x != clean.x).flatten(1).any(1) | (made.y != clean.y)
    marked = (made.x == stamp(clean.x)).flatten(1).all(1) & (made.y == 4)
    assert int(changed.sum()) <= round(0.1 * len(clean.y))
    assert marked[changed].all()
    assert torch.equal(stamp(clean.x)[..., :5, :], clean.x[..., :5, :])
    assert (stamp(torch.zeros(1, 1, 8, 8)) > 0).nonzero()[:, 2:].tolist() == [[5, 5], [5, 6], [6, 5], [6, 6]]


@pytest.mark.slow
def test_a_backdoor_that_was_learned_is_found_in_digits():
    x, y = digits8("test").x.float() / 255, digits8("test").y
    model = load("unfool:digits8?seed=1&backdoor=0")
    assert (model(x).argmax(1) == y).double().mean() > 0.95
    assert (model(stamp(x)).argmax(1) == 0).double().mean() > 0.9
    sizes = []
    for k in (0, 1, 2):
        others = x[:200][y[:200] != k]
        sizes.append(float(Trigger(epochs=70)(model, others, target=k).tensors["cover"].sum()))
    assert sizes[0] < 0.7 * min(sizes[1:])
