"""Models by address."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ..data.address import split_address
from ..data.labels import ClassNames, read_classes
from ..detections import detector
from ..errors import DataError, InputError, SpecError, UnknownName, suggestion
from ..model import Model
from ..outputs import Outputs
from ..spec import parse_number
from ..views import View
from .found import Found
from .head import with_head
from .taught import is_taught, taught
from .weights import load_weights

NO_WEIGHTS = "none"
"""What stands in place of a file where a network is to be as it is before it has learned anything."""


def load(
    address: str,
    *,
    classes: Path | str | ClassNames | tuple[str, ...] | None = None,
    view: View | None = None,
    outputs: Outputs | None = None,
    device: str | None = None,
    fast: bool = False,
    trust: bool = False,
    seed: int = 0,
) -> Model:
    """The model at an address: ``torchvision:NAME@WEIGHTS``, ``timm:NAME``, ``file.py:factory``, ``unfool:NAME``.

    Black boxes are ``sklearn:FILE.skops``, ``FILE.onnx`` and ``http://127.0.0.1:PORT/path``. Each network may be
    followed by ``?weights=file`` (.safetensors, .pth or .pt), loaded without running anything in it unless ``trust``,
    by ``?weights=none``, as it is before it has learned anything, and by ``?classes=5``, its last layer drawn anew with
    so many outputs; networks from files and .onnx also by ``mean`` and ``std``, a number or one for each channel:
    ``?mean=0.5&std=0.5``. What ``unfool train`` has taught is a folder, or the ``model.safetensors`` in it.
    ``classes`` are names or a file of them, ``view`` how pictures are cut; both come with the model where it knows
    them. Weights that nobody has learned are drawn by ``seed``, and nobody's random numbers move.
    Raises :class:`UnknownName`, :class:`DataError` or :class:`SpecError` where it cannot be.
    """
    names = read_classes(Path(classes)) if isinstance(classes, (str, Path)) else classes
    wanted = Wanted(names, view, outputs, device, fast, trust, seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = _loaded(address, wanted)
    model.address = address if classes is view is outputs is None else ""
    return model


class Wanted(NamedTuple):
    """What :func:`load` is asked for beside an address."""

    classes: ClassNames | tuple[str, ...] | None
    view: View | None
    outputs: Outputs | None
    device: str | None
    fast: bool
    trust: bool
    seed: int


def _loaded(address: str, wanted: Wanted) -> Model:
    if len(parts := address.split(" + ")) > 1:
        from .ensemble import ensemble

        each = [wanted._replace(seed=wanted.seed + k) for k in range(len(parts))]
        return ensemble([load(part, **how._asdict()) for part, how in zip(parts, each, strict=True)])
    place, options = split_address(address)
    if is_taught(place):
        return _taught(address, Path(place), wanted)
    kind, _, rest = place.partition(":")
    if kind in ("sklearn", "http", "https") or place.endswith(".onnx"):
        return _black_box(place, options, wanted)
    own = options.pop("weights", None)
    found = _found(kind, rest, place, options, own is None)
    if isinstance(found, Found):
        found = _as_asked(address, place, found, options)
    if own not in (None, NO_WEIGHTS):
        load_weights(found.net, Path(own), wanted.trust)
    return found if isinstance(found, Model) else _model(address, found, wanted)


def _taught(address: str, place: Path, wanted: Wanted) -> Model:
    """What ``unfool train`` has left in a folder."""
    known = taught(place)
    classes = known.classes if wanted.classes is None else wanted.classes
    model = load(known.address, **wanted._replace(classes=classes, view=wanted.view or known.view)._asdict())
    model.name = address
    return model


def _as_asked(address: str, place: str, found: Found, options: dict[str, str]) -> Found:
    """A network as the address' options have it; what is left of them nobody knows."""
    own = ".py:" in place
    if own:
        found = found._replace(**normalisation(options))
    if "classes" in options and not found.boxes:
        found = found._replace(net=with_head(found.net, options.pop("classes")), classes=())
    if options:
        embedded = ("net", "width", "stride", "seed") if found.boxes else ("net", "robust")
        others = ("mean", "std") if own else ()
        known = ["classes", "weights", *(embedded if place.startswith("unfool:") else others)]
        raise SpecError(
            f"{address} has no option {next(iter(options))!r}", suggestion(next(iter(options)), known)
        )
    return found


def _model(address: str, found: Found, wanted: Wanted) -> Model:
    net, view = _placed(found.net, wanted.device), wanted.view or found.view
    classes = found.classes if wanted.classes is None else wanted.classes
    if found.boxes:
        return detector(net, classes, name=address, view=view)
    return Model(
        net,
        mean=found.mean,
        std=found.std,
        classes=classes,
        view=view,
        outputs=wanted.outputs,
        fast=wanted.fast,
        name=address,
    )


