"""What every loss asks of its two batches, and how they are completed by those of other processes."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.distributed.nn.functional import all_gather

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_batch(z: object, name: str, *, least: int) -> None:
    """Refuse what is no batch of embeddings.

    Raises: TypeError for other than a float tensor, ValueError for a shape other than (N, d) or fewer rows than the
    loss is defined for.
    """
    if not isinstance(z, Tensor) or z.dtype not in FLOATS:
        raise TypeError(
            f"{name} must be a tensor of floats, got {z.dtype if isinstance(z, Tensor) else type(z).__name__}"
        )
    if z.ndim != 2 or z.shape[1] == 0:
        raise ValueError(f"{name} must be a batch of shape (N, d), got {tuple(z.shape)}")
    if len(z) < least:
        raise ValueError(f"{name} must have at least {least} rows, got {len(z)}: {REASON[least]}")


REASON = {1: "there is nothing to compare", 2: "one row has no negatives and no spread"}


def check_views(z_a: object, z_b: object, names: tuple[str, str] = ("out0", "out1"), *, least: int) -> None:
    """Refuse what is no pair of batches whose rows correspond.

    Raises: TypeError and ValueError as `check_batch`; ValueError for unequal shapes or two devices.
    """
    for z, name in zip((z_a, z_b), names, strict=True):
        check_batch(z, name, least=least)
    if z_a.shape != z_b.shape:
        shapes = f"{tuple(z_a.shape)} and {tuple(z_b.shape)}"
        raise ValueError(f"{names[0]} and {names[1]} must have one shape, row i of both from sample i, got {shapes}")
    if z_a.device != z_b.device:
        raise ValueError(f"{names[0]} and {names[1]} must be on one device, got {z_a.device} and {z_b.device}")


def check_choice(name: str, choice: object, known: tuple[str, ...]) -> None:
    """Refuse an unknown choice.

    Raises: ValueError.
    """
    if choice not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {choice!r}")


def full_precision(*outs: Tensor) -> tuple[Tensor, ...]:
    """Half precision as float32: sums over a batch need the digits. float64 stays."""
    return tuple(out if out.dtype == torch.float64 else out.float() for out in outs)


def ranks() -> tuple[int, int]:
    """This process's number and how many there are; 0 of 1 outside torch.distributed."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def gathered(out: Float[Tensor, "n d"]) -> Float[Tensor, "N d"]:
    """The rows of all processes, in their order, with gradients that reach the process that each row came from.

    The backward pass adds up what all processes want of a row. DistributedDataParallel then divides by their number,
    so a loss of the joint batch that every process computes whole gets exactly the gradient of one process.
    Every process must bring equally many rows.

    Source: `torch.distributed.nn.functional.all_gather`; the all-gather without gradient of the official code of
    Barlow Twins and DeCUR leaves 1/number of processes of the gradient.
    """
    return out if ranks()[1] == 1 else torch.cat(all_gather(out.contiguous()))


@contextmanager
def joint_views(out0: Tensor, out1: Tensor, gather: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Both batches, checked, in full precision, with the rows of other processes if asked for; autocast is off inside.

    Raises: TypeError and ValueError as `check_views`.
    """
    check_views(out0, out1, least=2)
    with torch.autocast(out0.device.type, enabled=False):
        z_a, z_b = full_precision(out0, out1)
        yield (gathered(z_a), gathered(z_b)) if gather else (z_a, z_b)


def off_diagonal(c: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """A square matrix with zeros on its diagonal."""
    return c.masked_fill(torch.eye(len(c), dtype=torch.bool, device=c.device), 0)
