"""Checks of chapter 4: all distances, their link to the squared error, a safe fast formula, scaling, and contrast."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from embedcourse.checks.compare import Close
from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import AtSize, Misconception, Regime, Task

__all__ = ["TASKS"]

Pair = tuple[Tensor, Tensor]


def draw_normal(g: Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers from a bell curve."""
    return torch.randn(shape, generator=g, dtype=dtype)


# -------------------------------------------------------------------------------------- euclidean.distance


def draw_rows(g: Generator, n: int, m: int, d: int, dtype: torch.dtype = torch.float32, size: float = 1.0) -> Pair:
    """Two sets of rows, the second one elsewhere."""
    return size * draw_normal(g, n, d, dtype=dtype), size * (draw_normal(g, m, d, dtype=dtype) + 0.5)


def draw_whole(g: Generator) -> Pair:
    """Small whole numbers, so that a learner can follow by hand; no difference is 0 or 1."""
    x = torch.randint(-4, 5, (2, 2), generator=g).float()
    return x, x.flip(0)[:1] + torch.tensor([[20.0, 30.0]]) + torch.randint(0, 5, (3, 2), generator=g)


def draw_coincident(g: Generator) -> Pair:
    """The rows of y are rows of x in another order, with one more."""
    x = draw_normal(g, 3, 4)
    return x, torch.cat([x.flip(0), draw_normal(g, 1, 4)])


def draw_negative(g: Generator) -> Pair:
    """All numbers below zero."""
    x, y = draw_rows(g, 3, 5, 4)
    return -x.abs() - 3, -y.abs()


def distances_by_loop(x: Tensor, y: Tensor) -> Tensor:
    """Pair by pair, as Python itself defines the distance of two points."""
    points, others = x.double().tolist(), y.double().tolist()
    return torch.tensor([[math.dist(p, q) for q in others] for p in points], dtype=x.dtype)


def differences(x: Tensor, y: Tensor) -> Tensor:
    """Every row of x minus every row of y."""
    return x[:, None] - y


DISTANCE = Task(
    id="euclidean.distance",
    title="All distances",
    function="distances",
    minutes=8,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("whole numbers", draw_whole),
        Regime("a few rows", lambda g: draw_rows(g, 3, 5, 4)),
        Regime("as many rows as dimensions", lambda g: draw_rows(g, 4, 4, 4)),
        Regime("one row against many", lambda g: draw_rows(g, 1, 6, 3)),
        Regime("one dimension", lambda g: draw_rows(g, 3, 2, 1)),
        Regime("rows that coincide", draw_coincident),
        Regime("negative numbers", draw_negative),
        Regime("large numbers", lambda g: draw_rows(g, 3, 4, 3, size=1000.0)),
        Regime("double precision", lambda g: draw_rows(g, 2, 3, 5, torch.float64)),
        Regime("many dimensions", lambda g: draw_rows(g, 3, 4, 1000)),
    ),
    oracle=distances_by_loop,
    misconceptions=(
        Misconception(
            "root missing",
            lambda x, y: differences(x, y).square().sum(-1),
            "These are the squared distances: the root is missing. Take .sqrt() of the sum.",
        ),
        Misconception(
            "mean instead of sum",
            lambda x, y: differences(x, y).square().mean(-1).sqrt(),
            "Under the root stands the mean of the squares instead of their sum. "
            "That is the root of the MSE, too small by a factor of √d: use .sum(-1).",
        ),
        Misconception(
            "root before the sum",
            lambda x, y: differences(x, y).square().sqrt().sum(-1),
            "The root of each square is taken before the sum, so it only undoes the square: "
            "this is the Manhattan distance of chapter 3. First sum, then root.",
        ),
        Misconception(
            "difference of lengths",
            lambda x, y: (x.norm(dim=1)[:, None] - y.norm(dim=1)).abs(),
            "This compares how long the two vectors are. Points in opposite directions may be equally long "
            "and far apart: subtract the vectors first, then take the length.",
        ),
        Misconception(
            "longest leg",
            lambda x, y: differences(x, y).abs().amax(-1),
            "This is the largest single difference. All differences count: square them, sum them, take the root.",
        ),
        Misconception(
            "rows in pairs",
            lambda x, y: (x[: len(y)] - y[: len(x)]).square().sum(-1).sqrt(),
            "This compares the first row with the first and the second with the second. "
            "Every row of x meets every row of y: x[:, None] - y has a place for each pair.",
        ),
        Misconception(
            "rows and columns exchanged",
            lambda x, y: differences(y, x).square().sum(-1).sqrt(),
            "Rows and columns are exchanged. Row i belongs to row i of x, column j to row j of y: x[:, None] - y.",
        ),
        Misconception(
            "sum over the rows",
            lambda x, y: differences(x, y).square().sum(1).sqrt(),
            "This sums over the rows of y and keeps the dimensions apart. Sum over the last dimension: sum(-1).",
        ),
        Misconception(
            "one number for all",
            lambda x, y: differences(x, y).square().sum().sqrt(),
            "This is one number for all pairs together. Each pair has its own distance: sum the last dimension only.",
        ),
    ),
    why="Difference, square, sum over the dimensions, root: in that order, and for every row of x against every row "
    "of y. It is Pythagoras, one leg for each dimension.",
    at_size=AtSize(lambda g: draw_rows(g, 400, 400, 64), seconds=2.0),
)


