"""The docs tell the truth: examples run, generated pages are up to date, every command and method is in them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unfool.cli.main import VERBS
from unfool.cli.methods import families
from unfool.spec import catalogue

ROOT = Path(__file__).parents[1]
MADE = {"commands.md", "methods.md"}
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if p.name not in MADE)]


def python_blocks():
    for page in PAGES:
        blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
        yield pytest.param("\n".join(blocks), id=page.name)


@pytest.mark.slow
@pytest.mark.parametrize("code", list(python_blocks()))
def test_every_python_block_of_a_page_runs(code, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def shell_lines() -> list[str]:
    """Every command over embedded data, once."""
    pages = "\n".join(page.read_text() for page in PAGES)
    blocks = "\n".join(re.findall(r"^```console\n(.*?)^```", pages, re.M | re.S))
    lines = re.findall(r"^\$ (unfool .*)$", blocks, re.M)
    return [line for line in dict.fromkeys(lines) if "unfool:" in line or line.startswith("unfool methods")]


FEW = {
    "directions": "--sample 8",
    "shortcuts": "--limit 24",  # fewer maps make no clusters
    "atlas": "--limit 300",  # some activations in each cell
    "hierarchy": "--limit 40",
    "units": "--limit 12",  # it keeps nine of each
    "templates": "--limit 400",  # some of each class to learn from and to judge on
    "slices": "--limit 240",
    "envelope": "--limit 1000",
    "neighbours": "--limit 60",
    "probe": "--limit 300",
    "map": "--limit 120",
    "filters": "",
    "field": "",
}
"""Over how few pictures a page's ``unfool inspect`` runs where eight say nothing, or where it has no such option."""


def over_few(line: str) -> str:
    """The command over a few pictures: a page may show what takes minutes."""
    verb = line.split()[1]
    if verb not in ("attack", "audit", "explain", "inspect"):
        return line
    few = next((few for subject, few in FEW.items() if f"inspect {subject}" in line), "--limit 8")
    return re.sub(r"--limit \d+", few, line) if "--limit" in line else f"{line} {few}".strip()


@pytest.mark.slow
@pytest.mark.parametrize("line", [over_few(line) for line in shell_lines()])
def test_every_command_of_a_page_over_embedded_data_runs(line, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        line, shell=True, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_every_example_runs(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
def test_generated_pages_are_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "build.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_command_and_method_is_in_the_docs():
    commands, methods = ((ROOT / "docs" / page).read_text() for page in ("commands.md", "methods.md"))
    assert [verb for verb in VERBS if f"## unfool {verb}\n" not in commands] == []
    assert [
        name
        for kind in families().values()
        for name, cls in catalogue(kind).items()
        if f"### {name}\n" not in methods and cls.__module__.startswith("unfool.")
    ] == []


def test_every_link_inside_the_docs_leads_somewhere():
    for page in [*PAGES, *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tables_of_the_bench_are_those_of_its_results():
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        from table import MARK, filled, tables  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.pop(0)
    page = (ROOT / "bench" / "README.md").read_text()
    assert page.partition(MARK)[2] == tables()
    assert filled(page) == page
