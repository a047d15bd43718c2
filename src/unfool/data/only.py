"""A slice of other data: the samples whose ids a file lists, or one of them."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError, suggestion
from ..views import View
from .base import Sample, Source
from .remembered import remembered


class Only(Source):
    """Those samples of another source that ``path`` lists, one id a line, in the source's order; or the one ``id``."""

    source: Source
    path: str = ""
    id: str = ""

    def ids(self) -> tuple[str, ...]:
        wanted, known = frozenset({self.id}) if self.id else _listed(self.path), self.source.ids()
        if unknown := sorted(wanted - set(known)):
            told = f"the data have no {self.id!r}"
            if not self.id:
                told = f"{self.path} lists {unknown[0]!r}, which the data do not have"
            raise DataError(told, suggestion(unknown[0], known))
        return tuple(i for i in known if i in wanted)

    def prepare(self, ids: Sequence[str]) -> None:
        self.source.prepare(ids)

    def sample(self, id: str, view: View) -> Sample:
        return self.source.sample(id, view)

    def label(self, id: str) -> str | int | None:
        return self.source.label(id)

    def label_names(self) -> tuple[str, ...]:
        return self.source.label_names()

    def object_names(self) -> dict[int, str]:
        return self.source.object_names()

    def object_classes(self, id: str) -> tuple[int, ...]:
        return self.source.object_classes(id)

    def groups(self, id: str) -> dict[str, str]:
        return self.source.groups(id)


@remembered
def _listed(path: str) -> frozenset[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise DataError(f"cannot read the slice {path}: {reason}", "a text file, one id a line") from None
    wanted = frozenset(line for line in lines if line.strip())
    if not wanted:
        raise DataError(f"the slice {path} lists no ids", "a text file, one id a line")
    return wanted