# -------------------------------------------------------------------------------------- euclidean.mse_link


def draw_distances(g: Generator, n: int, d: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, int]:
    """Distances of n pairs, unequal and never 1, and the number of dimensions."""
    return 1.5 + 4 * torch.rand(n, generator=g, dtype=dtype) + torch.arange(n, dtype=dtype) % 3, d


def draw_with_zero(g: Generator) -> tuple[Tensor, int]:
    """Some pairs coincide."""
    distance, d = draw_distances(g, 6, 7)
    return distance * (torch.arange(6) % 2), d


def mse_by_loop(distance: Tensor, d: int) -> Tensor:
    """All n·d squared differences together are the squared distances together."""
    total = sum(value**2 for value in distance.unbind())
    return total / (len(distance) * d)


MSE_LINK = Task(
    id="euclidean.mse_link",
    title="From distances to the mean squared error",
    function="mse_from_distances",
    minutes=8,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("a few pairs", lambda g: draw_distances(g, 4, 3)),
        Regime("one pair", lambda g: draw_distances(g, 1, draw_int(g, 4, 9))),
        Regime("one dimension", lambda g: draw_distances(g, 5, 1)),
        Regime("as many pairs as dimensions", lambda g: draw_distances(g, 6, 6)),
        Regime("some pairs coincide", draw_with_zero),
        Regime("double precision", lambda g: draw_distances(g, 3, 8, torch.float64)),
        Regime("many dimensions", lambda g: draw_distances(g, 5, 1024)),
        Regime("many pairs", lambda g: draw_distances(g, 500, 12)),
    ),
    oracle=mse_by_loop,
    gradients=(0,),
    misconceptions=(
        Misconception(
            "root kept",
            lambda distance, d: distance.mean() / d,
            "The distances are averaged as they are. The MSE is made of squares: square each distance first.",
        ),
        Misconception(
            "square of the mean",
            lambda distance, d: distance.mean().square() / d,
            "This squares the mean distance. A far pair counts more than that: "
            "square each distance first, then take the mean.",
        ),
        Misconception(
            "not divided by d",
            lambda distance, d: distance.square().mean(),
            "This is the mean of the squared distances. The MSE averages over single numbers, "
            "of which each pair has d: divide by d.",
        ),
        Misconception(
            "pairs not averaged",
            lambda distance, d: distance.square().sum() / d,
            "The squared distances are added up over the pairs, so the result grows with the batch. "
            "The MSE averages over the pairs too: use mean instead of sum.",
        ),
        Misconception(
            "divided by d twice",
            lambda distance, d: (distance / d).square().mean(),
            "The division by d stands inside the square, so d divides twice. Divide once, after the square.",
        ),
        Misconception(
            "root of the MSE",
            lambda distance, d: (distance.square().mean() / d).sqrt(),
            "This is the root of the MSE (RMSE). The MSE itself has no root.",
        ),
        Misconception(
            "one number a pair",
            lambda distance, d: distance.square() / d,
            "This is the MSE of each pair. One number for the whole batch is asked for: take the mean over the pairs.",
        ),
        Misconception(
            "detached",
            lambda distance, d: torch.tensor((distance.detach().square().mean() / d).item(), dtype=distance.dtype),
            "The value is right, but no gradient can flow through it, so no network could learn from it. "
            "Stay with tensors all the way: no .item(), no .detach(), no torch.tensor(…) around the result.",
        ),
    ),
    why="A squared distance is the sum of d squared differences. The mean over the pairs, divided by d, is the mean "
    "over all numbers, which is what torch.nn.functional.mse_loss returns.",
)


