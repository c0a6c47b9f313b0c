"""One submission, examined: its cells run in a box, its functions are asked there, its answers are judged here.

What goes wrong in one task costs that task only: the box is built anew, and the next task is asked.
"""

import contextlib
import hashlib
import math
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from embedcourse.checks import Task, chapter_tasks
from embedcourse.checks.answer import Answer, Raised, ask
from embedcourse.checks.judge import Exam, Verdict, exam_of, judge, judge_cost, show_call
from embedcourse.checks.task import Case
from embedcourse.grading import wire
from embedcourse.grading.box import Box, BoxLost, Limits
from embedcourse.grading.forked import open_box
from embedcourse.grading.submissions import Cell, cell_id, defines

__all__ = ["Limits", "examine_submission"]


def examine_submission(
    chapter: str, cells: Sequence[Cell], seed: int, limits: Limits | None = None, *, sandbox: bool = True
) -> list[Verdict]:
    """Examine the code cells of a submission on all tasks of a chapter: one verdict a task, in order.

    To the kinds of `Verdict` come timeout, memory, crashed and forged: the box had to be ended.

    Raises: ValueError for a chapter without tasks; NoBox where no box can be started (`probe` says why).
    """
    with Sitting(chapter, cells, limits or Limits(), sandbox) as sitting:
        return [sitting.verdict(task, seed) for task in chapter_tasks(chapter)]


