"""A small network as a list of steps whose bounds are known: what is affine, rectified, or the largest of a window."""

import operator
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd as Convolution  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.dropout import _DropoutNd as Dropout  # pyright: ignore[reportPrivateUsage]

from ..borrow import copied
from ..errors import InputError
from ..model import Model

COVERED = (
    "convolutions, linear layers, batch norm, ReLU, max and average pooling, flattening, "
    "sums of branches, dropout"
)

Map = Callable[..., Tensor]


class Step(NamedTuple):
    """One step: of which earlier ones it is made, and how.

    ``spread`` is what an affine step makes of radii: itself with its weights' sizes and without a constant.
    """

    kind: Literal["input", "affine", "relu", "max"]
    inputs: tuple[int, ...]
    make: Map
    spread: Map


def steps_of(model: Model) -> list[Step]:
    """The steps of a network, of images in [0, 1] to scores, in double precision; the last is its answer.

    One that has others than these, or cannot be traced, is an error.
    """
    net = copied(model.net).eval().double().requires_grad_(False)
    try:
        traced = fx.symbolic_trace(net)
    except Exception as error:  # whatever a network of the user's own raises on stand-ins for images
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{model.name} cannot be traced: {reason}", f"bounds know {COVERED}") from error
    return _Reader(model, traced).steps()


class _Reader:
    """Goes through a traced network."""

    def __init__(self, model: Model, traced: fx.GraphModule):
        self.model, self.traced = model, traced
        self.modules = dict(traced.named_modules())
        self.found: list[Step] = []
        self.places: dict[fx.Node, int] = {}
        self.sizes: set[fx.Node] = set()
        self.constants: dict[fx.Node, Tensor] = {}

    def steps(self) -> list[Step]:
        for node in self.traced.graph.nodes:
            if node.op == "output":
                return self._until(node.args[0])
            if node.op == "placeholder":
                self._begin(node)
            else:
                self._read(node)
        raise AssertionError

    def _begin(self, node: fx.Node) -> None:
        if self.found:
            raise InputError(f"{self.model.name} takes more than one input", "bounds are of images alone")
        self.found.append(Step("input", (), _same, _same))
        self.places[node] = 0
        self._put(node, _affine(lambda x: self.model.dressed(x, torch.float64)), (0,))

    def _until(self, last: Any) -> list[Step]:
        if not isinstance(last, fx.Node) or last not in self.places:
            raise InputError(
                f"{self.model.name} does not answer with one tensor", "bounds need its scores alone"
            )
        return self.found[: self.places[last] + 1]

    def _put(self, node: fx.Node, step: Step, inputs: tuple[int, ...]) -> None:
        self.found.append(step._replace(inputs=inputs))
        self.places[node] = len(self.found) - 1

    def _read(self, node: fx.Node) -> None:
        tensors = [arg for arg in node.args if isinstance(arg, fx.Node)]
        if self._is_size(node):
            self.sizes.add(node)
            return
        if node.op == "get_attr":
            self.constants[node] = operator.attrgetter(str(node.target))(self.traced).detach()
            return
        step = self._step(node)
        of = [arg for arg in tensors if arg not in self.sizes and arg not in self.constants]
        if step is None or not of or not all(arg in self.places for arg in of):
            raise InputError(
                f"bounds do not know {self._name(node)} of {self.model.name}", f"they know {COVERED}"
            )
        self._put(node, step, tuple(self.places[arg] for arg in of))

    def _is_size(self, node: fx.Node) -> bool:
        """Whether it is how many images there are, or another number about shapes."""
        if node.op == "call_method":
            return node.target == "size"
        shape = node.target is getattr and node.args[1:] == ("shape",)
        return shape or (node.target is operator.getitem and node.args[0] in self.sizes)

    def _name(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.modules[str(node.target)]).__name__
        return getattr(node.target, "__name__", str(node.target))

    def _step(self, node: fx.Node) -> Step | None:
        if node.op == "call_module":
            return _of_module(self.modules[str(node.target)], self._last(node))
        if node.op not in ("call_function", "call_method"):
            return None
        name = getattr(node.target, "__name__", str(node.target)).strip("_")
        if name in ARITHMETIC and len(node.args) == 2 and not node.kwargs:
            return _of_arithmetic(ARITHMETIC[name], *(self._number(arg) for arg in node.args))
        rest = tuple(arg for arg in node.args[1:] if not isinstance(arg, fx.Node))
        return _of_function(name, node, rest, self._last(node), node.args[1:2] and node.args[1] in self.sizes)

    def _number(self, arg: Any) -> Any:
        """A constant as it is; None for what depends on the image."""
        return self.constants.get(arg) if isinstance(arg, fx.Node) else arg

    def _last(self, node: fx.Node) -> bool:
        """Whether nothing but the answer is made of it."""
        return all(user.op == "output" for user in node.users)


