"""Seconds a submission and memory of `embedcourse grade`, beside nbgrader's plain autograde of the same exercise.

Run as `python -m benchmarks.grading` on an idle computer (six minutes on two CPU cores; needs the extras classroom and
grading). Chapter 2, three times: a class of honest solutions, some of them by nbgrader, and a class of which one in
twenty is hostile. Seconds are those of the whole command by the clock, a submission's share of it; nbgrader runs every
cell of a notebook, the grader here what its tasks depend on. Writes benchmarks/results/grading.json.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from embedcourse import course
from embedcourse.grading.box import family, probe
from tests.grading.attacks.hostile import ATTACKS, Attack
from tests.grading.attacks.notebooks import hostile

RESULTS = Path(__file__).parent / "results" / "grading.json"
STEM, SEED, ONE_HOSTILE_IN, MOMENT = "02_hamming", 20260101, 20, 0.2
GRADER = "import sys; from embedcourse.cli import main; main(sys.argv[1:])"


# ------------------------------------------------------------------------------------------------------- the class


def honest(learner: int) -> str:
    """The solution of the chapter, with a comment and a name that no other learner's notebook has."""
    notebook = json.loads((course.root() / "solutions" / f"{STEM}.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell.get("id", "").startswith("hamming-"):
            cell["source"] = f"mine_{learner} = {learner}  # learner {learner}\n" + "".join(cell["source"])
    return json.dumps(notebook)


def attacks(count: int) -> list[Attack]:
    """So many attacks that a plain autograder could be given, too, spread over all kinds."""
    fit = [attack for attack in ATTACKS if attack.classroom]
    return [fit[i * len(fit) // count % len(fit)] for i in range(count)]


def hand_in(folder: Path, count: int, hostile_ones: int = 0) -> dict[str, Attack]:
    """A class of so many, of whom some are hostile; these by their names."""
    folder.mkdir()
    bad = {f"learner-{i * ONE_HOSTILE_IN:04d}": attack for i, attack in enumerate(attacks(hostile_ones))}
    known = {"HOST": str(folder), "PORT": 9, "MARK": "mark", "JUDGE": os.getpid(), "SECRET": SEED}
    for i in range(count):
        name = f"learner-{i:04d}"
        text = hostile(bad[name], **known) if name in bad else honest(i)
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
    return bad


# ----------------------------------------------------------------------------------------------------- two graders


def by_embedcourse(place: Path, count: int, hostile_ones: int, jobs: int) -> dict[str, Any]:
    """What grading a class costs, what it leaves behind, and that every honest learner has full marks."""
    bad = hand_in(place / "class", count, hostile_ones)
    out, room = place / "report", place / "tmp"
    room.mkdir()
    command = [sys.executable, "-c", GRADER, "grade", str(place / "class"), "--out", str(out)]
    command += ["--jobs", str(jobs), "--seed", str(SEED)]
    started, memory = time.monotonic(), []
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    grader = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(room)}, **quiet)
    while grader.poll() is None:
        memory.append((graded_so_far(out), resident(grader.pid)))
        time.sleep(MOMENT)
    seconds = time.monotonic() - started
    if grader.returncode:
        raise SystemExit(f"embedcourse grade ended with {grader.returncode}")
    require_fair(out, bad, count)
    thirds = [max(m for graded, m in memory if graded <= share * count) for share in (1 / 3, 1)]
    return {
        **{"submissions": count, "hostile": hostile_ones, "attacks": [a.name for a in bad.values()], "jobs": jobs},
        "seconds_a_submission": round(seconds / count, 3),
        "megabytes": {"largest in the first third": thirds[0] >> 20, "largest": thirds[1] >> 20},
        "processes_left": len(left_behind()),
        "files_left": len([*room.rglob("*"), *out.rglob(".*"), *out.rglob("*.tmp")]),
    }


def graded_so_far(out: Path) -> int:
    """How many submissions stand in the journal."""
    with suppress(FileNotFoundError):
        return max(0, (out / "journal.jsonl").read_bytes().count(b"\n") - 1)
    return 0


def resident(pid: int) -> int:
    """Bytes of memory of the grader itself, without its boxes."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def require_fair(out: Path, bad: dict[str, Attack], count: int) -> None:
    """Refuse a report in which an honest learner lacks a point, or a hostile one has those of the attacked task."""
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if len({row["learner"] for row in rows}) != count:
        raise SystemExit(f"the report does not hold {count} learners")
    for row in rows:
        attack = bad.get(row["learner"])
        if attack is None and row["points"] != row["max"]:
            raise SystemExit(f"an honest learner lacks points: {row}")
        if attack is not None and row["task"] == f"hamming.{attack.task}" and row["points"] != "0":
            raise SystemExit(f"the attack {attack.name} got points: {row}")


def adopt_orphans() -> None:
    """Let processes whose parents have ended become children of this one, where they are counted."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def left_behind() -> list[int]:
    """Processes that outlived who started them."""
    time.sleep(1)  # who is killed dies when the kernel gets to it
    return [pid for pid in family(os.getpid()) if pid != os.getpid() and alive(pid)]


def alive(pid: int) -> bool:
    """Whether a process runs, and does not only wait for its parent to hear of its end."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def by_nbgrader(place: Path, count: int) -> dict[str, Any]:
    """What nbgrader's autograde of an honest class costs, in a course folder of its own."""
    source = place / "source/ps1" / f"{STEM}.ipynb"
    source.parent.mkdir(parents=True)
    source.write_bytes((course.root() / "solutions" / source.name).read_bytes())
    settings = ("c = get_config()", "c.CourseDirectory.course_id = 'measured'", "c.ExecutePreprocessor.timeout = 180")
    (place / "nbgrader_config.py").write_text("\n".join(settings) + "\n")
    nbgrader(place, "generate_assignment", "ps1")
    for i in range(count):
        handed_in = place / "submitted" / f"learner-{i:04d}/ps1" / source.name
        handed_in.parent.mkdir(parents=True)
        handed_in.write_text(honest(i), encoding="utf-8")
    started = time.monotonic()
    nbgrader(place, "autograde", "ps1")
    seconds = time.monotonic() - started
    return {
        "submissions": count,
        "seconds_a_submission": round(seconds / count, 3),
        "points": sorted(set(scores(place))),
    }


def nbgrader(place: Path, *words: str) -> None:
    """Run nbgrader in a course's folder.

    Raises: CalledProcessError where it fails.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # it calls alembic
    own = {"HOME": str(place), "EMBEDCOURSE_HOME": str(place / "home"), "PATH": path}
    command = [sys.executable, "-m", "nbgrader", *words]
    subprocess.run(command, cwd=place, env=os.environ | own, check=True, capture_output=True)


def scores(place: Path) -> Iterator[float]:
    """The points of each submission in nbgrader's grade book."""
    from nbgrader.api import Gradebook

    with closing(Gradebook(f"sqlite:///{place / 'gradebook.db'}")) as book:
        yield from [submission.score for submission in book.assignment_submissions("ps1")]


# ------------------------------------------------------------------------------------------------------- the table


def main() -> None:
    """Measure all three, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=100, help="in the honest class; a third of the other one")
    parser.add_argument("--jobs", type=int, default=2)
    wanted = parser.parse_args()
    if missing := probe():
        raise SystemExit(missing)
    adopt_orphans()
    count, results = wanted.submissions, {}
    with tempfile.TemporaryDirectory(prefix="class-") as name:
        for kind, measure in {
            "honest": lambda place: by_embedcourse(place, count, 0, wanted.jobs),
            "honest, nbgrader": lambda place: by_nbgrader(place, max(1, count // 10)),
            "one in twenty hostile": lambda place: by_embedcourse(
                place, 3 * count, -(-3 * count // ONE_HOSTILE_IN), wanted.jobs
            ),
        }.items():
            place = Path(name, str(len(results)))
            place.mkdir()
            results[kind] = measure(place)
            print(f"{kind}: {results[kind]['seconds_a_submission']} s a submission", file=sys.stderr, flush=True)
    machine = {"processor": platform.processor() or platform.machine(), "cpu_cores": os.cpu_count()}
    machine["python"] = platform.python_version()
    versions = {name: version(name) for name in ("torch", "nbgrader")}
    RESULTS.write_text(json.dumps({**machine, **versions, **results}, indent=1) + "\n")
    table = Table("class", "submissions", "seconds each", "MB, first third", "MB, largest", "left behind")
    for kind, row in results.items():
        memory = [str(m) for m in row.get("megabytes", {"": "", " ": ""}).values()]
        left = f"{row['processes_left']} processes, {row['files_left']} files" if "files_left" in row else ""
        table.add_row(kind, str(row["submissions"]), f"{row['seconds_a_submission']:g}", *memory, left)
    Console().print(table)


if __name__ == "__main__":
    main()
