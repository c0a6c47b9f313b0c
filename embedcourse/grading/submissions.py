"""What a class handed in: a notebook a learner, or a folder a learner. It is read here, and never run.

Nothing that a learner hands in raises an error: what cannot be graded becomes a submission with a problem.
"""

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from embedcourse.checks import chapter_tasks
from embedcourse.checks.registry import modules
from embedcourse.checks.task import Task
from embedcourse.grading._harmless import one_line

__all__ = ["Cell", "Submission", "Unusable", "cells_of", "find_submissions", "read_bytes", "read_notebook"]

MOST_BYTES = 20_000_000  # of a notebook; outputs are most of it
MOST_CODE = 1_000_000  # characters of code in a notebook
MOST_CELLS = 2_000
MOST_PARTS = 1_000_000  # lists and dictionaries: a few bytes each in the file, a hundred in memory
MOST_NOTEBOOKS = 100  # of one learner
NAME_LENGTH = 100
LEFT_BY_SYSTEMS = {"__MACOSX", "Thumbs.db", "desktop.ini"}


class Unusable(ValueError):
    """A notebook that cannot be graded; the message says why, in a sentence for its learner."""


@dataclass(frozen=True)
class Cell:
    """A code cell: its id, which is its task's where it solves one, such as "hamming-count", and its code."""

    id: str
    source: str


@dataclass(frozen=True)
class Submission:
    """One notebook of one learner, and why it cannot be graded where it cannot. The chapter is None where unknown.

    The name is safe to show: one line, without control characters. It is no file name.
    """

    learner: str
    path: Path
    problem: str | None = None
    chapter: str | None = None


def find_submissions(folder: Path) -> list[Submission]:
    """All submissions in a folder, ordered by learner and chapter; an empty list where there are none.

    Each notebook in the folder is a learner's, called by the file's name. Each folder in it is a learner's too, with
    any number of notebooks of different chapters, at any depth. Links are never followed.

    Raises: OSError where the folder itself cannot be read.
    """
    owned = [(entry, list(submissions_in(entry))) for entry in sorted(folder.iterdir()) if not is_stray(entry.name)]
    holders = Counter(key(learner_of(entry)) for entry, _ in owned)
    found = []
    for entry, submissions in owned:
        name = learner_of(entry)
        if holders[key(name)] > 1:
            same = ", ".join(sorted(shown(e) for e, _ in owned if key(learner_of(e)) == key(name))[:4])
            problem = f"{holders[key(name)]} submissions carry the name {name} ({same}): only one may."
            submissions = [Submission(name, entry, problem)]
        found += submissions
    return sorted(found, key=order)


def order(submission: Submission) -> tuple:
    """Where a submission stands in every list: by learner, then by chapter, then by file."""
    chapters = list(modules())
    place = chapters.index(submission.chapter) if submission.chapter in chapters else len(chapters)
    return key(submission.learner), submission.learner, place, os.fsencode(submission.path)


def is_stray(name: str) -> bool:
    """Whether a file or folder was left by a system or an editor, and handed in by nobody."""
    return name in LEFT_BY_SYSTEMS or name.startswith("._") or (name.startswith(".") and not name.endswith(".ipynb"))


def learner_of(entry: Path) -> str:
    """The learner's name that a file or folder carries, safe to show."""
    return one_line(readable(entry.name).removesuffix(".ipynb"), NAME_LENGTH) or "(no name)"


def readable(name: str) -> str:
    """A file's name as text; bytes that are no UTF-8 become a mark."""
    return os.fsencode(name).decode("utf-8", "replace")


def shown(path: Path) -> str:
    """The last part of a path, safe to show."""
    return one_line(readable(path.name), NAME_LENGTH)


def key(name: str) -> str:
    """What two names have in common that a file system, or a reader, may take for the same."""
    return name.casefold().strip()


def submissions_in(entry: Path) -> Iterator[Submission]:
    """What one file or folder at the top hands in."""
    name = learner_of(entry)
    if problem := problem_of_name(readable(entry.name)) or problem_of_kind(entry):
        yield Submission(name, entry, problem)
    elif entry.is_dir():
        yield from submissions_of_folder(name, entry)
    else:
        yield examined(Submission(name, entry))


def problem_of_name(name: str) -> str | None:
    """What is wrong with a file's name, if anything."""
    bare = name.removesuffix(".ipynb").strip()
    if "/" in name or "\\" in name or bare.startswith("..") or not bare.strip("."):
        return "Its name holds a path or nothing else than dots. Rename it to the learner's name."
    return None


def problem_of_kind(path: Path) -> str | None:
    """Why a path is neither a notebook nor a folder, if so."""
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return unreadable(error)
    if stat.S_ISLNK(mode):
        return "It is a link to another file. Hand in the notebook itself."
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        return "It is no file, but a device, a pipe or a socket."
    return None if path.name.endswith(".ipynb") else "It is no notebook: its name does not end in .ipynb."


