"""A network of one's own: wrap it once, then attack it, explain it, and judge the change on what a file would hold."""

import torch
from torch import nn

import unfool

net = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 5)
).eval()
model = unfool.Model(
    net, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), classes=["ant", "bee", "cat", "dog", "eel"]
)

x = torch.rand(4, 3, 32, 32)  # images are floats in [0, 1]; mean and std are the model's own business
y = model(x).argmax(1)

found = unfool.PGD(steps=40, loss=unfool.Margin())(model, x, y, within=unfool.Linf(8 / 255))
print("fooled:", found.success.tolist(), "by at most", round(float(found.linf.max()), 4), "for", found.cost)

one_each = unfool.Smallest(unfool.PGD(steps=20))(model, x, y, within=unfool.Linf(0.5))
print("smallest change of each image:", [round(float(r), 4) for r in one_each.linf])

why = unfool.SmoothGrad(unfool.GradCAM("1"), samples=9)(model, x)
print("maps:", list(why.map.shape), "of classes", [model.label_name(int(t)) for t in why.target])
