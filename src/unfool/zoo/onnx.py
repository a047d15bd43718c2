"""Networks in .onnx files, run by onnxruntime: scores, no gradients."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, InputError, MissingExtra
from ..model import Model

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def onnx_model(path: str, classes: Sequence[str] = (), outputs: str | None = None, **how: Any) -> Model:
    """The network in an .onnx file that takes images [B, C, *space]; its first output are the scores.

    They are in [0, 1], unless ``how`` has a ``mean`` and ``std`` by which the network wants them normalised.
    """
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ModuleNotFoundError:
        raise MissingExtra("onnxruntime", "onnx") from None
    if not Path(path).is_file():
        raise DataError(f"there is no file {path}")
    try:
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception of its own for everything
        raise DataError(f"cannot read {path}: {_line(error)}", "a network exported to ONNX") from None
    taken = session.get_inputs()
    if len(taken) != 1 or taken[0].type not in TYPES:
        told = ", ".join(f"{i.name}: {i.type}" for i in taken)
        raise DataError(f"{path} takes {told}", "a network of one input, images as floats in [0, 1]")
    one = taken[0]

    def scores(x: Any) -> Any:
        x = x.astype(TYPES[one.type])
        parts = np.split(x, len(x)) if one.shape[:1] == [1] else [x]  # exported for one image at a time
        try:
            return np.concatenate([session.run(None, {one.name: part})[0] for part in parts])
        except Exception as error:
            wanted = f"images of shape {list(x.shape)}; it takes {one.shape}"
            raise InputError(f"{path} fails on {wanted}: {_line(error)}") from None

    return Model.scores(scores, classes, outputs=outputs, name=path, **how)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