class Sitting:
    """One submission and its box, which is built when it is needed, and anew when it was lost."""

    def __init__(self, chapter: str, cells: Sequence[Cell], limits: Limits, boxed: bool) -> None:
        self.chapter, self.cells, self.limits, self.boxed = chapter, cells, limits, boxed
        self.tasks = chapter_tasks(chapter)
        self.box: Box | None = None
        self.fresh = True
        self.lost: dict[int, BoxLost] = {}  # cells that ended their box, and are not run again
        self.errors: dict[int, str] = {}
        self.left = limits.seconds  # of waiting for the box: what the judge computes is not the learner's time
        self.built = 0
        self.loaded = 0  # bytes of a box in which nothing of the notebook has run

    def __enter__(self) -> "Sitting":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the box."""
        if self.box is not None:
            self.box.close()
            self.box = None

    # ------------------------------------------------------------------------------------------- what is asked

    def verdict(self, task: Task, seed: int) -> Verdict:
        """The verdict on one task. A box that was used before may owe its end to another task: then a fresh one."""
        for _ in range(2):
            used = self.box is not None and not self.fresh
            try:
                return self.asked(task, seed)
            except BoxLost as lost:
                self.end()
                if not used or lost.kind not in ("crashed", "forged"):
                    return failed(task, lost.kind, self.limits)
        return failed(task, "crashed", self.limits)

    def asked(self, task: Task, seed: int) -> Verdict:
        """Ask a task's cases, and its large case when they are right."""
        if self.left <= 0:
            return failed(task, "late", self.limits)
        self.ready()
        exam, most = exam_of(task, seed), self.limits.task_seconds
        answers = self.answers(task, small_cases(task, seed), len(exam.cases), most)
        if answers is None:
            return self.missing(task)
        starved = next((a for a in answers if a.raised is not None and out_of_memory(a.raised)), None)
        if starved is not None:
            return failed(task, "memory", self.limits)
        verdict = judged(exam, answers)
        if not verdict.passed or task.at_size is None:
            return tidy(verdict)
        return tidy(self.at_size(task, seed))

    def at_size(self, task: Task, seed: int) -> Verdict:
        """Ask the large case. Its time is counted by the kernel, outside, and its memory there, too."""
        case, data = large_case(task, seed), large_data(task, seed)
        before = self.box.usage().seconds
        room = min(self.box.forget_peak(), self.loaded + OWN) + most_growth(task)
        try:
            (answer,) = self.answers(task, data, 1, self.limits.task_seconds, measure=True) or [None]
        except BoxLost as lost:
            if lost.kind != "timeout":
                raise
            self.end()
            return slow(task, case)
        if answer is None:
            return self.missing(task)
        counted = self.box.usage().seconds - before
        answer = replace(answer, seconds=counted if counted > 0 else answer.seconds)
        if answer.raised is not None and out_of_memory(answer.raised):
            return failed(task, "memory", self.limits)
        verdict = judge_cost(task, case, answer)
        if not verdict.passed:
            return slow(task, case) if verdict.kind == "slow" else verdict
        if self.box.peak() > room:
            return hungry(task, case)
        if task.id in UNCOMPARED:
            return verdict
        return right_at_size(task, case, large_expected(task, seed), answer)

    def answers(
        self, task: Task, data: bytes, count: int, seconds: float, *, measure: bool = False
    ) -> list[Answer] | None:
        """The answers to so many cases; None where there is no such function.

        Raises: BoxLost.
        """
        self.fresh = False
        request = {
            **{"do": "ask", "task": task.id, "function": task.function, "gradients": task.gradients},
            "measure": measure,
        }
        word = self.request(request)
        with self.waiting():
            self.box.send(data)
        if self.reply(word, seconds).get("found") is not True:
            return None
        spent, found = self.box.usage().seconds, []
        for i in range(count):
            left = seconds - (self.box.usage().seconds - spent) if i % 4 == 0 else left
            found.append(answer_of(self.reply(word, max(left, 0.1)), i, task))
        return found

    def request(self, request: dict[str, Any]) -> str:
        """Send a request, with a word that its replies must repeat."""
        word = secrets.token_hex(8)
        with self.waiting():
            self.box.send(wire.pack({**request, "word": word}))
        return word

    def reply(self, word: str, seconds: float) -> dict[str, Any]:
        """The next reply.

        Raises: BoxLost where none comes that is one.
        """
        left = max(self.left, 0.1)
        try:
            with self.waiting():
                data = self.box.receive(min(seconds, left))
            reply = wire.unpack(data)
        except wire.Malformed as error:
            raise BoxLost("forged", str(error)) from None
        except BoxLost as lost:
            if lost.kind == "timeout" and left < seconds:
                raise BoxLost("late") from None
            raise
        if type(reply) is not dict or reply.get("word") != word:
            raise BoxLost("forged", "a reply to what was not asked")
        return reply

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Charge the time in which the box is waited for."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.left -= time.monotonic() - started

    # --------------------------------------------------------------------------------------------- the notebook

    def ready(self) -> None:
        """See to it that a box with the notebook's definitions stands ready."""
        while self.box is None:
            if self.left <= 0:
                raise BoxLost("late")
            with self.waiting() if self.built >= FREE else contextlib.nullcontext():
                self.box = open_box(self.chapter, self.limits, boxed=self.boxed)
                self.fresh = True
                self.box.await_start()
            self.loaded = self.box.loaded()
            self.built += 1
            self.run_cells()

    def run_cells(self) -> None:
        """Let all cells but those that ended a box before be read, and then run."""
        sources = [[cell.id, cell.source] for cell in self.cells]
        functions = [task.function for task in self.tasks]
        skip = list(self.lost)
        word = self.request({"do": "cells", "cells": sources, "functions": functions, "skip": skip})
        for i in (*range(len(self.cells)), *range(len(self.cells))):
            try:
                reply = self.reply(word, self.limits.cell_seconds)
                if reply.get("cell") != i:
                    raise BoxLost("forged")
            except BoxLost as lost:
                if i in self.lost:  # it was not run, so another one did this, later than its turn
                    raise
                self.lost[i] = lost
                self.end()
                return
            if isinstance(reply.get("error"), str):
                self.errors[i] = printed(reply["error"])

    def missing(self, task: Task) -> Verdict:
        """The verdict where no function is there to be asked, and why not."""
        own = [i for i, cell in enumerate(self.cells) if cell.id == cell_id(task.id) or defines(cell, task)]
        for i in own:
            if i in self.lost:
                return failed(task, self.lost[i].kind, self.limits)
        words = f"There is no function {task.function} to check: its cell is missing, or stopped before it was defined."
        said = [f"\nThe cell ended in {self.errors[i]}" for i in own if i in self.errors]
        return Verdict(task.id, task.points, "missing", words + "".join(said[-1:]))


