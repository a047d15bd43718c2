"""MLflow: ``--track mlflow:FOLDER``, or the address of a server."""

import importlib
import re
from pathlib import Path
from typing import Any

from ..errors import MissingExtra
from .base import Tracker


class MLflow(Tracker):
    """A run of the experiment unfool."""

    def __init__(self, place: str, name: str):
        try:
            mlflow: Any = importlib.import_module("mlflow")
        except ModuleNotFoundError:
            raise MissingExtra("mlflow-skinny", "mlflow") from None
        where = place or "runs/mlflow"
        where = where if re.match(r"\w+://", where) else f"sqlite:///{_made(Path(where)) / 'mlflow.db'}"
        self.client = mlflow.MlflowClient(tracking_uri=where)
        experiment = self.client.get_experiment_by_name("unfool")
        number = self.client.create_experiment("unfool") if experiment is None else experiment.experiment_id
        self.run = self.client.create_run(number, run_name=name).info.run_id

    def number(self, name: str, value: float, step: int = 0) -> None:
        self.client.log_metric(self.run, _allowed(name), value, step=step)

    def picture(self, name: str, path: Path) -> None:
        self.client.log_artifact(self.run, str(path), "pictures")

    def text(self, name: str, value: str) -> None:
        self.client.set_tag(self.run, _allowed(name), value[:5000])

    def close(self) -> None:
        self.client.set_terminated(self.run)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _allowed(name: str) -> str:
    return re.sub(r"[^\w\-./ ]", "_", name)
