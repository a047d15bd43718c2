"""The model card of what was taught: what it is, how it stands, how to load it, how to make it again."""

from collections.abc import Sequence
from pathlib import Path

from ..analysis.rates import Rate
from ..analysis.training import Trained
from ..runs.work import atomically
from .subjects.training import limits, sentence


def write_card(found: Trained, folder: Path, command: str, fingerprint: str) -> None:
    """``README.md`` beside the weights."""
    text = card(found, folder, command, fingerprint)
    atomically(folder / "README.md", lambda draft: draft.write_text(text, encoding="utf-8"))


def card(found: Trained, folder: Path, command: str, fingerprint: str) -> str:
    course = found.course
    place = course.model.partition("?")[0]
    sections = [
        f"# {place}, trained by {course.train.method!r}",
        sentence(found),
        _numbers(found),
        _table(
            ["class", "n", "right", "under attack"],
            [[one.name, str(one.clean.n), one.clean.brief, one.robust.brief] for one in found.by_class],
        ),
        f"Classes in per cent with 95 % Wilson intervals, at the epoch kept ({found.best.number}).",
        f"## Load it\n\n```console\n$ unfool audit {folder} DATA\n```\n\n"
        f'```python\nmodel = unfool.load("{folder}")\n```\n\n'
        f"The file names its network, `{course.model}`: where that file has moved, "
        f"`{place}?weights=…/model.safetensors` does the same, and `model.safetensors` is the network's own "
        "`state_dict`.",
        _made(found, command, fingerprint),
        "## What it does not say\n\n" + "\n".join(f"- {limit}" for limit in limits(found)),
    ]
    return "\n\n".join(sections) + "\n"


def _numbers(found: Trained) -> str:
    names = {"clean": "unchanged", "fgsm": "one step (FGSM)", "attack": repr(found.course.judge)}
    rows = [
        [told, *(_cell(found.told(when, name)) for when in ("before", "after"))]
        for name, told in names.items()
    ]
    n = found.told("after", "clean").n
    over = "nothing was chosen by" if found.apart else "the best epoch was chosen by"
    table = _table([f"right within {found.course.within}", "before", "after"], rows)
    return f"{table}\n\nPer cent of {n} images that {over}, with 95 % Wilson intervals."


def _made(found: Trained, command: str, fingerprint: str) -> str:
    cost = found.cost
    passes = f"{cost.forward:.2f} forward and {cost.backward:.2f} backward passes of each image and epoch"
    return (
        f"## How it was made\n\n```console\n$ {command}\n```\n\n```text\n{found.course!r}\n```\n\n"
        f"{found.log.images} images, {found.log.epochs[-1].number} epochs, {passes}. "
        f"It began with weights {fingerprint[:16]}."
    )


def _cell(rate: Rate) -> str:
    return rate.brief


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)
