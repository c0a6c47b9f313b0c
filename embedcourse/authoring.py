"""Make notebooks fit to commit: `python -m embedcourse.authoring [NAME ...] [--no-execute]`.

Chapters are executed and kept with their outputs. Solutions are kept without outputs, and each exercise is made from
its solution with nbgrader's own preprocessors. All are normalised: whoever runs this gets the same files, but for
pixels and rounding.
"""

import hashlib
import json
import os
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbclient import NotebookClient
from nbformat import NotebookNode
from rich.console import Console

from embedcourse import course
from embedcourse.checks import chapter_tasks
from embedcourse.grading import submissions
from embedcourse.grading.nbgrader_book import mark_of

__all__ = ["execute", "exercise_from", "normalise", "write"]

CELL_SECONDS = 180
CHECK_CALL = re.compile(r"^check\(\s*\"(?P<id>[\w.]+)\",\s*(?P<function>\w+)\s*\)\s*$", re.MULTILINE)
LIVE_WIDGET = "application/vnd.jupyter.widget-view+json"
#: What may stay in a cell's metadata; the rest is what editors leave behind.
KEPT = ("nbgrader", "tags", "editable", "deletable")
#: Jupyter Book's tag for a cell whose code is folded: it draws a picture and teaches nothing else.
HIDE_INPUT = "hide-input"


def normalise(notebook: NotebookNode, chapter: str) -> NotebookNode:
    """A notebook with nothing in it that depends on who ran it, where, or in which editor.

    Raises: ValueError where an output holds an error, a warning, or a path of the machine that ran it.
    """
    notebook = nbformat.from_dict(json.loads(json.dumps(notebook)))
    notebook.metadata = nbformat.from_dict(
        {
            "embedcourse": {"chapter": chapter},
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in KEPT if k in cell.metadata})
        if HIDE_INPUT in cell.metadata.get("tags", ()):
            cell.metadata["jupyter"] = nbformat.from_dict({"source_hidden": True})
        cell.source = cell.source.strip("\n")
        cell.id = cell_id(cell, seen)
        if cell.cell_type == "code":
            cell.outputs = clean_outputs(cell)
    return notebook


def cell_id(cell: NotebookNode, seen: Counter[str]) -> str:
    """An id made of the cell's text, the same wherever the cell moves; the cell of a task is named after the task."""
    if "nbgrader" in cell.metadata:
        return cell.metadata.nbgrader.grade_id
    own = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
    seen[own] += 1
    return own if seen[own] == 1 else f"{own}-{seen[own]}"


def clean_outputs(cell: NotebookNode) -> list[NotebookNode]:
    """A cell's outputs, printed pieces joined and live widgets replaced by the picture they leave."""
    kept: list[NotebookNode] = []
    for output in cell.outputs:
        if output.output_type == "error" or (output.output_type == "stream" and output.name == "stderr"):
            raise ValueError(f"a cell ends in an error or a warning:\n{cell.source}\n---\n{output.get('text', output)}")
        if output.output_type == "stream" and kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
            continue
        if "data" in output and output.data.pop(LIVE_WIDGET, None) and output.data.keys() <= {"text/plain"}:
            continue  # a live widget that leaves no picture, such as a progress bar
        kept.append(output)
    for machine in {str(Path.home()), str(course.root()), tempfile.gettempdir()} - {"/"}:
        if f"{machine}{os.sep}" in json.dumps(kept):
            raise ValueError(f"an output holds a path of this machine:\n{cell.source}")
    return kept


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run every cell in a fresh kernel that is started in a folder.

    Raises: nbclient's CellExecutionError or CellTimeoutError for the first cell that fails.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=resources, record_timing=False
    )
    return client.execute()


