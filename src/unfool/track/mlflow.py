"""MLflow: ``--track mlflow:FOLDER``, or the address of a server."""

import importlib
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
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
        where = where if re.match(r"\w+://", where) else Path(where).absolute().as_uri()
        with _files_allowed():
            self.client = mlflow.MlflowClient(tracking_uri=where)
            known = self.client.get_experiment_by_name("unfool")
            number = self.client.create_experiment("unfool") if known is None else known.experiment_id
            self.run = self.client.create_run(number, run_name=name).info.run_id

    def number(self, name: str, value: float, step: int = 0) -> None:
        self.client.log_metric(self.run, _allowed(name), value, step=step)

    def picture(self, name: str, path: Path) -> None:
        self.client.log_artifact(self.run, str(path), "pictures")

    def text(self, name: str, value: str) -> None:
        self.client.set_tag(self.run, _allowed(name), value[:5000])

    def close(self) -> None:
        self.client.set_terminated(self.run)


@contextmanager
def _files_allowed() -> Generator[None]:
    """MLflow would rather have a database than a folder, which its small package cannot write."""
    name, before = "MLFLOW_ALLOW_FILE_STORE", os.environ.get("MLFLOW_ALLOW_FILE_STORE")
    os.environ[name] = before or "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _allowed(name: str) -> str:
    return re.sub(r"[^\w\-./ ]", "_", name)
