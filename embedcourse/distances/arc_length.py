"""Negative arc length: how far is it from one direction to another along the sphere?"""

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from embedcourse.distances._arguments import check_pair, result_dtype, wide_dtype
from embedcourse.distances.cosine import unit
from embedcourse.distances.euclidean import norm

__all__ = ["negative_arc_length"]


def negative_arc_length(x: Shaped[Tensor, "*#batch d"], y: Shaped[Tensor, "*#batch d"]) -> Float[Tensor, "*#batch"]:
    """Similarity that falls evenly with the angle θ between x and y: 1 − θ/π.

    θ is 2·atan2(‖u − v‖, ‖u + v‖) for the unit vectors u and v, which is exact near 0 and π, where acos(uᵀv) is not.
    Near 1 the result is rounded as any number near 1 is: in float32 an angle read back from it is good to 1e-7 rad.
    A zero vector has no direction and counts as perpendicular: 0.5, with gradient 0.
    The gradient is 0 (a subgradient) where u = ±v exactly.

    Range: [0, 1]: 1 for the same direction, 0.5 for perpendicular, 0 for opposite; without units.
    Raises: TypeError for other than real tensors, ValueError for shapes that do not fit.
    Source: Koishekenov et al. (2023), "Geometric Contrastive Learning"; the angle after Kahan (2006),
    "How Futile are Mindless Assessments of Roundoff in Floating-Point Computation?", section 12.
    """
    check_pair(x, y)
    wide = wide_dtype(x, y)
    u, v = unit(x.to(wide)), unit(y.to(wide))
    return from_chords(norm(u - v), norm(u + v)).to(result_dtype(x, y))


def from_chords(minus: Float[Tensor, "*shape"], plus: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1 − θ/π from the chords ‖u − v‖ and ‖u + v‖, both of which are 0 only for two zero vectors."""
    directionless = (minus == 0) & (plus == 0)
    minus, plus = minus.masked_fill(directionless, 1), plus.masked_fill(directionless, 1)
    return 1 - torch.atan2(minus, plus) * (2 / math.pi)
