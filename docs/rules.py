"""What rules show of single units, and of a network without any learning: table and picture of explain-rules.md."""

import sys
from pathlib import Path

import torch

import unfool
from unfool.analysis.rates import mean_of
from unfool.maps import spearman
from unfool.measures.sanity import redrawn
from unfool.show.grid import save_panels
from unfool.show.heat import map_picture

N, DRAWS = 100, 5

model, data = unfool.load("unfool:digits"), unfool.open_data("unfool:digits")
x = data.batch(data.ids()[:N], None, model.classes).x
y = model(x).argmax(1)
methods = {
    "gradient": unfool.Gradient(),
    "deconvnet": unfool.Bent(rule=unfool.Deconv()),
    "guided": unfool.Bent(),
    "Guided Grad-CAM": unfool.GuidedGradCAM(),
    "LRP": unfool.LRP(),
    "LRP, flat and z+": unfool.LRP(unfool.Flat(), unfool.ZPlus()),
}
empty = [redrawn(model, seed) for seed in range(DRAWS)]

print(f"rank correlation with the map of {DRAWS} networks of random weights, and with the image; n = {N}")
for name, method in methods.items():
    heat = method(model, x, y).map.abs()
    random = torch.stack([spearman(heat, method(other, x, y).map.abs()) for other in empty]).mean(0)
    means = [mean_of(values.tolist()) for values in (random, spearman(heat, x))]
    print(f"  {name:<17}", "   ".join(f"{m.mean:.2f} ({m.low:.2f} to {m.high:.2f})" for m in means))

rows, shown = [], set()
for k in range(1, N):
    image = x[k : k + 1]
    seen = model.trace(image, ("features.4",))["features.4"][0]
    channel, *place = (int(i) for i in torch.unravel_index(seen.argmax(), seen.shape))
    if channel in shown or len(rows) == 3:
        continue
    shown.add(channel)
    unit = unfool.Neuron("features.4", tuple(place))
    row = [("image", image[0])]
    for name in ("gradient", "deconvnet", "guided"):
        heat = methods[name](model, image, channel, objective=unit).heat[0]
        row.append((f"{name}, unit {channel}", map_picture(heat)))
    heat = unfool.Bent()(empty[0], image, channel, objective=unit).heat[0]
    rows.append([*row, ("guided, random weights", map_picture(heat))])
if len(sys.argv) > 1:
    save_panels(Path(sys.argv[1]), rows, 160)
