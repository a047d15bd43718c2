"""Who finds the smallest changes: median sizes at the same number of passes through a network, forward and backward.

Every result is judged by the same code, in float32 on the network itself; an image that was not flipped counts as
infinitely far. Rivals that are not installed are left out. Results are merged into nearest.json,
the table into README.md.

    python bench/nearest.py unfool:digits=unfool:digits --images 50 --budget 200
    python bench/nearest.py FOLDER/networks.py:mnist_plain=FOLDER/mnist/test.npz --norms L2 L1
"""

import argparse
import json
import math
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import unfool
from unfool.vision import torchvision

HERE = Path(__file__).parent
MARKS = "<!-- Written by bench/nearest.py from nearest.json. -->\n", "<!-- End of bench/nearest.py. -->\n"
NORMS = {"L0": 0, "L1": 1, "L2": 2, "Linf": math.inf}
Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Counting(nn.Module):
    """Counts the images that go through a network forward and backward."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net, self.passes = net, 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.passes += len(x)
        out = self.net(x)
        if out.requires_grad:
            out.register_hook(lambda grad: setattr(self, "passes", self.passes + len(grad)))
        return out


class Contender(NamedTuple):
    """An attack whose cost grows with one whole number, in one of the settings it is tried in."""

    who: str
    make: Callable[[int], Attack]
    ours: bool = False
    setting: str = ""


def ours(kind: str, norm: str, **how: Any) -> Contender:
    def make(n: int) -> Attack:
        def attack(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            assert isinstance(net, Counting)
            region = getattr(unfool, norm).whole(x)
            found = getattr(unfool, kind)(steps=n, **how)(unfool.Model(net.net), x, y, within=region)
            net.passes += found.cost["forward"] + found.cost.get("backward", 0) - len(x)  # the verdict's
            return found.x

        return attack

    options = ", ".join(f"{k}={v}" for k, v in how.items())
    return Contender(f"unfool {kind}" + (f"({options})" if how else ""), make, True)


def contenders(norm: str) -> Iterator[Contender]:
    """Everybody who works in a norm."""
    for kind in OURS[norm]:
        yield ours(kind, norm)
    for package, make in ("adv_lib", adv_lib), ("foolbox", foolbox), ("torchattacks", torchattacks):
        try:
            yield from make(norm)
        except ImportError as error:
            print(f"{package} is left out: {error}", file=sys.stderr)


OURS = {
    "L0": ("SigmaZero", "FMN"),
    "L1": ("FAB", "FMN"),
    "L2": ("DDN", "FAB", "FMN", "DeepFool", "CarliniWagner", "BoxLBFGS"),
    "Linf": ("FAB", "FMN", "DeepFool"),
}


Settings = dict[str, list[dict[str, Any]]]
SWEEP = 4
"""How many settings of each rival to try at most: its defaults first."""


def swept(package: str, name: str, settings: Settings, make: Callable[..., Attack]) -> Iterator[Contender]:
    """A contender for each of its settings, or one with its defaults."""
    for how in settings.get(name, [{}])[:SWEEP]:
        text = ", ".join(f"{key}={value}" for key, value in how.items())
        yield Contender(f"{package} {name}", partial(make, **how), setting=text)


FAR = {"L1": 40.0, "L2": 5.0, "Linf": 0.5}
ADV_LIB: Settings = {
    "fmn": [{}, {"γ_init": 0.2}, {"α_init": 10.0}],
    "pdpgd": [{}, {"primal_lr": 0.01}],
    "sigma_zero": [{}, {"η_0": 0.5}, {"τ_0": 0.1}],
    "minimal_apgd": [{}, {"share": 0.1}, {"targeted_version": True}],
    "ddn": [{}, {"init_norm": 3.0, "γ": 0.1}, {"init_norm": 0.2}, {"γ": 0.1}],
    "pdgd": [{}, {"primal_lr": 0.01}],
}


def adv_lib(norm: str) -> Iterator[Contender]:
    a: Any = import_module("adv_lib.attacks")
    apgd: Any = import_module("adv_lib.attacks.auto_pgd").minimal_apgd
    calls: dict[str, Any] = {"fmn": ("steps", a.fmn), "pdpgd": ("num_steps", a.pdpgd)}
    if norm == "L0":
        calls["sigma_zero"] = ("num_steps", a.sigma_zero)
    else:
        calls["fab"] = ("n_iter", a.fab)

        def bisected(*about: Any, share: float = 1.0, **how: Any) -> Any:
            return apgd(*about, max_eps=FAR[norm] * share, binary_search_steps=8, **how)

        calls["minimal_apgd"] = ("n_iter", bisected)
    if norm == "L2":
        calls |= {"ddn": ("steps", partial(a.ddn, levels=None)), "pdgd": ("num_steps", a.pdgd)}
        calls["sdf"] = ("steps", a.sdf)
    for name, (steps, call) in calls.items():
        fixed = {} if name in ("sigma_zero", "ddn", "pdgd", "sdf") else {"norm": NORMS[norm]}

        def make(n: int, call: Any = call, steps: str = steps, fixed: Any = fixed, **how: Any) -> Attack:
            return lambda net, x, y: call(net, x, y, **{steps: n}, **fixed, **how)

        yield from swept("adv-lib", name, ADV_LIB, make)


CW = [{"stepsize": rate, "initial_const": c} for c in (1.0, 0.001) for rate in (0.1, 0.01)]
FOOLBOX: Settings = {
    "EADAttack": [
        {"initial_stepsize": rate, "initial_const": c} for rate in (0.01, 0.1) for c in (0.1, 10.0)
    ],
    "DDNAttack": [{}, {"init_epsilon": 3.0, "gamma": 0.1}, {"init_epsilon": 0.2}, {"gamma": 0.1}],
    "L2CarliniWagnerAttack": CW,
}


def foolbox(norm: str) -> Iterator[Contender]:
    fb: Any = import_module("foolbox")
    names = {
        "L0": [],
        "L1": ["EADAttack"],
        "L2": ["DDNAttack", "L2DeepFoolAttack", "L2CarliniWagnerAttack"],
        "Linf": ["LinfDeepFoolAttack"],
    }[norm]
    more = {
        "EADAttack": {"binary_search_steps": 3, "decision_rule": "L1"},
        "L2CarliniWagnerAttack": {"binary_search_steps": 4},
    }
    for name in (*names, "LInfFMNAttack" if norm == "Linf" else f"{norm}FMNAttack"):

        def make(n: int, name: str = name, **how: Any) -> Attack:
            def attack(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
                model = fb.PyTorchModel(net, bounds=(0, 1))
                kind = getattr(fb.attacks, name)
                return kind(steps=n, **more.get(name, {}), **how)(model, x, y, epsilons=None)[1]

            return attack

        yield from swept("foolbox", name, FOOLBOX, make)


TORCHATTACKS: Settings = {"CW": [{"lr": rate, "c": c} for rate in (0.01, 0.1) for c in (1.0, 10.0)]}


def torchattacks(norm: str) -> Iterator[Contender]:
    ta: Any = import_module("torchattacks")

    def fab(n: int) -> Attack:
        return lambda net, x, y: ta.FAB(net, norm=norm, eps=FAR[norm], steps=n)(x, y)

    def cw(n: int, **how: Any) -> Attack:
        return lambda net, x, y: ta.CW(net, steps=n, **how)(x, y)

    if norm != "L0":
        yield from swept("torchattacks", "FAB", TORCHATTACKS, fab)
    if norm == "L2":
        yield from swept("torchattacks", "CW", TORCHATTACKS, cw)


def within_budget(contender: Contender, net: nn.Module, x: Tensor, y: Tensor, budget: int) -> Attack:
    """The attack with the largest number of steps that costs no more passes per image, from two small trials."""
    costs = [spent(contender.make(n), net, x[:4], y[:4])[1] for n in (4, 8)]
    each = (costs[1] - costs[0]) / 4
    steps = int((budget - costs[0]) / each) + 4 if each > 0 else 50
    return contender.make(max(steps, 1))


def spent(attack: Attack, net: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    counting = Counting(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attack(counting, x.clone(), y.clone()).detach()
    return found, counting.passes / len(x)


@torch.no_grad()
def sizes(net: nn.Module, x: Tensor, y: Tensor, found: Tensor, norm: str) -> Tensor:
    """How far each flipped image is, infinity for the others; positions are counted once for all channels."""
    fooled = (net(found).argmax(1) != y) & (found.flatten(1).amin(1) >= 0) & (found.flatten(1).amax(1) <= 1)
    size = getattr(unfool, norm)(1.0).size(found - x)
    return torch.where(fooled, size, torch.inf)


def setting(address: str, first: int, images: int) -> tuple[str, nn.Module, Tensor, Tensor]:
    """The network and those of the images from the first on that it gets right."""
    place, _, data = address.partition("=")
    model, source = unfool.load(place), unfool.open_data(data)
    batch = source.batch(source.ids()[first : first + images], None, model.classes)
    net = model.net
    with torch.no_grad():
        right = (net(batch.x).argmax(1) == batch.y).nonzero()[:, 0]
    return place.rpartition(":")[2], net, batch.x[right], batch.y[right]


class Result(NamedTuple):
    """What a contender found."""

    contender: Contender
    sizes: Tensor
    passes: float


def compare(
    address: str, norm: str, budget: int, first: int, images: int, only: list[str]
) -> list[dict[str, Any]]:
    """A row for each attack in its best setting, ours and rivals' best compared image by image."""
    name, net, x, y = setting(address, first, images)
    results: dict[str, Result] = {}
    tried: Counter[str] = Counter()
    for contender in contenders(norm):
        if only and not any(word in contender.who for word in only):
            continue
        torch.manual_seed(0)
        try:
            attack = within_budget(contender, net, x, y, budget)
            found, passes = spent(attack, net, x, y)
        except Exception as error:  # whatever a rival breaks on
            if contender.ours:
                raise
            print(f"{contender.who} in {norm} is left out: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        result = Result(contender, sizes(net, x, y, found, norm), passes)
        print(
            name,
            norm,
            contender.who,
            contender.setting,
            float(result.sizes.median()),
            round(passes),
            flush=True,
        )
        tried[contender.who] += 1
        results[contender.who] = min((results.get(contender.who, result), result), key=small)
    rows = [
        row(result) | {"net": name, "norm": norm, "budget": budget, "first": first}
        for result in results.values()
    ]
    best = [
        min((r for r in results.values() if r.contender.ours == mine), key=small, default=None)
        for mine in (True, False)
    ]
    if best[0] and best[1]:
        lead = resampled(best[0].sizes.nan_to_num(posinf=1e9), best[1].sizes.nan_to_num(posinf=1e9))
        for each in rows:
            if each["who"] == best[0].contender.who:
                each |= {"rival": best[1].contender.who, "ratio": lead}
    for each in rows:
        each["tried"] = tried[each["who"]]
    return rows


def small(result: Result) -> tuple[float, float]:
    return float(result.sizes.median()), float(result.sizes.nan_to_num(posinf=1e9).mean())


def resampled(size: Tensor, other: Tensor | None = None) -> list[float]:
    """The median, or its ratio to another's, and a 95 % interval of it: 10,000 times the images drawn again."""
    drawn = torch.randint(len(size), (10_000, len(size)), generator=torch.Generator().manual_seed(0))
    values, middle = size[drawn].median(1).values, size.median()
    if other is not None:
        values, middle = values / other[drawn].median(1).values, middle / other.median()
    low, high = (values.sort().values[k] for k in (249, 9749))
    return [round(float(v), 5) for v in (middle, low, high)]


def row(result: Result) -> dict[str, Any]:
    size = result.sizes
    median, low, high = resampled(size)
    return {
        "who": result.contender.who,
        "setting": result.contender.setting,
        "median": median,
        "low": low,
        "high": high,
        "mean": round(float(size[size.isfinite()].mean()), 5),
        "found": int(size.isfinite().sum()),
        "n": len(size),
        "passes": round(result.passes, 1),
    }


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["net"], row["norm"], row["budget"], row["who"]


def merged(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    old = json.loads(path.read_text()) if path.exists() else []
    return sorted(
        {key(row): row for row in (*old, *rows)}.values(), key=lambda row: (*key(row)[:3], row["median"])
    )


def table(rows: list[dict[str, Any]]) -> str:
    """One column for each network and norm; the smallest of each in bold."""
    return "\n".join(block(rows, budget) for budget in sorted({row["budget"] for row in rows}))


def block(rows: list[dict[str, Any]], budget: int) -> str:
    rows = [row for row in rows if row["budget"] == budget]
    nets = list(dict.fromkeys(row["net"] for row in rows))
    lines = [
        f"\nAt most {budget} passes per image:\n",
        f"| norm | attack | {' | '.join(nets)} |",
        f"|---|---|{'---|' * len(nets)}",
    ]
    for norm in NORMS:
        here = {(row["who"], row["net"]): row for row in rows if row["norm"] == norm}
        least = {net: min((r["median"] for (_, n), r in here.items() if n == net), default=0) for net in nets}
        for who in sorted({w for w, _ in here}, key=lambda w: (not w.startswith("unfool"), w)):
            cells = [cell(here.get((who, net)), least[net]) for net in nets]
            lines.append(f"| {norm} | {who} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(row: dict[str, Any] | None, least: float) -> str:
    if row is None:
        return "–"
    text = shown(row["median"])
    missed = row["n"] - row["found"]
    text = f"**{text}**" if row["median"] <= least else text
    return f"{text} [{shown(row['low'])}, {shown(row['high'])}]" + (f" ({missed} missed)" if missed else "")


def shown(size: float) -> str:
    return f"{size:.4g}" if math.isfinite(size) else "∞"


def duels(rows: list[dict[str, Any]]) -> str:
    """Our best beside the rivals' best."""
    lines = [
        "| passes | network, norm | n | best of ours | best rival | ratio of medians, 95 % |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted((r for r in rows if "ratio" in r), key=lambda r: (r["budget"], r["net"], r["norm"])):
        ratio, low, high = row["ratio"]
        rival = next(r for r in rows if (r["who"], *key(r)[:3]) == (row["rival"], *key(row)[:3]))
        names = [
            f"{r['who']} {shown(r['median'])}" + (f" ({r['setting']})" if r["setting"] else "")
            for r in (row, rival)
        ]
        lines.append(
            f"| {row['budget']} | {row['net']}, {row['norm']} | {row['n']} | {names[0]} | {names[1]} "
            f"| {ratio:.3f} [{low:.3f}, {high:.3f}] |"
        )
    return "\n".join(lines) + "\n"


def write(rows: list[dict[str, Any]]) -> None:
    path, page = HERE / "nearest.json", HERE / "README.md"
    rows = merged(rows, path)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    text = page.read_text()
    if MARKS[0] in text:
        head, _, rest = text.partition(MARKS[0])
        page.write_text(head + MARKS[0] + duels(rows) + table(rows) + MARKS[1] + rest.partition(MARKS[1])[2])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", help="NETWORK=DATA, by their addresses")
    parser.add_argument("--norms", nargs="+", default=list(NORMS), choices=list(NORMS))
    parser.add_argument("--budget", type=int, default=200, help="passes per image, forward and backward")
    parser.add_argument(
        "--first", type=int, default=100, help="the first image; what was tuned was on others"
    )
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--only", nargs="+", default=[], help="those whose name contains one of these")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--sweep", type=int, default=SWEEP, help="how many settings of each rival to try")
    args = parser.parse_args()
    globals()["SWEEP"] = args.sweep
    torch.set_num_threads(1)
    with suppress(ImportError):
        torchvision()  # before rivals and networks import it by themselves
    for address in args.settings:
        for norm in args.norms:
            rows = compare(address, norm, args.budget, args.first, args.images, args.only)
            if not args.dry:
                write(rows)
    if not args.settings:
        write([])


if __name__ == "__main__":
    main()
