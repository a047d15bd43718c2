"""The audit end to end on small networks: numbers that must hold, and the toy defences of H2 that must be found out."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from unfool.analysis.audit import CURVES, curve_text, read_audit
from unfool.analysis.verdict import untried
from unfool.data.address import open_data
from unfool.errors import DataError, RunConflict
from unfool.model import Model
from unfool.regions import L0, Linf
from unfool.runs.audit import Audit, run_audit
from unfool.zoo.address import load

SMALL = Audit(
    "unfool:digits8", "unfool:digits8", steps=10, restarts=1, draws=5, cases=4, planes=1, sanity=8, limit=60
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    run_audit(SMALL, load("unfool:digits8"), open_data("unfool:digits8"), folder)
    return folder, read_audit(folder)


def test_curves_start_at_clean_accuracy_and_the_strong_attack_never_recovers(audited):
    _, found = audited
    for run in CURVES:
        assert found.curves[run][0] == found.clean
    strong = [rate.k for rate in found.curves["pgd"]]
    assert strong == sorted(strong, reverse=True)


def test_stronger_attacks_leave_less_right(audited):
    _, found = audited
    at = found.radii.index(SMALL.eps)
    k = {run: found.curves[run][at].k for run in CURVES}
    assert k["pgd"] <= k["fgsm"] <= k["worst-random"] <= k["random"]


def test_the_smallest_radius_agrees_with_the_curve(audited):
    _, found = audited
    for eps, rate in zip(found.radii, found.curves["pgd"], strict=True):
        assert int((found.radius > eps * (1 + 1e-6)).sum()) == rate.k


def test_every_case_is_judged_on_its_eight_bits(audited):
    _, found = audited
    model = load("unfool:digits8")
    for case in found.cases:
        logits = model(case.adversarial[None])
        assert int(logits.argmax()) == case.saved[0]
        assert float(logits.softmax(1).amax()) == pytest.approx(case.saved[1], abs=1e-6)


@pytest.mark.slow
def test_an_audit_is_resumed_to_the_same_bytes(audited, tmp_path):
    folder, _ = audited
    run_audit(SMALL, load("unfool:digits8"), open_data("unfool:digits8"), tmp_path)
    for part in sorted(folder.rglob("part-*")):
        assert (tmp_path / part.relative_to(folder)).read_bytes() == part.read_bytes(), part
    lost = sorted(tmp_path.rglob("pgd/part-*"))[0]
    whole = lost.read_bytes()
    lost.unlink()
    run_audit(SMALL, load("unfool:digits8"), open_data("unfool:digits8"), tmp_path)
    assert lost.read_bytes() == whole


def test_other_weights_in_the_same_folder_are_refused(audited):
    folder, _ = audited
    other = load("unfool:digits8")
    with torch.no_grad():
        next(other.net.parameters()).add_(1.0)
    with pytest.raises(RunConflict, match="other weights"):
        run_audit(SMALL, other, open_data("unfool:digits8"), folder)


def test_an_unknown_gate_says_what_there_is(audited):
    _, found = audited
    with pytest.raises(DataError, match=r"no pgd@0\.7"):
        found.at("pgd", 0.7)


class Loud(nn.Module):
    """The same labels with logits a thousand times as large: cross-entropy is flat (H2)."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return 1000 * self.net(x)


class Rounding(Loud):
    """Sees pixels in quarters: no gradient at all (H2)."""

    def forward(self, x):
        return self.net((x * 4).round() / 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defence", "sign"), [(Loud, "cross-entropy against margin"), (Rounding, "zero gradients")]
)
def test_toy_defences_are_found_out(defence, sign, tmp_path):
    model = load("unfool:digits8")
    run_audit(
        SMALL, Model(defence(model.net).eval(), classes=model.classes), open_data("unfool:digits8"), tmp_path
    )
    found = read_audit(tmp_path)
    assert found.masking.masked
    assert sign in [e.name for e in found.masking.evidence if e.alarm]


@pytest.mark.slow
def test_the_robust_embedded_network_is_not_called_masked(tmp_path):
    plan = Audit(
        "unfool:digits?robust=1",
        "unfool:digits",
        steps=10,
        restarts=1,
        draws=5,
        limit=60,
        cases=2,
        planes=1,
        sanity=4,
    )
    run_audit(plan, load("unfool:digits?robust=1"), open_data("unfool:digits"), tmp_path)
    found = read_audit(tmp_path)
    assert not found.masking.masked, found.masking.sentence


