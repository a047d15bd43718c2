"""The deck in its order."""

from ..errors import UnknownName
from .slide import Slide
from .slides import fooled, made, theory

DECK: tuple[Slide, ...] = (*fooled.SLIDES, *made.SLIDES, theory.INTUITION, theory.VISUAL, theory.DIMENSIONALITY, theory.ONE_STEP, theory.LINE, theory.RANDOM)


def slide_called(key: str) -> Slide:
    known = {slide.key: slide for slide in DECK}
    if key not in known:
        raise UnknownName("slide", key, known)
    return known[key]
