"""Grade a class: read what was handed in, let each notebook be examined, and write the report.

A failure on one submission is a row of the report. What is graded is kept at once, so that a run that was stopped can
go on.
"""

import ctypes
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from embedcourse import course
from embedcourse.checks import chapter_tasks
from embedcourse.checks.judge import Verdict, exam_of
from embedcourse.checks.registry import modules
from embedcourse.grading import _harmless
from embedcourse.grading.feedback import feedback_page, page_names, summary_page
from embedcourse.grading.gradebook import Graded, Journal, Settings, grades_csv, in_order, lms_csv
from embedcourse.grading.submissions import Cell, Submission, Unusable, cells_of, find_submissions, read_bytes

__all__ = ["JOURNAL", "NoSandbox", "Outcome", "grade", "in_a_box", "write_report"]

#: What examines one notebook: the chapter, its code cells and the settings give a verdict a task, in order.
Examine = Callable[[str, list[Cell], Settings], list[Verdict]]

Result = tuple[bytes | None, Graded]

JOURNAL = "journal.jsonl"


class NoSandbox(OSError):
    """The box cannot be built on this computer; the message says what to do."""


@dataclass(frozen=True)
class Outcome:
    """What came of grading a class."""

    graded: tuple[Graded, ...]
    out: Path
    settings: Settings

    @property
    def exit_code(self) -> int:
        """0 where all was graded that can be, 1 where the grader failed on a submission."""
        return int(any(g.failed for g in self.graded))

    def lines(self) -> list[str]:
        """What a teacher needs to know at the end, for a terminal."""
        problems = [g for g in self.graded if g.problem is not None]
        said = [f"{len(self.graded) - len(problems)} of {len(self.graded)} notebooks are graded."]
        said += [f"  not graded: {g.learner} ({g.file}): {g.problem}" for g in problems[:10]]
        said += [f"  and {len(problems) - 10} more, all in summary.html"] if len(problems) > 10 else []
        if not self.settings.sandbox:
            said.append("Graded without the sandbox: a hostile submission could have changed any of these grades.")
        if self.exit_code:
            said.append("The grader failed on some of them: run the command again with --resume.")
        return [
            *said,
            f"Open:     {self.out / 'summary.html'}",
            f"Grades:   {self.out / 'grades.csv'}, and {self.out / 'lms.csv'} for the learning platform",
            f"Feedback: {self.out / 'feedback'}, a page a learner",
            f"Seed:     {self.settings.seed} (--seed {self.settings.seed} asks the same again; keep it secret)",
        ]


def grade(
    submissions: Path,
    out: Path,
    *,
    seed: int | None = None,
    jobs: int | None = None,
    timeout: float = 60.0,
    memory: int = 2 * 2**30,
    resume: bool = False,
    unsafe: bool = False,
    examine: Examine | None = None,
    console: Console | None = None,
) -> Outcome:
    """Grade every notebook in a folder and write the report into another one.

    seed: draws the inputs of the tasks; a fresh secret one when left out, or the journal's where grading resumes.
    jobs: how many notebooks are examined at a time, one a processor when left out.
    timeout, memory: seconds and bytes that one submission may take.
    resume: take over what a run that was stopped had graded with the same settings.
    unsafe: run the notebooks without the sandbox, which every page then says.
    examine: what examines a notebook, the box when left out.
    Raises: NoSandbox where the box cannot be built; ValueError or OSError for folders that cannot be meant.
    """
    refuse_unfit(submissions, out, resume)
    for part in parts_in(out):
        part.unlink()
    examine = examine or in_a_box(unsafe)
    if seed is None:
        seed = Journal.seed_in(out / JOURNAL) if resume else None
    settings = Settings(secrets.randbits(32) if seed is None else seed, timeout, memory, not unsafe)
    found = find_submissions(submissions)
    if not found:
        raise ValueError(f"{submissions}: there is no submission in this folder")
    journal = Journal.start(out / JOURNAL, settings, resume=resume)
    results = all_graded(found, journal, examine, jobs or processors())
    try:
        with progress_bar(console or Console(stderr=True)) as bar, closing(results):
            graded = tuple(in_order(bar.track(results, len(found))))
    finally:
        end_idle()
    write_report(out, graded, settings)
    return Outcome(graded, out, settings)


def in_a_box(unsafe: bool) -> Examine:
    """The examiner that runs a notebook in a box, or in a process of its own where no safety is asked for.

    Raises: NoSandbox where the box is asked for and cannot be built.
    """
    from embedcourse.grading.box import probe
    from embedcourse.grading.examiner import Limits, examine_submission

    missing = None if unsafe else probe()
    if missing:
        raise NoSandbox(missing)

    def examine(chapter: str, cells: list[Cell], settings: Settings) -> list[Verdict]:
        prepare(chapter, settings.seed)
        limits = Limits(seconds=settings.timeout, memory=settings.memory)
        return examine_submission(chapter, cells, settings.seed, limits, sandbox=settings.sandbox)

    return examine


def end_idle() -> None:
    """End what was kept to start boxes quickly."""
    from embedcourse.grading import forked

    forked.end_idle()


def prepare(chapter: str, seed: int) -> None:
    """Ask the oracles and the known wrong ideas once, whichever of several threads comes first."""
    with PREPARING:
        for task in chapter_tasks(chapter):
            _ = exam_of(task, seed).wrong


