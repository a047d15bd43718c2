"""What is inside: templates, filters, what fires units, layers in order, neighbours, a map."""

import torch

from ...analysis.filters import first_filters
from ...analysis.hierarchy import study as study_hierarchy
from ...analysis.layouts import components, quality
from ...analysis.neighbours import study as study_neighbours
from ...analysis.probe import study as study_probe
from ...analysis.spray import laid_out
from ...analysis.templates import templates as found_in
from ...analysis.units import selective
from ...measures.embed import Embed
from ...method import Question
from ...report.page import Figure
from ...report.subjects.filters import filters_page
from ...report.subjects.hierarchy import hierarchy_page
from ...report.subjects.neighbours import neighbours_page
from ...report.subjects.probe import probe_page
from ...report.subjects.templates import templates_page
from ...report.subjects.units import layer_page
from ...runs.hierarchy import Hierarchy
from ...runs.neighbours import Neighbours, run_neighbours
from ...runs.probe import Probe, run_probe
from ...show.thumbs import class_tint, poster
from ...views import View
from ..kit import Kit
from ..making import counted_cost, from_page
from ..slide import Cost, Erratum, Made, Settings, Slide, Slider
from .looking import DIGITS, looked_at

STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def simple(kit: Kit, settings: Settings) -> Made:
    best = float(settings["C"])
    found = found_in(kit.source("unfool:digits8"), None, (), sorted({*STRENGTHS, best}), kit.few(500, 400), 0)
    k = [one.strength for one in found.fits].index(best)
    page = templates_page("unfool:digits8", found._replace(best=k))
    return from_page(page, ["templates", "strengths", "plane"], [Cost("linear fits, no network", 0, 0)])


def first_layer(kit: Kit, settings: Settings) -> Made:
    address = str(settings["model"])
    model = kit.model(address)
    found = first_filters(model, kit.batch(address.partition("?")[0], 1, model).x[:1])
    page = filters_page(address, found)
    return from_page(page, [figure.name for figure in page.figures], [Cost("reading weights", 0, 0)])


def patches(kit: Kit, settings: Settings) -> Made:
    _, plan, one, gallery = looked_at(kit, str(settings["layer"]), 500)
    some = [(c, gallery.patches(one, c)) for c in sorted(selective(one.units, 8))]
    page = layer_page(one, some, gallery.random_patches(one, plan.keep, 0), (), repr(plan), {})
    return from_page(page, ["units"], [counted_cost("one pass over the data", kit, len(gallery.ids))])


def deeper(kit: Kit, settings: Settings) -> Made:
    model, source = kit.model(DIGITS), kit.source(DIGITS)
    plan = Hierarchy(DIGITS, DIGITS, "", ("features.1", "features.3", "features.5"), 3, 20, kit.few(300, 100))
    page = hierarchy_page(kit.ran(plan, lambda at: study_hierarchy(plan, model, source, None, at)))
    return from_page(
        page, ["field", f"layer-{settings['layer']}"], [counted_cost("all layers", kit, plan.sample)]
    )


def output(kit: Kit, settings: Settings) -> Made:
    del settings
    model, source = kit.model(DIGITS), kit.source(DIGITS)
    plan = Probe(
        DIGITS, DIGITS, "", ("features.1", "features.3"), draws=5, moved=20, sample=kit.few(500, 300)
    )
    found = kit.ran(plan, lambda at: run_probe(plan, model, source, None, at))
    page = probe_page(study_probe(plan, found, model, source))
    return from_page(page, ["labels", "layers"], [counted_cost("all vectors", kit, plan.sample)])


def nearest(kit: Kit, settings: Settings) -> Made:
    model, source = kit.model(DIGITS), kit.source(DIGITS)
    metric = str(settings["metric"])
    plan = Neighbours(DIGITS, DIGITS, metric=metric, images=3, sample=kit.few(500, 100))  # pyright: ignore[reportArgumentType]
    own, other = kit.ran(plan, lambda at: run_neighbours(plan, model, source, None, at))

    def look(id: str) -> torch.Tensor:
        return source.sample(id, model.view or View()).x

    page = neighbours_page(study_neighbours(plan, own, other, model, source), look, look)
    return from_page(page, ["neighbours"], [counted_cost("all vectors", kit, plan.sample)])


def embedding(kit: Kit, settings: Settings) -> Made:
    model, seed = kit.model(DIGITS), int(settings["seed"])
    batch = kit.batch(DIGITS, 300, model)
    spaces = {
        "features": Embed().columns(Question(model), batch)["embedding"].flatten(1).float(),
        "pixels": batch.x.flatten(1),
    }
    x = spaces[str(settings["space"])]
    first = components(x)
    view = torch.from_numpy(laid_out(first.double().numpy(), seed))
    told = quality(x, view, 10, batch.y, 0)
    chance = torch.rand(len(x), 2, generator=kit.generator(1))
    control = quality(x, chance, 10, batch.y, 0)
    tints = [class_tint(int(y), 10) for y in batch.y]
    title = f"t-SNE of {len(x)} digits by {settings['space']}, perplexity 30, seed {seed}"
    figure = Figure(
        "map",
        poster(list(batch.x), view, tints, title, 900),
        "Frames have their class's colour. Distances between clusters, and their sizes, mean nothing.",
        f"random places keep {control.kept.brief} % of the ten nearest, the map {told.kept.brief} %",
    )
    assert told.label is not None
    numbers = {
        "trust": told.trust.as_dict(),
        "kept": told.kept.as_dict(),
        "nearest_has_the_label": told.label.as_dict(),
        "random_kept": control.kept.as_dict(),
    }
    says = (
        f"The nearest on the map has the same label for {told.label}; of the ten nearest the map keeps "
        f"{told.kept.brief} %."
    )
    return Made(says, [figure], numbers, [counted_cost("features", kit, len(x))])


