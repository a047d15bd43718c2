"""How much of a targeted PGD survives fresh transforms, made plainly and through transforms: the table of
attacks-learned.md."""

import unfool
from unfool.analysis.rates import mean_share, rate
from unfool.method import Question
from unfool.transforms import Brightness, Noise, Rotate, Scale, Shift

VIEWS = (Rotate(20.0), Scale(0.1), Shift(0.08), Brightness(0.1))
SAME = unfool.Expectation((Noise(1e-9),), samples=1, stop="never")
ATTACKS = {
    "plain, stops at the first success": unfool.PGD(steps=40),
    "plain, all steps": unfool.PGD(steps=40, slope=SAME),
    "through 8 transforms, all steps": unfool.PGD(steps=40, slope=unfool.Expectation(VIEWS, stop="never")),
}

model, data = unfool.load("unfool:digits"), unfool.open_data("unfool:digits")
batch = data.batch(data.ids()[:120], None, model.classes)
question = Question(model, unfool.Linf(0.25), target=3)
for name, attack in ATTACKS.items():
    found = unfool.Photographed(attack, VIEWS, samples=30).columns(question, batch[batch.y != 3])
    undone = found["undone"][found["fooled"] & found["right_before"]]
    print(
        f"{name}: {rate(found['fooled'])}; fresh {mean_share(found['survives'])}; undone {mean_share(undone)}"
    )
