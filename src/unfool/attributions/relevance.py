"""Layer-wise relevance propagation: a score handed back, layer by layer, until the pixels have it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..errors import InputError, UnfoolError
from ..query import Query
from .activations import Called, activation_of, followed, put_back
from .base import Attribution
from .modes import Mode, Rule, following
from .shares import Epsilon, Gamma, Operator, Share, Sharing, WeightShare, ZBox, ZPlus, reads_image

LINEAR = {"linear"} | {f"conv{kind}{d}d" for kind in ("", "_transpose") for d in (1, 2, 3)}
BY_OUTPUT = {"linear", "conv1d", "conv2d", "conv3d"}
"""Those whose weights have the outputs first, so that a batch norm folds in."""
GATES = {"sigmoid", "hardsigmoid", "softmax"}
NORMS = {"layer_norm": "LayerNorm", "group_norm": "GroupNorm"}
BEYOND = {
    *("softplus", "exp", "pow", "square", "sqrt", "rsqrt", "reciprocal", "rdiv", "rtruediv"),
    *("instance_norm", "rms_norm", "batch_norm", "local_response_norm"),
}
"""What has no rule at all."""
PRODUCTS = {"mul", "multiply", "imul", "rmul", "matmul", "bmm", "mm", "rmatmul", "einsum", "baddbmm"}
DIVISIONS = {"div", "divide", "true_divide", "truediv", "itruediv"}
ATTENTION = {"scaled_dot_product_attention", "multi_head_attention_forward"}


class Propagating(Mode):
    """Every operator under its rule while a network runs; batch norms are folded into what stands before them."""

    def __init__(
        self,
        clock: Callable[[], int],
        *,
        first: Share,
        convolution: Share,
        linear: Share,
        extend: bool,
        box: tuple[Tensor, Tensor] | None = None,
    ):
        super().__init__(clock)
        self.first, self.convolution, self.linear = first, convolution, linear
        self.extend, self.box = extend, box
        self.kept: list[Tensor] = []

    def called(self, called: Called) -> Any:
        if not any(map(followed, (*called.args, *called.named.values()))):
            return called()
        name = called.name
        if name in LINEAR and not followed(called.number(1, "weight")):
            return self.operator(called)
        if name == "batch_norm" and not called.number(5, "training", default=False):
            return self.normalised(called)
        kind = "Tanh" if name == "tanh" else activation_of(called)
        if kind == "ReLU":
            return called()
        if kind and kind != "Softplus":
            return self.extended(called, kind if kind != "ReLU6" else None, unchanged)
        if name in GATES:
            return self.extended(called, f"a gate ({name})", lambda c: c().detach())
        return self.joined(called, name)

    def joined(self, called: Called, name: str) -> Any:
        """What brings several signals together, or normalises one."""
        if name in NORMS:
            return self.extended(called, NORMS[name], normalised_by_constants)
        if name in ATTENTION:
            return self.extended(called, "attention", attended)
        signals = [t for t in called.args[:2] if followed(t)]
        if name in PRODUCTS and len(signals) > 1:
            return self.extended(called, "a product of two signals", lambda c: halved(c()))
        if name in DIVISIONS and len(called.args) > 1 and followed(called.args[1]):
            return self.extended(called, "a division by a signal", divided)
        if name in BEYOND:
            raise InputError(f"LRP has no rule for {name}", "Gradient() or GradCAM() explain such a network")
        return called()

    def extended(self, called: Called, what: str | None, way: Callable[[Called], Any]) -> Any:
        """What only the stated extension covers, where ``what`` names it."""
        if what and not self.extend:
            raise InputError(f"LRP has no rule for {what}", "LRP(extend=True) has one; see its documentation")
        return way(called)

    def operator(self, called: Called) -> Tensor:
        x, weight = called.lead, called.number(1, "weight")
        rest = {k: v for k, v in called.named.items() if k not in ("input", "weight", "bias")}

        def apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return called.function(x, weight, bias, *called.args[3:], **rest)

        op = Operator(apply, weight, called.number(2, "bias"), called.name in BY_OUTPUT, self.box)
        y = called()
        share = self.linear if called.name == "linear" else self.convolution
        if reads_image(x):
            share = self.first
            if self.box and self.box[0].shape != (
                1,
                *x.shape[1:],
            ):  # parts of it, or another size than the first
                raise no_image(x)
        self.count("Linear" if called.name == "linear" else "Conv")
        return self.shared(op, x, y, share)

    def shared(self, op: Operator, x: Tensor, y: Tensor, share: Share) -> Tensor:
        out: Tensor = Sharing.apply(y, x, op, share, self.kept)  # pyright: ignore[reportAssignmentType]
        out.came = (op, x, y, share, out._version) if op.outputs_first else None  # pyright: ignore[reportAttributeAccessIssue]
        return out

    def normalised(self, called: Called) -> Any:
        """A batch norm in evaluation mode: folded into the operator it follows, else by contribution."""
        came = getattr(called.lead, "came", None)
        if came is None or came[-1] != called.lead._version:
            return called()
        (op, x, y, share, _), (_, mean, var) = came, called.args[:3]
        eps = called.number(7, "eps", default=1e-5)
        gain, shift = called.number(3, "weight"), called.number(4, "bias")
        scale = (var + eps).rsqrt() * (1 if gain is None else gain)
        bias = scale * ((0 if op.bias is None else op.bias) - mean) + (0 if shift is None else shift)
        weight = op.weight * scale.view(-1, *[1] * (op.weight.ndim - 1))
        again = Called(called.function, (y, *called.args[1:]), called.named)()
        return self.shared(op._replace(weight=weight, bias=bias), x, again, share)


def no_image(given: Tensor) -> InputError:
    """The error where pixels cannot have a rule of their own, as what is first reads something else."""
    return InputError(
        f"what reads the image is given {list(given.shape)}, not the image",
        "LRP(first=Epsilon()) works there",
    )


def unchanged(called: Called) -> Tensor:
    """An activation that hands down as much relevance as it is given: its secant stands for its slope."""
    return put_back(called, _Secant.apply(called.lead, called))  # pyright: ignore[reportArgumentType]


class _Secant(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, called: Called) -> Tensor:
        made = called.of(x)
        tiny = torch.finfo(x.dtype).tiny
        ctx.save_for_backward(torch.where(x.abs() > tiny, made / x.where(x.abs() > tiny, 1), 0))
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (secant,) = ctx.saved_tensors
        return grads[0] * secant, None


class _Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0] / 2


def halved(made: Tensor) -> Tensor:
    """A product of two signals: each has half of its relevance."""
    return _Halved.apply(made)  # pyright: ignore[reportReturnType]


def divided(called: Called) -> Tensor:
    """A division by a signal, which counts as a number."""
    return Called(
        called.function, (called.args[0], called.args[1].detach(), *called.args[2:]), called.named
    )()


def attended(called: Called) -> Any:
    """Attention whose weights count as numbers: all relevance goes to the values."""
    names = ("query", "key")
    args = [t.detach() if k < 2 and isinstance(t, Tensor) else t for k, t in enumerate(called.args)]
    named = {k: v.detach() if k in names else v for k, v in called.named.items()}
    return Called(called.function, tuple(args), named)()


def normalised_by_constants(called: Called) -> Tensor:
    """A normalisation whose spread counts as a number: only the mean it takes away is a signal."""
    x, groups = called.lead, called.name == "group_norm"
    shape = called.number(1, "num_groups" if groups else "normalized_shape")
    weight, bias = called.number(2, "weight"), called.number(3, "bias")
    rows = x.reshape(len(x), shape, -1) if groups else x.flatten(-len(shape))
    centred = rows - rows.mean(-1, keepdim=True)
    spread = (centred.detach().square().mean(-1, keepdim=True) + called.number(4, "eps", default=1e-5)).sqrt()
    made = (centred / spread).view_as(x)
    side = (-1, *[1] * (x.ndim - 2)) if groups else tuple(shape)
    made = made if weight is None else made * weight.view(side)
    return made if bias is None else made + bias.view(side)


class PositiveExcitation(Rule):
    """Each operator hands back to what excites it alone: excitation backpropagation (Zhang et al., 2018).

    The inputs' winning probabilities are Bent(GradientTimesInput(), PositiveExcitation()).
    """

    extend: bool = False
    """As LRP's."""

    def mode(self, clock: Callable[[], int]) -> Propagating:
        plus = ZPlus()
        return Propagating(clock, first=plus, convolution=plus, linear=plus, extend=self.extend)


