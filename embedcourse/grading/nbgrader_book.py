"""The trusted scores in nbgrader's grade book: what was graded in boxes, shown where formgrader looks for it.

nbgrader's own autograding runs a learner's code beside its scores. Here nothing is run: each score goes into the grade
book under the grade cell of its task, and a copy of the notebook, with the verdicts in the place of outputs, goes to
where autograded notebooks lie.
"""

import json
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedcourse import course
from embedcourse.checks import chapter_tasks
from embedcourse.checks.judge import Verdict
from embedcourse.grading.grade import JOURNAL, Outcome
from embedcourse.grading.gradebook import Journal, status_of, steady
from embedcourse.grading.submissions import (
    Submission,
    Unusable,
    cell_id,
    cells_of,
    code_cell,
    find_submissions,
    parsed,
    read_bytes,
    source_of,
)

if TYPE_CHECKING:
    from nbgrader.api import Gradebook
    from nbgrader.coursedir import CourseDirectory

__all__ = ["Course", "Filled", "found_by", "mark_of", "marked_copy"]

CONFIG = "nbgrader_config.py"
MOST_TIMESTAMP = 100

#: What came of the bytes of a notebook; None where they were not graded.
Find = Callable[[bytes], list[Verdict] | None]


@dataclass(frozen=True)
class Filled:
    """How many submissions stand in the grade book, and why the others do not."""

    written: int
    problems: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What a teacher needs to know, for a terminal."""
        said = [f"{self.written} submissions are in nbgrader's grade book, and formgrader shows them."]
        said += [f"  not in the grade book: {problem}" for problem in self.problems[:10]]
        return said + ([f"  and {len(self.problems) - 10} more"] if len(self.problems) > 10 else [])


class Course:
    """A course folder of nbgrader.

    Raises: ValueError where it is none, where it has no grade book yet, or where nbgrader is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = course_directory(folder)

    @property
    def submitted(self) -> Path:
        """The folder with a folder a student, and in it a folder an assignment."""
        return self.folder / self.about.submitted_directory

    def write_scores(self, find: Find) -> Filled:
        """Put what was found of each submission into the grade book. Done twice, it changes nothing the second time.

        A score that a teacher gave by hand stays, and is marked to be looked at again where the trusted one changed.

        Raises: OSError where the grade book cannot be written.
        """
        problems, written = [], 0
        with self.book() as book:
            for submission in find_submissions(self.submitted):
                try:
                    self.write_one(book, submission, find)
                    written += 1
                except Unusable as error:
                    where = submission.path.relative_to(self.submitted)
                    problems.append(f"{submission.learner} ({'/'.join(where.parts[1:]) or where}): {error}")
        return Filled(written, tuple(problems))

    @contextmanager
    def book(self) -> "Iterator[Gradebook]":
        """The grade book, open.

        Raises: OSError where it cannot be read or written.
        """
        from nbgrader.api import Gradebook
        from sqlalchemy.exc import SAWarning, SQLAlchemyError

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # nbgrader's own, about the order in which it adds rows
            try:
                with Gradebook(self.about.db_url, self.about.course_id) as book:
                    yield book
            except SQLAlchemyError as error:
                raise OSError(f"the grade book {self.about.db_url} cannot be used: {error}") from error

    def write_one(self, book: "Gradebook", submission: Submission, find: Find) -> None:
        """Put one submission into the grade book, and its marked copy among the autograded ones.

        Raises: Unusable with the reason why it is not put there.
        """
        if submission.problem is not None:
            raise Unusable(submission.problem)
        student, assignment = self.owner(submission.path)
        data = read_bytes(submission.path)
        verdicts = find(data)
        if verdicts is None:
            raise Unusable("It was not graded, or it has changed since.")
        verdicts = list(map(steady, verdicts))
        notebook = notebook_with(book, assignment, verdicts)
        stamp = timestamp(submission.path.parent / "timestamp.txt")
        book.update_or_create_student(student)
        book.update_or_create_submission(assignment, student, timestamp=stamp)
        for verdict in verdicts:
            note(book.find_grade(grade_id(verdict), notebook, assignment, student), verdict)
        book.db.commit()
        self.keep_copy(student, assignment, notebook, marked_copy(data, verdicts, self.texts(assignment)), stamp)

    def owner(self, path: Path) -> tuple[str, str]:
        """The student and the assignment that a path belongs to.

        Raises: Unusable for a path at another depth.
        """
        parts = path.relative_to(self.submitted).parts
        if len(parts) != 3:
            raise Unusable("nbgrader keeps notebooks as STUDENT/ASSIGNMENT/NOTEBOOK.ipynb; this one lies elsewhere.")
        return parts[0], parts[1]

    def texts(self, assignment: str) -> set[str]:
        """The text cells of an assignment as the teacher wrote them."""
        source = Path(self.about.format_path(self.about.source_directory, ".", assignment))
        found = [parsed(file.read_bytes()) for file in sorted(source.glob("*.ipynb"))]
        return {
            source_of(cell) or "" for notebook in found for cell in notebook["cells"] if cell["cell_type"] == "markdown"
        }

    def keep_copy(self, student: str, assignment: str, notebook: str, copy: bytes, stamp: str | None) -> None:
        """Write a marked copy to where formgrader looks for it."""
        folder = Path(self.about.format_path(self.about.autograded_directory, student, assignment))
        course.write_whole(folder / f"{notebook}.ipynb", copy)
        if stamp is not None:
            course.write_whole(folder / "timestamp.txt", stamp.encode())


