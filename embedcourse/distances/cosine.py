"""Cosine similarity: do two vectors point the same way, whatever their lengths?"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from embedcourse.distances._arguments import check_pair, result_dtype, wide_dtype
from embedcourse.distances.euclidean import norm

__all__ = ["cosine_similarity"]


def cosine_similarity(x: Shaped[Tensor, "*#batch d"], y: Shaped[Tensor, "*#batch d"]) -> Float[Tensor, "*#batch"]:
    """Cosine of the angle between x and y over the last dimension: xᵀy / (‖x‖ ‖y‖).

    A zero vector has no direction: its similarity to everything is 0, with gradient 0.

    Range: [−1, 1], never beyond, 1 for the same direction; without units.
    Raises: TypeError for other than real tensors, ValueError for shapes that do not fit.
    Source: Salton and McGill (1983), "Introduction to Modern Information Retrieval".
    """
    check_pair(x, y)
    wide = wide_dtype(x, y)
    cosine = (unit(x.to(wide)) * unit(y.to(wide))).sum(-1)
    return within_one(cosine).to(result_dtype(x, y))


def unit(x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """x divided by its length; the zero vector stays zero, with gradient 0."""
    largest = x.detach().abs().amax(-1, keepdim=True)
    origin = largest == 0
    x = x / largest.masked_fill(origin, 1)  # first to entries of at most 1, so that no square under- or overflows
    return (x / norm(x).unsqueeze(-1).masked_fill(origin, 1)).masked_fill(origin, 0)


def within_one(cosine: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Take rounding errors beyond ±1 away, in place and unseen by autograd: a clamp would zero the gradient there."""
    with torch.no_grad():
        cosine.clamp_(-1, 1)
    return cosine
