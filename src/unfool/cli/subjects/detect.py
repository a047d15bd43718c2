"""``unfool inspect detect``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...runs.usual import data_for, region_for
from ..shared import ModelOptions, OutputOptions, folder_for, opened
from .shared import finish


def detect(
    model: str = "unfool:digits8",
    data: str | None = None,
    *,
    training: str = "",
    alarm: Annotated[list[str] | None, Parameter(negative="")] = None,
    attribution: str = "Gradient()",
    attack: Annotated[list[str] | None, Parameter(negative="")] = None,
    adaptive: Annotated[list[str] | None, Parameter(negative="")] = None,
    within: str | None = None,
    sizes: Annotated[list[float] | None, Parameter(consume_multiple=True, negative="")] = None,
    noisy: bool = False,
    false: float = 0.05,
    sample: int = 2000,
    limit: int = 500,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Whether alarms for images made to fool hold, once an attack knows them; and whether saliency helps.

    Alarms learn from images that fooled the network; then attacks that they have not seen, smaller and harmless
    changes, and an attack through network and alarm together are tried on them. Stopped at any moment, the same
    command goes on.

    Parameters
    ----------
    model
        An address, as for unfool audit; it must give gradients.
    data
        As for unfool audit; labels are needed.
    training
        Images to learn from; an embedded model brings its own, else those of the data that nothing is judged on.
    alarm
        An alarm as text, given once for each; by default image, saliency and both, and three baselines.
    attribution
        What makes the maps where no alarm is given: Gradient(), "GradCAM()", "SmoothGrad(samples=8)".
    attack
        An attack as text, given once for each. Each is left out once; the first is tried at every size.
    adaptive
        An attack through network and alarm together, given once for each; the first that gets past counts.
    within
        The change allowed, such as "Linf(8/255)"; by default 0.2 on embedded data, else 8/255.
    sizes
        Sizes of change; by default a quarter, a half, one and one and a half times that of the region.
    noisy
        Teach the alarms that random changes of the region's size are harmless.
    false
        The share of unchanged images that may be called suspicious.
    sample
        How many images at most are learned from and calibrated on.
    limit
        How many images at most are judged on.
    out
        The folder for the page and everything behind it; by default one in runs/detect named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.detect import study
    from ...attacks.base import Attack
    from ...attributions.base import Attribution
    from ...defences.alarm import Alarm
    from ...defences.baselines import MahalanobisAlarm, NeighbourAlarm, SqueezeAlarm
    from ...defences.saliency import SaliencyAlarm
    from ...report.subjects.detect import detect_page
    from ...runs.detect import Detection, run_detection
    from ...spec import parse

    place, network = data_for(data, model), loading.load(model)
    region = region_for(within, model, 0.2)
    usual = Detection(model, place)
    maps = parse(attribution, Attribution)
    every = tuple(parse(text, Alarm) for text in alarm or ()) or (
        SaliencyAlarm(sees="image"),
        SaliencyAlarm(sees="saliency", attribution=maps),
        SaliencyAlarm(sees="both", attribution=maps),
        *(SqueezeAlarm(), MahalanobisAlarm(), NeighbourAlarm()),
    )
    if not training and model.startswith("unfool:") and data is None:
        training = f"{place}?split=train"
    plan = Detection(
        model,
        place,
        training,
        every,
        tuple(parse(text, Attack) for text in attack or ()) or usual.attacks,
        tuple(parse(text, Attack) for text in adaptive or ()) or usual.adaptive,
        region,
        tuple(sizes or ()) or sizes_for(region.radius),
        noisy=noisy,
        false=false,
        sample=sample,
        limit=limit,
        seed=seed,
    )
    out = folder_for(out, "detect", model, plan, loading.told())
    with output.watching() as watch:
        found = run_detection(plan, network, opened(place), opened(training or place), out, watch)
    finish(detect_page(study(found, network)), out, output)


def sizes_for(radius: float | tuple[float, ...]) -> tuple[float, ...]:
    """A quarter, a half, all and half as much again of a region's size."""
    from ...errors import InputError

    if isinstance(radius, tuple):
        raise InputError("an alarm is tried within one size for all images", "give eps as one number")
    return tuple(share * radius for share in (0.25, 0.5, 1.0, 1.5))