SLIDES = (
    Slide(
        "simple",
        "Simple models: templates",
        "R22",
        "Of a linear classifier the weights are pictures: what it looks for. The weaker they are held, the "
        "noisier they "
        "get. On the right, where it draws its lines in the plane of most variance.",
        "What a deep network looks for: its weights are no pictures of classes.",
        simple,
        "templates(data, None, (), ({C},), 500, 0)",
        "unfool inspect templates unfool:digits8 --strength {C}",
        (Slider("C", 0.01, STRENGTHS),),
    ),
    Slide(
        "first-layer",
        "The first layer's filters",
        "R23",
        "Filters of the first convolution: edges and spots once it has learned. Flags tell dead, noisy and "
        "double ones.",
        "Much at 3 x 3: filters of eleven pixels show their waves.",
        first_layer,
        "first_filters(load('{model}'), x)",
        'unfool inspect filters "{model}"',
        (
            Slider(
                "model",
                "unfool:digits",
                ("unfool:digits", "unfool:lesions", "unfool:scenes"),
                label="network",
            ),
        ),
        (
            Erratum(
                "E16",
                "11x11, 3 in, 64 out, citing NIPS 2012",
                "64 filters are torchvision's AlexNet; the net of 2012 has 96, and its arithmetic needs images of 227.",
            ),
        ),
    ),
    Slide(
        "patches",
        "What triggers a unit: image patches",
        "R24",
        "For the eight most selective units of a layer, the parts of the images that give them their largest "
        "values: cut exactly as large as "
        "the unit sees.",
        "That a unit means one thing: nine patches of hundreds of images.",
        patches,
        "run_units(Looking('unfool:digits', 'unfool:digits', ('{layer}',)), …)",
        "unfool inspect units unfool:digits --layer {layer} --limit 500",
        (Slider("layer", "features.3", ("features.1", "features.3", "features.5")),),
    ),
    Slide(
        "deeper",
        "Deeper layers: from edges to parts",
        "R25",
        "Layer by layer: how much a position sees, what fires its units, and by two rules what in those patches did.",
        "That projections show what a unit computes: the control, a network with random weights, makes some as sharp.",
        deeper,
        "study(Hierarchy('unfool:digits', 'unfool:digits'), model, data, None, folder)",
        "unfool inspect hierarchy unfool:digits --limit 300",
        (Slider("layer", "features.5", ("features.1", "features.3", "features.5")),),
    ),
    Slide(
        "output",
        "The last hidden layer: nearly linear",
        "R26",
        "How well a linear model reads the classes off the pixels, off a network that has learned nothing, "
        "and off this "
        "one, from one label a class to all.",
        "That the features are needed on these digits: with many labels pixels do as well.",
        output,
        "study(Probe('unfool:digits', 'unfool:digits'), embeddings, model, data)",
        "unfool inspect probe unfool:digits --limit 500",
    ),
    Slide(
        "nearest",
        "The last hidden layer: nearest images",
        "R27",
        "Of three images the nearest by what the last layer is given, by pixels, and by a network that has "
        "learned nothing.",
        "Why they are near; and on digits pixels are not much worse.",
        nearest,
        "run_neighbours(Neighbours('unfool:digits', 'unfool:digits', metric='{metric}'), …)",
        "unfool inspect neighbours unfool:digits --metric {metric} --limit 500",
        (Slider("metric", "l2", ("l2", "cosine")),),
    ),
    Slide(
        "tsne",
        "t-SNE: a map of images",
        "R28",
        "Images placed so that neighbours stay neighbours: classes part by themselves.",
        "Distances between clusters, and how large they are. Another seed gives another map: try it.",
        embedding,
        "TSNE(perplexity=30, init='pca', random_state={seed}).fit_transform(features)",
        "unfool inspect map unfool:digits --limit 300 --seed {seed}",
        (
            Slider("space", "features", ("features", "pixels")),
            Slider("seed", 0, (0, 1, 2), 1.0),
        ),
        (
            Erratum(
                "E17",
                "cnnembed ‘6k’",
                "6k is the picture's size, 6,000 x 6,000 pixels; the map holds 50,000 images of ILSVRC-2012's "
                "validation set, by 4,096 features, placed by Barnes-Hut t-SNE.",
            ),
        ),
    ),
)
