"""Checks of chapter 6: cosines of pairs, cosines from distances, search with a threshold, hubs, an index to tune."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.compare import Close
from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import AtSize, Misconception, Regime, Task

__all__ = ["TASKS"]


def draw_rows(g: Generator, n: int, d: int) -> Tensor:
    """Rows of unlike lengths, from about a third to three."""
    rows = torch.randn(n, d, generator=g)
    lengths = 3 ** (2 * torch.rand(n, 1, generator=g) - 1)
    return rows / rows.norm(dim=1, keepdim=True) * lengths


def cosine_by_loop(x: list[float], y: list[float]) -> float:
    """Three sums and one division; 0 where a vector has no direction."""
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    squares = sum(a * a for a in x) * sum(b * b for b in y)
    return dot / squares**0.5 if squares > 0 else 0.0


# --------------------------------------------------------------------------------------- cosine.similarity


def draw_pair(g: Generator, n: int, m: int, d: int) -> tuple[Tensor, Tensor]:
    """Two sets of rows of unlike lengths."""
    return draw_rows(g, n, d), draw_rows(g, m, d)


def draw_right_angles(g: Generator) -> tuple[Tensor, Tensor]:
    """The same direction, a right angle and the opposite direction, with lengths of their own."""
    x = torch.diag(torch.randint(2, 9, (3,), generator=g).float())
    return x, torch.cat([x[:2] * 3, -x[1:]])


def draw_zero_rows(g: Generator) -> tuple[Tensor, Tensor]:
    """A zero row on either side."""
    x, y = draw_pair(g, 3, 4, 3)
    x[draw_int(g, 0, 2)] = 0
    y[draw_int(g, 0, 3)] = 0
    return x, y


def draw_tiny(g: Generator) -> tuple[Tensor, Tensor]:
    """Rows of a length of about a billionth, against ordinary ones."""
    x, y = draw_pair(g, 2, 3, 3)
    return x * 1e-9, y


def draw_unit(g: Generator) -> tuple[Tensor, Tensor]:
    """Rows of length 1."""
    x, y = draw_pair(g, 3, 2, 4)
    return F.normalize(x), F.normalize(y)


def similarity_by_loop(x: Tensor, y: Tensor) -> Tensor:
    """Pair by pair."""
    return torch.tensor([[cosine_by_loop(a, b) for b in y.tolist()] for a in x.tolist()], dtype=x.dtype)


def lengths_of(x: Tensor) -> Tensor:
    """The length of each row, and 1 for a zero row, so that it can be divided by."""
    length = x.norm(dim=1, keepdim=True)
    return length.masked_fill(length == 0, 1)


def cosines_of(x: Tensor, y: Tensor) -> Tensor:
    """The right answer, fast."""
    return (x / lengths_of(x)) @ (y / lengths_of(y)).T


def norm_over_batch(x: Tensor, y: Tensor) -> Tensor:
    """Each column divided by its length."""
    return (x / lengths_of(x.T).T) @ (y / lengths_of(y.T).T).T


def row_by_row(x: Tensor, y: Tensor) -> Tensor:
    """Row i of x against row i of y only."""
    return (x / lengths_of(x) * (y / lengths_of(y))).sum(1)


SIMILARITY = Task(
    id="cosine.similarity",
    title="The cosine of every pair",
    function="similarity",
    minutes=10,
    difficulty="easy",
    points=3,
    regimes=(
        Regime("a few rows", lambda g: draw_pair(g, 2, 3, 3)),
        Regime("one row against many", lambda g: draw_pair(g, 1, 4, 3)),
        Regime("as many rows as dimensions", lambda g: draw_pair(g, 4, 4, 4)),
        Regime("right angles and opposites", draw_right_angles),
        Regime("rows of length one", draw_unit),
        Regime("a zero row", draw_zero_rows),
        Regime("tiny rows", draw_tiny),
        Regime("double precision", lambda g: tuple(rows.double() for rows in draw_pair(g, 3, 2, 5))),
        Regime("384 dimensions", lambda g: draw_pair(g, 3, 4, 384)),
    ),
    oracle=similarity_by_loop,
    misconceptions=(
        Misconception(
            "dot product",
            lambda x, y: x @ y.T,
            "This is the dot product, in which long rows win whatever their direction. "
            "Divide each row by its length first.",
        ),
        Misconception(
            "one side only",
            lambda x, y: (x / lengths_of(x)) @ y.T,
            "The rows of x are divided by their lengths, but those of y are not. The cosine needs both.",
        ),
        Misconception(
            "length of the columns",
            norm_over_batch,
            "This divides each column by its length. The length belongs to a row: norm(dim=1, keepdim=True).",
        ),
        Misconception(
            "one length for all rows",
            lambda x, y: x @ y.T / (x.norm() * y.norm()),
            "x.norm() is one length for the whole table. Each row has its own: norm(dim=1).",
        ),
        Misconception(
            "cosine distance",
            lambda x, y: 1 - cosines_of(x, y),
            "This is 1 − cos, which SciPy calls the cosine distance. Asked for is the similarity: "
            "1 for the same direction.",
        ),
        Misconception(
            "squared lengths",
            lambda x, y: (x / lengths_of(x) ** 2) @ (y / lengths_of(y) ** 2).T,
            "This divides by the squared lengths. The length is the root of the sum of squares.",
        ),
        Misconception(
            "angle",
            lambda x, y: torch.acos(cosines_of(x, y).clamp(-1, 1)),
            "This is the angle, in radians. Asked for is its cosine: leave out the acos.",
        ),
        Misconception(
            "row by row",
            row_by_row,
            "This compares row i of x with row i of y. Every row is to be compared with every row: "
            "a matrix product of the rows of length 1 does it.",
        ),
        Misconception(
            "zero divided by zero",
            lambda x, y: x @ y.T / (x.norm(dim=1)[:, None] * y.norm(dim=1)),
            "A zero row has length 0, and 0 / 0 is NaN. "
            "A row without a direction is similar to nothing: return 0 there.",
        ),
        Misconception(
            "eps in the way",
            lambda x, y: F.cosine_similarity(x[:, None], y, dim=-1),
            "An eps, as in F.cosine_similarity, takes the place of the length of tiny rows, so their cosines shrink. "
            "A tiny row has a direction too. Only where the length is exactly 0 return 0.",
        ),
    ),
    why="Each row is divided by its own length, so only directions are compared, "
    "and one matrix product holds all pairs. A zero row has no direction and is similar to nothing.",
    at_size=AtSize(lambda g: draw_pair(g, 2000, 2000, 64), seconds=3.0, largest_bytes=200_000_000),
)


# ---------------------------------------------------------------------------------------- cosine.rank_link


def draw_distances(g: Generator, n: int, m: int, d: int, unit: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Euclidean distances of two sets of rows, and the lengths of the rows."""
    x, y = draw_pair(g, n, m, d)
    return distances_of(F.normalize(x) if unit else x, F.normalize(y) if unit else y)


