"""The lecture as static pages: one for each slide, an overview, every number in one file, and the exercises."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import product
from math import prod
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ..errors import DataError
from ..runs.work import atomically
from .deck import DECK, PARTS, slide_called
from .kit import Kit
from .making import made, outline
from .notebooks import write_exercises
from .slide import Slide

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""As runs are watched: told a name and a number of steps, gives what is told of each."""
WORKERS = 2
MOST = 30
"""How many states a page may hold, as printed and not, so that all its sliders move together."""


def together(slide: Slide) -> bool:
    """Whether a static page has every combination of its sliders' stops, or one slider moves at a time."""
    return prod(len(slider.stops) for slider in slide.sliders) <= MOST


def every_state(slide: Slide) -> Iterator[dict[str, Any]]:
    """Settings that a static page can show, also as printed; where the sliders begin comes first."""
    for printed in (False, True) if slide.drawn_as_printed else (False,):
        yield slide.settings({}, printed)
        for asked in _every_stop(slide) if together(slide) else _each_alone(slide):
            if any(asked[name] != slide.defaults[name] for name in asked):
                yield slide.settings(asked, printed)


def _every_stop(slide: Slide) -> Iterator[dict[str, Any]]:
    names = [slider.name for slider in slide.sliders]
    for stops in product(*(slider.stops for slider in slide.sliders)):
        yield dict(zip(names, stops, strict=True))


def _each_alone(slide: Slide) -> Iterator[dict[str, Any]]:
    for slider in slide.sliders:
        for stop in slider.stops:
            yield {slider.name: stop}


def made_all(key: str, small: int = 1) -> list[dict[str, Any]]:
    """Every state of one slide, in this process."""
    slide = slide_called(key)
    with TemporaryDirectory(prefix="unfool-") as folder:
        kit = Kit(Path(folder), small)
        return [made(slide, kit, settings) for settings in every_state(slide)]


def export(
    folder: Path, watch: Watch, keys: Sequence[str] = (), small: int = 1, workers: int = WORKERS
) -> dict[str, Any]:
    """Write the lecture into ``folder``; slides that are in it already are not made again.

    Gives what is in ``lecture.json``: the same bytes on every run. Times are on the pages only.
    """
    slides = [slide_called(key) for key in keys] or list(DECK)
    states = _states(folder, slides, watch, small, workers)
    found = lecture(slides, states)
    text = json.dumps(found, indent=1, sort_keys=True, allow_nan=False)
    _write(folder / "lecture.json", text + "\n")
    for slide in slides:
        _write(folder / page_name(slide), page(slide, slides, states[slide.key]))
    _write(folder / "index.html", contents(slides, states))
    write_exercises(folder / "exercises")
    return found


def _states(
    folder: Path, slides: Sequence[Slide], watch: Watch, small: int, workers: int
) -> dict[str, list[dict[str, Any]]]:
    parts = folder / "parts"
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make {folder}: {error.strerror}", "give another with --export") from None
    held: dict[str, list[dict[str, Any]]] = {}
    with watch("slides", len(slides)) as progress:
        for slide in slides:
            if (kept := _kept(parts, slide, small)) is not None:
                held[slide.key] = kept
                progress(1)
        missing = [slide.key for slide in slides if slide.key not in held]
        for key, found in _made(missing, small, workers):
            held[key] = found
            _write(_part(parts, slide_called(key), small), json.dumps(found, allow_nan=False))
            progress(1)
    return held


