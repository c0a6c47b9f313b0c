"""Checks of chapter 9: the three terms of VICReg, their sum, and two instruments that tell which term is missing."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import Misconception, Regime, Task

__all__ = ["TASKS"]


def draw_batch(
    g: Generator, n: int, d: int, spread: float = 1.0, middle: float = 0.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """n embeddings of d numbers around a middle, with unequal spreads and dimensions that hang together."""
    mix = torch.eye(d, dtype=dtype) + 0.5 * torch.rand(d, d, generator=g, dtype=dtype)
    z = torch.randn(n, d, generator=g, dtype=dtype) @ mix
    shift = middle * (1 + torch.rand(d, generator=g, dtype=dtype))
    size = z.std(0) if n > 1 else 1.0
    return spread * z / size * (0.6 + 0.8 * torch.rand(d, generator=g, dtype=dtype)) + shift


def rounded(z: Tensor) -> Tensor:
    """With one decimal, so that a learner can follow the example by hand."""
    return (10 * z).round() / 10


# ------------------------------------------------------------------------------------------ vicreg.invariance


def draw_views(
    g: Generator, n: int, d: int, noise: float = 0.6, spread: float = 1.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Two views of n pictures: the second is the first with noise, and never off by 0 on average."""
    z = draw_batch(g, n, d, spread, 0.3, dtype)
    return z, z + spread * noise * (torch.randn(n, d, generator=g, dtype=dtype) + 0.3)


def draw_equal_views(g: Generator) -> tuple[Tensor, Tensor]:
    """The same embeddings twice."""
    z = draw_batch(g, 4, 3)
    return z, z.clone()


def draw_one_view_off(g: Generator) -> tuple[Tensor, Tensor]:
    """All pictures agree but the first."""
    z = draw_batch(g, 5, 3)
    other = z.clone()
    other[0] += 2 + torch.rand(3, generator=g)
    return z, other


def draw_small_views(g: Generator) -> tuple[Tensor, Tensor]:
    """Three pictures, two dimensions, numbers to be followed by hand."""
    a, b = draw_views(g, 3, 2)
    return rounded(a), rounded(b)


def invariance_by_loop(z_a: Tensor, z_b: Tensor) -> Tensor:
    """Picture by picture."""
    n, d = z_a.shape
    return sum((z_a[i] - z_b[i]).square().sum() for i in range(n)) / (n * d)


INVARIANCE = Task(
    id="vicreg.invariance",
    title="Two views must agree",
    function="invariance",
    minutes=5,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("three pictures", draw_small_views),
        Regime("one picture", lambda g: draw_views(g, 1, 4)),
        Regime("equal views", draw_equal_views),
        Regime("one picture disagrees", draw_one_view_off),
        Regime("as many pictures as dimensions", lambda g: draw_views(g, 4, 4)),
        Regime("tiny embeddings", lambda g: draw_views(g, 6, 3, spread=0.05)),
        Regime("huge embeddings", lambda g: draw_views(g, 6, 3, spread=20.0)),
        Regime("float64", lambda g: draw_views(g, 5, 3, dtype=torch.float64)),
        Regime("256 dimensions", lambda g: draw_views(g, 8, 256)),
    ),
    oracle=invariance_by_loop,
    gradients=(0, 1),
    misconceptions=(
        Misconception(
            "sum over the dimensions",
            lambda z_a, z_b: (z_a - z_b).square().sum(1).mean(),
            "This sums over the dimensions, as Eq. 5 of the paper does: d times as much. "
            "The weights 25, 25 and 1 go with the mean over pictures and dimensions, as in its Algorithm 1.",
        ),
        Misconception(
            "sum over everything",
            lambda z_a, z_b: (z_a - z_b).square().sum(),
            "This is the sum over all numbers, so a larger batch has a larger loss. Take the mean.",
        ),
        Misconception(
            "root",
            lambda z_a, z_b: (z_a - z_b).square().mean().sqrt(),
            "This is the root of the mean squared difference. "
            "Leave the square: its slope fades as the views meet, where the root's has no value at all.",
        ),
        Misconception(
            "length of the difference",
            lambda z_a, z_b: (z_a - z_b).norm(dim=1).mean(),
            "This averages the Euclidean distances of the pairs. The term averages squared differences.",
        ),
        Misconception(
            "absolute differences",
            lambda z_a, z_b: (z_a - z_b).abs().mean(),
            "These are absolute differences, the Manhattan way. Square them.",
        ),
        Misconception(
            "means compared",
            lambda z_a, z_b: (z_a.mean(0) - z_b.mean(0)).square().mean(),
            "This compares the mean of one batch with the mean of the other, so pictures may swap places unpunished. "
            "Row i belongs to row i: square the differences first, then average.",
        ),
        Misconception(
            "unit length",
            lambda z_a, z_b: (F.normalize(z_a) - F.normalize(z_b)).square().mean(),
            "The rows are scaled to length 1 here, as SimCLR does. "
            "VICReg takes them as they are: its variance term looks after their size.",
        ),
        Misconception(
            "every picture with every other",
            lambda z_a, z_b: (z_a[:, None] - z_b).square().mean(),
            "This pulls every picture to every other picture, which is an order to collapse. "
            "Only the two views of one picture, row i and row i, are to agree.",
        ),
        Misconception(
            "one view detached",
            lambda z_a, z_b: (z_a - z_b.detach()).square().mean(),
            "The second view is detached, so no gradient reaches it. "
            "That trick belongs to other methods: VICReg treats both views alike.",
        ),
    ),
    why="The mean squared difference of two views of one picture is 0 when they are embedded alike. "
    "A network can reach 0 by saying nothing at all, and that is why two more terms follow.",
)


