"""VICReg: hold two views together, every dimension spread, and all dimensions different; no negatives needed."""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from embedcourse._arguments import check_not_negative, check_positive
from embedcourse.losses._batches import (
    check_batch,
    check_choice,
    check_views,
    joint_views,
    off_diagonal,
)

__all__ = ["VICRegLoss", "covariance", "invariance", "variance"]


def invariance(z_a: Float[Tensor, "n d"], z_b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean squared difference of the two views, over samples and dimensions.

    Eq. 5 of the paper sums over the dimensions, d times as much; its Algorithm 1 and the official code average.

    Range: [0, ∞), in squared units of z.
    Raises: TypeError and ValueError for what is no pair of batches.
    Source: Bardes et al. (2022), "VICReg", Algorithm 1.
    """
    check_views(z_a, z_b, ("z_a", "z_b"), least=1)
    return F.mse_loss(z_a, z_b)


def variance(z: Float[Tensor, "n d"], gamma: float = 1.0, eps: float = 1e-4) -> Float[Tensor, ""]:
    """How far the standard deviation of each dimension falls short of γ, averaged over dimensions (a hinge).

    Range: [0, γ], in units of z.
    Raises: TypeError and ValueError for what is no batch, or has a single row.
    Source: Bardes et al. (2022), "VICReg", Eq. 1 and 2: S(x, ε) = √(Var(x) + ε), Var divided by n − 1.
    """
    check_batch(z, "z", least=2)
    std = (z.var(dim=0) + eps).sqrt()  # without ε the slope is infinite where a dimension has collapsed
    return F.relu(gamma - std).mean()


def covariance(z: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Sum of the squared covariances between different dimensions, over d.

    Range: [0, ∞), in units of z to the fourth power.
    Raises: TypeError and ValueError for what is no batch, or has a single row.
    Source: Bardes et al. (2022), "VICReg", Eq. 3 and 4.
    """
    check_batch(z, "z", least=2)
    n, d = z.shape
    z = z - z.mean(dim=0)
    c = z.T @ z / (n - 1)  # (d, d)
    return off_diagonal(c).square().sum() / d


class VICRegLoss(nn.Module):
    """λ · invariance + μ · variance + ν · covariance, the last two of both views.

    convention: "official" takes the mean of the two views' variance terms and the sum of their covariance terms, as
        the authors' code, lightly and pytorch-metric-learning do; "paper" sums both, as Eq. 6 and Algorithm 1 (and
        solo-learn), so that the same μ weighs twice as much.
    gather: take the terms over the rows of all processes of torch.distributed. Value and, under
        DistributedDataParallel, gradient are those of one process on the joint batch.

    Half precision is computed in float32.
    Source: Bardes et al. (2022), "VICReg", Eq. 6 and Algorithm 1; weights: section 4.2; "official":
    facebookresearch/vicreg, main_vicreg.py.
    """

    def __init__(
        self,
        lambda_param: float = 25.0,
        mu_param: float = 25.0,
        nu_param: float = 1.0,
        eps: float = 1e-4,
        *,
        gamma: float = 1.0,
        convention: Literal["official", "paper"] = "official",
        gather: bool = False,
    ) -> None:
        super().__init__()
        check_not_negative(lambda_param=lambda_param, mu_param=mu_param, nu_param=nu_param)
        check_positive(eps=eps, gamma=gamma)
        check_choice("convention", convention, ("official", "paper"))
        self.lambda_param, self.mu_param, self.nu_param = lambda_param, mu_param, nu_param
        self.eps, self.gamma, self.convention, self.gather = eps, gamma, convention, gather

    def extra_repr(self) -> str:
        """What distinguishes this loss from another."""
        return f"lambda_param={self.lambda_param}, mu_param={self.mu_param}, nu_param={self.nu_param}"

    def forward(self, out0: Float[Tensor, "n d"], out1: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two batches, row i of both from sample i: 0 or above.

        Raises: TypeError and ValueError for what is no pair of batches, or has a single row.
        """
        with joint_views(out0, out1, self.gather) as (z_a, z_b):
            v = variance(z_a, self.gamma, self.eps) + variance(z_b, self.gamma, self.eps)
            v = v / 2 if self.convention == "official" else v
            c = covariance(z_a) + covariance(z_b)
            return self.lambda_param * invariance(z_a, z_b) + self.mu_param * v + self.nu_param * c
