"""`embedcourse claims` measures what is named, writes CLAIMS.md, and ends with 1 where a claim does not hold."""

import pytest

from embedcourse import course
from embedcourse.claims import report, stored
from tests.claims.conftest import HEIGHTS, tiny, write_module  # noqa: F401  a fixture


@pytest.fixture
def folder(tiny):  # noqa: F811
    return tiny


def test_named_chapters_are_measured_and_all_that_is_stored_is_written(command, folder):
    ended = command("claims", "heights")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "heights: 2 of 2 claims hold",
        "  holds  height: 2.00 ± 1.00 (1.00 to 3.00), claimed ≥ 1.5",
        "  holds  width: 0.150 ± 0.000 (0.150 to 0.150), claimed 0.1 to 0.2",
    ]
    assert ended.err.splitlines()[0] == "embedcourse: heights: seed 0 (1 of 3)"
    command("claims", "12", "--seeds", "2")
    assert stored("weights") == {"weight": [5.0, 10.0]}
    page = (folder / "CLAIMS.md").read_text(encoding="utf-8")
    assert page == report.page()
    assert "2.00 ± 1.00" in page
    assert "7.50 ± 3.54" in page


def test_without_a_name_all_are_measured(command, folder):
    assert command("claims", "--seeds", "2").code == 0
    assert len(stored("heights")["height"]) == len(stored("weights")["weight"]) == 2


def test_a_claim_that_does_not_hold_is_exit_code_1(command, folder):
    ended = command("claims", "heights", "--seeds", "1")
    assert ended.code == 1
    assert "  FAILS  height: 1.000 (1.000 to 1.000), claimed ≥ 1.5" in ended.out
    assert "| 1.000 | 1.000 to 1.000 | ≥ 1.5 | **no** |" in (folder / "CLAIMS.md").read_text(encoding="utf-8")


def test_stored_measures_nothing(command, folder):
    command("claims", "heights")
    write_module(folder, "ch01_heights", HEIGHTS.replace("return", "raise RuntimeError  #").replace("1.5", "2.5"))
    ended = command("claims", "heights", "--stored")
    assert (ended.code, ended.err) == (1, "")
    assert "  FAILS  height: 2.00 ± 1.00 (1.00 to 3.00), claimed ≥ 2.5" in ended.out


def test_what_was_never_measured_does_not_hold(command, folder):
    ended = command("claims", "--stored")
    assert ended.code == 1
    assert "  FAILS  weight: not measured, claimed ≤ 10" in ended.out


def test_json_is_one_document(command, folder):
    (told,) = command("claims", "heights", "--json").json
    assert (told["chapter"], told["seeds"], told["hold"]) == ("heights", [0, 1, 2], True)
    assert [(row["key"], row["mean"], row["holds"]) for row in told["claims"]] == [
        ("height", 2.0, True),
        ("width", 0.15, True),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["knitting"], "is no chapter with claims; the chapters are: 1 heights, 12 weights"),
        (["heights", "knitting"], "is no chapter with claims"),
        (["--seeds", "0"], "--seeds"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_measured(command, folder, words, said):
    ended = command("claims", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert not (folder / "CLAIMS.md").exists()


def test_a_package_without_the_courses_folder_is_one_line(command, folder, monkeypatch):
    def nowhere():
        raise FileNotFoundError("embedcourse was installed without its notebooks")

    monkeypatch.setattr(course, "root", nowhere)
    ended = command("claims")
    assert (ended.code, ended.err) == (2, "embedcourse: embedcourse was installed without its notebooks\n")
