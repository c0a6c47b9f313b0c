"""Every attack, graded in a box beside an honest submission: nothing is gained, nothing is harmed, nothing is left."""

import contextlib
import csv
import os
import random
import resource
import secrets
import socket
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from embedcourse.grading.box import Box, Limits
from embedcourse.grading.examiner import Sitting, examine_submission
from embedcourse.grading.grade import grade
from embedcourse.grading.submissions import cells_of, find_submissions
from tests.grading.boxed import needs_box
from tests.grading.handed_in import HOSTILE, hand_in

from .hostile import ALL, ATTACKS
from .notebooks import CHAPTER, honest, hostile

pytestmark = needs_box
SEED = random.Random("attacks").getrandbits(60)
LIMITS = Limits(task_seconds=1.0, cell_seconds=1.0, memory=700 * 2**20, file_bytes=16 * 2**20)


class Host:
    """A course's folder with all that there is to harm, on a computer with a server, and what became of it."""

    def __init__(self, folder: Path, mark: str) -> None:
        self.folder, self.mark = folder, mark
        for name in ("source/ps1/ps1.ipynb", "submitted/bob/ps1/ps1.ipynb"):
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_text(honest())
        with contextlib.closing(sqlite3.connect(folder / "gradebook.db")) as book, book:
            book.execute("CREATE TABLE grade (learner TEXT, auto_score REAL, extra_credit REAL)")
            book.execute("INSERT INTO grade VALUES ('bob', 6, 0)")
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.before = self.now()

    @property
    def port(self) -> int:
        return self.server.getsockname()[1]

    def now(self) -> dict[str, bytes]:
        """All files, with what is in them."""
        return {str(p): p.read_bytes() if p.is_file() else b"" for p in sorted(self.folder.rglob("*"))}

    def visited(self) -> bool:
        """Whether anybody came to the server."""
        try:
            self.server.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def marked(self) -> list[str]:
        """Files and processes of this computer that carry the mark."""
        places = {tempfile.gettempdir(), "/tmp", "/dev/shm", os.getcwd()}
        found = [str(p) for place in places for p in Path(place).glob(f"*{self.mark}*") if p != self.folder]
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in (process / "cmdline").read_bytes():
                    found.append(process.name)
        return found


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path / "host", f"mark-{secrets.token_hex(8)}")
    yield host
    host.server.close()


