"""`embedcourse progress`: what is passed, in points, and what comes next."""

import pytest

from embedcourse import checks, progress
from embedcourse.checks.registry import modules

TASKS = [checks.chapter_tasks(name) for name in list(modules())[:2]]
ALL = [task for tasks in TASKS for task in tasks]


def test_at_first_everything_is_to_be_done(command, small_course, stems):
    now = command("progress", "--json").json
    assert (now["passed"], now["tasks"], now["points"]) == (0, len(ALL), 0)
    assert now["max_points"] == sum(task.points for task in ALL)
    assert now["next"] == {"notebook": f"my_work/exercises/{stems[0]}.ipynb", "task": ALL[0].id}
    assert [chapter["name"] for chapter in now["chapters"]] == [stem[3:] for stem in stems]


def test_a_passed_task_counts_where_it_belongs(command, small_course):
    progress.record(ALL[1].id, ALL[1].points)
    now = command("progress", "--json").json
    assert (now["passed"], now["points"]) == (1, ALL[1].points)
    told = {task["id"]: task for chapter in now["chapters"] for task in chapter["tasks"]}
    assert [name for name, task in told.items() if task["passed"]] == [ALL[1].id]
    assert told[ALL[1].id]["passed_at"] == progress.passed()[ALL[1].id].at
    assert told[ALL[0].id]["passed_at"] is None
    assert now["next"]["task"] == ALL[0].id


def test_the_table_shows_tasks_points_and_the_next_step(command, small_course):
    progress.record(ALL[0].id, ALL[0].points)
    ended = command("progress")
    assert ended.code == 0
    assert f"1/{len(TASKS[0])}" in ended.out
    assert f"1 of {len(ALL)} tasks, {ALL[0].points} of {sum(task.points for task in ALL)} points." in ended.out
    assert f"solve {ALL[1].id}, {ALL[1].title} ({ALL[1].minutes} minutes)." in ended.out
    assert "run `embedcourse start` first" in ended.out
    command("start")
    assert "run `embedcourse start` first" not in command("progress").out


def test_when_all_is_passed_nothing_comes_next(command, small_course):
    for task in ALL:
        progress.record(task.id, task.points)
    now = command("progress", "--json").json
    assert (now["passed"], now["points"], now["next"]) == (now["tasks"], now["max_points"], None)
    assert "All tasks are passed." in command("progress").out


def test_a_task_of_another_version_of_the_course_does_not_count(command, small_course):
    progress.record("gone.task", 5)
    assert command("progress", "--json").json["points"] == 0


def test_a_chapter_without_tasks_is_shown_without_them(command, small_course):
    (small_course / "chapters" / "99_outlook.ipynb").write_text("{}")
    ended = command("progress")
    assert "99 Outlook" in ended.out
    assert "0/0" in ended.out


def test_a_damaged_record_is_told_and_the_rest_is_shown(command, small_course):
    progress.record(ALL[0].id, ALL[0].points)
    (progress.folder() / "other.task.json").write_text("{")
    ended = command("progress", "--json")
    assert ended.json["passed"] == 1
    assert "other.task.json is damaged" in ended.err


@pytest.mark.parametrize("width", ["40", "200"])
def test_any_width_of_the_terminal_will_do(command, small_course, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    assert command("progress").code == 0
