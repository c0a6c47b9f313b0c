"""Checks of chapter 12: the cross-correlation matrix, its blocks, DeCUR's loss, and how to read what is kept where."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import Misconception, Regime, Task

__all__ = ["TASKS"]

EPS = 1e-5


def uniform(g: Generator, low: float, high: float) -> float:
    """A number between two."""
    return low + (high - low) * float(torch.rand((), generator=g, dtype=torch.float64))


def rounded(z: Tensor) -> Tensor:
    """With one decimal, so that a learner can follow the example by hand."""
    return (10 * z).round() / 10


# ------------------------------------------------------------------------------------------ decur.cross_correlation


def draw_pair(
    g: Generator,
    n: int,
    d: int,
    spread: float = 1.0,
    middle: float = 0.4,
    noise: float = 0.6,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Embeddings of n things by two senses that partly agree; every dimension has a size and a middle of its own."""
    mix = torch.eye(d, dtype=dtype) + 0.4 * torch.rand(d, d, generator=g, dtype=dtype)
    same = torch.randn(n, d, generator=g, dtype=dtype) @ mix
    both = []
    for _ in range(2):
        z = same + noise * torch.randn(n, d, generator=g, dtype=dtype)
        z = (z - z.mean(0)) / z.std(0)
        size = 0.5 + 1.5 * torch.rand(d, generator=g, dtype=dtype)
        both.append(spread * (z * size + middle * (1 + torch.rand(d, generator=g, dtype=dtype))))
    return both[0], both[1]


def draw_small_pair(g: Generator) -> tuple[Tensor, Tensor]:
    """Four things, two dimensions, numbers to be followed by hand."""
    a, b = draw_pair(g, 4, 2)
    return rounded(a), rounded(b)


def draw_dead_pair(g: Generator) -> tuple[Tensor, Tensor]:
    """One dimension of the first sense says the same whole number of everything."""
    a, b = draw_pair(g, 8, 3)
    a[:, 1] = draw_int(g, 1, 4)
    return a, b


def draw_opposite_pair(g: Generator) -> tuple[Tensor, Tensor]:
    """The second sense says the opposite of the first, in its own units."""
    a, _ = draw_pair(g, 6, 3)
    return a, 1.5 - 2 * a


def cross_correlation_by_loop(z_a: Tensor, z_b: Tensor) -> Tensor:
    """Entry by entry."""
    n, d, e = len(z_a), z_a.shape[1], z_b.shape[1]
    rows = []
    for i in range(d):
        for j in range(e):
            x, y = z_a[:, i], z_b[:, j]
            mean_x, mean_y = x.sum() / n, y.sum() / n
            size_x = ((x - mean_x).square().sum() / n + EPS).sqrt()
            size_y = ((y - mean_y).square().sum() / n + EPS).sqrt()
            rows.append(((x - mean_x) * (y - mean_y)).sum() / n / (size_x * size_y))
    return torch.stack(rows).reshape(d, e)


def batch_norm(z: Tensor, eps: float = EPS, correction: int = 0, dim: int = 0) -> Tensor:
    """Mean 0 and variance 1 along one axis."""
    middle, spread = z.mean(dim, keepdim=True), z.var(dim, correction=correction, keepdim=True)
    return (z - middle) / (spread + eps).sqrt()


def correlated(normalise: Callable[[Tensor], Tensor], share: Callable[[int], float] = lambda n: 1 / n) -> Callable:
    """Normalise both, multiply, take a share."""
    return lambda z_a, z_b: normalise(z_a).T @ normalise(z_b) * share(len(z_a))


CROSS_CORRELATION = Task(
    id="decur.cross_correlation",
    title="Every dimension with every dimension",
    function="cross_correlation",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("four things", draw_small_pair),
        Regime("two things", lambda g: draw_pair(g, 2, 6)),
        Regime("as many things as dimensions", lambda g: draw_pair(g, 4, 4)),
        Regime("a single dimension", lambda g: draw_pair(g, 12, 1)),
        Regime("a dead dimension", draw_dead_pair),
        Regime("far from the origin", lambda g: draw_pair(g, 6, 3, middle=4.0)),
        Regime("tiny numbers", lambda g: draw_pair(g, 6, 3, spread=0.01)),
        Regime("huge numbers", lambda g: draw_pair(g, 6, 3, spread=50.0)),
        Regime("the opposite", draw_opposite_pair),
        Regime("nothing in common, float64", lambda g: draw_pair(g, 7, 3, noise=20.0, dtype=torch.float64)),
        Regime("12 dimensions", lambda g: draw_pair(g, 24, 12)),
    ),
    oracle=cross_correlation_by_loop,
    gradients=(0, 1),
    misconceptions=(
        Misconception(
            "batch normalisation forgotten",
            correlated(lambda z: z),
            "The batch normalisation is missing: these are products of the raw numbers. "
            "A dimension far from 0 then seems to agree with everything. Take off the mean, divide by the std.",
        ),
        Misconception(
            "covariance",
            correlated(lambda z: z - z.mean(0)),
            "This is the covariance: the mean is taken off, and the size stays. "
            "The diagonal then grows with the numbers and has no reason to stop at 1. Divide by the std too.",
        ),
        Misconception(
            "not centred",
            correlated(lambda z: z / (z.square().mean(0) + EPS).sqrt()),
            "Each dimension is scaled but not centred, so the places of the two clouds count as agreement. "
            "Take off the mean over the batch first.",
        ),
        Misconception(
            "not divided by N",
            correlated(batch_norm, lambda n: 1.0),
            "The product is not divided by the number of rows, so that a larger batch agrees more. "
            "Divide by N: a dimension correlates with itself at 1.",
        ),
        Misconception(
            "divided by N − 1",
            correlated(batch_norm, lambda n: 1 / (n - 1)),
            "The variances divide by N here and the product by N − 1, so that a dimension correlates with itself "
            "at more than 1. Divide both by N.",
        ),
        Misconception(
            "std divided by N − 1",
            correlated(lambda z: batch_norm(z, correction=1)),
            "The variance divides by N − 1, as var does by itself, and the product by N: the diagonal cannot reach 1. "
            "Batch normalisation divides by N: var(0, correction=0).",
        ),
        Misconception(
            "over the features",
            correlated(lambda z: batch_norm(z, dim=1)),
            "Each row is normalised over its own features, as layer norm does. "
            "What counts is how a dimension varies over the batch: normalise along dim 0.",
        ),
        Misconception(
            "unit length",
            correlated(F.normalize),
            "The rows are scaled to length 1, as for a cosine between two things. "
            "Here two dimensions are compared, over all things: standardise the columns.",
        ),
        Misconception(
            "things with things",
            lambda z_a, z_b: batch_norm(z_a) @ batch_norm(z_b).T / len(z_a),
            "This compares things with things, n × n. Compare dimensions with dimensions: zᵀz, K × K.",
        ),
        Misconception(
            "transposed",
            lambda z_a, z_b: batch_norm(z_b).T @ batch_norm(z_a) / len(z_a),
            "Rows and columns have changed places: entry (i, j) belongs to dimension i of the first sense "
            "and dimension j of the second.",
        ),
        Misconception(
            "no ε",
            correlated(lambda z: batch_norm(z, eps=0.0)),
            "The small ε under the root is missing. A dimension that does not vary is then divided by 0.",
        ),
        Misconception(
            "ε outside the root",
            correlated(lambda z: (z - z.mean(0)) / (z.var(0, correction=0).sqrt() + EPS)),
            "ε stands outside the root. Batch normalisation adds it to the variance: √(variance + ε).",
        ),
        Misconception(
            "one sense detached",
            lambda z_a, z_b: batch_norm(z_a).T @ batch_norm(z_b.detach()) / len(z_a),
            "The second batch is detached, so that its encoder cannot learn. Both senses move towards each other here.",
        ),
    ),
    why="Each dimension is standardised over the batch, and the mean of the products is a correlation: 1 where two "
    "dimensions say the same, 0 where they have nothing to do with each other, whatever their units.",
)