PREPARING = threading.Lock()


def refuse_unfit(submissions: Path, out: Path, resume: bool) -> None:
    """Refuse folders that cannot be meant, before anything is written."""
    if not submissions.is_dir():
        raise NotADirectoryError(f"{submissions}: there is no such folder of submissions")
    if out.resolve().is_relative_to(submissions.resolve()):
        raise ValueError(f"--out: {out} lies in the folder of submissions, where it would count as a learner's")
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out: {out} is no folder")
    if out.is_dir() and not (out / JOURNAL).exists() and set(out.iterdir()) - set(parts_in(out)):
        raise ValueError(f"--out: {out} holds other things than a report; name a new folder")
    if resume and not (out / JOURNAL).exists():
        raise ValueError(f"--resume: there is no report in {out} to go on with")


def parts_in(out: Path) -> list[Path]:
    """Parts of files that a grader left which was killed while it wrote, where no file can be without a name."""
    return [*out.glob(PART), *(out / "feedback").glob(PART)]


PART = f".*.{'[0-9a-f]' * 16}.tmp"  # as course.write_whole calls them


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def progress_bar(console: Console) -> Progress:
    """A bar that says how many are graded and how long the rest will take; nothing where there is no terminal."""
    columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def all_graded(found: list[Submission], journal: Journal, examine: Examine, jobs: int) -> Iterator[Graded]:
    """The record of every submission, as soon as it is there; each is noted in the journal first.

    Where the caller stops, nothing that ends later is noted.
    """
    used = []
    yield from (Graded.unusable(s, s.problem) for s in found if s.problem is not None)
    for chapter in modules():
        group = [s for s in found if s.problem is None and s.chapter == chapter]
        if not group:
            continue
        for data, graded in worked_off(group, lambda s: graded_one(s, journal, examine), jobs):
            if data is not None:
                if journal.find(data) is None:
                    journal.add(data, graded.verdicts)
                used.append(journal.settings.key(data))
            yield graded
    journal.tidy(used)


def worked_off(todo: list[Submission], work: Callable[[Submission], Result], jobs: int) -> Iterator[Result]:
    """What work on each submission gives, in the order in which it is ready, by so many threads.

    Where the caller stops, the work in hand is broken off, and has ended when this ends.
    """
    waiting: SimpleQueue[Submission] = SimpleQueue()
    ready: SimpleQueue[Result] = SimpleQueue()
    for submission in todo:
        waiting.put(submission)

    def drive() -> None:
        with suppress(Empty, Stopped):
            while True:
                ready.put(work(waiting.get_nowait()))

    threads = [threading.Thread(target=drive, daemon=True) for _ in range(min(jobs, len(todo)))]
    try:
        for thread in threads:
            thread.start()
        for _ in todo:
            yield ready.get()
    except BaseException:
        stop(threads)
        raise


class Stopped(BaseException):
    """Raised inside the threads when the caller has stopped: they end, and no row of the report is made of it."""


def stop(threads: Iterable[threading.Thread]) -> None:
    """Break off what threads are doing, so that each closes its box, and wait for them."""
    alive = [thread for thread in threads if thread.is_alive()]
    for thread in alive:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
    for thread in alive:
        thread.join(timeout=10)


def graded_one(submission: Submission, journal: Journal, examine: Examine) -> Result:
    """The record of one submission, and the bytes under which it belongs into the journal, if it does."""
    try:
        data = read_bytes(submission.path)
        chapter, cells = cells_of(data)
    except Unusable as error:
        return None, Graded.unusable(submission, str(error))
    submission = replace(submission, chapter=chapter)
    try:
        verdicts = journal.find(data) or examine(chapter, cells, journal.settings)
        require_all(chapter, verdicts)
    except Exception as error:  # whatever goes wrong with one submission, the class is graded
        said = _harmless.one_line(f"{type(error).__name__}: {error}", 300)
        return None, Graded.unusable(submission, f"The grader failed on it. {said}", failed=True)
    return data, Graded.judged(submission, verdicts)


def require_all(chapter: str, verdicts: list[Verdict]) -> None:
    """Refuse verdicts that are not one for each task of the chapter."""
    asked, got = [task.id for task in chapter_tasks(chapter)], [verdict.task for verdict in verdicts]
    if got != asked:
        raise ValueError(f"verdicts on {got} in the place of {asked}")


def write_report(out: Path, graded: Iterable[Graded], settings: Settings) -> None:
    """Write the report, each file whole or not at all; pages of learners who are no longer there are removed.

    Raises: OSError where it cannot be written.
    """
    graded = in_order(graded)
    pages = page_names(g.learner for g in graded)
    unsafe = not settings.sandbox
    for learner, page in pages.items():
        text = feedback_page([g for g in graded if g.learner == learner], unsafe=unsafe)
        course.write_whole(out / "feedback" / page, text.encode("utf-8", "replace"))
    for stale in set((out / "feedback").glob("*.html")) - {out / "feedback" / page for page in pages.values()}:
        stale.unlink()
    course.write_whole(out / "summary.html", summary_page(graded, settings.seed, unsafe=unsafe).encode())
    course.write_whole(out / "lms.csv", lms_csv(graded))
    course.write_whole(out / "grades.csv", grades_csv(graded))
