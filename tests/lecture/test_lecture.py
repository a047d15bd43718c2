"""The lecture: every slide can be made, the same twice, as printed too; what fails is told on its own page."""

import json
from pathlib import Path
from typing import Any

import pytest

from unfool.attacks.gradient import FGSM, PGD
from unfool.attributions.wrappers import SmoothGrad
from unfool.cli.main import run
from unfool.errors import InputError, UnknownName
from unfool.hooks import counted
from unfool.lecture import export as exporting
from unfool.lecture.deck import DECK, slide_called
from unfool.lecture.export import every_state, export, made_all, page, parts_of, together
from unfool.lecture.kit import Kit
from unfool.lecture.making import made, plain
from unfool.lecture.slide import Cost, Made, Slide, Slider
from unfool.runs.begin import unwatched

QUICK = ("panda", "fairness", "saliency")
ERRATA = {f"E{k}" for k in range(1, 23)}
ASKED = {f"R{k}" for k in range(2, 43)}


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path, small=8)


def test_the_deck_has_every_requirement_and_every_mistake_of_the_deck():
    assert len({slide.key for slide in DECK}) == len(DECK) >= 35
    assert {name for slide in DECK for name in slide.requirements.split(", ")} >= ASKED
    assert {one.number for slide in DECK for one in slide.errata} == ERRATA
    assert [slide["number"] for part in parts_of() for slide in part["slides"]] == list(
        range(1, len(DECK) + 1)
    )


@pytest.mark.parametrize("slide", DECK, ids=lambda one: one.key)
def test_a_slide_names_its_sliders_in_its_lines_alone(slide: Slide):
    for settings in every_state(slide):
        assert not any(
            f"{{{slider.name}}}" in text for slider in slide.sliders for text in slide.lines(settings)
        )
    for slider in slide.sliders:
        assert slider.default in slider.stops
        assert slider.checked(slider.default) == slider.default
    assert slide.shows.strip()
    assert slide.shows_not.strip()


def states(slide: Slide, kit: Kit) -> list[dict[str, Any]]:
    both = [slide.settings({}), slide.settings({}, printed=True)]
    return [made(slide, kit, one) for one in (both if slide.drawn_as_printed else both[:1])]


def check(slide: Slide, kit: Kit) -> None:
    for state in states(slide, kit):
        assert state.get("error") is None, state["error"]
        assert state["says"].strip()
        assert state["figures"] or state["tables"]
        assert all(one["control"].strip() for one in state["figures"])
        assert len(json.dumps(state["numbers"])) < 40_000
        assert state["cost"], "what did it cost, in passes?"
        assert all(
            cost["forward"] >= cost["backward"] / 2 > 0 or not cost["backward"] for cost in state["cost"]
        )


@pytest.mark.parametrize("key", QUICK)
def test_some_slides_can_be_made(key: str, kit: Kit):
    check(slide_called(key), kit)


@pytest.mark.slow
@pytest.mark.parametrize("key", [slide.key for slide in DECK if slide.key not in QUICK])
def test_every_slide_can_be_made(key: str, kit: Kit):
    check(slide_called(key), kit)


def test_a_slider_moves_the_numbers_and_nothing_else_is_taken(kit: Kit):
    slide = slide_called("panda")
    small, large = (made(slide, kit, slide.settings({"eps": eps})) for eps in (0.02, 0.3))
    assert small["numbers"]["linf"] < 0.03 < large["numbers"]["linf"] <= 0.3 + 1 / 255
    assert small["figures"][0]["src"] != large["figures"][0]["src"]
    assert "Linf(0.3)" in large["python"]
    for wrong in ({"eps": 2.0}, {"eps": "a"}, {"eps": True}, {"eps": float("nan")}):
        with pytest.raises(InputError):
            slide.settings(wrong)
    with pytest.raises(UnknownName):
        slide.settings({"sigma": 1.0})
    with pytest.raises(UnknownName):
        slide_called("create").settings({"start": "elsewhere"})


def test_as_printed_is_something_else(kit: Kit):
    slide = slide_called("create")
    right, printed = states(slide, kit)
    assert right["numbers"] != printed["numbers"]
    steps = printed["numbers"]["steps_to_09"]
    assert steps["each by itself"] == steps["mean over 1"] > 0  # a mean of one is a sum
    assert steps["mean over 16"] == -1  # a sixteenth of the step
    assert not slide_called("panda").settings({}, printed=True)["printed"]


def test_costs_are_those_of_the_network(kit: Kit):
    model = kit.model("unfool:digits8")
    batch = kit.right(model, "unfool:digits8", 40)
    for method in (SmoothGrad(samples=5), FGSM(), PGD(steps=3)):
        with kit.counting() as passes:
            found = method(model, batch.x, batch.y)
        assert passes["forward"] == found.cost["forward"]
        assert passes["backward"] == found.cost["backward"]
    assert not model.net._forward_hooks
    assert not model.net._forward_pre_hooks


