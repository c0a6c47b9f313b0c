"""Checks of chapter 8: two views, their similarities, the loss, what to keep of the network, and two decisions."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.compare import Close
from embedcourse.checks.draw import draw_number
from embedcourse.checks.task import Misconception, Regime, Task

__all__ = ["TASKS"]


# --------------------------------------------------------------------------------------- simclr.two_views

Views = tuple[Tensor, Tensor]


def draw_crops(
    g: Generator,
    n: int,
    c: int = 3,
    height: int = 8,
    width: int = 8,
    size: int = 4,
    dtype: torch.dtype = torch.float32,
    mirrored: float = 0.5,
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Pictures, a corner and a toss of a coin for each view of each picture, and the size of the views.

    The first picture is cut at unlike corners, neither on the diagonal, and mirrored in one view only.
    """
    x = torch.rand(n, c, height, width, generator=g, dtype=dtype)
    room = min(height, width) - size
    corners = torch.randint(room + 1, (2, n, 2), generator=g)
    mirror = torch.rand(2, n, generator=g) < mirrored
    if room:
        corners[:, 0] = torch.tensor([[0, room], [room, 0]])
    if 0 < mirrored < 1:
        mirror[:, 0] = torch.tensor([True, False])
    return x, corners, mirror, size


def draw_one_corner(g: Generator) -> tuple[Tensor, Tensor, Tensor, int]:
    """Both views of a picture cut at one corner, mirrored unlike."""
    x, corners, mirror, size = draw_crops(g, 3)
    corners[1] = corners[0]
    mirror[1] = ~mirror[0]
    return x, corners, mirror, size


def views_by_loop(x: Tensor, corners: Tensor, mirrored: Tensor, size: int) -> Views:
    """Picture by picture, pixel by pixel."""
    views = [torch.zeros(len(x), x.shape[1], size, size, dtype=x.dtype) for _ in range(2)]
    for v in range(2):
        for i in range(len(x)):
            top, left = corners[v, i].tolist()
            for row in range(size):
                for column in range(size):
                    to = size - 1 - column if mirrored[v, i] else column
                    views[v][i, :, row, to] = x[i, :, top + row, left + column]
    return tuple(views)


def upright_and_mirrored(x: Tensor, corners: Tensor, mirrored: Tensor, size: int, dim: int = -1) -> Views:
    """The right views, or with another dimension mirrored."""
    return tuple(
        torch.stack([cut(*parts, size, dim) for parts in zip(x, corner, mirror, strict=True)])
        for corner, mirror in zip(corners, mirrored, strict=True)
    )


def cut(picture: Tensor, corner: Tensor, mirror: Tensor, size: int, dim: int) -> Tensor:
    """One view of one picture."""
    top, left = corner.tolist()
    view = picture[:, top : top + size, left : left + size]
    return view.flip(dim) if mirror else view


def same_view_twice(x: Tensor, corners: Tensor, mirrored: Tensor, size: int) -> Views:
    """The first view, and the first view again."""
    return views_by_loop(x, corners[:1].expand(2, -1, -1), mirrored[:1].expand(2, -1), size)


def one_choice_for_the_batch(x: Tensor, corners: Tensor, mirrored: Tensor, size: int) -> Views:
    """The corner and the coin of the first picture for all of them."""
    return views_by_loop(x, corners[:, :1].expand(-1, len(x), -1), mirrored[:, :1].expand(-1, len(x)), size)


def mirrored_first(x: Tensor, corners: Tensor, mirrored: Tensor, size: int) -> Views:
    """The whole picture is mirrored, and then cut at a corner that was meant for the picture as it was."""
    return tuple(
        torch.stack(
            [
                cut(picture.flip(-1) if mirror else picture, corner, torch.tensor(False), size, -1)
                for picture, corner, mirror in zip(x, corners[v], mirrored[v], strict=True)
            ]
        )
        for v in range(2)
    )


def alternating(x: Tensor, corners: Tensor, mirrored: Tensor, size: int) -> Views:
    """Both views of each picture side by side, cut in the middle."""
    both = torch.stack(views_by_loop(x, corners, mirrored, size), dim=1).flatten(0, 1)
    return both[: len(x)], both[len(x) :]


