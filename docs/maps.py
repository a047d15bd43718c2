"""Where two networks look in a synthetic film, by six methods: the picture of the README.

The film has a finding and a drain tube. One network was trained where a tube goes with nearly every finding, the other
where it does not; the first panel of the second row is the mask of the finding.
"""

import sys
from pathlib import Path

import unfool
from unfool.show.grid import save_panels
from unfool.show.heat import overlay

data = unfool.open_data("unfool:lesions")
batch = data.batch(data.ids()[:100], None, ("no finding", "finding"))
k = next(k for k in range(100) if batch.y[k] == 1 and batch.groups["tube"][k] == "tube")
x, finding = batch.x[k : k + 1], batch.masks[k].float()
methods = {
    "SmoothGrad": unfool.SmoothGrad(unfool.Gradient("sum"), samples=30),
    "integrated gradients": unfool.IntegratedGradients(baseline=0.4),
    "Grad-CAM": unfool.GradCAM(),
    "guided Grad-CAM": unfool.GuidedGradCAM(),
    "LRP": unfool.LRP(),
    "occlusion": unfool.Occlusion(window=9, stride=3),
}
rows = []
for first, address in (
    (("film", x[0]), "unfool:lesions"),
    (("finding", finding), "unfool:lesions?net=plain"),
):
    model = unfool.load(address)
    maps = [(name, overlay(x[0], method(model, x, 1).heat[0])) for name, method in methods.items()]
    rows.append([first, *maps])
if len(sys.argv) > 1:
    save_panels(Path(sys.argv[1]), rows, 128)
