"""Slices: a planted one is found, none is found where errors fall anywhere, and the edit says what is why."""

import json

import pytest
import torch
from torch import nn

from unfool.analysis.shortcuts import USES
from unfool.analysis.slices import Slices, slice_up
from unfool.cli.main import run
from unfool.errors import InputError
from unfool.model import Model
from unfool.rows import Batch

PLAN = Slices("", "")


class Reads(nn.Module):
    """The features are the pixels; the class is whether the first is bright."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 2)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.weight[1, 0] = 10.0
            self.head.bias.copy_(torch.tensor([5.0, 0.0]))

    def forward(self, x):
        return self.head(x.flatten(1))


def drawn(stream, planted, n=800):
    """Labels that the model misses in one image of ten; ``planted`` also in six of ten of a cloud of its own."""
    y = (torch.rand(n, generator=stream) < 0.5).long()
    x = 0.5 + 0.08 * torch.randn(n, 1, 2, 4, generator=stream)
    x[:, 0, 0, 0] += torch.where(y == 1, 0.25, -0.25)
    cloud = torch.rand(n, generator=stream) < 0.12
    x[cloud, 0, 1, 1] += 0.4
    chance = torch.where(cloud & planted, 0.6, 0.1)
    missed = torch.rand(n, generator=stream) < chance
    groups = {"cloud": tuple("in" if c else "out" for c in cloud.tolist())}
    return Batch(tuple(map(str, range(n))), x.clamp(0, 1), torch.where(missed, 1 - y, y), groups=groups)


def test_a_planted_slice_is_found_with_its_error_and_what_marks_it():
    stream, model, hits, covered = torch.Generator().manual_seed(0), Model(Reads()), 0, 0
    for k in range(12):
        found = slice_up(Slices("", "", seed=k), model, drawn(stream, torch.tensor(True)))
        assert found.suspicious
        worst = found.suspicious[0]
        hits += worst.marks[0].name == "cloud: in" and worst.marks[0].here.low > 0.5
        covered += worst.error.low <= 0.6 <= worst.error.high
    assert hits >= 11
    assert covered >= 10


def test_no_slice_is_found_where_errors_fall_anywhere():
    """The false-alarm rate over 60 sets of images without a slice: 5 % are allowed."""
    stream, model, alarms, flattered = torch.Generator().manual_seed(1), Model(Reads()), 0, 0
    for k in range(60):
        found = slice_up(Slices("", "", seed=k), model, drawn(stream, torch.tensor(False)))
        alarms += bool(found.suspicious)
        flattered += any(s.searched.value > s.error.value for s in found.slices)
    assert alarms <= 6
    assert flattered > 30  # where it was searched every slice looks worse than it is


def test_the_judged_half_did_not_take_part_in_the_search():
    """Labels of the judged half may be anything: its images stay in their parts."""
    from unfool.analysis.slices import parts
    from unfool.measures.embed import features_and_logits

    batch = drawn(torch.Generator().manual_seed(2), torch.tensor(True))
    features, logits = features_and_logits(Model(Reads()), batch.x)
    search = torch.arange(400)
    other = torch.cat([batch.y[:400], 1 - batch.y[400:]])
    one, two = (parts(PLAN, features, logits.double().softmax(1), y, search) for y in (batch.y, other))
    assert torch.equal(one, two)
    assert len(one.unique()) > 4


def test_too_few_images_and_equal_features_are_one_sentence():
    model, batch = Model(Reads()), drawn(torch.Generator().manual_seed(3), torch.tensor(False), 200)
    with pytest.raises(InputError, match="100 images with labels are too few"):
        slice_up(PLAN, model, batch[torch.arange(100)])
    flat = Batch(batch.ids, torch.full_like(batch.x, 0.5), batch.y)
    with pytest.raises(InputError, match="the same features"):
        slice_up(PLAN, model, flat)


@pytest.mark.slow
def test_suspicions_on_the_films_end_in_the_edit_of_the_tube(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    films = ["inspect", "slices", "unfool:lesions", "unfool:lesions?shortcut=0", "--json", "--out", "a"]
    assert run(films) == 0
    told = json.loads(capsys.readouterr().out)
    some = [one for one in told["slices"] if one["suspicious"]]
    assert len(some) >= 2
    assert {one["verdict"] for one in some} == {USES}
    assert {one["mistakes_lack_the_cue"] for one in some} == {True, False}
    for one in some:
        assert one["marks"][0]["name"] == ("tube: no tube" if one["mistakes_lack_the_cue"] else "tube: tube")
        for edit in one["edits"].values():
            assert edit["more"]["low"] > 0.1
    assert run(["inspect", "slices", "unfool:digits8", "--json", "--out", "b"]) == 0
    assert "No slice" in json.loads(capsys.readouterr().out)["sentence"]
