"""Reading a file once, and again when it has changed or the same name means another file."""

import os
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def remembered(read: Callable[P, T]) -> Callable[P, T]:
    """``read``, whose first argument is a path, with its results kept for as long as the file stays the same."""

    @cache
    def known(stamp: object, args: tuple[object, ...]) -> T:
        del stamp
        return read(*args)  # pyright: ignore[reportCallIssue]

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        return known(stamp_of(str(args[0])), (*args, *kwargs.values()))

    return reading


def stamp_of(path: str | Path) -> object:
    """What tells one state of one file from every other; asked for every sample, so without pathlib's objects."""
    name = os.path.join(os.getcwd(), path)
    try:
        found = os.stat(name)
    except OSError:
        return name
    return name, found.st_mtime_ns, found.st_size