#: Tasks whose oracle would take a minute on their large input, of which time and memory alone are judged.
UNCOMPARED = ("cosine.similarity", "arc.match")
OWN = 128 * 2**20  # bytes that a notebook's imports and data may hold before its functions are asked
FREE = 4  # boxes whose start counts for nobody: to load torch is not the learner's time, to end box after box is


# ------------------------------------------------------------------------------------------- what the judge keeps


@lru_cache(maxsize=128)
def small_cases(task: Task, seed: int) -> bytes:
    """The cases of an exam as they are sent: arguments, and a number to start from that does not tell the seed."""
    return wire.pack([(case.arguments, blinded(case.seed)) for case in exam_of(task, seed).cases])


@lru_cache(maxsize=8)
def large_case(task: Task, seed: int) -> Case:
    """The large case, which takes a moment to draw."""
    return task.large_case(seed)


@lru_cache(maxsize=8)
def large_data(task: Task, seed: int) -> bytes:
    """The large case as it is sent."""
    case = large_case(task, seed)
    return wire.pack([(case.arguments, blinded(case.seed))])


@lru_cache(maxsize=8)
def large_expected(task: Task, seed: int) -> Answer:
    """The oracle's answer to the large case, which takes seconds: without it, size alone would tell when to answer."""
    return ask(task.oracle, large_case(task, seed))


def blinded(seed: int) -> int:
    """A number made of a seed that does not lead back to it."""
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), key=KEY, digest_size=4).digest())


KEY = b"one start for all generators"


# --------------------------------------------------------------------------------------------------- what came


def answer_of(reply: dict[str, Any], case: int, task: Task) -> Answer:
    """A reply as an answer.

    Raises: BoxLost where it is of another form than an answer.
    """
    gradients, changed, raised = reply.get("gradients"), reply.get("changed"), reply.get("raised")
    seconds, largest = reply.get("seconds"), reply.get("largest_bytes")
    good = (
        reply.get("case") == case
        and isinstance(gradients, tuple)
        and all(g is None or isinstance(g, Tensor) for g in gradients)
        and isinstance(changed, list)
        and all(type(i) is int and 0 <= i < 20 for i in changed)
        and isinstance(seconds, float)
        and type(largest) is int
    )
    if not good:
        raise BoxLost("forged", "an answer of another form")
    if raised is not None:
        return Answer(raised=raised_of(raised), seconds=seconds)
    if not changed and len(gradients) != len(task.gradients):
        raise BoxLost("forged", "not as many gradients as were asked for")
    return Answer(reply.get("value"), None, gradients, tuple(changed), seconds, largest)


def raised_of(raised: Any) -> Raised:
    """An error as it was told.

    Raises: BoxLost where it was not told as errors are.
    """
    if not (isinstance(raised, list) and len(raised) == 3 and isinstance(raised[0], list) and raised[0]):
        raise BoxLost("forged", "an error of another form")
    types, message, line = raised
    if not all(isinstance(text, str) for text in (*types, message, line)):
        raise BoxLost("forged", "an error of another form")
    return Raised(tuple(printed(name) for name in types), printed(message), printed(line))


def judged(exam: Exam, answers: list[Answer]) -> Verdict:
    """The verdict on the answers.

    Raises: BoxLost where an answer makes a comparison fail: such a one is none, and stops no class.
    """
    exam.expected, exam.wrong  # noqa: B018  the judge's own part, made before anything is forgiven
    try:
        return judge(exam, answers)
    except (ValueError, TypeError, ArithmeticError, RuntimeError, LookupError) as error:
        raise BoxLost("forged", "an answer that cannot be compared") from error