def test_what_was_made_before_costs_as_much_again(kit: Kit):
    model = kit.model("unfool:digits8")
    x = kit.batch("unfool:digits8", 5, model).x
    spent = list[dict[str, int]]()
    for _ in range(2):
        with kit.counting() as passes:
            kit.once("answers", lambda: model(x))
            spent.append(dict(passes))
    assert spent[0] == spent[1] == {"forward": len(x)}


def test_hooks_that_count_are_gone_after_an_error(kit: Kit):
    net = kit.model("unfool:digits8").net
    with pytest.raises(ZeroDivisionError), counted(net, kit.passes):
        1 / 0  # noqa: B018
    assert not net._forward_hooks
    assert not net._forward_pre_hooks


def failing(kit: Kit, settings: Any) -> Made:
    raise InputError("nothing to see", "look elsewhere") if settings["how"] == "told" else ValueError("a bug")


BROKEN = Slide("broken", "Broken", "R1", "a", "b", failing, "", "", (Slider("how", "told", ("told", "bug")),))


def test_what_fails_becomes_its_sentence(kit: Kit):
    told, bug = (made(BROKEN, kit, BROKEN.settings({"how": how})) for how in ("told", "bug"))
    assert (told["error"], told["hint"]) == ("nothing to see", "look elsewhere")
    assert bug["error"] == "ValueError: a bug"


def test_numbers_are_plain():
    found = plain({"a": (1 / 3, float("nan")), "b": Cost("x", 1.0, 2.0), 3: [True]})
    assert found == {"a": [0.333333, None], "b": {"what": "x", "forward": 1.0, "backward": 2.0}, "3": [True]}


def test_the_export_is_the_same_on_every_run_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    keys = ("panda", "fairness", "training")  # the last begins from weights that nobody has learned
    export(tmp_path / "one", unwatched, keys, small=8, workers=1)
    first = (tmp_path / "one" / "lecture.json").read_bytes()
    export(tmp_path / "two", unwatched, keys, small=8, workers=1)
    assert (tmp_path / "two" / "lecture.json").read_bytes() == first
    assert b"seconds" not in first
    monkeypatch.setattr(exporting, "made_all", lambda *args: pytest.fail("made again"))
    export(tmp_path / "two", unwatched, keys, small=8, workers=1)
    html = (tmp_path / "one" / "18-fairness.html").read_text()
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    assert {path.name for path in (tmp_path / "one" / "exercises").iterdir()} == {
        "fgsm.ipynb",
        "segmentation.ipynb",
    }


def test_a_page_cannot_be_broken_out_of():
    state = {"settings": {"printed": False}, "error": "</script><script>alert(1)</script>", "hint": ""}
    assert "<script>alert" not in page(slide_called("costs"), DECK, [state])


def test_a_page_holds_every_combination_of_its_sliders():
    slide = slide_called("fairness")
    assert [s["system"] for s in every_state(slide)] == ["all", "IBM", "Face++", "Microsoft"]
    assert len(made_all("fairness", 8)) == 4
    both = list(every_state(slide_called("create")))
    assert len(both) == len({repr(s) for s in both}) == 2 * 4 * 3
    assert sum(s["printed"] for s in both) == len(both) / 2
    assert both[0] == slide_called("create").settings({})


def test_of_very_many_combinations_one_slider_at_a_time_and_the_page_says_so():
    slide = slide_called("occlusion")
    states = list(every_state(slide))
    assert len(states) == 1 + sum(len(slider.stops) - 1 for slider in slide.sliders)
    for state in states[1:]:
        assert sum(state[slider.name] != slider.default for slider in slide.sliders) == 1
    failed = [{"settings": states[0], "error": "none", "hint": ""}]
    assert '"alone": true' in page(slide, DECK, failed)
    assert '"alone": false' in page(slide_called("create"), DECK, failed)
    assert sum(not together(one) for one in DECK) < 4


@pytest.mark.parametrize("key", ["panda", "saliency"])
def test_numbers_are_the_same_whatever_was_made_before(key: str, tmp_path: Path):
    slide = slide_called(key)
    some = [*every_state(slide)][:3]
    first, other = Kit(tmp_path / "a", small=8), Kit(tmp_path / "b", small=8)
    one = [made(slide, first, settings) for settings in some]
    two = [made(slide, other, settings) for settings in reversed(some)][::-1]
    for a, b in zip(one, two, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}  # pictures, too


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["lecture", "--export", str(tmp_path / "x"), "--slide", "nothing"]) == 2
    assert "no slide" in capsys.readouterr().err
    assert run(["lecture", "--export", str(tmp_path / "x"), "--workers", "0"]) == 2
    (tmp_path / "file").write_text("")
    assert run(["lecture", "--export", str(tmp_path / "file"), "--slide", "fairness"]) == 2
    assert (
        run(["lecture", "--export", str(tmp_path / "y"), "--slide", "fairness", "--workers", "1", "--json"])
        == 0
    )
    assert '"failed": []' in capsys.readouterr().out
