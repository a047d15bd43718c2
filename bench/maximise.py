"""Who makes the images that units like fastest, at equal steps and size, and how much the units like them.

Seconds of the processor, of one thread, for each image; and the mean activation of the channel for the finished image,
judged by the same code in float32 on the network itself. Rivals that are not installed are left out. Results go to
maximise.json.

    python bench/maximise.py torchvision:mobilenet_v2?weights=FILE --layer features.10 --channels 16 --steps 96
    python bench/maximise.py resnet50 --layer layer2 --channels 16 --steps 96
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

import unfool
from unfool.fast import computes_bfloat16
from unfool.vision import torchvision

HERE = Path(__file__).parent
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Task(NamedTuple):
    """Images for some channels of a layer of a network that wants normalised images."""

    net: nn.Module
    layer: str
    channels: list[int]
    steps: int
    side: int


Maker = Callable[[Task], Tensor]


def ours(task: Task) -> Tensor:
    """Frequencies, decorrelated where there are data; here there are none. Jitter, scale and angle as lucent's."""
    model = unfool.Model(task.net, mean=MEAN, std=STD, fast=True)
    pad = unfool.Pad(12 / 224, (unfool.Jitter(8), unfool.Pose(10.0, 0.1, 0.0)))
    method = unfool.Maximise(unfool.Fourier(), (pad,), steps=task.steps)
    grey = torch.full((1, 3, task.side, task.side), 0.5)
    return method(model, task.channels, start=grey, objective=unfool.Channel(task.layer)).x


def lucent(task: Task) -> Tensor:
    """``render_vis`` as its front page has it: one image a call, its own transforms, 0.05 by Adam."""
    render, param = import_module("lucent.optvis.render"), import_module("lucent.optvis.param")
    made: list[Tensor] = []
    for channel in task.channels:
        found = render.render_vis(
            task.net,
            f"{task.layer.replace('.', '_')}:{channel}",
            param_f=lambda: param.image(task.side),
            thresholds=(task.steps,),
            show_image=False,
            progress=False,
        )
        made.append(torch.from_numpy(found[-1]).movedim(-1, 1))
    return torch.cat(made).float()


def by_hand(task: Task) -> Tensor:
    """The loop of many notebooks: pixels by Adam, one image at a time, the whole network forward and back."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    made: list[Tensor] = []
    seen: dict[str, Tensor] = {}
    handle = task.net.get_submodule(task.layer).register_forward_hook(lambda _m, _i, o: seen.update(at=o))
    for channel in task.channels:
        x = torch.full((1, 3, task.side, task.side), 0.5).requires_grad_()
        adam = torch.optim.Adam([x], lr=0.02)
        for _ in range(task.steps):
            adam.zero_grad()
            task.net((x - mean) / std)
            (-seen["at"][0, channel].mean()).backward()
            adam.step()
            x.data.clamp_(0, 1)
        made.append(x.detach())
    handle.remove()
    return torch.cat(made)


def available(name: str) -> bool:
    try:
        import_module(name)
    except Exception:
        return False
    return True


def judged(task: Task, x: Tensor) -> list[float]:
    model = unfool.Model(task.net, mean=MEAN, std=STD)
    trace = model.trace(x.clamp(0, 1), (task.layer,))[task.layer]
    return [float(trace[k, channel].mean()) for k, channel in enumerate(task.channels)]


def network(address: str) -> nn.Module:
    """A network by its address; torchvision's of that name with random weights where there is no colon."""
    if ":" in address:
        return unfool.load(address).net.eval()
    torch.manual_seed(0)
    return torchvision().models.get_model(address, weights=None).eval()


def traces(net: nn.Module) -> dict[str, int]:
    """What is left on a network: hooks, and gradients of weights."""
    hooks = sum(len(m._forward_hooks) + len(m._backward_hooks) for m in net.modules())
    return {"hooks": hooks, "gradients": sum(p.grad is not None for p in net.parameters())}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--layer", required=True)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--who", nargs="+", default=["unfool", "by hand", "lucent"])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    makers: dict[str, Maker] = {"unfool": ours, "by hand": by_hand}
    if available("lucent"):
        makers["lucent"] = lucent
    makers = {who: make for who, make in makers.items() if who in given.who}
    results: dict[str, dict[str, object]] = {}
    for who, make in makers.items():
        net = network(given.model)
        task = Task(net, given.layer, list(range(given.channels)), given.steps, given.side)
        times: list[float] = []
        for _ in range(given.rounds):
            torch.manual_seed(0)
            begun = time.process_time()
            x = make(task)
            times.append((time.process_time() - begun) / given.channels)
        left, scores = traces(net), judged(task, x)
        results[who] = {
            "cpu_seconds_per_image": sorted(times)[len(times) // 2],
            "median_score": sorted(scores)[len(scores) // 2],
            "scores": scores,
            "left_behind": left,
        }
        print(
            f"{who:8} {min(times):8.2f} s an image, median score {results[who]['median_score']:.4g}, {left}"
        )
    path = HERE / "maximise.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    setting = f"{given.model.split('?')[0]} {given.layer}, {given.channels} channels, {given.steps} steps, {given.side}"
    quick = {"bfloat16": computes_bfloat16(torch.device("cpu")), "threads": 1}
    known[setting] = {"torch": torch.__version__, **quick, **results}
    path.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
