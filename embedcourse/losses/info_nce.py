"""InfoNCE: of all keys find your own. CLIP's loss asks it in both directions, of pictures and of texts."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from embedcourse.distances.cosine import unit
from embedcourse.losses._batches import check_views, full_precision, gathered

__all__ = ["ClipLoss", "info_nce"]


def info_nce(
    queries: Float[Tensor, "n d"], keys: Float[Tensor, "n d"], scale: float | Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Cross-entropy of a softmax over all keys, in which key i is the right one for query i.

    The logits are scale · cosine; scale is 1/temperature. Half precision is computed in float32; a scale of any size
    is safe, as the softmax takes the largest logit off before exp().

    Range: [0, ∞); ln n when nothing is told apart.
    Raises: TypeError and ValueError for what is no pair of batches, has a single row, or for a scale that is no number
    above 0.
    Source: van den Oord et al. (2018), "Representation Learning with Contrastive Predictive Coding", Eq. 4; cosines
    with a temperature: Radford et al. (2021), "CLIP", figure 3.
    """
    check_views(queries, keys, ("queries", "keys"), least=2)
    check_scale("scale", scale)
    with torch.autocast(queries.device.type, enabled=False):
        return find_own(cosine_logits(*full_precision(queries, keys), scale))


class ClipLoss(nn.Module):
    """Each picture finds its text among all texts of the batch, and each text its picture: the mean of both.

    `ClipLoss()(image_features, text_features, logit_scale)` as in open_clip, with the scale itself (1/temperature),
    not the logarithm in which a model learns it. Features are normalised here, whether or not they were before.

    gather: compare with the features of all processes of torch.distributed. Value and, under DistributedDataParallel,
        gradient are those of one process on the joint batch; each process must bring equally many rows.

    Half precision is computed in float32.
    Source: Radford et al. (2021), "Learning Transferable Visual Models From Natural Language Supervision", figure 3;
    open_clip, loss.py.
    """

    def __init__(self, *, gather: bool = False) -> None:
        super().__init__()
        self.gather = gather

    def forward(
        self,
        image_features: Float[Tensor, "n d"],
        text_features: Float[Tensor, "n d"],
        logit_scale: float | Float[Tensor, ""],
    ) -> Float[Tensor, ""]:
        """The loss of two batches, row i of both from sample i: 0 or above, ln n when nothing is told apart.

        Raises: TypeError and ValueError as `info_nce`.
        """
        check_views(image_features, text_features, ("image_features", "text_features"), least=2)
        check_scale("logit_scale", logit_scale)
        with torch.autocast(image_features.device.type, enabled=False):
            images, texts = full_precision(image_features, text_features)
            if self.gather:
                images, texts = gathered(images), gathered(texts)
            logits = cosine_logits(images, texts, logit_scale)  # (N, N)
            return (find_own(logits) + find_own(logits.T)) / 2


def cosine_logits(
    queries: Float[Tensor, "n d"], keys: Float[Tensor, "n d"], scale: float | Float[Tensor, ""]
) -> Float[Tensor, "n n"]:
    """Cosine of every query with every key, times the scale."""
    return scale * (unit(queries) @ unit(keys).T)


def find_own(logits: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    """Cross-entropy of the rows, when the right column of row i is i."""
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def check_scale(name: str, scale: object) -> None:
    """Refuse what is no single number above 0."""
    if not isinstance(scale, int | float | Tensor) or (isinstance(scale, Tensor) and scale.ndim):
        got = f"shape {tuple(scale.shape)}" if isinstance(scale, Tensor) else type(scale).__name__
        raise TypeError(f"{name} must be a single number, got {got}")
    if not scale > 0:
        raise ValueError(f"{name} must be above 0, got {float(scale)!r}: it is 1/temperature, not its logarithm")
