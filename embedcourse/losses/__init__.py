"""Losses that shape an embedding space, called as `loss(out0, out1)` with two batches whose rows correspond.

CLIP's takes the scale besides, DeCUR's two views of each of two modalities; dice compares masks.
"""

from embedcourse.losses.barlow_twins import BarlowTwinsLoss, cross_correlation
from embedcourse.losses.decur import DeCURLoss
from embedcourse.losses.dice import dice_loss
from embedcourse.losses.info_nce import ClipLoss, info_nce
from embedcourse.losses.nt_xent import NTXentLoss
from embedcourse.losses.vicreg import VICRegLoss, covariance, invariance, variance

__all__ = [
    "BarlowTwinsLoss",
    "ClipLoss",
    "DeCURLoss",
    "NTXentLoss",
    "VICRegLoss",
    "covariance",
    "cross_correlation",
    "dice_loss",
    "info_nce",
    "invariance",
    "variance",
]
