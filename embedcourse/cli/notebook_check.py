"""Check notebooks from the command line: which tasks are in them, what came of each, and how it is shown."""

import json
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from rich.console import Console
from rich.table import Table
from rich.text import Text

from embedcourse import course, progress
from embedcourse.checks import chapter_tasks, find_task
from embedcourse.cli import workspace
from embedcourse.cli.notebook_run import failed, run, tasks_in

__all__ = ["Result", "check_notebook", "exit_code", "notebooks_in", "show", "tasks_of"]


@dataclass
class Result:
    """What came of one notebook: the verdicts on its tasks, or why there are none."""

    notebook: str
    tasks: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every task passed."""
        return self.error is None and all(task["passed"] for task in self.tasks)

    @property
    def points(self) -> int:
        """The points of the tasks that passed."""
        return sum(task["points"] for task in self.tasks if task["passed"])

    @property
    def max_points(self) -> int:
        """The points of all tasks."""
        return sum(task["points"] for task in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for machines."""
        return asdict(self) | {"passed": self.passed, "points": self.points, "max_points": self.max_points}


def notebooks_in(names: Iterable[str]) -> list[Path]:
    """The notebooks that paths, folders and chapters stand for. What is none of these comes back as it is."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            found += sorted(file for file in path.rglob("*.ipynb") if is_exercise(file)) or [path]
        else:
            found.append(path if path.exists() else exercise_of(name) or path)
    return list(dict.fromkeys(found))


def is_exercise(file: Path) -> bool:
    """Whether a notebook found in a folder is meant: not a chapter, not one that was set aside."""
    return not ({"chapters", ".ipynb_checkpoints"} & set(file.parts[:-1]) or ".kept-" in file.name)


def exercise_of(name: str) -> Path | None:
    """The learner's exercise of a chapter, if the name is a chapter's."""
    try:
        return course.root() / "my_work" / "exercises" / f"{course.find_chapter(name).stem}.ipynb"
    except (ValueError, OSError):
        return None


def check_notebook(file: Path, timeout: float) -> Result:
    """Run one notebook and judge its tasks; the file is not changed. Passed tasks count as progress."""
    result = Result(workspace.shown(file))
    try:
        notebook = read_notebook(file)
        tasks = tasks_of(notebook, file)
        with Console(stderr=True).status(Text(f"running {file.name}")):
            result.tasks = judged(notebook, file.parent, tasks, timeout)
    except (ValueError, OSError, RuntimeError) as error:
        result.error = str(error)
    if not file.resolve().is_relative_to(course.root() / "solutions"):  # the answers are nobody's progress
        keep(result)
    return result


def keep(result: Result) -> None:
    """Note the passed tasks in the learner's progress."""
    for task in result.tasks:
        if task["passed"]:
            try:
                progress.record(task["task"], task["points"])
            except OSError as error:
                warnings.warn(f"progress was not saved: {error}", stacklevel=2)


def read_notebook(file: Path) -> NotebookNode:
    """Read a notebook.

    Raises: ValueError or OSError, in one sentence, for what is missing, no notebook, or broken.
    """
    if file.is_dir():
        raise FileNotFoundError("there is no exercise in this folder")
    if not file.is_file():
        raise FileNotFoundError("there is no such notebook")
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f"this is no notebook: its JSON is broken ({error})") from error
    if not isinstance(content, dict) or "nbformat" not in content:
        raise ValueError("this is no notebook: it is JSON, but has no cells")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nbformat.warnings.MissingIDFieldWarning)  # harmless, and common
            notebook = nbformat.convert(nbformat.reader.reads(text), 4)
            nbformat.validate(notebook)
    except Exception as error:  # nbformat raises whatever the malformed part makes it raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"this is no valid notebook: {reason}") from error
    return notebook


def tasks_of(notebook: NotebookNode, file: Path) -> list[str]:
    """The ids of a notebook's tasks: those of its chapter, so that no deleted cell hides one, then those it checks.

    Raises: ValueError where there are none.
    """
    checked = [task for cell in notebook.cells for task in tasks_in(cell)]
    about = notebook.metadata.get("embedcourse", {})
    chapter = about.get("chapter") if isinstance(about, dict) else None
    if not checked and file.resolve().parent.name == "chapters":
        raise ValueError(f"this is a chapter, without tasks; check its exercise, exercises/{file.name}")
    of_chapter = [task.id for task in chapter_tasks(chapter)] if chapter else []
    if not of_chapter and not checked:
        raise ValueError('no task found: it has no cell with check("...", ...), and does not say its chapter')
    return list(dict.fromkeys(of_chapter + checked))


def judged(notebook: NotebookNode, folder: Path, tasks: list[str], timeout: float) -> list[dict[str, Any]]:
    """The verdicts on tasks after every cell of a notebook has run in a folder."""
    unknown: dict[str, dict[str, Any]] = {}
    for task in tasks:
        try:
            find_task(task)
        except ValueError as error:
            unknown[task] = failed(task, 0, "unknown", str(error))
    verdicts = unknown | run(notebook, folder, [task for task in tasks if task not in unknown], timeout)
    return [verdicts[task] for task in tasks]


def show(result: Result) -> None:
    """Print a notebook's tasks as a table, then what is said of each task that did not pass."""
    console = Console(highlight=False, markup=False)
    table = Table("Task", "Points", "Result")
    for task in result.tasks:
        mark = "✓ passed" if task["passed"] else "✗ not yet"
        table.add_row(task["task"], f"{task['points'] * task['passed']}/{task['points']}", mark)
    console.print(result.notebook, soft_wrap=True)
    console.print(table)
    for task in result.tasks:
        if not task["passed"]:
            console.print(f"{task['task']}: {task['message']}\n")
    console.print(f"{result.points} of {result.max_points} points.")


def exit_code(results: Iterable[Result]) -> int:
    """0 when all tasks of all notebooks pass, 2 when a notebook cannot be checked, else 1."""
    results = list(results)
    if not results or any(result.error for result in results):
        return 2
    return 0 if all(result.passed for result in results) else 1
