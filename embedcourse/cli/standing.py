"""How far a learner is: what has passed of each chapter, and the next thing to do."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from embedcourse import course, progress
from embedcourse.checks import Task, chapter_tasks
from embedcourse.checks.registry import modules
from embedcourse.cli import workspace

__all__ = ["ChapterStanding", "Standing", "show", "standing"]


@dataclass(frozen=True)
class ChapterStanding:
    """A chapter's tasks, and those of them that are passed."""

    chapter: course.Chapter
    tasks: tuple[Task, ...]
    passed: dict[str, progress.Passed]

    @property
    def points(self) -> int:
        """The points earned."""
        return sum(task.points for task in self.tasks if task.id in self.passed)

    @property
    def max_points(self) -> int:
        """The points of all tasks."""
        return sum(task.points for task in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for machines."""
        tasks = [
            {"id": task.id, "title": task.title, "points": task.points, "minutes": task.minutes}
            | {"passed": task.id in self.passed, "passed_at": getattr(self.passed.get(task.id), "at", None)}
            for task in self.tasks
        ]
        about = {"number": self.chapter.number, "name": self.chapter.name, "title": self.chapter.title}
        return about | {"points": self.points, "max_points": self.max_points, "tasks": tasks}


@dataclass(frozen=True)
class Standing:
    """All chapters in lesson order."""

    chapters: tuple[ChapterStanding, ...]

    @property
    def next(self) -> tuple[course.Chapter, Task] | None:
        """The first task that is not passed, and its chapter; None when all are."""
        open_tasks = ((c.chapter, task) for c in self.chapters for task in c.tasks if task.id not in c.passed)
        return next(open_tasks, None)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for machines."""
        chapters = [chapter.as_dict() for chapter in self.chapters]
        following = self.next
        return {
            "passed": sum(len(chapter.passed) for chapter in self.chapters),
            "tasks": sum(len(chapter.tasks) for chapter in self.chapters),
            "points": sum(chapter.points for chapter in self.chapters),
            "max_points": sum(chapter.max_points for chapter in self.chapters),
            "chapters": chapters,
            "next": following and {"notebook": notebook_of(following[0]), "task": following[1].id},
        }


def standing() -> Standing:
    """Where the learner stands in this copy of the course.

    Raises: FileNotFoundError where the notebooks are missing.
    """
    passed, chapters = progress.passed(), []
    for chapter in course.chapters():
        tasks = chapter_tasks(chapter.name) if chapter.name in modules() else ()
        chapters.append(ChapterStanding(chapter, tasks, {t.id: passed[t.id] for t in tasks if t.id in passed}))
    return Standing(tuple(chapters))


def notebook_of(chapter: course.Chapter) -> str:
    """The learner's exercise of a chapter, as they would type it here."""
    return workspace.shown(workspace.folder() / "exercises" / f"{chapter.stem}.ipynb")


def show(now: Standing) -> None:
    """Print a line a chapter, the sum, and what comes next."""
    console, table = Console(highlight=False, markup=False), Table(box=None, pad_edge=False)
    for title, side in {"Chapter": "left", "": "left", "Tasks": "right", "Points": "right"}.items():
        table.add_column(title, justify=side)
    for row in now.chapters:
        bar = ProgressBar(total=max(len(row.tasks), 1), completed=len(row.passed), width=20)
        tasks, points = f"{len(row.passed)}/{len(row.tasks)}", f"{row.points}/{row.max_points}"
        table.add_row(f"{row.chapter.number:2} {row.chapter.title}", bar, tasks, points)
    console.print(table)
    total = now.as_dict()
    console.print(f"{total['passed']} of {total['tasks']} tasks, {total['points']} of {total['max_points']} points.")
    console.print(advice(now), soft_wrap=True)


def advice(now: Standing) -> str:
    """The next thing to do."""
    if now.next is None:
        return "All tasks are passed." if now.chapters else "There is no chapter here yet."
    chapter, task = now.next
    there = (workspace.folder() / "exercises" / f"{chapter.stem}.ipynb").exists()
    first = "" if there else " (run `embedcourse start` first)"
    return f"Next: open {notebook_of(chapter)}{first} and solve {task.id}, {task.title} ({task.minutes} minutes)."
