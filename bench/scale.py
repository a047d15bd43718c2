"""Runs that are spread and killed: time by two workers beside one process, and whether results survive anything.

    python bench/scale.py [times] [kills] [memory] [--images 2000] [--steps 100 300] [--rounds 3]

One thread a process. ``times``: an attack on the embedded digits by one process, by two Ray workers, by two ranks and
by two processes of torchrun, from start to end, in turn; their parts must be the same bytes. Two lengths of the attack
tell what a start costs from what the work does. ``kills``: kill -9 of a
worker, of the driver, of everything at random moments of such runs; each is then taken up again, by whatever engine
comes next, and must end in the bytes of an undisturbed run without touching what was there. ``memory``: what a process
holds while it predicts many rows. Writes scale.json.
"""

import argparse
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PART = "part-*.safetensors"
TOLD = "-m unfool attack"
KILLED = ("worker", "driver", "everything")
SPREAD = ("ray", "torchrun")
"""Who sees to it by itself that a worker has died."""


def data(folder: Path, images: int) -> Path:
    """Digits of the training half, each moved about and a little noisy, so that there are as many as wanted."""
    import numpy as np

    from unfool.data.address import open_data

    source = open_data("unfool:digits?split=train")
    ids = source.ids()
    batch = source.batch([ids[k % len(ids)] for k in range(images)])
    rng = np.random.default_rng(0)
    noisy = (batch.x.numpy()[:, 0] * 255 + rng.normal(0, 8, batch.x[:, 0].shape)).clip(0, 255)
    path = folder / "digits.npz"
    np.savez(path, x=noisy.astype(np.uint8), y=batch.y.numpy())
    return path


def command(path: Path, steps: int, out: Path, *more: str) -> list[str]:
    attack = f"PGD(steps={steps}, loss=Margin(), random_start=False)"
    asked = ["attack", attack, str(path), "--model", "unfool:digits", "--within", "Linf(0.05)"]
    return ["-m", "unfool", *asked, "--pictures", "0", "--quiet", "--out", str(out), *more]


class Running:
    """Commands in a session each, and all processes that come of them, in whichever session those are."""

    def __init__(self, *commands: list[str]):
        path = os.pathsep.join(filter(None, [str(HERE.parent / "src"), os.environ.get("PYTHONPATH")]))
        own = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.started = [
            subprocess.Popen([sys.executable, *c], env=own, start_new_session=True, **quiet) for c in commands
        ]
        self.sessions = {one.pid for one in self.started}

    def wait(self) -> None:
        if failed := [one.args for one in self.started if one.wait()]:
            raise SystemExit(f"failed: {failed[0]}")

    def processes(self) -> dict[int, str]:
        """Process numbers and command lines; a session that was theirs once is so when its parent has died, too."""
        alive = dict[int, tuple[int, int, str]]()
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state, parent, _, session = (place / "stat").read_text().rpartition(")")[2].split()[:4]
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if state != "Z":
                    alive[int(place.name)] = int(parent), int(session), line
        found, before = dict[int, str](), -1
        while before < len(found):
            before = len(found)
            own = {k: v for k, v in alive.items() if v[0] in found or v[1] in self.sessions}
            self.sessions |= {session for _, session, _ in own.values()}
            found = {pid: line for pid, (_, _, line) in own.items()}
        return found

    def kill(self, what: str, rng: random.Random) -> str:
        """``worker``: one that computes; ``driver``: a process that was started; ``everything``."""
        alive = self.processes()
        drivers = [one.pid for one in self.started if one.poll() is None]
        workers = self.workers()
        victims = {"worker": workers or drivers, "driver": drivers, "everything": [*alive]}[what]
        victims = victims if what == "everything" else rng.sample(victims, min(1, len(victims)))
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return f"{len(victims)} of {len(alive)} processes"

    def alive(self) -> bool:
        return any(one.poll() is None for one in self.started)

    def workers(self) -> list[int]:
        """Those of Ray, and those that torchrun has started."""
        lines, own = self.processes(), {one.pid for one in self.started}
        return [k for k, v in lines.items() if v.startswith("ray::Worker") or (k not in own and TOLD in v)]

    def end(self) -> None:
        """Whatever is left of it."""
        for _ in range(20):
            if not (alive := self.processes()):
                break
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        for one in self.started:
            one.wait()


def by(engine: str, path: Path, steps: int, out: Path, *more: str) -> Running:
    """The attack by one process, two Ray workers, two ranks or two processes of torchrun."""
    plain = command(path, steps, out, *more)
    if engine == "ray":
        return Running([*plain, "--engine", "ray", "--workers", "2"])
    if engine == "ranks":
        return Running(*([*plain, "--part", f"{k}/2"] for k in (1, 2)))
    if engine == "torchrun":
        again = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
        return Running(["-m", "torch.distributed.run", *again, *plain])
    return Running(plain)


def parts(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in [*sorted(folder.glob(PART)), *folder.glob("table.parquet")]}


def times(place: Path, images: int, steps: int, rounds: int) -> dict[str, Any]:
    place.mkdir()
    path, taken = data(place, images), dict[str, list[float]]()
    for k in range(rounds):
        for engine in ("one", "ray", "ranks", "torchrun"):
            out, begun = place / f"{engine}-{k}", time.perf_counter()
            by(engine, path, steps, out).wait()
            taken.setdefault(engine, []).append(time.perf_counter() - begun)
            same = parts(out) == parts(place / "one-0")
            print(f"{engine:9} {taken[engine][-1]:7.1f} s, bytes {'equal' if same else 'DIFFER'}", flush=True)
            if not same:
                raise SystemExit(f"{engine} gives other bytes")
    ratios = {
        engine: [own / one for own, one in zip(seconds, taken["one"], strict=True)]
        for engine, seconds in taken.items()
    }
    return {"images": images, "steps": steps, "seconds": taken, "ratios": ratios}


