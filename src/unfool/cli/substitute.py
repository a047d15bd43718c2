"""``unfool attack "Substitute()"``: learn a substitute of a black box, and show the oracle what fools it."""

from typing import TYPE_CHECKING

from ..errors import InputError
from .shared import Job, OutputOptions, opened

if TYPE_CHECKING:
    from ..analysis.substitute import Transfer
    from ..attacks.substitute import Substitute


def study_substitute(how: "Substitute", job: Job) -> None:
    """One study, its tables on the terminal and its files in a folder."""
    from ..analysis.substitute import disjoint, study
    from ..regions import Linf
    from ..report.substitute import write_study
    from ..runs.work import claim_folder
    from ..zoo.remember import memory_of

    region, out, output = job.within or Linf(0.2), job.out, job.output
    if region.norm is not Linf or isinstance(region.radius, tuple):
        raise InputError(f"Substitute is scored within one Linf, not {region}", '--within "Linf(0.2)"')
    told = f"{how!r} of {job.model} on {job.data}, within={region!r}, limit={job.limit}, seed={job.seed}"
    claim_folder(out, told)
    seeds, scored = disjoint(opened(job.data), job.network, how.seeds, job.limit, job.seed)
    with output.watching() as watch, watch("labels", how.asks()) as progress:
        last = 0

        def done(asked: int) -> None:
            nonlocal last
            progress(asked - last)
            last = asked

        found = study(how, job.network, seeds, scored, float(region.radius), job.seed, done)
    numbers = write_study(found, how, job.model, out)
    _tables(found, output)
    replay = f"unfool run {out / 'replay.txt'} shows them again"
    output.say(f"\n{len(found.evasions.ids)} confirmed evasions; {replay}")
    if memory := memory_of(job.network):
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
