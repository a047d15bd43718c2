"""Whatever answers is a model: an estimator, an ONNX file, a server on this machine; and its answers can be kept."""

import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from oracles import Plane, images
from unfool.attacks.decision import SurFree
from unfool.cli.main import run
from unfool.errors import DataError, InputError, RunConflict, SpecError, UnfoolError
from unfool.model import Model
from unfool.samples import digits8
from unfool.zoo.address import load
from unfool.zoo.answers import Answers
from unfool.zoo.http import Endpoint
from unfool.zoo.remember import memory_of, only, remembered
from unfool.zoo.sklearn import sklearn_model

NET = Plane(1, 4, 4)
X = images(5, 1, 4, 4)


def scores(x: Any) -> Any:
    return NET(torch.from_numpy(x)).detach().numpy()


# Estimators.


def fitted(kind: Any) -> Any:
    learn = digits8("train")
    names = np.array([f"digit {k}" for k in range(10)])
    return kind.fit((learn.x[:300].float() / 255).flatten(1).numpy(), names[learn.y[:300].numpy()])


def test_an_estimator_answers_in_the_order_of_its_classes():
    knn, x = fitted(KNeighborsClassifier(1)), digits8("train").x[:20].float() / 255
    for labels, access in ((False, "scores"), (True, "labels")):
        model = sklearn_model(knn, labels=labels)
        assert model.access == access
        assert model.classes[3] == "digit 3"
        assert torch.equal(model(x).argmax(1), digits8("train").y[:20])


def test_an_estimator_without_probabilities_is_asked_for_labels():
    assert sklearn_model(fitted(SVC())).access == "labels"
    with pytest.raises(DataError, match="no predict"):
        sklearn_model(object())


def test_a_file_may_give_an_estimator_back(tmp_path: Path):
    (tmp_path / "own.py").write_text(
        "from sklearn.dummy import DummyClassifier\n"
        "def make(): return DummyClassifier().fit([[0.0], [0.0]], ['a', 'b'])\n"
    )
    assert load(f"{tmp_path}/own.py:make").classes == ("a", "b")


def test_an_estimator_from_a_file_runs_nothing_in_it(tmp_path: Path):
    skops = pytest.importorskip("skops.io")
    knn, x = fitted(KNeighborsClassifier(1)), digits8("test").x[:20].float() / 255
    skops.dump(knn, tmp_path / "knn.skops")
    model = load(f"sklearn:{tmp_path}/knn.skops?gives=labels", trust=True)
    assert model.access == "labels"
    assert torch.equal(model(x), sklearn_model(knn, labels=True)(x))
    (tmp_path / "torn.skops").write_bytes(b"PK")
    with pytest.raises(DataError, match="cannot read"):
        load(f"sklearn:{tmp_path}/torn.skops")


def test_an_onnx_file_gives_scores(tmp_path: Path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, of = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", of, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("scores", of, ["n", 3])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, tmp_path / "linear.onnx")
    model = load(f"{tmp_path}/linear.onnx")
    assert model.access == "scores"
    assert torch.allclose(model(X), X.flatten(1) @ torch.from_numpy(weights), atol=1e-5)
    with pytest.raises(InputError, match="fails on images of shape"):
        model(images(2, 1, 5, 5))
    address = f"{tmp_path}/linear.onnx?mean=0.25&std=1/2"
    assert torch.allclose(load(address)(X), model((X - 0.25) / 0.5), atol=1e-5)
    assert torch.equal(only(load(address), "scores")(X), load(address)(X))
    kept = remembered(load(address), tmp_path / "answers")
    assert torch.equal(kept(X), load(address)(X))
    for wrong in ("mean=a", "std=0", "mean=1,2&std=1,2,3", "men=1"):
        with pytest.raises(UnfoolError):
            load(f"{tmp_path}/linear.onnx?{wrong}")
    (tmp_path / "torn.onnx").write_bytes(b"no network")
    with pytest.raises(DataError, match="cannot read"):
        load(f"{tmp_path}/torn.onnx")


# Over HTTP.


class Handler(BaseHTTPRequestHandler):
    """Answers by its path."""

    failures = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.answer(body)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer)

    def answer(self, body: bytes) -> tuple[int, bytes]:
        if self.path == "/npz":
            x, buffer = np.load(io.BytesIO(body))["images"], io.BytesIO()
            np.savez(buffer, scores=scores(x))
            return 200, buffer.getvalue()
        if self.path == "/tired" and Handler.failures:
            Handler.failures -= 1
            return 503, b"later"
        told = scores(np.array(json.loads(body)["images"], dtype=np.float32))
        replies: dict[str, Any] = {
            "/labels": {"labels": told.argmax(1).tolist()},
            "/half": {"scores": told[:1].tolist()},
            "/words": {"scores": ["cat"] * len(told)},
            "/other": {"answer": 42},
        }
        if self.path == "/html":
            return 200, b"<html>welcome</html>"
        if self.path == "/missing":
            return 404, b"no such path"
        return 200, json.dumps(replies.get(self.path, {"scores": told.tolist()})).encode()

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.mark.parametrize("path", ["/scores", "/npz?format=npz"])
def test_a_server_gives_scores(server: str, path: str):
    assert torch.allclose(load(server + path)(X), NET(X), atol=1e-6)