# ------------------------------------------------------------------------------------------ decur.common_unique

Blocks = tuple[Tensor, Tensor]


def draw_matrix(g: Generator, k: int, dim_common: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, int, float]:
    """A matrix of correlations that is not symmetric, with a diagonal well above 0, a split and a λ."""
    c = 0.8 * torch.rand(k, k, generator=g, dtype=dtype) - 0.3
    c[range(k), range(k)] = 0.25 + 0.5 * torch.rand(k, generator=g, dtype=dtype)
    return c, dim_common, draw_int(g, 1, 9) / 10


def draw_small_matrix(g: Generator) -> tuple[Tensor, int, float]:
    """Four dimensions, two of them common, one decimal."""
    c, dim_common, _ = draw_matrix(g, 4, 2)
    return rounded(c), dim_common, draw_int(g, 1, 4) / 10


def draw_ideal(g: Generator) -> tuple[Tensor, int, float]:
    """Identity above, nothing below; the mixed blocks hold what they like."""
    c, dim_common, lambd = draw_matrix(g, 5, 3)
    c[:3, :3], c[3:, 3:] = torch.eye(3), 0.0
    return c, dim_common, lambd


def draw_all_agree(g: Generator) -> tuple[Tensor, int, float]:
    """The identity from end to end, which is what no split would like."""
    return torch.eye(5), 3, draw_int(g, 1, 9) / 10


def draw_negative(g: Generator) -> tuple[Tensor, int, float]:
    """Everything says the opposite of everything."""
    c, dim_common, lambd = draw_matrix(g, 4, 2)
    return -c.abs(), dim_common, lambd


def blocks_by_loop(c: Tensor, dim_common: int, lambd: float) -> Blocks:
    """Entry by entry; an entry with one index on either side of the border costs nothing."""
    k = len(c)
    common, unique = 0 * c.sum(), 0 * c.sum()
    for i in range(k):
        for j in range(k):
            if i < dim_common and j < dim_common:
                common = common + ((1 - c[i, j]) ** 2 if i == j else lambd * c[i, j] ** 2)
            elif i >= dim_common and j >= dim_common:
                unique = unique + (c[i, j] ** 2 if i == j else lambd * c[i, j] ** 2)
    return common, unique


def to_identity(block: Tensor, lambd: float) -> Tensor:
    """Barlow Twins: a diagonal of 1, nothing beside it."""
    diagonal = block.diagonal()
    return (1 - diagonal).square().sum() + lambd * (block.square().sum() - diagonal.square().sum())


def to_nothing(block: Tensor, lambd: float) -> Tensor:
    """The diagonal at full weight, the rest at λ, all towards 0."""
    diagonal = block.diagonal()
    return diagonal.square().sum() + lambd * (block.square().sum() - diagonal.square().sum())


def split_with(
    common: Callable[[Tensor, float], Tensor] = to_identity,
    unique: Callable[[Tensor, float], Tensor] = to_nothing,
    *,
    end: int = 0,
    start: int = 0,
) -> Callable[..., Blocks]:
    """The two terms with one slip in them; `end` and `start` move the borders of the blocks."""

    def common_unique(c: Tensor, dim_common: int, lambd: float) -> Blocks:
        last, first = dim_common + end, max(dim_common + start, 0)
        return common(c[:last, :last], lambd), unique(c[first:, first:], lambd)

    return common_unique


def mixed_in_unique(c: Tensor, dim_common: int, lambd: float) -> Blocks:
    """All that is not in the common block is driven to 0."""
    outside = c.square().sum() - c[:dim_common, :dim_common].square().sum()
    diagonal = c.diagonal()[dim_common:].square().sum()
    return to_identity(c[:dim_common, :dim_common], lambd), diagonal + lambd * (outside - diagonal)


def rows_only(c: Tensor, dim_common: int, lambd: float) -> Blocks:
    """The rows are split and the columns are not."""
    diagonal, squares = c.diagonal(), c.square()
    upper = squares[:dim_common].sum() - diagonal[:dim_common].square().sum()
    lower = squares[dim_common:].sum() - diagonal[dim_common:].square().sum()
    common = (1 - diagonal[:dim_common]).square().sum() + lambd * upper
    return common, diagonal[dim_common:].square().sum() + lambd * lower


def blocks_swapped(c: Tensor, dim_common: int, lambd: float) -> Blocks:
    """The common block at the end."""
    return to_identity(c[dim_common:, dim_common:], lambd), to_nothing(c[:dim_common, :dim_common], lambd)


def last_common(c: Tensor, dim_common: int, lambd: float) -> Blocks:
    """The last dim_common dimensions taken for the common ones."""
    first = len(c) - dim_common
    return to_identity(c[first:, first:], lambd), to_nothing(c[:first, :first], lambd)