def _same(x: Tensor) -> Tensor:
    return x


def _affine(make: Map) -> Step:
    """Of a step whose weights are all positive: it carries radii as it carries numbers, without its constant."""
    return Step("affine", (), make, lambda *r: make(*r) - make(*(torch.zeros_like(t) for t in r)))


def _of_module(module: nn.Module, last: bool) -> Step | None:
    if isinstance(module, (nn.Identity, Dropout)) or (
        last and isinstance(module, (nn.Softmax, nn.LogSoftmax))
    ):
        return _affine(_same)  # of scores and their probabilities the largest is the same
    if isinstance(module, (nn.Linear, Convolution)) and not getattr(module, "transposed", False):
        return Step("affine", (), module, _sized(module))
    if isinstance(module, BatchNorm) and module.running_var is not None:
        return Step("affine", (), module, _sized_norm(module))
    if isinstance(module, nn.ReLU):
        return Step("relu", (), torch.relu, _same)
    if isinstance(module, POOLS):
        return _affine(module)
    if isinstance(module, nn.Flatten) and module.start_dim == 1:
        return _affine(module)
    if isinstance(module, (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)):
        return Step("max", (), module, _same)
    return None


POOLS = (
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)


def _sized(module: Any) -> Map:
    """The same layer with the sizes of its weights and no bias."""
    sized: Any = copied(module)
    sized.weight.abs_()
    sized.bias = None
    return sized


def _sized_norm(module: Any) -> Map:
    scale = (1 if module.weight is None else module.weight.detach().abs()) / (
        module.running_var + module.eps
    ).sqrt()
    return lambda r: r * scale.view(1, -1, *[1] * (r.ndim - 2))


ARITHMETIC: dict[str, Map] = {
    **dict.fromkeys(("add", "iadd"), operator.add),
    **dict.fromkeys(("sub", "isub"), operator.sub),
    **dict.fromkeys(("mul", "imul"), operator.mul),
    **dict.fromkeys(("truediv", "itruediv", "div"), operator.truediv),
}


def _of_arithmetic(by: Map, left: Any, right: Any) -> Step | None:
    """Sums and differences of any two, products with constants and quotients by them; None is what is no constant."""
    adds = by in (operator.add, operator.sub)
    if left is None and right is None:
        return Step("affine", (), by, operator.add) if adds else None
    if right is not None:
        return Step("affine", (), lambda x: by(x, right), _same if adds else lambda r: by(r, abs(right)))
    if by is operator.truediv:
        return None
    number: Any = left
    return Step("affine", (), lambda x: by(number, x), _same if adds else lambda r: r * abs(number))


def _of_function(name: str, node: fx.Node, rest: tuple[Any, ...], last: bool, sized: Any) -> Step | None:
    how = {key: value for key, value in node.kwargs.items() if key not in ("inplace", "input")}
    if name == "relu":
        return Step("relu", (), torch.relu, _same)
    if name == "flatten" and (*rest, *how.values()) in ((1,), (1, -1)):
        return _affine(lambda x: x.flatten(1))
    if name in ("view", "reshape") and sized and all(isinstance(size, int) for size in rest):
        return _affine(lambda x: x.reshape(len(x), *rest))
    if name == "mean" and _space(rest, how):
        return _affine(lambda x: x.mean(*rest, **how))
    if name.startswith(("adaptive_avg_pool", "avg_pool")) and hasattr(F, name):
        return _affine(lambda x: getattr(F, name)(x, *rest, **how))
    if name == "dropout" or (last and name in ("softmax", "log_softmax")):
        return _affine(_same)
    return None


def _space(rest: tuple[Any, ...], how: dict[str, Any]) -> bool:
    """Whether a mean is over positions alone, not over images or channels."""
    axes = rest[0] if rest else how.get("dim")
    several = axes if isinstance(axes, (tuple, list)) else (axes,)
    return all(isinstance(axis, int) and (axis > 1 or -3 < axis < 0) for axis in several)
