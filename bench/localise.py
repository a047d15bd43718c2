"""Where maps point on the phantom's lesions: every method and the maps that know nothing, by the same protocol.

    python bench/localise.py [--images 300]

The plain network and the lesions of the test set (no shortcut), class "finding" explained for all; intersection over
union after Otsu's threshold and hit rate (Saporta et al., 2022), 95 % intervals from 1,000 bootstraps. Prints the table
of docs/grading.md and writes bench/localise.json.
"""

import argparse
import json
from pathlib import Path

import torch

import unfool
from unfool.analysis.bootstrap import bootstrap
from unfool.attributions.baselines import BASELINES

METHODS = (
    *(unfool.Gradient(), unfool.SmoothGrad(samples=25)),
    *(unfool.GradCAM(), unfool.GradCAM("features.6"), unfool.LayerCAM()),
    *(unfool.Occlusion((9,), (3,)), unfool.Occlusion((9,), (3,), "mean")),
    *BASELINES,
)
MEASURES = unfool.Overlap(), unfool.Pointing()


def main() -> None:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("--images", type=int, default=300)
    images = reader.parse_args().images
    model, data = unfool.load("unfool:lesions?net=plain"), unfool.open_data("unfool:lesions?shortcut=0")
    ids = [i for i in data.ids() if data.label(i) == 1][:images]
    batch = data.batch(ids, model.view, model.classes)
    found = []
    print(f"| n = {len(ids)} | mIoU | hit rate |\n|---|---|---|")
    for method in METHODS:
        parts = [batch[torch.arange(k, min(k + 50, len(ids)))] for k in range(0, len(ids), 50)]
        heat = torch.cat([method(model, part.x, 1, ids=part.ids).map for part in parts])
        values = [one(model, batch.x, heat, 1, masks=batch.masks).value for one in MEASURES]
        means = [bootstrap(value) for value in values]
        print(
            "| `{}` | {} | {} |".format(method, *(f"{m.mean:.2f} ({m.low:.2f}–{m.high:.2f})" for m in means))
        )
        found.append(
            {"method": repr(method)}
            | {repr(one): mean._asdict() for one, mean in zip(MEASURES, means, strict=True)}
        )
    told = {"model": model.name, "data": "unfool:lesions?shortcut=0", "target": 1, "methods": found}
    Path(__file__).with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
