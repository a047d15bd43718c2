"""Nothing but predict(): scores can be climbed by guessing gradients, labels can be tried with random changes."""

import numpy as np
import torch

import unfool


def predict(x):
    """Any function of numpy images [B, C, H, W]: a service, another framework, a program."""
    bright = x.mean((1, 2, 3))
    return np.stack([0.5 - bright, bright - 0.5], 1)


x = 0.45 + 0.02 * torch.rand(4, 1, 8, 8)

model = unfool.Model.scores(predict, classes=["dark", "bright"])
found = unfool.PGD(steps=10, slope=unfool.NES(samples=30))(model, x, [0] * 4, within=unfool.Linf(0.1))
print("by scores:", found.success.tolist(), found.cost)

model = unfool.Model.labels(lambda x: predict(x).argmax(1), classes=["dark", "bright"])
found = unfool.RandomNoise(draws=50)(model, x, [0] * 4, within=unfool.Linf(0.1))
print("by labels, at random:", found.success.tolist(), found.cost)

try:
    unfool.FGSM()(model, x, [0] * 4)
except unfool.AccessError as error:
    print(error, "|", error.hint)
