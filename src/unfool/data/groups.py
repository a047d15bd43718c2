"""The groups of images that a user names, checked before anything is run."""

from collections.abc import Sequence
from dataclasses import replace

from ..errors import InputError, UnknownName
from .base import Source
from .shards import Shards
from .stored import Stored
from .table import Table

MOST = 50
"""An attribute of more different values is no attribute but a number."""


def with_groups(source: Source, names: Sequence[str]) -> Source:
    """The same data with the groups ``names``; numbers of a table count as groups where they are named."""
    told = isinstance(source, (Table, Stored, Shards))
    known = source.columns() if told else tuple(source.groups(source.ids()[0]))
    if not known:
        raise InputError(
            "the data have no groups",
            "a .csv with a column for each, such as sex, or an .npz with columns of words",
        )
    for name in names:
        if name not in known:
            raise UnknownName("group", name, known)
    if told:
        source = replace(source, group_columns=tuple(names))
    for name in names:
        _check(name, {source.groups(i).get(name, "") for i in source.ids()})
    return source


def _check(name: str, values: set[str]) -> None:
    if len(values) > MOST:
        raise InputError(
            f"{name} has {len(values)} different values", f"make at most {MOST} of them, such as 20 to 39"
        )
    if len(values) < 2:
        raise InputError(f"{name} is {next(iter(values))!r} of every image", "there is nothing to compare")
