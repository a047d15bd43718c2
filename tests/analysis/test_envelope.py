"""The operating envelope: false alarms as often as asked for, distances by closed forms, controls that are blind."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from unfool.analysis.envelope import (
    SCORES,
    fit_envelope,
    judge,
    load_envelope,
    outside,
    p_values,
    save_envelope,
    shrunk,
)
from unfool.cli.main import run
from unfool.errors import DataError, InputError
from unfool.measures.embed import features_and_logits
from unfool.model import Model
from unfool.rows import Batch
from unfool.zoo.address import load


class Reads(nn.Module):
    """The features are the pixels, the head linear: two classes apart along the first."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 2)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[1, 0] = 8.0
            self.head.bias.copy_(torch.tensor([4.0, 0.0]))

    def forward(self, x):
        return self.head(x.flatten(1))


def clouds(n, stream, shift=0.0):
    """Two normal clouds inside [0, 1], one a class."""
    y = torch.arange(n) % 2
    x = 0.5 + 0.05 * torch.randn(n, 1, 2, 3, generator=stream)
    x[:, 0, 0, 0] += torch.where(y == 1, 0.2, -0.2) + shift
    return Batch(tuple(map(str, range(n))), x.clamp(0, 1), y)


@pytest.fixture(scope="module")
def known():
    stream = torch.Generator().manual_seed(0)
    model = Model(Reads())
    return model, fit_envelope(model, clouds(1000, stream), clouds(999, stream)), stream


def test_as_many_false_alarms_as_were_asked_for(known):
    model, envelope, stream = known
    for alarm in (0.01, 0.05, 0.2):
        said = judge(envelope, model, clouds(4000, stream).x, alarm)
        share = float(said.share("outside").double().mean())
        assert share == pytest.approx(alarm, abs=4 * (alarm / 999) ** 0.5)
    calm = judge(envelope, model, clouds(4000, stream).x, 0.05, 0.2)
    assert float(calm.share("inside").double().mean()) == pytest.approx(0.8, abs=0.06)


def test_what_is_far_away_is_outside_and_the_reason_says_by_which_score(known):
    model, envelope, _ = known
    far = torch.full((3, 1, 2, 3), 0.5)
    far[0, 0, 1] = 1.0
    far[1, 0, 1, 2] = 0.0
    far[2, 0, 0, 0] = 0.5  # between the classes
    said = judge(envelope, model, far, 0.05)
    assert said.status == ("outside",) * 3
    assert all("Mahalanobis" in r or "neighbours" in r for r in said.reason[:2])
    middle = clouds(1, torch.Generator().manual_seed(3))
    assert judge(envelope, model, middle.x, 0.01).reason == ("no score is unusual",)


def test_distances_are_the_closed_forms(known):
    model, envelope, stream = known
    x = clouds(20, stream).x
    features, logits = features_and_logits(model, x)
    energy, distance, near = outside(envelope, features, logits)
    assert torch.allclose(energy, -logits.double().logsumexp(1))
    apart = features.double()[:, None] - envelope.means
    expected = torch.einsum("nkd,de,nke->nk", apart, envelope.precision, apart).amin(1)
    assert torch.allclose(distance, expected)
    unit = features.double() / features.double().norm(dim=1, keepdim=True)
    assert torch.allclose(near, torch.cdist(unit, envelope.bank).sort(1).values[:, 9])
    spread = torch.randn(4000, 3, generator=stream, dtype=torch.float64) * torch.tensor([1.0, 2.0, 3.0])
    assert torch.allclose(shrunk(spread), torch.diag(torch.tensor([1.0, 4.0, 9.0]).double()), atol=0.5)


def test_p_values_count_the_image_itself():
    ladder = torch.arange(9.0)[None].double()
    p = p_values(ladder, torch.tensor([[-1.0, 0.0, 8.0, 9.0]]).double())
    assert p[0].tolist() == pytest.approx([1.0, 1.0, 0.2, 0.1])


