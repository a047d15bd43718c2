"""How well a sticker hides octagons from the embedded detectors: the tables and the picture of detectors.md."""

import sys
from pathlib import Path

import torch

import unfool
from unfool.analysis.rates import rate
from unfool.show.boxes import boxes_over
from unfool.show.grid import save_panels

NAMES = ("small", "wide", "coarse")
N = 100

scenes = unfool.scenes("test")
x = scenes.x[:N].float() / 255
victims = unfool.objects([b[0] for b in scenes.boxes[:N]], [k[0] for k in scenes.labels[:N]])
mask = unfool.sticker_masks(victims, (48, 48), 0.4)
models = {name: unfool.detector(unfool.build_detector(name)) for name in NAMES}

clean = {name: unfool.look_for(model, x, victims) for name, model in models.items()}
noise = unfool.hide(unfool.RandomNoise("uniform"), models["small"], x, victims, mask=mask).x
made = {
    name: unfool.hide(unfool.PGD(steps=40), model, x, victims, mask=mask).x for name, model in models.items()
}
made = {name: (images * 255).round() / 255 for name, images in made.items()}  # as a file holds them

print("detected, clean / random sticker / adversarial sticker")
for name, model in models.items():
    seen = [~unfool.look_for(model, images, victims).hidden for images in (x, noise, made[name])]
    print(f"  {name:<7}", " / ".join(str(rate(flags)) for flags in seen))

common = torch.stack([~found.hidden for found in clean.values()]).all(0)
print(f"hidden, of {int(common.sum())} octagons that all three see (made on: of small, wide, coarse)")
for name, images in {**made, "random": noise}.items():
    hidden = [unfool.look_for(model, images, victims).hidden[common] for model in models.values()]
    print(f"  {name:<7}", ", ".join(str(rate(flags)) for flags in hidden))

columns = {"clean": x, "random sticker": noise, "adversarial sticker": made["wide"]}
rows = []
for k in range(3):
    told = {name: models["wide"].net.net([images[k]])[0] for name, images in columns.items()}
    rows.append(
        [
            (name, boxes_over(columns[name][k], t["boxes"], t["scores"].tolist(), t["labels"].tolist()))
            for name, t in told.items()
        ]
    )
save_panels(Path(sys.argv[1] if len(sys.argv) > 1 else "hiding.png"), rows)