def right_at_size(task: Task, case: Case, expected: Answer, answer: Answer) -> Verdict:
    """The verdict on the value of a large case, which costs no more than it may.

    Raises: BoxLost where the answer makes the comparison fail.
    """
    try:
        difference = task.compare(expected.value, answer.value)
        rounded = difference is not None and difference.kind == "value" and near(expected.value, answer.value)
    except (ValueError, TypeError, ArithmeticError, RuntimeError, LookupError) as error:
        raise BoxLost("forged", "an answer that cannot be compared") from error
    if (difference is None or rounded) and not answer.changed:
        return Verdict(task.id, task.points, "passed", task.why)
    kind = "changed" if difference is None else difference.kind
    detail = f" ({difference.detail})" if difference is not None and difference.detail else ""
    words = f"Right on small inputs, but not on a large one: {show_call(task, case)}{detail}."
    return Verdict(task.id, task.points, kind, words, None, case.regime)


def near(expected: Any, got: Any) -> bool:
    """Whether two values of one form are the same but for a few ties, which a large input has, and for rounding."""
    one, other = torch.as_tensor(expected).double(), torch.as_tensor(got).double()
    same = torch.isclose(one, other, rtol=1e-2, atol=0.02 if one.dim() == 0 else 1e-3)
    return same.double().mean().item() >= 0.95


def printed(text: str, most: int = 2000) -> str:
    """A text from inside, without the addresses of objects, which differ from run to run."""
    return re.sub(r"\b0x[0-9a-fA-F]{6,16}\b", "0x…", text[:most])


def out_of_memory(raised: Raised) -> bool:
    """Whether an error says that the memory did not suffice."""
    return raised.types[0] == "MemoryError" or "DefaultCPUAllocator" in raised.message


def tidy(verdict: Verdict, most: int = 4000) -> Verdict:
    """A verdict whose words fill no more than a page, and are the same in every run, whatever was handed in."""
    words = printed(verdict.message, most + 1)
    return replace(verdict, message=words if len(words) <= most else words[:most] + "…")


def slow(task: Task, case: Case) -> Verdict:
    """The verdict on a function that is right and too slow, without the time, which differs from run to run."""
    words = (
        f"Right, but too slow: {show_call(task, case)} took more than the {task.at_size.seconds:g} s that are plenty. "
        "Let torch loop for you: one operation on whole tensors instead of a Python loop."
    )
    return Verdict(task.id, task.points, "slow", words, None, case.regime)


def hungry(task: Task, case: Case) -> Verdict:
    """The verdict on a function that is right and takes too much memory, as the kernel counts it."""
    most = task.at_size.largest_bytes
    words = (
        f"Right, but too hungry: {show_call(task, case)} takes many times the {most / 1e6:.0f} MB that are plenty for "
        "its largest tensor. Which large tensor can you do without?"
    )
    return Verdict(task.id, task.points, "hungry", words, None, case.regime)


def most_growth(task: Task) -> float:
    """Bytes by which a box may grow on a large case: for several tensors of the largest size, and the answer's copies.

    The worker tells the size of the largest tensor, more finely, but the notebook runs beside it and can let it lie.
    """
    most = task.at_size.largest_bytes
    return math.inf if most is None else 3 * most + 16 * 2**20


def failed(task: Task, kind: str, limits: Limits) -> Verdict:
    """The verdict where the box had to be ended."""
    words = {
        "timeout": f"It ran for more than {limits.task_seconds:g} s and was stopped. Is there a loop without an end?",
        "late": f"A notebook has {limits.seconds:g} s in all, and this one had used them up.",
        "memory": f"It asked for more than the {limits.memory / 2**30:g} GB of memory that there are.",
        "crashed": "It ended the Python process in which it ran: it crashed, or called exit.",
        "forged": "What came back is no answer: something wrote into the line between the notebook and the judge.",
    }
    return Verdict(task.id, task.points, "timeout" if kind == "late" else kind, words[kind])
