"""A class is graded whatever its notebooks do, twice with the same bytes, and a stopped run goes on."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from embedcourse.grading import box
from embedcourse.grading.grade import JOURNAL, NoSandbox, grade, in_a_box, processors
from embedcourse.grading.gradebook import Journal, Settings
from embedcourse.grading.submissions import read_notebook

from .handed_in import CHAPTER, HOSTILE, TASKS, code, hand_in, notebook, solved, taken_at_its_word

SEED = 3  # the same in all tests, so that oracles are asked once


@pytest.fixture
def submissions(tmp_path):
    """A class of three."""
    wrong = solved("passed", "value", "timeout", "passed", "missing", "forged")
    return hand_in(tmp_path / "in", alice=solved(), bob=wrong, carol=solved("unwritten"))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "report"


def run(submissions: Path, out: Path, **options):
    quiet = Console(file=open(os.devnull, "w"))  # noqa: SIM115  it lives as long as the process
    return grade(
        submissions, out, **{"seed": SEED, "examine": taken_at_its_word, "console": quiet, "jobs": 2} | options
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def statuses(out: Path) -> list[tuple[str, str, str]]:
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        return [(row["learner"], row["task"], row["status"]) for row in csv.DictReader(file)]


# -------------------------------------------------------------------------------------------------- the report


def test_the_report_holds_all_that_was_promised_and_nothing_else(submissions, out):
    outcome = run(submissions, out)
    assert outcome.exit_code == 0
    assert set(contents(out)) == {
        *("grades.csv", "lms.csv", "summary.html", JOURNAL),
        *(f"feedback/{name}.html" for name in ("alice", "bob", "carol")),
    }
    assert statuses(out)[:2] == [("alice", "hamming.count", "passed"), ("alice", "hamming.binarize", "passed")]
    kinds = ["passed", "value", "timeout", "passed", "missing", "forged"]
    assert [status for learner, _, status in statuses(out) if learner == "bob"] == kinds
    assert [(g.learner, g.points) for g in outcome.graded] == [("alice", 16), ("bob", 6), ("carol", 0)]


def test_grading_twice_gives_the_same_bytes_whoever_is_ready_first(submissions, out, tmp_path):
    def slow_for_alice(chapter, cells, settings):
        time.sleep(0.2 if "value" not in str(cells) else 0)
        return taken_at_its_word(chapter, cells, settings)

    run(submissions, out, jobs=1)
    run(submissions, tmp_path / "again", jobs=3, examine=slow_for_alice)
    assert contents(out) == contents(tmp_path / "again")
    run(submissions, out, jobs=2)
    assert contents(out) == contents(tmp_path / "again")


def test_without_a_seed_a_fresh_one_is_drawn(submissions, out, monkeypatch):
    monkeypatch.setattr("secrets.randbits", lambda bits: SEED)
    assert run(submissions, out, seed=None).settings.seed == SEED
    assert f"Seed {SEED}" in (out / "summary.html").read_text()


def test_pages_of_learners_who_are_gone_go_and_other_files_stay(submissions, out):
    run(submissions, out)
    (out / "notes.txt").write_text("the teacher's own")
    (submissions / "bob.ipynb").unlink()
    run(submissions, out)
    assert not (out / "feedback" / "bob.html").exists()
    assert (out / "notes.txt").exists()


@pytest.mark.parametrize("unsafe", [True, False])
def test_every_page_says_whether_there_was_no_sandbox_and_the_examiner_knows(submissions, out, unsafe):
    told = []

    def examine(chapter, cells, settings):
        told.append(settings.sandbox)
        return taken_at_its_word(chapter, cells, settings)

    outcome = run(submissions, out, unsafe=unsafe, examine=examine)
    assert set(told) == {not unsafe}
    pages = [out / "summary.html", *(out / "feedback").iterdir()]
    assert [("Graded without the sandbox" in page.read_text()) for page in pages] == [unsafe] * 4
    assert any("without the sandbox" in line for line in outcome.lines()) == unsafe


# ---------------------------------------------------------------------------------------------- whatever comes


def test_bad_input_is_a_row_each_and_stops_nobody(submissions, out):
    (submissions / "broken.ipynb").write_text('{"cells": [')
    (submissions / "link.ipynb").symlink_to("alice.ipynb")
    (submissions / "empty").mkdir()
    (submissions / "huge.ipynb").write_bytes(b" " * 20_000_001)
    (submissions / "nocode.ipynb").write_text(notebook([]))
    outcome = run(submissions, out)
    assert outcome.exit_code == 0
    rows = {learner: status for learner, task, status in statuses(out) if not task}
    assert set(rows) == {"broken", "link", "empty", "huge", "nocode"}
    assert all(status.startswith("not graded: ") for status in rows.values())
    assert len(list((out / "feedback").iterdir())) == 8
    assert "3 of 8 notebooks are graded." in outcome.lines()


def test_hostile_names_end_in_pages_inside_the_report_and_in_lines_that_are_seen(tmp_path, out):
    folder = hand_in(tmp_path / "in", **{name: solved() for name in HOSTILE if "/" not in name})
    (folder / "..\\..\\up.ipynb").write_text("\x1b[2J")
    outcome = run(folder, out)
    assert {path.parent for path in out.rglob("*.html")} == {out, out / "feedback"}
    assert len(list((out / "feedback").iterdir())) == len(outcome.graded)
    assert all(line.isprintable() for line in outcome.lines())
    assert set(tmp_path.iterdir()) == {folder, out}


def test_where_the_examiner_fails_the_class_is_graded_and_the_command_says_so(submissions, out):
    def examine(chapter, cells, settings):
        if "value" in str(cells):
            raise OSError("no more\x1b[31m processes")
        return taken_at_its_word(chapter, cells, settings)

    outcome = run(submissions, out, examine=examine)
    assert outcome.exit_code == 1
    said = {status for learner, _, status in statuses(out) if learner == "bob"}
    assert said == {"not graded: The grader failed on it. OSError: no more processes"}
    assert len([row for row in statuses(out) if row[2] == "passed"]) == len(TASKS)
    again = run(submissions, out, resume=True)
    assert again.exit_code == 0
    assert ("bob", "hamming.binarize", "value") in statuses(out)


@pytest.mark.parametrize("answer", [[], None, [1], "verdicts"])
def test_verdicts_that_are_none_count_for_nobody(submissions, out, answer):
    assert run(submissions, out, examine=lambda *_: answer).exit_code == 1
    assert not [row for row in statuses(out) if row[2] == "passed"]


def test_verdicts_on_other_tasks_count_for_nobody(submissions, out):
    def examine(*given):
        return taken_at_its_word(*given)[::-1]

    assert run(submissions, out, examine=examine).exit_code == 1
    assert not [row for row in statuses(out) if row[2] == "passed"]


def test_a_notebook_that_changes_meanwhile_is_judged_by_what_was_read(submissions, out):
    def examine(chapter, cells, settings):
        (submissions / "bob.ipynb").write_text("gone")
        return taken_at_its_word(chapter, cells, settings)

    run(submissions, out, examine=examine, jobs=1)
    assert ("bob", "", "not graded: It is no notebook: its JSON is broken in line 1. Save it again, and hand it in "
            "again.") in [(a, "", s) for a, _, s in statuses(out)]  # fmt: skip


def test_no_more_are_examined_at_a_time_than_jobs(tmp_path, out):
    folder, now, most, lock = (
        hand_in(tmp_path / "in", **{f"l{i}": solved() for i in range(12)}),
        [0],
        [0],
        threading.Lock(),
    )

    def examine(*given):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return taken_at_its_word(*given)

    before = threading.active_count()
    run(folder, out, examine=examine, jobs=3)
    assert most == [3]
    assert threading.active_count() == before


# ------------------------------------------------------------------------------------------------ stop and go on


def stopped_after(count: int, folder: Path, out: Path) -> tuple[list[float], list[bool]]:
    """Stop a run by Ctrl-C when so many are examined; return what was examined, and whether each box was closed."""
    done, closed = [], []

    def examine(*given):
        if len(done) >= count:
            try:
                while len(Journal.read(out / JOURNAL)) < count:  # what was examined is noted in another thread
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGINT)
                while True:  # a box at work
                    time.sleep(0.01)
            finally:
                closed.append(True)
        done.append(time.monotonic())
        return taken_at_its_word(*given)

    with pytest.raises(KeyboardInterrupt):
        run(folder, out, examine=examine, jobs=1)
    return done, closed


def test_ctrl_c_closes_the_boxes_keeps_what_was_graded_and_the_rest_is_graded_later(tmp_path, out):
    folder = hand_in(tmp_path / "in", **{f"l{i}": solved("passed", *["value"] * i) for i in range(6)})
    before = threading.active_count()
    done, closed = stopped_after(4, folder, out)
    assert (len(done), closed) == (4, [True])
    assert threading.active_count() == before
    assert set(contents(out)) == {JOURNAL}
    later = []

    def examine(*given):
        later.append(given)
        return taken_at_its_word(*given)

    outcome = run(folder, out, examine=examine, seed=None, resume=True)
    assert outcome.settings.seed == SEED
    assert len(later) == 6 - len(done)
    run(folder, tmp_path / "at once")
    assert contents(out) == contents(tmp_path / "at once")


def test_what_an_earlier_run_graded_otherwise_is_not_taken_over(submissions, out):
    run(submissions, out, unsafe=True)
    asked = []
    run(submissions, out, resume=True, examine=lambda *given: asked.append(1) or taken_at_its_word(*given))
    assert len(asked) == 3
    asked.clear()
    run(submissions, out, resume=True, examine=lambda *given: asked.append(1) or taken_at_its_word(*given))
    assert asked == []


@pytest.mark.parametrize("write", [1, 2, 4, 7])  # the journal, the journal in order, a page, the table of grades
def test_a_grader_that_is_killed_in_the_middle_of_a_write_leaves_no_part_of_a_file(write, submissions, out):
    run(submissions, out)
    whole = contents(out)
    (out / "grades.csv").unlink()
    told, tell = os.pipe()
    grader = os.fork()
    if grader == 0:  # a process of its own that has loaded torch already
        synced, writes = os.fsync, iter(range(1, 100))

        def fsync(file):
            if next(writes) == write:
                os.write(tell, b"in the middle of a write")
                time.sleep(60)
            synced(file)

        os.fsync = fsync
        run(submissions, out)
        os._exit(1)
    assert os.read(told, 100) == b"in the middle of a write"
    os.kill(grader, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(grader, 0)[1]) == -signal.SIGKILL
    os.close(told)
    os.close(tell)
    assert set(contents(out)) == set(whole) - {"grades.csv"}
    run(submissions, out, resume=True)
    assert contents(out) == whole


def test_parts_of_files_that_an_earlier_run_left_are_removed(submissions, out):
    out.mkdir()
    for name in (".journal.jsonl.0123456789abcdef.tmp", "feedback/.bob.html.0123456789abcdef.tmp"):
        (out / name).write_text("half")
        run(submissions, out)
        assert not (out / name).exists()


# --------------------------------------------------------------------------------------------------- refusals


def test_folders_that_cannot_be_meant_are_refused_and_nothing_is_written(submissions, out, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "none").mkdir()
    before = contents(tmp_path)
    for source, target, options, said in (
        (tmp_path / "nowhere", out, {}, "no such folder of submissions"),
        (submissions / "alice.ipynb", out, {}, "no such folder of submissions"),
        (tmp_path / "none", out, {}, "there is no submission in this folder"),
        (submissions, submissions, {}, "lies in the folder of submissions"),
        (submissions, submissions / "report", {}, "lies in the folder of submissions"),
        (submissions, tmp_path / "none" / ".." / "in" / "x", {}, "lies in the folder of submissions"),
        (submissions, tmp_path / "mine", {}, "holds other things than a report"),
        (submissions, tmp_path / "mine" / "thesis.tex", {}, "is no folder"),
        (submissions, out, {"resume": True}, "no report in"),
    ):
        with pytest.raises((ValueError, OSError), match=said):
            run(source, target, **options)
    assert contents(tmp_path) == before


def test_without_a_box_nothing_is_run_unless_it_is_asked_for(submissions, out, monkeypatch):
    monkeypatch.setattr(box, "probe", lambda: "No box here; install bubblewrap.")
    with pytest.raises(NoSandbox, match="install bubblewrap"):
        run(submissions, out, examine=None)
    assert not out.exists()
    assert callable(in_a_box(unsafe=True))


def test_there_is_at_least_one_processor():
    assert processors() >= 1


# --------------------------------------------------------------------------------------------- in the real box

WITHOUT_BOX = box.probe()
needs_box = pytest.mark.skipif(WITHOUT_BOX is not None, reason=str(WITHOUT_BOX))


@needs_box
def test_a_solution_passes_an_exercise_is_unwritten_and_a_wrong_idea_is_named(root, tmp_path, out):
    folder = tmp_path / "in"
    text = (root / "solutions" / "02_hamming.ipynb").read_text(encoding="utf-8")
    assert text.count("return z > corpus.mean(0)") == 1
    hand_in(folder, right=text, wrong=text.replace("return z > corpus.mean(0)", "return z > 0"))
    hand_in(folder, stub=(root / "exercises" / "02_hamming.ipynb").read_text(encoding="utf-8"))
    outcome = run(folder, out, examine=None)
    got = {g.learner: [v.kind for v in g.verdicts] for g in outcome.graded}
    assert got["right"] == ["passed"] * len(TASKS)
    assert got["stub"] == ["unwritten"] * len(TASKS)
    assert ("wrong", "hamming.binarize", "value: zero as threshold") in statuses(out)
    assert [kind == "passed" for kind in got["wrong"]] == [task.id != "hamming.binarize" for task in TASKS]
    idea = next(idea for idea in TASKS[1].misconceptions if idea.name == "zero as threshold")
    assert idea.says in (out / "feedback" / "wrong.html").read_text(encoding="utf-8").replace("&#39;", "'")


ENDLESS = """
import signal
def hamming(x, y):
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    while True:
        pass
