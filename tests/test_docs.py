"""The docs tell the truth: examples run, generated pages are up to date, every command and method is in them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from unfool.cli.main import VERBS, run
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
def test_every_python_block_of_a_page_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "page", "exec"), {"__name__": "page"})


def commands() -> list[str]:
    """Every command over embedded data, over few pictures; those that differ in their folder alone once."""
    pages = "\n".join(page.read_text() for page in PAGES)
    blocks = "\n".join(re.findall(r"^```console\n(.*?)^```", pages, re.M | re.S))
    lines = re.findall(r"^\$ (unfool .*)$", blocks, re.M)
    few = [over_few(line) for line in lines if "unfool:" in line or line.startswith("unfool methods")]
    return list({re.sub(r" --out \S+", "", line): line for line in few}.values())


FEW = {
    "inspect detect": "--limit 20 --sample 100 --sizes 0.2",
    "inspect backdoor": "--limit 8 --sample 64 --controls 0",
    "audit": "--limit 2 --steps 8 --restarts 1",
    "audit unfool:lesions unfool:lesions?shortcut=0": "--limit 8",  # by groups, which want some of each
    "inspect directions": "--sample 8 --images 1",
    "inspect hiding": "--limit 4 --images 1",
    "inspect shortcuts": "--limit 24",  # fewer maps make no clusters
    "inspect units": "--limit 12",  # it keeps nine of each
    "inspect templates": "--limit 400",  # some of each class to learn from and to judge on
    "inspect slices": "--limit 240",
    "inspect envelope": "--limit 1000",
    "inspect neighbours": "--limit 60",
    "inspect probe": "--limit 300",
    "inspect map": "--limit 60 --perplexity 15 --seeds 1",
    "inspect atlas": "--limit 120",  # some activations in each cell
    "inspect hierarchy": "--limit 40",
    "inspect filters": "",
    "inspect field": "",
    "maximise": "",
    "methods": "",
    "train": "--epochs 1 --limit 64 --sample 16 --judge PGD",
}
"""Over how few pictures and steps a page's command runs, by how it begins; else over eight, or four."""


def over_few(line: str) -> str:
    """The command as a page has it, quickly: there it may take minutes."""
    words = shlex.split(line, comments=True)[1:]
    begins = [begin for begin in FEW if words[: len(begin.split())] == begin.split()]
    few = FEW[max(begins, key=len)] if begins else "--limit 4" if "--grade" in words else "--limit 8"
    for option, value in zip(few.split()[::2], few.split()[1::2], strict=True):
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    return shlex.join(words)


@pytest.mark.slow
@pytest.mark.parametrize("line", commands())
def test_every_command_of_a_page_over_embedded_data_runs(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(line)) == 0, capsys.readouterr().err


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