def unreadable(error: OSError) -> str:
    """The sentence for a file or folder that the system does not let us read."""
    return f"It cannot be read: {error.strerror or type(error).__name__}."


def submissions_of_folder(name: str, folder: Path) -> list[Submission]:
    """What a learner's folder hands in: its notebooks, or the reason why there are none."""
    problems: list[Submission] = []

    def note(error: OSError) -> None:
        problems.append(Submission(name, Path(error.filename or folder), unreadable(error)))

    notebooks = []
    for path in notebooks_below(folder, note):
        notebooks.append(path)
        if len(notebooks) > MOST_NOTEBOOKS:
            return [Submission(name, folder, f"It holds more than {MOST_NOTEBOOKS} notebooks.")]
    if not notebooks:
        return problems or [Submission(name, folder, "There is no notebook in this folder.")]
    found = [Submission(name, p, problem_of_kind(p)) for p in notebooks]
    return problems + one_a_chapter([s if s.problem else examined(s) for s in found])


def notebooks_below(folder: Path, note: Callable[[OSError], None]) -> Iterator[Path]:
    """The notebooks in a folder, at any depth, but for lessons and what editors keep."""
    for here, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(f for f in folders if not (is_stray(f) or f.startswith(".") or f == "chapters"))
        for file in sorted(files):
            if file.endswith(".ipynb") and not is_stray(file) and ".kept-" not in file:
                yield Path(here, file)


def one_a_chapter(found: list[Submission]) -> list[Submission]:
    """Submissions of one learner; where two are of one chapter, nobody can tell which one counts."""
    times = Counter(s.chapter for s in found if s.chapter)
    twice = {chapter: [shown(s.path) for s in found if s.chapter == chapter] for chapter in times if times[chapter] > 1}
    kept = []
    for submission in found:
        names = twice.pop(submission.chapter, None)
        if names:
            problem = f"{len(names)} notebooks are of one chapter ({', '.join(names[:4])}): only one may."
            kept.append(replace(submission, problem=problem))
        elif times[submission.chapter] <= 1:
            kept.append(submission)
    return kept


def examined(submission: Submission) -> Submission:
    """A submission with its chapter, or with the problem for which it cannot be graded."""
    try:
        return replace(submission, chapter=read_notebook(submission.path)[0])
    except Unusable as error:
        return replace(submission, problem=str(error))