def normalisation(options: dict[str, str]) -> dict[str, Any]:
    """``mean`` and ``std`` taken out of an address' options: one number, or one for each channel."""
    known = {
        key: [parse_number(part) for part in options.pop(key).split(",")]
        for key in ("mean", "std")
        if key in options
    }
    if len({len(numbers) for numbers in known.values()} - {1}) > 1:
        counts = " and ".join(f"{len(numbers)} for {key}" for key, numbers in known.items())
        raise SpecError(f"{counts} are not numbers of the same channels", "write mean=0.5,0.4,0.3&std=0.2")
    return known


def _found(kind: str, rest: str, place: str, options: dict[str, str], pretrained: bool) -> Found | Model:
    if kind == "unfool":
        return embedded_network(rest, options, pretrained)
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
        f"{place!r} is no model's address",
        "torchvision:NAME, timm:NAME, file.py:factory, unfool:digits, "
        "sklearn:FILE.skops, FILE.onnx or http://127.0.0.1:PORT/path",
    )


def _black_box(place: str, options: dict[str, str], wanted: Wanted) -> Model:
    """What can only be asked."""
    names = tuple(wanted.classes or ())
    if place.startswith("sklearn:"):
        from .sklearn import skops_model

        labels = options.pop("gives", "scores") == "labels"
        model = skops_model(place.removeprefix("sklearn:"), names, labels=labels, trust=wanted.trust)
    elif place.startswith("http"):
        from .http import http_model

        model = http_model(place, options, names, wanted.outputs)
    else:
        from .onnx import onnx_model

        model = onnx_model(place, names, wanted.outputs, **normalisation(options))
    if options:
        raise SpecError(
            f"{place} has no option {next(iter(options))!r}", "docs/attacks-black-box.md lists them"
        )
    model.view = wanted.view
    return model


def embedded_network(name: str, options: dict[str, str], pretrained: bool = True) -> Found | Model:
    """An embedded network: ``digits``, ``digits8`` or ``lesions``, by ``net`` and ``robust``; a detector: ``scenes``.

    ``cine`` and ``landmarks`` answer with maps of scores.
    With ``half`` or ``seed``, or where ``net`` is none (svm, knn, forest, tree), a model trained now.
    """
    from ..data.embedded import NAMES, Embedded
    from .dense import DENSE, build_dense
    from .detectors import embedded_detector
    from .embedded import build
    from .nets import NETS

    if name not in NAMES:
        raise UnknownName("embedded network", f"unfool:{name}", [f"unfool:{known}" for known in NAMES])
    if name == "scenes":
        return embedded_detector(options)
    if name in DENSE:
        names = Embedded(name).label_names()  # pyright: ignore[reportArgumentType]  one of NAMES
        return Found(build_dense(name), classes=names, view=View(channels=1))
    if options.keys() & {"backdoor", "half", "seed"} or options.get("net") in UNTRAINED:
        return _trained_now(name, options)
    net, robust = options.pop("net", "conv"), options.pop("robust", "0") not in ("0", "")
    known = [
        key.partition("_")[2] for key in NETS if key.startswith(f"{name}_") and not key.endswith("robust")
    ]
    if net not in known or (robust and f"{name}_robust" not in NETS):
        raise UnknownName(f"network of unfool:{name}", net if net not in known else "robust", known)
    names = Embedded(name).label_names()  # pyright: ignore[reportArgumentType]  one of NAMES
    net = build(f"{name}_{'robust' if robust else net}", pretrained)
    return Found(net, classes=names, view=View(channels=1))


UNTRAINED = ("forest", "knn", "svm", "tree")
"""Models that come without weights: they are trained when asked for."""


def _trained_now(name: str, options: dict[str, str]) -> Model:
    """A model of an embedded data set, trained on all of it or on one ``half`` (1 or 2) from a ``seed``.

    ``backdoor`` is a class that a small white square leads to.
    """
    from ..data.embedded import Embedded
    from .classic import trained
    from .nets import NETS

    kind, half, seed = options.pop("net", "conv"), options.pop("half", "0"), options.pop("seed", "0")
    known = [key.partition("_")[2] for key in NETS if key.startswith(f"{name}_")] + list(UNTRAINED)
    if kind not in known:
        raise UnknownName(f"network of unfool:{name}", kind, known)
    if half not in ("0", "1", "2") or not seed.isdecimal():
        raise SpecError(f"half={half}, seed={seed} cannot be", "half is 0 (all), 1 or 2, seed a whole number")
    backdoor = options.pop("backdoor", "")
    if backdoor and not (backdoor.isdecimal() and int(backdoor) < len(Embedded(name).label_names())):  # pyright: ignore[reportArgumentType]
        raise SpecError(f"backdoor={backdoor} is no class of unfool:{name}", "a class by its number")
    return trained(name, kind, int(half), int(seed), int(backdoor) if backdoor else None)


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
