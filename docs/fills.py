"""What the fill of a hidden window does: table and picture of explain-hide.md."""

import sys
from pathlib import Path

import torch

import unfool
from unfool.analysis.rates import mean_of, rate
from unfool.attributions.windows import Windows
from unfool.fills import filling
from unfool.rows import Rng
from unfool.show.grid import save_panels
from unfool.show.heat import map_picture

N, FILLS = 60, ("inpaint", "blur", "mean", "zero", "noise")
WINDOW, STRIDE = (5,), (2,)

model, data = unfool.load("unfool:lesions"), unfool.open_data("unfool:lesions")
batch = data.batch(data.ids(), None, model.classes)
label = model(batch.x).argmax(1)
ill = ((batch.y == 1) & (label == 1)).nonzero()[:N, 0]
well = ((batch.y == 0) & (label == 0)).nonzero()[:N, 0]
assert len(ill) == len(well) == N

print(f"windows of {WINDOW[0]}, stride {STRIDE[0]}, n = {N} with a finding and {N} without, 95 % intervals")
maps = {}
for fill in FILLS:
    here = unfool.Occlusion(WINDOW, STRIDE, fill)(model, batch.x[ill], 1).map
    masks, positive = batch.masks[ill], here.clamp_min(0)
    share = (positive * masks).flatten(1).sum(1) / positive.flatten(1).sum(1).clamp_min(1e-12)
    top = here.flatten(1).argmax(1, keepdim=True)
    hits = masks.flatten(1).gather(1, top)[:, 0] > 0
    panels = unfool.OcclusionPanels(WINDOW, STRIDE, fill)(model, batch.x[well], 1)
    flipped = panels.notes["likely"].flatten(1).eq(1).any(1)
    inside = mean_of(share.tolist())
    print(
        f"  {fill:<8} in the finding {inside.mean:.2f} ({inside.low:.2f} to {inside.high:.2f})"
        f"   hits {rate(hits)}   a window looks like a finding {rate(flipped)}"
    )
    maps[fill] = here, panels

worst = int(maps["mean"][1].notes["probability"].flatten(1).amax(1).argmax())
grid = Windows.over((batch.x.shape[2], batch.x.shape[3]), WINDOW, STRIDE)
image = batch.x[well][worst : worst + 1]
place = maps["mean"][1].notes["probability"][worst].flatten().argmax()
corner = torch.stack(torch.unravel_index(place, image.shape[2:]))
corner = (corner - WINDOW[0] // 2).clamp(0, image.shape[-1] - WINDOW[0])[None]
rows = [[("without a finding", image[0])], [("with a finding", batch.x[ill][0])]]
for fill in FILLS:
    hidden = image.clone()
    (where,) = grid.places(corner)
    crop = filling(image, fill, Rng.seeded(0, [0]))(torch.tensor([0]), corner, grid.sides)
    hidden[(slice(None), slice(None), *where)] = crop
    rows[0].append((f"{fill}: p {float(model(hidden).softmax(1)[0, 1]):.2f}", hidden[0]))
    rows[1].append((fill, map_picture(maps[fill][0][0])))
save_panels(
    Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures" / "fills.png", rows
)