class Boxes:
    """The boxes that were built: the namespaces of their processes, and the time to load Python and torch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spaces: list[int] = []  # open files, which keep the kernel from giving their numbers to others
        self.loading = 0.0
        first, start = Box._first_process, Box.await_start

        def first_process(own: Box, pid: int) -> None:
            self.spaces.append(os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY))
            first(own, pid)

        def await_start(own: Box) -> None:
            started = time.monotonic()
            start(own)
            self.loading += time.monotonic() - started

        monkeypatch.setattr(Box, "_first_process", first_process)
        monkeypatch.setattr(Box, "await_start", await_start)

    def living(self) -> list[str]:
        """Processes that are still in one of the boxes."""
        known, found = {os.fstat(space).st_ino for space in self.spaces}, []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ended = (process / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                if not ended and (process / "ns/pid").stat().st_ino in known:
                    found.append(process.name)
        return found

    def forget(self) -> None:
        """Close the open files."""
        for space in self.spaces:
            os.close(space)


@pytest.fixture
def boxes(monkeypatch):
    boxes = Boxes(monkeypatch)
    yield boxes
    boxes.forget()


@pytest.fixture(scope="module")
def neighbour():
    """An honest submission in a box that stands beside those of the attacks."""
    with Sitting(CHAPTER, cells_of(honest().encode())[1], Limits(seconds=3600), True) as sitting:
        for task in sitting.tasks:  # so that the judge's own part of the work is done once, before
            assert sitting.verdict(task, SEED).passed
        yield sitting


def points(verdicts) -> dict[str, int]:
    """The points of each task."""
    return {v.task.split(".")[1]: v.points * v.passed for v in verdicts}


FULL = {"count": 2, "binarize": 2, "packed": 3, "search": 4, "recall": 2, "choose": 3}


def test_the_honest_notebook_gets_all_points(neighbour):
    assert points(neighbour.verdict(task, SEED) for task in neighbour.tasks) == FULL


def test_there_are_attacks_enough_and_each_says_what_it_tries():
    assert len(ATTACKS) >= 25
    assert len({a.name for a in ATTACKS}) == len(ATTACKS)
    assert all(a.tries.endswith(".") and a.task in ALL for a in ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack(attack, host, boxes, neighbour, monkeypatch):
    monkeypatch.setenv("GRADING_SEED", str(SEED))
    known = {"HOST": str(host.folder), "PORT": host.port, "MARK": host.mark, "JUDGE": os.getpid()}
    text = hostile(attack, SECRET=int(str(SEED)[::-1]), **known)
    chapter, cells = cells_of(text.encode())
    assert chapter == CHAPTER
    limits = replace(LIMITS, seconds=attack.seconds)
    peak, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        graded = pool.submit(examine_submission, chapter, cells, SEED, limits)
        beside = [points(neighbour.verdict(task, SEED) for task in neighbour.tasks)]
        verdicts = {v.task.split(".")[1]: v for v in graded.result()}
        took = time.monotonic() - started - boxes.loading

    attacked = verdicts[attack.task]
    assert not attacked.passed, attack.tries
    assert attacked.kind in attack.kinds, attacked
    assert attack.says in attacked.message
    got, kept = points(verdicts.values()), set(ALL) - {attack.task, *attack.lost}
    assert {task: got[task] for task in kept} == {task: FULL[task] for task in kept}

    beside.append(points(neighbour.verdict(task, SEED) for task in neighbour.tasks))
    assert beside == [FULL, FULL], "another submission was graded otherwise"
    assert host.now() == host.before, "the host was harmed"
    assert not host.visited()
    assert boxes.living() == []
    assert host.marked() == []
    assert took < attack.seconds + 5
    assert len(boxes.spaces) <= 14
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 400_000, "the judge's own memory grew"


# ------------------------------------------------------------------------------------- from the folder to the report


SHOWN = [a for a in ATTACKS if a.name in ("shows a page", "error as a page", "forged metadata")]


def test_a_class_with_hostile_names_and_outputs(tmp_path, host):
    names = [name for name in HOSTILE if "/" not in name and name.isprintable()][: len(SHOWN)]
    texts = {name: hostile(attack) for name, attack in zip(names, SHOWN, strict=False)}
    folder = hand_in(tmp_path / "class", bob=honest(), **texts)
    os.symlink(host.folder / "source/ps1/ps1.ipynb", folder / "linked.ipynb")
    os.symlink(host.folder / "submitted", folder / "folder")
    outcome = grade(folder, tmp_path / "report", seed=SEED, jobs=2, timeout=30)
    with open(tmp_path / "report" / "grades.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["points"]) for row in rows if row["learner"] == "bob") == sum(FULL.values())
    assert {row["points"] for row in rows if row["task"] == "hamming.recall" and row["learner"] != "bob"} == {"0"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values() if cell)
    problems = {g.learner: g.problem for g in outcome.graded if g.problem}
    assert set(problems) == {"linked", "folder"}
    assert all("link" in problem for problem in problems.values())
    for page in (tmp_path / "report").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<img src=x" not in text
        assert "<b onmouseover" not in text
        assert "\x1b" not in text
        assert page.resolve().is_relative_to(tmp_path / "report")
    assert {p.name for p in (tmp_path / "report").iterdir()} == {
        *("feedback", "grades.csv", "journal.jsonl", "lms.csv", "summary.html")
    }
    assert host.now() == host.before


def test_a_link_is_not_followed(host):
    folder = host.folder / "submitted"
    os.symlink(host.folder / "source/ps1/ps1.ipynb", folder / "mallory.ipynb")
    found = {s.learner: s.problem for s in find_submissions(folder)}
    assert found["bob"] is None
    assert "link" in found["mallory"]
