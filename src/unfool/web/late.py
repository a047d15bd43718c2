"""What answers requests, made when the server answers already: importing torch takes longer than showing a page."""

import traceback
from collections.abc import Callable
from typing import Any

from ..errors import UnfoolError
from .desk import Job


class Late:
    """An act that is made in the desk's thread, before the first request; what cannot be made ends the server."""

    def __init__(self, make: Callable[[], Any]):
        self.make, self.act, self.error = make, None, None

    def job(self, failed: Callable[[UnfoolError], None]) -> Job:
        def done(found: Any) -> None:
            if isinstance(found, Exception):
                self.error = found
                failed(found)  # pyright: ignore[reportArgumentType]

        return Job(self, "begin", self._begin, done)

    def _begin(self, job: Job) -> None:
        self.act = self.make()

    def __call__(self, job: Job, words: dict[str, Any], arrays: dict[str, Any]) -> Any:
        if self.act is None:
            raise self.error or RuntimeError("the studio could not begin")
        try:
            return self.act(job, words, arrays)
        except UnfoolError:
            raise
        except Exception:
            traceback.print_exc()
            raise
