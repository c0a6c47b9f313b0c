"""Losses that shape an embedding space, each called as `loss(out0, out1)` with two batches whose rows correspond."""

from embedcourse.losses.barlow_twins import BarlowTwinsLoss, cross_correlation
from embedcourse.losses.nt_xent import NTXentLoss
from embedcourse.losses.vicreg import VICRegLoss, covariance, invariance, variance

__all__ = [
    "BarlowTwinsLoss",
    "NTXentLoss",
    "VICRegLoss",
    "covariance",
    "cross_correlation",
    "invariance",
    "variance",
]
