"""How one linear operator shares out the relevance of its outputs among its inputs.

Relevance travels as a modified gradient: an input's relevance is the input times what arrives at it. What is passed on
without a rule, such as a sum, an average or a maximum, is then shared by contribution of itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..derivatives import pulled
from ..spec import Bound, Positive, Spec


class Operator(NamedTuple):
    """A convolution or a linear layer, with the batch norm behind it folded in."""

    apply: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    weight: Tensor
    bias: Tensor | None
    outputs_first: bool
    """Whether its weights have the outputs first and the inputs next, as all but transposed convolutions have."""
    box: tuple[Tensor, Tensor] | None = None
    """The lowest and the highest input there can be, where this reads the image."""

    def positive(self, x: Tensor, keep: float, push: float) -> Tensor:
        """``keep`` times the output and ``push`` times what raises it."""
        up, down = (keep * self.weight + push * side for side in self.sides())
        bias = None if self.bias is None else keep * self.bias + push * self.bias.clamp(min=0)
        if not bool((x.detach() < 0).any()):
            return self.apply(x, up, bias)
        return self.apply(x.clamp(min=0), up, bias) + self.apply(x.clamp(max=0), down, None)

    def sides(self) -> tuple[Tensor, Tensor]:
        return self.weight.clamp(min=0), self.weight.clamp(max=0)


class Shared(NamedTuple):
    """What goes down: through the operator itself, past it to its input, or as relevance that is there for good."""

    own: Tensor | None = None
    past: Tensor | None = None
    relevance: Tensor | None = None


class Share(Spec, ABC):
    """How an operator with inputs ``x`` and outputs ``y`` shares what arrives."""

    @abstractmethod
    def down(self, op: Operator, x: Tensor, y: Tensor, grad: Tensor) -> Shared:
        """``grad`` times ``y`` is the relevance of the outputs."""


class WeightShare(Share, ABC):
    """One that goes by weights and what comes in alone, and so fits any linear operator."""

    kind: ClassVar[str] = "Epsilon(), Gamma() or ZPlus(), as the others are for what reads the image"


class Epsilon(WeightShare):
    """By contribution; ``epsilon`` takes the place of what nearly cancels (Bach et al., 2015, eq. 58)."""

    epsilon: Annotated[float, Bound(0)] = 1e-6
    """Added to the size of every output that is divided by."""

    def down(self, op: Operator, x: Tensor, y: Tensor, grad: Tensor) -> Shared:
        size = y.abs()
        return Shared(own=grad * (size / (size + self.epsilon).where(size > 0, 1)))


class Gamma(WeightShare):
    """By contribution, with those that pull the output's own way raised by ``gamma`` (Montavon et al., 2019).

    Outputs below zero are shared among what pulls them down, so that no share is ever larger than its whole.
    """

    gamma: Positive = 0.25
    """How much more they count."""

    def down(self, op: Operator, x: Tensor, y: Tensor, grad: Tensor) -> Shared:
        return pushed(op, x, y, grad, 1.0, self.gamma)


class ZPlus(WeightShare):
    """Among what pulls the output its own way alone (z+, alpha 1 beta 0; Montavon et al., 2017)."""

    def down(self, op: Operator, x: Tensor, y: Tensor, grad: Tensor) -> Shared:
        return pushed(op, x, y, grad, 0.0, 1.0)


class ZBox(Share):
    """For pixels, which are bounded: by how far each is from the end of its range that would lower the output most.

    (z^B; Montavon et al., 2017.) Black pixels, too, have their share.
    """

    def down(self, op: Operator, x: Tensor, y: Tensor, grad: Tensor) -> Shared:
        assert op.box is not None
        low, high = (t.expand_as(x) for t in op.box)
        up, down = op.sides()

        def above(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
            return op.apply(x, op.weight, None) - op.apply(low, up, None) - op.apply(high, down, None)

        ends = (x, low, high)
        if (
            op.outputs_first and op.weight.ndim > 2 and op.weight.shape[1] == x.shape[1]
        ):  # one operator, not three
            wide, weights = torch.cat(ends, 1), torch.cat((op.weight, -up, -down), 1)
            (found,) = pulled(lambda t: op.apply(t, weights, None), (wide,), lambda z: over(grad * y, z))
            shares = (wide * found).unflatten(1, (3, -1)).sum(1)
        else:
            found = pulled(above, ends, lambda z: over(grad * y, z))
            shares = torch.stack([t * g for t, g in zip(ends, found, strict=True)]).sum(0)
        return Shared(past=torch.zeros_like(x), relevance=shares)


class Flat(Share):
    """The same to every pixel an output sees (Lapuschkin et al., 2019)."""

    def down(self, op: Operator, x: Tensor, y: Tensor, grad: Tensor) -> Shared:
        ones = torch.ones_like(op.weight)
        (found,) = pulled(
            lambda t: op.apply(t, ones, None), (torch.ones_like(x),), lambda z: over(grad * y, z)
        )
        return Shared(past=torch.zeros_like(x), relevance=found)


def over(relevance: Tensor, z: Tensor) -> Tensor:
    """Relevance per unit of what it is shared by; nothing where there is nothing to share by."""
    return torch.where(z > 0, relevance / z.where(z > 0, 1), 0)


def pushed(op: Operator, x: Tensor, y: Tensor, grad: Tensor, keep: float, push: float) -> Shared:
    """Outputs above zero are shared by ``keep`` w + ``push`` w+, those below by ``keep`` w + ``push`` w-.

    With z+ the output that the first alone would have, the second's is (2 ``keep`` + ``push``) y - z+, and what it
    sends down follows from what the operator itself and the first would: no third operator is run.
    """
    low, relevance = y < 0, grad * y
    falls = bool((grad * low).any())  # never behind a ReLU
    both, tiny = 2 * keep + push, torch.finfo(y.dtype).tiny
    below = torch.empty(0)

    def weigh(z: Tensor) -> Tensor:
        nonlocal below
        if not falls:
            return relevance.div_(z.clamp_(min=tiny))
        share = relevance.div_(torch.where(low, (both * y).sub_(z).clamp_(max=-tiny), z.clamp(min=tiny)))
        below = share * low
        return share.sub_(below, alpha=2)

    (past,) = pulled(lambda t: op.positive(t, keep, push), (x,), weigh)
    return Shared(own=both * below if falls else None, past=past)


class Sharing(torch.autograd.Function):
    """An operator's output ``y``, made from ``x``, whose way back is a rule's."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, op: Operator, share: Share, kept: list[Tensor]) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.op, ctx.share, ctx.kept = op, share, kept
        return y.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        x, y = ctx.saved_tensors
        shared: Shared = ctx.share.down(ctx.op, x, y, grads[0])
        if shared.relevance is not None:
            ctx.kept.append(shared.relevance)
        return shared.own, shared.past, None, None, None


def reads_image(x: Tensor) -> bool:
    """Whether an operator's input was made without another operator."""
    ahead, seen = [x.grad_fn], set[Any]()
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        if node.name() == f"{Sharing.__name__}Backward":
            return False
        seen.add(node)
        ahead += [after for after, _ in node.next_functions]
    return True