def read_notebook(path: Path) -> tuple[str, list[Cell]]:
    """The chapter that a notebook belongs to, and all its code cells in order.

    Raises: Unusable, with a sentence, for what cannot be graded.
    """
    return cells_of(read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a notebook; no link is followed, and nothing is waited for.

    Raises: Unusable for what is no file, cannot be read, or is too large.
    """
    try:
        # Without O_NONBLOCK a pipe would keep us waiting for somebody to write to it.
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(opened, "rb") as file:
            about = os.fstat(opened)
            if not stat.S_ISREG(about.st_mode):
                raise Unusable("It is no file.")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Unusable(unreadable(error)) from error
    if len(data) > MOST_BYTES:
        size = max(about.st_size, len(data))
        raise Unusable(f"It has {size / 1e6:.0f} MB; {MOST_BYTES // 10**6} MB are enough. Clear its outputs, and save.")
    return data


def cells_of(data: bytes) -> tuple[str, list[Cell]]:
    """The chapter and the code cells of a notebook's bytes. A damaged cell is left out, and costs no other.

    A task's cell is known by its id; where that was lost, by the function that it defines, and then carries the id.

    Raises: Unusable, with a sentence, for what cannot be graded.
    """
    notebook = parsed(data)
    if len(notebook["cells"]) > MOST_CELLS:
        raise Unusable(f"It has more than {MOST_CELLS} cells.")
    cells = [cell for place, raw in enumerate(notebook["cells"]) if (cell := code_cell(raw, place))]
    if not any(cell.source.strip() for cell in cells):
        raise Unusable("There is no code in it.")
    if sum(len(cell.source) for cell in cells) > MOST_CODE:
        raise Unusable(f"It holds more than {MOST_CODE // 10**6} MB of code.")
    chapter = chapter_of(cells, said_by(notebook))
    if chapter is None:
        raise Unusable("It is no exercise of this course: none of its cells belongs to a task.")
    return chapter, named_by_task(cells, chapter_tasks(chapter))


def parsed(data: bytes) -> dict[str, Any]:
    """The notebook in some bytes, as far as grading needs it to be whole.

    Raises: Unusable for what is no notebook of format 4.
    """
    if not data.strip():
        raise Unusable("It is empty.")
    if data.count(b"{") + data.count(b"[") > MOST_PARTS:
        raise Unusable("It is no notebook: it is made of more parts than any notebook has.")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        where = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Unusable(f"It is no notebook: its JSON is broken{where}. Save it again, and hand it in again.") from error
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise Unusable("It is no notebook: it is JSON of another kind.")
    if notebook["nbformat"] != 4 or isinstance(notebook["nbformat"], bool):
        version = one_line(str(notebook["nbformat"]), 20)
        raise Unusable(f"It is saved in notebook format {version}, not 4. Open it in JupyterLab and save it again.")
    if not isinstance(notebook.get("cells"), list):
        raise Unusable("It is no notebook: it has no list of cells.")
    return notebook


def code_cell(raw: Any, place: int) -> Cell | None:
    """A code cell, however it was saved; None for other cells, and for damaged ones."""
    if not isinstance(raw, dict) or raw.get("cell_type") != "code":
        return None
    source = source_of(raw)
    if source is None:
        return None
    own = raw.get("id")
    fit = isinstance(own, str) and re.fullmatch(r"[\w-]{1,64}", own, re.ASCII)
    return Cell(own if fit else f"cell-{place + 1}", source)


def source_of(raw: dict[str, Any]) -> str | None:
    """The text of a cell, however it was saved; None where it is damaged."""
    source = raw.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    return source.encode("utf-8", "replace").decode() if isinstance(source, str) else None


def said_by(notebook: dict[str, Any]) -> str | None:
    """The chapter that a notebook's metadata name, if it is one."""
    metadata = notebook.get("metadata")
    about = metadata.get("embedcourse") if isinstance(metadata, dict) else None
    chapter = about.get("chapter") if isinstance(about, dict) else None
    return chapter if isinstance(chapter, str) and chapter in modules() else None


def chapter_of(cells: Iterable[Cell], said: str | None = None) -> str | None:
    """The chapter of which the cells hold most tasks: by id, else by the functions they define; else what is `said`."""
    cells = list(cells)
    for votes in (votes_by_id(cells), votes_by_function(cells)):
        if votes:
            # Of equal ones the chapter that the notebook names, else the first of the course.
            return max(modules(), key=lambda chapter: (votes[chapter], chapter == said))
    return said


def votes_by_id(cells: list[Cell]) -> Counter[str]:
    """How many tasks of each chapter the cells name by their id, or by a call of `check`."""
    ids = {cell.id.removeprefix("grade-") for cell in cells}
    ids |= {cell_id(match) for cell in cells for match in CHECK.findall(cell.source)}
    return Counter(chapter for chapter in modules() for task in chapter_tasks(chapter) if cell_id(task.id) in ids)


def votes_by_function(cells: list[Cell]) -> Counter[str]:
    """How many functions of each chapter's tasks the cells define."""
    tasks = ((chapter, task) for chapter in modules() for task in chapter_tasks(chapter))
    return Counter(chapter for chapter, task in tasks if any(defines(cell, task) for cell in cells))


CHECK = re.compile(r"^[ \t]*check\([ \t]*[\"']([\w.]{1,80})[\"']", re.MULTILINE)


def cell_id(task_id: str) -> str:
    """The id of the cell in which the task with an id is solved."""
    return task_id.replace(".", "-")


def named_by_task(cells: list[Cell], tasks: Iterable[Task]) -> list[Cell]:
    """The cells with ids that occur once; the cell that solves a task carries the task's id."""
    solving = {}
    for task in tasks:
        place = place_of(task, cells)
        if place is not None:
            solving.setdefault(place, cell_id(task.id))
    ids, named = set(solving.values()), []
    for place, cell in enumerate(cells):
        own = solving.get(place) or (cell.id if cell.id not in ids else f"cell-{place + 1}")
        while own in ids and place not in solving:
            own += "-x"
        ids.add(own)
        named.append(Cell(own, cell.source))
    return named


def place_of(task: Task, cells: list[Cell]) -> int | None:
    """Where a task is solved: in the cell with its id; where that lacks the function, in the last that defines it."""
    by_id = [place for place, cell in enumerate(cells) if cell.id == cell_id(task.id)]
    by_name = [place for place, cell in enumerate(cells) if defines(cell, task)]
    both = [place for place in by_id if place in by_name]
    return next((places[-1] for places in (both, by_name, by_id) if places), None)


def defines(cell: Cell, task: Task) -> bool:
    """Whether a cell defines a task's function at its top level.

    It is not parsed: Python's parser is no place for hostile code outside the box.
    """
    return task.function in cell.source and bool(definition(task.function).search(cell.source))


@cache
def definition(function: str) -> re.Pattern[str]:
    """A line that defines a function, or gives its name to a value."""
    return re.compile(rf"^(?:def {function} ?\(|{function} ?=(?!=))", re.MULTILINE)
