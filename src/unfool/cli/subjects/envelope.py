"""``unfool inspect envelope``."""

from pathlib import Path

from ...runs.usual import data_for, region_for
from ..shared import ModelOptions, OutputOptions, folder_for, opened
from .shared import finish


def envelope(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    training: str = "",
    calibrate: str = "",
    envelope: Path | None = None,
    alarm: float = 0.01,
    edge: float = 0.05,
    neighbours: int = 10,
    within: str | None = None,
    images: int = 200,
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Which images a network knows: each inside its operating envelope, on the edge or outside, and why; and drift.

    Learns from training images how far others may lie (energy, Mahalanobis, neighbours), writes the envelope beside the
    page, and tries it on noise, inverted, rotated, fooling and adversarial images. It is no defence against the last.
    Also tests whether features (covariate shift) and classes (label shift) come as before.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        The images in question, as for unfool audit.
    training
        What the network has learned from; an embedded model brings its own.
    calibrate
        Images like those, which it has not learned from; by default every second training image is kept for that.
    envelope
        One that was written before, instead of learning it.
    alarm
        The share of images like the known ones that may be called outside.
    edge
        Likewise the share that may be called edge or outside.
    neighbours
        The distance to which neighbour counts.
    within
        The change that adversarial images may have, such as "Linf(8/255)".
    images
        How many images are changed and attacked.
    limit
        How many images of either data at most, drawn by the seed.
    out
        The folder for the page and everything behind it; by default one in runs/envelope named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.envelope import fit_envelope, load_envelope, save_envelope
    from ...analysis.outside import Watched, some_of, watch
    from ...errors import InputError
    from ...report.subjects.envelope import envelope_page
    from ...runs.asked import Asked

    place, network = data_for(data, model), loading.load(model)
    if not (training or envelope) and model.startswith("unfool:"):
        training = f"{data_for(None, model)}?split=train"
    if not (training or envelope):
        raise InputError("what has the network learned from?", "name it with --training")
    plan = Watched(
        model,
        place,
        training,
        calibrate,
        str(envelope or ""),
        alarm,
        max(alarm, edge),
        neighbours,
        within=region_for(within, model),
        images=images,
        sample=limit,
        seed=seed,
    )
    out = folder_for(out, "envelope", model, plan, loading.told())
    learned, held = (
        some_of(opened(address), network, limit, seed) if address else None
        for address in (training, calibrate)
    )
    batch = some_of(opened(place), network, limit, seed)
    with output.watching() as progress:
        ask = Asked(network, out, repr(plan), progress)
        if envelope is None and learned is not None:
            known = fit_envelope(network, learned, held, neighbours, ask)
        else:
            known = load_envelope(envelope or Path(), network)
        found = watch(plan, known, batch, learned, held, ask)
    finish(envelope_page(found), out, output)
    save_envelope(known, out / "envelope.safetensors")
    output.say(f"envelope: {out / 'envelope.safetensors'}")