# ------------------------------------------------------------------------------------------ vicreg.variance


def draw_spreads(g: Generator, n: int, spreads: tuple[float, ...], dtype: torch.dtype = torch.float32) -> tuple[Tensor]:
    """Embeddings whose dimensions have about those standard deviations, each off by up to a tenth."""
    z = torch.randn(n, len(spreads), generator=g, dtype=dtype)
    z = (z - z.mean(0)) / z.std(0)
    factor = torch.tensor(spreads, dtype=dtype) * (0.9 + 0.2 * torch.rand(len(spreads), generator=g, dtype=dtype))
    return (z * factor,)


def draw_collapsed(g: Generator) -> tuple[Tensor]:
    """All pictures in one point."""
    return (torch.randint(-3, 4, (1, 3), generator=g).repeat(4, 1).float(),)


def draw_dead_dimension(g: Generator) -> tuple[Tensor]:
    """One of three dimensions says nothing."""
    (z,) = draw_spreads(g, 4, (0.5, 0.7, 1.4))
    z[:, 1] = draw_int(g, -2, 2)
    return (z,)


def draw_shifted(g: Generator) -> tuple[Tensor]:
    """A cloud far from the origin."""
    (z,) = draw_spreads(g, 6, (0.4, 0.7, 1.5))
    return (z + torch.tensor([2.0, -3.0, 5.0]),)


def draw_three(g: Generator) -> tuple[Tensor]:
    """Three embeddings of two numbers, to be followed by hand; one dimension is narrow."""
    (z,) = draw_spreads(g, 3, (0.4, 1.5))
    return (rounded(z),)


def variance_by_loop(z: Tensor) -> Tensor:
    """Dimension by dimension."""
    n, d = z.shape
    shortfall = 0 * z.sum()  # a gradient of 0 where no dimension falls short
    for j in range(d):
        mean = z[:, j].sum() / n
        spread = (z[:, j] - mean).square().sum() / (n - 1)
        std = (spread + 1e-4).sqrt()
        if std < 1:
            shortfall = shortfall + (1 - std)
    return shortfall / d


def std_of(z: Tensor, dim: int = 0, *, unbiased: bool = True) -> Tensor:
    """√(variance + ε) of each dimension."""
    return (z.var(dim, unbiased=unbiased) + 1e-4).sqrt()


