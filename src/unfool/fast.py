"""A private copy of a network for asking many times: batch norm folded into convolutions, channels last, fewer bits.

Only for searching: whatever is claimed afterwards is judged on the user's own network.
"""

from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .borrow import copied
from .errors import InputError
from .hooks import observed_calls
from .outputs import as_scores

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def inference_copy(net: nn.Module, x: Tensor, dtype: torch.dtype | None = None) -> nn.Module:
    """The same function of images like ``x`` (as the network wants them), frozen, folded and laid out for speed.

    ``dtype`` is the precision inside; None takes bfloat16 where the processor computes in it, else the network's own.
    """
    swift = folded(copied(net).eval().requires_grad_(False), x)
    if x.ndim == 4:
        swift = channels_last(swift, x)
    wanted = dtype or (torch.bfloat16 if computes_bfloat16(x.device) else None)
    return swift if wanted is None else swift.to(wanted)


@torch.no_grad()
def channels_last(net: nn.Module, x: Tensor) -> nn.Module:
    """The network with its weights in that layout, or as it was where it cannot work so (``view`` is why)."""
    last = copied(net).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    try:
        last(x.contiguous(memory_format=torch.channels_last))
    except RuntimeError:
        return net
    return last


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies in bfloat16 rather than imitating it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    known = getattr(torch.cpu, "get_capabilities", dict[str, bool])()  # absent from older releases of torch
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


@torch.no_grad()
def folded(net: nn.Module, x: Tensor) -> nn.Module:
    """The network with each batch norm folded into the convolution before it, or as it was where the answer changed.

    It changes where a network uses a convolution's output for something else as well.
    """
    names = {module: name for name, module in net.named_modules()}
    swift = copied(net)
    for conv, norm in _pairs(net, x):
        swift.set_submodule(names[conv], fuse_conv_bn_eval(conv, norm))
        swift.set_submodule(names[norm], nn.Identity())
    before, after = (as_scores(n(x)) for n in (net, swift))
    return swift if torch.allclose(before, after, rtol=1e-3, atol=1e-3 * float(before.abs().max())) else net


@torch.no_grad()
def filters_of(net: nn.Module, x: Tensor, wanted: nn.Module | None, who: str) -> tuple[nn.Module, Tensor]:
    """A convolution, by default the first that runs, and its weights [K, C, *] with batch norm behind it in them."""
    calls = observed_calls(lambda: net(x), [m for m in net.modules() if isinstance(m, Convolution)])
    conv = wanted or (calls[0].module if calls else None)
    if not isinstance(conv, Convolution):
        raise InputError(
            f"{who} is no convolution and has no filters"
            if wanted
            else f"{who} has no convolution, and so no filters",
            "name a convolution" if wanted else "unfool inspect templates is about pixels",
        )
    norm = dict(_pairs(net, x)).get(conv)
    return conv, (conv if norm is None else fuse_conv_bn_eval(conv, norm)).weight.detach().clone()


def _pairs(net: nn.Module, x: Tensor) -> Iterator[tuple[Convolution, BatchNorm]]:
    """Convolutions whose output went straight into a batch norm, each used once."""
    watched = [m for m in net.modules() if isinstance(m, Convolution | BatchNorm)]
    calls = observed_calls(lambda: net(x), watched)
    uses = Counter(call.module for call in calls)
    made = {id(call.made): call.module for call in calls}
    for module, given, _ in calls:
        conv = made.get(id(given))
        if (
            isinstance(module, BatchNorm)
            and isinstance(conv, Convolution)
            and uses[module] == uses[conv] == 1
        ):
            yield conv, module
