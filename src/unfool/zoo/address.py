"""Models by address."""

from pathlib import Path

import torch
from torch import nn

from ..data.address import split_address
from ..data.labels import ClassNames, read_classes
from ..errors import DataError, InputError, SpecError, UnknownName, suggestion
from ..model import Model
from ..outputs import Outputs
from ..views import View
from .found import Found
from .weights import load_weights


def load(
    address: str,
    *,
    classes: Path | str | ClassNames | tuple[str, ...] | None = None,
    view: View | None = None,
    outputs: Outputs | None = None,
    device: str | None = None,
    fast: bool = False,
    trust: bool = False,
) -> Model:
    """The model at an address: ``torchvision:NAME@WEIGHTS``, ``timm:NAME``, ``file.py:factory``, ``unfool:NAME``.

    Each may be followed by ``?weights=file`` (.safetensors, .pth or .pt), loaded without running anything in it unless
    ``trust``. ``classes`` are names or a file of them, ``view`` how pictures are cut; both come with the model where it
    knows them. Raises :class:`UnknownName`, :class:`DataError` or :class:`SpecError` where it cannot be.
    """
    place, options = split_address(address)
    kind, _, rest = place.partition(":")
    own = options.pop("weights", None)
    found = _found(kind, rest, place, options, own is None)
    if isinstance(found, Model):
        return found
    if options:
        known = ["weights", *(("net", "robust") if kind == "unfool" else ())]
        raise SpecError(
            f"{address} has no option {next(iter(options))!r}", suggestion(next(iter(options)), known)
        )
    if own is not None:
        load_weights(found.net, Path(own), trust)
    names = read_classes(Path(classes)) if isinstance(classes, (str, Path)) else classes
    return Model(
        _placed(found.net, device),
        mean=found.mean,
        std=found.std,
        classes=found.classes if names is None else names,
        view=view or found.view,
        outputs=outputs,
        fast=fast,
        name=address,
    )


def _found(kind: str, rest: str, place: str, options: dict[str, str], pretrained: bool) -> Found | Model:
    if kind == "unfool":
        return embedded_network(rest, options)
    if kind == "torchvision":
        from .torchvision import torchvision_network

        return torchvision_network(rest, pretrained)
    if kind == "timm":
        from .timm import timm_network

        return timm_network(rest, pretrained)
    if ".py:" in place:
        from .file import file_network

        return file_network(*place.rsplit(":", 1))
    raise DataError(
        f"{place!r} is no model's address", "torchvision:NAME, timm:NAME, file.py:factory or unfool:digits"
    )


def embedded_network(name: str, options: dict[str, str]) -> Found:
    """An embedded network: ``digits``, ``digits8`` or ``lesions``, by ``net`` and ``robust``."""
    from ..data.embedded import NAMES, Embedded
    from .embedded import build
    from .nets import NETS

    if name not in NAMES:
        raise UnknownName("embedded network", f"unfool:{name}", [f"unfool:{known}" for known in NAMES])
    net, robust = options.pop("net", "conv"), options.pop("robust", "0") not in ("0", "")
    known = [
        key.partition("_")[2] for key in NETS if key.startswith(f"{name}_") and not key.endswith("robust")
    ]
    if net not in known or (robust and f"{name}_robust" not in NETS):
        raise UnknownName(f"network of unfool:{name}", net if net not in known else "robust", known)
    names = Embedded(name).label_names()  # pyright: ignore[reportArgumentType]  one of NAMES
    return Found(build(f"{name}_{'robust' if robust else net}"), classes=names, view=View(channels=1))


def _placed(net: nn.Module, device: str | None) -> nn.Module:
    if device is None:
        return net.eval()
    try:
        return net.to(torch.device(device)).eval()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"there is no device {device!r}: {reason}", "--device cpu, or leave it out"
        ) from None