def averaged_blocks(c: Tensor, dim_common: int, lambd: float) -> Blocks:
    """Each term over the number of its dimensions."""
    common, unique = split_with()(c, dim_common, lambd)
    return common / max(dim_common, 1), unique / max(len(c) - dim_common, 1)


COMMON_UNIQUE = Task(
    id="decur.common_unique",
    title="Identity above, nothing below",
    function="common_unique",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("two common, two unique", draw_small_matrix),
        Regime("three common, two unique", lambda g: draw_matrix(g, 5, 3)),
        Regime("one common, three unique", lambda g: draw_matrix(g, 4, 1)),
        Regime("all common", lambda g: draw_matrix(g, 4, 4)),
        Regime("all unique", lambda g: draw_matrix(g, 4, 0)),
        Regime("as it should be", draw_ideal),
        Regime("the identity", draw_all_agree),
        Regime("negative correlations", draw_negative),
        Regime("float64", lambda g: draw_matrix(g, 5, 2, torch.float64)),
        Regime("20 dimensions", lambda g: draw_matrix(g, 20, 15)),
    ),
    oracle=blocks_by_loop,
    misconceptions=(
        Misconception(
            "unique diagonal left at 1",
            split_with(unique=to_identity),
            "The unique block is driven to the identity too, so that nothing is left to be private. "
            "On its diagonal 0 is wanted: dimension i of one sense is not to repeat dimension i of the other.",
        ),
        Misconception(
            "unique diagonal left out",
            split_with(unique=lambda block, lambd: to_nothing(block, lambd) - block.diagonal().square().sum()),
            "The diagonal of the unique block is left out. It is the part that weighs most: "
            "dimension i of one sense must not repeat dimension i of the other. It counts, at full weight.",
        ),
        Misconception(
            "unique diagonal weighted by λ",
            split_with(unique=lambda block, lambd: lambd * block.square().sum()),
            "λ stands before the unique diagonal as well. It belongs to what is beside the diagonal alone.",
        ),
        Misconception(
            "blocks overlap",
            split_with(start=-1),
            "The blocks overlap: one dimension is asked to agree and to have nothing in common at once. "
            "The common ones are 0 to dim_common − 1, the unique ones begin at dim_common.",
        ),
        Misconception(
            "common block one too large",
            split_with(end=1),
            "The common block is one dimension too large, and that dimension is unique as well. "
            "A slice stops before its end: c[:dim_common, :dim_common].",
        ),
        Misconception(
            "a gap between the blocks",
            split_with(start=1),
            "One dimension belongs to neither block. The unique ones begin at dim_common, counted from 0.",
        ),
        Misconception(
            "mixed blocks punished",
            mixed_in_unique,
            "Everything outside the common block is driven to 0 here. The two mixed blocks, common against unique, "
            "cost nothing in DeCUR.",
        ),
        Misconception(
            "rows split, columns not",
            rows_only,
            "The rows are split and the columns are not, so that the mixed blocks count. "
            "Cut both: c[:dim_common, :dim_common].",
        ),
        Misconception(
            "blocks swapped",
            blocks_swapped,
            "The two blocks have changed places: the first dim_common dimensions are the common ones.",
        ),
        Misconception(
            "common at the end",
            last_common,
            "The last dim_common dimensions are taken for the common ones. The common ones come first.",
        ),
        Misconception(
            "diagonal counted twice",
            split_with(common=lambda block, lambd: to_identity(block, lambd) + lambd * block.diagonal().square().sum()),
            "In the common block λ punishes the diagonal as well, which is to become 1. "
            "Take the diagonal out before you square what is beside it.",
        ),
        Misconception(
            "no λ",
            lambda c, dim_common, lambd: split_with()(c, dim_common, 1.0),
            "λ is not used. Many more entries stand beside the diagonal than on it, and λ keeps them in proportion.",
        ),
        Misconception(
            "1 − C without the square",
            split_with(
                common=lambda block, lambd: (
                    to_nothing(block, lambd) + (1 - block.diagonal()).sum() - block.diagonal().square().sum()
                )
            ),
            "The distance of the common diagonal to 1 is added without its square. Square it.",
        ),
        Misconception(
            "mean over the dimensions",
            averaged_blocks,
            "These are means over the dimensions. Barlow Twins and DeCUR take sums.",
        ),
    ),
    why="The common block pays for what its diagonal lacks to 1, the unique block for all that its diagonal has. "
    "With all dimensions common the first term is the loss of Barlow Twins.",
)


# ------------------------------------------------------------------------------------------ decur.loss


def draw_views(
    g: Generator,
    n: int,
    k: int,
    dim_common: int,
    reduction: str,
    dtype: torch.dtype = torch.float32,
    noise: float = 0.7,
) -> tuple[Tensor, Tensor, Tensor, Tensor, int, float, str]:
    """Two senses of n things in two views each. They share the first dimensions; the views of one agree in all."""
    shared = torch.randn(n, k, generator=g, dtype=dtype)
    views = []
    for _ in range(2):
        sense = torch.randn(n, k, generator=g, dtype=dtype)
        sense[:, :dim_common] = shared[:, :dim_common] + 0.5 * sense[:, :dim_common]
        for _ in range(2):
            z = sense + noise * torch.randn(n, k, generator=g, dtype=dtype)
            views.append(z * (0.5 + torch.rand(k, generator=g, dtype=dtype)) + 0.5)
    return *views, dim_common, draw_int(g, 1, 9) / 10, reduction


def draw_few_views(g: Generator, reduction: str) -> tuple[Tensor, Tensor, Tensor, Tensor, int, float, str]:
    """Four things, one common and one unique dimension, one decimal."""
    *views, dim_common, lambd, _ = draw_views(g, 4, 2, 1, reduction)
    return *map(rounded, views), dim_common, lambd, reduction


def draw_equal_views(g: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, int, float, str]:
    """Both views of each sense are the same."""
    m1_view1, _, m2_view1, _, dim_common, lambd, reduction = draw_views(g, 6, 4, 2, "sum")
    return m1_view1, m1_view1.clone(), m2_view1, m2_view1.clone(), dim_common, lambd, reduction


def draw_papers_lambda(g: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, int, float, str]:
    """The λ of the paper."""
    *views, dim_common, _, reduction = draw_views(g, 8, 4, 3, "official")
    return *views, dim_common, 0.0051, reduction


