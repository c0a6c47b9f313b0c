"""Answers in, verdict out. Pure: it calls the oracle and the known wrong ideas, never a learner's code."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embedcourse.checks.answer import Answer, ask
from embedcourse.checks.compare import Difference, alike, close, short, type_name
from embedcourse.checks.task import Case, Misconception, Task

__all__ = ["Exam", "Verdict", "exam_of", "examine", "judge", "judge_cost"]


@dataclass(frozen=True)
class Verdict:
    """What a check says of one task: passed or not, in which respect, which wrong idea, and the words for it.

    `kind` is one of passed, missing, unwritten, raised, changed, type, shape, dtype, device, value, gradient, slow and
    hungry.
    """

    task: str
    points: int
    kind: str
    message: str
    misconception: str | None = None
    regime: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the task is solved."""
        return self.kind == "passed"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for machines."""
        return asdict(self) | {"passed": self.passed}


@dataclass(frozen=True)
class Exam:
    """A task with one seed: its inputs, what is right on them, and what each known wrong idea answers.

    All who sit the same exam are judged by the same answers, so each is asked for once and kept.
    """

    task: Task
    seed: int

    @cached_property
    def cases(self) -> list[Case]:
        """One fresh input a regime."""
        return self.task.cases(self.seed)

    @cached_property
    def expected(self) -> list[Answer]:
        """The oracle's answer on each case."""
        return self.ask_all(self.task.oracle)

    @cached_property
    def wrong(self) -> list[tuple[Misconception, list[Answer], list[Difference | None]]]:
        """Each known wrong idea with its answer on each case, and what is wrong with that answer."""
        asked = [(idea, self.ask_all(idea.wrong)) for idea in self.task.misconceptions]
        return [(idea, answers, self.faults(answers)) for idea, answers in asked]

    def ask_all(self, function: Callable) -> list[Answer]:
        """What a function answers on each case."""
        return [ask(function, case, self.task.gradients) for case in self.cases]

    def faults(self, answers: list[Answer]) -> list[Difference | None]:
        """The first fault of each answer."""
        return [fault(self.task, e, a) for e, a in zip(self.expected, answers, strict=True)]


@lru_cache(maxsize=128)
def exam_of(task: Task, seed: int) -> Exam:
    """The exam of a task and a seed; the latest ones are kept, so that a class is judged by one set of answers."""
    return Exam(task, seed)


def examine(task: Task, function: Callable, seed: int) -> Verdict:
    """Ask a function everything that a task wants to know, in this process, and judge it."""
    exam = exam_of(task, seed)
    verdict = judge(exam, exam.ask_all(function))
    if verdict.passed and task.at_size is not None:
        case = task.large_case(seed)
        return judge_cost(task, case, ask(function, case, measure=True))
    return verdict


def judge(exam: Exam, answers: list[Answer]) -> Verdict:
    """Judge the answers on all cases: the first fault in the order of kinds, with the wrong idea behind it if known."""
    task, faults = exam.task, exam.faults(answers)
    if not any(faults):
        return Verdict(task.id, task.points, "passed", task.why)
    first = min((i for i, f in enumerate(faults) if f), key=lambda i: ORDER.index(faults[i].kind))
    name, words = None, lead(faults[first])
    idea = None if faults[first].kind == "unwritten" else recognise(exam, answers, faults)  # which asks every idea
    if idea is not None:
        misconception, first = idea
        name, words = misconception.name, misconception.says
    case = exam.cases[first]
    shown = example(task, case, exam.expected[first], answers[first], faults[first])
    return Verdict(task.id, task.points, faults[first].kind, f"{words}\n{shown}", name, case.regime)


def judge_cost(task: Task, case: Case, answer: Answer) -> Verdict:
    """Judge what a call on the large input cost."""
    limit = task.at_size
    if answer.raised is not None:
        words = f"It works on small inputs, but on {show_call(task, case)} it raised {answer.raised}."
        return Verdict(task.id, task.points, "raised", words, None, case.regime)
    if answer.seconds > limit.seconds:
        words = (
            f"Right, but too slow: {show_call(task, case)} took {answer.seconds:.1f} s; {limit.seconds:g} s is plenty. "
            "Let torch loop for you: one operation on whole tensors instead of a Python loop."
        )
        return Verdict(task.id, task.points, "slow", words, None, case.regime)
    if limit.largest_bytes is not None and answer.largest_bytes > limit.largest_bytes:
        words = (
            f"Right, but too hungry: on {show_call(task, case)} one tensor takes {answer.largest_bytes / 1e6:.0f} MB, "
            f"and {limit.largest_bytes / 1e6:.0f} MB is plenty. Which large tensor can you do without?"
        )
        return Verdict(task.id, task.points, "hungry", words, None, case.regime)
    return Verdict(task.id, task.points, "passed", task.why)


ORDER = ("unwritten", "raised", "changed", "type", "shape", "dtype", "device", "value", "gradient")


def fault(task: Task, expected: Answer, answer: Answer) -> Difference | None:
    """The first fault of one answer, in the order in which a learner should hear of them."""
    if answer.raised is not None and answer.raised.types[0] == "NotImplementedError" and not answer.raised.message:
        return Difference("unwritten", "")  # torch raises this class too, but never without a message
    if expected.raised is not None:
        return None if wanted_error(expected, answer) else Difference("raised", "")
    if answer.raised is not None:
        return Difference("raised", "")
    if answer.changed:
        return Difference("changed", "")
    return task.compare(expected.value, answer.value) or slope_fault(expected, answer)


