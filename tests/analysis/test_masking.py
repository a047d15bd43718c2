"""Each sign of masking raises its own alarm, and none of them is raised by an ordinary network."""

import torch

from unfool.analysis.masking import Signs, diagnose

N = 200


def share(rate: float) -> torch.Tensor:
    return torch.arange(N) < rate * N


def signs(**changed) -> Signs:
    ordinary = {
        "gradients": torch.full((N,), 0.1),
        "gaps": torch.full((N,), 8.0),
        "one_step": share(0.5),
        "many_steps": share(0.4),
        "cross_entropy": share(0.42),
        "margin": share(0.4),
        "random": share(0.9),
        "whole_box": share(0.0),
        "by_scores": share(0.01),
        "classes": 10,
    }
    return Signs(**ordinary | changed)


def alarms(found: Signs) -> list[str]:
    return [e.name for e in diagnose(found, "Linf(0.1)").evidence if e.alarm]


def test_an_ordinary_network_raises_none():
    found = diagnose(signs(), "Linf(0.1)")
    assert not found.masked
    assert found.sentence.startswith("No sign of gradient masking")


def test_each_sign_raises_its_alarm():
    assert alarms(signs(gradients=torch.zeros(N))) == ["zero gradients"]
    assert alarms(signs(gaps=torch.full((N,), 1000.0))) == ["logit scale"]
    assert alarms(signs(cross_entropy=share(0.9))) == ["cross-entropy against margin"]
    assert alarms(signs(one_step=share(0.1))) == ["one step against many"]
    assert alarms(signs(random=share(0.1))) == ["random against gradient"]
    assert alarms(signs(whole_box=share(0.5))) == ["no bound must reach chance"]
    assert alarms(signs(by_scores=share(0.2))) == ["scores against gradients"]


def test_a_few_accidents_raise_none():
    few = torch.full((N,), 0.1)
    few[:5] = 0
    assert alarms(signs(gradients=few, whole_box=share(0.05))) == []
    assert alarms(signs(by_scores=torch.ones(2, dtype=torch.bool))) == []
