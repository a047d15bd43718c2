"""``unfool inspect groups``."""

from pathlib import Path

from ..shared import OutputOptions, folder_for
from .shared import finish


def groups(
    table: Path,
    *,
    out: Path | None = None,
    seed: int = 0,
    output: OutputOptions = OutputOptions(),  # noqa: B008  frozen
) -> None:
    """A table of errors by group, as papers print them: the intervals it came without, and what chance would give.

    No model is run: the table says how many images of each group one or several systems had wrong. unfool audit
    --groups measures the same of a model.

    Parameters
    ----------
    table
        A .csv with a row for each group: columns of attributes such as skin,sex; n; wrong or right as counts, or
        error in per cent; and system where there are several. Or groups across: their names, below them a row n, then
        a row for each system with its errors in per cent.
    out
        The folder for the page; by default one in runs/groups named after the table.
    seed
        Where all random numbers come from.
    """
    from ...analysis.counts import systems
    from ...data.counts import read_counts
    from ...report.subjects.groups import groups_page

    counts = read_counts(table)
    page = groups_page(table.name, counts, systems(counts, seed), f"groups of {table.name}, seed {seed}")
    finish(page, folder_for(out, "groups", table.stem, str(table), seed), output)
