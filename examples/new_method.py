"""A method of one's own is one class: it has a text, options, a command line and every check at once."""

from torch import Tensor

import unfool
from unfool.answers import AtLayer
from unfool.attributions.cam import GradientMap, spatial_mean


class SquaredCAM(GradientMap):
    """Each channel weighted by its mean squared gradient: an idea to try, not a paper."""

    def weights(self, at: AtLayer) -> Tensor:
        return spatial_mean(at.grad**2)


model, data = unfool.load("unfool:digits"), unfool.open_data("unfool:digits")
batch = data.batch(data.ids()[:3], None, model.classes)

method = unfool.parse("SmoothGrad(SquaredCAM(), samples=5)")
print(method, "->", list(method(model, batch.x).map.shape))
