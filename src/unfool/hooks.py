"""Watching a network while it runs. The only file that touches hooks; every hook is gone when its ``with`` ends."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import torch
from torch import nn

from .errors import InputError

Hook = Callable[[nn.Module, Any, Any], Any]


class Enough(Exception):
    """Raised inside a forward pass once everything asked for has been seen."""


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Hook]]) -> Generator[None]:
    """Each hook sees (and may replace) what its module gives back, until the block ends."""
    with ExitStack() as stack:
        for module, hook in hooks:
            stack.callback(module.register_forward_hook(hook).remove)
        yield


@contextmanager
def counted(net: nn.Module, counts: Counter[str]) -> Generator[None]:
    """Adds to ``counts`` how many images go "forward" through a network, and "backward" from its end."""

    def enter(module: nn.Module, args: Any) -> None:
        counts["forward"] += len(args[0])

    def leave(module: nn.Module, args: Any, out: Any) -> None:
        if isinstance(out, torch.Tensor) and out.requires_grad:
            out.register_hook(lambda grad: counts.update(backward=len(grad)))

    with ExitStack() as stack:
        stack.callback(net.register_forward_pre_hook(enter).remove)
        stack.callback(net.register_forward_hook(leave).remove)
        yield


def first_outputs(
    run: Callable[[], Any],
    layers: Mapping[str, nn.Module],
    keep: Callable[[str, torch.Tensor], Any],
    copied: bool,
    to_the_end: bool,
) -> dict[str, Any]:
    """What ``keep`` makes of each layer's first output, and as "output" what ``run`` gives where it goes to the end.

    Elsewhere the pass ends with the last of them. Where ``copied``, what goes on is a copy of what was kept: the next
    module may work in place.
    """
    seen, missing = dict[str, Any](), {*layers, *["output"] * to_the_end}

    def watch(name: str) -> Hook:
        def hook(module: nn.Module, args: Any, out: Any) -> torch.Tensor | None:
            if name in seen:
                return None  # a module used twice counts by its first use
            if not isinstance(out, torch.Tensor):
                raise InputError(
                    f"layer {name!r} gives {type(out).__name__}, not a tensor", "name a layer inside it"
                )
            seen[name] = keep(name, out)
            missing.discard(name)
            if not missing:
                raise Enough
            return seen[name].clone() if copied else None

        return hook

    with hooked((layer, watch(name)) for name, layer in layers.items()), suppress(Enough):
        seen["output"] = run()
        missing.discard("output")
    if missing:
        raise InputError(f"layer {min(missing)!r} was not used in the forward pass", "name one that is")
    return seen


class Call(NamedTuple):
    """One use of a module: what it was given first and what it gave back."""

    module: nn.Module
    given: Any
    made: Any


@torch.no_grad()
def observed_calls(run: Callable[[], Any], modules: Iterable[nn.Module]) -> list[Call]:
    """Every use of ``modules`` while ``run`` runs, in the order in which they finish."""
    calls: list[Call] = []

    def hook(module: nn.Module, args: Any, out: Any) -> None:
        calls.append(Call(module, args[0] if args else None, out))

    with hooked((module, hook) for module in modules):
        run()
    return calls


class _There(BaseException):
    """Raised once the layer is reached; nothing on the way takes it for a fault of the network."""


class Taken(NamedTuple):
    """What one use of a part of the network gave back, before the layer was reached."""

    module: nn.Module
    made: Any


class Body(NamedTuple):
    """A network up to a layer, run once: the layer's output, and what the largest parts before it gave back."""

    layer: nn.Module
    activation: Any
    before: tuple[Taken, ...]

    def row(self, k: int, rows: int) -> "Body":
        """The same of one of the images it was run on; what has not a share for each stays whole."""

        def cut(t: torch.Tensor) -> torch.Tensor:
            if not t.ndim or len(t) % rows or not len(t):
                return t
            share = len(t) // rows
            return t[k * share : (k + 1) * share]

        before = tuple(taken._replace(made=_each(taken.made, cut)) for taken in self.before)
        return Body(self.layer, _each(self.activation, cut), before)


