"""``unfool inspect transfer``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...runs.usual import region_for
from ..running import RunOptions
from ..shared import ModelOptions, folder_for, opened
from .shared import finish


def transfer(
    data: str = "unfool:digits8",
    *,
    models: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    sources: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    attack: str = "PGD(steps=40, loss=Margin(), random_start=False)",
    within: str | None = None,
    onwards: bool = True,
    out: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> None:
    """Whom images made to fool one model fool, too.

    Attacks each source on the images that all models have right, and shows the 8-bit results to all models; random
    signs of equal size are the control. Stopped at any moment, the same command goes on from there.

    Parameters
    ----------
    data
        As for unfool audit.
    models
        Addresses of the models that are shown the images; by default nine of the embedded digits. A black box is
        file.py:function that gives a Model.
    sources
        Addresses of those that are attacked, "A + B" for the mean logits of several; by default all that give
        gradients, and over the nine the mean of two of them, too.
    attack
        An attack as text.
    within
        The change allowed, such as "Linf(8/255)"; by default 0.2 on embedded data, else 8/255.
    onwards
        Go on climbing when the source is fooled; an image that only just fools one model fools few others.
    out
        The folder for the page and everything behind it; by default one in runs/transfer named after what is run.
    limit
        How many pictures at most, drawn by the seed.
    seed
        Where all random numbers come from.
    """
    from ...analysis.transfer import matrix
    from ...attacks.base import Attack
    from ...errors import InputError
    from ...report.subjects.transfer import transfer_page
    from ...runs.transfer import NINE, Transfer, run_transfer
    from ...spec import parse

    if not models and data not in ("unfool:digits", "unfool:digits8"):
        raise InputError(
            "over which models?", "name them: --models torchvision:resnet50 timm:… file.py:factory"
        )
    named = tuple(models or (f"{data}?{net}" for net in NINE))
    attacked = tuple(sources or ()) if models or sources else (*named[:5], f"{named[1]} + {named[3]}")
    networks = {address: loading.load(address) for address in dict.fromkeys((*named, *attacked))}
    region = region_for(within, data, 0.2)
    plan = Transfer(named, attacked, data, parse(attack, Attack), region, onwards, limit, seed)
    out = folder_for(out, "transfer", data, plan, loading.told())
    with output.watching() as watch:
        found = run_transfer(plan, networks, opened(data), out, watch)
    first = networks[named[0]]
    view = next((m.view for m in networks.values() if m.view), None)
    images = opened(data).batch(found.ids, view, first.classes).x
    finish(transfer_page(matrix(found, images), tuple(first.classes)), out, output)
