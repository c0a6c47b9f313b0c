"""What a class got: the record of every submission, the tables for the teacher, and a journal from which to go on.

What stands in the files depends on the notebooks and the seed alone: not on the time, nor on who was ready first.
"""

import csv
import hashlib
import importlib.metadata
import io
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import embedcourse
from embedcourse import course
from embedcourse.checks import chapter_tasks
from embedcourse.checks.judge import Verdict
from embedcourse.checks.registry import modules
from embedcourse.grading import _harmless
from embedcourse.grading.submissions import Submission, shown

__all__ = ["Graded", "Journal", "Settings", "checks_version", "grades_csv", "in_order", "lms_csv", "steady", "stem_of"]


@dataclass(frozen=True)
class Graded:
    """One submission with a verdict a task, or with the problem for which there is none.

    failed: whether it is the grader that could not do its work, so that the submission is to be graded again.
    """

    learner: str
    file: str
    chapter: str | None = None
    verdicts: tuple[Verdict, ...] = ()
    problem: str | None = None
    failed: bool = False

    @classmethod
    def unusable(cls, submission: Submission, problem: str, *, failed: bool = False) -> "Graded":
        """The record of a submission that could not be graded."""
        return cls(submission.learner, shown(submission.path), submission.chapter, (), problem, failed)

    @classmethod
    def judged(cls, submission: Submission, verdicts: Iterable[Verdict]) -> "Graded":
        """The record of a submission that was graded, its messages made fit to show."""
        return cls(submission.learner, shown(submission.path), submission.chapter, tuple(map(steady, verdicts)))

    @property
    def points(self) -> int:
        """The points of the tasks that passed."""
        return sum(verdict.points for verdict in self.verdicts if verdict.passed)

    @property
    def max_points(self) -> int:
        """The points of all tasks of the chapter; 0 where no chapter was recognised."""
        return sum(task.points for task in chapter_tasks(self.chapter)) if self.chapter else 0


def in_order(graded: Iterable[Graded]) -> list[Graded]:
    """Records by learner, then by chapter of the course, then by file: the order of every table and page."""
    chapters = (*modules(), None)
    return sorted(graded, key=lambda g: (g.learner.casefold(), g.learner, chapters.index(g.chapter), g.file))


def stem_of(chapter: str) -> str:
    """A chapter as its files are called: "02_hamming"."""
    return modules()[chapter].removeprefix("ch")


MOST_CHARACTERS = 1200
MOST_LINES = 6
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
TOOK = re.compile(r" took \d+\.\d s; ")


def steady(verdict: Verdict) -> Verdict:
    """A verdict whose message is fit to show, and says the same of the same submission each time.

    Messages quote what a learner's code raised or returned. Escape sequences, floods, addresses in memory and measured
    seconds are taken out.
    """
    message = ADDRESS.sub("0x…", verdict.message[: 20 * MOST_CHARACTERS])
    message = TOOK.sub(" took longer; ", message)
    message = _harmless.lines(message, MOST_CHARACTERS, MOST_LINES)
    return Verdict(verdict.task, verdict.points, verdict.kind, message, verdict.misconception, verdict.regime)


def grades_csv(graded: Iterable[Graded]) -> bytes:
    """grades.csv: a row a task of each submission, with the columns learner, task, points, max and status.

    The status is "passed", or the kind of fault with the wrong idea behind it where that is known ("value: root
    missing"), or "not graded: " and why. A submission of an unknown chapter has one row, without a task.
    """
    return table(["learner", "task", "points", "max", "status"], (row for g in in_order(graded) for row in rows_of(g)))


def rows_of(graded: Graded) -> list[list[Any]]:
    """The rows of one submission in grades.csv."""
    if graded.problem is not None:
        tasks = [(task.id, task.points) for task in chapter_tasks(graded.chapter)] if graded.chapter else [("", 0)]
        return [[graded.learner, task, 0, most, f"not graded: {graded.problem}"] for task, most in tasks]
    return [[graded.learner, v.task, v.points * v.passed, v.points, status_of(v)] for v in graded.verdicts]


def status_of(verdict: Verdict) -> str:
    """A verdict in a few words."""
    return f"{verdict.kind}: {verdict.misconception}" if verdict.misconception else verdict.kind


CANVAS_COLUMNS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
TOTAL = "Total (Final Points)"  # Canvas makes no assignment of a column that is called Final Points