@pytest.mark.slow
def test_a_network_that_raises_leaves_the_folder_resumable(tmp_path):
    model, asked = load("unfool:digits8"), []

    class Dies(Loud):
        def forward(self, x):
            asked.append(1)
            if len(asked) == 20:
                raise KeyboardInterrupt
            return self.net(x)

    net = Dies(model.net).eval()
    with pytest.raises(KeyboardInterrupt):
        run_audit(SMALL, Model(net, classes=model.classes), open_data("unfool:digits8"), tmp_path)
    assert not any(p.requires_grad is False for p in net.parameters())
    done = list(tmp_path.rglob("part-*"))
    run_audit(SMALL, Model(net, classes=model.classes), open_data("unfool:digits8"), tmp_path)
    assert len(list(tmp_path.rglob("part-*"))) > len(done)
    assert torch.is_grad_enabled()


def test_the_verdict_names_the_attack_that_flipped_each_image(audited):
    _, found = audited
    assert found.robust.k <= found.at("pgd", SMALL.eps).k
    names = dict(zip(found.ids, found.flipped_by, strict=True))
    assert sum(name == "" for name in names.values()) == found.robust.k
    assert found.verdict is not None
    assert [line.attack.partition("(")[0] for line in found.verdict.lines] == [
        "APGD",
        "TargetedAPGD",
        "Square",
    ]
    left = [line.tried - line.flipped for line in found.verdict.lines]
    assert [line.tried for line in found.verdict.lines[1:]] == left[:-1]
    assert left[-1] == found.robust.k
    assert all(line.forward > 0 for line in found.verdict.lines if line.tried)


def test_a_quick_audit_asks_no_more_than_its_curve(audited, tmp_path):
    quick = replace(SMALL, level="quick", limit=20, sanity=2, cases=1)
    run_audit(quick, load("unfool:digits8"), open_data("unfool:digits8"), tmp_path)
    found = read_audit(tmp_path)
    assert found.verdict is None
    assert found.robust == found.at("pgd", quick.eps)
    assert "--level standard" in untried(quick)[0]


class Rounds(nn.Module):
    """The toy defence of H2: five levels of grey."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net((4 * x).round() / 4)


@pytest.mark.slow
def test_a_defence_that_rounds_is_broken_by_what_the_diagnosis_chooses(tmp_path):
    audit = replace(SMALL, within=Linf(0.2), limit=16, sanity=2, cases=1)
    defended = Model(Rounds(load("unfool:digits8").net).eval(), classes=load("unfool:digits8").classes)
    run_audit(audit, defended, open_data("unfool:digits8"), tmp_path)
    found = read_audit(tmp_path)
    assert found.masking.masked
    assert found.verdict is not None
    assert "StraightThrough()" in found.verdict.lines[0].attack
    assert found.at("pgd", 0.2).value > 0.5
    assert found.robust.value < 0.1


class Draws(nn.Module):
    """A network that adds noise of its own."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x + 0.05 * torch.randn_like(x))


@pytest.mark.slow
def test_a_network_that_draws_at_random_is_averaged(tmp_path):
    audit = replace(SMALL, limit=6, sanity=2, cases=1)
    noisy = Model(Draws(load("unfool:digits8").net).eval(), classes=load("unfool:digits8").classes)
    run_audit(audit, noisy, open_data("unfool:digits8"), tmp_path)
    verdict = read_audit(tmp_path).verdict
    assert verdict is not None
    assert "Redrawn()" in verdict.lines[0].attack


@pytest.mark.slow
def test_an_audit_counts_positions_too(tmp_path):
    audit = replace(SMALL, within=L0(3), limit=8, sanity=2, cases=1)
    run_audit(audit, load("unfool:digits8"), open_data("unfool:digits8"), tmp_path)
    found = read_audit(tmp_path)
    assert curve_text(audit, "fgsm") == "one step"
    assert found.verdict is None or found.verdict.lines[0].attack.startswith("SigmaZero")
    assert found.robust.k <= found.at("pgd", 3).k
