"""The deck in its order."""

from ..errors import UnknownName
from .slide import Slide
from .slides import (
    ascent,
    cams,
    care,
    defended,
    features,
    fooled,
    made,
    maps,
    medical,
    nearest,
    others,
    smooth,
    steps,
    theory,
    trust,
)

FOOLED = (
    *fooled.SLIDES,
    made.PHYSICAL,
    theory.INTUITION,
    made.CREATE,
    theory.VISUAL,
    nearest.ITERATIVE,
    theory.DIMENSIONALITY,
    steps.ONE_STEP,
    steps.LINE,
    steps.RANDOM,
    *others.SLIDES,
    defended.TRAINING,
    defended.ONE_PIXEL,
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
    smooth.MONTE_CARLO,
    medical.SEGMENTATION,
    medical.DYNAMIC,
    cams.GRAD_CAM,
    cams.CAMS,
    care.ALARMS,
    care.USEFUL,
    care.CARE,
    smooth.GUIDED,
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