def found_by(outcome: Outcome) -> Find:
    """What a run of the grader found, by the very bytes that it graded."""
    file = outcome.out / JOURNAL
    return Journal(file, outcome.settings, Journal.read(file)).find


def course_directory(folder: Path) -> "CourseDirectory":
    """What nbgrader knows of a course folder, by the course's own configuration.

    Raises: ValueError where it is no course folder, has no grade book yet, or nbgrader is not installed.
    """
    try:
        from nbgrader.coursedir import CourseDirectory
    except ImportError as error:
        raise ValueError("--nbgrader needs nbgrader: pip install 'embedcourse[classroom]'") from error
    from traitlets.config import Config, PyFileConfigLoader

    has_config = (folder / CONFIG).is_file()
    if not has_config and not (folder / "gradebook.db").is_file():
        raise ValueError(f"--nbgrader: {folder} is no nbgrader course: it has neither {CONFIG} nor gradebook.db")
    config = PyFileConfigLoader(CONFIG, path=str(folder)).load_config() if has_config else Config()
    about = CourseDirectory(config=config, root=str(folder.resolve()))
    file = about.db_url.removeprefix("sqlite:///")
    if file != about.db_url and not Path(file).is_file():
        raise ValueError(f"--nbgrader: {folder} has no grade book yet: run `nbgrader generate_assignment` there first")
    return about


def grade_id(verdict: Verdict) -> str:
    """The name of the grade cell of a task."""
    return f"grade-{cell_id(verdict.task)}"


def notebook_with(book: "Gradebook", assignment: str, verdicts: Iterable[Verdict]) -> str:
    """The notebook of an assignment that has the grade cells of these tasks, however the learner's file is called.

    Raises: Unusable where the grade book knows none.
    """
    from nbgrader.api import MissingEntry

    wanted = {grade_id(verdict) for verdict in verdicts}
    try:
        notebooks = book.find_assignment(assignment).notebooks
    except MissingEntry:
        notebooks = []
    for notebook in notebooks:
        if wanted <= {cell.name for cell in notebook.grade_cells}:
            return notebook.name
    raise Unusable(
        f"The grade book does not know these tasks: run `nbgrader generate_assignment {assignment}`, and grade again."
    )


def note(grade: Any, verdict: Verdict) -> None:
    """Write a verdict into its row of the grade book: all points of the grade cell, or none."""
    score = float(grade.cell.max_score) if verdict.passed else 0.0
    if grade.auto_score != score:
        grade.auto_score = score
        grade.needs_manual_grade = grade.manual_score is not None


def timestamp(file: Path) -> str | None:
    """When a submission was handed in, as nbgrader noted it; None where it did not, or where it is no time."""
    from nbgrader.utils import parse_utc

    try:
        text = read_bytes(file)[:MOST_TIMESTAMP].decode().strip()
        return text if parse_utc(text) else None
    except (Unusable, ValueError, OverflowError):
        return None


# ------------------------------------------------------------------------------------------------ the marked copy


def marked_copy(data: bytes, verdicts: Iterable[Verdict], texts: Iterable[str] = ()) -> bytes:
    """A learner's notebook with the verdict on each task as the output of its grade cell.

    Nothing of the learner's but code and text is kept: no outputs, no metadata. Text that is not the teacher's is shown
    letter by letter, so that it can neither run in the teacher's browser nor call for anything.

    Raises: Unusable for what is no notebook of this course.
    """
    verdicts, texts = list(verdicts), set(texts)
    chapter, code = cells_of(data)
    tasks = {cell_id(task.id) for task in chapter_tasks(chapter)}
    graded = {grade_id(verdict) for verdict in verdicts}
    named, cells = iter(code), []
    for place, raw in enumerate(parsed(data)["cells"]):
        if code_cell(raw, place):
            cell = next(named)
            if cell.id not in graded:
                solves = cell.id in tasks
                mark = {"nbgrader": mark_of(cell.id, solution=True)} if solves else {}
                cells.append(code_part(cell.id if solves else f"cell-{place}", cell.source, mark))
        elif isinstance(raw, dict) and raw.get("cell_type") == "markdown":
            text = source_of(raw) or ""
            shown = text if text in texts else textwrap.indent(f"\n{text}", "    ", lambda _: True)
            cells.append({"cell_type": "markdown", "id": f"cell-{place}", "metadata": {}, "source": shown})
    for verdict in verdicts:
        mark = {"nbgrader": mark_of(grade_id(verdict), points=verdict.points)}
        said = {"output_type": "stream", "name": "stdout", "text": f"{status_of(verdict)}\n{verdict.message}\n"}
        cells.append(code_part(grade_id(verdict), f'check("{verdict.task}", …)', mark, [said]))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}
    return (json.dumps(notebook, indent=1, sort_keys=True) + "\n").encode()


def code_part(name: str, source: str, metadata: dict[str, Any], outputs: Iterable[dict] = ()) -> dict[str, Any]:
    """A code cell as it stands in a file."""
    cell = {"cell_type": "code", "id": name, "metadata": metadata, "source": source}
    return cell | {"outputs": list(outputs), "execution_count": None}


def mark_of(name: str, *, solution: bool = False, points: int | None = None) -> dict[str, Any]:
    """The metadata by which nbgrader (schema 3) knows a cell: a solution, or a locked one, with points or without."""
    mark = {"grade": points is not None, "grade_id": name, "locked": not solution, "schema_version": 3}
    mark |= {"solution": solution, "task": False}
    return mark if points is None else mark | {"points": points}