# -------------------------------------------------------------------------------------- euclidean.expanded


def draw_double(g: Generator, n: int, m: int, d: int) -> Pair:
    """Two sets of rows in double precision, whose means lie apart."""
    return draw_rows(g, n, m, d, torch.float64)


def draw_twins(g: Generator) -> Pair:
    """Each row of y is a row of x, or differs from it by a billionth."""
    x = draw_normal(g, 80, 16, dtype=torch.float64)
    return x, x * (1 + 1e-9 * (torch.arange(80) % 2))[:, None]


def draw_far(g: Generator, n: int, m: int) -> Pair:
    """Points a hundred million away from the origin, eighths apart: there the expansion loses every digit."""
    far = 2.0 ** draw_int(g, 27, 28) * torch.tensor([1, -1, 1], dtype=torch.float64)
    steps = torch.randint(0, 6, (n + m, 3), generator=g).double()
    steps[0] = steps[-1] + 3  # at least one pair is apart
    return far + steps[:n] / 8, far + steps[n:] / 8


def expanded_square(x: Tensor, y: Tensor, factor: float = -2.0) -> Tensor:
    """‖x‖² + ‖y‖² and a multiple of xᵀy."""
    return x.square().sum(1, keepdim=True) + y.square().sum(1) + factor * x @ y.T


def centred(x: Tensor, y: Tensor) -> Pair:
    """Both moved by the mean of y."""
    return x - y.mean(0), y - y.mean(0)


def norms_exchanged(x: Tensor, y: Tensor) -> Tensor:
    """The norms of x run across, those of y run down."""
    x, y = centred(x, y)
    square = y.square().sum(1, keepdim=True) + x.square().sum(1) - 2 * x @ y.T
    return square.clamp(min=0).sqrt()


def product_without_sign(x: Tensor, y: Tensor) -> Tensor:
    """Every product counts as if both rows pointed the same way."""
    x, y = centred(x, y)
    square = x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * (x @ y.T).abs()
    return square.clamp(min=0).sqrt()


EXPANDED = Task(
    id="euclidean.expanded",
    title="Fast, and safe",
    function="fast_distances",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("a few rows", lambda g: draw_double(g, 3, 5, 4)),
        Regime("as many rows as dimensions", lambda g: draw_double(g, 4, 4, 4)),
        Regime("as many rows of each", lambda g: draw_double(g, 5, 5, 3)),
        Regime("one row of each", lambda g: draw_double(g, 1, 1, 3)),
        Regime("rows that nearly coincide", draw_twins),
        Regime("far from the origin", lambda g: draw_far(g, 2, 4)),
        Regime("many rows far from the origin", lambda g: draw_far(g, 30, 40)),
        Regime("single precision", lambda g: draw_rows(g, 4, 6, 8)),
        Regime("many dimensions", lambda g: draw_double(g, 4, 3, 500)),
    ),
    oracle=distances_by_loop,
    misconceptions=(
        Misconception(
            "not clamped",
            lambda x, y: expanded_square(*centred(x, y)).sqrt(),
            "Some results are NaN: rounding made a square slightly negative, and it has no root. "
            "Raise negative squares to 0 before the root: .clamp(min=0).",
        ),
        Misconception(
            "not centred",
            lambda x, y: expanded_square(x, y).clamp(min=0).sqrt(),
            "Far from the origin the norms are so large that the digits of the distance are lost. "
            "Subtract one and the same point from all rows first, such as y.mean(0).",
        ),
        Misconception(
            "left to torch.cdist",
            torch.cdist,
            "torch.cdist takes the bare formula itself as soon as one side has more than 25 rows, "
            "and loses the digits of points far from the origin. Write the formula yourself, centred.",
        ),
        Misconception(
            "each centred on its own",
            lambda x, y: expanded_square(x - x.mean(0), y - y.mean(0)).clamp(min=0).sqrt(),
            "x and y were moved by two different points, and that changes the distances between them. "
            "Subtract the same point from both.",
        ),
        Misconception(
            "factor 2 missing",
            lambda x, y: expanded_square(*centred(x, y), factor=-1.0).clamp(min=0).sqrt(),
            "The factor 2 is missing. (a − b)² = a² + b² − 2ab: the product is subtracted twice.",
        ),
        Misconception(
            "product added",
            lambda x, y: expanded_square(*centred(x, y), factor=2.0).clamp(min=0).sqrt(),
            "The product is added, which gives the length of x + y. Subtract it.",
        ),
        Misconception(
            "norms exchanged",
            norms_exchanged,
            "The norms stand on the wrong sides. Those of x run down and need keepdim=True, those of y run across.",
        ),
        Misconception(
            "root missing",
            lambda x, y: expanded_square(*centred(x, y)).clamp(min=0),
            "These are the squared distances: the root at the end is missing.",
        ),
        Misconception(
            "product without its sign",
            product_without_sign,
            "The product lost its sign. Where two rows point in opposite directions it is negative, "
            "and then it makes the distance longer.",
        ),
    ),
    why="One matrix product does the work, centring keeps the norms small so that digits survive, and the clamp "
    "guards the root. No table of n·m·d differences is ever made.",
    at_size=AtSize(lambda g: draw_rows(g, 500, 500, 256), seconds=2.0, largest_bytes=8_000_000),
)