def test_a_server_that_gives_labels_is_attacked_by_what_needs_no_more(server: str):
    model = load(f"{server}/labels?gives=labels&classes=2")
    found = SurFree(queries=40)(model, X, NET.label(X))
    assert found.success.any()
    assert torch.equal(found.label, NET.label(found.x))
    with pytest.raises(SpecError, match="of how many classes"):
        load(f"{server}/labels?gives=labels")


def test_what_passes_is_tried_again_and_what_does_not_is_one_sentence(server: str):
    Handler.failures = 2
    ask = Endpoint(f"{server}/tired", "json", "scores", pause=0.01)
    assert np.allclose(ask(X.numpy()), scores(X.numpy()), atol=1e-6)
    Handler.failures = 9
    with pytest.raises(DataError, match="503 Service Unavailable: later"):
        ask(X.numpy())
    assert Handler.failures == 5
    Handler.failures = 0


NONSENSE = {
    "/half": r"scores of shape \[1, 2\]",
    "/words": "for 5 images",
    "/other": "'{\"answer\": 42}', not json with 'scores'",
    "/html": "<html>welcome</html>",
    "/missing": "404 Not Found: no such path",
}


@pytest.mark.parametrize("path", NONSENSE)
def test_nonsense_is_named(server: str, path: str):
    with pytest.raises((InputError, DataError), match=NONSENSE[path]):
        load(server + path)(X)


def test_nobody_there_is_one_sentence():
    with pytest.raises(DataError, match="gives no answer: ConnectionRefusedError"):
        Endpoint("http://127.0.0.1:9/", "json", "scores", tries=2, pause=0.01)(X.numpy())


@pytest.mark.parametrize("host", ["example.org", "10.0.0.1", "127.0.0.1.example.org", "0.0.0.0"])
def test_no_other_machine_is_asked(host: str):
    with pytest.raises(InputError, match="not on this machine"):
        load(f"http://{host}:80/predict")


# Memory.


class Counting:
    """Scores, counted; fails once ``most`` images would have been asked."""

    def __init__(self, most: int = 10**9):
        self.asked, self.most = 0, most

    def __call__(self, x: Any) -> Any:
        if self.asked + len(x) > self.most:
            raise TimeoutError("the line is dead")
        self.asked += len(x)
        return scores(x)


def named(f: Any) -> Model:
    return Model.scores(f, name="oracle")


def test_what_was_asked_once_is_not_asked_again(tmp_path: Path):
    first, second = Counting(), Counting()
    model = remembered(named(first), tmp_path / "answers")
    once = model(torch.cat([X, X]))
    assert first.asked == 5
    again = remembered(named(second), tmp_path / "answers")
    assert torch.equal(again(torch.cat([X, X])), once)
    memory = memory_of(again)
    assert memory is not None
    assert (memory.asked, memory.replayed, second.asked) == (0, 10, 0)
    again(images(1, 1, 4, 4, seed=9))
    assert (memory.asked, second.asked) == (1, 1)


def test_a_run_cut_short_goes_on_to_the_same_bytes_and_the_same_counts(tmp_path: Path):
    whole, attack = Counting(), SurFree(queries=80)
    wanted = attack(named(whole), X, NET.label(X))
    broken, rest = Counting(most=100), Counting()
    with pytest.raises(InputError, match=r"failed on .* TimeoutError: the line is dead"):
        attack(remembered(named(broken), tmp_path / "answers"), X, NET.label(X))
    found = attack(remembered(named(rest), tmp_path / "answers"), X, NET.label(X))
    assert torch.equal(found.x, wanted.x)
    assert torch.equal(found.queries, wanted.queries)
    assert broken.asked + rest.asked <= whole.asked