VARIANCE = Task(
    id="vicreg.variance",
    title="Every dimension must vary",
    function="variance",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("three pictures", draw_three),
        Regime("two pictures", lambda g: draw_spreads(g, 2, (0.3, 0.6, 1.6))),
        Regime("all pictures in one point", draw_collapsed),
        Regime("one dimension is dead", draw_dead_dimension),
        Regime("enough spread everywhere", lambda g: draw_spreads(g, 5, (1.5, 2.0, 3.0))),
        Regime("too little spread everywhere", lambda g: draw_spreads(g, 5, (0.2, 0.4, 0.6))),
        Regime("as many pictures as dimensions", lambda g: draw_spreads(g, 4, (0.3, 0.6, 1.2, 2.4))),
        Regime("far from the origin", draw_shifted),
        Regime("tiny spread, float64", lambda g: draw_spreads(g, 6, (0.003, 0.006, 0.01), torch.float64)),
        Regime("32 dimensions", lambda g: draw_spreads(g, 16, (0.25, 0.5, 1.25, 2.0) * 8)),
    ),
    oracle=variance_by_loop,
    gradients=(0,),
    misconceptions=(
        Misconception(
            "root missing",
            lambda z: torch.relu(1 - (z.var(0) + 1e-4)).mean(),
            "This is the hinge on the variance: the square root is missing. "
            "The slope of a variance vanishes near collapse, just where the push is needed; that of the std does not.",
        ),
        Misconception(
            "upside down",
            lambda z: torch.relu(std_of(z) - 1).mean(),
            "The hinge is upside down: it punishes spread above 1 and rewards collapse. "
            "What counts is what is missing to 1: 1 − std.",
        ),
        Misconception(
            "std over the features",
            lambda z: torch.relu(1 - std_of(z, 1)).mean(),
            "This is the spread within each row, over its features. A collapsed network passes that test: "
            "all its rows may be equal. Take the spread over the batch, dim=0.",
        ),
        Misconception(
            "divided by N",
            lambda z: torch.relu(1 - std_of(z, unbiased=False)).mean(),
            "This variance divides by N. The loss divides by N − 1, as torch's var does by itself.",
        ),
        Misconception(
            "no hinge",
            lambda z: (1 - std_of(z)).mean(),
            "Without the hinge a wide dimension pays for a dead one, and spread grows without end. "
            "Cut each shortfall off at 0 with relu before you average.",
        ),
        Misconception(
            "hinge after the mean",
            lambda z: torch.relu(1 - std_of(z).mean()),
            "The mean is taken before the hinge, so a wide dimension makes up for a dead one. "
            "Each dimension has to reach 1 by itself: relu first, then mean.",
        ),
        Misconception(
            "ε outside the root",
            lambda z: torch.relu(1 - (z.var(0).sqrt() + 1e-4)).mean(),
            "ε stands outside the root, where it cannot help: at collapse the slope of the root is infinite. "
            "Add it to the variance, then take the root.",
        ),
        Misconception(
            "no ε",
            lambda z: torch.relu(1 - z.std(0)).mean(),
            "The small ε under the root is missing: √(variance + 0.0001). "
            "It keeps the slope finite where a dimension has collapsed.",
        ),
        Misconception(
            "not centred",
            lambda z: torch.relu(1 - (z.square().sum(0) / (len(z) - 1) + 1e-4).sqrt()).mean(),
            "This measures how far the dimension is from 0, not how far it varies. "
            "A collapsed cloud far from the origin would pass. Take off the batch's mean first.",
        ),
        Misconception(
            "sum over the dimensions",
            lambda z: torch.relu(1 - std_of(z)).sum(),
            "This sums the shortfalls, so that it grows with the number of dimensions. Take their mean.",
        ),
    ),
    why="Each dimension is asked for a standard deviation of 1 over the batch, and pays for what is missing. "
    "The root makes the push strong at collapse, ε keeps it finite, and the hinge lets go once 1 is reached.",
)


# ------------------------------------------------------------------------------------------ vicreg.covariance


def draw_repeated_dimension(g: Generator) -> tuple[Tensor]:
    """One dimension says the same as another, upside down."""
    z = draw_batch(g, 5, 3)
    z[:, 2] = -z[:, 0]
    return (z,)


def draw_uncorrelated(g: Generator) -> tuple[Tensor]:
    """Four corners of a rectangle: the two dimensions have nothing to do with each other."""
    corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    return (corners * torch.randint(1, 5, (2,), generator=g) + draw_int(g, -3, 3),)


def draw_three_again(g: Generator) -> tuple[Tensor]:
    """Three embeddings of three numbers, to be followed by hand."""
    return (rounded(draw_batch(g, 3, 3, 1.5, 0.5)),)


def covariance_by_loop(z: Tensor) -> Tensor:
    """Pair of dimensions by pair of dimensions."""
    n, d = z.shape
    away = [z[:, j] - z[:, j].sum() / n for j in range(d)]
    total = 0 * z.sum()  # a gradient of 0 where there is no pair
    for j in range(d):
        for k in range(d):
            if j != k:
                total = total + ((away[j] * away[k]).sum() / (n - 1)) ** 2
    return total / d


def covariance_matrix(z: Tensor, less: int = 1) -> Tensor:
    """Covariances of the dimensions."""
    z = z - z.mean(0)
    return z.T @ z / (len(z) - less)


def without_diagonal(c: Tensor) -> Tensor:
    """The matrix with zeros on its diagonal."""
    return c - c.diagonal().diag()


def correlations(z: Tensor) -> Tensor:
    """Covariances of standardised dimensions; 0 where a dimension does not vary."""
    z = (z - z.mean(0)) / z.std(0).clamp_min(1e-12)
    return z.T @ z / (len(z) - 1)


def between_rows(z: Tensor) -> Tensor:
    """Covariances of pictures in the place of covariances of dimensions."""
    z = z - z.mean(0)
    return without_diagonal(z @ z.T / (len(z) - 1)).square().sum() / z.shape[1]


def centred_by_rows(z: Tensor) -> Tensor:
    """The mean over the features taken off."""
    z = z - z.mean(1, keepdim=True)
    return z.T @ z / (len(z) - 1)


