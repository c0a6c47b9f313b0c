"""A task is data: what is asked, on which inputs, what is right, and which wrong ideas are known.

The notebook of a learner and a judge in another process use the same `Task`. Nothing here runs a learner's code.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from embedcourse.checks.compare import Close, Comparator

__all__ = ["AtSize", "Case", "Misconception", "Regime", "Task"]

Draw = Callable[[torch.Generator], tuple[Any, ...]]


@dataclass(frozen=True)
class Regime:
    """One kind of input that a right answer must survive, such as "equal rows" or "words of unequal length"."""

    name: str
    draw: Draw


@dataclass(frozen=True)
class Case:
    """One drawn input: the positional arguments of one call."""

    regime: str
    arguments: tuple[Any, ...]
    seed: int


@dataclass(frozen=True)
class Misconception:
    """A wrong idea that runs and looks plausible: its implementation, and the sentence that names the idea."""

    name: str
    wrong: Callable[..., Any]
    says: str


@dataclass(frozen=True)
class AtSize:
    """A large input with the limits that a sensible solution keeps: seconds, and bytes of its largest tensor."""

    draw: Draw
    seconds: float
    largest_bytes: int | None = None


@dataclass(frozen=True)
class Task:
    """What a learner writes, and all that is needed to judge it.

    `oracle` is slow and obvious. `gradients` holds the positions of the arguments whose gradient is judged.
    `imports` names the parts of embedcourse that a solution may use; the grader masks the others.
    """

    id: str
    title: str
    function: str
    minutes: int
    difficulty: Literal["easy", "medium", "hard"]
    points: int
    regimes: tuple[Regime, ...]
    oracle: Callable[..., Any]
    misconceptions: tuple[Misconception, ...]
    why: str
    compare: Comparator = field(default_factory=Close)
    gradients: tuple[int, ...] = ()
    at_size: AtSize | None = None
    imports: tuple[str, ...] = ()

    def cases(self, seed: int) -> list[Case]:
        """Draw one fresh input a regime; the same seed gives the same inputs."""
        return [self._draw(regime.name, regime.draw, seed) for regime in self.regimes]

    def large_case(self, seed: int) -> Case:
        """Draw the large input on which time and memory are judged."""
        if self.at_size is None:
            raise ValueError(f"{self.id} has no limits of time or memory, so it has no large case")
        return self._draw("a large input", self.at_size.draw, seed)

    def _draw(self, name: str, draw: Draw, seed: int) -> Case:
        # The name takes part, so that one more regime does not change the inputs of the others.
        own = zlib.crc32(f"{self.id}/{name}/{seed}".encode())
        return Case(name, draw(torch.Generator().manual_seed(own)), own)
