"""What is taken where no data and no region are named: an embedded model brings its own."""

from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:  # torch is imported when a command runs, not for its --help
    from ..regions import Region

EMBEDDED = "unfool:"


def data_for(
    address: str | None, model: str, hint: str = "give a folder, a .csv or .npz file, or unfool:digits"
) -> str:
    """The data's address; an embedded model brings its own. Raises with the ``hint`` where there is none."""
    if address:
        return address
    if model.startswith(EMBEDDED):
        return model.partition("?")[0]
    raise InputError(f"over which data is {model} to be looked at?", hint)


def region_for(text: str | None, model: str, embedded: float = 0.1) -> "Region":
    """The region given; by default Linf of 8/255, larger on ``embedded`` data."""
    from ..regions import Linf, Region
    from ..spec import parse

    if text:
        return parse(text, Region)
    return Linf(embedded if model.startswith(EMBEDDED) else 8 / 255)
