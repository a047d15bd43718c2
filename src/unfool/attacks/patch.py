"""A patch that fools a network wherever it lies."""

import math
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..detections import finds_boxes
from ..errors import InputError, SpecError
from ..loop import Adam
from ..method import Columns, Question
from ..objectives import Margin, Objective
from ..rows import Batch, Rng, column
from ..spec import Bound, Fraction, Positive
from ..transforms import Change, Transform
from .learned import Control, LearnedAttack, Pose, asked, photographed


class _State(NamedTuple):
    patch: Tensor
    """[1, C, side, side]"""
    mean: Tensor
    square: Tensor
    """What Adam remembers."""
    steps: Tensor


class Patch(LearnedAttack):
    """A printable patch, learned at random places, angles and sizes (Brown et al., 2017, arXiv:1712.09665).

    It covers what is below it and may have any colour; nothing keeps it inconspicuous. Against a detector it lies on
    the object that it hides. Two dimensions.
    """

    side: Annotated[float, Bound(0.01, 1)] = 0.3
    """Its side as a share of the image's shorter one; on objects, of each object's own shorter one."""
    place: tuple[Fraction, ...] = ()
    """(down, right): where its middle is, as shares of the image; empty: anywhere inside. On objects, their middle."""
    turn: Annotated[float, Bound(0, 180)] = 20.0
    """Degrees it is turned by at most, either way."""
    zoom: Annotated[float, Bound(0, 0.9)] = 0.1
    """Share by which it is larger or smaller, at most."""
    shape: Literal["circle", "square"] = "circle"
    camera: tuple[Transform, ...] = ()
    """Changes of the whole picture it is learned through, such as Camera()."""
    loss: Objective = Margin()
    """What to climb."""
    rate: Positive = 0.05
    """Adam's, in units of the image."""

    def start(self, question: Question, batch: Batch) -> _State:
        x = plane(batch.x, "Patch").to(question.model.device)
        if len(self.place) not in (0, 2):
            raise SpecError(f"Patch.place must be (down, right) as shares of the image, not {self.place}")
        sides = _sides(x, batch.victims if finds_boxes(question.model) else None)
        side = max(1, round(self.side * float(sides.max())))
        blank = x.new_full((1, x.shape[1], side, side), 0.5)
        return _State(blank, *Adam.fresh(blank), torch.tensor(0))

    def update(self, question: Question, state: _State, batch: Batch) -> _State:
        query = asked(question, batch, self.loss, type(self).__name__)
        x = batch.x.to(question.model.device)
        with query.model.settled():
            patches = state.patch.expand(len(x), *state.patch.shape[1:])
            paste = self._paste(x, on=query.y if finds_boxes(question.model) else None)
            grad = photographed(query, question, patches, (paste, *self.camera))
        adam, way = Adam(state.mean, state.square).step(grad.mean(0, keepdim=True), state.steps)
        return _State((state.patch + self.rate * way).clamp(0, 1), *adam, state.steps + 1)

    def finish(self, state: _State) -> Columns:
        return {"patch": state.patch}

    def put(
        self, learned: Columns, x: Tensor, rng: Rng, pose: Pose | None = None, on: Tensor | None = None
    ) -> Tensor:
        patch = learned["patch"]
        if patch.shape[1] != x.shape[1]:
            raise InputError(f"the patch has {patch.shape[1]} channels, the images have {x.shape[1]}")
        return self._paste(plane(x, "Patch"), pose, on)(patch.expand(len(x), *patch.shape[1:]), rng)

    def control(self, learned: Columns, kind: Control, rng: Rng) -> Columns:
        """Random: noise. Plain: white."""
        patch = learned["patch"]
        return {"patch": rng.uniform(patch, 0, 1) if kind == "random" else torch.ones_like(patch)}

    def picture(self, learned: Columns) -> Tensor:
        """The patch on white."""
        patch = learned["patch"]
        there = _inside(_own_grid(patch), self.shape, patch.shape[-1] / 2)
        return (patch * there + 1 - there)[0]

    def _paste(self, x: Tensor, pose: Pose | None = None, on: Tensor | None = None) -> Change:
        sides = _sides(x, on)

        def paste(patches: Tensor, rng: Rng) -> Tensor:
            draws = rng.uniform(x.new_empty(len(x), 4))
            angle = (
                math.pi / 180 * (draws[:, 0] * self.turn if pose is None else draws[:, 0] * 0 + pose.degrees)
            )
            scale = 1 + draws[:, 1] * self.zoom if pose is None else draws[:, 1] * 0 + pose.scale
            radius = scale * self.side * sides / 2
            middle = self._middle(x, angle, radius, draws[:, 2:]) if on is None else _middles(x, on)
            grid = _grid(x, angle, radius, middle)
            there = _inside(grid, self.shape, column(radius, x))
            seen = F.grid_sample(patches, grid, padding_mode="border", align_corners=False)
            return x + there * (seen - x)

        return paste

    def _middle(self, x: Tensor, angle: Tensor, radius: Tensor, draws: Tensor) -> Tensor:
        """Where the middle of the patch is, in pixels from that of the image: [B, 2], down and right."""
        size = torch.tensor(x.shape[2:]).to(x)
        if self.place:
            return ((torch.tensor(self.place).to(x) - 0.5) * size).expand(len(x), 2)
        reach = radius * (angle.cos().abs() + angle.sin().abs()) if self.shape == "square" else radius
        return draws * (size / 2 - reach[:, None]).clamp_min(0)


def _sides(x: Tensor, on: Tensor | None) -> Tensor:
    """The shorter side of each image, or of the object it lies on: [B]."""
    if on is None:
        return x.new_full((len(x),), min(x.shape[2:]))
    return (on[:, 2:4] - on[:, :2]).amin(1).to(x)


def _middles(x: Tensor, on: Tensor) -> Tensor:
    """The middles of objects [B, 5], in pixels from that of the image: [B, 2], down and right."""
    size = torch.tensor(x.shape[2:]).to(x)
    return ((on[:, :2] + on[:, 2:4]) / 2).flip(1).to(x) - size / 2


def _grid(x: Tensor, angle: Tensor, radius: Tensor, middle: Tensor) -> Tensor:
    """Where each pixel of the images lies on a patch, whose sides are at -1 and 1: [B, H, W, 2], right and down."""
    height, width = x.shape[2:]
    cos, sin = angle.cos() / radius, angle.sin() / radius
    down, right = middle.unbind(1)
    across = [cos * width / 2, sin * height / 2, -(cos * right + sin * down)]
    along = [-sin * width / 2, cos * height / 2, sin * right - cos * down]
    matrix = torch.stack([*across, *along], 1).view(-1, 2, 3)
    return F.affine_grid(matrix, list(x.shape), align_corners=False)


def _own_grid(patch: Tensor) -> Tensor:
    straight = torch.eye(2, 3).to(patch)[None]
    return F.affine_grid(straight, list(patch.shape), align_corners=False)


def _inside(grid: Tensor, shape: str, radius: Tensor | float) -> Tensor:
    """How much of each pixel the patch covers, soft over one pixel at its edge: [B, 1, H, W]."""
    out = grid.norm(dim=3) if shape == "circle" else grid.abs().amax(3)
    return ((1 - out[:, None]) * radius + 0.5).clamp(0, 1)


def plane(x: Tensor, who: str) -> Tensor:
    if x.ndim != 4:
        raise InputError(f"{who} needs pictures [B, C, H, W], not {list(x.shape)}", "Universal() takes any")
    return x
