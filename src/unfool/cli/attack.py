"""``unfool attack``."""

from pathlib import Path
from typing import TYPE_CHECKING

from .pictures import Shown, run_over
from .searches import counted, draw_classes, few_pixels, pixel_panels
from .shared import ModelOptions, OutputOptions, class_number

if TYPE_CHECKING:
    from torch import Tensor

    from ..model import Model
    from ..runs.table import Table


def attack(
    method: str,
    data: str,
    *,
    model: str = "unfool:digits",
    target: str | None = None,
    within: str | None = None,
    learn: str | None = None,
    size_cm: float = 10.0,
    out: Path = Path("runs/attack"),
    limit: int | None = None,
    pictures: int = 24,
    film: int = 0,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Look for changed pictures that a model gets wrong.

    Writes each changed picture as an 8-bit PNG (what is printed is judged on that file, too), a panel beside the
    original, and all numbers as table.parquet. A picture without a label is led away from the class the model predicts.
    What is learned (Universal, Patch, Sticker) is judged on pictures it has not seen, beside a random and a plain
    change of its size, shown from several angles and distances, and written so that it can be printed.
    Attacks that ask for scores or labels only add queries.svg, with random changes as the control; attacks on a few
    pixels ring them and add classes.svg, which class was taken for which.

    Parameters
    ----------
    method
        An attack as text: PGD, "PGD(steps=40, loss=Margin())", "Smallest(FGSM())"; unfool methods lists them.
        "Substitute()" learns a substitute of a black box first, and writes how its attacks transfer.
    data
        A picture, a folder, .csv, .parquet, .npz, torchvision:NAME:split or unfool:digits.
    model
        An address, as for unfool audit.
    target
        Class to lead to, by name or number; by default away from the label.
    within
        The change allowed, such as "Linf(8/255)", "L2(0.5)" or "Mask(Linf(1), box=(0, 0, 0.2, 0.2))"; by default 0.1 on
        embedded data, else 8/255, in Linf, and no bound for an attack that looks for the smallest change.
    learn
        The pictures a change is learned on; by default the train split of embedded data, else the half of the data it
        is not judged on.
    size_cm
        How wide a learned change is printed.
    out
        The folder for pictures and numbers.
    limit
        How many pictures at most, drawn by the seed.
    pictures
        How many panels are written.
    film
        Of how many pictures the way is shown: frames of it, the goal's probability and the distance, step by step.
    seed
        Where all random numbers come from.
    """
    from ..attacks.base import Attack
    from ..attacks.learned import LearnedAttack
    from ..attacks.substitute import Substitute
    from ..regions import Linf
    from ..runs.recipe import Recipe
    from ..spec import catalogue, parse
    from .audit import region_for
    from .learned import Plan, learn_and_judge
    from .substitute import attack_by_substitute

    network = loading.load(model)
    aim, name = class_number(target, network), method.partition("(")[0].strip()
    if name == Substitute.__name__:
        how, given = parse(method, Substitute), region_for(within, model) if within else None
        return attack_by_substitute(how, data, model, network, given, limit, seed, out, output)
    if name in catalogue(LearnedAttack):
        fit = parse(method, LearnedAttack)
        inside = region_for(within, model) if within or fit.bounded else None
        plan = Plan(fit, model, data, learn, aim, inside, limit, seed, out)
        return learn_and_judge(plan, network, output, size_cm)
    wanted = parse(method, Attack)
    region = (
        region_for(within, model) if within or (not wanted.nearest and wanted.usable[:1] == (Linf,)) else None
    )
    recipe = Recipe(wanted, model, data, region, aim, limit, seed)
    shown = run_over(recipe, network, out, output, pictures)
    shown.draw(pixel_panels if few_pixels(shown) else panels)
    if few_pixels(shown) and aim is None:
        draw_classes(shown)
    filmed(shown, film)
    report(shown, output)


def panels(shown: Shown, k: int) -> list[tuple[str, "object"]]:
    """Image, signs of the change, the change as large as it is, and the changed image of one row, as the file holds it.

    Labels and confidences are those of the image and of the file.
    """
    from ..views import from_uint8

    image, found = shown.batch.x[k], from_uint8(shown.table["adversarial"][shown.rows[k]])
    change, row = found - image, shown.rows[k]
    before, after = (sure_of(shown.model, x) for x in (image, found))
    lost = shown.table["success"][row] and not shown.table["success_saved"][row]
    return [
        (before, image),
        ("signs of the change", 0.5 + change.sign() / 2),
        (f"the change itself, at most {float(change.abs().max()):.3g}", 0.5 + change),
        (f"→ {after}{' (float only)' if lost else ''}", found),
    ]


def sure_of(model: "Model", image: "Tensor") -> str:
    """What a model takes an image for, and how sure it is: 57.7 % panda."""
    from ..objectives import label_of

    logits = model(image[None])
    label = int(label_of(logits))
    means = logits.flatten(2).mean(2) if logits.ndim > 2 else logits
    return f"{float(means.softmax(1)[0, label]):.1%} {model.label_name(label)}".replace("%", " %", 1)


def filmed(shown: Shown, n: int) -> None:
    """A strip of frames and a chart for each of the first ``n`` pictures."""
    if n:
        from ..attacks.base import Attack
        from .film import draw_films

        method = shown.recipe.method
        assert isinstance(method, Attack)
        draw_films(method, shown, n)


def name_of(table: "Table", row: int, column: str, model: "Model") -> str:
    return model.label_name(int(table[column][row]))


def report(shown: Shown, output: OutputOptions) -> None:
    from ..analysis.rates import rate

    table, fine = shown.table, shown.table.readable
    done = rate(table["success"][fine].bool())
    kept = rate(table["success_saved"][fine].bool())
    rows = [
        [table.ids[r], name_of(table, r, "label", shown.model), f"{float(table['confidence'][r]):.3f}"]
        + [f"{float(table[n][r]):.4g}" for n in ("linf", "l2", "l0", "queries")]
        + ["yes" if table["success"][r] else "no"]
        for r in shown.rows
    ]
    output.table("", ["id", "label", "confidence", "linf", "l2", "l0", "queries", "fooled"], rows)
    output.say(f"\nfooled {done}; as 8-bit files {kept}")
    numbers = {"fooled": done.as_dict(), "fooled_as_8_bit": kept.as_dict()}
    shown.close(output, numbers | counted(shown, output))
