"""timm's networks with their own pre-processing."""

import importlib
from typing import Any

from ..errors import DataError, MissingExtra, UnknownName
from ..views import View
from ..vision import torchvision
from .found import Found


def timm_network(name: str, pretrained: bool) -> Found:
    """A network of timm by its name; without ``pretrained`` the architecture alone, its own weights to follow."""
    torchvision()  # which timm imports
    try:
        timm: Any = importlib.import_module("timm")
    except ModuleNotFoundError:
        raise MissingExtra("timm", "vision") from None
    kind, _, tag = name.partition(".")
    if kind not in (known := timm.list_models()):
        raise UnknownName("timm network", name, known)
    if tag and name not in (known := timm.list_pretrained(f"{kind}.*")):
        raise UnknownName("timm network", name, known)
    try:
        net = timm.create_model(name, pretrained=pretrained)
    except (OSError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise DataError(f"cannot get the weights of {name}: {reason}", f"timm:{name}?weights=FILE") from None
    how = timm.data.resolve_data_config({}, model=net)
    crop = int(how["input_size"][-1])
    view = View(int(crop / how["crop_pct"]), crop, how["input_size"][0], how["interpolation"] == "bicubic")
    return Found(net, how["mean"], how["std"], view=view)
