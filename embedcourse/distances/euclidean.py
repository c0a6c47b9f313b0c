"""Euclidean distance: how far is it as the crow flies?"""

from jaxtyping import Float, Shaped
from torch import Tensor

from embedcourse.distances._arguments import check_pair, difference, result_dtype

__all__ = ["euclidean"]


def euclidean(
    x: Shaped[Tensor, "*#batch d"], y: Shaped[Tensor, "*#batch d"], *, squared: bool = False
) -> Float[Tensor, "*#batch"]:
    """Straight-line distance over the last dimension: √Σ (xᵢ − yᵢ)², or its square.

    The gradient at coincident points is 0 (a subgradient), never NaN.

    Range: [0, ∞), in the units of x (squared: their square).
    Raises: TypeError for other than real tensors, ValueError for shapes that do not fit.
    Source: Minkowski distance of order 2; `scipy.spatial.distance.euclidean`.
    """
    check_pair(x, y)
    delta = difference(x, y)
    distance = delta.square().sum(-1) if squared else norm(delta)
    return distance.to(result_dtype(x, y))


def norm(x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    """Length of x, with gradient 0 at the origin and without overflow: the largest entry is taken out first."""
    largest = x.detach().abs().amax(-1, keepdim=True)
    scale = largest.masked_fill((largest == 0) | largest.isinf(), 1)
    square = (x / scale).square().sum(-1)
    origin = square == 0
    # The root's infinite slope at 0 is never evaluated: 0 · ∞ would be NaN.
    return square.masked_fill(origin, 1).sqrt().masked_fill(origin, 0) * scale.squeeze(-1)
