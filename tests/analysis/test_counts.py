"""Printed tables of errors by group: the Gender Shades table gives the slide's bars, with intervals.

Buolamwini and Gebru (2018): 1,270 faces; margins of the table are the paper's own (IBM: 20.3 % of women, 5.6 % of men).
"""

import json
from pathlib import Path

import pytest

from unfool.analysis.counts import systems
from unfool.cli.main import run
from unfool.data.counts import read_counts

TABLE = Path(__file__).parents[2] / "examples" / "gender_shades.csv"
SLIDE = {
    "IBM": (0.3, 7.1, 12.0, 34.7),
    "Face++": (0.8, 6.0, 0.7, 34.5),
    "Microsoft": (0.0, 1.7, 6.0, 20.8),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_bars_are_the_slides():
    found = systems(read_counts(TABLE))
    assert [one.name for one in found] == list(SLIDE)
    for one in found:
        crossed = one.splits[-1]
        assert [round(100 * g.error.value, 1) for g in crossed.groups] == list(SLIDE[one.name])
        assert [g.name for g in crossed.groups][0::3] == ["lighter, male", "darker, female"]
        assert all(g.error.low <= g.error.value <= g.error.high for g in crossed.groups)
        assert one.error.n == 1270
        assert crossed.groups[3].holm < 0.001
        assert crossed.gap is not None
        assert crossed.gap.gap.low > 2 * crossed.gap.chance[1]
    sex = next(split for split in found[0].splits if split.name == "sex")
    assert {g.name: round(100 * g.error.value, 1) for g in sex.groups} == {"male": 5.6, "female": 20.3}


def test_a_table_with_groups_across_and_one_of_counts_give_the_same():
    Path("wide.csv").write_text("maker,light,dark\nn,200,100\nA,1.5,20\n")
    Path("long.csv").write_text("system,skin,n,wrong\nA,light,200,3\nA,dark,100,20\n")
    Path("right.csv").write_text("\ufeffModel , Skin,N,Right\nA,light,200,197\nA,dark,100,80\n\n")
    kept = [
        [g.error for g in systems(read_counts(Path(name)))[0].splits[0].groups]
        for name in ("wide.csv", "long.csv", "right.csv")
    ]
    assert kept[0] == kept[1] == kept[2]
    assert read_counts(Path("wide.csv")).rounded
    assert not read_counts(Path("long.csv")).rounded


def test_groups_that_do_not_differ_are_not_called_different():
    Path("even.csv").write_text("skin,n,wrong\nlight,200,21\ndark,180,18\nfew,20,9\n")
    (one,) = systems(read_counts(Path("even.csv")))
    light, dark, few = one.splits[0].groups
    assert min(light.holm, dark.holm) > 0.05
    assert few.few
    assert few.holm == 1
    gap = one.splits[0].gap
    assert gap is not None
    assert gap.gap.low < 0 < gap.gap.high
    assert {gap.worst, gap.best} == {"light", "dark"}


@pytest.mark.slow
def test_the_page_and_its_numbers(capsys):
    assert run(["inspect", "groups", str(TABLE), "--out", "a", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "34.7 %" in told["sentence"]
    assert told["systems"][0]["splits"][2]["largest_gap"]["worst"] == "darker, female"
    bars = Path("a/bars.svg").read_text()
    assert all(f">{value:.1f}<" in bars for values in SLIDE.values() for value in values)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("skin,wrong\nlight,1\ndark,2\n", "no column is called 'n'", "there is"),
        ("skin,n\nlight,10\ndark,20\n", "no column wrong, right or error", "error in per cent"),
        ("n,wrong\n10,1\n20,1\n", "no column of groups", "skin"),
        ("skin,n,wrong\nlight,10,11\ndark,20,1\n", "wrong of light is 11, of 10 images", "percentages"),
        ("skin,n,wrong\nlight,10,1.5\ndark,20,1\n", "wrong of light is 1.5", "percentages"),
        ("skin,n,error\nlight,10,120\ndark,20,1\n", "error of light is 120", ""),
        ("skin,n,wrong\nlight,ten,1\ndark,20,1\n", "n of light is 'ten'", ""),
        ("skin,n,wrong\nlight,0,0\ndark,20,1\n", "n of light is 0", ""),
        ("skin,n,wrong\nlight,10,1\nlight,20,1\n", "light twice", "one row each"),
        ("skin,n,wrong\nlight,10,1\n", "one group", "nothing to compare"),
        ("skin,n,wrong\nlight,10\n", "no table", ""),
        ("maker,light,dark\nn,200,100\n", "no row below n", "in per cent"),
        (None, "cannot read the table", "columns such as"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_table_that_is_none_is_one_sentence(capsys, text, said, hint):
    if text is not None:
        Path("t.csv").write_text(text)
    assert run(["inspect", "groups", "t.csv"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert hint in err
    assert "Traceback" not in err
