"""``unfool attack "Substitute()"``: learn a substitute of a black box, and show the oracle what fools it."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .shared import OutputOptions, opened

if TYPE_CHECKING:
    from ..analysis.substitute import Transfer
    from ..attacks.substitute import Substitute
    from ..model import Model
    from ..regions import Region


def attack_by_substitute(
    how: "Substitute",
    data: str,
    address: str,
    network: "Model",
    within: "Region | None",
    limit: int | None,
    seed: int,
    out: Path,
    output: OutputOptions,
) -> None:
    """One study, its tables on the terminal and its files in ``out``."""
    from ..analysis.substitute import disjoint, study
    from ..regions import Linf
    from ..report.substitute import write_study
    from ..runs.work import claim_folder
    from ..zoo.remember import memory_of

    region = within or Linf(0.2)
    if region.norm is not Linf or isinstance(region.radius, tuple):
        raise InputError(f"Substitute is scored within one Linf, not {region!r}", '--within "Linf(0.2)"')
    claim_folder(out, f"{how!r} of {address} on {data}, within={region!r}, limit={limit}, seed={seed}")
    seeds, scored = disjoint(opened(data), network, how.seeds, limit, seed)
    with output.watching() as watch, watch("labels", how.asks()) as progress:
        last = 0

        def done(asked: int) -> None:
            nonlocal last
            progress(asked - last)
            last = asked

        found = study(how, network, seeds, scored, float(region.radius), seed, done)
    numbers = write_study(found, how, address, out)
    _tables(found, output)
    output.say(
        f"\n{len(found.evasions.ids)} confirmed evasions; unfool run {out / 'replay.txt'} shows them again"
    )
    if memory := memory_of(network):
        output.say(f"black box: {memory}")
    output.say(f"curves, loop, numbers and evasions in {out}")
    output.document({"attack": repr(how), **numbers, "folder": str(out)})


def _tables(found: "Transfer", output: OutputOptions) -> None:
    rounds = [[f"{p.asked:,}", str(p.agreement), str(p.transfer), str(p.control)] for p in found.rounds]
    header = ["labels", "agreement", f"FGSM transfers, eps {found.eps:g}", "random signs"]
    output.table("", header, rounds)
    output.say("")
    sizes = [[f"{s.eps:g}", str(s.fgsm), str(s.pgd), str(s.control)] for s in found.sizes]
    output.table("", ["eps", "FGSM transfers", "PGD transfers", "random signs"], sizes)