# ----------------------------------------------------------------------------------- euclidean.standardise


def draw_features(g: Generator, n: int, m: int, d: int, dtype: torch.dtype = torch.float32) -> Pair:
    """Rows, and training rows whose features have means and sizes of their own."""
    size = 3.0 ** (torch.arange(d) % 5 - 1) * (1 + torch.rand(d, generator=g))
    mean = 4 * (torch.arange(d) % 5) - 6.5
    train = mean + size * draw_normal(g, m, d)
    return (mean + size * (1.5 * draw_normal(g, n, d) + 0.8)).to(dtype), train.to(dtype)


def draw_constant(g: Generator) -> Pair:
    """One feature is the same whole number in all training rows, and another number in a new row."""
    x, train = draw_features(g, 3, 8, 4)
    constant = draw_int(g, 2, 9)
    train[:, 1] = constant
    x[:, 1] = torch.tensor([constant, constant + 3, constant - 1])
    return x, train


def draw_itself(g: Generator) -> Pair:
    """The training rows themselves."""
    _, train = draw_features(g, 1, 6, 3)
    return train.clone(), train


def standardise_by_loop(x: Tensor, train: Tensor) -> Tensor:
    """Column by column."""
    columns = []
    for values, known in zip(x.double().T.tolist(), train.double().T.tolist(), strict=True):
        mean = sum(known) / len(known)
        std = (sum((v - mean) ** 2 for v in known) / len(known)) ** 0.5
        columns.append([(v - mean) / (std if std > 0 else 1) for v in values])
    return torch.tensor(columns, dtype=x.dtype).T


def scaled(x: Tensor, mean: Tensor | float, std: Tensor) -> Tensor:
    """Moved and divided, where there is something to divide by."""
    return (x - mean) / torch.where(std > 0, std, 1)


def deviation(train: Tensor) -> Tensor:
    """Standard deviation of every feature."""
    return train.std(0, correction=0)


def min_max(x: Tensor, train: Tensor) -> Tensor:
    """From the least to the largest training value."""
    low, high = train.aminmax(dim=0)
    return scaled(x, low, high - low)