def _made(keys: Sequence[str], small: int, workers: int) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    """Slides as they are done, by some processes of one thread each."""
    if not keys:
        return
    if workers <= 1:
        for key in keys:
            yield key, made_all(key, small)
        return
    with ProcessPoolExecutor(
        min(workers, len(keys)), get_context("spawn"), torch.set_num_threads, (1,)
    ) as pool:
        asked = {pool.submit(made_all, key, small): key for key in sorted(keys, key=_slowest_first)}
        try:
            for done in as_completed(asked):
                yield asked[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _slowest_first(key: str) -> int:
    """Slides with more states first, so that no process is left with a long one at the end."""
    return -sum(1 for _ in every_state(slide_called(key)))


def _part(parts: Path, slide: Slide, small: int) -> Path:
    """The file of a slide's states, of this version of the slides and this size."""
    return parts / f"{slide.key}-{small}-{version()}.json"


def version() -> str:
    """What the slides are made of, as a short hash."""
    digest = sha256()
    for part in ("", "slides"):
        place = files("unfool.lecture").joinpath(part)
        for file in sorted(place.iterdir(), key=lambda one: one.name):
            if file.name.endswith(".py"):
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _kept(parts: Path, slide: Slide, small: int) -> list[dict[str, Any]] | None:
    try:
        return json.loads(_part(parts, slide, small).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def lecture(slides: Sequence[Slide], states: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Every number of every slide, without times and pictures."""
    told = ("settings", "says", "numbers", "cost", "error", "hint", "python", "command")
    return {
        "slides": [
            {
                **outline(number_of(slide), slide),
                "states": [{k: s[k] for k in told if k in s} for s in states[slide.key]],
            }
            for slide in slides
        ]
    }


def number_of(slide: Slide) -> int:
    return 1 + DECK.index(slide)


def page_name(slide: Slide) -> str:
    return f"{number_of(slide):02d}-{slide.key}.html"


def parts_of(slides: Sequence[Slide] = DECK) -> list[dict[str, Any]]:
    """The lecture's parts with the outlines of their slides."""
    parts = {title: [s for s in some if s in slides] for title, some in PARTS.items()}
    return [
        {"title": title, "slides": [outline(number_of(s), s) for s in some]}
        for title, some in parts.items()
        if some
    ]


def page(slide: Slide, slides: Sequence[Slide], states: Sequence[dict[str, Any]]) -> str:
    """A slide's page: its script, its style and its pictures are in it."""
    at = slides.index(slide)
    near = [page_name(slides[k]) if 0 <= k < len(slides) else None for k in (at - 1, at + 1)]
    names = {one.key: page_name(one) for one in slides}
    held = {
        "parts": parts_of(slides),
        "slide": outline(number_of(slide), slide) | {"alone": not together(slide)},
        "states": list(states),
        "near": near,
        "names": names,
    }
    links = "".join(
        f'<a href="{name}" aria-label="{told}">{sign}</a>'
        for name, told, sign in zip(near, ("slide before", "next slide"), "‹›", strict=True)
        if name
    )
    top = f'<header class="top"><a class="brand" href="index.html"><b>unfool</b> lecture</a>{links}</header>'
    body = f'{top}<div class="whole"><div id="list"></div><main id="slide"></main></div>'
    text = json.dumps(held, allow_nan=False).replace("<", "\\u003c")
    script = f"{_script()}\n{STATIC}"
    return _html(
        f"{number_of(slide)}. {slide.title}",
        f'{body}<script type="application/json" id="held">{text}</script><script type="module">{script}</script>',
    )


STATIC = """
const held = JSON.parse(document.getElementById("held").textContent);
const shown = makeSlide(held.slide, among(held.slide, held.states), false);
document.getElementById("slide").append(shown.node);
document.getElementById("list").append(makeList(held.parts, held.slide.key, (s) => held.names[s.key]));
document.querySelector(".list [aria-current]").scrollIntoView({ block: "nearest" });
const to = (name) => { if (name) location.href = name; };
const [back, on] = held.near.map((name) => () => to(name));
onKeys({ back, on, first: () => to("index.html"), toggle: () => shown.toggle() });
"""


def _script() -> str:
    """The deck's script as part of a page, where nothing can be imported."""
    return asset("deck.js").replace("export ", "")


def asset(name: str) -> str:
    return files("unfool.lecture").joinpath("static", name).read_text(encoding="utf-8")


def contents(slides: Sequence[Slide], states: dict[str, list[dict[str, Any]]]) -> str:
    """The overview: every slide with what it found."""
    blocks: list[str] = []
    for part in parts_of(slides):
        items = "".join(
            f'<li value="{one["number"]}"><a href="{page_name(slide_called(one["key"]))}">{escape(one["title"])}</a>'
            f"<p>{escape(_said(states[one['key']][0]))}</p></li>"
            for one in part["slides"]
        )
        blocks.append(f"<h2>{escape(part['title'])}</h2><ol>{items}</ol>")
    first = page_name(slides[0])
    head = f'<header class="top"><span class="brand"><b>unfool</b> lecture</span><a href="{first}">Begin</a></header>'
    rest = (
        '<p>Every number is in <a href="lecture.json">lecture.json</a>; the exercises are notebooks in '
        '<a href="exercises/">exercises</a>. Arrow keys turn the slides, P shows a slide as printed.</p>'
    )
    body = f'{head}<main><div class="contents"><h1>The lecture</h1>{rest}{"".join(blocks)}</div></main>'
    return _html("unfool lecture", body)


def _said(state: dict[str, Any]) -> str:
    return state.get("says") or state["error"]


def _html(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{asset("deck.css")}</style></head>'
        f"<body>{body}</body></html>\n"
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomically(path, lambda draft: draft.write_text(text, encoding="utf-8"))
