"""``unfool train``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..runs.usual import data_for, region_for
from .learned import its_own_split
from .running import TrackedOptions
from .shared import ModelOptions, folder_for, opened, unseen

if TYPE_CHECKING:
    from ..model import Model
    from ..runs.begin import Watch
    from ..runs.course import Course, Epoch
    from ..runs.train import Tell
    from ..training.fit import Train


def train(
    data: str | None = None,
    *,
    model: str = "unfool:digits?weights=none",
    method: str = "Madry()",
    within: str | None = None,
    epochs: int = 10,
    rows: int = 128,
    optimiser: str = "Adam()",
    schedule: str = "Cyclic()",
    augment: Annotated[list[str] | None, Parameter(negative="")] = None,
    ramp: float = 0.0,
    average: float = 0.0,
    smoothing: float = 0.0,
    precision: Literal["float32", "bfloat16"] = "float32",
    accumulate: int = 1,
    judged: str | None = None,
    sample: int = 500,
    judge: str = "Repeated(PGD(steps=20, loss=Margin()), 2)",
    alarm: Literal["stop", "adapt", "tell"] = "stop",
    test: str | None = None,
    out: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: TrackedOptions = TrackedOptions(),  # noqa: B008  frozen
) -> None:
    """Teach a classifier, so that it resists small changes or not.

    After every epoch it is judged on images it does not learn from: as they are, after one step, and under the
    judge's attack; the weights that do best are kept. Stopped at any moment, the same command goes on from there to the
    same bytes. Writes model.safetensors, which --model takes wherever there is one, a model card (README.md), a page of
    curves and all numbers. Under torchrun several processes share every update.

    Parameters
    ----------
    data
        What is learned from: a folder of class folders, .csv, .parquet, .npz, torchvision:NAME:split, unfool:digits.
    model
        Who learns: file.py:factory, torchvision:NAME and others, with their weights where they bring some;
        ?weights=none begins from scratch.
    method
        How, as text: Natural, Madry, Fast, NFGSM, Free, Both, "Trades(PGD(steps=10), beta=6)", Mart, "AWP(Trades())";
        unfool methods lists them.
    within
        The change that is to be resisted, such as "Linf(8/255)"; by default 0.2 on embedded data, else 8/255.
    epochs
        How often every image is seen.
    rows
        How many images an update sees, of all processes together.
    optimiser
        Such as "Adam(1e-3)" or "SGD(0.1, momentum=0.9, decay=5e-4)"; the first number is the largest rate.
    schedule
        How fast in the course of the learning: "Cyclic()", "Cosine(warmup=0.05)", "Steps((0.5, 0.75))", Constant.
    augment
        A random change of every image, anew in every epoch, such as "Flip()" or "Slide(4)"; may be given several times.
    ramp
        The share of the learning in which the region grows to its full size.
    average
        How much of the mean weights stays at each update, such as 0.999; with 0 the last weights count.
    smoothing
        How much of each label is spread over all classes.
    precision
        In which products are made; weights, and what is judged, stay in float32.
    accumulate
        In how many parts an update's images pass through the network.
    judged
        Data to judge on after every epoch; by default some of the data are kept back for it.
    sample
        How many of them, at most; of one set of data a fifth at most.
    judge
        The attack whose survivors count, such as "Repeated(PGD(steps=50, loss=Margin()), 10)" or "Standard()".
    alarm
        What to do where one step is resisted and more are not: stop, adapt (go back to the best weights and on
        against more steps), or tell.
    test
        Data for the last word, which nothing was chosen by, --sample of them; by default the test split of embedded
        data.
    out
        The folder; by default one in runs/train named after what is trained.
    limit
        How many images are learned from, at most.
    seed
        Where all random numbers come from.
    """
    from ..attacks.base import Attack
    from ..runs.course import Course
    from ..runs.train import run_train
    from ..spec import parse
    from ..training.ranks import joined_ranks, local_device

    how = taught_how(
        (method, optimiser, schedule),
        augment or [],
        epochs=epochs,
        rows=rows,
        ramp=ramp,
        average=average,
        smoothing=smoothing,
        precision=precision,
        accumulate=accumulate,
    )
    address = data_for(data, model)
    learned, attack = its_own_split(address) or address, parse(judge, Attack)
    region = region_for(within, model, 0.2)
    course = Course(how, model, learned, region, judged or "", sample, attack, alarm, limit, seed)
    last = test or (address if learned != address else None)
    out = folder_for(out, "train", model, course.identity, last, loading.told())
    loading = replace(loading, device=local_device(loading.device))
    with joined_ranks(loading.device) as ranks, output.watching() as watch:
        network = as_begun(course, loading)
        source, other = opened(learned), opened(judged) if judged else None
        seen = (watch, heard(output, out, network)) if ranks.first else (unseen, unheard)
        run_train(course, network, source, other, out, watch=seen[0], tell=seen[1])
        if ranks.first:
            conclude(course, last, out, loading, output, watch)


def taught_how(texts: tuple[str, str, str], augment: list[str], **numbers: Any) -> "Train":
    """The fit that the flags describe."""
    from ..spec import parse
    from ..training.base import Training
    from ..training.fit import Train
    from ..training.optimisers import Optimiser, Schedule
    from ..transforms import Transform

    method, optimiser, schedule = (
        parse(text, kind) for text, kind in zip(texts, (Training, Optimiser, Schedule), strict=True)
    )
    changes = tuple(parse(text, Transform) for text in augment)
    return Train(method, optimiser, schedule, changes, **numbers)  # pyright: ignore[reportArgumentType]


def as_begun(course: "Course", loading: ModelOptions) -> "Model":
    """The network before it learns; one that draws its weights at random draws them by the seed."""
    return loading.load(course.model, seed=course.seed)


def conclude(
    course: "Course",
    last: str | None,
    out: Path,
    loading: ModelOptions,
    output: TrackedOptions,
    watch: "Watch",
) -> None:
    """The last word: before and after, on images that nothing was chosen by; page, card and numbers."""
    from ..analysis.training import Trained
    from ..report.card import write_card
    from ..report.page import typed, write_page
    from ..report.subjects.training import numbers, sentence, training_page
    from ..report.summary import clean
    from ..runs.begin import fingerprint
    from ..runs.course import labelled, splits
    from ..runs.curves import run_curves
    from ..runs.train import read_log

    before, after = as_begun(course, loading), loading.load(str(out))
    judged, source = opened(course.judged) if course.judged else None, opened(course.data)
    kept = splits(course, source, judged)[1]
    over, ids = (opened(last), labelled(opened(last), course.seed)) if last else (judged or source, kept)
    models, place = {"before": before, "after": after}, last or course.judged or course.data
    curves = run_curves(course, models, place, over, ids[: course.sample], out, watch)
    found = Trained(
        course, read_log(out), tuple(after.classes) or source.label_names(), curves, last is not None
    )
    command = typed()
    write_page(training_page(found), out, command, "train.json")
    write_card(found, out, command, fingerprint(before))
    output.document(clean({"sentence": sentence(found), "folder": str(out), **numbers(found)}))
    output.say(
        f"\n{sentence(found)}\n\n{out / 'model.safetensors'}: --model {out}; the page is {out / 'report.html'}"
    )


def heard(output: TrackedOptions, out: Path, network: "Model") -> "Tell":
    """What is told of a training, for people and for trackers."""
    from ..runs.course import Epoch
    from ..track.course import follow

    def tell(what: "Epoch | str") -> None:
        output.say(str(what))
        if isinstance(what, Epoch) and output.track is not None:
            follow(output.tracked(out), what, network.classes)

    return tell


def unheard(what: "Epoch | str") -> None:
    """What all processes but the first say."""
    del what