STANDARDISE = Task(
    id="euclidean.standardise",
    title="Give every feature a say",
    function="standardise",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("a few rows", lambda g: draw_features(g, 3, 6, 4)),
        Regime("one row", lambda g: draw_features(g, 1, 6, 4)),
        Regime("as many rows as features", lambda g: draw_features(g, 4, 4, 4)),
        Regime("the training rows themselves", draw_itself),
        Regime("a constant feature", draw_constant),
        Regime("one feature", lambda g: draw_features(g, 4, 7, 1)),
        Regime("double precision", lambda g: draw_features(g, 3, 5, 6, torch.float64)),
        Regime("many features", lambda g: draw_features(g, 5, 40, 100)),
    ),
    oracle=standardise_by_loop,
    compare=Close(atol=1e-4),
    misconceptions=(
        Misconception(
            "own statistics",
            lambda x, train: scaled(x, x.mean(0), deviation(x)),
            "x is scaled by its own mean and deviation. New rows must be treated as the training rows were, "
            "and a single row has no deviation at all: take both numbers from train.",
        ),
        Misconception(
            "own statistics, unguarded",
            lambda x, train: (x - x.mean(0)) / deviation(x),
            "x is scaled by its own mean and deviation, and for a single row that is 0 divided by 0. "
            "New rows must be treated as the training rows were: take both numbers from train.",
        ),
        Misconception(
            "statistics of everything",
            lambda x, train: scaled(x, (z := torch.cat([x, train])).mean(0), deviation(z)),
            "The mean and the deviation look at the new rows too. That is a leak: in a test they would help to scale "
            "what they are to be judged on. Take both from train alone.",
        ),
        Misconception(
            "rows instead of features",
            lambda x, train: scaled(x, x.mean(1, keepdim=True), x.std(1, correction=0, keepdim=True)),
            "This standardises every row by itself and mixes units. Each feature is a column: "
            "take mean and deviation over the rows of train, dimension 0.",
        ),
        Misconception(
            "variance",
            lambda x, train: scaled(x, train.mean(0), train.var(0, correction=0)),
            "This divides by the variance, whose unit is squared. Divide by its root, the standard deviation.",
        ),
        Misconception(
            "not centred",
            lambda x, train: scaled(x, 0.0, deviation(train)),
            "The mean is not subtracted. Distances do not mind, but standardised features have mean 0.",
        ),
        Misconception(
            "one scale for all",
            lambda x, train: (x - train.mean()) / train.std(correction=0),
            "This uses one mean and one deviation for all features, so a loud feature stays loud. "
            "Each feature has its own: mean(0) and std(0).",
        ),
        Misconception(
            "from 0 to 1",
            min_max,
            "This scales from the smallest to the largest training value, which one outlier can ruin. "
            "Subtract the mean and divide by the standard deviation.",
        ),
        Misconception(
            "divided by n − 1",
            lambda x, train: scaled(x, train.mean(0), train.std(0)),
            "torch's std divides by n − 1. Here the deviation of the training rows as they are is asked for, "
            "as in scikit-learn: std(0, correction=0).",
        ),
        Misconception(
            "constant feature",
            lambda x, train: (x - train.mean(0)) / deviation(train),
            "A feature that is constant in train has deviation 0, and dividing by 0 gives NaN or infinity. "
            "Divide by 1 there: torch.where(std > 0, std, 1).",
        ),
        Misconception(
            "plain std",
            lambda x, train: (x - train.mean(0)) / train.std(0),
            "Right idea, two details: torch's std divides by n − 1 unless you say correction=0, "
            "and a feature that is constant in train has deviation 0: divide by 1 there.",
        ),
        Misconception(
            "a little added",
            lambda x, train: (x - train.mean(0)) / (deviation(train) + 1e-8),
            "A little number under the fraction keeps NaN away, and blows a feature that is constant in train up "
            "a hundred million times as soon as a new row differs. Divide by 1 there: torch.where(std > 0, std, 1).",
        ),
    ),
    why="Mean and deviation come from the training rows, one of each for every feature, so that a unit of measurement "
    "no longer decides who is near. New rows are scaled as the old ones were.",
)


# --------------------------------------------------------------------------------- euclidean.concentration


def draw_cloud(g: Generator, n: int, d: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor]:
    """Uniform points."""
    return (torch.rand(n, d, generator=g, dtype=dtype),)


def draw_line(g: Generator) -> tuple[Tensor]:
    """Whole numbers on a line, no two equal, one of them far away."""
    steps = 1 + torch.randint(0, 4, (5,), generator=g)
    steps[-1] += 10
    return (steps.cumsum(0).float()[:, None],)


def draw_far_one(g: Generator) -> tuple[Tensor]:
    """A cloud, and one point far outside of it."""
    (z,) = draw_cloud(g, 8, 3)
    return (torch.cat([z, torch.full((1, 3), 6.0)]),)


def each_point(z: Tensor, score: Callable[[list[float]], float]) -> list[float]:
    """A score of every point's distances to the others."""
    table = differences(z.double(), z.double()).square().sum(-1).sqrt().tolist()
    return [score([v for j, v in enumerate(row) if j != i]) for i, row in enumerate(table)]


def mean_of(values: list[float]) -> float:
    """The mean."""
    return sum(values) / len(values)


