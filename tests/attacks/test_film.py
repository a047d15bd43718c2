"""A film shows where an attack was: its frames are what the attack would have given with fewer steps."""

import torch

from oracles import images, residual, same
from unfool.attacks.carlini import CarliniWagner
from unfool.attacks.film import Film, spaced
from unfool.attacks.gradient import PGD
from unfool.attacks.penalty import TargetedAscent
from unfool.method import Question
from unfool.model import Model
from unfool.regions import Linf
from unfool.rows import Batch
from unfool.views import to_uint8

X = images(3, 3, 8, 8)


def filmed(film: Film, target: int | None = 2, x: torch.Tensor = X) -> dict[str, torch.Tensor]:
    model = Model(residual())
    batch = Batch(tuple("abc"), x, model(x).argmax(1))
    return film.columns(Question(model, Linf(0.5) if Linf in film.attack.norms else None, target), batch)


def test_each_state_is_the_one_that_so_many_steps_lead_to():
    found = filmed(Film(TargetedAscent(steps=6, confidence=1.0), frames=7))
    model = Model(residual())
    assert (found["frame_steps"] == torch.arange(7)).all()
    for k in range(1, 7):
        x = TargetedAscent(steps=k, confidence=1.0)(model, X, target=2, within=Linf(0.5), ids="abc").x
        assert same(found["frames"][:, k], to_uint8(x))
        assert torch.allclose(found["probability"][:, k], model(x).softmax(1)[:, 2], atol=1e-5)
        assert torch.allclose(found["l2"][:, k], (x - X).flatten(1).norm(dim=1), atol=1e-5)
    assert found["probability"][:, 7:].isnan().all()


def test_the_last_frame_is_what_the_attack_finds():
    for attack in (PGD(steps=5), CarliniWagner(steps=10, searches=2)):
        found = filmed(Film(attack), target=None)
        model = Model(residual())
        within = Linf(0.5) if Linf in attack.norms else None
        x = attack(model, X, model(X).argmax(1), within=within, ids="abc").x
        assert same(found["frames"][:, -1], to_uint8(x))


def test_nothing_is_kept_of_an_attack_that_is_not_filmed():
    model = Model(residual())
    plain = PGD(steps=4)(model, X, 0)
    assert plain.cost["forward"] <= 3 * 5


def test_frames_lie_close_at_the_start_and_far_apart_at_the_end():
    assert spaced(100, 8)[0] == 0
    assert spaced(100, 8)[-1] == 99
    gaps = torch.tensor(spaced(100, 8)).diff()
    assert (gaps >= 1).all()
    assert gaps[-1] > 5 * gaps[0]
    assert spaced(3, 5) == [0, 1, 2, 2, 2]
    for n in range(1, 40):
        for k in range(1, 12):
            assert len(spaced(n, k)) == k
            assert max(spaced(n, k)) == n - 1
