"""``unfool audit``."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from cyclopts import Parameter

from ..errors import InputError, SpecError
from ..runs.usual import data_for, region_for
from .pictures import UNLABELLED
from .running import RunOptions
from .shared import ModelOptions, OutputOptions, class_number, folder_for, opened

if TYPE_CHECKING:
    from ..analysis.audit import Audited
    from ..analysis.groups import Subgroups


def audit(
    model: str = "unfool:digits",
    data: str | None = None,
    *,
    within: str | None = None,
    out: Path | None = None,
    fail_under: Annotated[list[str] | None, Parameter(negative="")] = None,
    level: Literal["quick", "standard", "thorough"] = "standard",
    protocol: Literal["unfool", "autoattack"] = "unfool",
    radii: str | None = None,
    groups: str | None = None,
    positive: str | None = None,
    limit: int | None = None,
    steps: int = 40,
    restarts: int = 3,
    seed: int = 0,
    loading: ModelOptions = ModelOptions(),  # noqa: B008  frozen
    output: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> int:
    """How easily a model is fooled, and what it looks at: one report.

    Measures accuracy against the size of the change for one-step, many-step and random changes, the smallest change
    that flips each picture, whether gradients are masked, and shows where the model looks before and after. Stopped
    at any moment, the same command goes on from there.

    Parameters
    ----------
    model
        An address: unfool:digits, torchvision:resnet50, timm:…, file.py:factory, each with ?weights=file where wanted.
    data
        A folder of class folders or of pictures, .csv, .parquet, .npz, torchvision:NAME:split, unfool:digits.
    within
        The change an attacker may make, such as "Linf(8/255)" or "L2(0.5)".
    out
        The folder for the report and everything behind it; by default one in runs/audit named after what is run.
    fail_under
        A gate such as "robust>=0.3" or "pgd@8/255>=0.3": exit code 1 where it does not hold. Names: clean; robust, at
        within after every attack; fgsm, pgd, random, worst-random at any radius; gap, the largest between the errors of
        two --groups. May be given several times.
    level
        What is tried on pictures that the curve's attack leaves right: nothing more (quick), rival classes one by one
        and a search by scores (standard), or that from several starts, longer, and FAB (thorough).
    protocol
        autoattack runs the published suite in its published order instead, for comparison.
    radii
        Where accuracy is measured, such as "1/255, 2/255, 4/255"; by default an eighth to four times within.
    groups
        Attributes of the data by which groups are told apart, one by one and crossed, such as skin,sex: columns of a
        table. Each group's errors, calibration and accuracy under attack, and how far groups lie apart.
    positive
        The class whose true and false positives count by group, by name or number; by default 1 of two, the mean over
        more.
    limit
        How many pictures at most, drawn by the seed.
    steps
        Steps of the strong attack.
    restarts
        Random starts of the strong attack.
    seed
        Where all random numbers come from.
    """
    output.ahead(out)
    from ..analysis.audit import read_audit
    from ..data.groups import with_groups
    from ..report.page import typed
    from ..report.summary import summary
    from ..report.written import write_all
    from ..runs.audit import Audit, run_audit
    from ..spec import parse_number

    gates = [read_gate(text) for text in fail_under or ()]
    source, network = opened(data_for(data, model)), loading.load(model)
    region = region_for(within, model)
    wanted = tuple(parse_number(part) for part in radii.split(",")) if radii else ()
    names = tuple(name.strip() for name in groups.split(",") if name.strip()) if groups else ()
    source = with_groups(source, names) if names else source
    if not names and any(gate.run == "gap" for gate in gates):
        raise InputError("a gap between which groups?", "name them with --groups")
    how: Any = {"level": level, "protocol": protocol, "steps": steps, "restarts": restarts}
    how |= {"limit": limit, "seed": seed, "groups": names, "positive": class_number(positive, network)}
    plan = Audit(model, data_for(data, model), region, wanted, **how)
    extra = tuple(gate.eps for gate in gates if gate.eps and gate.eps not in plan.grid)
    plan = replace(plan, gates=extra)
    out = folder_for(out, "audit", model, plan, loading.told())
    with output.watching() as watch:
        run_audit(plan, network, source, out, watch)
    found = read_audit(out)
    write_all(found, out, typed())
    output.document(summary(found), out)
    show(found, output, out)
    return judge(found, gates, output)


class Gate(NamedTuple):
    """A number of the report that must not fall under (or over) a value."""

    text: str
    run: str
    eps: float | None
    over: bool
    value: float


def read_gate(text: str) -> Gate:
    """``pgd@8/255>=0.3`` or ``clean>=0.9``."""
    from ..spec import parse_number

    found = re.fullmatch(r"\s*([a-z-]+)\s*(?:@\s*([^<>=]+))?\s*(>=|<=)\s*(.+)", text)
    if not found:
        raise SpecError(f"{text!r} is not a gate", 'write it as "pgd@8/255>=0.3" or "clean>=0.9"')
    run, eps, sign, value = found.groups()
    alone = run in ("clean", "robust", "gap")
    if not (alone or run in ("fgsm", "pgd", "random", "worst-random")) or (eps is None) != alone:
        raise SpecError(
            f"{text!r} is not a gate",
            "clean>=…, robust>=…, gap<=…, or fgsm, pgd, random, worst-random with @eps",
        )
    return Gate(text, run, parse_number(eps) if eps else None, sign == ">=", parse_number(value))


def judge(found: "Audited", gates: list[Gate], output: OutputOptions) -> int:
    """1 where a gate does not hold, with one line why."""
    failed = 0
    for gate in gates:
        rate = found.at(gate.run, gate.eps) if gate.eps else getattr(found, gate.run)
        holds = rate.value >= gate.value if gate.over else rate.value <= gate.value
        failed |= not holds
        if not holds:
            print(f"failed: {gate.text}: it is {rate}", file=sys.stderr)
        else:
            output.say(f"holds: {gate.text}: it is {rate}")
    return int(failed)


def show(found: "Audited", output: OutputOptions, out: Path) -> None:
    """The numbers for people."""
    from ..analysis.audit import curve_text
    from ..region import size_text

    names = [curve_text(found.audit, run) for run in found.curves]
    rows = [
        [size_text(radius), *(curve[k].brief for curve in found.curves.values())]
        for k, radius in enumerate(found.radii)
    ]
    name = type(found.audit.within).__name__
    if not found.labelled:
        output.say(f"{UNLABELLED}\n")
    output.table(f"accuracy in %, 95 % Wilson intervals, n = {found.n}", [name, *names], rows)
    if found.subgroups is not None:
        show_groups(found.subgroups, output)
    spread = found.median_radius
    output.say(
        f"\nclean     {found.clean}\n{'at ' + size_text(found.audit.eps):<9} {found.robust}, after every attack"
    )
    for line in found.verdict.lines if found.verdict else ():
        output.say(
            f"          {line.attack} flips {line.flipped} of {line.tried}: {line.forward:.0f} forward and "
            f"{line.backward:.0f} backward passes an image"
        )
    output.say(
        f"smallest change that flips: median {spread.median:.3g} of {spread.n} ({spread.infinite} never flipped)"
    )
    output.say(found.masking.sentence)
    for one in found.sanity:
        like = (
            f"rank correlation {one.correlation:.2f} with a random network"
            if one.n > 1
            else "too few maps to tell"
        )
        output.say(f"{one.verdict:>7}  {one.method}: {like}")
    output.say(f"\nreport: {out / 'report.html'}")


def show_groups(found: "Subgroups", output: OutputOptions) -> None:
    """The groups by attribute, and what is said of them."""
    from ..report.subgroups import subgroups_sentence

    for one in found.attributes:
        rows = [
            [m.name + (" (few)" if m.few else ""), str(m.n), m.error.brief, m.robust.brief, f"{m.holm:.3f}"]
            for m in one.members
        ]
        header = [one.name, "n", "error", "right under attack", "p, Holm"]
        output.table("\nin %, with 95 % Wilson intervals", header, rows)
    output.say(f"\n{subgroups_sentence(found)}")
