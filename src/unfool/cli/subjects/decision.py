"""``unfool inspect decision``."""

from pathlib import Path

from ...runs.usual import data_for
from ..shared import ModelOptions, OutputOptions, folder_for, opened
from .shared import finish


def decision(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    id: str = "",
    training: str = "",
    cases: str = "",
    method: tuple[str, ...] = ("Gradient()", "GradCAM()", "Occlusion()"),
    neighbours: int = 5,
    limit: int = 2000,
    out: Path | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """The record of one decision: what, how sure, why, what would change it, and cases like it.

    One page with a JSON beside it; the command on the page gives every number again.

    Parameters
    ----------
    model
        An address, as for unfool audit.
    data
        A picture, or data of which --id names one.
    id
        Which sample; by default the first.
    training
        Data among which the nearest cases are looked for, best those the model has learned from.
    cases
        Labelled data that it has not learned from: one half calibrates the probability, the other half judges.
    method
        Attributions as text, one --method each.
    neighbours
        How many near cases.
    limit
        How many images of either data at most, drawn by the seed.
    out
        The folder for the page; by default one in runs/decision named after what is run.
    seed
        Where all random numbers come from.
    """
    from ...analysis.decision import Decision, decide
    from ...attributions.base import Attribution
    from ...report.subjects.decision import decision_page
    from ...spec import parse

    place, network = data_for(data, model), loading.load(model)
    methods = tuple(parse(text, Attribution) for text in method)
    plan = Decision(
        model, place, id, training, cases, methods, neighbours=neighbours, sample=limit, seed=seed
    )
    learned, held = (opened(address) if address else None for address in (training, cases))
    found = decide(plan, network, opened(place), learned, held)
    out = folder_for(out, "decision", model, plan, loading.told())
    finish(decision_page(found), out, output)
