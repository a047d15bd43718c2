"""Settings from papers and tools, by name.

Theirs are steps and spreads of pixels from 0 to 255, or normalised by 0.225; here images lie in [0, 1].
"""

from ..errors import UnknownName
from ..framing import Crop, Pad
from ..spec import parse
from ..transforms import Jitter, Noise, Rotate, Scale
from .base import Synthesis
from .canvas import MACO, Fourier, Pixels
from .cleaning import Blur, Cleaning, DropIdle, DropSmall, Fade
from .maximise import Maximise

_BYTE, _NORMED = 255.0, 0.225
_LUCID = Pad(12 / 224, (Jitter(8), Scale(0.1), Rotate(10.0), Jitter(4)))


def _yosinski(steps: int, *cleaning: Cleaning) -> Maximise:
    noise, rate = 10 / _BYTE, 100 / _BYTE**2
    return Maximise(Pixels(noise=noise), (), steps=steps, rate=rate, climb="plain", cleaning=cleaning)


PRESETS: dict[str, Maximise] = {
    # the class's logit less lambda times the squared distance from the mean (Simonyan et al., 2014)
    "simonyan": Maximise(Pixels(), (), steps=300, rate=0.3, climb="plain", l2=0.01),
    # the four sets of the Deep Visualization Toolbox (Yosinski et al., 2015); the third is its default
    "yosinski-1": _yosinski(500, Blur(0.5, 4), DropSmall(50.0)),
    "yosinski-2": _yosinski(750, Fade(0.3), DropSmall(20.0)),
    "yosinski-3": _yosinski(1000, Fade(0.0001), Blur(1.0, 4)),
    "yosinski-4": _yosinski(1000, Blur(0.5, 4), DropIdle(90.0)),
    # frequencies, and changes that are right for 224 pixels (Olah et al., 2017)
    "lucid": Maximise(Fourier(decorrelated=True), (_LUCID,), steps=512),
    # phases seen through many small parts (Fel et al., 2023)
    "maco": Maximise(MACO(decorrelated=True), (Crop(0.05, 0.5), Noise(0.08)), samples=8),
    # the loop of pytorch-cnn-visualizations
    "ozbulak": Maximise(
        Pixels(noise=0.29),
        (),
        steps=150,
        rate=6 * _NORMED**2,
        climb="plain",
        cleaning=(Fade(6e-4), Blur(1.0, 4)),
    ),
    "plain": Maximise(Pixels(), ()),
}


def synthesis_of(text: str) -> Synthesis:
    """A preset by its name, or a synthesis by its text."""
    if text in PRESETS:
        return PRESETS[text]
    try:
        return parse(text, Synthesis)
    except UnknownName as error:
        if "(" in text:
            raise
        raise UnknownName(
            "synthesis or preset", text, [*PRESETS, "Maximise", "MapElites", "Fooling"]
        ) from error
