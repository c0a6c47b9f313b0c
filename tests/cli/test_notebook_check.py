"""`embedcourse check`: any notebook, what passed and which idea is wrong, exit codes, JSON."""

import json

import nbformat
import pytest

from embedcourse import checks, course, progress
from embedcourse.checks.registry import modules
from embedcourse.cli import notebook_check
from embedcourse.cli.notebook_check import Result, tasks_of

from .conftest import write_notebook

CHAPTER = next(iter(modules()))
RIGHT, WRONG, *_ = [task for task in checks.all_tasks() if task.at_size is None]
IMPORTS = "from embedcourse.checks import check, find_task"


def answer(task, which: str) -> str:
    """A cell that answers a task and checks the answer."""
    body = f'return find_task("{task.id}").{which}(*arguments)'
    return f'def {task.function}(*arguments):\n    {body}\n\n\ncheck("{task.id}", {task.function})'


@pytest.fixture
def good(small_course):
    """A notebook in which the only task passes."""
    return write_notebook(small_course / "exercises" / "good.ipynb", IMPORTS, answer(RIGHT, "oracle"))


@pytest.fixture
def poor(small_course):
    """A notebook in which one of two tasks passes."""
    cells = (IMPORTS, answer(RIGHT, "oracle"), answer(WRONG, "misconceptions[0].wrong"))
    return write_notebook(small_course / "exercises" / "poor.ipynb", *cells)


def test_it_says_what_passed_and_which_idea_is_wrong(command, good, poor):
    before = poor.read_bytes()
    ended = command("check", good, poor)
    assert (ended.code, ended.err) == (1, "")
    assert f"{RIGHT.id} " in ended.out
    assert " ".join(WRONG.misconceptions[0].says.split()) in " ".join(ended.out.split())
    assert f"{RIGHT.points} of {RIGHT.points + WRONG.points} points." in ended.out
    assert poor.read_bytes() == before


def test_passed_tasks_are_progress_but_not_those_of_the_solutions(command, good, small_course):
    answers = small_course / "solutions" / "good.ipynb"
    answers.write_bytes(good.read_bytes())
    assert command("check", answers).code == 0
    assert progress.passed() == {}
    assert command("check", good).code == 0
    assert list(progress.passed()) == [RIGHT.id]


def test_progress_that_cannot_be_saved_is_told_and_changes_no_verdict(command, good, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EMBEDCOURSE_HOME", str(tmp_path / "file"))
    ended = command("check", good)
    assert ended.code == 0
    assert "progress was not saved" in ended.err


def test_json_is_one_document_and_what_cannot_be_read_does_not_stop_the_rest(command, poor, small_course):
    (small_course / "broken.ipynb").write_text('{"cells": [')
    ended = command("check", "--json", "missing.ipynb", "broken.ipynb", poor)
    missing, broken, judged = ended.json
    assert ended.code == 2
    assert (missing["notebook"], missing["passed"], missing["tasks"]) == ("missing.ipynb", False, [])
    assert "no such notebook" in missing["error"]
    assert "JSON is broken" in broken["error"]
    assert (judged["error"], judged["passed"]) == (None, False)
    assert (judged["points"], judged["max_points"]) == (RIGHT.points, RIGHT.points + WRONG.points)
    assert [task["passed"] for task in judged["tasks"]] == [True, False]
    assert ended.err.count("\n") == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"[]", b'"text"', b"{}", b'{"nbformat": 4}', b'{"nbformat": "x", "cells": 3}', b"\xff\xfe",
     b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "unknown"}]}',
     b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}'],
)  # fmt: skip
def test_what_is_no_notebook_is_one_line(command, small_course, content):
    (small_course / "odd.ipynb").write_bytes(content)
    ended = command("check", "odd.ipynb")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("embedcourse: odd.ipynb: this is no ")
    assert ended.err.count("\n") == 1