TWO_VIEWS = Task(
    id="simclr.two_views",
    title="Two views of every picture",
    function="two_views",
    minutes=10,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("three pictures", lambda g: draw_crops(g, 3)),
        Regime("one picture", lambda g: draw_crops(g, 1, c=1, height=3, width=3, size=2)),
        Regime("grey pictures", lambda g: draw_crops(g, 4, c=1)),
        Regime("as many pictures as channels", lambda g: draw_crops(g, 3, c=3, height=3, width=3, size=2)),
        Regime("wider than high", lambda g: draw_crops(g, 2, height=6, width=9)),
        Regime("higher than wide", lambda g: draw_crops(g, 2, height=9, width=6)),
        Regime("nothing is cut off", lambda g: draw_crops(g, 3, size=8)),
        Regime("nothing is mirrored", lambda g: draw_crops(g, 3, mirrored=0.0)),
        Regime("everything is mirrored", lambda g: draw_crops(g, 3, mirrored=1.0)),
        Regime("one corner, mirrored unlike", draw_one_corner),
        Regime("double precision", lambda g: draw_crops(g, 2, dtype=torch.float64)),
        Regime("many pictures", lambda g: draw_crops(g, 16, size=3)),
    ),
    oracle=views_by_loop,
    misconceptions=(
        Misconception(
            "same view twice",
            same_view_twice,
            "Both views are the first one. Two equal views agree before anything is learned, and the loss has nothing "
            "to teach. The second view has its own corners and its own coins: corners[1], mirrored[1].",
        ),
        Misconception(
            "one choice for the batch",
            one_choice_for_the_batch,
            "All pictures are cut and mirrored as the first one is. Then the network can tell pairs apart by the cut. "
            "Each picture has its own corner and its own coin: corners[v, i], mirrored[v, i].",
        ),
        Misconception(
            "row and column swapped",
            lambda x, corners, mirrored, size: views_by_loop(x, corners.flip(-1), mirrored, size),
            "The corner is read as (column, row). It is given as (row, column): "
            "the first number counts down from the top, the second from the left.",
        ),
        Misconception(
            "upside down",
            lambda x, corners, mirrored, size: upright_and_mirrored(x, corners, mirrored, size, dim=-2),
            "This turns the views upside down. Left and right change places when the last dimension, the columns, "
            "is flipped.",
        ),
        Misconception(
            "mirrored first",
            mirrored_first,
            "The whole picture is mirrored before it is cut, so the corner points to another place. "
            "Cut first, then mirror what was cut out.",
        ),
        Misconception(
            "coins inverted",
            lambda x, corners, mirrored, size: views_by_loop(x, corners, ~mirrored, size),
            "Views are mirrored where the coin says False, and left alone where it says True. Turn the condition "
            "round.",
        ),
        Misconception(
            "views side by side",
            alternating,
            "Both views of a picture stand next to each other in one result. "
            "Row i of the first result and row i of the second belong to picture i: keep one result a view.",
        ),
    ),
    why="Each view of each picture has its own corner and its own coin, so what the two views of a picture share is "
    "the picture and not the way it was cut.",
)


# --------------------------------------------------------------------------------------- simclr.similarity


def draw_pair(
    g: Generator,
    n: int,
    d: int,
    temperature: float = 0.5,
    near: float = 1.0,
    lengths: tuple[float, float] = (0.5, 3.0),
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, float]:
    """Two views of n samples: the second is the first plus noise; each row has its own length."""
    z0 = torch.randn(n, d, generator=g, dtype=torch.float64)
    z1 = z0 + near * torch.randn(n, d, generator=g, dtype=torch.float64)
    low, high = map(math.log, lengths)
    spread = (low + (high - low) * torch.rand(2, n, 1, generator=g, dtype=torch.float64)).exp()
    z0, z1 = F.normalize(z0) * spread[0], F.normalize(z1) * spread[1]
    return z0.to(dtype), z1.to(dtype), temperature


def draw_opposite(g: Generator) -> tuple[Tensor, Tensor, float]:
    """The second view points the other way."""
    z0, _, temperature = draw_pair(g, 3, 4)
    return z0, -2 * z0, temperature


def draw_axes(g: Generator) -> tuple[Tensor, Tensor, float]:
    """Views along the axes, so that most similarities are 0."""
    return torch.eye(3)[torch.randperm(3, generator=g)], 2 * torch.eye(3), 0.5


