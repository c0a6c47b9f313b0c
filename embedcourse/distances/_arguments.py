"""What every measure asks of its arguments, and the precision in which it computes with them."""

import torch
from torch import Tensor

DTYPES = (
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
)


def check_tensor(x: object, name: str, *, ndim: int | None = None) -> None:
    """Refuse whatever is not a tensor of real numbers with at least one feature.

    Raises: TypeError for another type or dtype, ValueError for a shape without features or with the wrong rank.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if x.dtype not in DTYPES:
        raise TypeError(f"{name} must hold bools, integers or real floats, got {x.dtype}")
    if x.ndim == 0 or (ndim is not None and x.ndim != ndim):
        expected = "at least one dimension (..., d)" if ndim is None else f"{ndim} dimensions"
        raise ValueError(f"{name} must have {expected}, got shape {tuple(x.shape)}")
    if x.shape[-1] == 0:
        raise ValueError(f"{name} must have at least one feature in its last dimension, got shape {tuple(x.shape)}")


def check_pair(x: object, y: object, names: tuple[str, str] = ("x", "y"), *, ndim: int | None = None) -> None:
    """Refuse two arguments whose vectors cannot be compared.

    Raises: TypeError and ValueError as `check_tensor`; ValueError for unequal features, batch shapes that do not
    broadcast, or two devices.
    """
    check_tensor(x, names[0], ndim=ndim)
    check_tensor(y, names[1], ndim=ndim)
    shapes = f"got shapes {tuple(x.shape)} and {tuple(y.shape)}"
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"{names[0]} and {names[1]} must have the same number of features (last dimension), {shapes}")
    if x.device != y.device:
        raise ValueError(f"{names[0]} and {names[1]} must be on one device, got {x.device} and {y.device}")
    if ndim is None:
        _check_broadcast(x, y, names, shapes)


def _check_broadcast(x: Tensor, y: Tensor, names: tuple[str, str], shapes: str) -> None:
    try:
        torch.broadcast_shapes(x.shape[:-1], y.shape[:-1])
    except RuntimeError:
        raise ValueError(f"the leading dimensions of {names[0]} and {names[1]} do not broadcast, {shapes}") from None


def result_dtype(*tensors: Tensor) -> torch.dtype:
    """The float dtype in which a measure answers: the promoted one, or torch's default where all are integers."""
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def wide_dtype(*tensors: Tensor) -> torch.dtype:
    """The float dtype in which a measure computes: float32 for half precision, else float64 where the device has it."""
    half = all(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in tensors)
    return torch.float32 if half or tensors[0].device.type == "mps" else torch.float64


def difference(x: Tensor, y: Tensor) -> Tensor:
    """x − y in the wide dtype; integers are subtracted as int64, so that uint8 does not wrap and no digit is lost."""
    wide = wide_dtype(x, y)
    if x.is_floating_point() or y.is_floating_point():
        return x.to(wide) - y.to(wide)
    return (x.long() - y.long()).to(wide)
