"""Estimators of scikit-learn, or anything with ``predict``, over flattened images."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DataError, MissingExtra
from ..model import Model


def sklearn_model(
    estimator: Any, classes: Sequence[str] = (), *, labels: bool = False, name: str = ""
) -> Model:
    """A black box around ``estimator``: by its ``predict_proba``, else (or with ``labels``) by its ``predict``.

    Images [B, C, *space] in [0, 1] are flattened to rows. Its own classes, in its order, are the model's 0, 1, 2 …
    """
    if not hasattr(estimator, "predict"):
        raise DataError(f"{type(estimator).__name__} has no predict", "give a fitted estimator")
    name, known = name or type(estimator).__name__, getattr(estimator, "classes_", None)
    names = tuple(classes) or tuple(map(str, () if known is None else known))
    if not names:
        raise DataError(f"{name} does not say its classes", "fit it first, or give classes=…")
    if not labels and hasattr(estimator, "predict_proba"):
        return Model.scores(_flat(estimator.predict_proba), names, outputs="probabilities", name=name)
    place = {
        value: k for k, value in enumerate(np.asarray(range(len(names)) if known is None else known).tolist())
    }

    def label(rows: Any) -> Any:
        return np.array([place[value] for value in np.asarray(estimator.predict(rows)).tolist()])

    return Model.labels(_flat(label), names, name=name)


def _flat(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: f(x.reshape(len(x), -1))


def skops_model(
    path: str, classes: Sequence[str] = (), *, labels: bool = False, trust: bool = False
) -> Model:
    """The estimator in a .skops file; types that could run code are refused unless ``trust``."""
    try:
        io: Any = importlib.import_module("skops.io")
        exceptions: Any = importlib.import_module("skops.io.exceptions")
    except ModuleNotFoundError:
        raise MissingExtra("skops", "sklearn") from None
    try:
        estimator = io.load(path, trusted=io.get_untrusted_types(file=path) if trust else None)
    except exceptions.UntrustedTypesFoundException as error:
        raise DataError(
            f"{path} holds types that could run any code in it: {str(error)[:160]}",
            "--trust, if it is your own",
        ) from None
    except Exception as error:  # whatever a broken archive raises
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise DataError(f"cannot read {path}: {reason}", "a file written by skops.io.dump") from None
    return sklearn_model(estimator, classes, labels=labels, name=f"sklearn:{path}")