def mark_tasks(solution: NotebookNode, chapter: str) -> NotebookNode:
    """Mark each task's cell for nbgrader, and end the notebook with one locked, graded cell a task."""
    tasks = {task.id: task for task in chapter_tasks(chapter)}
    cells = [cell for cell in solution.cells if not cell.metadata.get("nbgrader", {}).get("locked")]
    for cell in cells:
        if "### BEGIN SOLUTION" in cell.source:
            calls = [m["id"] for m in CHECK_CALL.finditer(cell.source)]
            if len(calls) != 1 or calls[0] not in tasks:
                raise ValueError(
                    f"a solution's cell ends with one check of a task of {chapter}, not {calls}:\n{cell.source}"
                )
            cell.metadata["nbgrader"] = mark_of(submissions.cell_id(calls[0]), solution=True)
    cells.append(locked(nbformat.v4.new_markdown_cell(HAND_IN), "hand-in"))
    for task in tasks.values():
        cell = nbformat.v4.new_code_cell(f'check("{task.id}", {task.function})')
        cells.append(locked(cell, f"grade-{task.id.replace('.', '-')}", task.points))
    solution.cells = cells
    return solution


HAND_IN = """\
## Hand in

Choose *Kernel → Restart Kernel and Run All Cells*, then save. Each cell below must say that its task passed."""


def locked(cell: NotebookNode, grade_id: str, points: int | None = None) -> NotebookNode:
    """A cell that learners are not to edit; with points, one that is graded."""
    cell.metadata["nbgrader"] = mark_of(grade_id, points=points)
    return cell


def exercise_from(solution: NotebookNode, chapter: str) -> NotebookNode:
    """The exercise in which a solution's marked lines are left for the learner, as nbgrader releases it."""
    from nbgrader import preprocessors as nbgrader

    exercise, resources = nbformat.from_dict(json.loads(json.dumps(solution))), {}
    steps = (nbgrader.LockCells, nbgrader.ClearSolutions, nbgrader.ClearOutput, nbgrader.CheckCellMetadata)
    for step in (*steps, nbgrader.ClearHiddenTests, nbgrader.ClearMarkScheme, nbgrader.ComputeChecksums):
        exercise, resources = step().preprocess(exercise, resources)
    return normalise(exercise, chapter)


def write(notebook: NotebookNode, path: Path) -> bool:
    """Write a notebook in one step; say whether the file changed."""
    nbformat.validate(notebook)
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    course.write_whole(path, text.encode())
    return True


def read(path: Path) -> NotebookNode:
    """Read a notebook in the present format."""
    return nbformat.read(path, as_version=4)


def make_chapter(chapter: course.Chapter, run: bool) -> None:
    """Execute and normalise one chapter, and note how long it ran."""
    path = course.root() / "chapters" / f"{chapter.stem}.ipynb"
    notebook = read(path)
    if run:
        started = time.perf_counter()
        notebook = execute(notebook, path.parent)
        note_seconds(chapter, time.perf_counter() - started)
    write(normalise(notebook, chapter.name), path)


def note_seconds(chapter: course.Chapter, seconds: float) -> None:
    """Keep the measured run time of a chapter among the committed results."""
    path = course.root() / "benchmarks" / "results" / "chapters.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results[chapter.stem] = {"seconds": round(seconds, 1), "cpu_cores": os.cpu_count()}
    course.write_whole(path, (json.dumps(dict(sorted(results.items())), indent=1) + "\n").encode())


def make_exercise(chapter: course.Chapter) -> None:
    """Normalise one solution and make its exercise."""
    path = course.root() / "solutions" / f"{chapter.stem}.ipynb"
    solution = read(path)
    for cell in solution.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    solution = normalise(mark_tasks(solution, chapter.name), chapter.name)
    write(solution, path)
    write(exercise_from(solution, chapter.name), course.root() / "exercises" / path.name)


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Chapters, such as 2 or hamming; all when none.")] = None,
    execute: Annotated[bool, typer.Option(help="Run the chapters; else only normalise them.")] = True,
) -> None:
    """Execute and normalise chapters, normalise solutions, and make exercises from them."""
    console = Console()
    for chapter in [course.find_chapter(name) for name in names or []] or course.chapters():
        console.print(f"{chapter.stem}: exercise from solution")
        make_exercise(chapter)
        console.print(f"{chapter.stem}: chapter{', executing' if execute else ''}")
        make_chapter(chapter, execute)


if __name__ == "__main__":
    typer.run(main)
