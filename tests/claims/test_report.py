"""Claims are judged by their means, and the tables show what was measured and nothing else."""

import math

import numpy as np
import pytest

from embedcourse import course
from embedcourse.claims import Claim, claims_table, report
from embedcourse.claims.report import Judged
from embedcourse.claims.runner import run
from tests.claims.conftest import HEIGHTS, write_module

CLAIM = Claim("a", at_least=0.5)


def test_mean_and_standard_deviation_are_those_of_numpy():
    values = (0.1, 0.7, 0.4, 0.9)
    judged = Judged(CLAIM, values)
    assert math.isclose(judged.mean, np.mean(values))
    assert math.isclose(judged.std, np.std(values, ddof=1))


@pytest.mark.parametrize(
    ("values", "measured", "spread"),
    [
        ((0.9, 0.8, 1.0), "0.900 ± 0.100", "0.800 to 1.000"),
        ((0.05, 0.04), "0.0450 ± 0.0071", "0.0400 to 0.0500"),
        ((14.25, 15.25), "14.8 ± 0.7", "14.2 to 15.2"),
        ((2.0, 4.0), "3.00 ± 1.41", "2.00 to 4.00"),
        ((1234.0, 2000.0), "1617 ± 542", "1234 to 2000"),
        ((0.0, 0.0), "0.000 ± 0.000", "0.000 to 0.000"),
        ((-0.5, -0.25), "-0.375 ± 0.177", "-0.500 to -0.250"),
        ((0.5,), "0.500", "0.500 to 0.500"),
        ((), "not measured", ""),
    ],
)
def test_numbers_have_three_digits_of_the_largest(values, measured, spread):
    judged = Judged(CLAIM, values)
    assert (judged.measured, judged.spread) == (measured, spread)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.6, 0.7), "yes"),
        ((0.4, 0.7), "yes, 1 of 2 seeds"),
        ((0.1, 0.7), "**no**, 1 of 2 seeds"),
        ((0.1, 0.2), "**no**"),
        ((), "**no**"),
    ],
)
def test_the_mean_decides_and_seeds_outside_are_counted(values, verdict):
    judged = Judged(CLAIM, values)
    assert judged.verdict == verdict
    assert judged.holds == verdict.startswith("yes")


def test_the_table_of_a_chapter(measured):
    table = claims_table("heights")
    assert table.hold
    assert repr(table) == table._repr_markdown_()
    lines = repr(table).splitlines()
    assert lines[:2] == [
        "| claim | measured | smallest to largest | claimed | holds | the paper |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    assert lines[2] == "| height | 2.00 ± 1.00 | 1.00 to 3.00 | ≥ 1.5 | yes, 2 of 3 seeds | 2.5 (table 1) |"
    assert lines[3].startswith("| width | 0.150 ± 0.000 | 0.150 to 0.150 | 0.1 to 0.2 | yes |")
    assert lines[5].startswith("Mean ± standard deviation of 3 seeds, ")
    assert lines[7] == "What differs from the paper: smaller."


def test_what_differs_is_a_column_where_it_differs(measured):
    write_module(
        measured, "ch01_heights", HEIGHTS.replace('at_most=0.2, differs="smaller"', 'at_most=0.2, differs="wider"')
    )
    lines = repr(claims_table("heights")).splitlines()
    assert lines[0].endswith("| the paper | what differs |")
    assert lines[3].endswith("|  | wider |")
    assert len(lines) == 6


def test_a_claim_that_was_added_since_is_not_measured(measured):
    write_module(measured, "ch01_heights", HEIGHTS.replace('Claim("width"', 'Claim("depth"'))
    table = claims_table("heights")
    assert not table.hold
    assert "| depth | not measured |  | 0.1 to 0.2 | **no** |" in repr(table)


def test_plain_data_has_no_nan(measured):
    run(course.Chapter(12, "weights"), 1, tell=lambda line: None)
    (row,) = claims_table("weights").as_dict()["claims"]
    assert row == {
        "key": "weight",
        "at_least": None,
        "at_most": 10.0,
        "paper": "",
        "differs": "",
        "mean": 5.0,
        "std": None,
        "values": [5.0],
        "holds": True,
    }


def test_the_page_shows_every_chapter_measured_or_not(measured):
    text = report.page()
    assert "## 1 · [How high](chapters/01_heights.ipynb)\n" in text
    assert "## 12 · weights\n" in text
    assert repr(claims_table("heights")) in text
    assert "Not measured yet: run `embedcourse claims weights`." in text


def test_the_page_is_written_at_the_top_of_the_course(measured):
    report.write_page()
    assert (measured / "CLAIMS.md").read_text(encoding="utf-8") == report.page()


def test_a_package_without_the_courses_folder_has_no_page(tiny, monkeypatch):
    def nowhere():
        raise FileNotFoundError("embedcourse was installed without its notebooks")

    monkeypatch.setattr(course, "root", nowhere)
    with pytest.raises(FileNotFoundError, match="installed without its notebooks"):
        report.page()
