"""Reports of attacks and explanations: maps with their numbers, worst first, controls, cut where they are large."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.web.browser import CHROMIUM, DATA, MISSING

from unfool.analysis.shuffled import shuffled
from unfool.cli.main import run
from unfool.report.looks import Case, Look, case, sheets
from unfool.report.page import Page, write_page
from unfool.show.heat import laid


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    few = ["unfool:digits", "--limit", "4", "--quiet", "--out"]
    assert run(["attack", "FGSM", *few, str(folder / "attack")]) == 0
    assert run(["explain", "Gradient", *few, str(folder / "explain")]) == 0
    return folder


def test_a_shuffled_change_is_as_large_in_every_norm_and_belongs_to_its_image():
    image, change = torch.full((3, 5, 7), 128 / 255), torch.zeros(3, 5, 7)
    change[:, 0, :4] = torch.tensor([8.0, -3.0, 1.0, 20.0]) / 255
    found = shuffled(image, image + change, 0, "a") - image
    assert torch.allclose(found.flatten().sort().values, change.flatten().sort().values, atol=1e-6)
    assert (found.abs().amax(0) > 1e-6).sum() == 4  # whole pixels are moved, their channels stay together
    assert not torch.allclose(found, change, atol=1e-6)
    assert torch.equal(found, shuffled(image, image + change, 0, "a") - image)
    assert not torch.equal(found, shuffled(image, image + change, 0, "b") - image)


def test_a_case_holds_each_map_with_its_numbers_and_an_empty_one_as_a_picture():
    image = torch.rand(3, 9, 9, generator=torch.Generator().manual_seed(0))
    heat, nothing = torch.linspace(-1, 2, 81).view(1, 9, 9), torch.zeros(1, 9, 9)
    told = case(
        "a", "", [("image", image), laid("map", image, heat, 5.0, True), laid("none", image, nothing)]
    )
    lives = [look.live for look in told.looks]
    assert lives[0] is lives[2] is None
    assert lives[1] is not None
    assert (lives[1].most, lives[1].top, lives[1].signed) == (2.0, 5.0, True)


def test_a_hundred_photographs_are_cut_into_pages_under_10_mb_that_link_to_each_other(tmp_path: Path):
    stream = torch.Generator().manual_seed(0)
    noise = torch.rand(3, 160, 160, generator=stream)  # no PNG is larger
    photo = case("photo", "", [(str(k), noise) for k in range(2)])
    cases = [photo._replace(id=f"photo/{k}") for k in range(100)]
    assert photo.size > 200_000
    page = Page(
        "Title",
        "It shows one thing.",
        [],
        ["Anything else."],
        "Recipe()",
        {},
        cases=cases,
        order="As they are.",
    )
    (tmp_path / "report-99.html").write_text("of a run with more pictures")
    write_page(page, tmp_path, "unfool this")
    files = sorted(tmp_path.glob("report*.html"))
    assert len(files) == 3
    assert not (tmp_path / "report-99.html").exists()
    assert max(file.stat().st_size for file in files) < 10_000_000
    texts = {file.name: file.read_text() for file in files}
    for text in texts.values():
        for name, place in re.findall(r'href="([\w.-]*)#([\w-]+)"', text):
            assert f'id="{place}"' in texts[name or next(n for n, t in texts.items() if t is text)]
        assert sum(f">photo/{k}<" in text for k in range(100)) == 100  # each is one link away


def test_few_images_are_one_page_and_none_is_lost():
    looks = [Look("image", "x" * 10)]
    cases = [Case(str(k), "", looks) for k in range(7)]
    parts = sheets(cases, most=30)
    assert [(part.name, part.first, len(part.cases)) for part in parts] == [
        ("report.html", 1, 3),
        ("report-2.html", 4, 3),
        ("report-3.html", 7, 1),
    ]
    assert [one.id for part in parts for one in part.cases] == [str(k) for k in range(7)]
    assert len(sheets([])) == 1


def test_reports_have_their_controls_and_name_what_made_them(runs: Path):
    attack, explain = ((runs / name / "report.html").read_text() for name in ("attack", "explain"))
    assert attack.count("control, its pixels shuffled: ") == 2 * 4  # as alt text and as caption
    assert (
        explain.count("control, the image&#39;s edges: rank correlation ") == 2 * 4
    )  # as alt text and as caption
    for text in (attack, explain):
        assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
        assert "Recipe(" in text
    told = json.loads((runs / "attack" / "attack.json").read_text())
    assert told["shown, control, the same changes shuffled"]["n"] == told["shown, fooled as files"]["n"]
    kinds = re.findall(r"<h3>test/\d+: (.*?)</h3>", attack)
    order = ["fooled", "fooled, not as a file", "holds", "there to begin with"]
    assert len(kinds) == 4
    assert kinds == sorted(kinds, key=order.index)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
@pytest.mark.parametrize("name", ["attack", "explain"])
def test_maps_are_drawn_in_the_page_and_stay_pictures_on_paper(runs: Path, browser: Any, name: str):
    said = list[str]()
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{(runs / name / 'report.html').as_uri()}#image-2")
    page.wait_for_function("document.body.dataset.drawn")
    first = f"[...({DATA})(document.querySelector('.case .screen canvas'))]"
    over = page.evaluate(first)
    page.locator("#drawing input").first.fill("0")
    assert page.evaluate(first) != over
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate("document.getElementById('image-2').getBoundingClientRect().top") < 200
    page.emulate_media(media="print")
    assert page.locator(".case img[data-heat]").first.is_visible()
    assert page.locator("#drawing").is_hidden()
    page.close()
    assert said == []