def contrast_of(distances: list[float]) -> float:
    """(max − min) / min."""
    return (max(distances) - min(distances)) / min(distances)


def contrast_by_loop(z: Tensor) -> float:
    """Point by point, without its distance to itself."""
    return mean_of(each_point(z, contrast_of))


def contrast_with_itself(z: Tensor) -> float:
    """The distance of a point to itself, 0, is its smallest."""
    distance = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist")
    return ((distance.amax(1) - distance.amin(1)) / distance.amin(1)).mean().item()


def contrast_of_pool(z: Tensor) -> float:
    """One farthest and one nearest pair for all."""
    pool = each_point(z, min), each_point(z, max)
    return (max(pool[1]) - min(pool[0])) / min(pool[0])


CONCENTRATION = Task(
    id="euclidean.concentration",
    title="How much farther is the farthest?",
    function="relative_contrast",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("points on a line", draw_line),
        Regime("a few points", lambda g: draw_cloud(g, 6, 2)),
        Regime("as many points as dimensions", lambda g: draw_cloud(g, 5, 5)),
        Regime("three points", lambda g: draw_cloud(g, 3, 4)),
        Regime("one point far away", draw_far_one),
        Regime("double precision", lambda g: draw_cloud(g, 7, 3, torch.float64)),
        Regime("many points", lambda g: draw_cloud(g, 60, 4, torch.float64)),
        Regime("many dimensions", lambda g: draw_cloud(g, 20, 500)),
    ),
    oracle=contrast_by_loop,
    misconceptions=(
        Misconception(
            "distance to itself",
            contrast_with_itself,
            "Each point's nearest is the point itself, at distance 0, and dividing by 0 gives infinity. "
            "Take the maximum first, then keep the diagonal out of the minimum: distance.fill_diagonal_(torch.inf).",
        ),
        Misconception(
            "ratio",
            lambda z: mean_of(each_point(z, lambda v: max(v) / min(v))),
            "This is farthest divided by nearest, too large by 1. "
            "The contrast says how much farther: subtract the nearest first.",
        ),
        Misconception(
            "divided by the farthest",
            lambda z: mean_of(each_point(z, lambda v: (max(v) - min(v)) / max(v))),
            "This divides by the farthest distance, so it can never exceed 1. Divide by the nearest.",
        ),
        Misconception(
            "not divided",
            lambda z: mean_of(each_point(z, lambda v: max(v) - min(v))),
            "This is farthest minus nearest, which changes with the unit of measurement. Divide by the nearest.",
        ),
        Misconception(
            "one pair for all",
            contrast_of_pool,
            "The nearest and the farthest are taken over all pairs at once, so they belong to different points. "
            "Compute the contrast of each point, then take the mean.",
        ),
        Misconception(
            "one point only",
            lambda z: each_point(z, contrast_of)[0],
            "This is the contrast seen from the first point. One point may lie anywhere: take the mean over all.",
        ),
        Misconception(
            "ratio of the means",
            lambda z: (mean_of(each_point(z, max)) - mean_of(each_point(z, min))) / mean_of(each_point(z, min)),
            "Nearest and farthest are averaged before they are compared. "
            "Compute the contrast of each point first, then take the mean.",
        ),
        Misconception(
            "middle instead of mean",
            lambda z: torch.tensor(each_point(z, contrast_of)).median().item(),
            "This is the median over the points. The mean is asked for.",
        ),
    ),
    why="Each point has a nearest and a farthest among the others. Their difference, measured in units of the nearest, "
    "falls towards 0 where distances concentrate; the mean over all points makes it one number.",
)


# ---------------------------------------------------------------------------------------- euclidean.choose

Sets = tuple[Tensor, Tensor, Tensor, Tensor]
Choice = tuple[str, dict[str, float]]


def draw_sets(
    g: Generator,
    n: int,
    m: int,
    *,
    loud: float,
    says: int,
    classes: int = 2,
    apart: float = 3.0,
    dtype: torch.dtype = torch.float64,
) -> Sets:
    """Training and validation rows of three features, of which the first is loud and one says the class."""
    labels, valid_labels = (7 * (torch.arange(k) % classes) + 2 for k in (n, m))
    size = torch.tensor([loud, 1.0, 0.3], dtype=dtype)

    def rows(of: Tensor) -> Tensor:
        z = draw_normal(g, len(of), 3, dtype=dtype)
        z[:, says] = apart * (of - 2) / 7 + 0.6 * z[:, says]
        return size * z + torch.tensor([5, -2, 1])

    return rows(labels), labels, rows(valid_labels), valid_labels