def similarities_by_loop(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Pair by pair: product, lengths, temperature; a view and itself: minus infinity."""
    z = [row / row.norm() for row in torch.cat([z0, z1]).double()]
    itself = torch.tensor(-math.inf, dtype=torch.float64)
    rows = [[itself if i == j else a @ b / temperature for j, b in enumerate(z)] for i, a in enumerate(z)]
    return torch.stack([torch.stack(row) for row in rows]).to(z0.dtype)


def cosines(z: Tensor, dim: int = 1) -> Tensor:
    """All cosines, or with another dimension brought to length 1."""
    z = z / z.norm(dim=dim, keepdim=True)
    return z @ z.T


def without_self(s: Tensor, instead: float = -math.inf) -> Tensor:
    """A similarity matrix with another number on its diagonal."""
    return s.masked_fill(torch.eye(len(s), dtype=torch.bool), instead)


def positives_masked(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """The two views of a sample are masked too."""
    return similarities_by_loop(z0, z1, temperature).masked_fill(
        torch.eye(len(z0), dtype=torch.bool).repeat(2, 2), -math.inf
    )


def side_by_side(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """The two views of each sample stand next to each other."""
    z = torch.stack([z0, z1], dim=1).flatten(0, 1)
    return without_self(cosines(z) / temperature)


SIMILARITY = Task(
    id="simclr.similarity",
    title="Everybody against everybody, but not oneself",
    function="similarity_matrix",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("two samples", lambda g: draw_pair(g, 2, 3)),
        Regime("four samples", lambda g: draw_pair(g, 4, 5, 0.2)),
        Regime("as many views as dimensions", lambda g: draw_pair(g, 3, 6)),
        Regime("as many samples as dimensions", lambda g: draw_pair(g, 4, 4)),
        Regime("opposite views", draw_opposite),
        Regime("views along the axes", draw_axes),
        Regime("very long and very short", lambda g: draw_pair(g, 3, 4, lengths=(1e-3, 1e3))),
        Regime("vectors of length one", lambda g: draw_pair(g, 3, 4, lengths=(1.0, 1.0))),
        Regime("a low temperature", lambda g: draw_pair(g, 3, 4, 0.01)),
        Regime("a temperature above one", lambda g: draw_pair(g, 3, 4, draw_number(g, 1.5, 4))),
        Regime("double precision", lambda g: draw_pair(g, 3, 4, dtype=torch.float64)),
        Regime("128 dimensions", lambda g: draw_pair(g, 3, 128)),
    ),
    oracle=similarities_by_loop,
    misconceptions=(
        Misconception(
            "self not masked",
            lambda z0, z1, temperature: cosines(torch.cat([z0, z1])) / temperature,
            "A view is compared with itself here, at cosine 1. No negative can beat that, and there is nothing to "
            "learn from it. Put minus infinity on the diagonal: its exponential is 0.",
        ),
        Misconception(
            "a mask of zeros",
            lambda z0, z1, temperature: without_self(cosines(torch.cat([z0, z1])) / temperature, 0.0),
            "The diagonal is 0, and the exponential of 0 is 1: the view itself still counts in the sum. "
            "Minus infinity is what the exponential turns into 0.",
        ),
        Misconception(
            "a large number instead of infinity",
            lambda z0, z1, temperature: without_self(cosines(torch.cat([z0, z1])) / temperature, -1e9),
            "The diagonal holds −1e9. Its exponential is 0 in float32, and in half precision there is no such number. "
            "Minus infinity exists everywhere: -torch.inf.",
        ),
        Misconception(
            "mask before the temperature",
            lambda z0, z1, temperature: without_self(cosines(torch.cat([z0, z1])), -1.0) / temperature,
            "The diagonal holds −1 over the temperature, the lowest similarity there is. It still counts in the sum "
            "after the exponential. Minus infinity does not.",
        ),
        Misconception(
            "positives masked",
            positives_masked,
            "The other view of the sample is masked as well. It is the one to be found: only the view itself is left "
            "out.",
        ),
        Misconception(
            "not normalised",
            lambda z0, z1, temperature: (lambda z: without_self(z @ z.T / temperature))(torch.cat([z0, z1])),
            "These are dot products, which a long vector wins by its length. Bring every row to length 1 first.",
        ),
        Misconception(
            "normalised down the batch",
            lambda z0, z1, temperature: without_self(cosines(torch.cat([z0, z1]), dim=0) / temperature),
            "Each column was brought to length 1 instead of each row. A row is an embedding: take the norm over the "
            "last dimension and keep it, norm(dim=1, keepdim=True).",
        ),
        Misconception(
            "temperature multiplied",
            lambda z0, z1, temperature: without_self(cosines(torch.cat([z0, z1])) * temperature),
            "The similarities are multiplied by the temperature, so a low one would flatten them. Divide: a low "
            "temperature makes differences large.",
        ),
        Misconception(
            "views side by side",
            side_by_side,
            "The two views of a sample stand next to each other here. The task wants all first views and then all "
            "second views: torch.cat([z0, z1]).",
        ),
    ),
    why="Rows of length 1 make products cosines, the temperature stretches them, and minus infinity on the diagonal "
    "leaves each view out of its own sum.",
)


# ------------------------------------------------------------------------------------------ simclr.nt_xent


def draw_all_equal(g: Generator) -> tuple[Tensor, Tensor, float]:
    """All views are one vector: the loss of a network that has learned nothing."""
    z = torch.randn(1, 4, generator=g).expand(3, -1)
    return z.clone(), z.clone(), 0.5


def loss_by_loop(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Anchor by anchor: the exponential of the positive over the sum of all others, and minus its logarithm."""
    s, n = similarities_by_loop(z0.double(), z1.double(), temperature), len(z0)
    total = s.new_zeros(())
    for i in range(2 * n):
        positive = i + n if i < n else i - n
        others = torch.stack([s[i, j] for j in range(2 * n) if j != i])
        largest = others.max().detach()
        total = total - (s[i, positive] - largest - (others - largest).exp().sum().log())
    return (total / (2 * n)).to(z0.dtype)


def logits(z0: Tensor, z1: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The masked similarities over the temperature, and the row of each view's positive."""
    return without_self(cosines(torch.cat([z0, z1])) / temperature), torch.arange(2 * len(z0)).roll(len(z0))


def positive_left_out(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """The denominator holds the negatives alone."""
    s, positive = logits(z0, z1, temperature)
    own = F.one_hot(positive, len(s)).bool()
    return (s.masked_fill(own, -math.inf).logsumexp(1) - s[own]).mean()


def naive(z0: Tensor, z1: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The exponential of each positive, and the sum of exponentials, without subtracting the largest."""
    s, positive = logits(z0, z1, temperature)
    e = s.exp()
    return e.gather(1, positive[:, None])[:, 0], e.sum(1)


def other_view_only(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """First views against second views, both ways, as between pictures and captions."""
    s = F.normalize(z0) @ F.normalize(z1).T / temperature
    rows = torch.arange(len(z0))
    return (F.cross_entropy(s, rows) + F.cross_entropy(s.T, rows)) / 2


def neighbour_as_positive(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Rows 0 and 1 are a pair, rows 2 and 3, and so on."""
    s, _ = logits(z0, z1, temperature)
    return F.cross_entropy(s, torch.arange(len(s)) ^ 1)


def quotient(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Exponential over sum, which is infinity over infinity at a low temperature."""
    positive, total = naive(z0, z1, temperature)
    return -(positive / total).log().mean()


def difference(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """The logarithm of a sum of exponentials that has overflown."""
    s, positive = logits(z0, z1, temperature)
    return (s.exp().sum(1).log() - s.gather(1, positive[:, None])[:, 0]).mean()


def share_without_log(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Minus the mean probability of the positive."""
    s, positive = logits(z0, z1, temperature)
    return -s.softmax(1).gather(1, positive[:, None]).mean()


def log_of_the_mean(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """The logarithm taken once, of the mean probability."""
    return -(-share_without_log(z0, z1, temperature)).log()


def self_in_the_sum(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """The anchor itself among those it is compared with."""
    return F.cross_entropy(cosines(torch.cat([z0, z1])) / temperature, logits(z0, z1, temperature)[1])


def of_dot_products(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Vectors of any length."""
    z = torch.cat([z0, z1])
    return F.cross_entropy(without_self(z @ z.T / temperature), logits(z0, z1, temperature)[1])


NT_XENT = Task(
    id="simclr.nt_xent",
    title="The loss",
    function="nt_xent",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("two samples", lambda g: draw_pair(g, 2, 3)),
        Regime("four samples", lambda g: draw_pair(g, 4, 5)),
        Regime("as many views as dimensions", lambda g: draw_pair(g, 3, 6)),
        Regime("as many samples as dimensions", lambda g: draw_pair(g, 4, 4, 0.3)),
        Regime("all views are equal", draw_all_equal),
        Regime("opposite views", draw_opposite),
        Regime("lengths that differ", lambda g: draw_pair(g, 3, 4, lengths=(0.2, 8.0))),
        Regime("vectors of length one", lambda g: draw_pair(g, 3, 4, lengths=(1.0, 1.0))),
        Regime("a very low temperature", lambda g: draw_pair(g, 3, 2, 0.005, near=0.02, dtype=torch.float64)),
        Regime("a very low temperature in single precision", lambda g: draw_pair(g, 3, 8, 0.005, near=0.3)),
        Regime("a temperature above one", lambda g: draw_pair(g, 3, 4, draw_number(g, 1.5, 4))),
        Regime("double precision", lambda g: draw_pair(g, 3, 4, 0.2, dtype=torch.float64)),
        Regime("eight samples", lambda g: draw_pair(g, 8, 32, 0.1)),
    ),
    oracle=loss_by_loop,
    gradients=(0, 1),
    misconceptions=(
        Misconception(
            "one direction",
            lambda z0, z1, temperature: (lambda s, p: F.cross_entropy(s[: len(z0)], p[: len(z0)]))(
                *logits(z0, z1, temperature)
            ),
            "Only the first views are anchors here. The second views look for their partners too: the mean goes over "
            "all 2N rows.",
        ),
        Misconception(
            "other view only",
            other_view_only,
            "First views are compared with second views only. In SimCLR an anchor meets every other view of the batch, "
            "those of its own side too: 2N − 2 negatives, not N − 1.",
        ),
        Misconception(
            "first views against second views",
            lambda z0, z1, temperature: F.cross_entropy(
                F.normalize(z0) @ F.normalize(z1).T / temperature, torch.arange(len(z0))
            ),
            "Only first views are anchors, and they meet only second views. In SimCLR each of the 2N views is an "
            "anchor, and meets all 2N − 1 others.",
        ),
        Misconception(
            "temperature multiplied",
            lambda z0, z1, temperature: F.cross_entropy(
                without_self(cosines(torch.cat([z0, z1])) * temperature), logits(z0, z1, temperature)[1]
            ),
            "The similarities are multiplied by the temperature. Divide by it: a low temperature is to sharpen.",
        ),
        Misconception(
            "positive missing from the denominator",
            positive_left_out,
            "The sum runs over the negatives alone, so the loss can fall below zero. In NT-Xent the positive is in the "
            "denominator too: everything is, but the anchor itself.",
        ),
        Misconception(
            "self in the sum",
            self_in_the_sum,
            "The anchor is compared with itself as well, and at cosine 1 it always wins. "
            "Leave it out of the sum: minus infinity on the diagonal.",
        ),
        Misconception(
            "sum instead of mean",
            lambda z0, z1, temperature: 2 * len(z0) * F.cross_entropy(*logits(z0, z1, temperature)),
            "This is the sum over the anchors, which grows with the batch. Take the mean.",
        ),
        Misconception(
            "sum of two means",
            lambda z0, z1, temperature: 2 * F.cross_entropy(*logits(z0, z1, temperature)),
            "This adds the mean over the first views and the mean over the second ones, as the authors' code does. "
            "The equation in the paper, and this task, take one mean over all 2N anchors: half of that.",
        ),
        Misconception(
            "neighbouring rows as pairs",
            neighbour_as_positive,
            "Rows 2k and 2k + 1 are taken for a pair. With all first views before all second views, the partner of "
            "row i is row i + N, and the other way round.",
        ),
        Misconception(
            "no logarithm",
            share_without_log,
            "This is minus the probability of the positive. The logarithm is missing: minus log of the probability, "
            "so that a confident mistake costs much.",
        ),
        Misconception(
            "logarithm of the mean",
            log_of_the_mean,
            "The probabilities are averaged first, and the logarithm is taken once. Take it for every anchor, and "
            "average then.",
        ),
        Misconception(
            "dot products",
            of_dot_products,
            "These are dot products of vectors of any length, so the network could lower the loss by making its "
            "embeddings longer. Bring each row to length 1.",
        ),
        Misconception(
            "infinity over infinity",
            quotient,
            "At a temperature of 0.005 the exponential of a similarity overflows, and infinity over infinity is NaN. "
            "Let cross_entropy or log_softmax do it: they subtract the largest number first.",
        ),
        Misconception(
            "logarithm of infinity",
            difference,
            "At a temperature of 0.005 the exponential of a similarity overflows, and the loss is infinite. "
            "Let logsumexp or cross_entropy do it: they subtract the largest number first.",
        ),
    ),
    why="Each of the 2N views is asked which of the others is its partner: a cross-entropy over the row of masked "
    "similarities, averaged over all rows.",
)


# ---------------------------------------------------------------------------------------- simclr.represent


def draw_layer(
    g: Generator, n: int, d: int = 5, k: int = 4, p: int = 3, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Pictures as rows, a layer's weight, its running mean and variance, and the projector's weight."""
    x = torch.randn(n, d, generator=g, dtype=dtype)
    weight, projector = torch.randn(k, d, generator=g, dtype=dtype), torch.randn(p, k, generator=g, dtype=dtype)
    mean = torch.randn(k, generator=g, dtype=dtype)
    mean[0] = (x[0] @ weight[0]) - 1  # one number of the first row is above the running mean, and stays
    variance = 0.2 + 3 * torch.rand(k, generator=g, dtype=dtype)
    return x, weight, mean, variance, projector


def draw_tiny_variance(g: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A layer in which one number hardly ever varied."""
    x, weight, mean, variance, projector = draw_layer(g, 3, dtype=torch.float64)
    variance[0] = 1e-5
    return x, weight, mean, variance, projector


def draw_far_away(g: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Pictures that are much brighter than what was trained on."""
    x, weight, mean, variance, projector = draw_layer(g, 4)
    return x + 5, weight, mean, variance, projector


def draw_all_below(g: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Rows of which nothing is above the running mean."""
    x, weight, mean, variance, projector = draw_layer(g, 3)
    return x, weight, mean + 20, variance, projector


def represent_by_loop(x: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, projector: Tensor) -> Tensor:
    """Row by row, number by number."""
    h = torch.zeros(len(x), len(weight), dtype=x.dtype)
    for i in range(len(x)):
        for k in range(len(weight)):
            a = sum(u * w for u, w in zip(x[i].tolist(), weight[k].tolist(), strict=True))
            h[i, k] = max(0.0, (a - mean[k].item()) / math.sqrt(variance[k].item() + 1e-5))
    return h


def normalised(x: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, eps: float = 1e-5) -> Tensor:
    """Before the ReLU."""
    return (x @ weight.T - mean) / (variance + eps).sqrt()


def by_batch_statistics(x: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, correction: int = 0) -> Tensor:
    """Batch norm as in training, or with the unbiased variance."""
    a = x @ weight.T
    squares = (a - a.mean(0)).square().sum(0)
    return normalised(x, weight, a.mean(0), squares / torch.tensor(float(len(a) - correction))).relu()


REPRESENT = Task(
    id="simclr.represent",
    title="What you keep after training",
    function="represent",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("three pictures", lambda g: draw_layer(g, 3)),
        Regime("one picture", lambda g: draw_layer(g, 1)),
        Regime("as many pictures as dimensions", lambda g: draw_layer(g, 4, 4, 4, 4)),
        Regime("a projector as wide as the layer", lambda g: draw_layer(g, 3, 5, 4, 4)),
        Regime("a number that hardly varied", draw_tiny_variance),
        Regime("pictures unlike those of the training", draw_far_away),
        Regime("nothing above the running mean", draw_all_below),
        Regime("double precision", lambda g: draw_layer(g, 3, dtype=torch.float64)),
        Regime("many pictures", lambda g: draw_layer(g, 50, 64, 16, 8)),
    ),
    oracle=represent_by_loop,
    compare=Close(atol=5e-5),  # a number near zero is the rest of large ones, in float32
    misconceptions=(
        Misconception(
            "after the projector",
            lambda x, weight, mean, variance, projector: normalised(x, weight, mean, variance).relu() @ projector.T,
            "This is z, which the projector makes for the loss. What the loss wants to forget, such as colour after "
            "colour jitter, is weakest there. Keep h, before the projector: its weight is not needed.",
        ),
        Misconception(
            "batch norm in training mode",
            lambda x, weight, mean, variance, projector: by_batch_statistics(x, weight, mean, variance),
            "The mean and the variance are those of the pictures at hand. Then a picture's embedding depends on its "
            "company. After training use the running mean and variance that the layer remembers.",
        ),
        Misconception(
            "statistics of the batch",
            lambda x, weight, mean, variance, projector: by_batch_statistics(x, weight, mean, variance, correction=1),
            "The mean and the variance are those of the pictures at hand, and of one picture there is no variance. "
            "After training use the running mean and variance that the layer remembers.",
        ),
        Misconception(
            "divided by the variance",
            lambda x, weight, mean, variance, projector: ((x @ weight.T - mean) / (variance + 1e-5)).relu(),
            "This divides by the variance. Batch norm divides by its root, the standard deviation.",
        ),
        Misconception(
            "no ReLU",
            lambda x, weight, mean, variance, projector: normalised(x, weight, mean, variance),
            "Negative numbers are left, so the ReLU is missing: what is below zero becomes zero.",
        ),
        Misconception(
            "ReLU too early",
            lambda x, weight, mean, variance, projector: ((x @ weight.T).relu() - mean) / (variance + 1e-5).sqrt(),
            "The ReLU comes before batch norm here. The layer is linear, then batch norm, then ReLU.",
        ),
        Misconception(
            "no mean taken off",
            lambda x, weight, mean, variance, projector: (x @ weight.T / (variance + 1e-5).sqrt()).relu(),
            "The running mean is not taken off. Subtract it before you divide.",
        ),
        Misconception(
            "eps forgotten",
            lambda x, weight, mean, variance, projector: normalised(x, weight, mean, variance, 0.0).relu(),
            "1e-5 is missing under the root. It matters where a number hardly ever varied: without it a tiny variance "
            "blows everything up.",
        ),
        Misconception(
            "of length one",
            lambda x, weight, mean, variance, projector: F.normalize(normalised(x, weight, mean, variance).relu()),
            "The rows are brought to length 1. The loss does that with z; h is kept as the encoder makes it.",
        ),
    ),
    why="The projector serves the loss and is thrown away. What stays is the encoder in evaluation mode, so that a "
    "picture has one embedding, whoever stands beside it.",
)


# -------------------------------------------------------------------------------------- simclr.temperature

Run = tuple[float, float, Tensor, Tensor]
Choice = Callable[[list[Run], Tensor, Tensor], float]


def draw_embedded(g: Generator, labels: Tensor, centres: Tensor, noise: float, lengths: tuple[float, float]) -> Tensor:
    """Embeddings around their class's centre; rows of unlike length."""
    z = centres[labels] + noise * torch.randn(len(labels), centres.shape[1], generator=g, dtype=torch.float64)
    low, high = map(math.log, lengths)
    return z * (low + (high - low) * torch.rand(len(labels), 1, generator=g, dtype=torch.float64)).exp()


def draw_runs(
    g: Generator,
    unlike: tuple[Choice, ...] = (),
    *,
    runs: int = 4,
    classes: int = 3,
    a_class: int = 5,
    d: int = 6,
    lengths: tuple[float, float] = (1.0, 1.0),
) -> tuple[list[Run], Tensor, Tensor]:
    """Runs at several temperatures, in mixed order. The loss rises with the temperature, and the best probe is clear.

    Drawn anew until each of the wrong choices is another than the right one.
    """
    while True:
        train_labels = torch.arange(classes).repeat(a_class)[torch.randperm(classes * a_class, generator=g)]
        validation_labels = torch.arange(classes).repeat(a_class)[torch.randperm(classes * a_class, generator=g)]
        temperatures = [0.05, 0.1, 0.2, 0.5, 1.0][:runs]
        found = []
        for i, temperature in enumerate(temperatures):
            centres = torch.randn(classes, d, generator=g, dtype=torch.float64)
            centres = centres * (1 + torch.arange(classes)[:, None] * (lengths[1] - 1))
            noise = [draw_number(g, 0.3, 2.5), draw_number(g, 0.3, 2.5)]
            train = draw_embedded(g, train_labels, centres, noise[0], lengths)
            validation = draw_embedded(g, validation_labels, centres, noise[1], lengths)
            found.append((temperature, 1.0 + i + draw_number(g, 0, 0.5), train, validation))
        found = [found[i] for i in torch.randperm(runs, generator=g)]
        arguments = found, train_labels, validation_labels
        scores = sorted(score(r[2], train_labels, r[3], validation_labels) for r in found)
        if scores[-1] - scores[-2] < 0.05:
            continue
        right = by_probe(*arguments)
        if all(choose(*arguments) != right for choose in unlike):
            return arguments


def score_by_loop(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> float:
    """Row by row and class by class."""
    means = {}
    for c in sorted(set(train_labels.tolist())):
        rows = [train[i] for i in range(len(train)) if train_labels[i] == c]
        means[c] = sum(rows) / len(rows)
    hits = 0
    for row, label in zip(test, test_labels.tolist(), strict=True):
        cosine = {c: float(row @ mean / (row.norm() * mean.norm())) for c, mean in means.items()}
        hits += max(cosine, key=cosine.get) == label
    return hits / len(test)


def score(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, unit: bool = True) -> float:
    """Share of rows nearest to the mean of their own class, by cosine or by dot product."""
    means = torch.stack([train[train_labels == c].mean(0) for c in train_labels.unique()])
    products = test @ (F.normalize(means) if unit else means).T
    return (products.argmax(1) == test_labels).double().mean().item()


def choose_by_loop(runs: list[Run], train_labels: Tensor, validation_labels: Tensor) -> float:
    """The temperature of the run with the best probe on validation rows."""
    best, most = None, -1.0
    for temperature, _, train, validation in runs:
        found = score_by_loop(train, train_labels, validation, validation_labels)
        if found > most:
            best, most = temperature, found
    return best


def best_by(judge: Callable[[Run, Tensor, Tensor], float]) -> Choice:
    """The temperature of the run that a judge likes best."""
    return lambda runs, train_labels, validation_labels: max(
        runs, key=lambda run: judge(run, train_labels, validation_labels)
    )[0]


by_probe = best_by(lambda run, t, v: score(run[2], t, run[3], v))
by_loss = best_by(lambda run, t, v: -run[1])
on_training_rows = best_by(lambda run, t, v: score(run[2], t, run[2], t))
means_of_validation_rows = best_by(lambda run, t, v: score(run[3], v, run[3], v))
swapped = best_by(lambda run, t, v: score(run[3], v, run[2], t))
worst_probe = best_by(lambda run, t, v: -score(run[2], t, run[3], v))
by_dot_product = best_by(lambda run, t, v: score(run[2], t, run[3], v, unit=False))


TEMPERATURE = Task(
    id="simclr.temperature",
    title="Which temperature?",
    function="choose_temperature",
    minutes=15,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("two runs", lambda g: draw_runs(g, (by_loss,), runs=2)),
        Regime("the lowest loss is not the best", lambda g: draw_runs(g, (by_loss, worst_probe))),
        Regime("another fits its training rows better", lambda g: draw_runs(g, (on_training_rows,))),
        Regime("another fits its validation rows better", lambda g: draw_runs(g, (means_of_validation_rows,))),
        Regime("training and validation are not alike", lambda g: draw_runs(g, (swapped, by_loss))),
        Regime(
            "classes of unlike length", lambda g: draw_runs(g, (by_dot_product,), lengths=(0.5, 3.0), classes=4, d=4)
        ),
        Regime("as many rows as dimensions", lambda g: draw_runs(g, (by_loss,), d=15)),
        Regime("one row a class", lambda g: draw_runs(g, (by_loss,), classes=6, a_class=1)),
        Regime("five runs, many rows", lambda g: draw_runs(g, (by_loss,), runs=5, classes=5, a_class=8, d=4)),
    ),
    oracle=choose_by_loop,
    misconceptions=(
        Misconception(
            "lowest loss",
            by_loss,
            "This is the run with the lowest loss. The temperature is part of the loss, so losses at two temperatures "
            "are no more comparable than two lengths in metres and in feet. Judge the embeddings by a probe.",
        ),
        Misconception(
            "probed on its training rows",
            on_training_rows,
            "The probe is judged on the rows that its class means were made of. "
            "Make the means of the training rows, and judge on the validation rows.",
        ),
        Misconception(
            "means of validation rows",
            means_of_validation_rows,
            "The class means are made of the validation rows, so the answers leak into the probe. "
            "Make them of the training rows.",
        ),
        Misconception(
            "training and validation swapped",
            swapped,
            "The means are made of the validation rows and judged on the training rows. It is the other way round.",
        ),
        Misconception(
            "worst probe",
            worst_probe,
            "This is the run with the lowest accuracy. A loss is good when it is small, an accuracy when it is large.",
        ),
        Misconception(
            "dot product",
            by_dot_product,
            "A long class mean wins by its length here. Nearest by cosine: bring the class means to length 1 before "
            "you multiply.",
        ),
    ),
    why="The loss changes with the temperature even when the embedding does not. A probe on rows that it has not seen "
    "asks every run the same question.",
)


# ------------------------------------------------------------------------------------------ simclr.recipe

Recipe = tuple[str, dict[str, float]]
FACTORS = ("shape", "colour", "material", "size", "position")
NAMES = ("crop", "crop and flip", "crop and colour jitter", "colour jitter", "everything")


def draw_recipes(
    g: Generator, needed: int, slack: float, unlike: tuple[Callable, ...] = (), recipes: int = 4, factors: int = 5
) -> tuple[list[Recipe], list[str], float]:
    """Recipes with the accuracy of a probe for each factor, the factors needed, and the accuracy wanted of them all.

    `slack` is what the best recipe has to spare. Drawn anew until the right choice and the wrong ones are all unlike.
    """
    while True:
        names = [NAMES[i] for i in torch.randperm(len(NAMES), generator=g)[:recipes]]
        table = torch.randperm(80, generator=g)[: recipes * factors].reshape(recipes, factors) + 15
        found = [
            (name, dict(zip(FACTORS, (row / 100).tolist(), strict=False)))
            for name, row in zip(names, table.double(), strict=True)
        ]
        wanted_factors = [FACTORS[i] for i in torch.randperm(factors, generator=g)[:needed]]
        best = max(min(accuracy[f] for f in wanted_factors) for _, accuracy in found)
        arguments = found, wanted_factors, best - slack
        answers = {choose(*arguments) for choose in (recipe_by_loop, *unlike)}
        if len(answers) == 1 + len(unlike):
            return arguments


def recipe_by_loop(recipes: list[Recipe], needed: list[str], wanted: float) -> str | None:
    """Recipe by recipe, factor by factor."""
    best, most = None, -1.0
    for name, accuracy in recipes:
        weakest = 1.0
        for factor in needed:
            weakest = min(weakest, accuracy[factor])
        if weakest > most:
            best, most = name, weakest
    return best if most >= wanted else None


def recipe_by(merit: Callable[[dict[str, float], list[str]], float], *, always: bool = False) -> Callable:
    """The recipe with the highest merit, if that is as much as wanted."""

    def choose(recipes: list[Recipe], needed: list[str], wanted: float) -> str | None:
        best = max(recipes, key=lambda recipe: merit(recipe[1], needed))
        return best[0] if always or merit(best[1], needed) >= wanted else None

    return choose


def weakest(accuracy: dict[str, float], needed: list[str]) -> float:
    """The lowest of the accuracies needed."""
    return min(accuracy[factor] for factor in needed)


by_mean = recipe_by(lambda accuracy, needed: sum(accuracy[f] for f in needed) / len(needed))
by_all_factors = recipe_by(lambda accuracy, needed: min(accuracy.values()))
by_best_factor = recipe_by(lambda accuracy, needed: max(accuracy[f] for f in needed))
by_first_factor = recipe_by(lambda accuracy, needed: accuracy[needed[0]])
by_average_of_all = recipe_by(lambda accuracy, needed: sum(accuracy.values()) / len(accuracy))
at_any_price = recipe_by(weakest, always=True)


RECIPE = Task(
    id="simclr.recipe",
    title="Choose what to throw away",
    function="choose_recipe",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("one factor needed", lambda g: draw_recipes(g, 1, 0.05, (by_all_factors, by_average_of_all))),
        Regime("two factors needed", lambda g: draw_recipes(g, 2, 0.05, (by_best_factor, by_mean))),
        Regime("three factors needed", lambda g: draw_recipes(g, 3, 0.02, (by_first_factor, by_mean, by_best_factor))),
        Regime("all factors needed", lambda g: draw_recipes(g, 5, 0.01, (by_average_of_all,))),
        Regime("exactly as good as wanted", lambda g: draw_recipes(g, 2, 0.0)),
        Regime("nothing is good enough", lambda g: draw_recipes(g, 2, -0.03)),
        Regime("good on average, not good enough", lambda g: draw_recipes(g, 3, -0.02, (by_mean, by_first_factor))),
        Regime("two recipes", lambda g: draw_recipes(g, 2, 0.04, (by_first_factor,), recipes=2, factors=3)),
        Regime("five recipes", lambda g: draw_recipes(g, 2, 0.04, (by_all_factors, by_mean), recipes=5)),
    ),
    oracle=recipe_by_loop,
    misconceptions=(
        Misconception(
            "mean of the needed factors",
            by_mean,
            "This averages over the needed factors, so a factor that is lost can hide behind one that is kept. "
            "Each is needed: judge a recipe by its weakest needed factor.",
        ),
        Misconception(
            "all factors",
            by_all_factors,
            "This looks at the weakest of all factors. A factor that you do not need may be lost, and often must be: "
            "look at the needed ones only.",
        ),
        Misconception(
            "mean of all factors",
            by_average_of_all,
            "This averages over all factors, needed or not. There is no best augmentation as such: "
            "look at the factors that you need.",
        ),
        Misconception(
            "best factor",
            by_best_factor,
            "This judges a recipe by the needed factor that it knows best. The weakest decides.",
        ),
        Misconception(
            "first factor only",
            by_first_factor,
            "Only the first needed factor is looked at. All of them are needed.",
        ),
        Misconception(
            "something at any price",
            at_any_price,
            "Where no recipe reaches what is wanted, the answer is None: then draw up another recipe.",
        ),
    ),
    why="An augmentation throws away what it changes. So a recipe is good for a purpose: it must keep every factor "
    "that the purpose needs, and it may lose the others.",
)


TASKS = (TWO_VIEWS, SIMILARITY, NT_XENT, REPRESENT, TEMPERATURE, RECIPE)
