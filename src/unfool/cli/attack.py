"""``unfool attack``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runs.usual import region_for
from .film import draw_films
from .pictures import UNLABELLED, Shown, panels, right_text, run_over, unlabelled
from .reports import write_attacked
from .running import RunOptions
from .searches import counted, draw_classes, few_pixels, pixel_panels
from .shared import Job, ModelOptions, OutputOptions, class_number, folder_for

if TYPE_CHECKING:
    from ..attacks.base import Attack
    from ..model import Model
    from ..runs.table import Table
    from ..spec import Spec


def attack(
    method: str,
    data: str,
    *,
    model: str = "unfool:digits",
    target: str | None = None,
    within: str | None = None,
    learn: str | None = None,
    size_cm: float = 10.0,
    out: Path | None = None,
    limit: int | None = None,
    pictures: int = 24,
    film: int = 0,
    chunk: int = 64,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """Look for changed pictures that a model gets wrong.

    Writes each changed picture as an 8-bit PNG (what is printed is judged on that file, too), a panel beside the
    original, all numbers as table.parquet, and report.html: worst first, beside the same changes with their pixels
    shuffled. A picture without a label is led away from the class the model predicts.
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
        The folder for pictures and numbers; by default one in runs/attack named after what is run.
    limit
        How many pictures at most, drawn by the seed.
    pictures
        How many panels are written.
    film
        Of how many pictures the way is shown: frames of it, the goal's probability and the distance, step by step.
    chunk
        How many pictures go through the model together, and are lost when it is stopped; fewer where memory is short.
    seed
        Where all random numbers come from.
    """
    output.ahead(out)
    from ..attacks.base import Attack
    from ..attacks.learned import LearnedAttack
    from ..attacks.substitute import Substitute
    from ..errors import InputError, SpecError
    from ..spec import parse
    from .learned import learn_and_judge
    from .substitute import study_substitute

    how, network = parse(method), loading.load(model)
    inside = region_for(within, model) if within or needs_region(how) else None
    aim = class_number(target, network)
    asked = (how, model, data, inside, aim, limit, seed, learn, chunk, loading.told())
    folder = folder_for(out, "attack", type(how).__name__, *asked)
    job = Job(network, model, data, inside, aim, limit, seed, folder, output)
    if film and not isinstance(how, Attack):
        raise InputError(
            f"--film shows how each picture is changed; {type(how).__name__} learns", "leave it out"
        )
    match how:
        case Attack():
            attack_each(how, job, pictures, film, chunk)
        case LearnedAttack():
            learn_and_judge(how, job, learn, size_cm, pictures)
        case Substitute():
            study_substitute(how, job)
        case _:
            raise SpecError(f"{method!r} is not an attack", "unfool methods lists them")


def needs_region(how: "Spec") -> bool:
    """Whether the change must have a bound, also where none is given."""
    from ..attacks.base import Attack
    from ..attacks.learned import LearnedAttack
    from ..regions import Linf

    if isinstance(how, LearnedAttack):
        return how.bounded
    return isinstance(how, Attack) and not how.nearest and how.usable[:1] == (Linf,)


def attack_each(how: "Attack", job: Job, pictures: int, film: int, chunk: int = 64) -> None:
    """Every picture for itself: panels, charts and numbers."""
    from ..runs.recipe import Recipe

    recipe = Recipe(how, job.model, job.data, job.within, job.target, job.limit, job.seed, chunk=chunk)
    shown = run_over(recipe, job.network, job.out, job.output, pictures)
    few = few_pixels(shown)
    every = shown.draw(pixel_panels if few else panels)
    if few and job.target is None:
        draw_classes(shown)
    if film:
        draw_films(how, shown, film)
    report(shown, every, job.output)


def name_of(table: "Table", row: int, column: str, model: "Model") -> str:
    return model.label_name(int(table.at(column, row)))


def outcome(table: "Table", row: int) -> str:
    """Whether an image is fooled, in a word or two."""
    if table.at("started", row):
        return "already"
    return "no start" if table.at("no_start", row) else "yes" if table.at("success", row) else "no"


def report(shown: Shown, every: list[list[Any]], output: OutputOptions) -> None:
    from ..analysis.rates import rate

    table, fair = shown.table, shown.table.fair
    right = rate(fair[table.readable])
    done, kept = (rate(table[name][fair].bool()) for name in ("success", "success_saved"))
    rows = [
        [table.ids[r], name_of(table, r, "label", shown.model), f"{float(table['confidence'][r]):.3f}"]
        + [f"{float(table.at(n, r)):.4g}" for n in ("linf", "l2", "l0", "queries")]
        + [outcome(table, r)]
        for r in shown.rows
    ]
    header = ["id", "label", "confidence", "linf", "l2", "l0", "queries", "fooled"]
    output.table("", header, rows)
    if unlabelled(shown):
        output.say(f"\n{UNLABELLED}")
    output.say(f"\n{right_text(right, shown.recipe.target)}")
    output.say(f"fooled {done}; as 8-bit files {kept}")
    lost = int(table["no_start"][fair].sum())
    if lost:
        output.say(
            f"no start: {lost} of {right.k}: no image was found that reaches the goal, however far away"
        )
    numbers = {
        "right": right.as_dict(),
        "fooled": done.as_dict(),
        "fooled_as_8_bit": kept.as_dict(),
        "no_start": lost,
    }
    numbers |= counted(shown, output)
    write_attacked(shown, every, (header, rows), {"fooled": done, "fooled as 8-bit files": kept})
    shown.close(output, numbers)
