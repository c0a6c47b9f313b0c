"""Barlow Twins: the same dimension of two views should agree, and different dimensions should not."""

from jaxtyping import Float
from torch import Tensor, nn

from embedcourse._arguments import check_not_negative, check_positive
from embedcourse.losses._batches import check_batch, joint_views, off_diagonal

__all__ = ["BarlowTwinsLoss", "cross_correlation"]


def cross_correlation(z_a: Float[Tensor, "n d"], z_b: Float[Tensor, "n e"], eps: float = 1e-5) -> Float[Tensor, "d e"]:
    """Correlation over the batch of every dimension of one view with every dimension of the other.

    Each dimension is standardised as batch normalisation does it: variance divided by n, plus eps. A dimension that
    is constant over the batch correlates with nothing: 0.

    Range: [−1, 1].
    Raises: TypeError and ValueError for what is no batch, has a single row, or for batches of unequal length.
    Source: Zbontar et al. (2021), "Barlow Twins", Eq. 2; facebookresearch/barlowtwins, main.py.
    """
    check_batch(z_a, "z_a", least=2)
    check_batch(z_b, "z_b", least=2)
    if len(z_a) != len(z_b):
        raise ValueError(f"z_a and z_b must have one row a sample each, got {len(z_a)} and {len(z_b)} rows")
    return standardised(z_a, eps).T @ standardised(z_b, eps) / len(z_a)


def standardised(z: Float[Tensor, "n d"], eps: float) -> Float[Tensor, "n d"]:
    """Each dimension with mean 0 and variance 1 over the batch: batch normalisation without its affine part."""
    return (z - z.mean(dim=0)) / (z.var(dim=0, correction=0) + eps).sqrt()


class BarlowTwinsLoss(nn.Module):
    """Σᵢ (1 − Cᵢᵢ)² + λ Σᵢ Σⱼ≠ᵢ Cᵢⱼ² of the cross-correlation matrix C of two views.

    gather: take C over the rows of all processes of torch.distributed. Value and, under DistributedDataParallel,
        gradient are those of one process on the joint batch. The official code leaves 1/number of processes of it.

    Half precision is computed in float32.
    Source: Zbontar et al. (2021), "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", Eq. 1 and 2; λ:
    section 4; eps: that of torch's batch normalisation.
    """

    def __init__(self, lambda_param: float = 0.0051, eps: float = 1e-5, *, gather: bool = False) -> None:
        super().__init__()
        check_not_negative(lambda_param=lambda_param)
        check_positive(eps=eps)
        self.lambda_param, self.eps, self.gather = lambda_param, eps, gather

    def extra_repr(self) -> str:
        """What distinguishes this loss from another."""
        return f"lambda_param={self.lambda_param}"

    def forward(self, out0: Float[Tensor, "n d"], out1: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two batches, row i of both from sample i: 0 or above.

        Raises: TypeError and ValueError for what is no pair of batches, or has a single row.
        """
        with joint_views(out0, out1, self.gather) as (z_a, z_b):
            c = cross_correlation(z_a, z_b, self.eps)
            on_diagonal = (c.diagonal() - 1).square().sum()
            return on_diagonal + self.lambda_param * off_diagonal(c).square().sum()
