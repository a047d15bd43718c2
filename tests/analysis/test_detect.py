"""The table of alarms: every rate is what its tables say, a finished run does no work, bad input is one sentence."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from unfool.analysis.detect import called, study
from unfool.attacks.base import Attack
from unfool.attacks.gradient import FGSM, PGD
from unfool.data.address import open_data
from unfool.defences.alarm import suspicion
from unfool.defences.baselines import SqueezeAlarm
from unfool.defences.saliency import SaliencyAlarm
from unfool.errors import AccessError, DataError, InputError
from unfool.model import Model
from unfool.regions import Linf
from unfool.report.subjects.detect import detect_page
from unfool.runs.detect import ALL, CLEAN, Detection, run_detection, threshold
from unfool.runs.pairs import Pairs
from unfool.transforms import Brightness
from unfool.views import from_uint8
from unfool.zoo.address import load

PLAN = Detection(
    "unfool:digits8",
    "unfool:digits8",
    "unfool:digits8?split=train",
    (SaliencyAlarm(sees="image", epochs=1), SaliencyAlarm(epochs=1), SqueezeAlarm()),
    (PGD(steps=8), FGSM()),
    (PGD(steps=8, random_start=False, momentum=0.75),),
    Linf(0.2),
    (0.1, 0.2),
    (Brightness(0.2),),
    sample=100,
    limit=30,
)


def done(folder: Path):
    model = load("unfool:digits8")
    return model, run_detection(PLAN, model, open_data(PLAN.data), open_data(PLAN.training), folder)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detect")
    return folder, *done(folder)


def test_every_rate_is_what_the_tables_say(ran):
    _, model, found = ran
    told = study(found, model)
    made, k, e = found.made, 0, 0.2
    above = found.thresholds[ALL, k]
    right = made[CLEAN]["right"].bool()
    assert told.right == int(right.sum()) <= told.n == 30
    fooled = made["size-0.2"]["fooled"].bool()
    loud = found.scores[ALL, k]["size-0.2"] > above
    evasion = told.listeners[k].evasion[e]
    assert evasion.plain.k == int((fooled & ~loud).sum())
    assert evasion.alone.k == int(fooled.sum())
    assert evasion.adaptive.n == evasion.plain.n == int(right.sum())
    assert told.listeners[k].known[0].found.n == int(made["attack-0"]["fooled"].sum())
    assert told.listeners[k].flagged[CLEAN].k == int((found.scores[ALL, k][CLEAN] > above).sum())
    assert len(told.gains) == 2


def test_what_got_past_does_when_it_is_asked_again(ran):
    _, model, found = ran
    for (k, e), table in found.adaptive.items():
        x = from_uint8(table["changed"])
        wrong = model(x).argmax(1) != table["y"]
        assert torch.equal(wrong, table["fooled"].bool())
        assert float((x - from_uint8(table["original"])).abs().max()) <= e + 0.5 / 255 + 1e-6
        quiet = table["score"] <= found.thresholds[ALL, k]
        assert torch.equal(table["past"].bool(), wrong & quiet)
    k = 2  # squeezing needs nothing learned, so its scores can be had here
    ear = PLAN.alarms[k].listening({}, model)
    table = found.adaptive[k, 0.2]
    assert torch.allclose(suspicion(model, ear, from_uint8(table["changed"])), table["score"], atol=1e-5)


def test_alarms_learn_from_pairs_that_fooled_and_nothing_that_is_judged(ran):
    folder, _, found = ran
    pairs = Pairs(str(folder / "parts"), ("learn-0", "learn-1"), ())
    ids = pairs.ids()
    changed = [i for i in ids if pairs.label(i) == 1]
    assert {i.split("/", 2)[2] for i in changed} == {i.split("/", 2)[2] for i in ids if pairs.label(i) == 0}
    assert not {i.split("/", 2)[2] for i in ids} & set(found.ids)
    model = load("unfool:digits8")
    batch = pairs.batch(changed)
    own = open_data(PLAN.training)
    y = torch.tensor([own.label(i.split("/", 2)[2]) for i in changed])
    assert (model(batch.x).argmax(1) != y).all()


def test_a_finished_run_does_no_work(ran, monkeypatch):
    folder, _, found = ran
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}

    def never(*args, **kwargs):
        raise AssertionError("attacked again")

    monkeypatch.setattr(Attack, "found", never)
    _, again = done(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    assert again.thresholds == found.thresholds


def test_the_page_has_its_controls_and_leads_with_the_attack_that_knows(ran):
    _, model, found = ran
    page = detect_page(study(found, model))
    assert "unnoticed" in page.sentence
    assert all(figure.control for figure in page.figures)
    assert {"past", "sizes", "roc-plain", "roc-adaptive"} <= {figure.name for figure in page.figures}


@pytest.mark.parametrize(("n", "false"), [(19, 0.05), (100, 0.05), (39, 0.1)])
def test_a_threshold_lets_no_more_ring_than_it_says(n, false):
    """One more image like n others lies above it with at most that chance: exactly so over all its ranks."""
    scores = torch.arange(float(n + 1))[torch.randperm(n + 1, generator=torch.Generator().manual_seed(0))]
    above = sum(
        float(scores[k]) > threshold(torch.cat([scores[:k], scores[k + 1 :]]), false) for k in range(n + 1)
    )
    assert above / (n + 1) <= false
    assert above == math.floor(false * (n + 1) + 1e-9)


def test_bad_input_is_one_sentence(tmp_path):
    model, data, training = load("unfool:digits8"), open_data("unfool:digits8"), open_data(PLAN.training)
    few = Detection(PLAN.model, PLAN.data, PLAN.training, sample=40, limit=10)
    with pytest.raises(DataError, match="too few for a false-alarm rate"):
        run_detection(few, model, data, training, tmp_path / "a")
    deaf = Model.scores(lambda x: x.reshape(len(x), -1)[:, :10])
    with pytest.raises(AccessError, match="needs gradients"):
        run_detection(PLAN, deaf, data, training, tmp_path / "b")
    mild = Detection(
        PLAN.model, PLAN.data, PLAN.training, PLAN.alarms[:1], (FGSM(),), PLAN.adaptive, Linf(1e-4), (1e-4,)
    )
    with pytest.raises(InputError, match="nothing to learn"):
        run_detection(mild, model, data, training, tmp_path / "c")
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 8, 8), np.uint8))
    with pytest.raises(InputError, match="none of 4 images has a label"):
        run_detection(PLAN, model, open_data(str(tmp_path / "x.npz")), training, tmp_path / "d")


def test_alarms_have_names_for_people():
    assert [called(a) for a in PLAN.alarms] == ["image alone", "image and saliency", "Squeeze"]