COVARIANCE = Task(
    id="vicreg.covariance",
    title="No two dimensions may say the same",
    function="covariance",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("three pictures", draw_three_again),
        Regime("two pictures", lambda g: (draw_batch(g, 2, 3),)),
        Regime("a single dimension", lambda g: (draw_batch(g, 4, 1),)),
        Regime("all pictures in one point", draw_collapsed),
        Regime("one dimension repeats another", draw_repeated_dimension),
        Regime("nothing in common", draw_uncorrelated),
        Regime("as many pictures as dimensions", lambda g: (draw_batch(g, 4, 4),)),
        Regime("far from the origin", lambda g: (draw_batch(g, 6, 3, middle=3.0),)),
        Regime("a narrow cloud, float64", lambda g: (draw_batch(g, 8, 3, spread=0.3, dtype=torch.float64),)),
        Regime("a wide cloud", lambda g: (draw_batch(g, 8, 3, spread=4.0),)),
        Regime("12 dimensions", lambda g: (draw_batch(g, 16, 12),)),
    ),
    oracle=covariance_by_loop,
    gradients=(0,),
    misconceptions=(
        Misconception(
            "diagonal kept",
            lambda z: covariance_matrix(z).square().sum() / z.shape[1],
            "The diagonal is kept, and on it stand the variances. "
            "So this pushes every dimension to collapse, against the variance term. Take the off-diagonal alone.",
        ),
        Misconception(
            "divided by N",
            lambda z: without_diagonal(covariance_matrix(z, less=0)).square().sum() / z.shape[1],
            "This covariance divides by N. The loss divides by N − 1.",
        ),
        Misconception(
            "not centred",
            lambda z: without_diagonal(z.T @ z / (len(z) - 1)).square().sum() / z.shape[1],
            "The mean of each dimension is not taken off, so a cloud far from the origin is punished for its place. "
            "Centre over the batch first.",
        ),
        Misconception(
            "centred over the features",
            lambda z: without_diagonal(centred_by_rows(z)).square().sum() / z.shape[1],
            "This takes off the mean of each row. The mean of each dimension over the batch is to go: mean(dim=0).",
        ),
        Misconception(
            "correlation",
            lambda z: without_diagonal(correlations(z)).square().sum() / z.shape[1],
            "These are correlations: every dimension is divided by its std, as in Barlow Twins. "
            "VICReg takes covariances and leaves the size to the variance term.",
        ),
        Misconception(
            "absolute values",
            lambda z: without_diagonal(covariance_matrix(z)).abs().sum() / z.shape[1],
            "These are absolute covariances. Square them.",
        ),
        Misconception(
            "signed",
            lambda z: without_diagonal(covariance_matrix(z)).sum() / z.shape[1],
            "The covariances are added with their signs, so that they cancel. Square each of them first.",
        ),
        Misconception(
            "mean of the pairs",
            lambda z: without_diagonal(covariance_matrix(z)).square().sum() / max(z.shape[1] * (z.shape[1] - 1), 1),
            "This is the mean over all pairs, divided by d(d − 1). "
            "VICReg divides by d: each dimension pays for all the others.",
        ),
        Misconception(
            "each pair once",
            lambda z: covariance_matrix(z).triu(1).square().sum() / z.shape[1],
            "Each pair is counted once here. The matrix holds it twice, above and below the diagonal, and both count.",
        ),
        Misconception(
            "between the pictures",
            between_rows,
            "This matrix compares pictures with pictures, n × n. Compare dimensions with dimensions: zᵀz, d × d.",
        ),
    ),
    why="The off-diagonal covariances are what dimensions have in common, so driving them to 0 leaves each dimension "
    "something of its own. It looks at a matrix of dimensions, so no picture needs negatives.",
)


# ------------------------------------------------------------------------------------------ vicreg.loss

Weights = tuple[float, float, float]


def invariance(z_a: Tensor, z_b: Tensor) -> Tensor:
    """Mean squared difference."""
    return (z_a - z_b).square().mean()


def variance(z: Tensor) -> Tensor:
    """Hinge on the standard deviations."""
    return torch.relu(1 - std_of(z)).mean()


def covariance(z: Tensor) -> Tensor:
    """Squared off-diagonal covariances over d."""
    return without_diagonal(covariance_matrix(z)).square().sum() / z.shape[1]


def draw_loss(
    g: Generator,
    n: int,
    d: int,
    convention: str,
    weights: Weights | None = None,
    spreads: tuple[float, float] = (0.4, 0.7),
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Weights, str]:
    """Two views of unequal spread, three weights (unequal unless given) and a convention."""
    z_a = draw_batch(g, n, d, spreads[0], 0.2, dtype)
    z_b = spreads[1] / spreads[0] * z_a + 0.2 * torch.randn(n, d, generator=g, dtype=dtype)
    drawn = weights or (draw_int(g, 20, 30) / 1.0, draw_int(g, 10, 18) / 1.0, draw_int(g, 2, 8) / 1.0)
    return z_a, z_b, drawn, convention


def draw_same_view(g: Generator) -> tuple[Tensor, Tensor, Weights, str]:
    """Nothing to hold together."""
    z_a, _, weights, convention = draw_loss(g, 5, 3, "paper")
    return z_a, z_a.clone(), weights, convention


