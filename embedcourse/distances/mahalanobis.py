"""Mahalanobis distance: how far is a point from a cloud, measured in the cloud's own spread?"""

from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from embedcourse.distances._arguments import check_pair, check_tensor, difference, result_dtype
from embedcourse.distances.euclidean import norm

__all__ = ["GaussianReference", "mahalanobis", "whiten"]

Shrinkage = Literal["ledoit-wolf", "oas"] | float | int | None


def mahalanobis(
    x: Shaped[Tensor, "*#batch d"],
    mean: Shaped[Tensor, "*#batch d"],
    covariance: Shaped[Tensor, "d d"],
    *,
    squared: bool = False,
) -> Float[Tensor, "*#batch"]:
    """Distance of x from the mean in standard deviations of the cloud: √((x − μ)ᵀ S⁻¹ (x − μ)), or its square.

    No inverse is formed: the difference is whitened by the Cholesky factor of S, then its length is taken.
    `mean` may as well be a second point. The gradient is 0 (a subgradient) where x equals it.

    Range: [0, ∞), in standard deviations (squared: their square).
    Raises: TypeError for other than real tensors, ValueError for shapes that do not fit or a covariance that is not
    finite, symmetric, positive definite and of full rank.
    Source: Mahalanobis (1936), "On the generalised distance in statistics".
    """
    white = whiten(x, mean, covariance)
    return _length(white, squared).to(result_dtype(x, mean, covariance))


def whiten(
    x: Shaped[Tensor, "*#batch d"], mean: Shaped[Tensor, "*#batch d"], covariance: Shaped[Tensor, "d d"]
) -> Float[Tensor, "*#batch d"]:
    """Coordinates in which the cloud is round: L⁻¹(x − μ) with L Lᵀ = S, of mean 0 and covariance 1.

    Answers in float64 where the device has it. Euclidean distances of its results are Mahalanobis distances.

    Raises: as `mahalanobis`.
    Source: Kessy, Lewin and Strimmer (2018), "Optimal whitening and decorrelation", Cholesky whitening.
    """
    check_pair(x, mean, ("x", "mean"))
    factor = cholesky_factor(covariance, x)
    return apply_whitening(factor, difference(x, mean))


def _length(white: Tensor, squared: bool) -> Tensor:
    return white.square().sum(-1) if squared else norm(white)


