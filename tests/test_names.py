"""What is public is a file one can read: sorted, complete, importable without torch."""

import re
import subprocess
import sys
from pathlib import Path

import unfool
from unfool.attacks.base import Attack
from unfool.attributions.base import Attribution
from unfool.objectives import Objective
from unfool.regions import Region
from unfool.slopes import Slope
from unfool.spec import catalogue
from unfool.training.base import Training
from unfool.training.optimisers import Optimiser, Schedule

STUB = Path(unfool.__file__).with_suffix(".pyi").read_text()
NAMES = re.findall(r"import (\w+) as \1$", STUB, re.M)
UNWRITTEN = {"Scaled", "Sum"}  # written with * and +


def test_the_public_names_are_sorted_by_module_and_all_can_be_had():
    modules = [line.split()[1] for line in STUB.strip().splitlines()]
    assert modules == sorted(modules)
    assert [name for name in NAMES if not hasattr(unfool, name)] == []
    assert sorted(unfool.__all__) == sorted(NAMES)


def test_every_built_in_method_is_public():
    for kind in (Attack, Attribution, Objective, Optimiser, Region, Schedule, Slope, Training):
        ours = {name for name, cls in catalogue(kind).items() if cls.__module__.startswith("unfool.")}
        assert ours - UNWRITTEN - set(NAMES) == set(), kind


def test_every_public_name_says_what_it_is():
    assert [name for name in NAMES if not (getattr(unfool, name).__doc__ or "").strip()] == []


def test_importing_the_package_imports_no_torch():
    code = "import sys, unfool, unfool.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
