"""Manhattan distance: how far is it along the streets of a grid?"""

from jaxtyping import Num, Shaped
from torch import Tensor

from embedcourse.distances._arguments import check_pair, difference, result_dtype

__all__ = ["manhattan"]


def manhattan(x: Shaped[Tensor, "*#batch d"], y: Shaped[Tensor, "*#batch d"]) -> Num[Tensor, "*#batch"]:
    """Sum of absolute differences over the last dimension: Σ |xᵢ − yᵢ|.

    Range: [0, ∞), in the units of x. Integers and bools give int64, floats their promoted dtype.
    Raises: TypeError for other than real tensors, ValueError for shapes that do not fit.
    Source: Minkowski distance of order 1; `scipy.spatial.distance.cityblock`.
    """
    check_pair(x, y)
    if x.is_floating_point() or y.is_floating_point():
        return difference(x, y).abs().sum(-1).to(result_dtype(x, y))
    return (x.long() - y.long()).abs().sum(-1)
