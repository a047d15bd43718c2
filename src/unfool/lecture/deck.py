"""The deck in its order."""

from ..errors import UnknownName
from .slide import Slide
from .slides import ascent, cams, features, fooled, made, maps, medical, others, theory, trust

FOOLED = (
    *fooled.SLIDES,
    made.PHYSICAL,
    theory.INTUITION,
    made.CREATE,
    theory.VISUAL,
    made.ITERATIVE,
    theory.DIMENSIONALITY,
    theory.ONE_STEP,
    theory.LINE,
    theory.RANDOM,
    *others.SLIDES,
    trust.HANS,
    trust.FAIRNESS,
    trust.ALARM,
    trust.LEGAL,
)
"""Adversarial examples and adversarial training."""
SEEN = (
    medical.REVIEWER,
    *features.SLIDES,
    maps.OCCLUSION,
    maps.SALIENCY,
    maps.MONTE_CARLO,
    medical.SEGMENTATION,
    medical.DYNAMIC,
    cams.GRAD_CAM,
    cams.CAMS,
    medical.ALARMS,
    medical.USEFUL,
    medical.CARE,
    maps.GUIDED,
    ascent.CLASSES,
    ascent.LAYERS,
    cams.COSTS,
)
"""Visualization of deep neural networks."""
PARTS = {
    "Adversarial examples and adversarial training": FOOLED,
    "Visualization of deep neural networks": SEEN,
}
DECK: tuple[Slide, ...] = (*FOOLED, *SEEN)


def slide_called(key: str) -> Slide:
    known = {slide.key: slide for slide in DECK}
    if key not in known:
        raise UnknownName("slide", key, known)
    return known[key]
