"""What a function answered on one case. `ask` is the only place that calls code of a learner."""

import copy
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embedcourse.checks.task import Case
from embedcourse.memory import LargestTensor

__all__ = ["Answer", "Raised", "ask"]


@dataclass(frozen=True)
class Raised:
    """An error in the place of a value: its class and the classes above it, its message, the line it came from."""

    types: tuple[str, ...]
    message: str
    line: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Raised":
        """Read an error off, without keeping it (or anything it refers to) alive."""
        frames = traceback.extract_tb(error.__traceback__)[1:]  # the first frame is `ask`
        line = next((frame.line for frame in frames if frame.line), "")  # the learner's own line, not torch's
        return cls(tuple(c.__name__ for c in type(error).__mro__), str(error), line.strip())

    def __str__(self) -> str:
        return f"{self.types[0]}: {self.message}" if self.message else self.types[0]


@dataclass(frozen=True)
class Answer:
    """A value or an error, the gradients asked for, which arguments were changed, and what it cost."""

    value: Any = None
    raised: Raised | None = None
    gradients: tuple[Tensor | None, ...] = ()
    changed: tuple[int, ...] = ()
    seconds: float = 0.0
    largest_bytes: int = 0


def ask(function: Callable, case: Case, gradients: tuple[int, ...] = (), *, measure: bool = False) -> Answer:
    """Call `function` on copies of a case's arguments and write down what came of it.

    Every call starts from the same state of torch's global generator. With `measure` the largest tensor is noted too.
    """
    arguments = copy.deepcopy(case.arguments)
    for i in gradients:
        arguments[i].requires_grad_()
    watch = LargestTensor()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(case.seed)  # that of the CPU alone: torch.manual_seed takes a millisecond
        started = time.perf_counter()
        try:
            if measure:
                with watch, one_thread():
                    value = function(*arguments)
            else:
                value = function(*arguments)
            seconds = time.perf_counter() - started
            changed = tuple(i for i, a in enumerate(arguments) if not unchanged(case.arguments[i], a))
            slopes = () if changed else slopes_of(value, [arguments[i] for i in gradients])
        except (Exception, SystemExit) as error:  # whatever a learner's code raises is an answer, and is reported
            return Answer(raised=Raised.of(error), seconds=time.perf_counter() - started)
    return Answer(value, None, slopes, changed, seconds, watch.bytes)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: several wait for each other on a busy computer, which is not the learner's time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def unchanged(before: Any, after: Any) -> bool:
    """Whether an argument still holds what was handed over."""
    if isinstance(before, Tensor):
        same_form = isinstance(after, Tensor) and before.shape == after.shape and before.dtype == after.dtype
        return same_form and torch.equal(before.nan_to_num(), after.detach().nan_to_num())
    if isinstance(before, np.ndarray):
        return isinstance(after, np.ndarray) and np.array_equal(before, after)
    if isinstance(before, tuple | list):
        return len(before) == len(after) and all(map(unchanged, before, after))
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(unchanged(before[key], after[key]) for key in before)
    return before is after or before == after or callable(before)


def slopes_of(value: Any, inputs: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Gradients of a fixed weighted sum of the value; None where the value does not depend on an input."""
    if not inputs:
        return ()
    if not isinstance(value, Tensor) or not value.requires_grad:
        return (None,) * len(inputs)
    # Unequal weights, so that errors in different places cannot cancel.
    weights = torch.linspace(1, 2, value.numel(), dtype=value.dtype, device=value.device).reshape(value.shape)
    return torch.autograd.grad((value * weights).sum(), inputs, allow_unused=True)