class LRP(Attribution):
    """Layer-wise relevance propagation (Bach et al., 2015): the score handed back until the pixels have it.

    A rule for each kind of operator: by default epsilon for linear layers, gamma for convolutions and z^B for what
    reads the image. Sums, averages and maxima share by contribution, batch norms are folded into what they follow,
    ReLUs and other changes of order hand on what they get. The sum of the map is the score less what biases keep.

    ``extend`` (Ali et al., 2022) covers the rest: GELU, SiLU and other activations through zero hand down what they
    are given; gates (sigmoid, softmax), attention's weights and the spreads that normalisations divide by count as
    numbers; of a product of two signals each has half. Without it any of them is an error.
    """

    first: Share = ZBox()
    """For what reads the image: ZBox(), Flat() or any of the others."""
    convolution: WeightShare = Gamma()
    """For convolutions: Gamma(), ZPlus() or Epsilon()."""
    linear: WeightShare = Epsilon()
    """For linear layers."""
    extend: bool = False
    """Whether what has no rule is covered by the extension above."""

    def explain(self, query: Query, x: Tensor) -> Tensor:
        box = _ends(query, x) if isinstance(self.first, ZBox) else None
        rules = {"first": self.first, "convolution": self.convolution, "linear": self.linear}
        with following(
            lambda clock: Propagating(clock, **rules, extend=self.extend, box=box), query, "LRP"
        ) as mode:
            slope = query.gradient(x).slope
        heat = ((x - query.model.zero(x)) * slope).sum(1, keepdim=True)
        for relevance in mode.kept:
            if relevance.shape[2:] != x.shape[2:]:
                raise no_image(relevance)
            heat = heat + relevance.sum(1, keepdim=True)
        return heat


class _Read(UnfoolError):
    """Raised once it is known what the first operator reads."""


class _Reading(TorchFunctionMode):
    """Stops at the first operator of a network."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        called = Called(func, args, kwargs or {})
        if called.name in LINEAR:
            self.read = called.lead.detach()
            raise _Read("")
        return called()


def _ends(query: Query, x: Tensor) -> tuple[Tensor, Tensor] | None:
    """What the first operator would read of a black and of a white image, the lower and the higher of each number."""
    read: list[Tensor] = []
    for level in (0.0, 1.0):
        with torch.no_grad(), suppress(_Read), _Reading() as mode:
            query.model.trace(torch.full_like(x[:1], level))
        read += [mode.read] if hasattr(mode, "read") else []
    return (torch.minimum(*read), torch.maximum(*read)) if len(read) == 2 else None
