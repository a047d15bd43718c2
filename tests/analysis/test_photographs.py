"""On photographs with masks, maps of a network are better than maps that know nothing of it, beyond doubt.

The rule was fixed before any map was looked at: each photograph whose class is one of ImageNet's, as listed, and
among the five best of the network; of those the best is explained. 21 of 60.
Occlusion's window, step and fill are one of ten settings tried.
"""

from pathlib import Path

import pytest
import torch

from unfool.analysis.bootstrap import bootstrap, difference
from unfool.attributions.base import Attribution
from unfool.attributions.baselines import Brightness, CentrePrior
from unfool.attributions.cam import GradCAM
from unfool.attributions.occlusion import Occlusion
from unfool.data.address import open_data
from unfool.measures.places import Overlap, Pointing
from unfool.zoo.address import load

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
WEIGHTS = SHARED / "models" / "imagenet_mobilenet_v2.pt"
CLASSES = {
    "airplane": (404, 895), "apple": (948,), "banana": (954,), "bear": (294, 295, 296, 297), "bed": (520, 564, 831),
    "bowl": (659, 809), "bus": (654, 779, 874), "car": (436, 468, 511, 609, 627, 656, 717, 751, 817),
    "cat": (281, 282, 283, 284, 285), "couch": (831,), "dining table": (532,), "elephant": (101, 385, 386),
    "laptop": (620, 681), "motorcycle": (665, 670), "refrigerator": (760,), "sandwich": (933, 934),
    "sheep": (348, 349), "stop sign": (919,), "teddy bear": (850,), "toilet": (861,),
    "train": (466, 547, 705, 820), "tv": (664, 782, 851), "zebra": (340,),
}  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (WEIGHTS.exists() and (SHARED / "coco" / "index.csv").exists()),
        reason="shared/data with COCO and MobileNet v2 is not beside the project",
    ),
]


@pytest.fixture(scope="module")
def grades():
    """A function from a method to its grades, intersection over union and hits."""
    model = load(f"torchvision:mobilenet_v2?weights={WEIGHTS}")
    source = open_data(str(SHARED / "coco" / "index.csv"))
    batch = source.batch(source.ids(), model.view, model.classes)
    best = torch.cat([model(part) for part in batch.x.split(10)]).topk(5, 1).indices.tolist()
    right = [
        [c for c in five if c in CLASSES.get(str(source.label(id)), ())]
        for id, five in zip(source.ids(), best, strict=True)
    ]
    rows = torch.tensor([k for k, found in enumerate(right) if found])
    y = torch.tensor([found[0] for found in right if found])
    assert batch.masks is not None
    x, masks = batch.x[rows], batch.masks[rows]
    assert len(x) == 21

    def of(method: Attribution):
        heat = torch.cat([method(model, x[k : k + 1], y[k : k + 1]).map for k in range(len(x))])
        return [one(model, x, heat, y, masks=masks).value for one in (Overlap(), Pointing())]

    return of


def test_grad_cam_is_where_the_thing_is_and_the_middle_and_the_brightness_are_not(grades):
    (iou, hits), middle, bright = grades(GradCAM()), grades(CentrePrior()), grades(Brightness())
    for rival in (middle, bright):
        assert bootstrap(iou).low > bootstrap(rival[0]).high
        assert difference(hits, rival[1]).low > 0
    assert bootstrap(hits).low > bootstrap(bright[1]).high


def test_so_is_occlusion_by_large_grey_windows(grades):
    """Half a side, of things that fill 45 % of the picture; a seventh, the default, is no better than the middle."""
    iou, hits = grades(Occlusion((112,), (32,), "mean"))
    middle, bright = grades(CentrePrior()), grades(Brightness())
    for rival in (middle, bright):
        assert difference(iou, rival[0]).low > 0
    assert bootstrap(iou).low > bootstrap(bright[0]).high
    assert difference(hits, bright[1]).low > 0  # image by image: alone, the two intervals overlap
