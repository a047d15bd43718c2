"""Reading a file once, and again when it has changed or the same name means another file."""

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
        return known(stamp_of(Path(str(args[0]))), (*args, *kwargs.values()))

    return reading


def stamp_of(path: Path) -> object:
    """What tells one state of one file from every other."""
    try:
        found = path.stat()
    except OSError:
        return path.absolute()
    return path.absolute(), found.st_mtime_ns, found.st_size
