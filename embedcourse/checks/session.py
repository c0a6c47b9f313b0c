"""`check`, as a learner calls it in a notebook or a script, and `report`, which sums a session up."""

import html
import secrets
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from embedcourse import progress
from embedcourse.checks.judge import Verdict, examine
from embedcourse.checks.registry import find_task

__all__ = ["CheckFailed", "check", "report"]

_verdicts: dict[str, Verdict] = {}


class CheckFailed(AssertionError):
    """A task is not solved yet. Shown as a few plain lines; a notebook prints no traceback for it."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(f"{verdict.task}: not yet.\n{verdict.message}")

    def _render_traceback_(self) -> list[str]:  # IPython calls this instead of printing a traceback
        return [line for part in str(self).split("\n") for line in textwrap.wrap(part, 100) or [""]]


def check(task_id: str, function: Callable, *, seed: int | None = None) -> None:
    """Check a function against a task on fresh inputs, and say what is right or which idea is wrong.

    Raises: CheckFailed when the task is not solved; ValueError for an unknown task; TypeError when `function` is none.
    """
    task = find_task(task_id)
    if not callable(function):
        raise TypeError(f"function: expected the function {task.function}, got {function!r}; write its name without ()")
    verdict = examine(task, function, secrets.randbits(32) if seed is None else seed)
    _verdicts[task_id] = verdict
    if not verdict.passed:
        raise CheckFailed(verdict)
    celebrate(verdict)
    try:
        progress.record(task_id, task.points)
    except OSError as error:  # a learner without a writable disk still learns; they hear why nothing was saved
        warnings.warn(f"progress was not saved: {error}", stacklevel=2)


def report(namespace: Mapping[str, Any], task_ids: Iterable[str]) -> list[dict[str, Any]]:
    """The verdict on each task: the last of this session, else on the function of that name in a namespace."""
    return [verdict_in(namespace, task_id).as_dict() for task_id in task_ids]


def verdict_in(namespace: Mapping[str, Any], task_id: str) -> Verdict:
    """The verdict on one task of this session."""
    if task_id in _verdicts:
        return _verdicts[task_id]
    task = find_task(task_id)
    function = namespace.get(task.function)
    if not callable(function):
        words = f"There is no function {task.function} to check: its cell is missing, or stopped before it was defined."
        return Verdict(task_id, task.points, "missing", words)
    return examine(task, function, secrets.randbits(32))


def celebrate(verdict: Verdict) -> None:
    """Say that a task is solved and why the solution is right, as a box in a notebook and as text elsewhere."""
    points = "1 point" if verdict.points == 1 else f"{verdict.points} points"
    text = f"✓ {verdict.task} passed ({points}). {verdict.message}"
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        print(text)
        return
    from IPython.display import display

    style = "border-left: 4px solid #0072B2; padding: .3em .8em"
    box = f"<b>✓ {verdict.task} passed</b> ({points}).<br>{html.escape(verdict.message)}"
    display({"text/plain": text, "text/html": f'<div style="{style}">{box}</div>'}, raw=True)
