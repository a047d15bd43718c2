"""A network's last layer drawn anew, for as many classes as one's own data have."""

from torch import nn

from ..errors import SpecError


def with_head(net: nn.Module, classes: str) -> nn.Module:
    """The network with so many outputs: its last linear layer, or 1x1 convolution where it has none, is a new one."""
    if not classes.isdecimal() or int(classes) < 2:
        raise SpecError(f"classes={classes} cannot be", "a whole number, 2 or more")
    name, last = _last(net)
    bias = last.bias is not None
    if isinstance(last, nn.Linear):
        new: nn.Module = nn.Linear(last.in_features, int(classes), bias)
    else:
        new = nn.Conv2d(last.in_channels, int(classes), 1, bias=bias)
    if not name:
        return new.to(last.weight)
    net.set_submodule(name, new.to(last.weight))
    return net


def _last(net: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    linear = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Linear)]
    points = [
        (name, m) for name, m in net.named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)
    ]
    if not linear and not points:
        raise SpecError(f"{type(net).__name__} has no linear layer that could have other classes")
    return (linear or points)[-1]
