"""torchvision's networks with the pre-processing and class names of their weights."""

from typing import Any

from ..errors import DataError, UnknownName
from ..views import View
from ..vision import torchvision
from .found import Found


def torchvision_network(name: str, pretrained: bool) -> Found:
    """``NAME`` or ``NAME@WEIGHTS``; without ``pretrained`` the architecture alone, its own weights to follow.

    Pre-processing and class names are those of the weights named, else of torchvision's first for that architecture.
    """
    models = torchvision().models
    name, _, tag = name.partition("@")
    detectors = models.list_models(module=models.detection)
    if name not in (known := [*models.list_models(module=models), *detectors]):
        raise UnknownName("torchvision network", name, known)
    weights, boxes = _weights(models, name, tag), name in detectors
    bare = {"weights": None, "weights_backbone": None} if boxes else {"weights": None}
    try:
        net = models.get_model(name, **({"weights": weights} if pretrained else bare))
    except (OSError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        hint = f"torchvision:{name}?weights=FILE takes weights you have"
        raise DataError(f"cannot get the weights of {name}: {reason}", hint) from None
    if boxes:  # they prepare their images themselves
        return Found(net, classes=weights.meta["categories"], view=View(channels=3), boxes=True)
    return Found(net, **_preparation(weights))


def _weights(models: Any, name: str, tag: str) -> Any:
    every = {w.name: w for w in models.get_model_weights(name)}
    if tag and tag not in every:
        raise UnknownName(f"set of weights of {name}", tag, every)
    return every[tag] if tag else next(iter(every.values()))


def _preparation(weights: Any) -> dict[str, Any]:
    how = weights.transforms()
    bicubic = "bicubic" in str(how.interpolation)
    view = View(how.resize_size[0], how.crop_size[0], 3, bicubic)
    return {"mean": how.mean, "std": how.std, "classes": tuple(weights.meta["categories"]), "view": view}
