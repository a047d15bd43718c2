"""Who may import whom: a file imports from lower layers, and a folder's files from each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "unfool"

# A name is a file, or a folder and all its files. Names on one line never import each other.
LAYERS = (
    "errors",
    "options",
    "spec",
    "answers blackbox borrow boxes checks derivatives dress grids hooks maps memory outputs pictured rows",
    "samples scores",
    "segments straight views vision",
    "fast partial phantoms region scenes transforms",
    "fills framing model regions",
    "detections objectives",
    "aims landmarks receptive tail targets",
    "query",
    "loop slopes",
    "method",
    "attacks attributions data measures synthesis",
    "training",
    "defences zoo",
    "runs",
    "analysis families show track",
    "report",
    "bench lecture",
    "web",
    "cli notebook",
)
RANK = {name: rank for rank, line in enumerate(LAYERS) for name in line.split()}
FACES = {"__init__", "__main__"}  # the public names and `python -m unfool`: they may import anything
TOP = len(LAYERS) - 1

# Imports against the order, (importer, imported): why.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def files(root: Path = SRC) -> list[Path]:
    return sorted(root.rglob("*.py"))


def unit(parts: tuple[str, ...]) -> str:
    """The name in LAYERS that a module belongs to: its first part below the package."""
    return parts[0] if parts else "__init__"


def parts_of(file: Path, root: Path = SRC) -> tuple[str, ...]:
    return file.relative_to(root).with_suffix("").parts


def imported(tree: ast.AST, parts: tuple[str, ...], known: set[str]) -> Iterator[tuple[int, str]]:
    """Line and unit of every import from the package itself, wherever in the file it stands."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for path in (alias.name.split(".") for alias in names):
                    if path[0] == "unfool":
                        yield node.lineno, unit(tuple(path[1:]))
            case ast.ImportFrom(module=module, names=names, level=level):
                above = ("unfool", *parts)[: len(parts) + 1 - level] if level else ()
                path = (*above, *(module.split(".") if module else ()))
                if path == ("unfool",):  # from . import rows: each name may be a unit of its own
                    yield from ((node.lineno, a.name if a.name in known else "__init__") for a in names)
                elif path[0] == "unfool":
                    yield node.lineno, unit(path[1:])


def faults(root: Path = SRC) -> Iterator[str]:
    known = {unit(parts_of(file, root)) for file in files(root)} | set(RANK)
    for file in files(root):
        own = unit(parts_of(file, root))
        if own in FACES or own not in RANK:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for line, other in imported(tree, parts_of(file, root), known):
            place = f"src/unfool/{file.relative_to(root)}:{line}"
            if other in FACES:
                if RANK[own] < TOP:
                    yield f"{place} imports from unfool itself: name the file, as in `from .rows import take`"
            elif other != own and (own, other) not in EXCEPTIONS and RANK.get(other, TOP + 1) >= RANK[own]:
                yield f"{place}: {own} may not import {other}, which is not on a lower layer"


def test_every_file_has_a_layer():
    for name in sorted({unit(parts_of(file)) for file in files()} - FACES):
        assert name in RANK, (
            f"src/unfool/{name} has no layer: add it to LAYERS in tests/test_layers.py, above all it imports"
        )


def test_a_name_is_on_one_layer_only():
    names = " ".join(LAYERS).split()
    assert len(names) == len(set(names))


def test_files_import_from_lower_layers_only():
    problems = list(faults())
    assert not problems, "\n" + "\n".join(problems)


def test_exceptions_are_still_needed():
    wanted = set()
    known = {unit(parts_of(file)) for file in files()}
    for file in files():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        wanted |= {(unit(parts_of(file)), other) for _, other in imported(tree, parts_of(file), known)}
    assert not set(EXCEPTIONS) - wanted


def test_a_fault_is_found(tmp_path: Path):
    """The test of the test: the last line of each file is right, every other import in it is a fault."""
    sources = {
        "rows.py": "import unfool.model\nfrom . import model, maps\nfrom .errors import E\n",
        "attacks/pgd.py": "def f():\n    from ..attributions import cam\nfrom unfool import P\nfrom .a import A\n",
        "attacks/base.py": "import torch\nfrom ..query import Query\n",
        "cli/main.py": "from .. import __version__, web\nfrom ..runs.work import work\n",
        "web/app.py": "from .. import cli\nfrom ..runs.work import work\n",
        "zoo/base.py": "from ..defences.training import Trades\nfrom ..attacks.base import Attack\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    places = (problem.split(" ")[0].rstrip(":") for problem in faults(tmp_path))
    found = sorted(place.removeprefix("src/unfool/") for place in places)
    expected = "attacks/pgd.py:2 attacks/pgd.py:3 rows.py:1 rows.py:2 rows.py:2 web/app.py:1 zoo/base.py:1"
    assert found == expected.split()
