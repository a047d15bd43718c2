"""The report: one file that asks nothing of any host, n and interval at every rate, no figure without its control."""

import json
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest
import torch

from unfool.analysis.audit import read_audit
from unfool.data.address import open_data
from unfool.errors import DataError
from unfool.regions import L2, Linf
from unfool.report.audit import AuditReport, write_report
from unfool.report.summary import clean, summary
from unfool.runs.audit import Audit, run_audit
from unfool.zoo.address import load

PLAN = Audit(
    "unfool:lesions",
    "unfool:lesions",
    steps=3,
    restarts=1,
    draws=3,
    cases=3,
    planes=1,
    sample=8,
    sanity=4,
    limit=16,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    run_audit(PLAN, load("unfool:lesions"), open_data("unfool:lesions"), folder)
    return read_audit(folder)


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(found, path, "unfool audit unfool:lesions")
    return path.read_text()


def test_an_audit_shows_itself_in_a_notebook_and_is_saved_as_a_file(found, page, tmp_path):
    shown = AuditReport(found)._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts" ')
    AuditReport(found).save(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert escape(text) in shown
    assert text == page.replace(
        "<pre>unfool audit unfool:lesions</pre>", ""
    )  # nothing but the command is left out


class Reader(HTMLParser):
    """Tags with their attributes, and whether each was closed."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page_is_well_formed_and_asks_nothing_of_any_host(page):
    tags = read(page).tags
    assert not [tag for tag, _ in tags if tag in ("link", "iframe", "base")]
    assert [attributes for tag, attributes in tags if tag == "script"] == [
        {"type": "module"}
    ]  # its own, with no address
    for tag, attributes in tags:
        for name in ("src", "href", "xlink:href", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
    styles = re.findall(r"url\(([^)]*)\)", page)
    assert all(target.startswith("#") for target in styles)
    policy = [a["content"] for tag, a in tags if tag == "meta" and "http-equiv" in a]
    assert policy == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    ]


def test_every_picture_says_what_it_is(page):
    pictures = [a for tag, a in read(page).tags if tag == "img"]
    assert pictures
    assert all(a.get("alt", "").strip() for a in pictures)


def test_every_rate_carries_n_and_its_interval(page, found):
    facts = re.findall(r"<dt>right.*?</dd>", page, re.S)
    assert len(facts) == 3
    cells = re.findall(r"<td>[\d.]+ % ?(?:<br>)?<small>.*?</td>", page, re.S)
    assert len(cells) >= len(found.curves) * len(found.radii)
    for part in facts + cells:
        assert re.search(r"[\d.]+ % to [\d.]+ %, n = \d+", part), part


def test_the_accuracies_are_one_line_for_each_radius_so_that_they_fit_a_page(page, found):
    table = re.findall(r"<table>.*?</table>", page, re.S)[0]
    assert len(re.findall(r'scope="col"', table)) == 1 + len(found.curves)
    assert len(re.findall(r'scope="row"', table)) == len(found.radii)


def test_the_region_reads_as_it_was_asked_for(found, tmp_path):
    audit = replace(found.audit, within=Linf(2 / 255), radii=(1 / 255,))
    changed = found._replace(audit=audit, radii=(0.0, 1 / 255, 2 / 255))
    curves = {run: rates[:3] for run, rates in found.curves.items()}
    write_report(changed._replace(curves=curves), tmp_path / "r.html", "")
    text = (tmp_path / "r.html").read_text()
    assert "Within Linf(2/255)" in text
    assert ">1/255</th>" in text


def test_no_change_is_larger_than_the_images_are_wide():
    assert Audit(within=Linf(0.3)).grid[-1] == 1
    assert Audit(within=L2(0.5)).grid[-1] == 2


def test_no_report_without_its_controls(found, tmp_path):
    curves = {run: rates for run, rates in found.curves.items() if run != "worst-random"}
    with pytest.raises(DataError, match="worst-random is missing"):
        write_report(found._replace(curves=curves), tmp_path / "r.html", "")
    with pytest.raises(DataError, match="sign"):
        write_report(found._replace(along={"gradient": found.along["gradient"]}), tmp_path / "r.html", "")
    case = found.cases[0]._replace(planes={"gradient": found.cases[0].planes["gradient"]})
    with pytest.raises(DataError, match="plane of random directions"):
        write_report(found._replace(cases=(case,)), tmp_path / "r.html", "")
    assert not (tmp_path / "r.html").exists()


def test_what_comes_from_data_is_text_never_markup(found, tmp_path):
    nasty = "<img src=x onerror=alert(1)>&\"'"
    case = found.cases[0]._replace(id=nasty)
    group = found.groups["site"][0]._replace(name=nasty)
    changed = found._replace(
        cases=(case,), classes=(nasty, "b"), unreadable={nasty: nasty}, groups={nasty: (group,)}
    )
    write_report(changed, tmp_path / "r.html", nasty)
    tags = read((tmp_path / "r.html").read_text()).tags
    assert not [a for _, a in tags if "onerror" in a or a.get("src") == "x"]


def test_an_all_zero_map_is_left_blank_and_says_so(found, tmp_path):
    case = found.cases[0]
    heat = {method: (torch.zeros_like(before), after) for method, (before, after) in case.heat.items()}
    write_report(found._replace(cases=(case._replace(heat=heat),)), tmp_path / "r.html", "")
    text = (tmp_path / "r.html").read_text()
    assert text.count("no positive evidence: the map is all zero") >= 2 * len(heat)


def test_what_only_floats_hold_is_said_to_be_float_only(found, tmp_path):
    case = found.cases[0]._replace(after=(1, 0.9), saved=(0, 0.6))
    write_report(found._replace(cases=(case,)), tmp_path / "r.html", "")
    assert "(float only: finding, 90.0 %)" in (tmp_path / "r.html").read_text()


def test_unlabelled_data_are_said_to_be_so(found, tmp_path):
    write_report(found._replace(labelled=False), tmp_path / "r.html", "")
    assert "The data have no labels" in (tmp_path / "r.html").read_text()


def test_groups_show_the_gap(found):
    assert set(found.groups) == {"class", "tube", "site"}
    for rows in found.groups.values():
        assert sum(row.clean.n for row in rows) == found.n
        assert [row.robust.value for row in rows] == sorted(row.robust.value for row in rows)


def test_masks_of_the_data_do_not_bound_the_attack(found):
    """They say where the finding is, not where an attacker may write."""
    outside = [
        case for case in found.cases if not open_data("unfool:lesions").batch([case.id], None).masks.any()
    ]
    assert all(float(case.change.abs().max()) > 0 for case in outside)


def test_the_same_audit_writes_the_same_page(found, page, tmp_path):
    write_report(found, tmp_path / "r.html", "unfool audit unfool:lesions")
    assert (tmp_path / "r.html").read_text() == page


def test_the_document_for_programs_is_json_without_nan(found):
    text = json.dumps(summary(found._replace(radius=torch.full((found.n,), torch.inf))), allow_nan=False)
    document = json.loads(text)
    assert document["n"] == found.n
    assert document["smallest_change"]["median"] is None
    for way, radii in found.along.items():
        told = document["first_flip_along"][way]
        assert told["n"] == int((radii > 0).sum())
        assert told["never_flipped"] == int(radii.isinf().sum())
    assert clean({"a": [float("nan"), (1.0,)]}) == {"a": [None, [1.0]]}


@pytest.mark.parametrize("net", ["mlp", "linear"])
def test_a_network_without_positions_is_audited_without_maps_of_them(net, tmp_path):
    address = f"unfool:digits8?net={net}"
    plan = replace(PLAN, model=address, data="unfool:digits8", limit=8)
    run_audit(plan, load(address), open_data("unfool:digits8"), tmp_path)
    audit = read_audit(tmp_path)
    assert [repr(method) for method in audit.audit.attributions] == ["Gradient()", "SmoothGrad()"]
    write_report(audit, tmp_path / "report.html", "")
