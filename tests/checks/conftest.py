"""A small task on which the engine itself is tested."""

import pytest
import torch

from embedcourse.checks.task import AtSize, Misconception, Regime, Task


def row_lengths(x: torch.Tensor) -> torch.Tensor:
    """The length of each row, by a loop."""
    if x.dim() != 2:
        raise ValueError("x: expected two dimensions")
    return torch.stack([sum(v * v for v in row) ** 0.5 for row in x])


@pytest.fixture
def lengths() -> Task:
    return Task(
        id="toy.lengths",
        title="Lengths",
        function="lengths",
        minutes=5,
        difficulty="easy",
        points=2,
        regimes=(
            Regime("small rows", lambda g: (torch.rand(2, 2, generator=g) + 1,)),
            Regime("one row", lambda g: (torch.rand(1, 3, generator=g) + 1,)),
            Regime("double precision", lambda g: (torch.rand(2, 3, generator=g, dtype=torch.float64) + 2,)),
            Regime("a single vector", lambda g: (torch.rand(3, generator=g),)),
        ),
        oracle=row_lengths,
        misconceptions=(
            Misconception("squared", lambda x: guarded(x).square().sum(1), "The square root is missing."),
            Misconception("columns", lambda x: guarded(x).norm(dim=0), "These are the lengths of the columns."),
            Misconception("signed", lambda x: guarded(x).sum(1), "This is the sum, not the length."),
            Misconception("any form", lambda x: x.norm(dim=-1), "A single vector is to be refused."),
        ),
        why="A length is the root of the sum of squares.",
        gradients=(0,),
        at_size=AtSize(lambda g: (torch.rand(2000, 20, generator=g),), seconds=0.5, largest_bytes=1_000_000),
    )


def guarded(x: torch.Tensor) -> torch.Tensor:
    """Refuse what the task wants refused."""
    if x.dim() != 2:
        raise ValueError("x: expected two dimensions")
    return x
