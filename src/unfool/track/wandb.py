"""Weights & Biases: ``--track wandb:PROJECT``, offline unless WANDB_MODE says otherwise."""

import importlib
import os
from pathlib import Path
from typing import Any

from ..errors import MissingExtra
from .base import Tracker


class WandB(Tracker):
    """A run of a project, in a folder until ``wandb sync``."""

    def __init__(self, place: str, name: str):
        try:
            self.wandb: Any = importlib.import_module("wandb")
        except ModuleNotFoundError:
            raise MissingExtra("wandb", "wandb") from None
        how = {"project": place or "unfool", "name": name, "mode": os.environ.get("WANDB_MODE", "offline")}
        self.step = 0
        self.run = self.wandb.init(**how, settings=self.wandb.Settings(silent=True))

    def number(self, name: str, value: float, step: int = 0) -> None:
        self.step = max(step, self.step)  # what comes for an earlier one is thrown away
        self.run.log({name: value}, step=self.step)

    def picture(self, name: str, path: Path) -> None:
        self.run.log({name: self.wandb.Image(str(path))}, step=self.step)

    def text(self, name: str, value: str) -> None:
        self.run.config.update({name: value})

    def close(self) -> None:
        self.run.finish()
