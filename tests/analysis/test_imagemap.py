"""What a map keeps is what scikit-learn and brute force say; a grid is the best there is; a lasso holds its inside."""

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness

from unfool.analysis.imagemap import gridded, inside, study
from unfool.analysis.layouts import components, quality, scattered
from unfool.analysis.tiles import centres, grid_size, snapped, unit
from unfool.data.address import open_data
from unfool.errors import DataError, InputError
from unfool.runs.imagemap import ImageMap, run_map
from unfool.samples import digits8
from unfool.zoo.address import load


def points(n, d=2, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_trustworthiness_is_scikit_learns():
    x = points(150, 12)
    for view in (x[:, :2], scattered(150, 0)):
        found = quality(x, view, 10, None)
        assert found.trust.value == pytest.approx(
            trustworthiness(x.numpy(), view.numpy(), n_neighbors=10), abs=1e-9
        )
        near = [(torch.cdist(t, t) + 1e9 * torch.eye(150)).topk(10, largest=False).indices for t in (x, view)]
        shared = [len(set(a) & set(b)) / 10 for a, b in zip(*(t.tolist() for t in near), strict=True)]
        assert found.kept.value == pytest.approx(np.mean(shared))


def test_a_map_that_is_the_vectors_keeps_all_and_random_places_keep_what_chance_keeps():
    x, y = points(400), torch.arange(400) % 4
    whole, chance = quality(x, x * 3 + 1, 10, y), quality(x, scattered(400, 1), 10, y)
    assert whole.trust.value == whole.kept.value == 1
    assert 0.45 < chance.trust.value < 0.55
    assert chance.kept.value == pytest.approx(10 / 399, abs=0.02)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (20, 40)])
def test_components_are_those_of_the_covariance(n, d):
    x = points(n, d)
    found = components(x, 3)
    values = torch.linalg.svdvals(x.double() - x.double().mean(0))[:3]
    torch.testing.assert_close(found.double().norm(dim=0), values, rtol=1e-5, atol=1e-5)


def test_the_small_grid_is_the_best_of_all():
    view = points(6)
    at, cells = unit(view.double().numpy()), centres(*grid_size(6))
    best = min(
        sum(np.square(at[k] - cells[c]).sum() for k, c in enumerate(p)) for p in permutations(range(6))
    )
    found = snapped(view)
    chosen = cells[found[:, 0] * grid_size(6)[1] + found[:, 1]]
    assert np.square(at - chosen).sum() == pytest.approx(best)


@pytest.mark.parametrize("exact", [0, 1600])
@pytest.mark.parametrize("n", [1, 2, 7, 50, 143])
def test_every_cell_holds_one_image_and_a_grid_stays_a_grid(n, exact):
    found = snapped(points(n), exact)
    rows, columns = grid_size(n)
    assert len({tuple(cell) for cell in found.tolist()}) == n
    assert (found >= 0).all()
    assert (found < [rows, columns]).all()
    down, right = np.mgrid[:8, :8]
    cells = snapped(torch.from_numpy(np.stack([right.ravel(), -down.ravel()], 1)), exact)
    assert (cells == np.stack([down.ravel(), right.ravel()], 1)).all()


def test_seams_are_true_distances():
    x = points(16, 5)
    found = gridded(x, points(16, seed=1))
    assert len(found.seams) == 24
    i, j, apart = found.seams[0]
    m, n, other = found.seams[5]
    assert apart / other == pytest.approx(float((x[i] - x[j]).norm() / (x[m] - x[n]).norm()), rel=1e-5)


def test_a_lasso_holds_what_is_inside_also_where_it_is_hollow():
    view = torch.tensor([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [1.5, 1.5], [5.0, 5.0]])
    bent = [0, 0, 2, 0, 2, 1, 1, 1, 1, 2, 0, 2]  # an L
    assert inside(view, bent).tolist() == [True, True, True, False, False]
    with pytest.raises(InputError, match="has no inside"):
        inside(view, [0, 0, 1, 1])
    with pytest.raises(InputError, match="no image lies inside") as caught:
        inside(view, [8, 8, 9, 8, 9, 9])
    assert "0.5 to 5" in caught.value.hint


def charted(folder, data="unfool:digits8", **how):
    model, source = load("unfool:digits8?net=mlp"), open_data(data)
    plan = ImageMap("unfool:digits8?net=mlp", data, **how)
    return study(plan, run_map(plan, model, source, folder), model, source, folder)


def test_maps_of_digits_keep_more_than_a_plane_and_both_more_than_chance(tmp_path):
    pytest.importorskip("openTSNE")
    pytest.importorskip("pacmap")
    found = charted(tmp_path, sample=150, perplexity=12, seeds=2)
    kept = {one.kind: one.quality.kept.value for one in found.layouts}
    assert kept["t-SNE"] > kept["PCA"] > kept["random places"]
    assert found.shown.quality.label.value > 0.85
    assert [one.perplexity for one in found.layouts if one.kind == "t-SNE"] == [4, 4, 12, 12, 36, 36]
    again = charted(tmp_path, sample=150, perplexity=12, seeds=2)
    assert torch.equal(again.shown.view, found.shown.view)


@pytest.mark.parametrize(
    ("how", "said", "hint"),
    [
        ({"sample": 60}, "perplexity 30 is more than a third of 60 images", "--perplexity 6"),
        ({"sample": 15}, "15 images are too few to count the 10 nearest", "--k"),
        ({"data": "ones.npz", "perplexity": 5}, "all images have one label", "--no-labelled"),
        ({"layer": "9"}, "no layer is called '9'", "there is"),
    ],
    ids=str,
)
def test_what_cannot_be_mapped_is_one_sentence(tmp_path, monkeypatch, how, said, hint):
    monkeypatch.chdir(tmp_path)
    own = digits8("test")
    np.savez("ones.npz", x=own.x[own.y == 1].numpy(), y=own.y[own.y == 1].numpy())
    with pytest.raises((InputError, LookupError), match=said) as caught:
        charted(tmp_path / "a", **how)
    assert hint in caught.value.hint


def test_a_slice_is_any_data_cut_to_the_ids_of_a_file(tmp_path):
    file = tmp_path / "slice.txt"
    file.write_text("test/7\ntest/3\n")
    found = open_data(f"unfool:digits8?only={file}")
    assert found.ids() == ("test/3", "test/7")
    whole = open_data("unfool:digits8")
    assert torch.equal(found.batch(found.ids()).x, whole.batch(found.ids()).x)
    assert found.label_names() == whole.label_names()
    file.write_text("test/9999\n")
    with pytest.raises(DataError, match="lists 'test/9999', which the data do not have"):
        open_data(f"unfool:digits8?only={file}").ids()
    with pytest.raises(DataError, match="cannot read the slice"):
        open_data(f"unfool:digits8?only={tmp_path}/no.txt").ids()
