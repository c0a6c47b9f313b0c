"""The tables of a class, and the journal from which grading goes on."""

import csv
import io
import json

import pytest

from embedcourse.checks import chapter_tasks
from embedcourse.checks.judge import Verdict
from embedcourse.grading import gradebook
from embedcourse.grading.gradebook import (
    Graded,
    Journal,
    Settings,
    checks_version,
    grades_csv,
    in_order,
    lms_csv,
    steady,
)
from embedcourse.grading.submissions import Submission

from .handed_in import CHAPTER, HOSTILE, TASKS

SETTINGS = Settings(seed=1, timeout=60.0, memory=2**31)


def verdict(kind: str = "passed", message: str = "Words.", place: int = 0, idea: str | None = None) -> Verdict:
    return Verdict(TASKS[place].id, TASKS[place].points, kind, message, idea)


def graded(learner: str, *kinds: str, chapter: str = CHAPTER) -> Graded:
    tasks = chapter_tasks(chapter)
    kinds = kinds or ("passed",) * len(tasks)
    verdicts = (Verdict(t.id, t.points, kind, "Words.") for t, kind in zip(tasks, kinds, strict=False))
    return Graded(learner, f"{learner}.ipynb", chapter, tuple(verdicts))


def problem(learner: str, chapter: str | None = None) -> Graded:
    return Graded(learner, "x.ipynb", chapter, (), "It is empty.")


def rows(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode())))


# -------------------------------------------------------------------------------------------------- the tables


def test_grades_are_a_row_a_task_with_points_of_those_that_passed():
    found = rows(grades_csv([graded("alice", "passed", "value")]))
    assert found == [
        {"learner": "alice", "task": "hamming.count", "points": "2", "max": "2", "status": "passed"},
        {"learner": "alice", "task": "hamming.binarize", "points": "0", "max": "2", "status": "value"},
    ]


def test_the_status_names_the_wrong_idea():
    record = Graded("alice", "a.ipynb", CHAPTER, (verdict("value", idea="fraction"),))
    assert rows(grades_csv([record]))[0]["status"] == "value: fraction"


def test_what_was_not_graded_has_rows_too_and_no_points():
    found = rows(grades_csv([problem("bob"), problem("carol", CHAPTER)]))
    assert [(r["learner"], r["task"], r["points"], r["max"]) for r in found] == [
        ("bob", "", "0", "0"),
        *(("carol", task.id, "0", str(task.points)) for task in TASKS),
    ]
    assert {r["status"] for r in found} == {"not graded: It is empty."}


def test_the_tables_do_not_depend_on_the_order_in_which_the_records_come():
    records = [graded("bob"), problem("bob"), graded("alice", chapter="manhattan"), graded("alice"), problem("Zoe")]
    assert [(g.learner, g.chapter) for g in in_order(records)] == [
        ("alice", "hamming"), ("alice", "manhattan"), ("bob", "hamming"), ("bob", None), ("Zoe", None)
    ]  # fmt: skip
    for table in (grades_csv, lms_csv):
        assert table(records) == table(records[::-1])


def test_canvas_recognises_the_header_and_the_columns_that_are_no_assignment():
    header = lms_csv([graded("alice"), graded("alice", chapter="manhattan")]).decode().splitlines()[0].split(",")
    # What lib/gradebook_importer.rb of Canvas asks of the first row.
    assert "Student" in header[0]
    assert "ID" in header[1]
    assert header[2:5] == ["SIS User ID", "SIS Login ID", "Section"]
    assert [name for name in header[5:] if "Final Points" not in name] == ["02_hamming", "03_manhattan"]


def test_a_learner_has_one_row_with_points_a_chapter_and_nothing_where_nothing_was_graded():
    records = [graded("alice", "passed"), graded("alice", "passed", chapter="manhattan"), problem("bob", CHAPTER)]
    alice, bob = rows(lms_csv(records))
    assert (alice["Student"], alice["SIS Login ID"]) == ("alice", "alice")
    assert (alice["02_hamming"], alice["03_manhattan"], alice[gradebook.TOTAL]) == ("2", "2", "4")
    assert (bob["02_hamming"], bob["03_manhattan"], bob[gradebook.TOTAL]) == ("", "", "")


def test_a_grade_of_nothing_is_a_zero_and_not_an_empty_cell():
    assert rows(lms_csv([graded("alice", *["unwritten"] * len(TASKS))]))[0]["02_hamming"] == "0"


@pytest.mark.parametrize("table", [grades_csv, lms_csv])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_cell_is_a_formula_and_every_row_has_all_cells(table, name):
    records = [graded(name), Graded("bob", "b.ipynb", None, (), name), graded("carol")]
    first, *others = list(csv.reader(io.StringIO(table(records).decode())))
    assert others
    for row in others:
        assert len(row) == len(first)
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "|", "%")) for cell in row)
        assert not any("\n" in cell for cell in row)


@pytest.mark.parametrize(
    "cell", ["=1", "+1", "-1", "@x", " =1", "\t=1", "\r=1", "\n@x", "＝1", "-2+3+cmd|' /C calc'!A0"]
)
def test_what_looks_like_a_formula_gets_an_apostrophe(cell):
    assert gradebook.no_formula(cell) == f"'{cell.strip()}"


def test_nobody_can_be_called_like_the_row_with_the_maximum():
    assert "points possible" not in lms_csv([graded("  Points Possible")]).decode().lower()


# ------------------------------------------------------------------------------------------------- the messages


def test_a_message_is_the_same_whenever_it_is_measured():
    message = "Right, but too slow: f(1) took {} s; 1 s is plenty.\nyours raised E: <f at {}>"
    assert steady(verdict("slow", message.format("3.1", "0x7f00aa11bb22"))) == steady(
        verdict("slow", message.format("12.9", "0x7f99cc33dd44"))
    )


