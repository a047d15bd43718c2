"""The pages about units as a folder: an overview, one for each layer, one for some units, each linked to the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..analysis.drawn import Drawn, drawn_units
from ..analysis.units import Gallery, Layer, Patch, card
from ..data.base import Source
from ..model import Model
from ..runs.begin import Watch
from ..runs.units import Looking
from ..synthesis.base import Synthesis
from .page import Page, typed, write_page
from .subjects.unit import unit_page
from .subjects.units import layer_page, overview_page

Unit = tuple[Layer, int]


def write_unit_pages(
    plan: Looking,
    model: Model,
    source: Source,
    layers: Sequence[Layer],
    own: Sequence[Unit],
    errors: Mapping[str, str],
    folder: Path,
    shown: int,
    watch: Watch,
    draw: Synthesis | None = None,
) -> Page:
    """Write the pages of layers and of the units in ``own``; the overview is given back.

    With ``draw`` every unit on a page is drawn by it.
    """
    drawn = _drawn(plan, model, source, layers, own, folder, shown, watch, draw) if draw else {}
    gallery, command = Gallery(model, source, plan.ids(source)), typed()
    with watch("pages", len(layers) + len(own)) as progress:
        for layer in layers:
            some = [(c, gallery.patches(layer, c)) for c in _spread(len(layer.units.low), shown)]
            control = gallery.random_patches(layer, plan.keep, plan.seed)
            made = {c: drawn[layer.name, c] for c, _ in some} if drawn else {}
            page = layer_page(layer, some, control, _links(layers, own, ".."), repr(plan), made)
            write_page(page, folder / layer.name, command)
            progress(1)
        for layer, c in own:
            made = drawn.get((layer.name, c))
            page = _unit(plan, model, gallery, layer, c, _links(layers, own, ".."), made)
            write_page(page, folder / _place(layer, c), command)
            progress(1)
    title = f"Units of {plan.model} over {plan.data}"
    return overview_page(title, layers, _links(layers, own, "."), repr(plan), len(errors))


def _drawn(
    plan: Looking,
    model: Model,
    source: Source,
    layers: Sequence[Layer],
    own: Sequence[Unit],
    folder: Path,
    shown: int,
    watch: Watch,
    draw: Synthesis,
) -> dict[tuple[str, int], Drawn]:
    """The pictures of all units that are on a page."""
    wanted = {
        one.name: (
            one,
            sorted({*_spread(len(one.units.low), shown), *(c for other, c in own if other.name == one.name)}),
        )
        for one in layers
    }
    return drawn_units(plan, model, source, wanted, draw, folder, watch)


def _unit(
    plan: Looking,
    model: Model,
    gallery: Gallery,
    layer: Layer,
    c: int,
    links: Sequence[tuple[str, str]],
    drawn: Drawn | None,
) -> Page:
    found = card(model, gallery, layer, c, plan.seed)
    close = layer.units.alike()[c]
    least = int(close.argmin())
    like_it: list[tuple[str, Sequence[Patch]]] = [
        (f"{k} ({r:.2f})", gallery.patches(layer, k)) for k, r in (*found.alike, (least, float(close[least])))
    ]
    control = gallery.random_patches(layer, plan.keep, plan.seed)
    return unit_page(layer, found, like_it, control, model.classes, links, repr(plan), drawn)


def _spread(units: int, shown: int) -> list[int]:
    """So many channels evenly over all of them."""
    n = min(units, shown)
    return [k * units // n for k in range(n)]


def _place(layer: Layer, c: int) -> str:
    return f"{layer.name}-{c}"


def _links(layers: Sequence[Layer], own: Sequence[Unit], up: str) -> list[tuple[str, str]]:
    top = [] if up == "." else [("all layers", f"{up}/report.html")]
    each = [(one.name, f"{up}/{one.name}/report.html") for one in layers]
    return [*top, *each, *((f"{one.name}:{c}", f"{up}/{_place(one, c)}/report.html") for one, c in own)]
