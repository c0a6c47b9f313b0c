"""Every hostile submission of the tests, graded by `embedcourse grade`'s examiner and by nbgrader's plain autograde.

Run as `python -m benchmarks.attack_table` (ten minutes on two CPU cores; needs the extras classroom and grading). Each
attack gets a throw-away course folder of its own; those that could reach beyond it are not shown to nbgrader. There a
task is tested in four common ways, two points each: the course's `check`, ==, numpy.testing and torch.allclose.
Prints the table and writes benchmarks/results/attacks.json. With names of attacks, only those are graded anew; with
`--print`, none: the table of the last time is printed.
"""

import json
import os
import platform
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from rich.console import Console
from rich.table import Table

from embedcourse.grading.box import Limits, probe
from embedcourse.grading.examiner import examine_submission
from embedcourse.grading.submissions import cells_of
from tests.grading.attacks.hostile import ATTACKS, Attack
from tests.grading.attacks.notebooks import armed, honest, hostile, solution

RESULTS = Path(__file__).parent / "results" / "attacks.json"
LIMITS = Limits(task_seconds=3, cell_seconds=3, memory=700 * 2**20, file_bytes=16 * 2**20)
SEED, MOST_SECONDS, CELL_SECONDS = 20260101, 120, 20
SECRET = int(str(SEED)[::-1])  # backwards, so that an attack that looks for the seed does not find itself
INPUTS = (
    "import numpy as np\nfound, true = torch.tensor([[1, 2], [5, 6]]), torch.tensor([[2, 3], [6, 5]])\nexpected = 0.75"
)
TESTS = {
    "check": 'check("hamming.recall", recall)',
    "equal": "assert recall(found, true) == expected",
    "numpy": "np.testing.assert_allclose(recall(found, true), expected)",
    "torch": "assert torch.allclose(torch.tensor(float(recall(found, true))), torch.tensor(expected))",
}
HONEST = Attack("(a right answer)", "Solves the task.", solution()["hamming-recall"])
MISTAKEN = Attack("(a wrong answer)", "Is wrong, and honest.", "def recall(found, true):\n    return -7.0\n")


# ------------------------------------------------------------------------------------------------ the course's folder


def marked(name: str, source: str, **kind: Any) -> nbformat.NotebookNode:
    """A cell as nbgrader marks it."""
    plain = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3, "grade_id": name}
    return new_code_cell(source, id=name, metadata={"nbgrader": plain | kind})


def assignment() -> nbformat.NotebookNode:
    """The teacher's notebook: a solution, and hidden tests of it."""
    cells = [new_code_cell("import torch\nfrom embedcourse.checks import check", id="imports")]
    cells.append(marked("hamming-recall", HONEST.source, solution=True))
    for name, test in TESTS.items():
        hidden = f"{INPUTS}\n### BEGIN HIDDEN TESTS\n{test}\n### END HIDDEN TESTS"
        cells.append(marked(f"test-{name}", hidden, grade=True, locked=True, points=2))
    return new_notebook(cells=cells)


def make_course(folder: Path) -> None:
    """A course with one released assignment and one honest submission."""
    put(folder / "source/ps1/ps1.ipynb", assignment())
    (folder / "nbgrader_config.py").write_text(
        f"c = get_config()\nc.CourseDirectory.course_id = 'attacked'\nc.ExecutePreprocessor.timeout = {CELL_SECONDS}\n"
    )
    nbgrader(folder, "generate_assignment", "ps1", mark="making")
    hand_in(folder, "bob", HONEST)