def draw_loud_and_clear(g: Generator) -> Sets:
    """The loud feature says the class, the others are noise: raw is better, drawn again until it is."""
    while True:
        sets = draw_sets(g, 30, 20, loud=8.0, says=0, apart=2.5)
        _, accuracy = choose_by_loop(*sets)
        if accuracy["raw"] > accuracy["standardised"]:
            return sets


def draw_perfect(g: Generator) -> Sets:
    """Classes so far apart in every feature that both ways are always right."""
    train, labels, valid, valid_labels = draw_sets(g, 12, 9, loud=2.0, says=1)
    shift = torch.tensor([200, 100, 30])
    return train + shift * (labels - 2)[:, None], labels, valid + shift * (valid_labels - 2)[:, None], valid_labels


def draw_shifted(g: Generator) -> Sets:
    """All validation rows but two are of one class, so their own mean and deviation mislead."""
    train, labels, valid, valid_labels = draw_sets(g, 24, 16, loud=30.0, says=1, apart=4.0)
    order = valid_labels.argsort(stable=True)[:10]
    return train, labels, valid[order], valid_labels[order]


def choose_by_loop(train: Tensor, labels: Tensor, valid: Tensor, valid_labels: Tensor) -> Choice:
    """Row by row, once raw and once with every feature in its own standard deviations."""
    rows, queries, deviations = train.double().tolist(), valid.double().tolist(), train.double().std(0).tolist()
    accuracy = {}
    for name, scale in (("raw", [1.0] * len(deviations)), ("standardised", deviations)):
        hits = 0
        for query, label in zip(queries, valid_labels.tolist(), strict=True):
            distance = [sum(((a - b) / s) ** 2 for a, b, s in zip(query, row, scale, strict=True)) for row in rows]
            hits += int(labels[distance.index(min(distance))] == label)
        accuracy[name] = hits / len(queries)
    return ("standardised" if accuracy["standardised"] > accuracy["raw"] else "raw"), accuracy


def one_neighbour(x: Tensor, labels: Tensor, queries: Tensor, wanted: Tensor, farthest: bool = False) -> float:
    """The share of queries whose nearest row has their label."""
    distance = differences(queries, x).square().sum(-1)
    found = distance.argmax(1) if farthest else distance.argmin(1)
    return (labels[found] == wanted).double().mean().item()


def better(raw: float, standardised: float) -> Choice:
    """The better of two, raw where they are equal."""
    return ("standardised" if standardised > raw else "raw"), {"raw": raw, "standardised": standardised}


def judged(scale: Callable[[Tensor, Tensor], Pair], choose: Callable[[float, float], Choice] = better) -> Callable:
    """A choice in which the training and validation rows are scaled in some way."""

    def wrong(train: Tensor, labels: Tensor, valid: Tensor, valid_labels: Tensor) -> Choice:
        raw = one_neighbour(train, labels, valid, valid_labels)
        x, queries = scale(train, valid)
        return choose(raw, one_neighbour(x, labels, queries, valid_labels))

    return wrong


def by_train(train: Tensor, valid: Tensor) -> Pair:
    """Both scaled by the training rows."""
    return scaled(train, train.mean(0), train.std(0)), scaled(valid, train.mean(0), train.std(0))


def each_by_itself(train: Tensor, valid: Tensor) -> Pair:
    """Both scaled by their own rows; a single row has no deviation."""
    return standardised_by_itself(train), standardised_by_itself(valid)


def standardised_by_itself(x: Tensor) -> Tensor:
    """Mean 0 and deviation 1, whatever the rows; NaN for a single row, which has no deviation."""
    return (x - x.mean(0)) / (x.std(0) if len(x) > 1 else torch.nan)


def judged_on_train(train: Tensor, labels: Tensor, valid: Tensor, valid_labels: Tensor) -> Choice:
    """Every training row finds itself."""
    x, _ = by_train(train, valid)
    return better(one_neighbour(train, labels, train, labels), one_neighbour(x, labels, x, labels))


