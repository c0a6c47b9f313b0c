"""Dice loss: how little a predicted mask and the true one overlap, whatever their size."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["dice_loss"]


def dice_loss(logits: Float[Tensor, "n h w"], masks: Bool[Tensor, "n h w"]) -> Float[Tensor, ""]:
    """1 − 2 Σ p·t / (Σ p + Σ t) of each mask, with p = sigmoid of its logits, averaged over the masks.

    One is added to numerator and denominator, so that an empty mask that is found empty costs nothing. A small object
    weighs as much as a large one, which a mean over pixels does not give it. Half precision is computed in float32.

    Range: [0, 1).
    Raises: ValueError for no masks, or unequal shapes.
    Source: Milletari et al. (2016), "V-Net", section 3; with the one added as in Cheng et al. (2021), "MaskFormer".
    """
    if logits.shape != masks.shape or not len(logits):
        raise ValueError(
            f"logits and masks must have one shape and a row, got {tuple(logits.shape)} and {tuple(masks.shape)}"
        )
    with torch.autocast(logits.device.type, enabled=False):
        p = (logits if logits.dtype == torch.float64 else logits.float()).sigmoid().flatten(1)  # (n, pixels)
        t = masks.flatten(1).to(p.dtype)
        overlap = (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)
        return (1 - overlap).mean()
