"""Notebooks as learners hand them in, and an examiner that takes the notebook's word for what came of it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from embedcourse.checks import chapter_tasks
from embedcourse.checks.judge import Verdict
from embedcourse.grading.gradebook import Settings
from embedcourse.grading.submissions import Cell

CHAPTER = "hamming"
TASKS = chapter_tasks(CHAPTER)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' C calc'!A0",
    "@SUM(1)",
    "+1",
    "-1",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07bell",
    "a\u202egnp",
    "z" + "\u0301" * 40,
    "Points Possible",
    "{{ 7 * 7 }}",
    "%2e%2e%2fup",
    "con",
    "x" * 200,
)


def code(source: Any, name: Any = None) -> dict[str, Any]:
    """A raw code cell."""
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
    return cell if name is None else cell | {"id": name}


def notebook(cells: Iterable[Any], /, **other: Any) -> str:
    """The text of a notebook file."""
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)} | other)


def solved(*kinds: str, chapter: str = CHAPTER) -> str:
    """A notebook in which the tasks of a chapter have these kinds; all pass where none is given."""
    tasks = chapter_tasks(chapter)
    kinds = kinds or ("passed",) * len(tasks)
    return notebook(
        code(f"def {task.function}(*_): ...\n# {kind}", task.id.replace(".", "-"))
        for task, kind in zip(tasks, kinds, strict=False)
    )


def taken_at_its_word(chapter: str, cells: list[Cell], settings: Settings) -> list[Verdict]:
    """Verdicts of the kinds that the cells' last lines name; each message tells the seed."""
    kinds = {cell.id: cell.source.rpartition("# ")[2] for cell in cells}
    given = [(task, kinds.get(task.id.replace(".", "-"), "missing")) for task in chapter_tasks(chapter)]
    return [Verdict(task.id, task.points, kind, f"Words.\nSeed {settings.seed}") for task, kind in given]


def hand_in(folder: Path, **notebooks: str) -> Path:
    """A folder with a notebook for each learner."""
    folder.mkdir(parents=True, exist_ok=True)
    for learner, text in notebooks.items():
        (folder / f"{learner}.ipynb").write_text(text)
    return folder