def test_a_notebook_without_tasks_and_a_chapter_are_told(command, small_course):
    write_notebook(small_course / "plain.ipynb", "1 + 1")
    assert "no task found" in command("check", "plain.ipynb").err
    chapter = write_notebook(small_course / "chapters" / "x.ipynb", "1 + 1", chapter=CHAPTER)
    ended = command("check", chapter)
    assert ended.code == 2
    assert "check its exercise, exercises/x.ipynb" in ended.err


def test_a_misspelt_task_is_told_beside_the_others(command, small_course):
    write_notebook(small_course / "a.ipynb", IMPORTS, answer(RIGHT, "oracle"), f'check("{RIGHT.id}x", print)')
    ended = command("check", "a.ipynb", "--json")
    passed, unknown = ended.json[0]["tasks"]
    assert ended.code == 1
    assert (passed["passed"], unknown["passed"], unknown["points"]) == (True, False, 0)
    assert f"did you mean {RIGHT.id}" in unknown["message"]


def test_the_tasks_are_those_of_the_chapter_and_those_that_are_checked(small_course):
    path = write_notebook(small_course / "a.ipynb", 'check("x.y", f)', 'check("x.y", f)', chapter=CHAPTER)
    of_chapter = [task.id for task in checks.chapter_tasks(CHAPTER)]
    assert tasks_of(notebook_check.read_notebook(path), path) == [*of_chapter, "x.y"]


def test_an_unknown_chapter_in_the_metadata_is_told(command, small_course):
    write_notebook(small_course / "a.ipynb", "1", chapter="no_such")
    ended = command("check", "a.ipynb")
    assert ended.code == 2
    assert "'no_such' has no tasks" in ended.err


def test_notebooks_of_the_third_format_and_without_ids_are_read(small_course, recwarn):
    old = nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell("1 + 1")])])
    (small_course / "old.ipynb").write_text(json.dumps(old))
    assert notebook_check.read_notebook(small_course / "old.ipynb").cells[0].source == "1 + 1"
    bare = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    bare["cells"] = [{"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": None}]
    (small_course / "bare.ipynb").write_text(json.dumps(bare))
    assert notebook_check.read_notebook(small_course / "bare.ipynb").cells[0].source == "1"
    assert list(recwarn) == []


def test_folders_chapters_and_paths_stand_for_notebooks(small_course, command, stems):
    command("start")
    exercises = [small_course / "my_work" / "exercises" / f"{stem}.ipynb" for stem in stems]
    command("reset", "--yes", stems[0])
    exercises[0].with_name(f"{stems[0]}.kept-2026-01-01-000000.ipynb").write_text("{}")
    assert notebook_check.notebooks_in([str(small_course / "my_work")]) == exercises
    assert notebook_check.notebooks_in([stems[0], stems[0]]) == exercises[:1]
    assert [str(path) for path in notebook_check.notebooks_in(["nothing"])] == ["nothing"]


def test_an_empty_folder_is_told(command, small_course):
    (small_course / "empty").mkdir()
    ended = command("check", "empty")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


def result(*passed: bool, error: str | None = None) -> Result:
    return Result("a.ipynb", [{"task": "a.b", "points": 2, "passed": p} for p in passed], error)


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([result(True)], 0),
        ([result(True), result(True, True)], 0),
        ([result(True), result(True, False)], 1),
        ([result(False), result(error="unreadable"), result(True)], 2),
        ([], 2),
    ],
)
def test_exit_codes(results, code):
    assert notebook_check.exit_code(results) == code


@pytest.mark.parametrize("chapter", course.chapters(), ids=lambda chapter: chapter.name)
def test_the_exercise_of_a_chapter_fails_and_says_not_written_yet(command, root, chapter):
    ended = command("check", "--json", root / "exercises" / f"{chapter.stem}.ipynb")
    (judged,) = ended.json
    assert ended.code == 1
    assert [task["task"] for task in judged["tasks"]] == [task.id for task in checks.chapter_tasks(chapter.name)]
    assert {task["kind"] for task in judged["tasks"]} == {"unwritten"}
    assert judged["points"] == 0
