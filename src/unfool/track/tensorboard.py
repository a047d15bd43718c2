"""TensorBoard: ``--track tensorboard:FOLDER``."""

from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import MissingExtra
from .base import Tracker


class TensorBoard(Tracker):
    """Event files in a folder."""

    def __init__(self, place: str, name: str):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            raise MissingExtra("tensorboard", "tensorboard") from None
        self.writer = SummaryWriter(str(Path(place or "runs/tensorboard") / name))

    def number(self, name: str, value: float, step: int = 0) -> None:
        self.writer.add_scalar(name, value, step)

    def picture(self, name: str, path: Path) -> None:
        with Image.open(path) as picture:
            self.writer.add_image(name, np.asarray(picture.convert("RGB")), dataformats="HWC")

    def text(self, name: str, value: str) -> None:
        self.writer.add_text(name, value)

    def close(self) -> None:
        self.writer.close()
