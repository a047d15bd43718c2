"""The page that shows the same images attacked within several norms."""

from ...analysis.norms import Budget, Case, Compared, Panel
from ...analysis.rates import Rate
from ...show.sheet import Cell, sheet
from ..page import Figure, Grid, Page, Section, class_name


def norms_page(found: Compared) -> Page:
    cases = [_figure(found, case, k) for k, case in enumerate(found.cases)]
    return Page(
        f"{found.plan.model} attacked within {', '.join(str(r) for r in found.plan.regions)}",
        sentence(found),
        [
            Section(
                "The same image, other budgets",
                "Changed images and, under them, the change itself about grey at its true size: "
                "half-grey to white is "
                "a change of 0.5. Labels and confidences are of 8-bit files.",
                cases,
            ),
            _rates(found),
        ],
        LIMITS,
        repr(found.plan),
        numbers(found),
    )


LIMITS = (
    "Budgets of different norms cannot be compared by their numbers: which change looks "
    "smaller is for the eye.",
    "A share that was not flipped was not flipped by this attack; another may do better, most of all in L0.",
    "Images shown are the first that every region's attack flips, so they look easier than the rates say.",
)


def sentence(found: Compared) -> str:
    told = ", ".join(f"{100 * b.success.value:.0f} % within {b.region}" for b in found.budgets)
    noise = ", ".join(f"{100 * b.random.value:.0f} %" for b in found.budgets)
    return (
        f"One attack, {len(found.budgets)} norms: it flips {told} of {found.n} images; "
        f"random changes with the same budget {noise}."
    )


def _figure(found: Compared, case: Case, k: int) -> Figure:
    names = [repr(region) for region in found.plan.regions]
    blank = case.image * 0 + 0.5
    first = Cell(case.image, [f"{class_name(found.classes, case.y)}  {100 * case.confidence:.0f} %"])
    rows = [
        ("attack", [first, *(_cell(found, case, p) for p in case.attacked)]),
        ("change", [Cell(blank, ["none"]), *(_change(p) for p in case.attacked)]),
        ("random", [first, *(_cell(found, case, p) for p in case.random)]),
        ("change", [Cell(blank, ["none"]), *(_change(p) for p in case.random)]),
    ]
    return Figure(
        f"image-{k + 1}",
        sheet(["image", *names], rows),
        f"Image {case.id}.",
        "the lower two rows, random changes of the same budget, less what pixels at 0 or 1 cannot take",
    )


def _cell(found: Compared, case: Case, panel: Panel) -> Cell:
    told = f"{class_name(found.classes, panel.label)}  {100 * panel.confidence:.0f} %"
    return Cell(panel.image, [told], panel.label != case.y)


def _change(panel: Panel) -> Cell:
    sizes = panel.sizes
    return Cell(
        0.5 + panel.change,
        [f"L2 {sizes['L2']:.2f}", f"Linf {sizes['Linf']:.2f}, {sizes['L0']:.0f} positions"],
    )


def _rates(found: Compared) -> Section:
    header = ["region", "flipped", "as 8-bit files", "random change", "median L2", "Linf", "L1", "positions"]
    rows = [
        [
            repr(b.region),
            told(b.success),
            told(b.saved),
            told(b.random),
            *(f"{b.sizes[n]:.3g}" for n in ("L2", "Linf", "L1", "L0")),
        ]
        for b in found.budgets
    ]
    text = (
        f"Of the {found.n} images that the model has right ({found.right}), with 95 % Wilson "
        "intervals; sizes are of "
        "the changes that succeeded."
    )
    return Section("How often, and how large", text, tables=[Grid("", header, rows)])


def told(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % ({100 * rate.low:.1f} to {100 * rate.high:.1f})"


def numbers(found: Compared) -> dict[str, object]:
    return {
        "n": found.n,
        "right": found.right.as_dict(),
        "budgets": [_budget(b) for b in found.budgets],
        "shown": [case.id for case in found.cases],
    }


def _budget(b: Budget) -> dict[str, object]:
    rates = {"flipped": b.success, "as_8_bit": b.saved, "random": b.random}
    return {"region": repr(b.region), **{k: r.as_dict() for k, r in rates.items()}, "median_sizes": b.sizes}
