"""Linear templates: z = W x + b fitted to images made by one; shuffled labels are the control."""

import numpy as np
import pytest
import torch

from unfool.analysis.templates import templates
from unfool.data.address import open_data
from unfool.errors import InputError
from unfool.report.subjects.templates import templates_page


def planted(path, n: int = 300, classes: int = 3, labels: bool = True):
    """Noise with a bright bar in the row of its class."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % classes
    x = rng.integers(0, 120, (n, 1, 8, 8)).astype(np.uint8)
    for image, k in zip(x, y, strict=True):
        image[0, 1 + 2 * k] += 100
    np.savez(path, x=x, **({"y": y} if labels else {}))
    return open_data(str(path))


def test_each_template_points_at_its_own_bar(tmp_path):
    found = templates(planted(tmp_path / "bars.npz"), None, (), [0.01, 1.0], 1000, 0)
    assert found.fits[found.best].test.value == 1
    assert found.fits[found.best].own_first == 3
    for fit in found.fits:
        rows = fit.weight.mean((1, 3))
        assert rows.argmax(1).tolist() == [1, 3, 5]
    low, high = (float(fit.weight.norm()) for fit in found.fits)
    assert low < high  # the freer, the larger
    assert found.shuffled.test.value < 0.6
    assert found.shuffled.like_mean.abs().max() < found.fits[0].like_mean.min()


def test_regions_are_what_the_fit_says_of_the_images_of_the_plane(tmp_path):
    plane = templates(planted(tmp_path / "bars.npz"), None, (), [1.0], 1000, 0).plane
    assert plane.regions.unique().tolist() == [0, 1, 2]
    at = (plane.points - plane.low) / (plane.high - plane.low) * (len(plane.regions) - 1)
    there = plane.regions[at[:, 1].round().long(), at[:, 0].round().long()]
    assert (there == plane.labels).double().mean() > 0.95  # the plane holds what tells the classes apart
    assert 0 < plane.inside < 1


def test_two_classes_have_opposite_templates(tmp_path):
    found = templates(planted(tmp_path / "two.npz", classes=2), None, (), [1.0], 1000, 0)
    assert torch.equal(found.fits[0].weight[0], -found.fits[0].weight[1])
    assert "2 of 2 templates" in templates_page("two", found).sentence


def test_without_labels_or_classes_there_is_nothing_to_learn(tmp_path):
    with pytest.raises(InputError, match="none of the images has a label"):
        templates(planted(tmp_path / "none.npz", labels=False), None, (), [1.0], 1000, 0)
    with pytest.raises(InputError, match="all images are of class 0"):
        templates(planted(tmp_path / "one.npz", classes=1), None, (), [1.0], 1000, 0)
