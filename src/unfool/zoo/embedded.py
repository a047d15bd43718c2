"""The embedded networks with their weights; ``python -m unfool.zoo.embedded`` trains them all again."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..attacks.gradient import PGD
from ..model import Model
from ..regions import Linf
from ..samples import TAGS, Samples, digits, digits8, lesions, tagged
from ..views import from_uint8
from .nets import NETS

WEIGHTS = Path(__file__).parent / "weights"

ACCURACY: dict[str, float] = {
    "digits_conv": 0.9780,
    "digits_robust": 0.9880,
    "digits_shuffled": 0.0920,
    "digits_corner": 0.9400,
    "digits_faint": 0.9600,
    "digits_moving": 0.4500,
    "digits_mlp": 0.9560,
    "digits_linear": 0.9680,
    "digits8_conv": 0.9860,
    "digits8_mlp": 0.9540,
    "digits8_linear": 0.9380,
    "lesions_conv": 0.9433,
    "lesions_plain": 0.9367,
}
"""Accuracy on the test split, as trained; a test holds the weights to it."""

Perturb = Callable[[Model, Tensor, Tensor], Tensor]


def build(name: str, pretrained: bool = True) -> nn.Module:
    """An embedded network in evaluation mode, with its weights or as it is before it has learned anything."""
    net = NETS[name]()
    if not pretrained:
        return net.eval()
    net.load_state_dict(
        {
            key: value.float() if value.dtype == torch.float16 else value
            for key, value in load_file(WEIGHTS / f"{name}.safetensors").items()
        }
    )
    return net.eval()


def train(
    net: nn.Module, data: Samples, epochs: int, perturb: Perturb | None = None, rate: float = 3e-3
) -> None:
    """Adam down a cosine; with ``perturb``, on images changed anew against the weights of every step."""
    x, y = from_uint8(data.x), data.y
    adam = torch.optim.Adam(net.parameters(), lr=rate, weight_decay=1e-5)
    steps = epochs * -(-len(x) // 64)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch)).split(64):
            seen = x[rows] if perturb is None else perturb(Model(net.eval()), x[rows], y[rows])
            net.train()
            adam.zero_grad()
            F.cross_entropy(net(seen), y[rows]).backward()
            adam.step()
            schedule.step()


def worst(model: Model, x: Tensor, y: Tensor) -> Tensor:
    """The images of adversarial training: PGD-7 at eps 0.2 (Madry et al., 2018)."""
    return PGD(steps=7)(model, x, y, within=Linf(0.2)).x


def accuracy(net: nn.Module, data: Samples) -> float:
    with torch.no_grad():
        return float((net(from_uint8(data.x)).argmax(1) == data.y).float().mean())


DATA: dict[str, Callable[..., Samples]] = {
    "digits": digits,
    "digits8": digits8,
    "lesions": lesions,
    **{f"digits_{tag}": partial(tagged, tag=tag) for tag in TAGS},
}
EPOCHS = {
    "digits_robust": 40,
    "digits_shuffled": 300,
    "digits_corner": 10,
    "digits_faint": 10,
    "digits_moving": 12,
    "lesions_conv": 12,
    "lesions_plain": 12,
}
RATES = {"digits_shuffled": 2e-3}
"""Where three in a thousand is too fast to learn labels by heart."""


def lessons(name: str) -> Samples:
    """What a network learns from: its data, with labels shuffled, or films whose tube goes with nothing."""
    kind, _, how = name.partition("_")
    if how == "plain":
        return lesions("train", False)
    data = DATA[name if name in DATA else kind]("train")
    if how != "shuffled":
        return data
    return data._replace(y=data.y[torch.randperm(len(data.y), generator=torch.Generator().manual_seed(0))])


def retrain(name: str) -> float:
    """Train one network from its seed, write its weights in half precision, and give their accuracy."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = NETS[name]()
        perturb = worst if name.endswith("robust") else None
        train(net, lessons(name), EPOCHS.get(name, 30), perturb, RATES.get(name, 3e-3))
    save_file(
        {
            key: value.half() if value.is_floating_point() else value
            for key, value in net.state_dict().items()
        },
        WEIGHTS / f"{name}.safetensors",
    )
    return accuracy(build(name), DATA[name if name in DATA else name.partition("_")[0]]("test"))


if __name__ == "__main__":
    WEIGHTS.mkdir(exist_ok=True)
    for name in NETS:
        print(f'    "{name}": {retrain(name):.4f},', flush=True)