def draw_one_collapsed(g: Generator) -> tuple[Tensor, Tensor, Weights, str]:
    """The second view lies in one point."""
    z_a, z_b, weights, convention = draw_loss(g, 5, 3, "official")
    return z_a, z_b[:1].repeat(5, 1), weights, convention


def loss_by_hand(z_a: Tensor, z_b: Tensor, weights: Weights, convention: str) -> Tensor:
    """Every term by its loop."""
    together = invariance_by_loop(z_a, z_b)
    v_a, v_b = variance_by_loop(z_a), variance_by_loop(z_b)
    c_a, c_b = covariance_by_loop(z_a), covariance_by_loop(z_b)
    share = 0.5 if convention == "official" else 1.0
    return weights[0] * together + weights[1] * share * (v_a + v_b) + weights[2] * (c_a + c_b)


def weighted(
    of_variance: Callable = lambda v_a, v_b: v_a + v_b,
    of_covariance: Callable = lambda c_a, c_b: c_a + c_b,
    order: tuple[int, int, int] = (0, 1, 2),
    share: Callable[[str], float] = lambda convention: 0.5 if convention == "official" else 1.0,
    share_of_covariance: Callable[[str], float] = lambda convention: 1.0,
) -> Callable:
    """The loss with one slip in it."""

    def loss(z_a: Tensor, z_b: Tensor, weights: Weights, convention: str) -> Tensor:
        v = share(convention) * of_variance(variance(z_a), variance(z_b))
        c = share_of_covariance(convention) * of_covariance(covariance(z_a), covariance(z_b))
        w = [weights[i] for i in order]
        return w[0] * invariance(z_a, z_b) + w[1] * v + w[2] * c

    return loss


def views_in_one_batch(z_a: Tensor, z_b: Tensor, weights: Weights, convention: str) -> Tensor:
    """Variance and covariance of both views thrown together."""
    z, share = torch.cat([z_a, z_b]), 1 if convention == "official" else 2
    return weights[0] * invariance(z_a, z_b) + weights[1] * share * variance(z) + weights[2] * 2 * covariance(z)


def unweighted_sum(z_a: Tensor, z_b: Tensor, weights: Weights, convention: str) -> Tensor:
    """Weights left out."""
    return weighted()(z_a, z_b, (1.0, 1.0, 1.0), convention)


LOSS = Task(
    id="vicreg.loss",
    title="Three terms, two views, two conventions",
    function="vicreg",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("official", lambda g: draw_loss(g, 4, 2, "official")),
        Regime("paper", lambda g: draw_loss(g, 4, 2, "paper")),
        Regime("the weights of the paper", lambda g: draw_loss(g, 6, 3, "official", (25.0, 25.0, 1.0))),
        Regime("no weight on variance", lambda g: draw_loss(g, 6, 3, "paper", (25.0, 0.0, 1.0))),
        Regime("no weight on invariance", lambda g: draw_loss(g, 6, 3, "official", (0.0, 25.0, 4.0))),
        Regime("equal views", draw_same_view),
        Regime("one view in a point", draw_one_collapsed),
        Regime("the first view is the wide one", lambda g: draw_loss(g, 6, 3, "official", None, (0.8, 0.3))),
        Regime("as many pictures as dimensions", lambda g: draw_loss(g, 4, 4, "paper")),
        Regime("float64", lambda g: draw_loss(g, 5, 3, "official", None, (0.4, 0.7), torch.float64)),
        Regime("12 dimensions", lambda g: draw_loss(g, 16, 12, "paper")),
    ),
    oracle=loss_by_hand,
    gradients=(0, 1),
    misconceptions=(
        Misconception(
            "variance of one view",
            weighted(of_variance=lambda v_a, v_b: 2 * v_a),
            "Only the first view's variance is looked at, so the second may collapse unnoticed. Take both.",
        ),
        Misconception(
            "variance of one view, once",
            weighted(of_variance=lambda v_a, v_b: v_a),
            "The variance term of the second view is missing. Take both: their mean (official) or their sum (paper).",
        ),
        Misconception(
            "covariance of one view",
            weighted(of_covariance=lambda c_a, c_b: c_a),
            "The covariance term of the second view is missing. Add both, in either convention.",
        ),
        Misconception(
            "views in one batch",
            views_in_one_batch,
            "Both views are thrown into one batch, and the spread between views counts as spread of pictures. "
            "Each view gets terms of its own.",
        ),
        Misconception(
            "always half",
            weighted(share=lambda convention: 0.5),
            "The variance terms are halved in both conventions. The paper sums the two views.",
        ),
        Misconception(
            "always the sum",
            weighted(share=lambda convention: 1.0),
            "The variance terms are summed in both conventions. "
            "The official code takes their mean: the same μ weighs half as much there.",
        ),
        Misconception(
            "conventions swapped",
            weighted(share=lambda convention: 0.5 if convention == "paper" else 1.0),
            "The conventions are swapped: the paper sums the two variance terms, the official code averages them.",
        ),
        Misconception(
            "covariance halved too",
            weighted(share_of_covariance=lambda convention: 0.5 if convention == "official" else 1.0),
            "The official convention halves the variance terms only. The covariance terms are summed in both.",
        ),
        Misconception(
            "variance and covariance weights swapped",
            weighted(order=(0, 2, 1)),
            "μ and ν have changed places: the second weight belongs to variance, the third to covariance.",
        ),
        Misconception(
            "invariance and variance weights swapped",
            weighted(order=(1, 0, 2)),
            "λ and μ have changed places: the first weight belongs to invariance, the second to variance.",
        ),
        Misconception(
            "no weights",
            unweighted_sum,
            "The weights are not used. Multiply each term by its own before you add them.",
        ),
    ),
    why="Invariance looks at both views together, variance and covariance at each view alone. "
    "Only the variance terms are averaged by one convention and summed by the other, so a μ from one code is not "
    "the μ of another.",
)