def lms_csv(graded: Iterable[Graded]) -> bytes:
    """lms.csv: a row a learner with the points of each chapter, for the grade books of Canvas and Moodle.

    Canvas (Grades → Import) asks for the columns Student, ID, SIS User ID, SIS Login ID and Section in this order.
    Student and SIS Login ID hold the learner's name, ID and SIS User ID stay empty: Canvas finds the learner by login,
    else by full name. The column of a chapter, "02_hamming", goes to the assignment of that name, which Canvas offers
    to make where there is none. Canvas passes over the column Total (Final Points).

    Moodle (Grades → Import → CSV file): map from SIS Login ID to the username, the email address or the ID number,
    whichever the notebooks are called by; map the column of a chapter to its grade item.

    A cell is empty where nothing was handed in or nothing could be graded, which changes no grade in either.
    """
    records = in_order(graded)
    handed_in = {g.chapter for g in records if g.chapter}
    chapters = [chapter for chapter in modules() if chapter in handed_in]
    header = [*CANVAS_COLUMNS, *map(stem_of, chapters), TOTAL]
    rows = []
    for learner in dict.fromkeys(g.learner for g in records):
        points = {g.chapter: g.points for g in records if g.learner == learner and g.problem is None}
        # Canvas reads a row that starts with these words as the assignments' maximum.
        name = re.sub("points possible", "points-possible", learner, flags=re.IGNORECASE)
        cells = [points.get(chapter, "") for chapter in chapters]
        rows.append([name, "", "", name, "", *cells, sum(points.values()) if points else ""])
    return table(header, rows)


def table(header: list[str], rows: Iterable[list[Any]]) -> bytes:
    """A CSV table as UTF-8, in which no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([cell if isinstance(cell, int) else no_formula(str(cell)) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")


def no_formula(cell: str) -> str:
    """A cell that no spreadsheet runs: an apostrophe stands before what looks like the start of a formula."""
    cell = " ".join(cell.split())
    return f"'{cell}" if cell.startswith(FORMULA) else cell


@dataclass(frozen=True)
class Settings:
    """What a verdict depends on, beside the notebook and the version of the checks."""

    seed: int
    timeout: float
    memory: int
    sandbox: bool = True

    def key(self, notebook: bytes) -> str:
        """The name under which the journal keeps what came of a notebook."""
        about = json.dumps([asdict(self), checks_version()], sort_keys=True)
        return hashlib.sha256(about.encode() + b"\0" + notebook).hexdigest()


@cache
def checks_version() -> str:
    """SHA-256 of the package's code and data, and of the version of torch: all that judges an answer."""
    digest = hashlib.sha256(importlib.metadata.version("torch").encode())
    package = Path(embedcourse.__file__).parent
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts and "templates" not in file.parts:
            digest.update(str(file.relative_to(package)).encode() + file.read_bytes())
    return digest.hexdigest()


class Journal:
    """The verdicts on each notebook as soon as they are there: a line of JSON each, kept through any kind of end.

    The first line holds the seed. A line that a sudden end cut off is passed over.
    """

    def __init__(self, file: Path, settings: Settings, kept: dict[str, list[Verdict]]) -> None:
        self.file, self.settings = file, settings
        self.earlier, self.kept = kept, dict(kept)

    @classmethod
    def start(cls, file: Path, settings: Settings, *, resume: bool) -> "Journal":
        """A journal in a file: with what is there already where grading resumes, else a new one.

        Raises: OSError where the file cannot be written.
        """
        journal = cls(file, settings, cls.read(file) if resume else {})
        journal.tidy(journal.kept)
        return journal

    @staticmethod
    def read(file: Path) -> dict[str, list[Verdict]]:
        """The verdicts of a journal by key; of a file that is none, nothing."""
        kept = {}
        for line in lines_of(file):
            try:
                kept[line["key"]] = [Verdict(**verdict) for verdict in line["verdicts"]]
            except (KeyError, TypeError):
                continue
        return kept

    @staticmethod
    def seed_in(file: Path) -> int | None:
        """The seed with which a journal was begun; None where there is no journal."""
        seed = next(iter(lines_of(file)), {}).get("seed")
        return seed if isinstance(seed, int) else None

    def find(self, notebook: bytes) -> list[Verdict] | None:
        """What came of a notebook in the run that is resumed, with the same settings and checks; None where nothing."""
        return self.earlier.get(self.settings.key(notebook))

    def add(self, notebook: bytes, verdicts: Iterable[Verdict]) -> None:
        """Keep what came of a notebook."""
        key, verdicts = self.settings.key(notebook), list(verdicts)
        self.kept[key] = verdicts
        with self.file.open("ab") as file:
            file.write(line_of(key, verdicts))

    def tidy(self, keys: Iterable[str]) -> None:
        """Write the journal anew with those lines only, in an order that tells nothing of when each was graded."""
        first = json.dumps({"seed": self.settings.seed}).encode() + b"\n"
        course.write_whole(self.file, first + b"".join(line_of(key, self.kept[key]) for key in sorted(set(keys))))


def line_of(key: str, verdicts: Iterable[Verdict]) -> bytes:
    """One line of a journal."""
    return json.dumps({"key": key, "verdicts": [asdict(verdict) for verdict in verdicts]}).encode() + b"\n"


def lines_of(file: Path) -> Iterable[dict[str, Any]]:
    """The lines of a journal that are whole; none where there is no file."""
    try:
        raw = file.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in raw:
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict):
            yield content