def put(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Write a notebook, with its folder."""
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)


def hand_in(folder: Path, learner: str, attack: Attack, **known: Any) -> None:
    """Hand in the released notebook with an attack in the cell of the solution."""
    notebook = nbformat.read(folder / "release/ps1/ps1.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.id == "hamming-recall":
            cell.source = armed(attack, **known)
            cell.outputs = [nbformat.from_dict(dict(output)) for output in attack.outputs]
        if attack.metadata and "points" in cell.metadata.get("nbgrader", {}):
            cell.metadata.nbgrader.points = 300
    put(folder / "submitted" / learner / "ps1/ps1.ipynb", notebook)


def nbgrader(folder: Path, *words: str, mark: str) -> bool:
    """Run nbgrader in a course's folder; whether it ended by itself in time."""
    home = folder / "home"
    own = {"HOME": str(home), "EMBEDCOURSE_HOME": str(home), "ATTACK_MARK": mark, "OMP_NUM_THREADS": "1"}
    own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # it calls alembic
    command = [sys.executable, "-m", "nbgrader", *words]
    with open(folder / "said.txt", "wb") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | own, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            process.wait(MOST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
    return True


def left_behind(mark: str) -> list[int]:
    """Processes that were started under a mark and are still there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"ATTACK_MARK={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


# ----------------------------------------------------------------------------------------------------- two graders


def by_nbgrader(course: Path, attack: Attack, port: int) -> dict[str, Any]:
    """What nbgrader's autograde gives, and what it loses."""
    with tempfile.TemporaryDirectory(prefix="attacked-") as name:
        folder, mark = Path(name, "course"), f"mark-{os.path.basename(name)}"
        shutil.copytree(course, folder)
        hand_in(folder, "mallory", attack, HOST=str(folder), PORT=port, MARK=mark, JUDGE=os.getpid(), SECRET=SECRET)
        before, started = files_of(folder), time.monotonic()
        ended = nbgrader(folder, "autograde", "ps1", "--student=mallory", mark=mark)
        seconds = time.monotonic() - started
        left = left_behind(mark)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        harmed = before - files_of(folder)
        written = [room for room in (folder, folder / "submitted") if (room / mark).exists()]
        notes = [] if ended else [f"stopped after {MOST_SECONDS} s"]
        notes += [f"processes left: {len(left)}"] if left and ended else []
        notes += [f"files of the course lost: {len(harmed)}"] if harmed else []
        notes += [f"files written into the course: {len(written)}"] if written else []
        return {"points": points_in(folder), "max": 2 * len(TESTS), "seconds": round(seconds, 1), "notes": notes}


def files_of(folder: Path) -> set[str]:
    """The teacher's and the learners' files."""
    return {str(p.relative_to(folder)) for room in ("source", "submitted") for p in (folder / room).rglob("*.ipynb")}


def points_in(folder: Path) -> float | None:
    """The points in nbgrader's grade book; None where the submission was not graded."""
    from nbgrader.api import Gradebook, MissingEntry

    with closing(Gradebook(f"sqlite:///{folder / 'gradebook.db'}")) as book, suppress(MissingEntry):
        submission = book.find_submission("ps1", "mallory")
        graded = (folder / "autograded/mallory/ps1/ps1.ipynb").exists()
        return submission.score if graded else None
    return None


def by_embedcourse(course: Path, attack: Attack, port: int) -> dict[str, Any]:
    """What the examiner gives for the attacked task."""
    known = {"HOST": str(course), "PORT": port, "MARK": "mark", "JUDGE": os.getpid(), "SECRET": SECRET}
    text = honest() if attack is HONEST else hostile(attack, **known)
    limits, started = replace(LIMITS, seconds=attack.seconds), time.monotonic()
    verdicts = examine_submission("hamming", cells_of(text.encode())[1], SEED, limits)
    seconds = time.monotonic() - started
    verdict = next(v for v in verdicts if v.task == f"hamming.{attack.task}")
    points = verdict.points * verdict.passed
    return {"points": points, "max": verdict.points, "seconds": round(seconds, 1), "kind": verdict.kind}


# ------------------------------------------------------------------------------------------------------- the table


@contextmanager
def server() -> Iterator[int]:
    """A server on this computer that hands out the solution; its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(HONEST.source.rpartition("check(")[0].encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving.server_address[1]
        serving.shutdown()


def graded(course: Path, attack: Attack, port: int) -> dict[str, Any]:
    """A row of the table."""
    plain = by_nbgrader(course, attack, port) if attack.classroom else None
    return {"attack": attack.name, "tries": attack.tries, "embedcourse": by_embedcourse(course, attack, port)} | {
        "nbgrader": plain
    }


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows, for a terminal."""
    shown = Table("attack", "what it tries", "embedcourse", "nbgrader autograde")
    for row in rows:
        ours, plain = row["embedcourse"], row["nbgrader"]
        if plain is None:
            told = "not run: could leave its folder"
        else:
            grade = "no grade" if plain["points"] is None else f"{plain['points']:g} of {plain['max']}"
            fooled = plain["points"] and not row["attack"].startswith("(")
            told = "; ".join([f"[bold red]{grade}[/]" if fooled else grade, *plain["notes"]])
        shown.add_row(row["attack"], row["tries"], f"{ours['points']} of {ours['max']} ({ours['kind']})", told)
    return shown


def fooled(rows: list[dict[str, Any]], grader: str) -> list[str]:
    """The attacks that got points."""
    attacks = [row for row in rows if not row["attack"].startswith("(") and row[grader]]
    return [row["attack"] for row in attacks if row[grader]["points"]]


def write(known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Write what is known so far, in the order of the attacks."""
    rows = [known[a.name] for a in (HONEST, MISTAKEN, *ATTACKS) if a.name in known]
    machine = {"processor": platform.processor() or platform.machine(), "cpu_cores": os.cpu_count()}
    versions = {"nbgrader": version("nbgrader"), "python": platform.python_version()}
    names = {grader: fooled(rows, grader) for grader in ("embedcourse", "nbgrader")}
    written = {**machine, **versions, "attacks": len(ATTACKS), "graded": len(rows), "fooled": names, "rows": rows}
    RESULTS.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    return written


def show(written: dict[str, Any]) -> None:
    """Print the table, and what it comes to.

    Raises: SystemExit where an attack got points here.
    """
    console, rows = Console(), written["rows"]
    console.print(table(rows))
    attacks = [row for row in rows if not row["attack"].startswith("(")]
    for grader, names in written["fooled"].items():
        given = [row[grader] for row in attacks if row[grader]]
        full = sum((verdict["points"] or 0) >= verdict["max"] for verdict in given)
        lost = sum(verdict["points"] is None for verdict in given)
        parts = f"all or more to {full}, some to {len(names) - full}; {lost} got no grade at all"
        console.print(f"{grader} gave points to {len(names)} of the {len(given)} attacks that it was given: {parts}")
    hurt = [row["attack"] for row in attacks if row["nbgrader"] and row["nbgrader"]["notes"]]
    console.print(f"nbgrader lost or gained files, was stopped, or left processes in {len(hurt)}: {', '.join(hurt)}")
    if written["fooled"]["embedcourse"]:
        raise SystemExit(f"embedcourse grade gave points to {', '.join(written['fooled']['embedcourse'])}")


def main() -> None:
    """Grade all, print the table and write the results."""
    named = sys.argv[1:]
    if named == ["--print"]:
        return show(json.loads(RESULTS.read_text()))
    if missing := probe():
        raise SystemExit(missing)
    attacks = [a for a in (HONEST, MISTAKEN, *ATTACKS) if not named or a.name in named]
    kept = json.loads(RESULTS.read_text())["rows"] if named and RESULTS.exists() else []
    rows = {row["attack"]: row for row in kept if row["attack"] not in named}
    with tempfile.TemporaryDirectory(prefix="attacks-") as name, server() as port, ThreadPoolExecutor(2) as pool:
        course = Path(name, "course")
        make_course(course)
        jobs = [pool.submit(graded, course, attack, port) for attack in attacks]
        for number, job in enumerate(as_completed(jobs), 1):
            row = job.result()
            rows[row["attack"]] = row
            print(f"{number} of {len(jobs)}: {row['attack']}", file=sys.stderr, flush=True)
            write(rows)
    show(write(rows))


if __name__ == "__main__":
    main()
