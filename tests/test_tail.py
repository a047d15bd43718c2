"""Behind a layer: ``tail(f(activation))`` is the network with ``f`` put behind the layer, whatever its control flow."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oracles import KINDS, images, same
from unfool.errors import InputError, UnknownName
from unfool.model import Model
from unfool.objectives import Logit
from unfool.query import Query
from unfool.rows import Rng

X = images(3, 3, 8, 8)
Y = torch.tensor([0, 1, 0])


def query(net: nn.Module) -> Query:
    return Query(Model(net, outputs="logits"), Logit(), Y, Rng.seeded(0, range(3)))


def unused(net: nn.Module, layer: str) -> bool:
    calls: list[int] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda *_: calls.append(1))
    Model(net)(X)
    handle.remove()
    return not calls


def edited(net: nn.Module, layer: str, f: Any, x: Tensor) -> Tensor:
    """The same by a hook on the whole network; the layer counts by its first use."""
    seen: list[int] = []

    def hook(module: nn.Module, args: Any, out: Tensor) -> Tensor:
        seen.append(1)
        return f(out) if len(seen) == 1 else out

    handle = net.get_submodule(layer).register_forward_hook(hook)
    try:
        return Model(net, outputs="logits")(x)
    finally:
        handle.remove()


def places() -> list[tuple[str, str]]:
    return [(kind, name) for kind, make in KINDS.items() for name, _ in make().named_modules() if name]


@pytest.mark.parametrize(("kind", "layer"), places())
def test_the_tail_is_the_network_with_the_layer_edited(kind: str, layer: str):
    net = KINDS[kind]()
    asked = query(net)
    if unused(net, layer):
        with pytest.raises(InputError, match="was not used in the forward pass"):
            asked.tail(layer, X)
        return
    tail = asked.tail(layer, X)
    if not isinstance(tail.activation, Tensor):
        return
    for f in (lambda t: t, lambda t: t * 0, lambda t: t.flip(-1) * 2):
        logits = edited(net, layer, f, X)
        whole = Logit().score({"output": logits}, Y)
        copies = torch.cat([f(tail.activation), tail.activation])
        found = tail.ask(copies)
        assert same(found[0], whole)
        assert same(found[1], asked.ask(X).score)
    assert not any("forward" in module.__dict__ for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_the_body_runs_once():
    counts: list[int] = []

    class Body(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            counts.append(len(x))
            return super().forward(x)

    net = nn.Sequential(Body(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 3)).eval()
    asked = query(net)
    tail = asked.tail("1", X)
    tail.ask(tail.activation.repeat(5, 1, 1, 1))
    assert counts == [3]
    assert asked.cost == {"body": 3, "tail": 15}


def test_a_tail_that_fails_leaves_the_network_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3)).eval()
    tail = query(net).tail("0", X)
    with pytest.raises(InputError):
        tail.ask(tail.activation[..., :2])
    assert not any("forward" in module.__dict__ for module in net.modules())
    with pytest.raises(UnknownName):
        query(net).tail("nope", X)
