"""What a study of a substitute leaves in its folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.substitute import Transfer
from ..attacks.substitute import Substitute
from ..measures.predict import Predict
from ..runs.recipe import Recipe
from ..runs.work import atomically
from ..show.substitute import loop_diagram, question_curves


def write_study(found: Transfer, how: Substitute, model: str, folder: Path) -> dict[str, Any]:
    """Curves and the loop as SVG, all numbers as JSON, the evasions as .npz with a recipe that shows them again."""
    numbers = summary(found)
    curves = {
        "substitute and oracle agree": [p.agreement for p in found.rounds],
        f"FGSM transfers, eps {found.eps:g}": [p.transfer for p in found.rounds],
        "random signs, same eps": [p.control for p in found.rounds],
    }
    bands = {name: [r.interval for r in rates] for name, rates in curves.items()}
    pictures = {
        "curves.svg": question_curves([p.asked for p in found.rounds], bands),
        "loop.svg": loop_diagram(how.seeds, how.rounds, found.asked, how.step),
        "substitute.json": json.dumps(numbers, indent=1),
    }
    for name, text in pictures.items():
        atomically(folder / name, lambda draft, text=text: draft.write_text(text))
    if found.evasions.ids:
        _write_evasions(found, model, folder)
    return numbers


def _write_evasions(found: Transfer, model: str, folder: Path) -> None:
    evasions, place = found.evasions, folder / "evasions.npz"
    arrays: dict[str, Any] = {
        "x": evasions.x.numpy(),
        "y": evasions.y.numpy(),
        "fooled_into": evasions.label.numpy(),
        "id": np.array(evasions.ids),
    }

    def write(draft: Path) -> None:
        with draft.open("wb") as file:
            np.savez_compressed(file, **arrays)

    atomically(place, write)
    recipe = repr(Recipe(Predict(), model, str(place)))
    atomically(folder / "replay.txt", lambda draft: draft.write_text(f"{recipe}\n"))


def summary(found: Transfer) -> dict[str, Any]:
    """All numbers, each rate with its n and interval."""
    rounds = [
        {"asked": p.asked}
        | {name: getattr(p, name).as_dict() for name in ("agreement", "transfer", "control")}
        for p in found.rounds
    ]
    sizes = [
        {"eps": s.eps} | {name: getattr(s, name).as_dict() for name in ("fgsm", "pgd", "control")}
        for s in found.sizes
    ]
    return {
        "eps": found.eps,
        "labels_asked": found.asked,
        "scored": found.scored,
        "rounds": rounds,
        "sizes": sizes,
        "evasions": len(found.evasions.ids),
    }
