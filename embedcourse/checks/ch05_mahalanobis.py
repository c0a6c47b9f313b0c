"""Checks of chapter 5: covariance, distance from a cloud, whitening, how much to shrink, and telling strangers."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from embedcourse.checks.compare import Close
from embedcourse.checks.task import AtSize, Misconception, Regime, Task

__all__ = ["TASKS"]


def draw_uniform(g: Generator, low: float, high: float) -> float:
    """A number between low and high."""
    return low + (high - low) * float(torch.rand((), generator=g))


def draw_cloud(g: Generator, n: int, d: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Rows of a tilted cloud: features of unequal spread that hang together, and a mean far from zero."""
    spread = torch.linspace(0.5, 2.5, d)
    shared = torch.randn(n, 1, generator=g)
    rows = spread * (torch.randn(n, d, generator=g) + shared)
    return (rows + torch.arange(1, d + 1) * 3).to(dtype)


def shrunk(centred: Tensor, weight: float, divisor: float) -> Tensor:
    """The shrunk covariance of centred rows."""
    s = centred.T @ centred / divisor
    return (1 - weight) * s + weight * s.trace() / len(s) * torch.eye(len(s), dtype=s.dtype)


def shrunk_covariance(x: Tensor, weight: float) -> Tensor:
    """The shrunk covariance, as asked for."""
    return shrunk(x - x.mean(0), weight, len(x) - 1)


def solve_root(factor: Tensor, delta: Tensor, upper: bool = False) -> Tensor:
    """Rows solved by a triangular factor."""
    return torch.linalg.solve_triangular(factor, delta.T, upper=upper).T


