"""Which tasks a learner has passed, kept outside the course's folder so that no update of the course touches it.

Every passed task is one small file of its own. Nothing is shared between tasks, so nothing needs a lock, and a process
that is stopped half-way through a write loses nothing that was there before.
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from embedcourse import course

__all__ = ["Passed", "clear", "folder", "home", "passed", "record"]

TASK_ID = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")  # also a safe file name on every system


@dataclass(frozen=True)
class Passed:
    """A task that was passed: its points, and when it was passed first (ISO 8601, UTC)."""

    task: str
    points: int
    at: str

    @classmethod
    def read(cls, file: Path) -> "Passed":
        """Read one file; ValueError when it holds anything else than what `record` writes."""
        values = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.keys() != {"task", "points", "at"} or values["task"] != file.stem:
            raise ValueError(f"{file.name} does not hold the record of a passed task")
        if not isinstance(values["points"], int):
            raise ValueError(f"points: expected a whole number, got {values['points']!r}")
        datetime.fromisoformat(values["at"])
        return cls(**values)


def home() -> Path:
    """Where this user's progress lies: $EMBEDCOURSE_HOME, or the system's place for data of programs."""
    chosen = os.environ.get("EMBEDCOURSE_HOME")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_data_dir("embedcourse", False))


def folder() -> Path:
    """Where progress in this copy of the course lies; another copy has another folder."""
    root = course.root()
    return home() / f"{root.name}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:10]}"


def record(task_id: str, points: int) -> None:
    """Note that a task was passed. The first date stays; points never go down.

    Raises: ValueError for an id that is none; OSError where the folder cannot be written.
    """
    file = file_of(task_id)
    try:
        before = read_or_set_aside(file)
        if before is not None and before.points >= points:
            return
        at = before.at if before else datetime.now(UTC).isoformat(timespec="seconds")
        course.write_whole(file, json.dumps(asdict(Passed(task_id, points, at))).encode())
    except OSError as error:
        raise OSError(
            f"{file.parent} cannot be written ({error.strerror or error}); "
            "make it writable, or set EMBEDCOURSE_HOME to a folder that is"
        ) from error


def passed() -> dict[str, Passed]:
    """The passed tasks by id. A damaged file is warned of, left where it is, and not counted."""
    found: dict[str, Passed] = {}
    for file in sorted(folder().glob("*.json")):
        try:
            found[file.stem] = Passed.read(file)
        except (ValueError, TypeError, OSError) as error:
            warnings.warn(f"the progress file {file} is damaged and not counted: {error}", stacklevel=2)
    return found


def clear(task_ids: Iterable[str]) -> None:
    """Forget that tasks were passed; those that were not are left out in silence."""
    for task_id in task_ids:
        file_of(task_id).unlink(missing_ok=True)


def file_of(task_id: str) -> Path:
    """The file of one task."""
    if not isinstance(task_id, str) or not TASK_ID.fullmatch(task_id):
        raise ValueError(f"task_id: expected an id such as 'hamming.count', got {task_id!r}")
    return folder() / f"{task_id}.json"


def read_or_set_aside(file: Path) -> Passed | None:
    """What was recorded before; a damaged file is kept under another name, so that a good one can take its place."""
    try:
        return Passed.read(file)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        os.replace(file, file.with_suffix(".damaged"))
        return None