# ------------------------------------------------------------------------------------------ vicreg.rank


def draw_line(g: Generator) -> tuple[Tensor]:
    """All embeddings on a line through some point: one direction."""
    direction, start = torch.rand(2, 4, generator=g, dtype=torch.float64) + 0.5
    return (start + torch.randn(6, 1, generator=g, dtype=torch.float64) * direction,)


def draw_ball(g: Generator) -> tuple[Tensor]:
    """Equally much spread in every direction: the corners of a cube, turned."""
    corners = torch.cartesian_prod(*3 * [torch.tensor([-1.0, 1.0])])
    turn = torch.linalg.qr(torch.randn(3, 3, generator=g)).Q
    return (draw_int(g, 1, 3) * corners @ turn,)


def draw_noise_of_a_point(g: Generator) -> tuple[Tensor]:
    """A collapsed cloud: one point and rounding noise."""
    point = torch.randn(4, generator=g, dtype=torch.float64)
    return (point + 1e-4 * torch.randn(8, 4, generator=g, dtype=torch.float64),)


def draw_point(g: Generator) -> tuple[Tensor]:
    """All embeddings equal to the bit."""
    return (torch.randint(-3, 4, (1, 3), generator=g).repeat(4, 1).double(),)


def draw_one_wide(g: Generator) -> tuple[Tensor]:
    """One direction much wider than the others."""
    z = torch.randn(8, 4, generator=g) * torch.tensor([5.0, 1.0, 0.5, 0.2])
    return (z @ torch.linalg.qr(torch.randn(4, 4, generator=g)).Q,)


def rank_by_loop(z: Tensor) -> tuple[float, float]:
    """Singular values from the eigenvalues of the scatter matrix, then entropy term by term."""
    z = z.double()
    n, d = z.shape
    centred = z - z.sum(0) / n
    eigenvalues = torch.linalg.eigvalsh(centred.T @ centred).clamp_min(0)
    values = [value**0.5 for value in eigenvalues.tolist() if value > 1e-14 * max(float(eigenvalues.max()), 1e-30)]
    spread = sum((float(centred[:, j].square().sum()) / (n - 1)) ** 0.5 for j in range(d)) / d
    if not values:
        return 0.0, spread
    shares = torch.tensor(values, dtype=torch.float64) / sum(values)
    return float(torch.exp(-(shares * shares.log()).sum())), spread


def rank_of(
    z: Tensor,
    centre: Callable[[Tensor], Tensor] = lambda z: z - z.mean(0),
    size: Callable[[Tensor], Tensor] = lambda values: values,
    rank: Callable[[Tensor], float] = lambda p: torch.special.entr(p).sum().exp().item(),
    std: Callable[[Tensor], Tensor] = lambda z: z.std(0).mean(),
) -> tuple[float, float]:
    """The effective rank with one slip in it."""
    values = size(torch.linalg.svdvals(centre(z).double()))
    if values.sum() == 0:
        return 0.0, std(z).item()
    return rank(values / values.sum()), std(z).item()


def standardised(z: Tensor) -> Tensor:
    """Every dimension at one size; a dead one stays 0."""
    return (z - z.mean(0)) / z.std(0).clamp_min(1e-12)