def farthest_row(train: Tensor, labels: Tensor, valid: Tensor, valid_labels: Tensor) -> Choice:
    """The label of the farthest row."""
    x, queries = by_train(train, valid)
    rows = [one_neighbour(a, labels, b, valid_labels, farthest=True) for a, b in ((train, valid), (x, queries))]
    return better(*rows)


def swapped(train: Tensor, labels: Tensor, valid: Tensor, valid_labels: Tensor) -> Choice:
    """Training rows look for their nearest validation row."""
    x, queries = by_train(train, valid)
    return better(*(one_neighbour(a, valid_labels, b, labels) for a, b in ((valid, train), (queries, x))))


def without_choice(raw: float, standardised: float) -> Choice:
    """Standardised, whatever the numbers say."""
    return "standardised", {"raw": raw, "standardised": standardised}


def worse(raw: float, standardised: float) -> Choice:
    """The smaller accuracy."""
    return ("standardised" if standardised < raw else "raw"), {"raw": raw, "standardised": standardised}


def ties_to_standardised(raw: float, standardised: float) -> Choice:
    """At least as good is good enough."""
    return ("standardised" if standardised >= raw else "raw"), {"raw": raw, "standardised": standardised}


CHOOSE = Task(
    id="euclidean.choose",
    title="To scale or not to scale",
    function="choose_scaling",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("a loud feature that says nothing", lambda g: draw_sets(g, 30, 20, loud=40.0, says=1)),
        Regime("a loud feature that says it all", draw_loud_and_clear),
        Regime("a quiet feature that says it all", lambda g: draw_sets(g, 30, 21, loud=3.0, says=2, apart=4.0)),
        Regime("both ways are always right", draw_perfect),
        Regime("three classes", lambda g: draw_sets(g, 30, 25, loud=20.0, says=1, classes=3)),
        Regime("mostly one class to be judged", draw_shifted),
        Regime("one row to be judged", lambda g: draw_sets(g, 20, 1, loud=10.0, says=1)),
        Regime("as many rows as features", lambda g: draw_sets(g, 3, 3, loud=10.0, says=1)),
        Regime("single precision", lambda g: draw_sets(g, 12, 8, loud=20.0, says=1, dtype=torch.float32)),
        Regime("many rows", lambda g: draw_sets(g, 80, 150, loud=15.0, says=1, apart=2.0)),
    ),
    oracle=choose_by_loop,
    misconceptions=(
        Misconception(
            "judged on the training rows",
            judged_on_train,
            "Each training row is its own nearest neighbour, so both accuracies are 1 and tell nothing. "
            "Judge on the validation rows.",
        ),
        Misconception(
            "validation rows scaled by themselves",
            judged(each_by_itself),
            "The validation rows are scaled by their own mean and deviation, so they no longer stand where they stood "
            "among the training rows. Use the numbers of train for both.",
        ),
        Misconception(
            "rows instead of features",
            judged(lambda train, valid: (train / train.std(1, keepdim=True), valid / valid.std(1, keepdim=True))),
            "This scales every row by itself. Each feature is a column: take the deviation over the rows, std(0).",
        ),
        Misconception(
            "variance",
            judged(lambda train, valid: (train / train.var(0), valid / train.var(0))),
            "This divides by the variance, so that loud features become too quiet. Divide by the standard deviation.",
        ),
        Misconception(
            "farthest row",
            farthest_row,
            "This takes the label of the farthest row. A distance is good when it is small: argmin.",
        ),
        Misconception(
            "train and validation exchanged",
            swapped,
            "The training rows ask and the validation rows answer. "
            "Each validation row looks for its nearest among the training rows.",
        ),
        Misconception(
            "always standardised",
            judged(by_train, without_choice),
            "The numbers are right, the decision does not look at them. "
            "Standardising harms where the loud feature is the one that matters: take the better of the two.",
        ),
        Misconception(
            "worse of the two",
            judged(by_train, worse),
            "This chooses the lower accuracy. An accuracy is good when it is large.",
        ),
        Misconception(
            "tie to the scaled",
            judged(by_train, ties_to_standardised),
            "Where both are equally accurate, the simpler one is asked for: raw.",
        ),
    ),
    why="Both ways are judged on rows that took no part in the scaling, and the numbers decide. "
    "The mean plays no part: it drops out of every difference.",
)


TASKS = (DISTANCE, MSE_LINK, EXPANDED, STANDARDISE, CONCENTRATION, CHOOSE)
