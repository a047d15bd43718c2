"""What is handed to a method by mistake is one clear sentence, whichever method it is."""

import numpy as np
import pytest
import torch
from torch import nn

from unfool import FGSM, Gradient, InputError, Linf, Model, Square, SurFree
from unfool.synthesis.fooling import Fooling

NET = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
X, Y = torch.rand(2, 1, 4, 4), torch.tensor([0, 1])


@pytest.mark.parametrize(
    "call", [lambda: FGSM()(NET, X, Y), lambda: Gradient()(NET, X), lambda: Fooling()(NET, 0, start=X[:1])]
)
def test_a_bare_network_is_no_model(call):
    with pytest.raises(InputError, match="not Sequential") as caught:
        call()
    assert caught.value.hint == "wrap it: Model(net)"


def test_a_number_is_no_region():
    with pytest.raises(InputError, match=r"within must be a region, not 0\.1") as caught:
        FGSM()(Model(NET), X, Y, within=0.1)  # type: ignore[arg-type]
    assert caught.value.hint == "such as Linf(0.1)"


def test_a_mask_is_a_tensor():
    with pytest.raises(InputError, match="a mask must be a torch tensor, not ndarray"):
        FGSM()(Model(NET), X, Y, within=Linf(0.1), mask=np.ones((2, 1, 4, 4)))  # type: ignore[arg-type]


def test_classes_to_draw_are_numbers():
    with pytest.raises(InputError, match="classes must be whole numbers, not 'cat'"):
        Fooling()(Model(NET), "cat", start=X[:1])


@pytest.mark.parametrize("answer", [None, "cat", 0.5, {"label": 1}])
def test_an_oracle_that_answers_no_numbers(answer):
    with pytest.raises(InputError, match="holds no numbers, or one for all"):
        Square(queries=3)(Model.scores(lambda x: answer), X, Y)


def test_an_oracle_that_answers_names():
    with pytest.raises(InputError, match="answers list that holds no numbers"):
        SurFree(queries=3)(Model.labels(lambda x: ["cat"] * len(x), 3), X, Y)