class _Open:
    """A part that is running, and the parts inside it that are done."""

    def __init__(self, module: nn.Module):
        self.module, self.done = module, list[Taken]()

    def add(self, taken: Taken) -> None:
        if (
            type(self.module) is nn.Sequential and self.done
        ):  # nothing but the next part sees what one gave back
            self.done[-1] = self.done[-1]._replace(made=None)
        self.done.append(taken)


@torch.no_grad()
def body_of(run: Callable[[], Any], net: nn.Module, layer: nn.Module) -> Body | None:
    """Run a network until ``layer`` has been used, remembering what ran before it; None where it never is."""
    chain, found = [_Open(net)], list[Body]()
    around = _ancestors(net, layer)
    watched = dict.fromkeys(part for above in around for part in above.children())

    def enter(module: nn.Module, args: Any) -> None:
        chain.append(_Open(module))

    def leave(module: nn.Module, args: Any, out: Any) -> None:
        chain.pop()
        if module is layer:
            found.append(Body(layer, out, tuple(taken for part in chain for taken in part.done)))
            raise _There
        if chain[-1].module in around:  # a copy: what comes next may work in place
            chain[-1].add(Taken(module, _each(out, torch.Tensor.clone)))

    def begin(module: nn.Module, args: Any) -> None:  # a pass may be made anew, in another layout
        chain[:] = [_Open(net)]

    with ExitStack() as stack:
        stack.callback(net.register_forward_pre_hook(begin).remove)
        for module in watched:
            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave).remove)
        with suppress(_There):
            run()
    return found[0] if found else None


def _ancestors(net: nn.Module, layer: nn.Module) -> list[nn.Module]:
    """The parts of a network that hold a layer, the network itself first."""
    modules = dict(net.named_modules())
    path = next(name for name, module in modules.items() if module is layer).split(".")
    return [modules[".".join(path[:k])] for k in range(len(path))]


@contextmanager
def resumed(body: Body, activation: Any, copies: int = 1, shared: bool = False) -> Generator[None]:
    """Parts that ran before the layer give back ``copies`` of what they gave then, and the layer ``activation``.

    Copies of a single row may be ``shared``: the same memory seen often, which nothing may write to.
    """
    kept: dict[nn.Module, list[Any]] = {}
    for taken in (*body.before, Taken(body.layer, activation)):
        again = (
            taken.made
            if taken.module is body.layer
            else _each(taken.made, lambda t: _copies(t, copies, shared))
        )
        kept.setdefault(taken.module, []).append(again)
    with ExitStack() as stack:
        for module, made in kept.items():
            stack.callback(_replace_forward(module, made))
        yield


def _replace_forward(module: nn.Module, made: list[Any]) -> Callable[[], None]:
    """Its next uses give back ``made`` in turn, then it runs as ever; returns what puts it right again."""
    own, forward = module.__dict__.get("forward"), module.forward
    waiting = iter(made)

    def replay(*args: Any, **kwargs: Any) -> Any:
        for out in waiting:
            return args[0] if out is None else out
        return forward(*args, **kwargs)

    def restore() -> None:
        if own is None:
            del module.forward
        else:
            module.forward = own

    module.forward = replay
    return restore


def _copies(t: torch.Tensor, n: int, shared: bool) -> torch.Tensor:
    if shared and n > 1 and t.shape[:1] == (1,):
        return t.expand(n, *t.shape[1:])
    return t.repeat(n, *[1] * (t.ndim - 1)) if t.ndim and n > 1 else t.clone()


def _each(out: Any, f: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """``f`` of every tensor in what a module gave back."""
    if isinstance(out, torch.Tensor):
        return f(out)
    if isinstance(out, tuple) and hasattr(out, "_fields"):
        return type(out)(*(_each(part, f) for part in out))
    if isinstance(out, (list, tuple)):
        return type(out)(_each(part, f) for part in out)
    if isinstance(out, dict):
        return {key: _each(part, f) for key, part in out.items()}
    return out