RANK = Task(
    id="vicreg.rank",
    title="How many directions are alive?",
    function="effective_rank",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("a small cloud", lambda g: (rounded(draw_batch(g, 5, 3)),)),
        Regime("a line", draw_line),
        Regime("a ball", draw_ball),
        Regime("one wide direction", draw_one_wide),
        Regime("a collapsed cloud", draw_noise_of_a_point),
        Regime("all in one point", draw_point),
        Regime("far from the origin", lambda g: (draw_batch(g, 8, 4, middle=5.0),)),
        Regime("as many rows as dimensions", lambda g: (draw_batch(g, 4, 4),)),
        Regime("float64", lambda g: (draw_batch(g, 8, 3, dtype=torch.float64),)),
        Regime("64 dimensions", lambda g: (draw_batch(g, 128, 64),)),
    ),
    oracle=rank_by_loop,
    misconceptions=(
        Misconception(
            "not centred",
            lambda z: rank_of(z, centre=lambda z: z),
            "The mean is not taken off, so the place of the cloud counts as one more direction. Centre z first.",
        ),
        Misconception(
            "squared singular values",
            lambda z: rank_of(z, size=torch.square),
            "These shares are of squared singular values, which are variances. "
            "The effective rank of Roy and Vetterli takes the singular values themselves.",
        ),
        Misconception(
            "entropy",
            lambda z: rank_of(z, rank=lambda p: torch.special.entr(p).sum().item()),
            "This is the entropy, in nats. Its exp is a number of directions: exp(ln 3) = 3.",
        ),
        Misconception(
            "bits and nats",
            lambda z: rank_of(z, rank=lambda p: (torch.special.entr(p).sum() / torch.tensor(2.0).log()).exp().item()),
            "The entropy is in bits, and exp undoes nats. Take the natural logarithm.",
        ),
        Misconception(
            "ordinary rank",
            lambda z: rank_of(z, rank=lambda p: float((p > 1e-6).sum())),
            "This counts the directions that are not exactly empty, however thin. "
            "The effective rank weighs them by their singular values.",
        ),
        Misconception(
            "standardised",
            lambda z: rank_of(z, centre=standardised),
            "Dividing by the std makes thin dimensions as wide as the others, and hides what the rank is to show. "
            "Take off the mean and nothing else.",
        ),
        Misconception(
            "spread of all numbers together",
            lambda z: rank_of(z, std=lambda z: z.std()),
            "The second number mixes the spread over the batch with the differences between dimensions. "
            "Take the std of each dimension over the batch, then their mean.",
        ),
        Misconception(
            "spread within the rows",
            lambda z: rank_of(z, std=lambda z: z.std(1).mean()),
            "The second number is the spread within each row. Collapse shows over the batch: std(dim=0).",
        ),
    ),
    why="The exp of the entropy counts the directions that a cloud fills, and a thin direction counts for little. "
    "It does not see size: a collapsed cloud has the rank of its noise. So the std stands beside it.",
)


# ------------------------------------------------------------------------------------------ vicreg.diagnose

Log = tuple[list[float], list[float], list[float]]


def uniform(g: Generator, low: float, high: float) -> float:
    """A number between two."""
    return low + (high - low) * float(torch.rand((), generator=g, dtype=torch.float64))


def draw_log(
    g: Generator, std: float, rank: float, share: float, start: tuple[float, float, float] = (0.35, 12.0, 0.3)
) -> Log:
    """A log of five to eight looks: most as at the start, the last as given, so that only the last one counts.

    share: the invariance in units of 2·std², which is what two different pictures differ by.
    """
    looks = draw_int(g, 4, 7)
    stds = [start[0] * uniform(g, 0.9, 1.1) for _ in range(looks)] + [std]
    ranks = [start[1] * uniform(g, 0.9, 1.1) for _ in range(looks)] + [rank]
    shares = [start[2] * uniform(g, 0.9, 1.1) for _ in range(looks)] + [share]
    return stds, ranks, [2 * s**2 * part for s, part in zip(stds, shares, strict=True)]


def share_of(std: float, invariance: float) -> float:
    """What the two views differ by, in units of what two pictures differ by."""
    return invariance / (2 * std**2)


def by_rules(order: tuple[str, ...] = ("variance", "covariance", "invariance"), at: int = -1) -> Callable[..., str]:
    """The rules in an order of choice, read at one look."""

    def diagnose(std: list[float], rank: list[float], invariance: list[float]) -> str:
        signs = {
            "variance": std[at] < 0.05,
            "covariance": rank[at] < 2,
            "invariance": share_of(std[at], invariance[at]) > 0.5,
        }
        return next((name for name in order if signs[name]), "none")

    return diagnose


def diagnose_by_rules(std: list[float], rank: list[float], invariance: list[float]) -> str:
    """The three questions one after the other, at the end of the log."""
    if std[-1] < 0.05:
        return "variance"
    if rank[-1] < 2:
        return "covariance"
    if invariance[-1] / (2 * std[-1] ** 2) > 0.5:
        return "invariance"
    return "none"


def never_none(std: list[float], rank: list[float], invariance: list[float]) -> str:
    """Something is always wrong."""
    found = diagnose_by_rules(std, rank, invariance)
    return "invariance" if found == "none" else found


def rank_for_collapse(std: list[float], rank: list[float], invariance: list[float]) -> str:
    """A collapsed space is thought to have rank 1, and the std is not looked at."""
    if rank[-1] < 2:
        return "variance"
    return by_rules(("invariance",))(std, rank, invariance)


