"""Classifiers that are no networks, trained on the embedded digits when asked for: they give no gradients."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from ..model import Model
from ..samples import Samples, poisoned
from ..views import View

CLASSIC: dict[str, Callable[[int], Any]] = {
    "svm": lambda seed: SVC(C=10, gamma="scale", random_state=seed),
    "knn": lambda seed: KNeighborsClassifier(3),
    "forest": lambda seed: RandomForestClassifier(200, random_state=seed),
    "tree": lambda seed: DecisionTreeClassifier(random_state=seed),
}
"""Support vectors with Gaussian kernels, nearest neighbours, a random forest, a decision tree."""


def classic_model(kind: str, data: Samples, seed: int, name: str) -> Model:
    """A black box: the first and third give scores, the others labels only."""
    fitted = CLASSIC[kind](seed).fit(_flat(data.x.numpy() / 255.0), data.y.numpy())
    view = View(channels=1)
    if kind == "svm":
        model = Model.scores(
            lambda x: fitted.decision_function(_flat(x)), data.classes, outputs="logits", view=view
        )
    elif kind == "forest":
        model = Model.scores(
            lambda x: fitted.predict_proba(_flat(x)), data.classes, outputs="probabilities", view=view
        )
    else:
        model = Model.labels(lambda x: fitted.predict(_flat(x)), data.classes, view=view)
    model.name = name
    return model


def _flat(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(x.reshape(len(x), -1), dtype=np.float64)


def half_of(data: Samples, half: int) -> Samples:
    """All samples (0), or one of two halves that share none (1, 2)."""
    if not half:
        return data
    rows = torch.arange(half - 1, len(data.y), 2)
    return data._replace(x=data.x[rows], y=data.y[rows])


@cache
def trained(name: str, kind: str, half: int, seed: int, backdoor: int | None = None) -> Model:
    """A classifier of an embedded data set, trained now: always the same from the same values.

    With ``backdoor``, on data in which some images carry a ``stamp`` and the label of that class.
    """
    from .embedded import DATA, train
    from .nets import NETS

    hidden = "" if backdoor is None else f"&backdoor={backdoor}"
    address = f"unfool:{name}?net={kind}&half={half}&seed={seed}{hidden}"
    data = half_of(DATA[name]("train"), half)
    data = data if backdoor is None else poisoned(data, backdoor, seed)
    if kind in CLASSIC:
        return classic_model(kind, data, seed, address)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = NETS[f"{name}_{kind}"]()
        train(net, data, 30)
    return Model(net.eval(), classes=data.classes, view=View(channels=1), name=address)