def kills(
    place: Path,
    path: Path,
    steps: int,
    count: int,
    engines: tuple[str, ...],
    seed: int = 0,
    more: tuple[str, ...] = (),
    first: int = 0,
) -> Iterator[str]:
    """What was killed; raises where anything was lost, done twice or came out otherwise."""
    begun = time.perf_counter()
    by("one", path, steps, place / "whole", *more).wait()
    long, whole = time.perf_counter() - begun, parts(place / "whole")
    for k in range(first, count):
        rng = random.Random(f"{seed} {k}")
        turn = k // math.lcm(len(KILLED), len(engines))  # so that each engine meets each
        what, engine = KILLED[k % len(KILLED)], engines[(k + turn) % len(engines)]
        out = place / f"killed-{k}"
        running = by(engine, path, steps, out, *more)
        moment = wait(running, out, rng.randrange(len(whole) - 1), rng.uniform(0, long / len(whole)))
        while what == "worker" and engine in SPREAD and not running.workers() and running.alive():
            time.sleep(0.05)  # it takes a while until there is one
        done = running.kill(what, rng)
        if what == "worker" and engine in SPREAD:
            running.wait()  # its death is nothing that anybody has to see to
        running.end()
        before = {p: p.stat().st_mtime_ns for p in out.glob(PART)}
        by(engines[(k + 1) % len(engines)], path, steps, out, *more).wait()
        told = f"{engine}: {what} {moment} ({done}), {len(before)} parts were there"
        print(told, flush=True)
        check(out, whole, before, told)
        shutil.rmtree(out)
        yield told


def wait(running: Running, out: Path, count: int, then: float) -> str:
    """Until so many parts are there, and a moment more."""
    while running.alive() and len([*out.glob(PART)]) < count:
        time.sleep(0.01)
    time.sleep(then)
    return f"{then:.2f} s after part {count}"


def check(out: Path, whole: dict[str, bytes], before: dict[Path, int], told: str) -> None:
    if parts(out) != whole:
        raise SystemExit(f"other bytes after: {told}")
    if again := [p.name for p, stamp in before.items() if p.stat().st_mtime_ns != stamp]:
        raise SystemExit(f"done twice: {again} after: {told}")
    if left := [p.name for p in out.glob(".*")]:
        raise SystemExit(f"left over: {left} after: {told}")


def memory(place: Path, rows: int) -> dict[str, Any]:
    """MB that a process holds after each tenth of the rows, and when it has read and joined them."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); from scale import hold; hold({str(place)!r}, {rows})"
    )
    running = Running(["-c", code])
    running.wait()
    found = json.loads((place / "memory.json").read_text())
    print(found, flush=True)
    return found


def hold(place: str, rows: int) -> None:
    """Change rows at random, and write down what is held meanwhile and at the end."""
    import numpy as np
    import torch

    from unfool.attacks.noise import RandomNoise
    from unfool.data.base import Sample, Source
    from unfool.model import Model
    from unfool.regions import Linf
    from unfool.runs.local import run_recipe
    from unfool.runs.recipe import Recipe

    class Noise(Source):
        """Images that are made when they are asked for."""

        def ids(self) -> tuple[str, ...]:
            return IDS

        def sample(self, id: str, view: Any) -> Sample:
            x = np.random.default_rng(int(id)).random((3, 32, 32), dtype=np.float32)
            return Sample(torch.from_numpy(x))

        def label(self, id: str) -> int:
            return int(id) % 10

    IDS = tuple(map(str, range(rows)))  # noqa: N806
    held, done = list[float](), [0]

    def look() -> None:
        held.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)

    def progress(some: int) -> None:
        done[0] += some
        if done[0] >= rows * (len(held) + 1) / 10:
            look()

    torch.manual_seed(0)
    pool = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 10))
    recipe = Recipe(RandomNoise(), "pool", "noise", Linf(0.1))
    run_recipe(recipe, Model(pool.eval()), Noise(), Path(place) / "many", progress)
    look()
    shutil.rmtree(Path(place) / "many")
    (Path(place) / "memory.json").write_text(json.dumps({"rows": rows, "megabytes": held}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["times", "kills", "memory"])
    numbers = (("images", 2000), ("rounds", 3), ("kills", 20), ("rows", 100_000), ("seed", 0))
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--first", type=int, default=0, help="how many kills there have been: go on there")
    for name, default in numbers:
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    file = HERE / "scale.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if "times" in args.what:
            held = {one["steps"]: one for one in found.get("times", [])}
            for steps in args.steps:
                held[steps] = times(place / str(steps), args.images, steps, args.rounds)
                found["times"] = [held[k] for k in sorted(held)]
                write(file, found)
        if "kills" in args.what:
            path = data(place, 640)
            engines = ("ray", "one", "ranks", "torchrun")
            found["kills"] = found.get("kills", [])[: args.first]
            for told in kills(place, path, 10, args.kills, engines, args.seed, first=args.first):
                found["kills"].append(told)
                write(file, found)
        if "memory" in args.what:
            found["memory"] = memory(place, args.rows)
    write(file, found)


def write(file: Path, found: dict[str, Any]) -> None:
    file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
