"""Every error this package raises on purpose: what happened, where, and what to do instead.

UnfoolError                  the root; ``.hint`` says the way out
 ├ SpecError   (ValueError)    a text that cannot be read, or an option with a value it cannot have
 ├ UnknownName (LookupError)   a method, model, layer, class or column nobody has
 ├ InputError  (ValueError)    images or targets of the wrong shape, type, range or number
 │   └ Lacking                 images that lack what is asked about
 ├ AccessError (RuntimeError)  a method that needs more than the model gives
 ├ DataError   (OSError)       a file that is missing, broken, or not what it says
 ├ MissingExtra (ImportError)  an optional package that is not installed
 ├ OutOfMemory (MemoryError)   a single image that does not fit
 ├ EngineError (RuntimeError)  workers that cannot be reached, or die again and again
 └ RunConflict (RuntimeError)  a run folder that holds another run

:class:`Unfinished` is none: a rank has done its part of a run, and others are still at theirs.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UnfoolError(Exception):
    """Something the user can put right."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


class SpecError(UnfoolError, ValueError):
    """A text that cannot be read, or an option with a value it cannot have."""


class InputError(UnfoolError, ValueError):
    """Images or targets of the wrong shape, type, range or number."""


class Lacking(InputError):
    """Images of a batch that lack what is asked about; ``reasons`` says why, by the image's place in the batch."""

    def __init__(self, reasons: dict[int, str]):
        row, reason = min(reasons.items())
        super().__init__(
            f"image {row} of the batch: {reason}", "leave that image out, or name another target"
        )
        self.reasons = reasons


class AccessError(UnfoolError, RuntimeError):
    """A method that needs more than the model gives."""


class DataError(UnfoolError, OSError):
    """A file that is missing, broken, or not what it says."""


class OutOfMemory(UnfoolError, MemoryError):
    """A single image that does not fit."""


class EngineError(UnfoolError, RuntimeError):
    """Workers that cannot be reached, or die again and again."""


class RunConflict(UnfoolError, RuntimeError):
    """A run folder that holds another run."""


class Unfinished(Exception):
    """A rank has done its part of a run: ``missing`` of ``total`` parts are still to come from the others."""

    def __init__(self, folder: object, missing: int, total: int):
        self.missing, self.total = missing, total
        super().__init__(
            f"this part is done; {missing} of {total} chunks are still to come from the others: whoever is last "
            f"joins them, or the same command on its own, in {folder}"
        )


class MissingExtra(UnfoolError, ImportError):
    """An optional package that is not installed."""

    def __init__(self, package: str, extra: str):
        super().__init__(f"this needs {package}, which is not installed", f"pip install 'unfool[{extra}]'")


class UnknownName(UnfoolError, LookupError):
    """A name nobody has, with the nearest that somebody does."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        super().__init__(f"no {kind} is called {name!r}", suggestion(name, known))


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest known names as a question, or some of what there is."""
    known = sorted(known)
    folded = {word.lower(): word for word in known}
    near = [folded[word] for word in get_close_matches(str(name).lower(), folded, n=3, cutoff=0.5)]
    if near:
        return f"did you mean {' or '.join(near)}?"
    shown = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
    return f"there is {shown}" if known else "there is none"
