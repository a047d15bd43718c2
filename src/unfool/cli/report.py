"""``unfool report``."""

from pathlib import Path

from .shared import OutputOptions


def report(
    folder: Path,
    *,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """Write the report of a finished audit anew, and print its numbers.

    Parameters
    ----------
    folder
        What ``unfool audit --out`` was given.
    """
    from ..analysis.audit import read_audit
    from ..errors import DataError
    from ..report.summary import summary
    from ..report.written import write_all
    from .audit import show

    if not (folder / "recipe.txt").exists():
        raise DataError(f"{folder} holds no audit", "unfool audit … --out " + str(folder))
    found = read_audit(folder)
    write_all(found, folder, f"unfool report {folder}")
    output.document(summary(found))
    show(found, output, folder)