"""


def endless() -> str:
    """A notebook that computes without an end and hears no signal."""
    return notebook([code(ENDLESS, "hamming-count")])


@needs_box
def test_ctrl_c_in_a_terminal_leaves_no_process_behind(tmp_path, out):
    folder = hand_in(tmp_path / "in", **{f"l{i}": endless() for i in range(2)})
    program = "import sys; from embedcourse.cli import main; main(sys.argv[1:])"
    line = [sys.executable, "-c", program, "grade", folder, "--out", out, "--jobs", "2"]
    started = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        until = time.monotonic() + 60
        while len(list(box.family(started.pid))) < 5 and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.5)
        workers = list(box.family(started.pid))[1:]
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does
        said = started.communicate(timeout=30)[1]
    finally:
        started.kill()
    assert started.returncode == 130
    assert "--resume goes on" in said
    assert "Traceback" not in said
    assert workers
    until = time.monotonic() + 5
    while (left := alive(workers)) and time.monotonic() < until:  # who is killed dies when the kernel gets to it
        time.sleep(0.05)
    assert not left
    assert set(contents(out)) == {JOURNAL}


def alive(processes: list[int]) -> list[int]:
    """Those that still run. A dead one may stay in the kernel's table until its new parent has been told."""
    states = {pid: Path(f"/proc/{pid}/stat") for pid in processes}
    found = []
    for pid, file in states.items():
        try:
            found += [pid] if file.read_text().rpartition(")")[2].split()[0] not in "ZX" else []
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_the_examiner_gets_the_cells_and_the_settings(submissions, out):
    seen = []
    run(submissions, out, jobs=1, timeout=7.0, memory=2**30, examine=lambda *a: seen.append(a) or taken_at_its_word(*a))
    chapter, cells, settings = seen[0]
    assert (chapter, cells) == read_notebook(submissions / "alice.ipynb")
    assert (chapter, settings) == (CHAPTER, Settings(SEED, 7.0, 2**30, True))
