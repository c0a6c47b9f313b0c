"""Random numbers that belong to a scene: the same ones in every batch and on every device.

A generator's numbers depend on who asked before. Here each number is a hash of the scene's key and of its own place.
"""

import zlib

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["noise", "uniform"]

MASK = 2**32 - 1


def uniform(key: Int[Tensor, " n"], count: int, stream: str) -> Float[Tensor, "n {count}"]:
    """`count` numbers in [0, 1) for each scene; every stream's numbers are its own.

    Raises: nothing.
    Source: as `hashed`.
    """
    return hashed(key, count, stream).float().mul_(1 / 2**32).clamp_(max=1 - 2**-24)


def noise(key: Int[Tensor, " n"], count: int, stream: str) -> Float[Tensor, "n {count}"]:
    """`count` numbers of mean 0 and standard deviation 1 for each scene, triangular in ±√6.

    Raises: nothing.
    Source: the sum of two uniform numbers, here the two halves of one hash.
    """
    bits = hashed(key, count, stream)
    return ((bits & 0xFFFF) + (bits >> 16) - 0xFFFF).float().mul_(6**0.5 / 0xFFFF)


def hashed(key: Int[Tensor, " n"], count: int, stream: str) -> Int[Tensor, "n {count}"]:
    """32 random bits for each scene and place.

    Source: Mueller's integer hash, two rounds of shift, exclusive or and multiplication by 0x45d9f3b.
    """
    x = (mixed(key ^ zlib.crc32(stream.encode()))[:, None] + 0x9E3779B1 * torch.arange(count, device=key.device)) & MASK
    return mixed(x)


def mixed(x: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Bits that all depend on all bits of x."""
    for _ in range(2):
        x = ((x >> 16) ^ x).mul_(0x45D9F3B).bitwise_and_(MASK)
    return (x >> 16) ^ x
