"""On a graphics card: what the processor gives, nothing left behind, and a loop that never waits for the card."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from oracles import residual, state_of
from test_every_method import ATTACKS, ATTRIBUTIONS, X, each, found, labels, model
from unfool.attacks.base import Attack
from unfool.attacks.gradient import PGD
from unfool.attributions.base import Attribution
from unfool.cli.main import main
from unfool.framing import Flip, Slide
from unfool.model import Model
from unfool.regions import Linf
from unfool.training.awp import AWP
from unfool.training.base import Training
from unfool.training.fit import Train
from unfool.training.free import Free
from unfool.training.optimisers import SGD
from unfool.training.plain import Madry
from unfool.training.trades import Trades

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
CARD = "cuda"
COMMANDS = [
    "audit --limit 40 --out run",
    "attack PGD unfool:digits --limit 20 --out run",
    "attack Square(queries=50) unfool:digits --limit 20 --out run",
    "explain GradCAM unfool:digits --limit 8 --grade --out run",
    "explain Occlusion unfool:digits --limit 8 --out run",
    "explain IntegratedGradients unfool:cine --limit 3 --out run --model unfool:cine",
    "maximise 3 --out run",
    "inspect units --limit 200 --out run",
    "inspect units --limit 60 --layer features --draw Maximise(steps=2) --out run",
    "inspect hierarchy --limit 60 --channels 1 --moved 4 --out run",
    "inspect atlas --limit 60 --method pca --grid 4 --draw Maximise(steps=2) --of 3 --out run",
    "inspect field --out run",
    "inspect probe --limit 400 --out run",
    "inspect neighbours --limit 200 --out run",
    "train unfool:digits --epochs 1 --limit 200 --sample 50 --out run",
    "train unfool:digits --epochs 1 --limit 200 --sample 50 --precision bfloat16 --method Fast --out run",
]


def on_card(method: Attack | Attribution, seed: int = 0) -> torch.Tensor:
    return found(method, model=Model(residual().double().to(CARD)), y=labels(), seed=seed)


@each
def test_the_card_gives_what_the_processor_gives(method: Attack | Attribution):
    there = on_card(method)
    assert there.device == X.device
    assert there.shape == found(method).shape
    assert torch.allclose(there, on_card(method), rtol=1e-6, atol=1e-9)
    if torch.equal(found(method, seed=1), found(method, seed=2)):  # draws nothing
        assert torch.allclose(there, found(method), rtol=1e-4, atol=1e-6)


@each
def test_images_on_the_card_come_back_there(method: Attack | Attribution):
    net = residual().to(CARD)
    before = state_of(net)
    numbers = torch.cuda.get_rng_state()
    result: Any = method(Model(net), X.float().to(CARD), labels().to(CARD))
    given = result.x if isinstance(method, Attack) else result.heat
    assert given.is_cuda
    assert state_of(net) == before
    assert torch.equal(torch.cuda.get_rng_state(), numbers)
    assert all(p.grad is None for p in net.parameters())


def waits(run: Callable[[], Any]) -> int:
    """How often a call waited for the card."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(w.message) for w in seen)


STEPPED = [m for m in ATTACKS if type(m).__name__ in ("PGD", "APGD", "DDN", "FMN") and hasattr(m, "steps")]


@pytest.mark.parametrize("method", STEPPED, ids=repr)
def test_an_attack_waits_for_the_card_a_few_times_a_step_at_most(method: Any):
    """Once to see who has finished, so that those leave; what one step does is never held up within."""
    net = Model(residual().to(CARD))
    x, y = X.float().to(CARD), model()(X).argmax(1).to(CARD)
    few, many = (dataclasses.replace(method, steps=k) for k in (10, 30))
    spent = [waits(lambda m=m: m(net, x, y, within=m.usable[0](1e-4))) for m in (few, many)]
    assert (spent[1] - spent[0]) / 20 <= 2


SAMPLED = [a for a in ATTRIBUTIONS if type(a).__name__ in ("GradientSHAP", "KernelSHAP", "LIME", "RISE")]


@pytest.mark.parametrize("method", SAMPLED, ids=repr)
def test_an_attribution_waits_for_the_card_no_oftener_for_more_samples(method: Any):
    net = Model(residual().to(CARD))
    x, y = X.float().to(CARD), labels().to(CARD)
    few, many = (dataclasses.replace(method, samples=k) for k in (16, 64))
    method(net, x, y)
    assert waits(lambda: many(net, x, y)) - waits(lambda: few(net, x, y)) <= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_on_the_card(command: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main([*command.split(), "--device", CARD])
    assert not end.value.code


LEARNED = [
    Madry(PGD(steps=2)),
    Free(replays=2),
    AWP(Trades(PGD(steps=2))),
]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", LEARNED, ids=repr)
def test_training_on_the_card_gives_the_same_bytes_again_and_about_what_the_processor_gives(
    method: Training, precision: Any
):
    """What is random is drawn on the processor: the same numbers wherever the network is."""
    x, y = X.float(), labels()
    fit = Train(
        method, SGD(0.05), average=0.5, precision=precision, epochs=2, rows=2, augment=(Flip(), Slide(1))
    )
    before = torch.cuda.get_rng_state()
    first, again = (fit(Model(residual().to(CARD)), x, y, within=Linf(0.1)).net for _ in range(2))
    here = fit(Model(residual()), x, y, within=Linf(0.1)).net.state_dict()
    assert torch.equal(torch.cuda.get_rng_state(), before)
    close = 0.02 if precision == "float32" else 0.2  # signs of slopes next to nothing may differ
    for name, value in first.state_dict().items():
        assert value.is_cuda
        assert torch.equal(value, again.state_dict()[name])
        assert torch.allclose(value.cpu().float(), here[name].float(), atol=close)