def wanted_error(expected: Answer, answer: Answer) -> bool:
    """Whether an error was due and came, of the right class or one below it."""
    return answer.raised is not None and expected.raised.types[0] in answer.raised.types


def slope_fault(expected: Answer, answer: Answer) -> Difference | None:
    """The first gradient that is missing, not finite or wrong."""
    for right, got in zip(expected.gradients, answer.gradients, strict=True):
        if got is None:
            return Difference("gradient", "no gradient reaches the input: is the value detached, or made by .item()?")
        if not torch.isfinite(got).all():
            return Difference("gradient", "the gradient is not finite")
        if not close(right, got, rtol=1e-3, atol=1e-5):
            return Difference("gradient", f"the gradient should be {show(right)}, yours is {show(got)}")
    return None


def recognise(exam: Exam, answers: list[Answer], faults: list[Difference | None]) -> tuple[Misconception, int] | None:
    """The known wrong idea behind the answers, and a case that shows it.

    An idea is recognised when, on every case on which it goes wrong, the answer is wrong in the same way.
    Of several, the one that explains most cases.
    """
    best, most, shown_by = None, 0, 0
    for idea, wrong, found in exam.wrong:
        astray = [i for i, f in enumerate(found) if f]
        same = all(faults[i] and same_mistake(wrong[i], answers[i], found[i].kind) for i in astray)
        if same and len(astray) > most:
            best, most = idea, len(astray)
            shown_by = min(astray, key=lambda i: size_of(exam.cases[i].arguments))  # the smallest example teaches best
    return None if best is None else (best, shown_by)


def same_mistake(wrong: Answer, answer: Answer, kind: str) -> bool:
    """Whether an answer is wrong in the same way as a known wrong one, whose fault is of a kind."""
    if wrong.raised is not None or answer.raised is not None:
        both = wrong.raised is not None and answer.raised is not None
        return both and wrong.raised.types[0] == answer.raised.types[0]
    if wrong.changed != answer.changed or not alike(wrong.value, answer.value):
        return False
    # Where the value is wrong already, its gradient tells nothing more.
    return kind != "gradient" or all(
        alike(*pair, 1e-3, 1e-5) for pair in zip(wrong.gradients, answer.gradients, strict=True)
    )


def lead(difference: Difference) -> str:
    """The first sentence of a refusal that no known wrong idea explains."""
    return {
        "unwritten": "Not written yet: replace the lines under YOUR CODE HERE.",
        "raised": "It raised where it should not, or did not raise where it should.",
        "changed": "It changes its own input. Work on a copy: whoever calls your function still needs theirs.",
        "type": f"The wrong type: {difference.detail}.",
        "shape": f"The wrong shape: {difference.detail}.",
        "dtype": f"The wrong kind of number: {difference.detail}.",
        "device": f"The wrong device: {difference.detail}.",
        "value": "The right form, but a wrong value.",
        "gradient": f"The values are right, the gradient is not: {difference.detail}.",
    }[difference.kind]


def example(task: Task, case: Case, expected: Answer, answer: Answer, difference: Difference) -> str:
    """The input that shows the fault, what it should give and what it gave."""
    call = f"For example ({case.regime}): {show_call(task, case)}"
    should = f"should raise {expected.raised.types[0]}" if expected.raised else f"should be {show(expected.value)}"
    if difference.kind == "unwritten":
        return f"{call} {should}."
    if difference.kind == "changed":
        return f"{call} changed its argument number {answer.changed[0] + 1}."
    if answer.raised is not None:
        where = f", at the line: {answer.raised.line}" if answer.raised.line else ""
        return f"{call} {should}, yours raised {answer.raised}{where}"
    if difference.kind == "gradient":
        return f"{call}."
    if difference.kind == "value" and difference.detail:
        return f"{call}: {difference.detail}."
    return f"{call} {should}, yours gave {show(answer.value)}."


def show_call(task: Task, case: Case) -> str:
    """A call as a learner would type it, long arguments shortened."""
    return f"{task.function}({', '.join(show(a) for a in case.arguments)})"


def show(value: Any, most: int = 24) -> str:
    """A value in few characters: small ones whole, large ones by their form."""
    if isinstance(value, np.ndarray):
        value = torch.as_tensor(value) if value.dtype.kind in "biuf" else value.tolist()
    if isinstance(value, Tensor):
        if value.numel() > most:
            return f"<tensor of shape {tuple(value.shape)}, {short(value.dtype)}>"
        if value.dim() == 0:
            return f"tensor({show(value.item())})"
        return f"tensor({show(value.tolist(), 10**6)})"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and abs(value) > 10**100:  # Python refuses to write out the largest ones
        return f"<int of about {math.log10(abs(value)):.0f} digits>"
    if isinstance(value, tuple | list):
        if len(value) > most:
            return f"<{type_name(value)} of {len(value)}: {show(value[0])}, …>"
        inside = ", ".join(show(item, most) for item in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def size_of(value: Any) -> int:
    """How much there is to read in a value."""
    if isinstance(value, tuple | list):
        return sum(map(size_of, value))
    return value.numel() if isinstance(value, Tensor) else len(repr(value)) // 4 + 1
