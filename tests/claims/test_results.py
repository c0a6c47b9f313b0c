"""What is stored comes back, and what cannot be right is refused."""

import json
import math

import pytest

from embedcourse import course
from embedcourse.claims import stored
from embedcourse.claims.results import Results, file_of, results_of

HEIGHTS = course.Chapter(1, "heights")


def new(**other) -> Results:
    return Results(**({"machine": {"torch": "2"}, "seeds": [0, 1, 2], "code": "abc"} | other))


def test_stored_gives_one_number_a_seed_for_every_name(measured):
    assert stored("heights") == {"height": [1.0, 2.0, 3.0], "width": [0.15] * 3, "extra": [7.0] * 3}
    assert stored("1") == stored("heights")


def test_the_file_has_machine_seeds_and_a_row_a_seed(measured):
    kept = json.loads((measured / "benchmarks" / "results" / "claims" / "heights.json").read_text())
    assert kept["seeds"] == [0, 1, 2]
    assert [row["height"] for row in kept["rows"]] == [1.0, 2.0, 3.0]
    assert {"processor", "cpu_cores", "torch"} <= kept["machine"].keys()


def test_what_is_written_is_read_again(tmp_path):
    results = new(rows=[{"a": 0.1}], seconds=[2.0], date="2026-01-02")
    results.write(tmp_path / "a.json")
    assert Results.read(tmp_path / "a.json") == results
    assert results.open_seeds == [1, 2]


def test_nothing_stored_says_how_to_measure(tiny):
    with pytest.raises(FileNotFoundError, match=r"claims of heights; run `embedcourse claims heights`$"):
        stored("heights")


def test_a_chapter_without_claims_is_refused(tiny):
    with pytest.raises(ValueError, match="'knitting' is no chapter with claims"):
        stored("knitting")


def test_a_package_without_the_courses_folder_says_so(monkeypatch):
    def nowhere():
        raise FileNotFoundError("embedcourse was installed without its notebooks")

    monkeypatch.setattr(course, "root", nowhere)
    with pytest.raises(FileNotFoundError, match="installed without its notebooks"):
        results_of(HEIGHTS)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"machine": {}, "seeds": [0], "code": "", "rows": [], "other": 1}', "null", "{"]
)
def test_a_damaged_file_is_named(tiny, text):
    course.write_whole(file_of(HEIGHTS), text.encode())
    with pytest.raises(ValueError, match=r"heights\.json is damaged"):
        stored("heights")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused_by_name(number):
    with pytest.raises(ValueError, match=r"seed 0: expected finite numbers, got (nan|inf) for 'a'"):
        new().add({"a": number}, 1.0)


def test_rows_have_the_same_names():
    results = new()
    results.add({"a": 1.0}, 1.0)
    with pytest.raises(ValueError, match=r"seed 1 has \['b'\], seed 0 has \['a'\]"):
        results.add({"b": 1.0}, 1.0)


def test_rows_times_and_seeds_fit():
    with pytest.raises(ValueError, match="2 rows, 2 times and 1 seeds do not fit"):
        new(seeds=[0], rows=[{"a": 1.0}] * 2, seconds=[1.0] * 2)
    with pytest.raises(ValueError, match="1 rows, 0 times and 3 seeds do not fit"):
        new(rows=[{"a": 1.0}])


def test_runs_are_the_same_where_seeds_code_and_machine_are():
    assert new().is_same_run(new(rows=[{"a": 1.0}], seconds=[1.0]))
    for other in ({"seeds": [0]}, {"code": "x"}, {"machine": {"torch": "3"}}):
        assert not new().is_same_run(new(**other))