def distance_by_cholesky(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The distance, as asked for."""
    return solve_root(torch.linalg.cholesky(covariance), x - mean).norm(dim=1)


# -------------------------------------------------------------------------------- mahalanobis.covariance


def draw_rows(g: Generator, n: int, d: int, weight: float | None = None) -> tuple[Tensor, float]:
    """Rows, and a weight that is not one half."""
    return draw_cloud(g, n, d), draw_uniform(g, 0.15, 0.4) if weight is None else weight


def draw_constant_feature(g: Generator) -> tuple[Tensor, float]:
    """The second feature is the same in every row."""
    x, weight = draw_rows(g, 6, 3)
    x[:, 1] = 2.0
    return x, weight


def draw_double(g: Generator) -> tuple[Tensor, float]:
    """Double precision."""
    x, weight = draw_rows(g, 7, 4)
    return x.double(), weight


def covariance_by_loop(x: Tensor, weight: float) -> Tensor:
    """Entry by entry."""
    n, d = x.shape
    rows = x.double().tolist()
    mean = [sum(row[i] for row in rows) / n for i in range(d)]
    s = [[sum((r[i] - mean[i]) * (r[j] - mean[j]) for r in rows) / (n - 1) for j in range(d)] for i in range(d)]
    average = sum(s[i][i] for i in range(d)) / d
    mixed = [[(1 - weight) * s[i][j] + (weight * average if i == j else 0) for j in range(d)] for i in range(d)]
    return torch.tensor(mixed, dtype=x.dtype)


def identity_unscaled(x: Tensor, weight: float) -> Tensor:
    """Towards a sphere of radius one."""
    return (1 - weight) * shrunk_covariance(x, 0) + weight * torch.eye(x.shape[1], dtype=x.dtype)


def whole_trace(x: Tensor, weight: float) -> Tensor:
    """The trace is not divided by d."""
    s = shrunk_covariance(x, 0)
    return (1 - weight) * s + weight * s.trace() * torch.eye(len(s), dtype=s.dtype)


def towards_diagonal(x: Tensor, weight: float) -> Tensor:
    """Every feature keeps its own variance."""
    s = shrunk_covariance(x, 0)
    return (1 - weight) * s + weight * s.diagonal().diag()


def between_rows(x: Tensor, weight: float) -> Tensor:
    """Rows taken for features."""
    return shrunk(x.T - x.T.mean(0), weight, x.shape[1] - 1)


def correlations(x: Tensor, weight: float) -> Tensor:
    """Standardised first."""
    centred = x - x.mean(0)
    return shrunk(centred / (centred.square().sum(0) / (len(x) - 1)).sqrt(), weight, len(x) - 1)


COVARIANCE = Task(
    id="mahalanobis.covariance",
    title="A covariance that can be trusted",
    function="covariance",
    minutes=10,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("a few rows", lambda g: draw_rows(g, 5, 2)),
        Regime("no shrinkage", lambda g: draw_rows(g, 6, 3, 0.0)),
        Regime("nothing but the sphere", lambda g: draw_rows(g, 6, 3, 1.0)),
        Regime("as many rows as features", lambda g: draw_rows(g, 4, 4)),
        Regime("fewer rows than features", lambda g: draw_rows(g, 3, 6)),
        Regime("two rows", lambda g: draw_rows(g, 2, 3)),
        Regime("one feature", lambda g: draw_rows(g, 5, 1)),
        Regime("a feature that never changes", draw_constant_feature),
        Regime("double precision", draw_double),
        Regime("forty features", lambda g: draw_rows(g, 60, 40)),
    ),
    oracle=covariance_by_loop,
    compare=Close(rtol=1e-3, atol=1e-4),
    misconceptions=(
        Misconception(
            "divided by n",
            lambda x, weight: shrunk(x - x.mean(0), weight, len(x)),
            "This divides by n, as scikit-learn does. Asked for is n − 1: one degree of freedom went into the mean.",
        ),
        Misconception(
            "not centred",
            lambda x, weight: shrunk(x, weight, len(x) - 1),
            "The mean is still in it. Covariance is about deviations: subtract the mean of each feature first.",
        ),
        Misconception(
            "one mean for all",
            lambda x, weight: shrunk(x - x.mean(), weight, len(x) - 1),
            "One mean for all features together was subtracted. Each feature has a mean of its own: x.mean(0).",
        ),
        Misconception(
            "identity without its scale",
            identity_unscaled,
            "This shrinks towards the identity itself, whose variances are 1 whatever the units of the data. "
            "Scale it by the mean variance: S.trace() / d.",
        ),
        Misconception(
            "trace not divided",
            whole_trace,
            "The sphere is d times too wide: the trace is the sum of the variances. Divide it by d to get their mean.",
        ),
        Misconception(
            "weights swapped",
            lambda x, weight: shrunk_covariance(x, 1 - weight),
            "The weights are swapped. With weight 0 nothing is shrunk, with weight 1 only the sphere is left.",
        ),
        Misconception(
            "towards the diagonal",
            towards_diagonal,
            "This keeps each feature's own variance on the diagonal, which is another target. "
            "Asked for is the sphere, with the mean variance in every place of the diagonal.",
        ),
        Misconception(
            "rows taken for features",
            between_rows,
            "This compares rows with rows. The covariance compares features: "
            "average over the rows, mean(0), and multiply as (d, n) @ (n, d).",
        ),
        Misconception(
            "correlations",
            correlations,
            "These are correlations: each feature was divided by its standard deviation. "
            "A covariance keeps the units, so leave that division out.",
        ),
        Misconception(
            "not averaged",
            lambda x, weight: shrunk(x - x.mean(0), weight, 1),
            "This is the sum of the products of deviations, which grows with every row. Divide it by n − 1.",
        ),
    ),
    why="S holds how features vary together. The sphere has the same mean variance and no tilt. A mixture of the two "
    "keeps the trace, and it has full rank whenever the weight is above 0.",
)


# ---------------------------------------------------------------------------------- mahalanobis.distance

Triple = tuple[Tensor, Tensor, Tensor]


def covariance_with(correlation: float, d: int, spread: Tensor) -> Tensor:
    """One correlation between all features, and a spread for each."""
    c = torch.full((d, d), correlation)
    c.fill_diagonal_(1)
    return c * spread * spread[:, None]


def draw_points(
    g: Generator, n: int, d: int, correlation: float = 0.6, unit: float = 1.0, dtype: torch.dtype = torch.float32
) -> Triple:
    """Points around a mean that is not 0, with a covariance of unequal spreads."""
    spread = unit * torch.linspace(0.6, 2.2, d)
    mean = unit * (torch.arange(d) - 1.5)
    delta = spread * (torch.randn(n, d, generator=g) + 0.3)
    return (mean + delta).to(dtype), mean.to(dtype), covariance_with(correlation, d, spread).to(dtype)


def draw_at_the_mean(g: Generator) -> Triple:
    """The second of three points is the mean itself."""
    x, mean, covariance = draw_points(g, 3, 3)
    x[1] = mean
    return x, mean, covariance


def draw_stretched(g: Generator) -> Triple:
    """A cloud a thousand times as long as it is thick, and points along it: an explicit inverse loses its digits."""
    d = 8
    axes = torch.linalg.qr(torch.randn(d, d, generator=g, dtype=torch.float64)).Q
    variances = torch.tensor([1.0, 1.0, *[1e-6] * (d - 2)], dtype=torch.float64)
    covariance = ((axes * variances) @ axes.T).float()
    steps = torch.randn(8, 2, generator=g, dtype=torch.float64) @ axes[:, :2].T
    return steps.float(), torch.zeros(d), (covariance + covariance.T) / 2


def distance_by_loop(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Row by row in double precision, by NumPy's solver."""
    s = covariance.double().numpy()
    deltas = (x.double() - mean.double()).numpy()
    return torch.tensor([np.sqrt(delta @ np.linalg.solve(s, delta)) for delta in deltas], dtype=x.dtype)


def by_inverse(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """The formula as it is printed."""
    delta = x - mean
    return ((delta @ torch.linalg.inv(covariance)) * delta).sum(1).sqrt()


DISTANCE = Task(
    id="mahalanobis.distance",
    title="The distance by Cholesky",
    function="mahalanobis",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("two features", lambda g: draw_points(g, 3, 2)),
        Regime("one feature", lambda g: draw_points(g, 4, 1)),
        Regime("one row", lambda g: draw_points(g, 1, 3)),
        Regime("as many rows as features", lambda g: draw_points(g, 4, 4)),
        Regime("a point at the mean", draw_at_the_mean),
        Regime("features that do not correlate", lambda g: draw_points(g, 3, 3, 0.0)),
        Regime("a strong correlation", lambda g: draw_points(g, 3, 2, 0.95)),
        Regime("a negative correlation", lambda g: draw_points(g, 3, 2, -0.8)),
        Regime("large units", lambda g: draw_points(g, 3, 3, unit=1e4)),
        Regime("double precision", lambda g: draw_points(g, 3, 3, dtype=torch.float64)),
        Regime("thirty features", lambda g: draw_points(g, 6, 30)),
        Regime("along a cloud a thousand times as long as it is thick", draw_stretched),
    ),
    oracle=distance_by_loop,
    misconceptions=(
        Misconception(
            "squared",
            lambda x, mean, s: distance_by_cholesky(x, mean, s).square(),
            "This is the squared distance: the square root is missing.",
        ),
        Misconception(
            "S for its inverse",
            lambda x, mean, s: (((x - mean) @ s) * (x - mean)).sum(1).sqrt(),
            "This multiplies by S, so directions in which the cloud is wide count most. "
            "They must count least: divide by the spread, which is what solving with L does.",
        ),
        Misconception(
            "Euclid",
            lambda x, mean, s: (x - mean).norm(dim=1),
            "This is the Euclidean distance from the mean. The covariance plays no part in it yet.",
        ),
        Misconception(
            "mean not subtracted",
            lambda x, mean, s: distance_by_cholesky(x, torch.zeros_like(mean), s),
            "This measures from the origin. Measure from the cloud's centre: subtract the mean first.",
        ),
        Misconception(
            "variances only",
            lambda x, mean, s: ((x - mean) / s.diagonal().sqrt()).norm(dim=1),
            "Only the diagonal of S is used here, so these are z-scores and the correlation between the features is "
            "lost. Use the whole of S, by its Cholesky factor.",
        ),
        Misconception(
            "solved with the transpose",
            lambda x, mean, s: solve_root(torch.linalg.cholesky(s).T, x - mean, upper=True).norm(dim=1),
            "This solves with Lᵀ. S is L Lᵀ in this order, so the coordinates in which the cloud is round are L⁻¹ δ: "
            "solve with the lower triangular L.",
        ),
        Misconception(
            "length of S⁻¹ δ",
            lambda x, mean, s: solve_root(
                torch.linalg.cholesky(s).T, solve_root(torch.linalg.cholesky(s), x - mean), True
            ).norm(dim=1),
            "This is the length of S⁻¹ δ, which divides by the spread twice. "
            "One triangular solve is enough: the length of L⁻¹ δ.",
        ),
        Misconception(
            "summed over the rows",
            lambda x, mean, s: solve_root(torch.linalg.cholesky(s), x - mean).norm(dim=0),
            "This sums over the rows, so you get a number for each feature. After the solve the rows stand as columns: "
            "sum down each column, sum(0), or turn them back with .T first.",
        ),
        Misconception(
            "multiplied by L",
            lambda x, mean, s: ((x - mean) @ torch.linalg.cholesky(s).T).norm(dim=1),
            "This multiplies by L, which makes a round cloud tilted. You need the way back: "
            "solve with L, torch.linalg.solve_triangular.",
        ),
        Misconception(
            "explicit inverse",
            by_inverse,
            "Right on easy clouds. On a long, thin one in single precision the inverse of S has lost its digits, and "
            "the distance with it. Do not invert: factor S = L Lᵀ and solve with L.",
        ),
    ),
    why="L⁻¹ δ are the coordinates in which the cloud is round, and their length is the distance. "
    "Nothing is inverted, so a long, thin cloud costs no digits and the square can never be negative.",
    at_size=AtSize(lambda g: draw_points(g, 4000, 32), seconds=2.0, largest_bytes=16_000_000),
)


# ------------------------------------------------------------------------------------ mahalanobis.whiten


def draw_two_clouds(g: Generator, n: int, m: int, d: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Points, and the reference rows whose mean and spread are other than theirs."""
    return 1.7 * draw_cloud(g, n, d, dtype) - 2, draw_cloud(g, m, d, dtype)


def draw_reference_itself(g: Generator) -> tuple[Tensor, Tensor]:
    """The reference rows are whitened by themselves."""
    x = draw_cloud(g, 9, 3)
    return x, x.clone()


def draw_units(g: Generator) -> tuple[Tensor, Tensor]:
    """One feature in thousands, one in thousandths."""
    x, reference = draw_two_clouds(g, 4, 9, 2)
    units = torch.tensor([1e3, 1e-3])
    return x * units, reference * units


def reference_covariance(reference: Tensor) -> Tensor:
    """Unbiased."""
    return shrunk_covariance(reference, 0)


def factor_of(reference: Tensor) -> Tensor:
    """The lower triangular factor."""
    return torch.linalg.cholesky(reference_covariance(reference))


def whiten_by_loop(x: Tensor, reference: Tensor) -> Tensor:
    """Forward substitution, coordinate by coordinate, in double precision."""
    factor = np.linalg.cholesky(np.cov(reference.double().numpy(), rowvar=False, ddof=1).reshape(2 * [x.shape[1]]))
    white = []
    for delta in (x.double() - reference.double().mean(0)).tolist():
        z: list[float] = []
        for i, value in enumerate(delta):
            z.append((value - sum(factor[i, j] * z[j] for j in range(i))) / factor[i, i])
        white.append(z)
    return torch.tensor(white, dtype=x.dtype)


def whiten_symmetric(x: Tensor, reference: Tensor) -> Tensor:
    """The other well-known whitening, by the symmetric root."""
    values, vectors = torch.linalg.eigh(reference_covariance(reference))
    return (x - reference.mean(0)) @ (vectors / values.sqrt()) @ vectors.T


WHITEN = Task(
    id="mahalanobis.whiten",
    title="Make the cloud round",
    function="whiten",
    minutes=10,
    difficulty="medium",
    points=2,
    regimes=(
        Regime("two features", lambda g: draw_two_clouds(g, 5, 8, 2)),
        Regime("one feature", lambda g: draw_two_clouds(g, 4, 6, 1)),
        Regime("one row to whiten", lambda g: draw_two_clouds(g, 1, 9, 3)),
        Regime("as many rows as features", lambda g: draw_two_clouds(g, 4, 12, 4)),
        Regime("the reference itself", draw_reference_itself),
        Regime("features in very different units", draw_units),
        Regime("double precision", lambda g: draw_two_clouds(g, 5, 9, 3, torch.float64)),
        Regime("twenty features", lambda g: draw_two_clouds(g, 30, 120, 20)),
    ),
    oracle=whiten_by_loop,
    compare=Close(rtol=1e-3, atol=1e-3),
    misconceptions=(
        Misconception(
            "standardised only",
            lambda x, reference: (x - reference.mean(0)) / reference_covariance(reference).diagonal().sqrt(),
            "Each feature has variance 1 now, but they still correlate: the cloud is still tilted. "
            "Use the Cholesky factor of the whole covariance.",
        ),
        Misconception(
            "mean forgotten",
            lambda x, reference: solve_root(factor_of(reference), x),
            "The cloud is round, but not around the origin. Subtract the mean of the reference first.",
        ),
        Misconception(
            "whitened by itself",
            lambda x, reference: solve_root(factor_of(x), x - x.mean(0)),
            "x is whitened by its own mean and covariance, so every cloud looks the same afterwards, and one row alone "
            "cannot be whitened at all. Take both from the reference.",
        ),
        Misconception(
            "coloured",
            lambda x, reference: (x - reference.mean(0)) @ factor_of(reference).T,
            "This multiplies by L, which gives a round cloud the tilt of the reference. "
            "Whitening is the way back: solve with L.",
        ),
        Misconception(
            "solved twice",
            lambda x, reference: solve_root(
                factor_of(reference).T, solve_root(factor_of(reference), x - reference.mean(0)), True
            ),
            "This is S⁻¹ δ, which divides by the spread twice: wide directions become narrow ones. "
            "Solve once, with the Cholesky factor L.",
        ),
        Misconception(
            "solved with the transpose",
            lambda x, reference: solve_root(factor_of(reference).T, x - reference.mean(0), upper=True),
            "This solves with Lᵀ, and the result still correlates. S is L Lᵀ in this order: solve with L.",
        ),
        Misconception(
            "divided by n",
            lambda x, reference: solve_root(
                factor_of(reference) * ((len(reference) - 1) / len(reference)) ** 0.5, x - reference.mean(0)
            ),
            "The covariance is divided by n here. Divide by n − 1, as torch.cov does by itself.",
        ),
        Misconception(
            "another whitening",
            whiten_symmetric,
            "White it is, but turned: this is the symmetric root of S. Whitening is only unique up to a rotation, and "
            "asked for is the one by Cholesky.",
        ),
    ),
    why="In these coordinates the reference has mean 0, variance 1 in every direction and no correlation, so that "
    "Euclidean distance now is Mahalanobis distance. The reference decides, whatever x is.",
)


# ----------------------------------------------------------------------------- mahalanobis.choose_weight

WEIGHTS = [0.02, 0.1, 0.3, 0.6, 0.9]
Rows = tuple[Tensor, Tensor, list[float]]


def draw_split(g: Generator, n: int, m: int, d: int, tilt: float, weights: list[float]) -> Rows:
    """Training and validation rows of one cloud; the larger the tilt, the longer the cloud."""
    spread = torch.logspace(0, -tilt, d, dtype=torch.float64)
    axes = torch.linalg.qr(torch.randn(d, d, generator=g, dtype=torch.float64)).Q
    rows = torch.randn(n + m, d, generator=g, dtype=torch.float64) * spread @ axes + 2
    return rows[:n], rows[n:], weights


def surprise_of(rows: Tensor, fitted_on: Tensor, weight: float) -> Tensor:
    """Mean squared distance plus log-determinant."""
    s = shrunk_covariance(fitted_on, weight)
    return distance_by_cholesky(rows, fitted_on.mean(0), s).square().mean() + torch.logdet(s)


def choose_by_density(train: Tensor, validation: Tensor, weights: list[float]) -> float:
    """The weight under which torch's own Gaussian gives the validation rows the highest log-density."""
    best, highest = weights[0], -float("inf")
    for weight in weights:
        s = covariance_by_loop(train, weight)
        gaussian = torch.distributions.MultivariateNormal(train.mean(0), s)
        density = gaussian.log_prob(validation).mean().item()
        if density > highest:
            best, highest = weight, density
    return best


def smallest(score: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[[Tensor, Tensor, list[float]], float]:
    """Choose the weight with the smallest score of some kind."""
    return lambda train, validation, weights: min(weights, key=lambda weight: score(train, validation, weight).item())


def mean_square(train: Tensor, validation: Tensor, weight: float) -> Tensor:
    """How far the validation rows are."""
    return distance_by_cholesky(validation, train.mean(0), shrunk_covariance(train, weight)).square().mean()


def mean_distance(train: Tensor, validation: Tensor, weight: float) -> Tensor:
    """The same, not squared."""
    return distance_by_cholesky(validation, train.mean(0), shrunk_covariance(train, weight)).mean()


def logdet(train: Tensor, weight: float) -> Tensor:
    """The size of the fitted cloud."""
    return torch.logdet(shrunk_covariance(train, weight))


CHOOSE = Task(
    id="mahalanobis.choose_weight",
    title="Let unseen rows choose the weight",
    function="choose_weight",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("fewer rows than features", lambda g: draw_split(g, 8, 40, 12, 0.4, WEIGHTS)),
        Regime("a few more rows than features", lambda g: draw_split(g, 16, 60, 8, 0.5, WEIGHTS)),
        Regime("rows in plenty, a long cloud", lambda g: draw_split(g, 300, 100, 5, 1.0, WEIGHTS)),
        Regime("a round cloud", lambda g: draw_split(g, 12, 100, 8, 0.0, WEIGHTS)),
        Regime("a very long cloud", lambda g: draw_split(g, 20, 60, 6, 1.5, WEIGHTS)),
        Regime("weights in another order", lambda g: draw_split(g, 14, 60, 8, 0.5, WEIGHTS[::-1])),
        Regime("very few rows", lambda g: draw_split(g, 4, 40, 20, 0.3, [0.0001, 0.001, 0.01, 0.1, 0.6])),
        Regime("two weights", lambda g: draw_split(g, 10, 60, 8, 0.5, [0.05, 0.5])),
        Regime("one weight", lambda g: draw_split(g, 10, 20, 4, 0.5, [0.3])),
        Regime("two features", lambda g: draw_split(g, 5, 40, 2, 0.8, WEIGHTS)),
        Regime("few validation rows", lambda g: draw_split(g, 200, 4, 6, 0.8, WEIGHTS)),
        Regime("a thousand rows", lambda g: draw_split(g, 800, 200, 10, 1.2, WEIGHTS)),
    ),
    oracle=choose_by_density,
    misconceptions=(
        Misconception(
            "judged on the training rows",
            smallest(lambda train, validation, weight: surprise_of(train, train, weight)),
            "The weight is judged by the rows that the covariance was made of, and they always vote for little "
            "shrinkage. Judge it by the validation rows.",
        ),
        Misconception(
            "log-determinant forgotten",
            smallest(mean_square),
            "This takes the weight with the smallest squared distances. A wider cloud makes every distance smaller, so "
            "it wins whether it fits or not. Add torch.logdet(S), which is the price of being wide.",
        ),
        Misconception(
            "log-determinant subtracted",
            smallest(lambda train, v, weight: mean_square(train, v, weight) - logdet(train, weight)),
            "The log-determinant has the wrong sign: this rewards a wide cloud twice. Add it.",
        ),
        Misconception(
            "distance not squared",
            smallest(lambda train, v, weight: mean_distance(train, v, weight) + logdet(train, weight)),
            "The Gaussian's exponent holds the squared distance. Square the distances before their mean is taken.",
        ),
        Misconception(
            "worst instead of best",
            lambda train, v, weights: max(weights, key=lambda weight: surprise_of(v, train, weight).item()),
            "This is the weight that surprises most. The smaller squared distance plus log-determinant, the better "
            "the unseen rows are explained: take the minimum.",
        ),
        Misconception(
            "fitted on the validation rows",
            smallest(lambda train, validation, weight: surprise_of(train, validation, weight)),
            "Training and validation rows are swapped. Fit the mean and the covariance on the training rows, then "
            "judge them by the validation rows.",
        ),
    ),
    why="Squared distance plus log-determinant is, up to constants, minus twice the Gaussian's log-density. "
    "Judged on unseen rows it finds the weight between trusting few rows too much and forgetting the tilt.",
)


# --------------------------------------------------------------------------------- mahalanobis.ood_score

Scored = tuple[Tensor, Tensor, Tensor, float]


def draw_classes(g: Generator, counts: tuple[int, ...], d: int, weight: float | None = None, n: int = 5) -> Scored:
    """Classes of unequal size and spread, points near some of them and points near none; labels in mixed order."""
    sizes = torch.tensor(counts)
    labels = torch.repeat_interleave(torch.arange(len(counts)), sizes)
    labels = labels[torch.randperm(len(labels), generator=g)]
    centres = 4 * torch.randn(len(counts), d, generator=g)
    tilt = torch.linspace(0.5, 1.5, d)[:, None] * torch.linalg.qr(torch.randn(d, d, generator=g)).Q
    spread = 0.5 + torch.arange(len(counts))[:, None] * 0.7
    train = centres[labels] + spread[labels] * (torch.randn(len(labels), d, generator=g) @ tilt)
    x = torch.cat([centres[:1] + torch.randn(1, d, generator=g), 5 * torch.randn(n, d, generator=g)])
    return x, train, labels, draw_uniform(g, 0.1, 0.3) if weight is None else weight


def draw_classes_double(g: Generator) -> Scored:
    """Double precision."""
    x, train, labels, weight = draw_classes(g, (6, 4, 5), 3)
    return x.double(), train.double(), labels, weight


def class_means(train: Tensor, labels: Tensor) -> Tensor:
    """One mean a class."""
    return torch.stack([train[labels == c].mean(0) for c in labels.unique()])


def tied_covariance(train: Tensor, labels: Tensor, weight: float) -> Tensor:
    """One covariance for all classes, of the deviations from each class's own mean."""
    return shrunk_covariance(train - class_means(train, labels)[labels], weight)


def class_distances(x: Tensor, means: Tensor, covariance: Tensor) -> Tensor:
    """Every class's distance to every point."""
    return torch.stack([distance_by_cholesky(x, mean, covariance) for mean in means])


def score_by_loop(x: Tensor, train: Tensor, labels: Tensor, weight: float) -> Tensor:
    """Point by point, class by class."""
    members = {
        c: [row for row, label in zip(train, labels.tolist(), strict=True) if label == c] for c in labels.tolist()
    }
    means = {c: sum(rows) / len(rows) for c, rows in members.items()}
    residuals = torch.stack([row - means[label] for row, label in zip(train, labels.tolist(), strict=True)])
    s = covariance_by_loop(residuals, weight)
    return torch.stack([min(distance_by_loop(point[None], mean, s)[0] for mean in means.values()) for point in x])


def one_gaussian(x: Tensor, train: Tensor, labels: Tensor, weight: float) -> Tensor:
    """The classes are forgotten."""
    return distance_by_cholesky(x, train.mean(0), shrunk_covariance(train, weight))


def covariance_a_class(x: Tensor, train: Tensor, labels: Tensor, weight: float) -> Tensor:
    """A covariance for each class."""
    parts = [train[labels == c] for c in labels.unique()]
    return torch.stack([distance_by_cholesky(x, p.mean(0), shrunk_covariance(p, weight)) for p in parts]).amin(0)


def classes_weigh_alike(x: Tensor, train: Tensor, labels: Tensor, weight: float) -> Tensor:
    """The mean of the classes' covariances."""
    parts = [train[labels == c] for c in labels.unique()]
    s = torch.stack([shrunk_covariance(p, weight) for p in parts]).mean(0)
    return class_distances(x, class_means(train, labels), s).amin(0)


def total_covariance(x: Tensor, train: Tensor, labels: Tensor, weight: float) -> Tensor:
    """The covariance around the mean of all."""
    return class_distances(x, class_means(train, labels), shrunk_covariance(train, weight)).amin(0)


def tied_distances(x: Tensor, train: Tensor, labels: Tensor, weight: float) -> Tensor:
    """The distances as asked for, before the minimum."""
    return class_distances(x, class_means(train, labels), tied_covariance(train, labels, weight))


OOD_SCORE = Task(
    id="mahalanobis.ood_score",
    title="How strange is this input?",
    function="ood_score",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("two classes", lambda g: draw_classes(g, (5, 4), 2)),
        Regime("one row to score", lambda g: draw_classes(g, (5, 6, 4), 3, n=0)),
        Regime("as many classes as features", lambda g: draw_classes(g, (6, 5, 7, 5), 4)),
        Regime("a large and a small class", lambda g: draw_classes(g, (40, 3), 3)),
        Regime("one class", lambda g: draw_classes(g, (9,), 3)),
        Regime("no shrinkage", lambda g: draw_classes(g, (9, 8, 10), 3, 0.0)),
        Regime("fewer rows than features", lambda g: draw_classes(g, (3, 4), 10)),
        Regime("one feature", lambda g: draw_classes(g, (5, 4), 1)),
        Regime("double precision", draw_classes_double),
        Regime("eight classes, twenty features", lambda g: draw_classes(g, (12,) * 8, 20, n=20)),
    ),
    oracle=score_by_loop,
    compare=Close(rtol=1e-3, atol=1e-4),
    misconceptions=(
        Misconception(
            "one Gaussian for all",
            one_gaussian,
            "One mean and one covariance for all classes together: a point in the gap between two classes looks normal "
            "to it. Give each class its own mean.",
        ),
        Misconception(
            "farthest class",
            lambda *a: tied_distances(*a).amax(0),
            "This is the distance to the farthest class. An input is normal if it is near any one class: "
            "take the minimum over the classes.",
        ),
        Misconception(
            "mean over the classes",
            lambda *a: tied_distances(*a).mean(0),
            "This averages over the classes, so a normal input is punished for not being all classes at once. "
            "Take the minimum.",
        ),
        Misconception(
            "a covariance for each class",
            covariance_a_class,
            "Each class has its own covariance here. Tied means one for all: subtract each row's class mean, "
            "then make one covariance of all these residuals.",
        ),
        Misconception(
            "classes weigh alike",
            classes_weigh_alike,
            "This averages the classes' covariances, so a class of three rows counts as much as one of forty. "
            "Pool the residuals of all rows into one covariance instead.",
        ),
        Misconception(
            "spread between the classes counted",
            total_covariance,
            "This covariance is taken around the mean of all, so it holds the distances between the classes too. "
            "Subtract from each row the mean of its own class: train - means[labels].",
        ),
        Misconception(
            "Euclid to the nearest class",
            lambda x, train, labels, weight: torch.cdist(x, class_means(train, labels)).amin(1),
            "This is the Euclidean distance to the nearest class mean: the covariance plays no part in it yet.",
        ),
        Misconception(
            "squared",
            lambda *a: tied_distances(*a).amin(0).square(),
            "This is the squared distance. It ranks inputs alike, but asked for is the distance.",
        ),
        Misconception(
            "weight ignored",
            lambda x, train, labels, weight: tied_distances(x, train, labels, 0.0).amin(0),
            "The weight is not used, so nothing is shrunk, and with fewer rows than features there is no answer at "
            "all. Hand the weight on to covariance.",
        ),
    ),
    why="Each class keeps its own mean, all share one covariance, made of what is left when each row's class mean is "
    "taken off. The nearest class decides: an input is strange when it is far from all of them.",
)


# ------------------------------------------------------------------------------------- mahalanobis.auroc


def mixed_up(g: Generator, inside: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Scores in mixed order, and which of them are outliers'."""
    scores = torch.cat([inside, outside])
    is_outlier = torch.arange(len(scores)) >= len(inside)
    order = torch.randperm(len(scores), generator=g)
    return scores[order], is_outlier[order]


def draw_scores(g: Generator, inside: int, outside: int, shift: float) -> tuple[Tensor, Tensor]:
    """Scores without ties; the extremes are fixed, so that neither order is ever perfect."""
    low, high = torch.randn(inside, generator=g), torch.randn(outside, generator=g) + shift
    low[0], high[0] = 4.0 + shift, -4.0
    return mixed_up(g, low, high)


def draw_tied(g: Generator, inside: int, outside: int, gap: int) -> tuple[Tensor, Tensor]:
    """Whole-numbered scores, many of them equal."""
    low = torch.randint(0, 4, (inside,), generator=g)
    high = torch.randint(0, 4, (outside,), generator=g) + gap
    low[:2], high[:2] = torch.tensor([gap, 3]), torch.tensor([gap, 3])
    return mixed_up(g, low.float(), high.float())


def draw_separated(g: Generator) -> tuple[Tensor, Tensor]:
    """Every outlier above every other."""
    return mixed_up(g, torch.rand(6, generator=g), 2 + torch.rand(4, generator=g))


def draw_all_tied(g: Generator) -> tuple[Tensor, Tensor]:
    """One score for all."""
    return mixed_up(g, torch.full((5,), 1.5), torch.full((3,), 1.5))


def auroc_by_loop(scores: Tensor, is_outlier: Tensor) -> float:
    """Pair by pair: an outlier against one that is none, a tie counts one half."""
    pairs = list(zip(scores.tolist(), is_outlier.tolist(), strict=True))
    inside, outside = [s for s, out in pairs if not out], [s for s, out in pairs if out]
    wins = sum((high > low) + 0.5 * (high == low) for high in outside for low in inside)
    return wins / (len(inside) * len(outside))


def won(scores: Tensor, is_outlier: Tensor) -> Tensor:
    """1 where an outlier's score is above another's, 0 at a tie, −1 below."""
    return (scores[is_outlier][:, None] - scores[~is_outlier]).sign()


def best_accuracy(scores: Tensor, is_outlier: Tensor) -> float:
    """The accuracy at the best threshold."""
    return max(((scores >= t) == is_outlier).double().mean().item() for t in scores)


AUROC = Task(
    id="mahalanobis.auroc",
    title="Judge the scores by rank",
    function="auroc",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("some overlap", lambda g: draw_scores(g, 7, 5, 1.0)),
        Regime("worse than chance", lambda g: draw_scores(g, 6, 5, -1.5)),
        Regime("every outlier above the rest", draw_separated),
        Regime("one score for all", draw_all_tied),
        Regime("many ties", lambda g: draw_tied(g, 8, 5, 1)),
        Regime("as many outliers as others", lambda g: draw_tied(g, 6, 6, 1)),
        Regime("few outliers among many", lambda g: draw_scores(g, 60, 3, 0.8)),
        Regime("few among many outliers", lambda g: draw_scores(g, 4, 40, 0.8)),
        Regime("hundreds of scores", lambda g: draw_scores(g, 300, 200, 1.2)),
    ),
    oracle=auroc_by_loop,
    misconceptions=(
        Misconception(
            "the wrong way round",
            lambda scores, out: 1 - auroc_by_loop(scores, out),
            "This is the chance that an outlier scores lower, so a perfect detector gets 0. "
            "A high score means strange: count the pairs in which the outlier is above.",
        ),
        Misconception(
            "ties lost",
            lambda scores, out: (won(scores, out) > 0).double().mean().item(),
            "A tie counts nothing here, so a detector that gives all inputs one score gets 0. "
            "A tie tells nothing either way: count it one half.",
        ),
        Misconception(
            "ties won",
            lambda scores, out: (won(scores, out) >= 0).double().mean().item(),
            "A tie counts as won here, so a detector that gives all inputs one score would be perfect. "
            "Count a tie one half.",
        ),
        Misconception(
            "accuracy at the mean",
            lambda scores, out: ((scores > scores.mean()) == out).double().mean().item(),
            "This is the accuracy at one threshold, the mean score. The area under the curve needs no threshold: "
            "it compares every outlier with every other.",
        ),
        Misconception(
            "accuracy at the best threshold",
            best_accuracy,
            "This is the accuracy at the best threshold. With few outliers among many, calling nothing strange is "
            "nearly right already. Compare pairs instead, each outlier with each other.",
        ),
        Misconception(
            "mean rank",
            lambda scores, out: won(scores, out).add(1).div(2).sum(1).div(len(scores)).mean().item(),
            "This divides by the number of all scores, so outliers that are many can never reach 1. "
            "Each outlier is compared with those that are none: divide by their number.",
        ),
        Misconception(
            "above the mean of the others",
            lambda scores, out: (scores[out] > scores[~out].mean()).double().mean().item(),
            "This asks how many outliers are above the others' mean. "
            "Ask it against each of the others, and average over all pairs.",
        ),
        Misconception(
            "above all the others",
            lambda scores, out: (scores[out] > scores[~out].max()).double().mean().item(),
            "Only an outlier above all the others counts here, so one odd inlier spoils the result. "
            "Compare each outlier with each of the others, and average over all pairs.",
        ),
    ),
    why="AUROC is the chance that an outlier scores higher than an input that is none, with a tie as one half. "
    "It needs no threshold, one half is chance, and any rising function of the score leaves it as it is.",
    at_size=AtSize(lambda g: draw_scores(g, 2000, 2000, 1.0), seconds=2.0, largest_bytes=2_000_000),
)


TASKS = (COVARIANCE, DISTANCE, WHITEN, CHOOSE, OOD_SCORE, AUROC)
