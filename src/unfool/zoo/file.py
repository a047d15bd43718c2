"""A network from a Python file."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from torch import nn

from ..errors import DataError, UnfoolError, UnknownName
from ..model import Model
from .found import Found
from .sklearn import sklearn_model


def file_network(path: str, factory: str) -> Found | Model:
    """What the function ``factory`` of the file gives back: a module, or a :class:`Model`."""
    module = _imported(Path(path))
    made = getattr(module, factory, None)
    if not callable(made):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UnknownName(f"function in {path}", factory, known)
    try:
        net = made()
    except UnfoolError:
        raise
    except Exception as error:
        hint = "it is called without arguments" if isinstance(error, TypeError) else ""
        raise DataError(f"{path}:{factory} fails: {type(error).__name__}: {error}", hint) from error
    if isinstance(net, Model):
        return net
    if not isinstance(net, nn.Module) and hasattr(net, "predict"):
        return sklearn_model(net, name=f"{path}:{factory}")
    if not isinstance(net, nn.Module):
        raise DataError(
            f"{path}:{factory} gives {type(net).__name__}",
            "give back a torch module, an unfool.Model or an estimator with predict",
        )
    return Found(net)


def _imported(path: Path) -> ModuleType:
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise DataError(f"there is no file {path}", f"there is {', '.join(beside[:5])}" if beside else "")
    name = f"unfool_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DataError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module
