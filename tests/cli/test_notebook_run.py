"""A notebook runs to its end whatever its cells do, and a cell costs no task but its own."""

import json
import os
from pathlib import Path

import nbformat
import pytest

from embedcourse import checks, progress
from embedcourse.checks import Task
from embedcourse.cli.notebook_run import failed, run, tasks_in

IMPORTS = "import time, os\nfrom embedcourse.checks import check, find_task"
HANG_SECONDS = 8  # the import of torch must be done in that time, on a busy computer too
HANGS = "while True: pass"
DEAF = """
while True:
    try:
        time.sleep(1)
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    """Tasks whose slow oracles are fast enough to pass."""
    return [task for task in checks.all_tasks() if task.at_size is None]


def right(task: Task) -> str:
    return f'def {task.function}(*arguments):\n    return find_task("{task.id}").oracle(*arguments)'


def wrong(task: Task) -> str:
    return f'def {task.function}(*arguments):\n    return find_task("{task.id}").misconceptions[0].wrong(*arguments)'


def hanging(task: Task) -> str:
    return f"def {task.function}(*arguments):\n    {HANGS}"


def call(task: Task) -> str:
    return f'\ncheck("{task.id}", {task.function})'


def verdicts(folder: Path, tasks: list[Task], *cells: str, timeout: float = 60) -> list[dict]:
    """The verdicts on tasks after some cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (IMPORTS, *cells)])
    given = run(notebook, folder, [task.id for task in tasks], timeout)
    return [given[task.id] for task in tasks]


def kinds(*arguments, **options) -> list[str]:
    """The kinds of those verdicts."""
    return [verdict["kind"] for verdict in verdicts(*arguments, **options)]


@pytest.fixture(scope="module")
def worked_on(tasks, tmp_path_factory) -> tuple[Path, list[dict]]:
    """A notebook of somebody who tries many things, and the verdicts on four of its tasks."""
    one, two, three, four = tasks[:4]
    folder = tmp_path_factory.mktemp("worked on")
    cells = [
        wrong(one) + call(one),
        "open('seen.txt', 'w').write(os.getcwd())",
        "for n in range(100_000): print(n, 'a flood of output')",
        "answer = input('a question? ')",
        "1 / 0",
        "%time 1 + 1\n!echo shell",
        right(one) + call(one),
        wrong(two) + call(two) + "\n%pwd",
        right(three) + "\n(" + call(three),
        right(four),
    ]
    return folder, verdicts(folder, tasks[:4], *cells)


def test_the_last_answer_counts_and_its_verdict_is_the_notebooks(worked_on, tasks):
    verdict = worked_on[1][0]
    assert (verdict["task"], verdict["passed"], verdict["kind"]) == (tasks[0].id, True, "passed")
    assert (verdict["points"], verdict["message"]) == (tasks[0].points, tasks[0].why)


def test_a_wrong_idea_is_named(worked_on, tasks):
    verdict = worked_on[1][1]
    assert (verdict["passed"], verdict["misconception"]) == (False, tasks[1].misconceptions[0].name)
    assert tasks[1].misconceptions[0].says in verdict["message"]


def test_a_cell_that_is_no_python_is_told(worked_on):
    verdict = worked_on[1][2]
    assert (verdict["passed"], verdict["kind"]) == (False, "missing")
    assert "The cell ended in SyntaxError" in verdict["message"]


def test_a_deleted_check_hides_no_task(worked_on):
    assert worked_on[1][3]["kind"] == "passed"


def test_all_verdicts_have_one_form_and_are_plain_data(worked_on):
    verdicts = [*worked_on[1], failed("a.b", 1, "stopped", "words")]
    assert len({tuple(sorted(verdict)) for verdict in verdicts}) == 1
    assert json.loads(json.dumps(verdicts)) == verdicts


def test_cells_run_in_the_given_folder_and_note_no_progress(worked_on):
    folder, _ = worked_on
    assert os.path.samefile((folder / "seen.txt").read_text(), folder)
    assert progress.passed() == {}


def test_cells_that_hang_cost_only_their_own_tasks(tmp_path, tasks):
    one, two, three, _ = tasks = tasks[:4]
    hangs, passes, *others = verdicts(
        tmp_path,
        tasks,
        hanging(one) + call(one),
        hanging(two) + call(two),
        right(two) + call(two),
        hanging(three),  # found out when it is asked for its verdict
        call(one),  # as at the end of an exercise: must not hang again
        timeout=HANG_SECONDS,
    )
    assert (hangs["kind"], hangs["passed"], hangs["points"]) == ("stopped", False, one.points)
    assert f"ran for {HANG_SECONDS} s" in hangs["message"]
    assert passes["kind"] == "passed"
    assert [verdict["kind"] for verdict in others] == ["stopped", "missing"]


def test_cells_that_are_deaf_or_end_python_cost_only_their_own_tasks(tmp_path, tasks):
    one, two, three, four = tasks = tasks[:4]
    ends = "\nos._exit(1)"
    cells = right(one) + call(one), right(two) + DEAF + call(two), right(three) + ends + call(three), right(four)
    passes, deaf, died, alive = verdicts(tmp_path, tasks, *cells, timeout=HANG_SECONDS)
    assert (passes["kind"], alive["kind"]) == ("passed", "passed")
    assert (deaf["kind"], died["kind"]) == ("stopped", "stopped")
    assert f"ran for {HANG_SECONDS} s" in deaf["message"]
    assert "ended the Python process" in died["message"]


def test_a_report_that_cannot_be_made_is_told(tmp_path, tasks):
    one = tasks[0]
    (verdict,) = verdicts(tmp_path, (one,), right(one), "import sys; sys.modules['embedcourse.checks'] = None")
    assert verdict["kind"] == "unjudged"
    assert "ModuleNotFoundError" in verdict["message"]


@pytest.mark.parametrize(
    ("source", "tasks"),
    [
        ('check("a.b", f)', ["a.b"]),
        ("checks.check('a.b', f); check('c.d', g)", ["a.b", "c.d"]),
        ('%matplotlib inline\ncheck("a.b", f)', ["a.b"]),
        ('def f(:\n\ncheck("a.b", f)', ["a.b"]),
        ('# check("a.b", f)\nother("c.d", f)\ncheck(name, f)\ncheck(3, f)', []),
        ("text = 'check(\"a.b\", f)'", []),
        ("", []),
    ],
)
def test_the_tasks_of_a_cell_are_those_that_it_checks(source, tasks):
    assert tasks_in(nbformat.v4.new_code_cell(source)) == tasks
    assert tasks_in(nbformat.v4.new_markdown_cell(source)) == []