def decur_by_loop(
    m1_view1: Tensor,
    m1_view2: Tensor,
    m2_view1: Tensor,
    m2_view2: Tensor,
    dim_common: int,
    lambd: float,
    reduction: str,
) -> Tensor:
    """Four sums by their loops, then one of two ways to add them up."""
    k = m1_view1.shape[1]
    first, _ = blocks_by_loop(cross_correlation_by_loop(m1_view1, m1_view2), k, lambd)
    second, _ = blocks_by_loop(cross_correlation_by_loop(m2_view1, m2_view2), k, lambd)
    common, unique = blocks_by_loop(cross_correlation_by_loop(m1_view1, m2_view1), dim_common, lambd)
    if reduction == "official":
        return (first + second + (common + unique) / 2) / 3
    return first + second + common + unique


def matrix(z_a: Tensor, z_b: Tensor) -> Tensor:
    """Cross-correlation."""
    return batch_norm(z_a).T @ batch_norm(z_b) / len(z_a)


def intra_of(z_a: Tensor, z_b: Tensor, dim_common: int, lambd: float) -> Tensor:
    """Barlow Twins on all dimensions."""
    return to_identity(matrix(z_a, z_b), lambd)


def officially(first: Tensor, second: Tensor, common: Tensor, unique: Tensor) -> Tensor:
    """As the authors' code."""
    return (first + second + (common + unique) / 2) / 3


def summed(first: Tensor, second: Tensor, common: Tensor, unique: Tensor) -> Tensor:
    """As the paper's text."""
    return first + second + common + unique


RIGHT_SPLIT = split_with()


def loss_with(
    pairs: Callable[..., tuple] = lambda a, b, c, d: ((a, b), (c, d), (a, c)),
    intra: Callable[..., Tensor] = intra_of,
    weights: tuple[float, float] = (1.0, 1.0),
    cross: Callable[..., Blocks] = RIGHT_SPLIT,
    official: Callable[..., Tensor] = officially,
    paper: Callable[..., Tensor] = summed,
) -> Callable[..., Tensor]:
    """The loss with one slip in it; pairs: what is compared, within the first, within the second, across."""

    def decur(
        m1_view1: Tensor,
        m1_view2: Tensor,
        m2_view1: Tensor,
        m2_view2: Tensor,
        dim_common: int,
        lambd: float,
        reduction: str,
    ) -> Tensor:
        one, two, across = pairs(m1_view1, m1_view2, m2_view1, m2_view2)
        first, second = intra(*one, dim_common, lambd), intra(*two, dim_common, lambd)
        common, unique = cross(matrix(*across), dim_common, lambd)
        reduce = official if reduction == "official" else paper
        return reduce(weights[0] * first, weights[1] * second, common, unique)

    return decur


LOSS = Task(
    id="decur.loss",
    title="Within each sense, and across",
    function="decur",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("official", lambda g: draw_few_views(g, "official")),
        Regime("sum", lambda g: draw_few_views(g, "sum")),
        Regime("the λ of the paper", draw_papers_lambda),
        Regime("all common", lambda g: draw_views(g, 6, 3, 3, "sum")),
        Regime("all unique", lambda g: draw_views(g, 6, 3, 0, "official")),
        Regime("equal views", draw_equal_views),
        Regime("views that disagree", lambda g: draw_views(g, 6, 4, 2, "official", noise=8.0)),
        Regime("as many things as dimensions", lambda g: draw_views(g, 4, 4, 2, "sum")),
        Regime("float64", lambda g: draw_views(g, 6, 4, 3, "official", torch.float64)),
        Regime("10 dimensions", lambda g: draw_views(g, 16, 10, 7, "sum")),
    ),
    oracle=decur_by_loop,
    gradients=(0, 1, 2, 3),
    misconceptions=(
        Misconception(
            "intra on the common dimensions only",
            loss_with(intra=lambda z_a, z_b, k, lambd: to_identity(matrix(z_a, z_b)[:k, :k], lambd)),
            "The terms within a sense see the common dimensions only. The unique ones then have no reason to mean "
            "anything: noise has nothing in common with the other sense either. Take all dimensions.",
        ),
        Misconception(
            "intra on the unique dimensions only",
            loss_with(intra=lambda z_a, z_b, k, lambd: to_identity(matrix(z_a, z_b)[k:, k:], lambd)),
            "The terms within a sense see the unique dimensions only. DeCUR takes all dimensions, "
            "so that common and unique ones also differ from each other.",
        ),
        Misconception(
            "intra of the second sense missing",
            loss_with(weights=(1.0, 0.0)),
            "The term within the second sense is missing, so that its unique dimensions may fill with noise. "
            "Each sense has one.",
        ),
        Misconception(
            "intra of the first sense missing",
            loss_with(weights=(0.0, 1.0)),
            "The term within the first sense is missing, so that its unique dimensions may fill with noise. "
            "Each sense has one.",
        ),
        Misconception(
            "no intra",
            loss_with(weights=(0.0, 0.0)),
            "The terms within the senses are missing. Without them nothing asks the unique dimensions "
            "to carry something: noise does as well.",
        ),
        Misconception(
            "same view twice",
            loss_with(pairs=lambda a, b, c, d: ((a, a), (c, c), (a, c))),
            "Each sense is compared with the very same view, so that its diagonal is 1 from the start and noise "
            "counts as knowledge. Compare view 1 with view 2.",
        ),
        Misconception(
            "arguments mixed up",
            loss_with(pairs=lambda a, b, c, d: ((a, c), (b, d), (a, b))),
            "The order of the arguments is mixed up: both views of sense 1 come first, then both of sense 2. "
            "Within: the two views of a sense. Across: the first views of both.",
        ),
        Misconception(
            "second views across",
            loss_with(pairs=lambda a, b, c, d: ((a, b), (c, d), (b, d))),
            "The second views are compared across the senses. DeCUR takes the first ones.",
        ),
        Misconception(
            "first with second across",
            loss_with(pairs=lambda a, b, c, d: ((a, b), (c, d), (a, d))),
            "Across the senses a first view meets a second one. DeCUR compares the first views of both.",
        ),
        Misconception(
            "no split",
            loss_with(cross=lambda c, k, lambd: (to_identity(c, lambd), 0 * c.sum())),
            "Across the senses all dimensions are asked to agree. That is Barlow Twins across two senses: "
            "what only one of them knows has no place to stay. Split the matrix by dim_common.",
        ),
        Misconception(
            "unique term missing",
            loss_with(cross=lambda c, k, lambd: (RIGHT_SPLIT(c, k, lambd)[0], 0 * c.sum())),
            "The unique block of the matrix across the senses is left alone, so that it may fill with what is shared. "
            "Add its term.",
        ),
        Misconception(
            "always the sum",
            loss_with(official=summed),
            "The four terms are summed in both cases. The official code halves the two terms across and divides "
            "everything by 3.",
        ),
        Misconception(
            "always official",
            loss_with(paper=officially),
            "The official average is taken in both cases. The paper's text adds up the four terms.",
        ),
        Misconception(
            "conventions swapped",
            loss_with(official=summed, paper=officially),
            "The two conventions are swapped: official averages, sum adds up.",
        ),
        Misconception(
            "terms across not halved",
            loss_with(official=lambda first, second, common, unique: (first + second + common + unique) / 3),
            "The two terms across the senses are not halved. Officially there are three parts: within sense 1, "
            "within sense 2, and the mean of common and unique.",
        ),
        Misconception(
            "mean of four",
            loss_with(official=lambda first, second, common, unique: (first + second + common + unique) / 4),
            "This is the mean of the four terms. Officially common and unique are averaged to one part first, "
            "and then there are three.",
        ),
    ),
    why="Within each sense all dimensions must survive a new view, so that none is noise. Across the senses the first "
    "ones must agree and the others must not. Together they leave room for what only one sense knows.",
)


