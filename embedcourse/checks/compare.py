"""When two answers are the same, and in which respect they are not: type, shape, dtype, device, then value."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Close", "Comparator", "Difference", "SameSets", "ShareRight"]


@dataclass(frozen=True)
class Difference:
    """The first respect in which an answer differs from what was expected."""

    kind: str  # "type", "shape", "dtype", "device" or "value"
    detail: str


#: Says how an answer differs from the expected one, or None when it is right.
Comparator = Callable[[Any, Any], Difference | None]


def type_name(value: Any) -> str:
    """The type as a learner would say it."""
    names = {Tensor: "tensor", np.ndarray: "NumPy array"}
    return names.get(type(value), type(value).__name__)


def of_a_type(value: Any) -> str:
    """The type with its article: a tensor, an int."""
    if value is None:
        return "None (is a return missing?)"
    name = type_name(value)
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


@dataclass(frozen=True)
class Close:
    """Equal up to rounding: numbers and tensors within rtol and atol, everything else exactly; NaN is never right.

    Tensors must agree in shape and kind of number (a count is whole, a mean is not); with `dtype=True` also in dtype.
    """

    rtol: float = 1e-4
    atol: float = 1e-6
    dtype: bool = False

    def __call__(self, expected: Any, got: Any) -> Difference | None:
        """Compare in the order type, shape, dtype, device, value."""
        if isinstance(expected, Tensor):
            return self._tensors(expected, got)
        if isinstance(expected, bool | str | bytes) or expected is None:
            return self._exact(expected, got)
        if isinstance(expected, Real):
            return self._numbers(expected, got)
        if isinstance(expected, Mapping):
            return self._mappings(expected, got)
        if isinstance(expected, tuple | list):
            return self._sequences(expected, got)
        raise TypeError(f"an oracle returned {of_a_type(expected)}, which no comparison is defined for")

    def _tensors(self, expected: Tensor, got: Any) -> Difference | None:
        if not isinstance(got, Tensor):
            return Difference("type", f"expected a tensor, got {of_a_type(got)}")
        if expected.shape != got.shape:
            return Difference("shape", f"expected shape {tuple(expected.shape)}, got {tuple(got.shape)}")
        if expected.is_floating_point() != got.is_floating_point() or (self.dtype and expected.dtype != got.dtype):
            return Difference("dtype", f"expected {short(expected.dtype)}, got {short(got.dtype)}")
        if expected.device != got.device:
            return Difference("device", f"expected a tensor on {expected.device}, got one on {got.device}")
        if not close(expected, got, self.rtol, self.atol):
            return Difference("value", "")
        return None

    def _numbers(self, expected: Real, got: Any) -> Difference | None:
        if isinstance(got, bool | np.bool_) or not isinstance(got, Real):
            hint = "; .item() makes a number of a tensor with one element" if isinstance(got, Tensor) else ""
            return Difference("type", f"expected a number, got {of_a_type(got)}{hint}")
        if isinstance(expected, Integral) and not isinstance(got, Integral):
            return Difference("dtype", f"expected a whole number (int), got the {type_name(got)} {got}")
        try:
            same = math.isclose(expected, got, rel_tol=self.rtol, abs_tol=self.atol)
        except OverflowError:  # a whole number that is too large for a float
            same = expected == got
        return None if same else Difference("value", "")

    def _exact(self, expected: Any, got: Any) -> Difference | None:
        if type(expected) is not type(got):
            wanted = "None" if expected is None else of_a_type(expected)
            return Difference("type", f"expected {wanted}, got {of_a_type(got)}")
        return None if expected == got else Difference("value", "")

    def _sequences(self, expected: Any, got: Any) -> Difference | None:
        if not isinstance(got, tuple | list):
            return Difference("type", f"expected {of_a_type(expected)}, got {of_a_type(got)}")
        if len(expected) != len(got):
            return Difference("shape", f"expected {len(expected)} items, got {len(got)}")
        return next((d for d in map(self, expected, got) if d is not None), None)

    def _mappings(self, expected: Mapping, got: Any) -> Difference | None:
        if not isinstance(got, Mapping):
            return Difference("type", f"expected {of_a_type(expected)}, got {of_a_type(got)}")
        if expected.keys() != got.keys():
            return Difference("shape", f"expected the keys {sorted(expected)}, got {sorted(got, key=str)}")
        return next((d for key in expected if (d := self(expected[key], got[key])) is not None), None)


@dataclass(frozen=True)
class SameSets:
    """Rows of indices are right when each row holds the same indices, in whatever order."""

    def __call__(self, expected: Tensor, got: Any) -> Difference | None:
        """Compare row by row after sorting."""
        difference = Close()(expected, got)
        if difference is None or difference.kind != "value":
            return difference
        return Close()(expected.sort(dim=-1).values, got.sort(dim=-1).values)


@dataclass(frozen=True)
class ShareRight:
    """Predictions are right when at least that share of them is what was expected, each in its own place."""

    at_least: float

    def __call__(self, expected: Tensor, got: Any) -> Difference | None:
        """Compare the form first, then count."""
        difference = Close()(expected, got)
        if difference is None or difference.kind != "value":
            return difference
        right, wanted = (expected == got).sum().item(), math.ceil(self.at_least * expected.numel())
        if right >= wanted:
            return None
        return Difference("value", f"{right} of {expected.numel()} predictions are right, and {wanted} are needed")


def short(dtype: torch.dtype) -> str:
    """A dtype without its module."""
    return str(dtype).removeprefix("torch.")


def close(expected: Tensor, got: Tensor, rtol: float, atol: float, equal_nan: bool = False) -> bool:
    """Whether two tensors of one shape agree within tolerances, whatever their dtypes."""
    if expected.is_complex() or got.is_complex():
        return False
    expected, got = expected.detach().double().cpu(), got.detach().double().cpu()
    return torch.allclose(expected, got, rtol=rtol, atol=atol, equal_nan=equal_nan)


def alike(one: Any, other: Any, rtol: float = 1e-4, atol: float = 1e-6) -> bool:
    """Whether two wrong answers are the same mistake: the same numbers in the same shape, whatever type holds them."""
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        return type(one) is type(other) and one == other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(one[key], other[key], rtol, atol) for key in one)
    both = [as_tensor(one), as_tensor(other)]
    if all(t is not None for t in both):
        return both[0].shape == both[1].shape and close(both[0], both[1], rtol, atol, equal_nan=True)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(alike(a, b, rtol, atol) for a, b in zip(one, other, strict=True))
    return False


def as_tensor(value: Any) -> Tensor | None:
    """The numbers in a value as one tensor, or None where it holds something else or is ragged."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Real | np.ndarray) or (isinstance(value, tuple | list) and value):
        try:
            return torch.as_tensor(np.asarray(value, dtype=np.float64))
        except (TypeError, ValueError, RuntimeError, OverflowError):
            return None  # ragged, too large, or of other things than numbers: the caller compares item by item
    return None