def apply_whitening(factor: Float[Tensor, "d d"], delta: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """L⁻¹ δ for every row δ."""
    columns = delta.reshape(-1, delta.shape[-1]).T.to(factor.dtype)
    return torch.linalg.solve_triangular(factor, columns, upper=False).T.reshape(delta.shape)


def cholesky_factor(covariance: Shaped[Tensor, "d d"], x: Shaped[Tensor, "*batch d"]) -> Float[Tensor, "d d"]:
    """Lower triangular L with L Lᵀ = S, after the checks that `mahalanobis` promises.

    Everything happens on the correlation matrix, so that the units of the features play no part.
    """
    _check_square(covariance, x)
    wide = covariance.to(torch.float32 if x.device.type == "mps" else torch.float64)
    variance = wide.detach().diagonal()
    scale = torch.where(variance > 0, variance, 1).sqrt()
    correlation = wide / scale / scale[:, None]
    precision = torch.finfo(covariance.dtype if covariance.is_floating_point() else torch.float64).eps
    _check_definite(correlation.detach(), precision)
    return scale[:, None] * torch.linalg.cholesky((correlation + correlation.T) / 2)


def _check_square(covariance: object, x: Tensor) -> None:
    check_tensor(covariance, "covariance", ndim=2)
    d = x.shape[-1]
    if covariance.shape != (d, d):
        raise ValueError(f"covariance must have shape ({d}, {d}) as x has {d} features, got {tuple(covariance.shape)}")
    if covariance.device != x.device:
        raise ValueError(f"x and covariance must be on one device, got {x.device} and {covariance.device}")
    if not covariance.isfinite().all():
        raise ValueError("covariance must be finite, got NaN or infinity in it")


def _check_definite(correlation: Tensor, precision: float) -> None:
    """Rank by eigenvalues: a Cholesky factorisation of a singular matrix often succeeds by rounding alone."""
    asymmetry = (correlation - correlation.T).abs().max().item()
    if asymmetry > precision**0.5:
        raise ValueError(
            f"covariance must be symmetric, got entries that differ from their mirror by {asymmetry:.2g} standard units"
        )
    eigenvalues = torch.linalg.eigvalsh((correlation + correlation.T) / 2)
    tolerance = precision**0.75 * eigenvalues.abs().max()
    if eigenvalues[0] < -tolerance:
        raise ValueError(
            f"covariance must be positive definite, got eigenvalue {eigenvalues[0].item():.2g} (of correlations)"
        )
    rank, d = int((eigenvalues > tolerance).sum()), len(eigenvalues)
    if rank < d:
        raise ValueError(
            f"covariance is singular to working precision: rank {rank} in dimension {d}. Fit it on more samples, "
            'or shrink it: GaussianReference(shrinkage="ledoit-wolf"), or by a weight such as 0.1'
        )


class GaussianReference:
    """A cloud of points as a mean and a covariance, from which Mahalanobis distances are measured.

    shrinkage: None for the empirical covariance S, a weight a in [0, 1] for (1 − a) S + a·(tr S/d) I,
        or the rule that chooses the weight, "ledoit-wolf" or "oas".
    ddof: S divides by n − ddof; 1 is unbiased (scipy, numpy.cov), 0 is the maximum likelihood (scikit-learn).
        The rules choose their weight from the maximum-likelihood S in both cases.

    Raises: ValueError for an unknown rule, a weight outside [0, 1] or a ddof other than 0 or 1.
    Source: Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices", section 3;
    Chen et al. (2010), "Shrinkage algorithms for MMSE covariance estimation", equation 23.
    """

    def __init__(self, shrinkage: Shrinkage = None, ddof: int = 1):
        _check_shrinkage(shrinkage)
        if ddof not in (0, 1):
            raise ValueError(f"ddof must be 0 or 1, got {ddof!r}")
        self.shrinkage, self.ddof = shrinkage, ddof
        self._mean = self._covariance = self._factor = self._dtype = None

    def fit(self, x: Shaped[Tensor, "n d"]) -> "GaussianReference":
        """Estimate mean and covariance from the rows of x.

        Raises: TypeError for other than a real tensor; ValueError for fewer than two rows, NaN or infinity, or a
        covariance that is singular (as it is without shrinkage when n ≤ d).
        """
        check_tensor(x, "x", ndim=2)
        if len(x) < 2:
            raise ValueError(f"x must have at least two rows to estimate a covariance, got shape {tuple(x.shape)}")
        if not x.isfinite().all():
            raise ValueError("x must be finite, got NaN or infinity in it")
        wide = x.to(torch.float32 if x.device.type == "mps" else torch.float64)
        mean = wide.mean(0)
        covariance = _shrunk_covariance(wide - mean, self.shrinkage) * (len(x) / (len(x) - self.ddof))
        self._factor = cholesky_factor(covariance, wide)
        self._mean, self._covariance, self._dtype = mean, covariance, result_dtype(x)
        return self

    @property
    def mean(self) -> Float[Tensor, " d"]:
        """The cloud's centre, in the dtype of the fitted rows. Raises: RuntimeError before `fit`."""
        self._check_fitted()
        return self._mean.to(self._dtype)

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """The cloud's (shrunk) covariance, in the dtype of the fitted rows. Raises: RuntimeError before `fit`."""
        self._check_fitted()
        return self._covariance.to(self._dtype)

    def distance(self, x: Shaped[Tensor, "*batch d"], *, squared: bool = False) -> Float[Tensor, "*batch"]:
        """Mahalanobis distance of x from the fitted cloud, as `mahalanobis`.

        Raises: RuntimeError before `fit`; TypeError and ValueError as `mahalanobis`.
        """
        self._check_fitted()
        check_pair(x, self._mean, ("x", "the fitted mean"))
        white = apply_whitening(self._factor, difference(x, self._mean))
        return _length(white, squared).to(torch.promote_types(result_dtype(x), self._dtype))

    def _check_fitted(self) -> None:
        if self._factor is None:
            raise RuntimeError("this GaussianReference has no cloud yet: call fit(x) first")


def _check_shrinkage(shrinkage: object) -> None:
    number = isinstance(shrinkage, float | int) and not isinstance(shrinkage, bool)
    if shrinkage in (None, "ledoit-wolf", "oas") or (number and 0 <= shrinkage <= 1):
        return
    raise ValueError(f'shrinkage must be None, "ledoit-wolf", "oas" or a weight in [0, 1], got {shrinkage!r}')


def _shrunk_covariance(centred: Tensor, shrinkage: Shrinkage) -> Tensor:
    """(1 − a) S + a·(tr S/d) I, with the maximum-likelihood S of the centred rows."""
    n, d = centred.shape
    empirical = centred.T @ centred / n
    if shrinkage is None:
        return empirical
    rule = {"ledoit-wolf": _ledoit_wolf_weight, "oas": _oas_weight}.get(shrinkage)
    weight = rule(centred, empirical) if rule else shrinkage
    sphere = empirical.trace() / d * torch.eye(d, dtype=empirical.dtype, device=empirical.device)
    return (1 - weight) * empirical + weight * sphere


def _ledoit_wolf_weight(centred: Tensor, empirical: Tensor) -> Tensor:
    """Noise of S over its distance from the sphere, squared: b²/d² in the paper's lemma 3.1."""
    n, d = centred.shape
    spread = empirical.square().sum()
    from_sphere = spread - empirical.trace() ** 2 / d
    noise = (centred.square().sum(1).square().mean() - spread) / n
    return torch.where(from_sphere > 0, (noise / from_sphere).clamp(0, 1), 0)


def _oas_weight(centred: Tensor, empirical: Tensor) -> Tensor:
    """The oracle's fixed point, in the form that scikit-learn computes (without the paper's 1 − 2/d)."""
    n, d = centred.shape
    spread = empirical.square().mean()
    level = (empirical.trace() / d) ** 2
    excess = (n + 1) * (spread - level / d)
    return torch.where(excess > 0, ((spread + level) / excess).clamp(max=1), 1)