# ------------------------------------------------------------------------------------------ decur.read_factors


def draw_factor(
    g: Generator, n: int, d: int, classes: int, strength: float = 1.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """An embedding with a factor in its first dimension, dimensions of unequal size, classes of unequal size."""
    labels = torch.cat([torch.arange(classes), torch.zeros(n - classes - n // 3, dtype=torch.int64)])
    labels = torch.cat([labels, torch.randint(classes, (n // 3,), generator=g)])
    labels = labels[torch.randperm(n, generator=g)]
    places = torch.randn(classes, d, generator=g, dtype=dtype).cumsum(0).flip(0).roll(1, 0)
    places[:, 1:] *= 0.3
    z = strength * places[labels] + torch.randn(n, d, generator=g, dtype=dtype)
    size = torch.linspace(0.3, 2.0, d, dtype=dtype) + 0.1 * torch.rand(d, generator=g, dtype=dtype)
    return z * size + 0.7 + torch.rand(d, generator=g, dtype=dtype), labels


def draw_small_factor(g: Generator) -> tuple[Tensor, Tensor]:
    """Six things of two kinds in two dimensions."""
    z, labels = draw_factor(g, 6, 2, 2)
    return rounded(z), labels


def draw_whisper(g: Generator) -> tuple[Tensor, Tensor]:
    """The factor is all there, in a direction a hundred times smaller than the others."""
    z, labels = draw_factor(g, 30, 4, 3, 0.0)
    z[:, 0] = 0.03 * labels.to(z.dtype) + 0.01 * torch.randn(30, generator=g)
    return z, labels


def draw_nothing(g: Generator) -> tuple[Tensor, Tensor]:
    """All embeddings in one point, at whole numbers."""
    return torch.randint(1, 4, (1, 3), generator=g).repeat(6, 1).float(), torch.tensor([0, 1, 2, 0, 1, 0])


def draw_everything(g: Generator) -> tuple[Tensor, Tensor]:
    """Whoever knows the class knows the embedding."""
    _, labels = draw_factor(g, 9, 3, 3)
    return torch.randint(-4, 5, (3, 3), generator=g).double()[labels] + torch.eye(3, dtype=torch.float64)[
        labels
    ], labels


def draw_odd_labels(g: Generator) -> tuple[Tensor, Tensor]:
    """Class numbers with gaps, in an order that means nothing."""
    z, labels = draw_factor(g, 14, 3, 3)
    return z, torch.tensor([7, 2, 40])[labels]


def draw_one_class(g: Generator) -> tuple[Tensor, Tensor]:
    """A factor that never changes explains nothing."""
    z, labels = draw_factor(g, 6, 3, 2)
    return z, torch.full_like(labels, 3)


def explained_by_loop(z: Tensor, labels: Tensor) -> float:
    """Row by row: how far its class mean is from the middle, and how far it is itself."""
    rows, kinds = z.double().tolist(), labels.tolist()
    middle = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    between = total = 0.0
    for row, kind in zip(rows, kinds, strict=True):
        own = [other for other, k in zip(rows, kinds, strict=True) if k == kind]
        mean = [sum(column) / len(own) for column in zip(*own, strict=True)]
        between += sum((m - c) ** 2 for m, c in zip(mean, middle, strict=True))
        total += sum((x - c) ** 2 for x, c in zip(row, middle, strict=True))
    return between / total if total > 0 else 0.0


def one_hot(labels: Tensor) -> Tensor:
    """A column a class."""
    return F.one_hot(labels.unique(return_inverse=True)[1]).double()


def class_means(z: Tensor, labels: Tensor) -> Tensor:
    """For every row the mean of its class."""
    kinds = one_hot(labels)
    return kinds @ (kinds.T @ z.double() / kinds.sum(0)[:, None])


def ratio(part: Tensor, whole: Tensor) -> float:
    """A share, 0 of nothing."""
    return (part / whole).item() if whole > 0 else 0.0


def standardised_share(z: Tensor, labels: Tensor) -> float:
    """Every dimension at one size."""
    z = z.double() - z.double().mean(0)
    return variance_share(z / z.std(0, correction=0).clamp_min(1e-12), labels)


def variance_share(z: Tensor, labels: Tensor) -> float:
    """The right one, in tensors."""
    means = class_means(z, labels)
    return ratio((means - means.mean(0)).square().sum(), (z.double() - z.double().mean(0)).square().sum())


def labels_from_embedding(z: Tensor, labels: Tensor) -> float:
    """R² of a linear regression from the embedding to the classes."""
    kinds, z = one_hot(labels), z.double() - z.double().mean(0)
    kinds = kinds - kinds.mean(0)
    return ratio((z @ (torch.linalg.pinv(z) @ kinds)).square().sum(), kinds.square().sum())


def labels_as_numbers(z: Tensor, labels: Tensor) -> float:
    """A straight line through the class numbers."""
    z, x = z.double() - z.double().mean(0), labels.double() - labels.double().mean()
    slope = x @ z / x.square().sum().clamp_min(1e-12)
    return ratio((x[:, None] * slope).square().sum(), z.square().sum())


def equal_classes(z: Tensor, labels: Tensor) -> float:
    """Every class counts once, however many rows it has."""
    kinds = one_hot(labels)
    means = kinds.T @ z.double() / kinds.sum(0)[:, None]
    middle = z.double().mean(0)
    return ratio((means - middle).square().sum() / len(means), (z.double() - middle).square().sum() / len(z))


def within_share(z: Tensor, labels: Tensor) -> float:
    """What is left inside the classes."""
    return ratio((z.double() - class_means(z, labels)).square().sum(), (z.double() - z.double().mean(0)).square().sum())


def between_over_within(z: Tensor, labels: Tensor) -> float:
    """The ratio of the two parts."""
    means = class_means(z, labels)
    return ratio((means - means.mean(0)).square().sum(), (z.double() - means).square().sum())


def not_centred_share(z: Tensor, labels: Tensor) -> float:
    """Second moments around 0."""
    return ratio(class_means(z, labels).square().sum(), z.double().square().sum())


def nearest_mean_accuracy(z: Tensor, labels: Tensor) -> float:
    """How often the nearest class mean is the right one."""
    kinds = one_hot(labels)
    means = kinds.T @ z.double() / kinds.sum(0)[:, None]
    nearest = torch.cdist(z.double(), means).argmin(1)
    return (nearest == kinds.argmax(1)).double().mean().item()


READ_FACTORS = Task(
    id="decur.read_factors",
    title="How much of the space is about a factor?",
    function="variance_explained",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("six things of two kinds", draw_small_factor),
        Regime("a loud factor", lambda g: draw_factor(g, 24, 3, 4, 3.0)),
        Regime("a factor that is not there", lambda g: draw_factor(g, 24, 3, 3, 0.0)),
        Regime("a whisper", draw_whisper),
        Regime("a single dimension", lambda g: draw_factor(g, 12, 1, 3)),
        Regime("nothing varies", draw_nothing),
        Regime("nothing but the factor", draw_everything),
        Regime("a single class", draw_one_class),
        Regime("class numbers with gaps", draw_odd_labels),
        Regime("float64", lambda g: draw_factor(g, 15, 4, 4, 1.0, torch.float64)),
        Regime("32 dimensions", lambda g: draw_factor(g, 48, 32, 6)),
    ),
    oracle=explained_by_loop,
    misconceptions=(
        Misconception(
            "standardised",
            standardised_share,
            "Every dimension is scaled to one size first. A factor that whispers in a tiny direction is then as loud "
            "as one that fills the space, which hides that it was thrown away. Take z at its own scale.",
        ),
        Misconception(
            "the wrong direction",
            labels_from_embedding,
            "This is the share of the labels' variance that the embedding explains. A tiny direction is enough for "
            "that. The question is the other way round: how much of the embedding the labels explain.",
        ),
        Misconception(
            "labels as numbers",
            labels_as_numbers,
            "The labels are treated as numbers on a line: class 2 need not lie between 1 and 3. "
            "Let every class have a mean of its own.",
        ),
        Misconception(
            "classes count alike",
            equal_classes,
            "Each class mean counts once, however many rows it stands for. Give every row the mean of its class.",
        ),
        Misconception(
            "what is left",
            within_share,
            "This is the share within the classes, which the factor does not explain. Take the share between them.",
        ),
        Misconception(
            "between over within",
            between_over_within,
            "The variance between the classes is divided by the one within. A share divides by the total, "
            "and stays from 0 to 1.",
        ),
        Misconception(
            "not centred",
            not_centred_share,
            "The middle of the cloud is not taken off, so that its distance from the origin counts as explained. "
            "Measure both parts from the mean over all rows.",
        ),
        Misconception(
            "root",
            lambda z, labels: variance_share(z, labels) ** 0.5,
            "This is the root of the share. Variances are squares: leave the root out.",
        ),
        Misconception(
            "accuracy",
            nearest_mean_accuracy,
            "This is how often the nearest class mean is the right one. It tells whether the classes can be told "
            "apart, and not how much of the space they take.",
        ),
        Misconception(
            "variance of a row",
            lambda z, labels: ratio(
                class_means(z, labels).var(1, correction=0).sum(), z.double().var(1, correction=0).sum()
            ),
            "The variance is taken over the dimensions of each row. It is to be taken over the rows: how far apart "
            "things are, not numbers within a thing.",
        ),
    ),
    why="Replace every row by the mean of its class: what still varies is what the factor explains. At the embedding's "
    "own scale a factor in a tiny direction counts for little, as it does for everyone who uses the space as it is.",
)


# ------------------------------------------------------------------------------------------ decur.noisy


def draw_noise(
    g: Generator, n: int, d: int, share: float | None = None, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, float]:
    """An embedding with dimensions of very unequal size, standard noise, and how loud the noise is to be."""
    z = torch.randn(n, d, generator=g, dtype=dtype)
    z = (z - z.mean(0)) / z.std(0, correction=0)
    size = torch.logspace(-0.7, 0.6, d, dtype=dtype) * (0.8 + 0.4 * torch.rand(d, generator=g, dtype=dtype))
    middle = 2 * torch.rand(d, generator=g, dtype=dtype) + 1.5
    noise = torch.randn(n, d, generator=g, dtype=dtype)
    return scale * (z * size + middle), noise, uniform(g, 0.3, 1.5) if share is None else share


def draw_small_noise(g: Generator) -> tuple[Tensor, Tensor, float]:
    """Three rows of two numbers."""
    z, noise, _ = draw_noise(g, 3, 2)
    return rounded(z), rounded(noise), 0.5


def draw_dead_noise(g: Generator) -> tuple[Tensor, Tensor, float]:
    """One dimension does not vary at all."""
    z, noise, share = draw_noise(g, 5, 3)
    z[:, 1] = draw_int(g, 1, 3)
    return z, noise, share


def noisy_by_loop(z: Tensor, noise: Tensor, share: float) -> Tensor:
    """One scale for the whole embedding: the root of the mean of the dimensions' variances."""
    n, d = z.shape
    variances = [((z[:, j] - z[:, j].sum() / n) ** 2).sum() / n for j in range(d)]
    scale = (sum(variances) / d).sqrt()
    return torch.stack([z[i] + share * scale * noise[i] for i in range(n)])


NOISY = Task(
    id="decur.noisy",
    title="Noise at the scale of the space",
    function="noisy",
    minutes=8,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("three rows", draw_small_noise),
        Regime("no noise", lambda g: draw_noise(g, 4, 3, 0.0)),
        Regime("noise as loud as the space", lambda g: draw_noise(g, 6, 4, 1.0)),
        Regime("a single dimension", lambda g: draw_noise(g, 6, 1)),
        Regime("a dead dimension", draw_dead_noise),
        Regime("a tiny space", lambda g: draw_noise(g, 6, 3, None, 0.01)),
        Regime("a huge space", lambda g: draw_noise(g, 6, 3, None, 100.0)),
        Regime("as many rows as dimensions", lambda g: draw_noise(g, 4, 4)),
        Regime("float64", lambda g: draw_noise(g, 7, 4, None, 1.0, torch.float64)),
        Regime("32 dimensions", lambda g: draw_noise(g, 40, 32)),
    ),
    oracle=noisy_by_loop,
    misconceptions=(
        Misconception(
            "noise for each dimension",
            lambda z, noise, share: z + share * z.std(0, correction=0) * noise,
            "Each dimension gets noise of its own size, so that a tiny direction is spared. That is the standardised "
            "probe again. One size for all: the root of the mean variance.",
        ),
        Misconception(
            "noise of a fixed size",
            lambda z, noise, share: z + share * noise,
            "The noise has the same size whatever the embedding's, so that a space is judged by its units. "
            "Multiply it by the scale of the space.",
        ),
        Misconception(
            "noise in the place of the embedding",
            lambda z, noise, share: share * scale_of(z) * noise,
            "This is the noise alone. Add it to z.",
        ),
        Misconception(
            "std of all numbers",
            lambda z, noise, share: z + share * z.std() * noise,
            "The std of all numbers together counts the dimensions' different middles as spread. "
            "Take the variance of each dimension over the rows, their mean, and the root.",
        ),
        Misconception(
            "mean of the stds",
            lambda z, noise, share: z + share * z.std(0, correction=0).mean() * noise,
            "This is the mean of the stds. Variances add up, stds do not: average the variances, then take the root.",
        ),
        Misconception(
            "variance for std",
            lambda z, noise, share: z + share * z.var(0, correction=0).mean() * noise,
            "The mean variance is in squared units. Take its root.",
        ),
        Misconception(
            "sum of the variances",
            lambda z, noise, share: z + share * z.var(0, correction=0).sum().sqrt() * noise,
            "The variances are summed, so that more dimensions mean more noise in each. Take their mean.",
        ),
        Misconception(
            "divided by N − 1",
            lambda z, noise, share: z + share * z.var(0).mean().sqrt() * noise,
            "This variance divides by N − 1, as var does by itself. Here all divide by N: var(0, correction=0).",
        ),
        Misconception(
            "standardised",
            lambda z, noise, share: (z - z.mean(0)) / (z.std(0, correction=0) + 1e-6) + share * noise,
            "The embedding is standardised before the noise is added, which makes every direction equally loud. "
            "Leave z as it is.",
        ),
    ),
    why="Noise of one size in all directions drowns what whispers and leaves what is loud. A probe that still finds a "
    "factor afterwards has found it at a size that counts.",
)


def scale_of(z: Tensor) -> Tensor:
    """The root of the mean variance."""
    return z.var(0, correction=0).mean().sqrt()


# ------------------------------------------------------------------------------------------ decur.choose_share

Sweep = tuple[list[float], Tensor, Tensor]


def draw_sweep(g: Generator, table: list, chance: tuple[float, ...]) -> Sweep:
    """A sweep over the common share as a probe sees it.

    table: for every share, for every seed, for every factor how far above chance it was read, 0 at chance and 1 at
    best. Shares and factors come in any order, and every number is off by a little.
    """
    above = torch.tensor(table, dtype=torch.float64)
    above = above[torch.randperm(len(above), generator=g)]
    above = above + 0.01 * (torch.rand(above.shape, generator=g, dtype=torch.float64) - 0.5)
    return as_accuracy(g, above, chance)


def as_accuracy(g: Generator, above: Tensor, chance: tuple[float, ...]) -> Sweep:
    """The same sweep in accuracies, factors in any order."""
    factors = torch.randperm(len(chance), generator=g)
    lowest = torch.tensor(chance, dtype=torch.float64)[factors]
    shares = sorted(torch.randperm(9, generator=g)[: len(above)].tolist())
    return [(share + 1) / 10 for share in shares], lowest + above[..., factors] * (1 - lowest), lowest


def draw_tie(g: Generator) -> Sweep:
    """Two shares with the very same runs, and a worse one at any place."""
    good = 0.5 + torch.randint(0, 8, (2, 2), generator=g).double() / 32
    above = torch.stack([good, good, torch.full((2, 2), 0.25, dtype=torch.float64)])
    return as_accuracy(g, above[torch.randperm(3, generator=g)], (0.25, 0.25))


def equal_runs(*factors: float, seeds: int = 3) -> list[list[float]]:
    """The same reading in every run."""
    return [list(factors)] * seeds


def choose_by_loop(shares: list[float], accuracy: Tensor, chance: Tensor) -> float:
    """Share by share, factor by factor, run by run."""
    best, found = None, None
    for i, share in enumerate(shares):
        readings = []
        for f in range(len(chance)):
            runs = [float((accuracy[i, s, f] - chance[f]) / (1 - chance[f])) for s in range(accuracy.shape[1])]
            readings.append(sum(runs) / len(runs))
        if best is None or min(readings) > best:
            best, found = min(readings), share
    return found


def choose_with(
    scale: Callable[[Tensor, Tensor], Tensor] = lambda accuracy, chance: (accuracy - chance) / (1 - chance),
    merge: Callable[[Tensor], Tensor] = lambda above: above.mean(1).amin(1),
    pick: Callable[[list[float], Tensor], float] = lambda shares, score: shares[int(score.argmax())],
) -> Callable[..., float]:
    """The choice with one slip in it; merge: (shares, runs, factors) to one score a share."""
    return lambda shares, accuracy, chance: pick(shares, merge(scale(accuracy, chance)))


def last_of_equals(shares: list[float], score: Tensor) -> float:
    """The largest of the best shares."""
    return shares[len(shares) - 1 - int(score.flip(0).argmax())]


FAIR = (1 / 4, 1 / 4, 1 / 4)
CHOOSE_SHARE = Task(
    id="decur.choose_share",
    title="How much should be common?",
    function="choose_share",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime(
            "a clear winner",
            lambda g: draw_sweep(g, [equal_runs(0.6, 0.7), equal_runs(0.4, 0.5), equal_runs(0.2, 0.3)], (1 / 3, 1 / 6)),
        ),
        Regime(
            "one factor is lost",
            lambda g: draw_sweep(
                g, [equal_runs(0.9, 0.9, 0.1), equal_runs(0.5, 0.52, 0.54), equal_runs(0.3, 0.35, 0.4)], FAIR
            ),
        ),
        Regime(
            "a lucky run",
            lambda g: draw_sweep(g, [[[0.9, 0.9], [0.1, 0.1], [0.1, 0.1]], equal_runs(0.5, 0.5)], (1 / 4, 1 / 4)),
        ),
        Regime(
            "an unlucky run",
            lambda g: draw_sweep(g, [[[0.8, 0.8], [0.8, 0.8], [0.1, 0.1]], equal_runs(0.45, 0.45)], (1 / 3, 1 / 3)),
        ),
        Regime(
            "unequal chances",
            lambda g: draw_sweep(g, [equal_runs(0.3, 0.66), equal_runs(0.5, 0.5)], (1 / 2, 1 / 8)),
        ),
        Regime(
            "unequal room above chance",
            lambda g: draw_sweep(g, [equal_runs(0.5, 0.45), equal_runs(0.55, 0.4)], (1 / 2, 1 / 8)),
        ),
        Regime(
            "few classes and many",
            lambda g: draw_sweep(g, [equal_runs(0.9, 0.4), equal_runs(0.95, 0.3)], (1 / 2, 1 / 8)),
        ),
        Regime(
            "another factor is weak in each run",
            lambda g: draw_sweep(g, [[[0.9, 0.3], [0.3, 0.9]], equal_runs(0.5, 0.5, seeds=2)], (1 / 3, 1 / 3)),
        ),
        Regime(
            "below chance",
            lambda g: draw_sweep(g, [equal_runs(0.9, -0.12), equal_runs(0.3, 0.05)], (1 / 3, 1 / 3)),
        ),
        Regime("a tie", draw_tie),
        Regime(
            "a single run",
            lambda g: draw_sweep(g, [equal_runs(0.6, 0.3, seeds=1), equal_runs(0.4, 0.5, seeds=1)], (1 / 6, 1 / 3)),
        ),
        Regime(
            "a single factor", lambda g: draw_sweep(g, [equal_runs(0.3), equal_runs(0.6), equal_runs(0.5)], (1 / 6,))
        ),
        Regime("a single share", lambda g: draw_sweep(g, [equal_runs(0.3, 0.4)], (1 / 3, 1 / 4))),
    ),
    oracle=choose_by_loop,
    misconceptions=(
        Misconception(
            "mean of the factors",
            choose_with(merge=lambda above: above.mean(1).mean(1)),
            "The factors are averaged, so that two that are read well hide one that is lost. "
            "DeCUR is there to lose none: judge a share by its worst factor.",
        ),
        Misconception(
            "mean of all accuracies",
            choose_with(scale=lambda accuracy, chance: accuracy, merge=lambda accuracy: accuracy.flatten(1).mean(1)),
            "All accuracies are averaged as they are. A factor that is lost disappears in the mean, and factors of few "
            "classes count for more. Count from chance, and take the worst factor.",
        ),
        Misconception(
            "best factor",
            choose_with(merge=lambda above: above.mean(1).amax(1)),
            "This judges a share by its best factor. What matters is what got lost: take the worst one.",
        ),
        Misconception(
            "best run",
            choose_with(merge=lambda above: above.amax(1).amin(1)),
            "The best run of each share is taken. One lucky run says little about the next: average over the runs.",
        ),
        Misconception(
            "worst run",
            choose_with(merge=lambda above: above.amin(1).amin(1)),
            "The worst run of each share is taken. One unlucky run decides then: average over the runs.",
        ),
        Misconception(
            "first run",
            choose_with(merge=lambda above: above[:, 0].amin(1)),
            "Only the first run is looked at. Average over all of them.",
        ),
        Misconception(
            "worst factor of each run",
            choose_with(merge=lambda above: above.amin(2).mean(1)),
            "The worst factor is taken run by run, so that the luck of single runs counts against a share. "
            "Average each factor over the runs first.",
        ),
        Misconception(
            "accuracy as it is",
            choose_with(scale=lambda accuracy, chance: accuracy),
            "Accuracies of factors with different chance levels are compared: .60 of two classes is little, "
            "and .60 of eight is much. Count from chance.",
        ),
        Misconception(
            "room above chance forgotten",
            choose_with(scale=lambda accuracy, chance: accuracy - chance),
            "Chance is taken off and the room above it is forgotten: from a chance of one half only one half is left "
            "to win. Divide by 1 − chance.",
        ),
        Misconception(
            "times chance",
            choose_with(scale=lambda accuracy, chance: accuracy / chance),
            "This asks how many times chance was reached, which favours factors of many classes. "
            "Take the share of the way from chance to 1.",
        ),
        Misconception(
            "distance from chance",
            choose_with(scale=lambda accuracy, chance: (accuracy - chance).abs() / (1 - chance)),
            "The distance from chance is taken without its sign. Below chance nothing was read.",
        ),
        Misconception(
            "smallest wins",
            choose_with(pick=lambda shares, score: shares[int(score.argmin())]),
            "The share with the smallest score is chosen. The worst factor is to be as good as possible.",
        ),
        Misconception(
            "place for share",
            choose_with(pick=lambda shares, score: int(score.argmax())),
            "This is the place of the best share in the list. Return the share itself.",
        ),
        Misconception(
            "last of equals",
            choose_with(pick=last_of_equals),
            "Of two shares that are equally good the larger one is returned. Take the smaller.",
        ),
    ),
    why="A share is worth what its worst factor is worth, averaged over the runs and counted from chance. "
    "No loss could have told you: the losses of two shares are sums of different terms.",
)


TASKS = (CROSS_CORRELATION, COMMON_UNIQUE, LOSS, READ_FACTORS, NOISY, CHOOSE_SHARE)