def test_a_message_is_no_wall_and_steers_nothing():
    said = steady(verdict("raised", "Lead.\n" + "\x1b[2J\x1b[31mred\x1b[0m\x00\u202e wall\r\n" * 500)).message
    lines = said.split("\n")
    assert lines[0] == "Lead."
    assert lines[1] == "red\ufffd\ufffd wall"
    assert len(lines) == gradebook.MOST_LINES
    assert said.endswith(" …")


def test_a_message_of_one_endless_line_is_cut():
    assert len(steady(verdict("raised", "x" * 10_000_000)).message) <= gradebook.MOST_CHARACTERS


def test_what_was_made_steady_stays_as_it_is():
    for message in ("a\nb", "x" * 5000, "l\n" * 50, "\x1b[31m" * 9, "took 3.1 s; ", "e\u0301" + "\u0301" * 9):
        once = steady(verdict("raised", message))
        assert steady(once) == once


def test_a_record_knows_its_points():
    record = Graded.judged(
        Submission("alice", gradebook.Path("a/b.ipynb"), None, CHAPTER), [verdict(), verdict("value")]
    )
    assert (record.file, record.points, record.max_points) == ("b.ipynb", 2, sum(t.points for t in TASKS))
    assert problem("bob").max_points == 0


# -------------------------------------------------------------------------------------------------- the journal


@pytest.fixture
def file(tmp_path):
    return tmp_path / "journal.jsonl"


def test_a_journal_gives_back_what_was_kept_and_nothing_of_other_notebooks(file):
    kept = [verdict("value", "Words.\n<b>", idea="fraction"), verdict(place=1)]
    Journal.start(file, SETTINGS, resume=False).add(b"notebook", kept)
    again = Journal.start(file, SETTINGS, resume=True)
    assert again.find(b"notebook") == kept
    assert again.find(b"notebook ") is None


@pytest.mark.parametrize("other", [{"seed": 2}, {"timeout": 61.0}, {"memory": 2**30}, {"sandbox": False}])
def test_other_settings_are_other_verdicts(file, other):
    Journal.start(file, SETTINGS, resume=False).add(b"notebook", [verdict()])
    settings = Settings(**{"seed": 1, "timeout": 60.0, "memory": 2**31} | other)
    assert Journal.start(file, settings, resume=True).find(b"notebook") is None


def test_other_checks_are_other_verdicts(file, monkeypatch):
    Journal.start(file, SETTINGS, resume=False).add(b"notebook", [verdict()])
    monkeypatch.setattr(gradebook, "checks_version", lambda: "another")
    assert Journal.start(file, SETTINGS, resume=True).find(b"notebook") is None


def test_the_version_of_the_checks_is_one_of_their_bytes(tmp_path, monkeypatch):
    assert len(checks_version()) == 64
    versions = set()
    for text in ("a", "b", "b"):
        (tmp_path / "module.py").write_text(text)
        monkeypatch.setattr(gradebook.embedcourse, "__file__", str(tmp_path / "__init__.py"))
        versions.add(checks_version.__wrapped__())
    assert len(versions) == 2


def test_without_resume_a_journal_begins_anew(file):
    Journal.start(file, SETTINGS, resume=False).add(b"notebook", [verdict()])
    Journal.start(file, SETTINGS, resume=False)
    assert Journal.start(file, SETTINGS, resume=True).find(b"notebook") is None


def test_what_this_run_has_graded_is_graded_again_for_the_next_learner(file):
    journal = Journal.start(file, SETTINGS, resume=False)
    journal.add(b"notebook", [verdict()])
    assert journal.find(b"notebook") is None


@pytest.mark.parametrize("cut", [1, 10, 50])
def test_a_line_that_was_cut_off_is_passed_over_and_the_next_one_is_whole(file, cut):
    journal = Journal.start(file, SETTINGS, resume=False)
    journal.add(b"first", [verdict()])
    journal.add(b"second", [verdict()])
    file.write_bytes(file.read_bytes()[:-cut])
    again = Journal.start(file, SETTINGS, resume=True)
    again.add(b"third", [verdict()])
    last = Journal.start(file, SETTINGS, resume=True)
    assert [last.find(name) is not None for name in (b"first", b"third")] == [True, True]
    assert (last.find(b"second") is None) == (cut > 1)  # without the line's end alone, nothing is lost


@pytest.mark.parametrize(
    "line", [b"[]", b"{}", b'{"key": "a"}', b'{"key": "a", "verdicts": [{"x": 1}]}', b"\xff", b"null"]
)
def test_lines_that_are_none_are_passed_over(file, line):
    file.write_bytes(line + b"\n")
    assert Journal.start(file, SETTINGS, resume=True).kept == {}


def test_the_seed_stands_in_the_journal(file):
    assert Journal.seed_in(file) is None
    Journal.start(file, SETTINGS, resume=False)
    assert Journal.seed_in(file) == 1
    file.write_bytes(b"damaged")
    assert Journal.seed_in(file) is None


def test_a_tidy_journal_tells_nothing_of_the_order(file, tmp_path):
    names = [b"a", b"b", b"c"]
    written = []
    for order in (names, names[::-1]):
        journal = Journal.start(file, SETTINGS, resume=False)
        for name in order:
            journal.add(name, [verdict(message=name.decode())])
        journal.tidy(SETTINGS.key(name) for name in (*order, b"a"))
        written.append(file.read_bytes())
    assert written[0] == written[1]
    first, *lines = written[0].splitlines()
    assert json.loads(first) == {"seed": 1}
    assert len(lines) == 3
