"""Hamming distance: in how many positions do two sequences differ?"""

from typing import overload

import torch
from jaxtyping import Bool, Int64, Num, Shaped, UInt8
from torch import Tensor

from embedcourse.distances._arguments import check_pair, check_tensor

__all__ = ["binarize", "hamming", "pack_bits", "packed_hamming", "unpack_bits"]


@overload
def hamming(x: str, y: str, *, normalize: bool = False) -> int | float: ...
@overload
def hamming(x: Tensor, y: Tensor, *, normalize: bool = False) -> Tensor: ...
def hamming(
    x: Shaped[Tensor, "*#batch d"] | str, y: Shaped[Tensor, "*#batch d"] | str, *, normalize: bool = False
) -> Num[Tensor, "*#batch"] | int | float:
    """Number of positions in which x and y differ, or with `normalize=True` their fraction.

    Tensors are compared over the last dimension, words character by character (Unicode code points).
    Positions differ when their values are unequal; as everywhere in torch, NaN is unequal to itself.

    Range: int64 counts in 0…d; fractions in [0, 1] in torch's default float.
    Raises: TypeError for a word against a tensor, ValueError for unequal lengths or no features.
    Source: Hamming (1950), "Error detecting and error correcting codes", section 5.
    """
    if isinstance(x, str) or isinstance(y, str):
        return _hamming_words(x, y, normalize)
    check_pair(x, y)
    x, y = comparable(x, y)
    count = (x != y).sum(-1)
    return count.to(torch.get_default_dtype()) / x.shape[-1] if normalize else count


def comparable(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """An integer against a float is compared in float64: float32 tells integers apart up to 2²⁴ only."""
    if x.is_floating_point() != y.is_floating_point():
        return x.double(), y.double()
    return x, y


def _hamming_words(x: str, y: str, normalize: bool) -> int | float:
    if not (isinstance(x, str) and isinstance(y, str)):
        raise TypeError(f"x and y must be two strings or two tensors, got {type(x).__name__} and {type(y).__name__}")
    if len(x) != len(y):
        raise ValueError(f"x and y must have the same length, got {len(x)} and {len(y)} characters: {x!r} and {y!r}")
    count = sum(a != b for a, b in zip(x, y, strict=True))
    if not normalize:
        return count
    if not x:
        raise ValueError("x and y are empty strings: there is no fraction of zero positions")
    return count / len(x)


def binarize(x: Shaped[Tensor, "*batch d"], *, threshold: float = 0.0) -> Bool[Tensor, "*batch d"]:
    """One bit a feature: whether it exceeds the threshold. Zero itself, and NaN, give False.

    Raises: TypeError for other than a tensor of numbers, ValueError for no features.
    Source: sentence-transformers, `quantize_embeddings(precision="binary")`.
    """
    check_tensor(x, "x")
    return x > threshold


def pack_bits(bits: Bool[Tensor, "*batch d"]) -> UInt8[Tensor, "*batch bytes"]:
    """Pack eight bits into a byte along the last dimension: d bits become ⌈d/8⌉ bytes.

    The first bit is the highest of its byte and the last byte is filled with zeros, as `numpy.packbits` does.

    Raises: TypeError for other than a bool tensor, ValueError for no features.
    Source: the bit order of `numpy.packbits`.
    """
    check_tensor(bits, "bits")
    if bits.dtype != torch.bool:
        raise TypeError(f"bits must be a bool tensor (see binarize), got {bits.dtype}")
    padded = torch.nn.functional.pad(bits, (0, -bits.shape[-1] % 8))
    octets = padded.unflatten(-1, (-1, 8)).to(torch.uint8)
    return (octets << _shifts(bits)).sum(-1, dtype=torch.uint8)


def unpack_bits(packed: UInt8[Tensor, "*batch bytes"]) -> Bool[Tensor, "*batch bits"]:
    """The bits of packed codes, eight a byte: the inverse of `pack_bits` when d is a multiple of eight.

    Raises: TypeError for other than a uint8 tensor, ValueError for no features.
    Source: the bit order of `numpy.unpackbits`.
    """
    check_packed(packed, "packed")
    return ((packed[..., None] >> _shifts(packed)) & 1).bool().flatten(-2)


def packed_hamming(x: UInt8[Tensor, "*#batch bytes"], y: UInt8[Tensor, "*#batch bytes"]) -> Int64[Tensor, "*#batch"]:
    """Number of differing bits between codes made by `pack_bits`.

    Raises: TypeError for other than uint8 tensors, ValueError for unequal lengths.
    Source: Warren, "Hacker's Delight" (2nd edition), section 5-1, counting 1-bits.
    """
    check_pair(x, y)
    check_packed(x, "x")
    check_packed(y, "y")
    return _count_ones(_words(x ^ y)).sum(-1)


def check_packed(x: object, name: str) -> None:
    """Raises: TypeError for other than uint8 codes, ValueError for no bytes."""
    check_tensor(x, name)
    if x.dtype != torch.uint8:
        raise TypeError(f"{name} must hold packed codes as uint8 (see pack_bits), got {x.dtype}")


def _shifts(x: Tensor) -> Tensor:
    return torch.arange(7, -1, -1, dtype=torch.uint8, device=x.device)


def _words(x: Tensor) -> Tensor:
    """Eight bytes read as one int64: an eighth of the numbers to work on."""
    return torch.nn.functional.pad(x, (0, -x.shape[-1] % 8)).contiguous().view(torch.int64)


def _count_ones(words: Tensor) -> Tensor:
    """Sums of neighbouring bits, then pairs, then nibbles; the masks also clear what a signed shift drags in."""
    words = words - ((words >> 1) & 0x5555555555555555)
    words = (words & 0x3333333333333333) + ((words >> 2) & 0x3333333333333333)
    words = (words + (words >> 4)) & 0x0F0F0F0F0F0F0F0F
    return (words * 0x0101010101010101) >> 56  # the top byte collects the sum of all eight