def distances_of(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a database keeps: distances and lengths, rounded from double precision."""
    x, y = x.double(), y.double()
    distance = (x[:, None] - y).norm(dim=-1)
    return distance.float(), x.norm(dim=1).float(), y.norm(dim=1).float()


def draw_known_angles(g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Same direction, right angle, opposite direction."""
    return distances_of(*draw_right_angles(g))


def draw_double_distances(g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """In double precision."""
    x, y = (rows.double() for rows in draw_pair(g, 2, 4, 5))
    return (x[:, None] - y).norm(dim=-1), x.norm(dim=1), y.norm(dim=1)


def law_of_cosines_by_loop(distance: Tensor, x_length: Tensor, y_length: Tensor) -> Tensor:
    """Pair by pair, in Python's double precision."""
    rows = []
    for row, a in zip(distance.tolist(), x_length.tolist(), strict=True):
        rows.append([(a * a + b * b - d * d) / (2 * a * b) for d, b in zip(row, y_length.tolist(), strict=True)])
    return torch.tensor(rows, dtype=distance.dtype)


def swapped_lengths(distance: Tensor, x_length: Tensor, y_length: Tensor) -> Tensor:
    """The lengths of x along the columns, those of y along the rows."""
    a, b = x_length, y_length[:, None]
    return (a**2 + b**2 - distance**2) / (2 * a * b)


RANK_LINK = Task(
    id="cosine.rank_link",
    title="From distance to cosine",
    function="from_distance",
    minutes=10,
    difficulty="medium",
    points=2,
    regimes=(
        Regime("a few distances", lambda g: draw_distances(g, 2, 3, 3)),
        Regime("one row", lambda g: draw_distances(g, 1, 4, 3)),
        Regime("as many rows as columns", lambda g: draw_distances(g, 4, 4, 6)),
        Regime("all lengths one", lambda g: draw_distances(g, 3, 2, 4, unit=True)),
        Regime("right angles and opposites", draw_known_angles),
        Regime("double precision", draw_double_distances),
        Regime("many rows of many dimensions", lambda g: draw_distances(g, 12, 9, 384)),
    ),
    oracle=law_of_cosines_by_loop,
    misconceptions=(
        Misconception(
            "lengths of one",
            lambda distance, x_length, y_length: 1 - distance**2 / 2,
            "1 − d²/2 is right only where all lengths are 1, and these vectors were not normalised. "
            "Solve d² = a² + b² − 2ab·cos for the cosine.",
        ),
        Misconception(
            "distance not squared",
            lambda distance, x_length, y_length: (
                (x_length[:, None] ** 2 + y_length**2 - distance) / (2 * x_length[:, None] * y_length)
            ),
            "The distance is not squared here. The law of cosines speaks of the squared distance.",
        ),
        Misconception(
            "lengths not squared",
            lambda distance, x_length, y_length: (
                (x_length[:, None] + y_length - distance**2) / (2 * x_length[:, None] * y_length)
            ),
            "The lengths in the sum are not squared here. The law of cosines has a² + b².",
        ),
        Misconception(
            "factor two missing",
            lambda distance, x_length, y_length: (
                (x_length[:, None] ** 2 + y_length**2 - distance**2) / (x_length[:, None] * y_length)
            ),
            "This is twice the cosine. The law of cosines has 2ab·cos, so divide by 2ab.",
        ),
        Misconception(
            "dot product",
            lambda distance, x_length, y_length: (x_length[:, None] ** 2 + y_length**2 - distance**2) / 2,
            "This is the dot product ab·cos. Divide it by both lengths to get the cosine.",
        ),
        Misconception(
            "sign",
            lambda distance, x_length, y_length: (
                (distance**2 - x_length[:, None] ** 2 - y_length**2) / (2 * x_length[:, None] * y_length)
            ),
            "The sign is wrong: here a larger distance gives a larger cosine. Near means similar.",
        ),
        Misconception(
            "one minus the distance",
            lambda distance, x_length, y_length: 1 - distance,
            "1 − d turns a distance into something that is large when near, but not into the cosine. "
            "Solve d² = a² + b² − 2ab·cos for the cosine.",
        ),
        Misconception(
            "rows and columns swapped",
            swapped_lengths,
            "The lengths of x run along the columns here. Row i belongs to x[i]: write x_length[:, None].",
        ),
    ),
    why="The law of cosines holds for every pair, and with lengths of 1 it becomes 1 − d²/2. "
    "Then a smaller distance is a larger cosine, so both rank alike; with other lengths they need not.",
    compare=Close(atol=2e-5),
)


# ------------------------------------------------------------------------------------------- cosine.search


def gapped(g: Generator, n: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """A query, rows, and their cosines, of which no two are so near each other that rounding could swap them."""
    while True:
        query, rows = 3 * draw_rows(g, 1, d)[0], draw_rows(g, n, d)
        cosine = cosines_of(query[None].double(), rows.double())[0]
        if cosine.sort().values.diff().min() > 1e-5:
            return query, rows, cosine


def draw_search(g: Generator, n: int, d: int, k: int, above: int) -> tuple[Tensor, Tensor, int, float]:
    """As many rows as that lie above the threshold; short ones among the best, long ones among the worst."""
    query, rows, cosine = gapped(g, n, d)
    order = cosine.argsort(descending=True)
    rows[order[0]] *= 0.05
    rows[order[-1]] *= 4
    ends = torch.cat([cosine[order], torch.tensor([-1.0])])
    return query, rows, k, round((ends[above - 1] + ends[above]).item() / 2, 6)


def draw_short_query(g: Generator) -> tuple[Tensor, Tensor, int, float]:
    """A query much shorter than 1."""
    query, rows, k, least = draw_search(g, 9, 4, 5, 3)
    return 0.01 * query, rows, k, abs(least)


def draw_on_axes(g: Generator) -> tuple[Tensor, Tensor, int, float]:
    """Whole numbers: rows at exactly a right angle to the query, which is the threshold."""
    query = torch.tensor([0.0, draw_int(g, 2, 5), 0.0])
    a, b, c, e = torch.randint(1, 6, (4,), generator=g).tolist()
    rows = torch.tensor([[-a, -b, 0.0], [c, 0, 0], [a, b, c], [0, 0, -e], [0, -c, b]])
    return query, rows, 5, 0.0


def draw_one_direction(g: Generator) -> tuple[Tensor, Tensor, int, float]:
    """Many rows of one direction and unlike lengths, so that their cosines are equal to the last bit."""
    direction = torch.tensor([3.0, 4.0, 0.0])[torch.randperm(3, generator=g)]
    rows = direction * 2.0 ** torch.randint(-2, 3, (40, 1), generator=g)
    rows[::3] = -rows[::3]
    return direction * 2, rows, 8, 0.5


def draw_nothing(g: Generator) -> tuple[Tensor, Tensor, int, float]:
    """No row is similar enough."""
    query, rows, k, _ = draw_search(g, 6, 4, 3, 2)
    cosine = cosines_of(query[None], rows)[0]
    return query, rows, k, round(cosine.max().item() / 2 + 0.5, 6)


def search_by_loop(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """Row by row, then sorted; Python's sort keeps the order of equals."""
    cosine = [round(cosine_by_loop(query.tolist(), row), 12) for row in corpus.tolist()]
    good = [i for i in range(len(cosine)) if cosine[i] >= least]
    return torch.tensor(sorted(good, key=lambda i: -cosine[i])[:k], dtype=torch.long)


def ranked(score: Tensor, cosine: Tensor, k: int, least: float) -> Tensor:
    """Rows whose cosine is at least that, by a score, best first."""
    order = score.argsort(descending=True, stable=True)
    return order[cosine[order] >= least - 1e-7][:k]


def cosine_to(query: Tensor, corpus: Tensor) -> Tensor:
    """The cosine of the query to each row."""
    return corpus @ query / (corpus.norm(dim=1) * query.norm())


def by_dot(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """Dot product throughout."""
    score = corpus @ query
    order = score.argsort(descending=True, stable=True)
    return order[score[order] >= least][:k]


def query_not_normalised(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """Only the corpus is divided by its lengths: the order is right, the threshold is not."""
    score = corpus @ query / corpus.norm(dim=1)
    order = score.argsort(descending=True, stable=True)
    return order[score[order] >= least][:k]


def by_distance(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """The threshold by cosine, the order by Euclidean distance of vectors that were not normalised."""
    return ranked(-(corpus - query).norm(dim=1), cosine_to(query, corpus), k, least)


def least_similar_first(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """Sorted like distances."""
    cosine = cosine_to(query, corpus)
    order = cosine.argsort(stable=True)
    return order[cosine[order] >= least][:k]


def above_only(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """A row at the threshold is left out."""
    cosine = cosine_to(query, corpus)
    order = cosine.argsort(descending=True, stable=True)
    return order[cosine[order] > least][:k]


def places_among_survivors(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """Filtered first, and then sorted: the places are those of the filtered list."""
    cosine = cosine_to(query, corpus)
    return cosine[cosine >= least].argsort(descending=True, stable=True)[:k]


def in_order_of_rows(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """The first rows that are similar enough, not the best."""
    return (cosine_to(query, corpus) >= least).nonzero()[:k, 0]


def values_instead(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """The similarities instead of the rows."""
    cosine = cosine_to(query, corpus)
    return cosine[cosine >= least].sort(descending=True).values[:k]


def ties_backwards(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """Sorted upwards and turned round, which turns equals round as well."""
    cosine = cosine_to(query, corpus)
    order = cosine.argsort(stable=True).flip(0)
    return order[cosine[order] >= least][:k]


def ties_in_any_order(query: Tensor, corpus: Tensor, k: int, least: float) -> Tensor:
    """The best by topk."""
    best = cosine_to(query, corpus).topk(min(k, len(corpus)))
    return best.indices[best.values >= least]


SEARCH = Task(
    id="cosine.search",
    title="Search, and know when nothing was found",
    function="search",
    minutes=15,
    difficulty="medium",
    points=4,
    regimes=(
        Regime("a small corpus", lambda g: draw_search(g, 8, 3, 3, 5)),
        Regime("fewer than k are similar enough", lambda g: draw_search(g, 9, 4, 6, 3)),
        Regime("only the best one", lambda g: draw_search(g, 12, 6, 1, 4)),
        Regime("as many rows as dimensions", lambda g: draw_search(g, 6, 6, 4, 4)),
        Regime("a short query", draw_short_query),
        Regime("exactly at the threshold", draw_on_axes),
        Regime("many rows of one direction", draw_one_direction),
        Regime("nothing is similar enough", draw_nothing),
        Regime("double precision", lambda g: draw_double(draw_search(g, 10, 5, 4, 6))),
        Regime("384 dimensions", lambda g: draw_search(g, 30, 384, 5, 8)),
    ),
    oracle=search_by_loop,
    misconceptions=(
        Misconception(
            "dot product",
            by_dot,
            "This ranks by the dot product, so long rows win. Divide by the lengths of the rows and of the query.",
        ),
        Misconception(
            "query not normalised",
            query_not_normalised,
            "The order is right, as the query's length changes no rank. But the threshold is a cosine, "
            "and these numbers are cosines times the query's length: divide by it too.",
        ),
        Misconception(
            "by distance",
            by_distance,
            "The rows are sorted by their Euclidean distance to the query. Before normalising that is another ranking: "
            "sort by the cosine.",
        ),
        Misconception(
            "least similar first",
            least_similar_first,
            "The least similar rows come first. A similarity is good when it is large: sort descending.",
        ),
        Misconception(
            "threshold ignored",
            lambda query, corpus, k, least: ranked(cosine_to(query, corpus), cosine_to(query, corpus), k, -2.0),
            "The threshold is not used, so the k best rows come back even when none of them fits. "
            "Keep only cosines of at least `least`.",
        ),
        Misconception(
            "at the threshold",
            above_only,
            "A row whose cosine equals the threshold is left out here. Asked for is at least: >= and not >.",
        ),
        Misconception(
            "places in a shorter list",
            places_among_survivors,
            "These are places in the list of rows that passed the threshold, not rows of the corpus. "
            "Sort all rows first, and then drop those below the threshold.",
        ),
        Misconception(
            "in the order of the rows",
            in_order_of_rows,
            "These rows are similar enough, but they stand in the order of the corpus, "
            "so the first k are not the best k. Sort by the cosine.",
        ),
        Misconception(
            "similarities instead of rows",
            values_instead,
            "These are the cosines. Asked for are the numbers of the rows: argsort instead of sort.",
        ),
        Misconception(
            "ties turned round",
            ties_backwards,
            "Sorting upwards and turning the list round also turns round rows that are equally similar. "
            "Use argsort(descending=True, stable=True), so that earlier rows come first.",
        ),
        Misconception(
            "ties in any order",
            ties_in_any_order,
            "Rows of one direction have equal cosines, and topk promises no order among them. "
            "Use argsort(descending=True, stable=True), so that earlier rows come first.",
        ),
    ),
    why="Rows are ranked by direction alone, the threshold is a true cosine because the query's length is divided out, "
    "and an empty answer says honestly that nothing was found.",
)


def draw_double(arguments: tuple[Tensor, Tensor, int, float]) -> tuple[Tensor, Tensor, int, float]:
    """The same search in double precision."""
    query, corpus, k, least = arguments
    return query.double(), corpus.double(), k, least


# --------------------------------------------------------------------------------------------- cosine.hubs


def draw_cloud(g: Generator, n: int, d: int, k: int, shift: float = 0.5) -> tuple[Tensor, int]:
    """Rows of unlike lengths around a point off the origin, no two cosines of a row so near that rounding swaps them.

    Row 0 is long, so that it is everybody's choice by dot product; the last row is nobody's neighbour.
    """
    while True:
        z = torch.randn(n, d, generator=g) + shift
        z[-1] = -z[:-1].mean(0) * 2
        z = z * 3 ** (2 * torch.rand(n, 1, generator=g) - 1)
        z[0] *= 20
        cosine = cosines_of(z.double(), z.double())
        if cosine.sort(dim=1).values.diff(dim=1).min() > 1e-6:
            return z, k


def draw_two_groups(g: Generator) -> tuple[Tensor, int]:
    """Two groups of four rows at a right angle, so each row's neighbours are of its own group."""
    z, _ = draw_cloud(g, 8, 6, 2)
    z[:4, 3:] *= 0.01
    z[4:, :3] *= 0.01
    return z, 3


def occurrences_by_loop(z: Tensor, k: int) -> Tensor:
    """Row by row: sort the others, give one point to each of the first k."""
    rows, count = z.tolist(), [0] * len(z)
    for i, row in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i]
        for j in sorted(others, key=lambda j: -cosine_by_loop(row, rows[j]))[:k]:
            count[j] += 1
    return torch.tensor(count)


def neighbours(similarity: Tensor, k: int) -> Tensor:
    """For each row the k most similar others."""
    return similarity.clone().fill_diagonal_(-torch.inf).topk(k).indices


def counted(ids: Tensor, n: int) -> Tensor:
    """How often each row's number stands in a table."""
    return torch.bincount(ids.flatten(), minlength=n)


def mutual(z: Tensor, k: int) -> Tensor:
    """Only where both are neighbours of each other."""
    table = torch.zeros(len(z), len(z), dtype=torch.bool)
    table.scatter_(1, neighbours(cosines_of(z, z), k), True)
    return (table & table.T).sum(0)


HUBS = Task(
    id="cosine.hubs",
    title="Find the hubs",
    function="occurrences",
    minutes=12,
    difficulty="hard",
    points=3,
    regimes=(
        Regime("a few rows", lambda g: draw_cloud(g, 6, 3, 2)),
        Regime("only the nearest", lambda g: draw_cloud(g, 10, 4, 1)),
        Regime("as many rows as dimensions", lambda g: draw_cloud(g, 7, 7, 3)),
        Regime("two groups", draw_two_groups),
        Regime("around the origin", lambda g: draw_cloud(g, 9, 3, 2, shift=0.0)),
        Regime("all but one", lambda g: draw_cloud(g, 6, 5, 4)),
        Regime("double precision", lambda g: (draw_cloud(g, 8, 4, 2)[0].double(), 2)),
        Regime("many rows of many dimensions", lambda g: draw_cloud(g, 40, 64, 5)),
    ),
    oracle=occurrences_by_loop,
    misconceptions=(
        Misconception(
            "itself counted",
            lambda z, k: counted(cosines_of(z, z).topk(k).indices, len(z)),
            "Each row is its own best neighbour here, which costs every list a place. "
            "Set the diagonal to minus infinity before you take the k best.",
        ),
        Misconception(
            "itself counted beside the others",
            lambda z, k: counted(cosines_of(z, z).topk(k + 1).indices, len(z)),
            "Each row finds itself among its k + 1, so every count is one too high. Leave the row itself out.",
        ),
        Misconception(
            "dot product",
            lambda z, k: counted(neighbours(z @ z.T, k), len(z)),
            "These are neighbours by the dot product, so the longest rows are everyone's neighbours. "
            "Divide each row by its length first.",
        ),
        Misconception(
            "by distance",
            lambda z, k: counted(neighbours(-(z[:, None] - z).norm(dim=-1), k), len(z)),
            "These are neighbours by Euclidean distance of rows that were not normalised. Compare by cosine.",
        ),
        Misconception(
            "farthest",
            lambda z, k: counted(cosines_of(z, z).fill_diagonal_(torch.inf).topk(k, largest=False).indices, len(z)),
            "These are the k least similar rows. A similarity is good when it is large.",
        ),
        Misconception(
            "own list counted",
            lambda z, k: torch.full((len(z),), k),
            "Every row has k neighbours, so this count is always k. Count the other way round: "
            "the lists of others in which a row stands.",
        ),
        Misconception(
            "share",
            lambda z, k: counted(neighbours(cosines_of(z, z), k), len(z)) / (len(z) * k),
            "This is a share of all places. Asked for is the count, a whole number for each row.",
        ),
        Misconception(
            "last rows missing",
            lambda z, k: torch.bincount(neighbours(cosines_of(z, z), k).flatten()),
            "The result ends with the last row that is anybody's neighbour. Rows that nobody knows count 0: "
            "say minlength=len(z).",
        ),
        Misconception(
            "mutual only",
            mutual,
            "This counts only pairs in which each is a neighbour of the other. A hub is known by many whom it does not "
            "know: one direction is enough.",
        ),
    ),
    why="Each row names its k most similar others, and a hub is named far more often than k times, the average. "
    "Every row has its k neighbours, but not every row is somebody's neighbour.",
)


# -------------------------------------------------------------------------------------------- cosine.index

Setting = tuple[int, list[float]]


def draw_settings(
    g: Generator, settings: list[Setting], wanted: float, q: int = 4, k: int = 4, agree: tuple[int, ...] = ()
) -> tuple[Tensor, Tensor, Tensor, float]:
    """What each setting found, with so many hits and such run times; those in `agree` find the same ids.

    No id stands in its own place, and each query has a hit, so that neither order nor a single hit decides.
    """
    ids = torch.randperm(9 * q * k, generator=g).view(q, 9 * k)
    true = ids[:, :k]
    found = []
    for i, (hits, _) in enumerate(settings):
        if i in agree and i != agree[0]:
            found.append(found[agree[0]].clone())
            continue
        wrong = ids[:, (1 + i) * k : (2 + i) * k]
        is_hit = (torch.arange(q * k) < hits).view(k, q).T  # spread over the queries
        found.append(torch.where(is_hit, true, wrong).roll(1, dims=1))
    unit = draw_int(g, 1, 9) * 1e-4
    seconds = torch.tensor([runs for _, runs in settings], dtype=torch.float64) * unit
    return torch.stack(found), seconds, true.clone(), wanted


def runs(g: Generator, median: float, warm: float = 3.0) -> list[float]:
    """A slow first run, then three of which the median is that."""
    after = [median * 0.95, median, median * 1.05]
    return [median * warm, *(after[i] for i in torch.randperm(3, generator=g).tolist())]


def draw_ordinary(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """Better settings cost more, and the third is the first that is good enough."""
    return draw_settings(g, [(5, runs(g, 1)), (9, runs(g, 2)), (13, runs(g, 4)), (16, runs(g, 8))], 0.8)


def draw_not_sorted(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """The first that is good enough is the slowest."""
    return draw_settings(g, [(15, runs(g, 9)), (6, runs(g, 1)), (14, runs(g, 3)), (16, runs(g, 5))], 0.85)


def draw_slow_start(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """The fastest good setting has a very slow first run."""
    settings = [(14, runs(g, 4, warm=1.2)), (14, runs(g, 2, warm=90.0)), (5, runs(g, 1)), (16, runs(g, 7))]
    return draw_settings(g, settings, 0.75)


def draw_disturbed(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """One run of the fastest good setting was disturbed."""
    settings = [(7, runs(g, 1)), (14, [9.0, 2.0, 2.1, 40.0]), (15, runs(g, 5)), (16, runs(g, 8))]
    return draw_settings(g, settings, 0.75)


def draw_lucky(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """One run of a slow setting was lucky."""
    settings = [(7, runs(g, 1)), (14, runs(g, 2)), (15, [9.0, 5.0, 5.1, 0.5]), (16, runs(g, 8))]
    return draw_settings(g, settings, 0.75)


def draw_agreeing(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """The cheapest finds just what the last finds, and both are wrong."""
    settings = [(6, runs(g, 1)), (14, runs(g, 3)), (16, runs(g, 6)), (6, runs(g, 8))]
    return draw_settings(g, settings, 0.75, agree=(0, 3))


def draw_exactly(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """Twelve of sixteen are exactly the wanted three quarters."""
    return draw_settings(g, [(8, runs(g, 1)), (12, runs(g, 2)), (16, runs(g, 5))], 0.75)


def draw_none_good(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """No setting is good enough."""
    return draw_settings(g, [(5, runs(g, 1)), (9, runs(g, 2)), (14, runs(g, 4))], 0.95)


def draw_uneven(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """A good mean, although one query finds little."""
    found, seconds, true, wanted = draw_settings(g, [(6, runs(g, 1)), (16, runs(g, 2)), (16, runs(g, 6))], 0.75)
    found[1, 0, :3] = true.max() + 1000 + torch.arange(3)
    return found, seconds, true, wanted


def draw_more_found(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """Lists twice as long as that of the true ids, and the rest of each is wrong."""
    found, seconds, true, wanted = draw_settings(g, [(7, runs(g, 1)), (13, runs(g, 2)), (15, runs(g, 5))], 0.8)
    rest = 5000 + torch.arange(true.numel()).view(true.shape)
    return torch.cat([found, rest.expand_as(found)], dim=2), seconds, true, wanted


def draw_hardly_any(g: Generator) -> tuple[Tensor, Tensor, Tensor, float]:
    """The fastest setting leaves most queries without a single hit."""
    return draw_settings(g, [(1, runs(g, 1)), (15, runs(g, 3)), (16, runs(g, 5))], 0.75)


def recall_by_loop(found: Tensor, true: Tensor) -> float:
    """Query by query, id by id."""
    hits = [sum(i in row for i in wanted) for row, wanted in zip(found.tolist(), true.tolist(), strict=True)]
    return sum(hits) / true.numel()


def choose_by_loop(found: Tensor, seconds: Tensor, true: Tensor, wanted: float) -> int | None:
    """Setting by setting."""
    best, least = None, float("inf")
    for i, times in enumerate(seconds.tolist()):
        later = sorted(times[1:])
        middle = later[len(later) // 2]
        if recall_by_loop(found[i], true) >= wanted and middle < least:
            best, least = i, middle
    return best


def recalls(found: Tensor, true: Tensor) -> Tensor:
    """The recall of each setting."""
    return torch.tensor([recall_by_loop(f, true) for f in found], dtype=torch.float64)


def middle(seconds: Tensor) -> Tensor:
    """The median of all runs but the first."""
    return seconds[:, 1:].median(dim=1).values


def cheapest(recall: Tensor, cost: Tensor, wanted: float) -> int | None:
    """Of those that are good enough the one that costs least."""
    good = (recall >= wanted).nonzero()[:, 0].tolist()
    return min(good, key=lambda i: cost[i]) if good else None


def by_cost(cost_of: Callable[[Tensor], Tensor]) -> Callable:
    """Right but for what counts as the cost."""
    return lambda found, seconds, true, wanted: cheapest(recalls(found, true), cost_of(seconds), wanted)


def by_recall(recall_of: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """Right but for what counts as the recall."""
    return lambda found, seconds, true, wanted: cheapest(recall_of(found, true), middle(seconds), wanted)


def best_recall(found: Tensor, seconds: Tensor, true: Tensor, wanted: float) -> int | None:
    """The best recall of those that are good enough."""
    recall = recalls(found, true)
    return int(recall.argmax()) if recall.max() >= wanted else None


def first_good(found: Tensor, seconds: Tensor, true: Tensor, wanted: float) -> int | None:
    """The first that is good enough."""
    return next((i for i, recall in enumerate(recalls(found, true)) if recall >= wanted), None)


def something(found: Tensor, seconds: Tensor, true: Tensor, wanted: float) -> int:
    """When none is good enough, the best recall all the same."""
    choice = cheapest(recalls(found, true), middle(seconds), wanted)
    return int(recalls(found, true).argmax()) if choice is None else choice


INDEX = Task(
    id="cosine.index",
    title="Tune an index with the numbers in hand",
    function="choose_setting",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("better costs more", draw_ordinary),
        Regime("settings in any order", draw_not_sorted),
        Regime("a slow first run", draw_slow_start),
        Regime("a disturbed run", draw_disturbed),
        Regime("a lucky run", draw_lucky),
        Regime("two settings agree on wrong answers", draw_agreeing),
        Regime("recall to the digit", draw_exactly),
        Regime("one query finds little", draw_uneven),
        Regime("more found than wanted", draw_more_found),
        Regime("hardly anything found", draw_hardly_any),
        Regime("none is good enough", draw_none_good),
        Regime("one setting", lambda g: draw_settings(g, [(15, runs(g, 2))], 0.9)),
        Regime("many queries", lambda g: draw_settings(g, [(500, runs(g, 1)), (790, runs(g, 2))], 0.95, 80, 10)),
    ),
    oracle=choose_by_loop,
    misconceptions=(
        Misconception(
            "measured against an index",
            by_recall(lambda found, true: recalls(found, found[-1])),
            "The recall is measured against what the last setting found. That is an index too, and may be wrong: "
            "measure against the exact answer, `true`.",
        ),
        Misconception(
            "order required",
            by_recall(lambda found, true: (found[:, :, : true.shape[1]] == true).double().mean(dim=(1, 2))),
            "An id counts here only if it stands in its own place. Recall asks whether it was found at all.",
        ),
        Misconception(
            "precision",
            by_recall(lambda found, true: recalls(found, true) * true.shape[1] / found.shape[2]),
            "This divides by the number of ids found, which is precision. Recall divides by the number of true ids.",
        ),
        Misconception(
            "at least one",
            by_recall(lambda found, true: any_hit(found, true)),
            "This is the share of queries with at least one hit. Recall counts every true id that was found.",
        ),
        Misconception(
            "the worst query",
            by_recall(lambda found, true: worst_query(found, true)),
            "This asks that every single query reach the recall. Asked for is the recall over all queries together.",
        ),
        Misconception(
            "best recall",
            best_recall,
            "This takes the best recall, whatever it costs. More than the wanted recall is not asked for: "
            "of the settings that are good enough take the cheapest.",
        ),
        Misconception(
            "recall ignored",
            lambda found, seconds, true, wanted: int(middle(seconds).argmin()),
            "This is the fastest setting of all, and it finds too little. "
            "First keep the settings that are good enough.",
        ),
        Misconception(
            "first that is good enough",
            first_good,
            "This is the first setting that is good enough. They come in no particular order: compare their costs.",
        ),
        Misconception(
            "warm-up counted",
            by_cost(lambda seconds: seconds.mean(dim=1)),
            "This averages over all runs, the first among them. The first run loads what later ones find in the cache: "
            "leave it out, and take the median of the rest.",
        ),
        Misconception(
            "warm-up only",
            by_cost(lambda seconds: seconds[:, 0]),
            "This goes by the first run, which is the warm-up. Leave it out, and take the median of the rest.",
        ),
        Misconception(
            "mean of the runs",
            by_cost(lambda seconds: seconds[:, 1:].mean(dim=1)),
            "One disturbed run pulls the mean up. The median of the runs after the first is not moved by it.",
        ),
        Misconception(
            "luckiest run",
            by_cost(lambda seconds: seconds.min(dim=1).values),
            "This goes by the single fastest run. The median of the runs after the first was asked for.",
        ),
        Misconception(
            "something at any price",
            something,
            "Where no setting is good enough, the honest answer is None.",
        ),
    ),
    why="Recall is measured against the exact answer, over all queries, and the cost without its warm-up. "
    "Recall is a wish that must be met, time is what is left to save, and None says that no setting meets the wish.",
)


def any_hit(found: Tensor, true: Tensor) -> Tensor:
    """The share of queries with a hit, for each setting."""
    hit = (true[None, :, :, None] == found[:, :, None, :]).any(-1)
    return hit.any(-1).double().mean(1)


def worst_query(found: Tensor, true: Tensor) -> Tensor:
    """The lowest recall of a query, for each setting."""
    hit = (true[None, :, :, None] == found[:, :, None, :]).any(-1)
    return hit.double().mean(-1).min(1).values


TASKS = (SIMILARITY, RANK_LINK, SEARCH, HUBS, INDEX)
