"""What a run asks, on its way to another process: models travel without their copies and land on the worker's GPU."""

import io
import sys
from typing import Any

import torch

from ...borrow import copied
from ...errors import EngineError
from ...model import Model
from ..engine import Rows
from .cluster import ray


def packed(rows: Rows) -> bytes:
    """Rows as bytes, with all that they hold; what cannot travel is one sentence."""
    for name in [name for name in sys.modules if name.startswith("unfool_file_")]:  # of file.py:factory
        ray.cloudpickle.register_pickle_by_value(sys.modules[name])
    case = io.BytesIO()
    try:
        _Packer(case).dump(rows)
    except (TypeError, AttributeError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise EngineError(
            f"what is asked cannot be sent to workers: {reason}",
            "ranks load everything themselves: torchrun, or --part 1/8",
        ) from None
    return case.getvalue()


def unpacked(case: bytes) -> Rows:
    return ray.cloudpickle.loads(case)


class _Packer(ray.cloudpickle.CloudPickler):  # pyright: ignore[reportUntypedBaseClass]
    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Model:
            return landed, (travelling(obj),)
        return super().reducer_override(obj)


def travelling(model: Model) -> dict[str, Any]:
    """What a model is, on the processor and without what it has worked out for itself."""
    state = {**vars(model), "_swift": None, "_spatial": {}, "_borrowed": 0}
    if model.device.type != "cpu":
        state["net"] = copied(model.net).cpu()
    return state


def landed(state: dict[str, Any]) -> Model:
    """The model on the GPU that this worker was given, else on the processor."""
    gpus = ray.get_gpu_ids() if ray.is_initialized() else []
    there = gpus and torch.cuda.is_available() and next(state["net"].parameters(), None) is not None
    home = torch.device("cuda:0" if there else "cpu")
    net = state["net"].to(home)
    model = Model.__new__(Model)
    vars(model).update(state | {"net": net, "device": home, "_dress": state["_dress"].on(net, home)})
    return model
