"""What is known of a pupil between two updates, as tensors by name: written down, it can be taken up again."""

from collections import Counter

import torch
from torch import Tensor

from ..method import Columns
from .pupil import Pupil


def written(pupil: Pupil) -> Columns:
    """All of it: weights, their mean, what the optimiser remembers, changes carried on, counts."""
    pupil.agree()
    found = {f"net/{name}": value.detach().clone() for name, value in pupil.net.state_dict().items()}
    found |= {f"mean/{name}": value.clone() for name, value in pupil.mean.items()}
    for k, each in pupil.optimiser.state_dict()["state"].items():
        found |= {f"optimiser/{k}/{key}": v for key, v in each.items() if isinstance(v, Tensor)}
    counts = [pupil.updates, pupil.spent["forward"], pupil.spent["backward"], pupil.split]
    found |= {"told": pupil.told.clone(), "counts": torch.tensor(counts)}
    return found if pupil.carried is None else found | {"carried": _merged(pupil, pupil.carried)}


def _merged(pupil: Pupil, carried: Tensor) -> Tensor:
    """Everybody's own rows together."""
    begin, end = pupil.ranks.bounds(pupil.rows)
    whole = torch.zeros_like(carried)
    whole[begin:end] = carried[begin:end]
    pupil.ranks.add([whole])
    return whole


def take_up(pupil: Pupil, held: Columns) -> None:
    """Go on from what was written."""
    pupil.load(_under("net", held))
    pupil.mean = {name: t.to(pupil.device) for name, t in _under("mean", held).items()}
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimiser", held).items():
        k, _, key = name.partition("/")
        state.setdefault(int(k), {})[key] = value
    groups = pupil.optimiser.state_dict()["param_groups"]
    pupil.optimiser.load_state_dict({"state": state, "param_groups": groups})
    pupil.told = held["told"].to(pupil.device)
    pupil.updates, forward, backward, pupil.split = held["counts"].tolist()
    pupil.spent = Counter(forward=forward, backward=backward)
    pupil.carried = held["carried"].to(pupil.device) if "carried" in held else None


def _under(head: str, held: Columns) -> Columns:
    return {name.partition("/")[2]: t for name, t in held.items() if name.startswith(f"{head}/")}