@pytest.mark.parametrize(
    "address", ["unfool:digits", "unfool:digits8?net=mlp", "unfool:digits8?net=linear", "unfool:lesions"]
)
def test_the_head_makes_the_logits_of_the_features(address):
    model = load(address)
    side = {"unfool:lesions": 64, "unfool:digits": 32}.get(address, 8)
    x = torch.rand(5, 1, side, side)
    head = [m for m in model.net.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        assert torch.allclose(head(features_and_logits(model, x)[0]), model(x), atol=1e-5)


def test_features_of_tokens_and_of_maps_are_means_and_those_of_a_black_box_its_logits():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(x.flatten(2).mT).mean(1)

    x = torch.rand(6, 4, 5, 5)
    assert torch.allclose(features_and_logits(Model(Tokens()), x)[0], x.flatten(2).mean(2))
    dense = Model(nn.Conv2d(4, 3, 1))
    assert torch.allclose(features_and_logits(dense, x)[0], x.flatten(2).mean(2))
    black = Model.scores(lambda x: x.mean((2, 3)) / x.mean((2, 3)).sum(1, keepdims=True))
    with pytest.warns(UserWarning, match="probabilities"):
        assert features_and_logits(black, x)[0].shape == (6, 4)
    assert features_and_logits(dense, x)[1].shape == (6, 3)


def test_an_envelope_is_written_and_read_and_another_networks_is_refused(known, tmp_path):
    model, envelope, _ = known
    for name in "ab":
        save_envelope(envelope, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    again = load_envelope(tmp_path / "a", model)
    for one, other in zip(envelope, again, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    with pytest.raises(DataError, match="another network"):
        load_envelope(tmp_path / "a", load("unfool:digits8"))
    (tmp_path / "c").write_text("no")
    with pytest.raises(DataError, match="cannot read"):
        load_envelope(tmp_path / "c", model)


def test_too_little_to_learn_from_is_one_sentence(known):
    model, envelope, stream = known
    with pytest.raises(InputError, match="30 images to learn from and 30"):
        fit_envelope(model, clouds(60, stream))
    same = clouds(400, stream)
    with pytest.raises(InputError, match="all images are of class 1"):
        fit_envelope(model, same[same.y == 1], same)
    with pytest.raises(InputError, match="with 999 images to calibrate on nothing can be called outside"):
        judge(envelope, model, same.x, 1e-6)


@pytest.mark.slow
def test_the_page_tells_strange_images_apart_and_its_controls_cannot(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["inspect", "envelope", "unfool:digits", "--images", "100", "--out", "a", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "no defence against adversarial images" in told["sentence"]
    kinds = told["kinds"]
    for name in ("noise", "inverted", "rotated by 90°"):
        assert kinds[name]["auroc"]["Mahalanobis"]["low"] > 0.95
        assert kinds[name]["auroc"]["random"]["low"] < 0.5 < kinds[name]["auroc"]["random"]["high"]
        assert kinds[name]["outside"]["low"] > 0.9
    assert kinds["adversarial"]["outside"]["high"] < 0.2  # as the page says: no defence
    assert kinds["adversarial"]["changed"]["low"] > 0.3
    assert kinds["the data"]["outside"]["low"] <= 0.01 <= kinds["the data"]["outside"]["high"]
    assert told["covariate_shift"]["differing"] == 0
    assert kinds["inverted"]["auroc"]["brightness"]["low"] > 0.95
    assert {one["status"] for one in told["images"]} <= {"inside", "edge", "outside"}
    assert set(told["images"][0]["p"]) == set(SCORES)
    again = ["inspect", "envelope", "unfool:digits", "unfool:lesions", "--images", "8", "--json"]
    assert run([*again, "--envelope", "a/envelope.safetensors", "--out", "b"]) == 0
    films = json.loads(capsys.readouterr().out)["kinds"]["the data"]["outside"]
    assert films["low"] > 0.9


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["unfool:digits8", "--limit", "50"], "are too few", "at least 60 of each"),
        (
            ["unfool:digits8", "--alarm", "0.0001"],
            "nothing can be called outside at a false-alarm rate of 0.0001",
            "more images",
        ),
        (["unfool:digits8", "--envelope", "none.safetensors"], "cannot read the envelope", "writes one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_sentence(capsys, tmp_path, monkeypatch, arguments, said, hint):
    monkeypatch.chdir(tmp_path)
    assert run(["inspect", "envelope", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert hint in err
    assert "Traceback" not in err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_the_record_of_a_decision_says_whether_the_case_is_one_that_the_model_knows(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (1, 8, 8), dtype=np.uint8)
    np.savez("noise.npz", x=noise)
    rest = ["--training", "unfool:digits8?split=train", "--method", "Gradient()", "--out"]
    found = {}
    for data in ("unfool:digits8", "noise.npz"):
        assert run(["inspect", "decision", "unfool:digits8", data, *rest, f"out-{len(found)}", "--json"]) == 0
        found[data] = json.loads(capsys.readouterr().out)
    assert found["unfool:digits8"]["envelope"]["status"] == "inside"
    assert found["unfool:digits8"]["envelope"]["n"] == 648
    assert found["noise.npz"]["envelope"]["status"] == "outside"
    assert "lies outside what the model knows" in found["noise.npz"]["sentence"]
    assert "of known images" in found["noise.npz"]["envelope"]["because"]