@pytest.mark.parametrize("kept", [0, 1, 17, 30, -1, -9])
def test_a_torn_record_is_dropped_and_asked_again(tmp_path: Path, kept: int):
    path = tmp_path / "answers"
    wanted = remembered(named(Counting()), path)(X)
    content = path.read_bytes()
    path.write_bytes(content[:kept])
    for _ in range(2):
        assert torch.equal(remembered(named(Counting()), path)(X), wanted)
    assert path.read_bytes() == content


def test_several_may_write_one_file_and_learn_from_each_other(tmp_path: Path):
    path, more = tmp_path / "answers", images(3, 1, 4, 4, seed=8)
    one, other = Counting(), Counting()
    here, there = (remembered(named(f), path) for f in (one, other))
    wanted = here(X)
    with path.open("ab") as file:
        file.write(b"a record that a killed process has torn")
    there(more)
    assert torch.equal(there(X), wanted)  # not asked: it has seen them when it added its own
    assert (one.asked, other.asked) == (5, 3)
    assert torch.equal(
        remembered(named(Counting(most=0)), path)(torch.cat([X, more])), NET(torch.cat([X, more]))
    )


WRITER = """
import sys, numpy as np
from pathlib import Path
from unfool.zoo.answers import Answers
answers = Answers(Path(sys.argv[1]), "oracle")
print("ready", flush=True)
for k in range(int(sys.argv[3])):
    answers.add([f"{sys.argv[2]}{k:15}".encode()], np.full((1, 200), k, np.float32))
"""


def test_processes_that_write_at_once_lose_nothing_and_a_killed_one_locks_nobody_out(tmp_path: Path):
    path = tmp_path / "answers"

    def writer(name: str, n: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, str(path), name, str(n)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    killed, *whole = [writer("k", 10**9), writer("a", 300), writer("b", 300)]
    assert all(process.stdout and process.stdout.readline() == "ready\n" for process in (killed, *whole))
    killed.kill()
    for process in (killed, *whole):
        process.communicate(timeout=60)
    known = Answers(path, "oracle").known
    assert [process.returncode for process in whole] == [0, 0]
    for name in "ab":
        assert all((known[f"{name}{k:15}".encode()] == k).all() for k in range(300))


def test_a_file_of_answers_belongs_to_one_model(tmp_path: Path):
    remembered(named(scores), tmp_path / "answers")
    with pytest.raises(RunConflict, match="answers of oracle, scores"):
        remembered(Model.scores(scores, name="another"), tmp_path / "answers")
    (tmp_path / "letter").write_text("dear\nall")
    with pytest.raises(DataError, match="no file of answers"):
        remembered(named(scores), tmp_path / "letter")
    with pytest.raises(InputError, match="only the answers of a black box"):
        remembered(Model(NET), tmp_path / "x")


def test_a_network_shows_no_more_than_is_allowed():
    veiled = only(Model(NET), "labels")
    assert veiled.access == "labels"
    assert torch.equal(veiled(X).sum(1), torch.ones(5))
    assert torch.equal(veiled(X).argmax(1), NET.label(X))
    assert torch.equal(only(Model(NET), "scores")(X), NET(X))


def test_the_command_remembers(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    line = "attack SurFree(queries=20) unfool:digits8 --model unfool:digits8 --only labels --limit 3 --pictures 0"
    how = [*line.split(), "--remember", f"{tmp_path}/answers", "--out"]
    assert run([*how, f"{tmp_path}/a"]) == 0
    asked = int(re.findall(r"black box: (\d+) images asked", capsys.readouterr().out)[0])
    searches, controls = (
        3 * (20 + 1),
        3 * (20 + 1),
    )  # each with its verdict; the file's own label is remembered or new
    assert 3 < asked <= searches + controls + 2 * 3
    assert run([*how, f"{tmp_path}/b"]) == 0
    assert "black box: 0 images asked" in capsys.readouterr().out
    parts = [(tmp_path / run / "part-00000.safetensors").read_bytes() for run in "ab"]
    assert parts[0] == parts[1]


def test_a_black_box_that_fails_is_one_sentence_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "own.py").write_text(
        "import numpy as np, unfool\n"
        "def f(x): raise ValueError('no more credit')\n"
        "def make(): return unfool.Model.labels(f, 10)\n"
    )
    line = ["attack", "SurFree()", "unfool:digits8", "--model", f"{tmp_path}/own.py:make", "--limit", "2"]
    assert run([*line, "--out", f"{tmp_path}/out"]) == 2
    told = capsys.readouterr().err
    assert "the black box failed on 2 images: ValueError: no more credit" in told
    assert "--remember" in told
