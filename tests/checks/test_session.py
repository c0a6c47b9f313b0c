"""What a learner sees: `check` and `report`."""

import subprocess
import sys

import pytest

from embedcourse import checks, progress
from embedcourse.checks import CheckFailed, check, report, session

TASK = checks.all_tasks()[0]


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch):
    monkeypatch.setattr(session, "_verdicts", {})


@pytest.fixture
def any_solution_will_do(monkeypatch):
    """Judge only whether the function returns True."""

    def examine(task, function, seed):
        passed = function() is True
        kind = "passed" if passed else "value"
        return session.Verdict(task.id, task.points, kind, "Because <it> is." if passed else "Look again.\nHere.")

    monkeypatch.setattr(session, "examine", examine)


def test_success_says_why_and_is_remembered(any_solution_will_do, capsys):
    check(TASK.id, lambda: True)
    assert "passed" in (out := capsys.readouterr().out)
    assert "Because <it> is." in out
    assert TASK.id in progress.passed()


def test_failure_is_a_few_plain_lines_and_not_progress(any_solution_will_do):
    with pytest.raises(CheckFailed) as caught:
        check(TASK.id, lambda: False)
    assert str(caught.value) == f"{TASK.id}: not yet.\nLook again.\nHere."
    assert caught.value._render_traceback_() == [f"{TASK.id}: not yet.", "Look again.", "Here."]
    assert progress.passed() == {}


def test_a_disk_that_cannot_be_written_is_a_warning(any_solution_will_do, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(progress, "record", full)
    with pytest.warns(UserWarning, match="progress was not saved: no space left"):
        check(TASK.id, lambda: True)


def test_unknown_tasks_and_things_that_are_no_functions(as_a_user):
    with pytest.raises(ValueError, match=f"did you mean .*{TASK.id}"):
        check(TASK.id[:-1], lambda: True)
    with pytest.raises(TypeError, match="write its name without"):
        check(TASK.id, 3)


def test_report_takes_the_last_verdict_else_the_namespace_else_missing(any_solution_will_do):
    with pytest.raises(CheckFailed):
        check(TASK.id, lambda: False)
    assert [v["passed"] for v in report({TASK.function: lambda: True}, [TASK.id])] == [False]
    session._verdicts.clear()
    assert [v["passed"] for v in report({TASK.function: lambda: True}, [TASK.id])] == [True]
    assert [v["kind"] for v in report({}, [TASK.id])] == ["missing"]


def test_a_notebook_shows_a_box_with_the_text_escaped(any_solution_will_do):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            check(TASK.id, lambda: True)
    finally:
        InteractiveShell.clear_instance()
    assert shell is not None
    assert "&lt;it&gt;" in captured.outputs[0].data["text/html"]
    assert "Because <it> is." in captured.outputs[0].data["text/plain"]


def test_outside_a_notebook_the_message_stands_on_standard_error():
    code = f"from embedcourse.checks import check\ncheck({TASK.id!r}, lambda *_: None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"CheckFailed: {TASK.id}: not yet." in done.stderr
