"""Where a task is found by its id. One module a chapter, `chNN_name`, holds that chapter's tasks in `TASKS`."""

import difflib
import importlib
from functools import cache

import embedcourse.checks
from embedcourse import course
from embedcourse.checks.task import Task

__all__ = ["all_tasks", "chapter_tasks", "find_task"]


@cache
def modules() -> dict[str, str]:
    """The chapters that have checks, in lesson order: chapter name to module name."""
    return {chapter.name: chapter.module for chapter in course.chapters_with_module(embedcourse.checks)}


def chapter_tasks(chapter: str) -> tuple[Task, ...]:
    """The tasks of a chapter, by the chapter's name ("hamming"), in the order of its exercise.

    Raises: ValueError for a chapter without checks.
    """
    if chapter not in modules():
        raise ValueError(f"chapter: {chapter!r} has no tasks; those with tasks are {', '.join(modules())}")
    return importlib.import_module(f"embedcourse.checks.{modules()[chapter]}").TASKS


def all_tasks() -> tuple[Task, ...]:
    """Every task of the course, in lesson order."""
    return tuple(task for chapter in modules() for task in chapter_tasks(chapter))


def find_task(task_id: str) -> Task:
    """The task with an id such as "hamming.count".

    Raises: ValueError for an unknown id, naming the nearest known ones.
    """
    known = {task.id: task for task in all_tasks()}
    if task_id not in known:
        near = difflib.get_close_matches(str(task_id), known, n=3) or list(known)
        raise ValueError(f"task_id: {task_id!r} is no task of this course; did you mean {' or '.join(near)}?")
    return known[task_id]
