"""Single random numbers, of which the inputs of tasks are made."""

import torch
from torch import Generator

__all__ = ["draw_int", "draw_number"]


def draw_int(g: Generator, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=g))


def draw_number(g: Generator, low: float, high: float) -> float:
    """A number between two others."""
    return low + (high - low) * float(torch.rand((), generator=g, dtype=torch.float64))
