"""Automatic checks: a task is data, an answer is asked for, a verdict names the idea that is wrong."""

from embedcourse.checks.registry import all_tasks, chapter_tasks, find_task
from embedcourse.checks.session import CheckFailed, check, report
from embedcourse.checks.task import Task

__all__ = ["CheckFailed", "Task", "all_tasks", "chapter_tasks", "check", "find_task", "report"]
