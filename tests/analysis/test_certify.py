"""Of a plane the proof is the attack's distance; a certificate that claims too much is counted; runs go on."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from unfool.analysis.certify import told
from unfool.attacks.base import Attack
from unfool.attacks.boundary import DeepFool
from unfool.attacks.nearest import FMN
from unfool.data.address import open_data
from unfool.defences.certificate import Certificate, Certified
from unfool.defences.proofs import ExactRadius, LinearBounds
from unfool.defences.smoothing import Smoothing
from unfool.errors import InputError
from unfool.model import Model
from unfool.regions import L2, Linf, Mask, Region
from unfool.report.subjects.certify import certify_page
from unfool.rows import Rng
from unfool.runs.certify import Certify, run_certify
from unfool.zoo.address import load


class Boast(Certificate):
    """Claims half as much again as is so."""

    def certify(self, model: Model, x: Tensor, within: Region, rng: Rng) -> Certified:
        found = ExactRadius().certify(model, x, within, rng)
        return found._replace(radius=1.5 * found.radius)


SMOOTH = Smoothing(sigma=0.2, first=32, samples=128, alpha=0.01)
PLAN = Certify(
    "unfool:digits8?net=linear",
    "unfool:digits8",
    (ExactRadius(), LinearBounds(), Boast(), SMOOTH),
    (FMN(steps=60), DeepFool()),
    L2(1.0),
    2,
    limit=24,
)


def done(folder: Path, plan: Certify = PLAN):
    return run_certify(plan, load(plan.model), open_data(plan.data), folder)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certify")
    return folder, done(folder)


def test_the_truth_lies_between_and_of_a_plane_there_is_no_room(ran):
    found = told(ran[1])
    exact, planes, boast = found.proofs
    assert exact.above == planes.above == 0
    assert boast.above > found.n // 2
    assert exact.share.low > 0.97, "a good attack needs no more than the distance"
    for k in range(len(found.grid)):
        assert planes.curve[k].k <= exact.curve[k].k <= found.attack[k].k <= found.random[k].k + found.n * 0.1
    assert found.attack[0].k == found.clean.k


def test_every_rate_is_what_the_tables_say(ran):
    _, run = ran
    found, tables = told(run), run.tables
    right = tables["predict"]["correct"].bool()
    assert found.clean.k == int(right.sum()) == len(run.right)
    at = len(found.grid) // 2
    sure = (tables["proof-0"]["radius"] >= found.grid[at]) & right
    assert found.proofs[0].curve[at].k == int(sure.sum())
    (one,) = found.smoothed
    assert one.certified == int(
        (tables["proof-3"]["correct"].bool() & (tables["proof-3"]["radius"] > 0)).sum()
    )
    assert one.broken == 0
    assert [r.k for r in one.attacked.values()] == sorted((r.k for r in one.attacked.values()), reverse=True)
    assert one.curve[at].k <= one.attacked[0.5].k


def test_the_page_has_a_control_in_every_figure_and_says_that_none_exceeds(ran):
    run = ran[1]
    kept = run._replace(plan=Certify(**{**vars(PLAN), "certificates": (ExactRadius(), LinearBounds())}))
    page = certify_page(told(kept), ("bounds: for a reason",))
    assert "0 of the proven radii exceed" in page.sentence
    assert all(figure.control for figure in page.figures)
    assert any("bounds: for a reason" in limit for limit in page.limits)


def test_a_finished_run_does_no_work(ran, monkeypatch):
    folder, _ = ran
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    def never(*args, **kwargs):
        raise AssertionError("done again")

    monkeypatch.setattr(Attack, "found", never)
    monkeypatch.setattr(ExactRadius, "certify", never)
    done(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("within", [Mask(Linf(0.1), (0, 0, 1, 1)), L2((0.1, 0.2))])
def test_a_region_that_is_no_radius_is_one_sentence(tmp_path, within):
    with pytest.raises(InputError, match="in one norm up to one radius"):
        done(tmp_path, Certify(**{**vars(PLAN), "within": within}))


def test_the_sentence_is_about_the_radius_at_which_half_are_turned(ran):
    found = told(ran[1])
    page = certify_page(found, ())
    assert f"{found.plan.within.norm.__name__} " in page.sentence
    half = torch.tensor([r.value for r in found.attack])
    assert half.min() < 0.6 < half.max()
