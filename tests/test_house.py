"""Rules of the house that a reader can count on: short files, one place for each dangerous or heavy thing."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

SRC = Path(__file__).parents[1] / "src" / "unfool"
PATHS = sorted(SRC.rglob("*.py"))
FILES = {path.relative_to(SRC).as_posix(): path.read_text(encoding="utf-8") for path in PATHS}
TREES = {name: ast.parse(text) for name, text in FILES.items()}

HOOKS = {"hooks.py"}
GRADIENTS = {"derivatives.py"}

# Slow or optional packages, and the files ("folder/": all in it) that may import them.
HEAVY = {
    "anywidget": ["notebook.py"],
    "av": ["show/mp4.py"],
    "cyclopts": ["cli/"],
    "huggingface_hub": ["data/hub.py"],
    "jinja2": ["report/"],
    "matplotlib": ["show/"],
    "nibabel": ["data/nifti.py"],
    "onnxruntime": ["zoo/onnx.py"],
    "openTSNE": ["analysis/tsne.py"],
    "pacmap": ["analysis/pacmaps.py"],
    "pydicom": ["data/dicom.py"],
    "ray": ["runs/ray/cluster.py"],
    "skops": ["zoo/sklearn.py"],
    "sklearn": [
        "analysis/drift.py",
        "analysis/envelope.py",
        "analysis/probe.py",
        "analysis/slices.py",
        "analysis/spray.py",
        "analysis/templates.py",
        "samples.py",
        "zoo/classic.py",
    ],
    "starlette": ["web/app.py", "web/guard.py", "web/line.py"],
    "timm": ["zoo/timm.py"],
    "torchvision": ["vision.py"],
    "traitlets": ["notebook.py"],
    "uvicorn": ["web/serve.py"],
    "websockets": ["web/serve.py"],
}

TRUSTED = ["zoo/weights.py"]
"""Where a file is unpickled whose code the user has said may run (--trust): one call."""

UNPICKLERS = {"cloudpickle", "cPickle", "dill", "joblib", "marshal", "pickle", "shelve"}


def nodes(kind: type | tuple[type, ...]) -> Iterator[tuple[str, ast.AST]]:
    """Every node of a kind, with its place as file:line."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield f"{name}:{getattr(node, 'lineno', 1)}", node


def packages(node: ast.AST) -> set[str]:
    """The packages that an import statement names, without their submodules."""
    match node:
        case ast.Import(names=names):
            return {alias.name.split(".")[0] for alias in names}
        case ast.ImportFrom(module=str(module), level=0):
            return {module.split(".")[0]}
    return set()


def in_file(place: str) -> str:
    return place.rsplit(":", 1)[0]


def test_files_are_short():
    assert not {name: n for name, text in FILES.items() if (n := len(text.splitlines())) > 300}


def test_functions_are_short():
    found = [node for _, node in nodes((ast.FunctionDef, ast.AsyncFunctionDef))]
    lengths = [node.end_lineno - node.lineno + 1 for node in found]
    if len(lengths) > 1:
        assert median(lengths) <= 9
        assert quantiles(lengths, n=10)[-1] <= 35


def test_the_catalogue_needs_no_extra_and_loads_none():
    asked = "import sys, unfool.families; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    extras = {name for name in HEAVY if name not in ("jinja2", "matplotlib", "sklearn", "cyclopts")}
    assert extras & set(done.stdout.split()) == set()


def test_nothing_is_evaluated():
    calls = ((place, node.func) for place, node in nodes(ast.Call))
    assert not [place for place, f in calls if isinstance(f, ast.Name) and f.id in {"eval", "exec"}]


def test_nothing_is_unpickled():
    imports = [
        (place, node) for place, node in nodes((ast.Import, ast.ImportFrom)) if packages(node) & UNPICKLERS
    ]
    assert not [place for place, node in imports if ast.unparse(node) != "from pickle import UnpicklingError"]
    assert not [place for place, node in nodes(ast.Call) if keyword(node, "allow_pickle") is True]


def test_weights_are_only_loaded_as_weights():
    loads = [(place, node) for place, node in nodes(ast.Call) if ast.unparse(node.func) == "torch.load"]
    assert [in_file(place) for place, node in loads if keyword(node, "weights_only") is not True] == TRUSTED


def keyword(call: ast.Call, name: str) -> object:
    """The literal given for a keyword; None where there is none, or none that can be read here."""
    values = [k.value for k in call.keywords if k.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def test_hooks_are_registered_in_one_file():
    attributes = ((place, node.attr) for place, node in nodes(ast.Attribute))
    hooked = {place for place, name in attributes if re.fullmatch(r"register_\w*hook", name)}
    assert not {place for place in hooked if in_file(place) not in HOOKS}


def test_gradients_are_taken_in_one_file():
    asked = {place for place, node in nodes(ast.Attribute) if ast.unparse(node).endswith("autograd.grad")}
    asked |= {place for place, node in nodes(ast.ImportFrom) if node.module == "torch.autograd"}
    assert not {place for place in asked if in_file(place) not in GRADIENTS}


def test_heavy_packages_are_imported_where_the_table_says():
    for place, node in nodes((ast.Import, ast.ImportFrom)):
        for package in packages(node) & HEAVY.keys():
            homes = HEAVY[package]
            assert any(place.startswith(home if home.endswith("/") else home + ":") for home in homes), (
                f"src/unfool/{place} imports {package}: let {' or '.join(homes)} do it, "
                f"or add the file to HEAVY in tests/test_house.py"
            )


def test_concrete_specs_have_no_subclasses():
    """A class is abstract or final; to change what a method does, wrap it. Names stand for classes here."""
    classes = {node.name: node for _, node in nodes(ast.ClassDef)}
    specs = {name for name in classes if "Spec" in ancestors(name, classes)}
    for name in sorted(specs):
        for base in bases(classes[name]) & specs:
            assert is_abstract(classes[base]), (
                f"{name} derives from {base}, which is not abstract: let {base} list ABC, or wrap it instead"
            )


def bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases}


def ancestors(name: str, classes: dict[str, ast.ClassDef]) -> set[str]:
    found: set[str] = set()
    ahead = [name]
    while ahead:
        new = (bases(classes[name]) if (name := ahead.pop()) in classes else set()) - found
        found |= new
        ahead += new
    return found


def is_abstract(node: ast.ClassDef) -> bool:
    own = (item.decorator_list for item in node.body if isinstance(item, ast.FunctionDef))
    marked = {ast.unparse(decorator).split(".")[-1] for decorators in own for decorator in decorators}
    return "ABC" in bases(node) or "abstractmethod" in marked
