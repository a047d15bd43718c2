"""Runs started from the page are those of the command, in one folder; two side by side are paired, image by image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from starlette.testclient import TestClient

from unfool.analysis.edits import difference
from unfool.analysis.rates import rate
from unfool.cli.main import run
from unfool.cli.shared import ModelOptions
from unfool.cli.studio import staged
from unfool.errors import InputError, UnknownName
from unfool.runs.table import read_table
from unfool.web.desk import Job, Stopped
from unfool.web.frames import packed, unpacked
from unfool.web.stage import Stage

from .conftest import TOKEN, serving_with
from .test_acts import command_words, run_lines

N = 24


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("started")


@pytest.fixture(scope="module")
def own(place: Path) -> Stage:
    return staged(("unfool:digits8", "unfool:digits8?net=linear"), None, ModelOptions(), (place / "runs",))


@pytest.fixture
def ask(own: Stage) -> Callable[..., Any]:
    def asked(act: str, job: Job | None = None, **words: Any) -> Any:
        value, found = own(job or quiet(), {"do": act, "with": words}, {})
        header, arrays = unpacked(packed({"value": value}, found), 1 << 20)
        return header["value"], arrays

    return asked


def quiet() -> Job:
    return Job(None, "one", lambda job: None, lambda found: None)


def test_an_attack_is_that_of_the_command_which_finds_nothing_left_to_do(ask, place, monkeypatch):
    value, _ = ask("start", kind="attack", method="PGD(steps=4)", within="Linf(0.15)", limit=N)
    folder = place / "runs" / value["id"]
    parts = {p: p.stat().st_mtime_ns for p in folder.glob("part-*")}
    table = read_table(folder)
    assert len(table) == N
    monkeypatch.chdir(place)
    assert run([*command_words(value["command"]), "--pictures", "0", "--quiet"]) == 0
    assert {p: p.stat().st_mtime_ns for p in folder.glob("part-*")} == parts
    run_lines(value["python"])  # goes on with the same folder, too
    again, _ = ask("start", kind="attack", method="PGD(steps=4)", within="Linf(0.15)", limit=N)
    assert again["id"] == value["id"]
    listed, _ = ask("runs")
    assert [(one["id"], one["begun"]) for one in listed["runs"]] == [(value["id"], False)]


def test_the_rates_of_a_run_are_those_of_its_rows(ask, place):
    value, _ = ask("start", kind="attack", method="PGD(steps=4)", within="Linf(0.15)", limit=N)
    told, _ = ask("rows", run=value["id"])
    table = read_table(place / "runs" / value["id"])
    begun = ~table["started"].bool()
    held = rate(begun & ~table["success"].bool())
    assert told["rates"]["right under attack"] == pytest.approx([held.value, held.low, held.high, N])
    assert told["rates"]["right to begin with"][0] == pytest.approx(float(begun.double().mean()))
    assert not told["report"]


def test_a_run_that_is_stopped_is_listed_and_goes_on(ask, place):
    words = {"kind": "explain", "method": "Occlusion(window=2)", "limit": 200}
    job = quiet()
    job.told, real = lambda job: setattr(job, "stopped", job.doing.done >= 64), Job.rest

    def rest(job: Job) -> None:
        job._spoke = -1e9
        real(job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "rest", rest)
        with pytest.raises(Stopped):
            ask("start", job, **words)
    listed, _ = ask("runs")
    begun = [one["id"] for one in listed["runs"] if one["begun"]]
    assert len(begun) == 1
    done = [*(place / "runs" / begun[0]).glob("part-*")]
    assert done
    with pytest.raises(InputError, match="not finished"):
        ask("rows", run=begun[0])
    kept = {p: p.stat().st_mtime_ns for p in done}
    value, _ = ask("resume", run=begun[0])
    assert value["id"] == begun[0]
    assert {p: p.stat().st_mtime_ns for p in done} == kept
    assert len(read_table(place / "runs" / begun[0])) == 200


def test_two_runs_side_by_side_are_paired(ask, place):
    words = {"kind": "attack", "method": "FGSM()", "within": "Linf(0.15)"}
    first, _ = ask("start", **words, limit=40)
    second, _ = ask("start", **words, limit=60, model=1)
    value, _ = ask("compare", run=first["id"], other=second["id"])
    a, b = (
        pq.read_table(place / "runs" / one["id"] / "table.parquet").to_pylist() for one in (first, second)
    )
    second_of = {row["id"]: row for row in b}
    both = [(row, second_of[row["id"]]) for row in a if row["id"] in second_of]
    assert value["n"] == len(both) == 40
    assert value["alone"] == [0, 20]
    assert value["differ"]["model"] == ["'unfool:digits8'", "'unfool:digits8?net=linear'"]
    held = [torch.tensor([not (pair[k]["started"] or pair[k]["success"]) for pair in both]) for k in (0, 1)]
    told = value["rates"]["right under attack"]
    assert told["first"][0] == pytest.approx(float(held[0].double().mean()))
    assert told["more"] == pytest.approx([*difference(held[1], held[0]), 40])
    ids = {one["id"]: one["held"] for one in value["changed"]}
    wanted = {
        row["id"]: "first" if x else "second" for (row, _), x, y in zip(both, *held, strict=True) if x != y
    }
    assert ids == wanted
    assert value["counts"]["first"] + value["counts"]["second"] == len(wanted)
    apart = sum(y["linf"] - x["linf"] for x, y in both) / len(both)
    assert value["means"]["linf"]["more"][0] == pytest.approx(apart)
    assert "label" not in value["means"]
    same, _ = ask("compare", run=first["id"], other=first["id"])
    assert same["changed"] == []
    assert same["rates"]["right under attack"]["more"][0] == 0
    assert run_lines(value["python"])["both"].num_rows == 40


@pytest.mark.slow
def test_an_audit_leaves_its_report_which_opens_by_a_ticket_alone(ask, own, place):
    words = {"kind": "audit", "level": "quick", "steps": 2, "restarts": 1, "limit": 16}
    value, _ = ask("start", **words)
    told, _ = ask("rows", run=value["id"])
    assert told["report"]
    assert told["rates"]["right under attack"][3] == 16
    both, _ = ask("compare", run=value["id"], other=value["id"])
    assert both["curves"][0] == both["curves"][1]
    assert both["curves"][0]["radii"][0] == 0
    with serving_with(own) as client:
        check_report(client, value["id"])


def check_report(client: TestClient, id: str) -> None:
    owner = {"authorization": f"Bearer {TOKEN}"}
    assert client.post("/report", params={"run": id}).status_code == 403
    assert client.post("/report", params={"run": "../../etc"}, headers=owner).status_code == 404
    address = client.post("/report", params={"run": id}, headers=owner).json()["address"]
    page = client.get(f"/{address}")
    assert "Audit of unfool:digits8" in page.text
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert client.get("/report/guess").status_code == 404
    assert client.get(f"/{address}", headers={"host": "evil.example"}).status_code == 403
    assert client.post(f"/{address}").status_code == 403


def test_what_cannot_be_run_says_why(ask):
    with pytest.raises(InputError, match="a run is one of"):
        ask("start", kind="shell")
    with pytest.raises(InputError, match="no images are no run"):
        ask("start", kind="attack", method="FGSM()", limit=0)
    with pytest.raises(UnknownName):
        ask("start", kind="attack", method="Nothing()", limit=4)
    with pytest.raises(UnknownName):
        ask("compare", run="nowhere", other="nowhere")
