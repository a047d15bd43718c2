"""The network under question, or whatever else answers.

Outside, images are floats in [0, 1], ``[B, C, *space]``, everywhere. What the network wants instead (another range,
mean and standard deviation, device, precision) happens in here.
"""

import copy
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd as Convolution  # pyright: ignore[reportPrivateUsage]

from .blackbox import Access, BlackBox, check_access
from .borrow import borrowed, trains
from .dress import Dress
from .errors import InputError, UnfoolError, UnknownName
from .fast import filters_of, inference_copy
from .grids import Grid, grids_of
from .hooks import Call, Enough, first_outputs, observed_calls
from .memory import out_of_memory
from .outputs import Outputs, as_logits, as_scores, mean_logits, told_outputs
from .partial.changed import Changed, plain
from .views import View

T = TypeVar("T")


class _Again(Exception):
    """Raised by a forward pass that must be made anew, in the plain layout."""


class Model:
    """Any ``nn.Module`` (or any function, see :meth:`scores` and :meth:`labels`) as the methods see it.

    The network is borrowed: during a call it stands in evaluation mode with frozen weights, and afterwards everything
    is as it was, also when the call raised. ``mean`` and ``std`` are what the network's input is normalised by, per
    channel; ``box`` the range of its pixels before that; ``outputs`` says what it returns where that cannot be
    told from the numbers; ``view`` how a picture is cut for it. ``fast`` lets searches use a private copy with folded
    batch norm and, where the processor has it, bfloat16; what they find is judged on the network itself. A network that
    draws at random is judged by the mean probability of ``draws`` answers.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        box: tuple[float, float] = (0.0, 1.0),
        classes: Sequence[str] = (),
        outputs: Outputs | None = None,
        view: View | None = None,
        device: str | torch.device | None = None,
        fast: bool = False,
        capacity: int = 64,
        draws: int = 1,
        name: str = "",
    ):
        if not isinstance(net, nn.Module):
            raise InputError(
                f"Model wraps a torch module, not {type(net).__name__}", "Model.scores(f) wraps a function"
            )
        self.net, self.view, self.capacity, self.draws = net, view, capacity, draws
        self.classes = classes if isinstance(classes, tuple) else tuple(map(str, classes))
        self.outputs: Outputs | None = outputs
        self.access: Access = "gradients"
        self.name = name or type(net).__name__
        self.address = ""
        """What ``load`` gives it again by; empty where that would not be the same."""
        self._dress = Dress.of(net, mean, std, box, device)
        self.device = self._dress.device
        self.width: int | None = len(self.classes) or None
        self.maps: bool | None = None
        """Whether it answers with maps of scores; None until it has answered."""
        if trains(net):
            warnings.warn(
                f"{self.name} is in training mode; it is judged in evaluation mode and put back", stacklevel=2
            )
        self.fast = fast
        self._spatial: dict[torch.Size, dict[str, Grid]] = {}
        self._swift: tuple[Any, Model] | None = None
        self._borrowed = 0
        self.before_pass: Callable[[], None] | None = None
        """Called before each pass; what it raises ends whatever asked."""

    @classmethod
    def scores(cls, f: Callable[..., Any], classes: Sequence[str] = (), **how: Any) -> "Model":
        """A black box that answers with one score per class: ``f(x) -> [B, K]`` for numpy images ``[B, C, *space]``."""
        how.setdefault("name", getattr(f, "__name__", "scores"))
        model = cls(BlackBox(f, None), classes=classes, **how)
        model.access = "scores"
        return model

    @classmethod
    def labels(cls, f: Callable[..., Any], classes: Sequence[str] | int, **how: Any) -> "Model":
        """A black box that answers with a label only: ``f(x) -> [B]`` whole numbers, one of ``classes``."""
        names = tuple(map(str, range(classes))) if isinstance(classes, int) else classes
        how.setdefault("name", getattr(f, "__name__", "labels"))
        model = cls(BlackBox(f, len(names)), classes=names, outputs="logits", **how)
        model.access = "labels"
        return model

    def __repr__(self) -> str:
        return f"<Model {self.name}>"

    @property
    def layers(self) -> Mapping[str, nn.Module]:
        """Every named part of the network, in its own order."""
        return {name: module for name, module in self.net.named_modules() if name}

    def layer(self, name: str) -> nn.Module:
        if name not in (layers := self.layers):
            raise UnknownName("layer", name, layers)
        return layers[name]

    def label_name(self, label: int) -> str:
        return self.classes[label] if 0 <= label < len(self.classes) else str(label)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """The logits of images in [0, 1]: [B, K, ...]."""
        return self.drawn(lambda: self.trace(x)["output"])

    def drawn(self, ask: Callable[[], Tensor]) -> Tensor:
        """What ``ask`` gives; of several draws the logarithm of the mean probability."""
        with self.settled():
            return ask() if self.draws == 1 else mean_logits([ask() for _ in range(self.draws)])

    def trace(
        self, x: Tensor, reads: Sequence[str] = ("output",), *, leaves: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """One forward pass; returns the tensors named in ``reads`` ("input", "output" or a layer).

        The pass stops as soon as it has seen them all. Of the layers ``leaves`` those that run first become gradient
        leaves, so that a backward pass ends there and nothing below them is recorded.
        """
        with self.settled():
            return self._made(lambda: self._traced(x, reads, leaves))

    def observe(self, x: Tensor, see: Mapping[str, Callable[[Tensor], T]]) -> dict[str, T]:
        """What a function for each layer makes of its output, in one pass that ends with the last of them.

        It is given the tensor itself, on which the next module may work in place: it must not keep it.
        """
        with self.settled(), torch.no_grad():
            return self._made(lambda: self._first(x, see, lambda name, out: see[name](out)))

    def _made(self, run: Callable[[], T]) -> T:
        """What ``run`` gives; it runs again where the network turned out to want the plain layout."""
        try:
            return run()
        except _Again:
            return run()

    def _traced(self, x: Tensor, reads: Sequence[str], leaves: Sequence[str]) -> dict[str, Tensor]:
        def keep(name: str, out: Tensor) -> Tensor:
            return out.detach().requires_grad_() if name in leaves and not out.requires_grad else out

        return {"input": x, **self._first(x, reads, keep, copied=True)}

    def _first(
        self, x: Tensor, reads: Iterable[str], keep: Callable[[str, Tensor], T], copied: bool = False
    ) -> dict[str, T]:
        known, names = self.layers, sorted({*reads} - {"input", "output"})
        layers = {name: known[name] if name in known else self.layer(name) for name in names}
        return first_outputs(lambda: self._run(x), layers, keep, copied, to_the_end="output" in reads)

    def _run(self, x: Tensor) -> Tensor:
        if self.before_pass is not None:
            self.before_pass()
        try:
            given = x.mapped(self._dress) if isinstance(x, Changed) else self._dress(x)
            out = plain(as_scores(self.net(given)))
        except (UnfoolError, Enough):
            raise
        except Exception as error:  # whatever a network of the user's own raises
            if out_of_memory(error):
                raise
            if self._dress.channels_last and "contiguous" in str(error):  # as Tensor.view says
                self._dress = self._dress._replace(channels_last=False)
                raise _Again from error
            reason = str(error).split("\n")[0] or type(error).__name__
            hint = "is it for pictures? ?as=slices gives those of a medical file" if x.ndim > 4 else ""
            hint = "a series has several frames, this has one" if x.ndim == 5 and x.shape[2] == 1 else hint
            raise InputError(
                f"{self.name} fails on images of shape {list(x.shape)}: {reason}", hint
            ) from error
        return self._count(self._as_logits(out if out.dtype == torch.float64 else out.float()))

    def _as_logits(self, out: Tensor) -> Tensor:
        if out.ndim == 1:
            out = out[:, None]
        if self.outputs is None:
            self.outputs = told_outputs(out)
        return as_logits(out, self.outputs)

    def _count(self, logits: Tensor) -> Tensor:
        """Note what the answer is like; a list of names that does not fit is an error."""
        self.maps = logits.ndim > 2
        if self.width is None:
            self.width = logits.shape[1]
        if logits.ndim == 2 and self.width != logits.shape[1]:
            names = f"{len(self.classes)} class names" if self.classes else f"{self.width} classes before"
            raise InputError(f"{self.name} answers with {logits.shape[1]} classes, there are {names}")
        return logits

    @contextmanager
    def settled(self) -> Generator[None]:
        """The network in evaluation mode with frozen weights and its own random numbers; afterwards as it was."""
        if self._borrowed:
            yield
            return
        with self.lent(), borrowed(self.net, self.device):
            yield

    @contextmanager
    def lent(self) -> Generator[None]:
        """The network as it stands: its mode, weights and random numbers are the caller's own affair."""
        self._borrowed += 1
        try:
            yield
        finally:
            self._borrowed -= 1

    def zero(self, x: Tensor) -> Tensor:
        """What images like ``x`` are where the network is given zero, to be broadcast."""
        return self._dress.zero(x)

    def dressed(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Images as the network is given them, in a precision of one's own."""
        return self._dress._replace(dtype=dtype, channels_last=False)(x)

    def quick(self, x: Tensor) -> "Model":
        """What a search may ask instead: the fast copy for images like ``x``, where the user allowed one."""
        if not self.fast or self.access != "gradients":
            return self  # as is the copy itself
        weights = [*self.net.parameters(), *self.net.buffers()]
        marks = [(w.data_ptr(), w._version) for w in weights]  # weights trained since make a new copy
        state = x.shape[1:], marks
        if self._swift is None or self._swift[0] != state:
            with self.settled():
                self._swift = state, self._copy(x[:1])
        return self._swift[1]

    def _copy(self, x: Tensor) -> "Model":
        self(x)  # settles what the outputs are
        swift = self.around(inference_copy(self.net, self._dress(x)))
        swift.fast = False
        return swift

    def around(self, net: nn.Module) -> "Model":
        """The same wrapping of another network."""
        model = copy.copy(self)
        model.net, model._borrowed, model._swift, model._spatial = net, 0, None, {}
        model._dress = self._dress.of_precision(net)
        return model

    def spatial_layers(self, x: Tensor) -> dict[str, Grid]:
        """Every layer whose output has positions in images like ``x``, in the order in which they finish."""
        if x.shape[1:] not in self._spatial:
            pair = torch.cat([x[:1], x[:1]])  # what has not two rows is no layer's output for an image
            with self.settled():
                calls = self._made(lambda: observed_calls(lambda: self._run(pair), self.layers.values()))
            self._spatial[x.shape[1:]] = self._grids(calls, tuple(x.shape[2:]))
        return self._spatial[x.shape[1:]]

    def _grids(self, calls: Sequence[Call], space: tuple[int, ...]) -> dict[str, Grid]:
        names, made = {module: name for name, module in self.layers.items()}, dict[str, Any]()
        for call in calls:  # a module used twice counts by its first use
            made.setdefault(names[call.module], call.made)
        shapes = {name: tuple(t.shape) for name, t in made.items() if isinstance(t, Tensor)}
        convolutions = {name for name, module in self.layers.items() if isinstance(module, Convolution)}
        return grids_of({name: s for name, s in shapes.items() if s[:1] == (2,)}, space, convolutions)

    def last_spatial_layer(self, x: Tensor) -> str:
        """The last of them."""
        found = self.spatial_layers(x)
        if not found:
            raise InputError(
                f"{self.name} has no layer with positions", "name a layer that gives [B, C, *space]"
            )
        return next(reversed(found))

    def filters(self, x: Tensor, layer: str = "") -> tuple[str, Tensor]:
        """A convolution's name and its filters [K, C, *], batch norm folded in; by default of the first to run."""
        wanted = self.layer(layer) if layer else None
        with self.settled():
            conv, found = filters_of(
                self.net, self._dress(x[:1]), wanted, f"layer {layer!r}" if layer else self.name
            )
        return next(name for name, module in self.layers.items() if module is conv), found.cpu()

    def need(self, access: Access, who: str) -> None:
        """Raise unless the model gives what ``who`` asks for."""
        check_access(self.access, access, who)