def absolute_invariance(std: list[float], rank: list[float], invariance: list[float]) -> str:
    """The invariance against a number, whatever the spread."""
    found = by_rules(("variance", "covariance"))(std, rank, invariance)
    return "invariance" if found == "none" and invariance[-1] > 0.5 else found


def low_is_good(std: list[float], rank: list[float], invariance: list[float]) -> str:
    """Views that agree are taken for health."""
    return "none" if invariance[-1] < 0.01 else diagnose_by_rules(std, rank, invariance)


def averaged(std: list[float], rank: list[float], invariance: list[float]) -> str:
    """The rules on the mean of the log."""
    return diagnose_by_rules(*([sum(row) / len(row)] for row in (std, rank, invariance)))


DIAGNOSE = Task(
    id="vicreg.diagnose",
    title="Which term is missing?",
    function="diagnose",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("healthy", lambda g: draw_log(g, uniform(g, 0.3, 0.5), uniform(g, 6, 20), uniform(g, 0.05, 0.3))),
        Regime("collapsed, with the rank of noise", lambda g: draw_log(g, uniform(g, 5e-4, 0.02), 25.0, 0.2)),
        Regime(
            "collapsed, with a small rank", lambda g: draw_log(g, uniform(g, 5e-4, 0.02), uniform(g, 1.1, 1.8), 0.2)
        ),
        Regime(
            "collapsed, and the views disagree",
            lambda g: draw_log(g, uniform(g, 5e-4, 0.02), uniform(g, 5, 20), uniform(g, 0.8, 1.0)),
        ),
        Regime("a line", lambda g: draw_log(g, uniform(g, 0.8, 1.2), uniform(g, 1.1, 1.8), uniform(g, 0.05, 0.2))),
        Regime("the views disagree", lambda g: draw_log(g, uniform(g, 0.9, 1.2), 40.0, uniform(g, 0.8, 1.0))),
        Regime("the views disagree in a small space", lambda g: draw_log(g, uniform(g, 0.2, 0.3), 40.0, 0.95)),
        Regime("wide, and the views agree well enough", lambda g: draw_log(g, uniform(g, 1.4, 1.8), 12.0, 0.3)),
        Regime("just over half", lambda g: draw_log(g, uniform(g, 0.3, 0.6), 12.0, uniform(g, 0.53, 0.6))),
        Regime("exactly at the limits", lambda g: ([0.2, 0.3, 0.5], [9.0, 5.0, 2.0], [0.01, 0.02, 0.25])),
        Regime("a std of exactly 0.05", lambda g: ([0.3, 0.2, 0.05], [9.0, 7.0, 6.0], [0.01, 0.005, 0.001])),
        Regime(
            "healthy after a bad start",
            lambda g: draw_log(g, 0.4, uniform(g, 8, 12), 0.2, (0.02, uniform(g, 1.2, 1.6), 0.9)),
        ),
    ),
    oracle=diagnose_by_rules,
    misconceptions=(
        Misconception(
            "rank before std",
            by_rules(("covariance", "variance", "invariance")),
            "The rank is read before the std. In a collapsed space the rank is noise and may be small by accident. "
            "Look at the std first.",
        ),
        Misconception(
            "rank in the place of std",
            rank_for_collapse,
            "Collapse is read off the rank here. A collapsed space has the rank of its noise, which is often high, "
            "and a rank near 1 with a healthy std is a line: the covariance term. Collapse shows in the std.",
        ),
        Misconception(
            "invariance first",
            by_rules(("invariance", "variance", "covariance")),
            "The views are compared first. In a collapsed space all that is left of them is noise, "
            "so that they may seem to disagree. Look at the std first.",
        ),
        Misconception(
            "invariance without its scale",
            absolute_invariance,
            "The invariance is held against a fixed number. A wide space has larger differences than a narrow one. "
            "Divide by 2·std², which is what two different pictures differ by.",
        ),
        Misconception(
            "agreement taken for health",
            low_is_good,
            "A small invariance is taken for health. A collapsed network has the smallest of all: "
            "everything agrees with everything.",
        ),
        Misconception(
            "the first look",
            by_rules(at=0),
            "This reads the first look of the log, before any training. Read the last: [-1].",
        ),
        Misconception(
            "the mean of the log",
            averaged,
            "This averages over the whole log. What counts is where the training ended: the last look.",
        ),
        Misconception(
            "never content",
            never_none,
            "A healthy run is called ill here. Where no sign points to a missing term, the answer is none.",
        ),
    ),
    why="The std comes first, for in a collapsed space nothing else can be trusted. Then the rank tells a line from a "
    "cloud, and last the views are compared in units of what two pictures differ by.",
)


TASKS = (INVARIANCE, VARIANCE, COVARIANCE, LOSS, RANK, DIAGNOSE)
