"""``unfool studio``."""

import shlex
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..runs.usual import data_for, region_for
from .shared import ModelOptions

if TYPE_CHECKING:
    from ..web.stage import Stage

EMBEDDED = ("unfool:digits", "unfool:lesions", "unfool:cine", "unfool:landmarks", "unfool:scenes")
"""What is shown where no model is named."""
FILES = ("csv", "parquet", "npz", "json", "dcm", "nii", "nii.gz", "png", "jpg", "jpeg", "bmp", "tif", "webp")


def studio(
    *addresses: str,
    data: str | None = None,
    runs: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    port: int | None = None,
    browser: bool = True,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
) -> None:
    """A page to look at pictures as a model sees them, and to touch them.

    Opens in the browser and answers to this machine alone, by the address printed; it needs no network. Every view
    shows the Python and the command that give the same. Ctrl-C ends it.

    Parameters
    ----------
    addresses
        Models as for unfool audit; a folder, picture or table among them is DATA. By default the embedded models.
    data
        The pictures, where the address does not tell that it is data, such as torchvision:CIFAR10:test; by default
        an embedded model's own.
    runs
        Folders of runs to browse; by default runs.
    port
        Where it answers; by default 8400 if that is free. 0 takes any free one.
    browser
        Open the page in the browser.
    """
    from ..web.serve import serve

    models, given = told_apart(addresses, data)
    make = partial(staged, models, given, loading, tuple(runs or [Path("runs")]))
    serve(make, port, browser, partial(print, flush=True))


def told_apart(addresses: tuple[str, ...], data: str | None) -> tuple[tuple[str, ...], str | None]:
    """Which addresses are models, and the one that is data."""
    from ..errors import InputError

    found = [one for one in addresses if _is_data(one)]
    models = tuple(one for one in addresses if one not in found)
    if len(found) + (data is not None) > 1:
        raise InputError(
            f"there are several data: {', '.join([*found, *([data] if data else [])])}", "give one"
        )
    return models or EMBEDDED, data if data is not None else next(iter(found), None)


def _is_data(address: str) -> bool:
    """Whether an address can be nothing but data: a folder, or a file of pictures or of numbers."""
    place = address.partition("?")[0]
    named = place.lower().endswith(tuple(f".{kind}" for kind in FILES))
    return Path(place).is_dir() or named or place.count(":") == 2


def staged(
    models: tuple[str, ...], data: str | None, loading: ModelOptions, runs: tuple[Path, ...]
) -> "Stage":
    """What answers the page; torch is imported here, when the page is there already."""
    import unfool

    from ..web.rooms import Setting
    from ..web.stage import Stage

    own = [
        (f.name, getattr(loading, f.name)) for f in fields(loading) if getattr(loading, f.name) != f.default
    ]
    flags = "".join(
        f" --{name}" + ("" if value is True else f" {shlex.quote(str(value))}") for name, value in own
    )
    setting = Setting(
        models,
        frozenset(dir(unfool)),
        partial(loading.load, boxes=True),
        partial(data_for, data),
        partial(region_for, None),
        flags,
        runs,
    )
    return Stage(setting)
