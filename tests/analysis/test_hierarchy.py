"""The layers in order: labels are needed for a probe and for nothing else; what is beside a patch belongs to it."""

import numpy as np
import pytest
import torch

from unfool.analysis.hierarchy import Climbed, study
from unfool.attributions.gradient import Gradient
from unfool.attributions.rules import Bent, Guided
from unfool.data.address import open_data
from unfool.measures.sanity import redrawn
from unfool.report.subjects.hierarchy import hierarchy_page
from unfool.runs.hierarchy import Hierarchy, teachable
from unfool.samples import digits
from unfool.show.units import mosaic
from unfool.targets import Neuron
from unfool.zoo.address import load

PLAN = Hierarchy("unfool:digits", "unfool:digits", channels=2, moved=4, sample=60)


def climbed(folder, plan: Hierarchy = PLAN) -> Climbed:
    return study(plan, load(plan.model), open_data(plan.data), None, folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Climbed:
    return climbed(tmp_path_factory.mktemp("hierarchy"))


def test_layers_come_in_order_with_what_is_known_of_each(found):
    assert [one.layer.name for one in found.stages] == ["features.1", "features", "pool"]
    sizes = [one.layer.field.size[0] for one in found.stages]
    assert sizes == sorted(sizes)
    assert found.probed is not None
    assert [one.name for one in found.changes] == ["pixels", "features.1", "features", "pool", "last"]
    for one in found.stages:
        assert 0 < one.effective <= 1
        assert [unit.channel for unit in one.units] == sorted(unit.channel for unit in one.units)
        for unit in (*one.units, one.control):
            for part in (unit.deconvnet, unit.guided):
                assert [t.shape for t in part] == [p.cut.shape for p in unit.patches]
    page = hierarchy_page(found)
    assert page.numbers["layers"]["pool"]["probe"]["n"] == found.probed.n[1]
    assert page.numbers["layers"]["pool"]["shifts"]["0"]["mean"] == 0


def test_a_projection_is_that_of_its_image_and_place_and_the_control_of_other_weights(found):
    stage = found.stages[2]
    unit, layer, model = stage.units[0], stage.layer, load(PLAN.model)
    place = tuple(layer.units.place[unit.channel, 1].tolist())
    bent = Bent(Gradient(), Guided())

    def heat(network, channel):
        x = unit.patches[1].image[None]
        whole = bent(network, x, channel, objective=Neuron(layer.name, place)).heat[0]
        return whole[(slice(None), *unit.patches[1].box)]

    assert torch.equal(unit.guided[1], heat(model, unit.channel))
    assert torch.equal(stage.control.guided[1], heat(redrawn(model, 0), stage.control.channel))
    assert not torch.equal(stage.control.guided[1], unit.guided[1])


def test_without_labels_there_is_no_probe_and_all_else(tmp_path):
    x = digits("test").x[:12]
    np.savez(tmp_path / "none.npz", x=x.numpy())
    plan = Hierarchy("unfool:digits", str(tmp_path / "none.npz"), layers=("pool",), channels=1, moved=4)
    bare = climbed(tmp_path / "a", plan)
    assert bare.probed is None
    assert [one.name for one in bare.changes] == ["pixels", "pool", "last"]
    page = hierarchy_page(bare)
    assert "too few labels" in page.sentence
    assert "probe" not in page.numbers["layers"]["pool"]


def test_two_classes_twice_are_enough_to_teach(tmp_path):
    x = digits("test").x[:4]
    for name, y, enough in (
        ("a", [0, 0, 1, 1], True),
        ("b", [0, 0, 0, 1], False),
        ("c", [0, 1, 2, 3], False),
    ):
        np.savez(tmp_path / f"{name}.npz", x=x.numpy(), y=np.array(y))
        source = open_data(str(tmp_path / f"{name}.npz"))
        plan = Hierarchy("unfool:digits", name)
        assert teachable(plan, load("unfool:digits"), source, None) == enough
        assert teachable(plan, load("unfool:digits"), source, open_data("unfool:digits"))


def test_a_mosaic_has_its_first_picture_at_the_top_left():
    tiles = [torch.full((3, 4, 4), k / 10) for k in range(5)]
    whole = mosaic(tiles, 30)
    assert whole.shape == (3, 20, 30)
    assert [round(float(whole[0, 2 + 10 * (k // 3), 2 + 10 * (k % 3)]), 1) for k in range(5)] == [
        0.0, 0.1, 0.2, 0.3, 0.4,
    ]  # fmt: skip
