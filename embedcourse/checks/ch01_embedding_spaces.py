"""Checks of chapter 1: rank by similarity, classify by class means and by neighbours, count bytes, judge a map."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import AtSize, Misconception, Regime, Task

__all__ = ["TASKS"]


def draw_rows(g: Generator, n: int, d: int, dtype: torch.dtype = torch.float32, spread: float = 0.3) -> Tensor:
    """Rows of many directions, with lengths from 10^−spread to 10^spread."""
    rows = torch.randn(n, d, generator=g, dtype=torch.float64)
    lengths = 10 ** ((2 * torch.rand(n, 1, generator=g, dtype=torch.float64) - 1) * spread)
    return (F.normalize(rows) * lengths).to(dtype)


def cosine(x: Tensor, y: Tensor) -> float:
    """Cosine of the angle between two vectors, number by number."""
    product = sum(a * b for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return product / (math.hypot(*x.tolist()) * math.hypot(*y.tolist()))


# -------------------------------------------------------------------------------------- embed.similarity_rank


def draw_ranking(n: int, d: int, dtype: torch.dtype = torch.float32, spread: float = 0.3) -> Callable:
    """Any row as the query among n rows."""
    return lambda g: (draw_int(g, 0, n - 1), draw_rows(g, n, d, dtype, spread))


def draw_opposed(g: Generator) -> tuple[int, Tensor]:
    """A query that all other rows point away from."""
    rows = F.normalize(torch.randn(7, 6, generator=g))
    query = draw_int(g, 0, 6)
    rows = 0.4 * rows - rows[query]
    rows[query] *= -1
    return query, rows


def draw_unit_rows(g: Generator) -> tuple[int, Tensor]:
    """Rows of length 1, for which the dot product is the cosine."""
    return draw_int(g, 0, 8), draw_rows(g, 9, 12, spread=0)


def draw_twin(g: Generator) -> tuple[int, Tensor]:
    """A row that points exactly where the query points, and stands before it."""
    rows = draw_rows(g, 7, 5)
    query = draw_int(g, 1, 6)
    rows[query] = torch.eye(5)[2]
    rows[draw_int(g, 0, query - 1)] = 2 * rows[query]
    return query, rows


def rank_by_loop(query: int, vectors: Tensor) -> Tensor:
    """The other rows, sorted by their cosine to the query."""
    others = [i for i in range(len(vectors)) if i != query]
    return torch.tensor(sorted(others, key=lambda i: -cosine(vectors[query], vectors[i])))


def others_by(score: Tensor, query: int) -> Tensor:
    """All rows but the query, highest score first."""
    order = score.argsort(descending=True, stable=True)
    return order[order != query]


def cosines_to(query: int, vectors: Tensor) -> Tensor:
    """The cosine of each row to the row of the query."""
    unit = F.normalize(vectors)
    return unit @ unit[query]


SIMILARITY_RANK = Task(
    id="embed.similarity_rank",
    title="Rank by similarity",
    function="similarity_rank",
    minutes=10,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("five vectors of two numbers", draw_ranking(5, 2)),
        Regime("vectors of very different lengths", draw_ranking(9, 8, spread=2)),
        Regime("vectors of 384 numbers", draw_ranking(8, 384)),
        Regime("vectors of length one", draw_unit_rows),
        Regime("all others point away from the query", draw_opposed),
        Regime("one vector points exactly where the query points", draw_twin),
        Regime("float64", draw_ranking(8, 5, torch.float64)),
    ),
    oracle=rank_by_loop,
    misconceptions=(
        Misconception(
            "dot product",
            lambda query, vectors: others_by(vectors @ vectors[query], query),
            "This ranks by the dot product: long vectors win. Divide every vector by its length first.",
        ),
        Misconception(
            "ascending",
            lambda query, vectors: others_by(-cosines_to(query, vectors), query),
            "This is the order from least to most similar: the most similar comes first.",
        ),
        Misconception(
            "query in its own result",
            lambda query, vectors: cosines_to(query, vectors).argsort(descending=True, stable=True),
            "The query itself is in its own result: it is always most similar to itself, which tells nothing.",
        ),
        Misconception(
            "first one dropped",
            lambda query, vectors: cosines_to(query, vectors).argsort(descending=True, stable=True)[1:],
            "You drop whatever comes first. When another vector points the same way, that need not be the query: "
            "leave the query out by its number.",
        ),
        Misconception(
            "Euclidean distance",
            lambda query, vectors: others_by(-(vectors - vectors[query]).norm(dim=1), query),
            "This ranks by the distance between the tips of the arrows. Cosine looks only at where they point.",
        ),
    ),
    why="Scaled to length one, a dot product is the cosine; one matrix product compares the query with every row.",
)


# ----------------------------------------------------------------------------------------- embed.class_means


def draw_classes(classes: Sequence[int], d: int, dtype: torch.dtype = torch.float32, noise: float = 0.15) -> Callable:
    """Rows around one direction a class, four or more a class in mixed order, and rows to classify."""

    def draw(g: Generator) -> tuple[Tensor, Tensor, Tensor]:
        centres = torch.linalg.qr(torch.randn(d, d, generator=g, dtype=torch.float64)).Q[: len(classes)]
        which = torch.arange(len(classes)).repeat(draw_int(g, 4, 6))
        which = which[torch.randperm(len(which), generator=g)]
        asked = torch.randint(len(classes), (5,), generator=g)
        asked[:2] = torch.tensor([0, len(classes) - 1])  # whatever the seed, the first and the last class are asked
        train, test = (centres[w] + noise * torch.randn(len(w), d, generator=g) for w in (which, asked))
        return train.to(dtype), torch.tensor(classes)[which], test.to(dtype)

    return draw


def around(g: Generator, degrees: Sequence[float], length: float = 1.0) -> Tensor:
    """Vectors of two numbers near the given angles, of about the given length."""
    angles = torch.deg2rad(torch.tensor(degrees) + 4 * torch.rand(len(degrees), generator=g) - 2)
    lengths = length * (1 + 0.1 * torch.rand(len(degrees), generator=g))
    return torch.stack([angles.cos(), angles.sin()], dim=1) * lengths[:, None]


def draw_long_class(g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A class of long vectors at 0°, one of short ones at 50°; short vectors ask which."""
    train = torch.cat([around(g, [0] * 5, length=10), around(g, [50] * 5)])
    return train, torch.tensor([0] * 5 + [1] * 5), around(g, [50, 40, 10, 0])


def draw_outlier(g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A class at 0° with one member astray at 80°, beyond the class at 55°."""
    train = torch.cat([around(g, [0] * 7), around(g, [80]), around(g, [55] * 8)])
    return train, torch.tensor([0] * 8 + [1] * 8), around(g, [76, 5, 55])


def class_mean_by_loop(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """For each row, the label of the class whose mean has the largest cosine to it."""
    members = {
        c: [row for row, label in zip(train, labels.tolist(), strict=True) if label == c] for c in labels.tolist()
    }
    means = {c: sum(rows) / len(rows) for c, rows in members.items()}
    return torch.tensor([max(means, key=lambda c: cosine(row, means[c])) for row in test])


def class_means(train: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The labels in order, and the mean of each one's rows."""
    classes = labels.unique()
    return classes, torch.stack([train[labels == c].mean(0) for c in classes])


def by_index(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """The place of the class in the list instead of its label."""
    _, means = class_means(train, labels)
    return (test @ F.normalize(means).T).argmax(1)


def by_dot_product(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """The class whose mean has the largest dot product."""
    classes, means = class_means(train, labels)
    return classes[(test @ means.T).argmax(1)]


def by_distance(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """The class whose mean lies nearest."""
    classes, means = class_means(train, labels)
    return classes[torch.cdist(test, means).argmin(1)]


def by_least_cosine(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """The class whose mean has the smallest cosine."""
    classes, means = class_means(train, labels)
    return classes[(test @ F.normalize(means).T).argmin(1)]


def by_nearest_row(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """The label of the most similar row."""
    return labels[(test @ F.normalize(train).T).argmax(1)]


CLASS_MEANS = Task(
    id="embed.class_means",
    title="One mean for each class",
    function="nearest_class_mean",
    minutes=15,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("two classes in the plane", draw_classes((0, 1), 2)),
        Regime("labels that are not 0, 1, 2, …", draw_classes((3, 7, 12, 40), 6)),
        Regime("one class of long vectors", draw_long_class),
        Regime("a member far from its class", draw_outlier),
        Regime("ten classes of 64 numbers", draw_classes(tuple(range(10)), 64, noise=0.05)),
        Regime("negative labels, in float64", draw_classes((-5, 2, 4), 5, torch.float64)),
        Regime("a single class", draw_classes((6,), 3)),
    ),
    oracle=class_mean_by_loop,
    misconceptions=(
        Misconception(
            "index instead of label",
            by_index,
            "This is the place of the class in your list of means, not its label: look the label up at that place.",
        ),
        Misconception(
            "dot product with the means",
            by_dot_product,
            "The means keep their lengths, so a class of long vectors wins everywhere. Scale each mean to length one.",
        ),
        Misconception(
            "Euclidean distance to the means",
            by_distance,
            "This takes the mean whose tip is nearest. Asked is the mean that points most nearly the same way.",
        ),
        Misconception(
            "least similar mean",
            by_least_cosine,
            "This takes the least similar mean: cosine is a similarity, and the largest wins.",
        ),
        Misconception(
            "nearest row instead of mean",
            by_nearest_row,
            "This copies the label of the single most similar row, so one stray member misleads it. "
            "Take one mean a class.",
        ),
    ),
    why="A class becomes one direction, the mean of its members: one comparison a class instead of one a member.",
)


# ---------------------------------------------------------------------------------------- embed.knn_accuracy


def draw_votes(
    n: int, d: int, labels: Sequence[int], k: int, noise: float, dtype: torch.dtype = torch.float32
) -> Callable:
    """Rows in classes that overlap, and k for which no vote ends in a tie."""

    def draw(g: Generator) -> tuple[Tensor, Tensor, int]:
        while True:
            centres = F.normalize(torch.randn(len(labels), d, generator=g))
            which = torch.randint(len(labels), (n,), generator=g)
            rows = F.normalize(centres[which] + noise * torch.randn(n, d, generator=g) / d**0.5)
            rows = rows * 10 ** (2 * torch.rand(n, 1, generator=g) - 1)
            if not any(is_tie(votes) for votes in votes_by_loop(rows, labels_of(labels, which), k)):
                return rows.to(dtype), labels_of(labels, which), k

    return draw


def labels_of(labels: Sequence[int], which: Tensor) -> Tensor:
    """The labels of classes given by number."""
    return torch.tensor(labels)[which]


def votes_by_loop(vectors: Tensor, labels: Tensor, k: int) -> list[list[int]]:
    """For each row the labels of its k most similar other rows."""
    unit = F.normalize(vectors.double())
    found = []
    for i, row in enumerate(unit):
        others = sorted((j for j in range(len(unit)) if j != i), key=lambda j: -float(row @ unit[j]))
        found.append([int(labels[j]) for j in others[:k]])
    return found


def is_tie(votes: list[int]) -> bool:
    """Whether two labels share the most votes."""
    counts = [count for _, count in Counter(votes).most_common(2)]
    return len(counts) == 2 and counts[0] == counts[1]


def knn_by_loop(vectors: Tensor, labels: Tensor, k: int) -> float:
    """The share of rows whose label is the most frequent one among their k most similar others."""
    votes = votes_by_loop(vectors, labels, k)
    right = [Counter(v).most_common(1)[0][0] == label for v, label in zip(votes, labels.tolist(), strict=True)]
    return sum(right) / len(right)


def neighbour_labels(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """The labels of the k best scored columns of each row, itself left out."""
    scores = scores.clone().fill_diagonal_(-torch.inf)
    return labels[scores.topk(k, dim=1).indices]


def all_cosines(vectors: Tensor) -> Tensor:
    """The cosine of every row with every row."""
    unit = F.normalize(vectors)
    return unit @ unit.T


def share_right(guesses: Tensor, labels: Tensor) -> float:
    """The share of guesses that equal the labels."""
    return (guesses == labels).double().mean().item()


def itself_counted(vectors: Tensor, labels: Tensor, k: int) -> float:
    """Every row votes for itself."""
    near = labels[all_cosines(vectors).fill_diagonal_(2).topk(k, dim=1).indices]
    return share_right(near.mode(dim=1).values, labels)


def mean_of_labels(vectors: Tensor, labels: Tensor, k: int) -> float:
    """The mean of the neighbours' labels, rounded."""
    near = neighbour_labels(all_cosines(vectors), labels, k)
    return share_right(near.double().mean(1).round().long(), labels)


def share_of_votes(vectors: Tensor, labels: Tensor, k: int) -> float:
    """The share of neighbours with the right label."""
    near = neighbour_labels(all_cosines(vectors), labels, k)
    return (near == labels[:, None]).double().mean().item()


def any_vote(vectors: Tensor, labels: Tensor, k: int) -> float:
    """Right as soon as one neighbour is right."""
    near = neighbour_labels(all_cosines(vectors), labels, k)
    return (near == labels[:, None]).any(1).double().mean().item()


def votes_by_dot_product(vectors: Tensor, labels: Tensor, k: int) -> float:
    """Neighbours by dot product."""
    near = neighbour_labels(vectors @ vectors.T, labels, k)
    return share_right(near.mode(dim=1).values, labels)


KNN_ACCURACY = Task(
    id="embed.knn_accuracy",
    title="Ask the neighbours",
    function="knn_accuracy",
    minutes=20,
    difficulty="medium",
    points=4,
    regimes=(
        Regime("one neighbour", draw_votes(20, 4, (0, 1, 2), 1, 1.2)),
        Regime("three neighbours, two classes", draw_votes(30, 5, (0, 1), 3, 2.0)),
        Regime("three neighbours, labels far apart", draw_votes(24, 8, (2, 30, 7), 3, 0.7)),
        Regime("five neighbours, labels in any order", draw_votes(40, 6, (9, 0, 4), 5, 0.5)),
        Regime("classes that mean nothing", draw_votes(30, 3, (0, 5), 3, 9.0)),
        Regime("vectors of 128 numbers", draw_votes(24, 128, (1, 2), 5, 2.5)),
        Regime("float64", draw_votes(20, 4, (0, 6), 3, 1.2, torch.float64)),
    ),
    oracle=knn_by_loop,
    misconceptions=(
        Misconception(
            "itself counted",
            itself_counted,
            "Each vector is counted among its own neighbours and votes for itself, so the accuracy is too good. "
            "Leave the diagonal out.",
        ),
        Misconception(
            "mean of labels",
            mean_of_labels,
            "This averages the labels. A label is a name: between a 2 and an 8 there is no 5. Take the most frequent.",
        ),
        Misconception(
            "share of votes",
            share_of_votes,
            "This is the share of neighbours with the right label. "
            "Let each vector's neighbours vote first, then count the votes that were won.",
        ),
        Misconception(
            "one right neighbour is enough",
            any_vote,
            "This calls a vector right as soon as one neighbour has its label. The majority must have it.",
        ),
        Misconception(
            "dot product",
            votes_by_dot_product,
            "The neighbours are chosen by dot product, so long vectors are everybody's neighbours. "
            "Scale to length one first.",
        ),
    ),
    why="A space is good for a task when neighbours share labels. This asks exactly that, and trains nothing.",
    at_size=AtSize(lambda g: (draw_rows(g, 200, 16), torch.randint(10, (200,), generator=g), 5), seconds=1.0),
)


# ----------------------------------------------------------------------------------------- embed.bytes_saved


def draw_formats(
    raw: torch.dtype, embedding: torch.dtype, *, n: int = 3, same_batch: bool = True, larger: bool = False
) -> Callable:
    """A batch of pictures and a batch of embeddings, in given formats."""

    def draw(g: Generator) -> tuple[Tensor, Tensor]:
        side, d = draw_int(g, 6, 9), draw_int(g, 2, 5)
        m = n if same_batch else n + draw_int(g, 1, 4)
        pictures = torch.rand(n, draw_int(g, 1, 3), side, side, generator=g) * 9
        embeddings = torch.rand(m, 500 * d if larger else d, generator=g)
        return pictures.to(raw), embeddings.to(embedding)

    return draw


def bytes_by_loop(raw: Tensor, embeddings: Tensor) -> float:
    """The bytes of the numbers of the first row of each, one number after the other."""
    in_raw = sum(number.nbytes for number in raw[0].flatten())
    in_embedding = sum(number.nbytes for number in embeddings[0].flatten())
    return in_raw / in_embedding


def bytes_a_sample(x: Tensor) -> int:
    """Bytes of one row."""
    return x[0].numel() * x.element_size()


BYTES_SAVED = Task(
    id="embed.bytes_saved",
    title="How much smaller",
    function="bytes_saved",
    minutes=5,
    difficulty="easy",
    points=1,
    regimes=(
        Regime("float32 to float32", draw_formats(torch.float32, torch.float32)),
        Regime("pixels of one byte to float32", draw_formats(torch.uint8, torch.float32)),
        Regime("float32 to float16", draw_formats(torch.float32, torch.float16)),
        Regime("more embeddings than pictures", draw_formats(torch.float32, torch.float32, same_batch=False)),
        Regime("float64 to int8", draw_formats(torch.float64, torch.int8)),
        Regime("a single picture", draw_formats(torch.float32, torch.float32, n=1)),
        Regime("an embedding that is larger", draw_formats(torch.float32, torch.float32, larger=True)),
    ),
    oracle=bytes_by_loop,
    misconceptions=(
        Misconception(
            "numbers instead of bytes",
            lambda raw, embeddings: raw[0].numel() / embeddings[0].numel(),
            "This counts numbers, not bytes: a float32 takes four bytes, a pixel in uint8 one. See element_size().",
        ),
        Misconception(
            "upside down",
            lambda raw, embeddings: bytes_a_sample(embeddings) / bytes_a_sample(raw),
            "The ratio is upside down: asked is how many times smaller the embedding is, raw over embedding.",
        ),
        Misconception(
            "share saved",
            lambda raw, embeddings: 1 - bytes_a_sample(embeddings) / bytes_a_sample(raw),
            "This is the share of bytes that is saved, such as 0.75. Asked is how many times smaller, such as 4.",
        ),
        Misconception(
            "whole batch",
            lambda raw, embeddings: raw.nbytes / embeddings.nbytes,
            "This compares whole batches, which may hold different numbers of samples. Compare one sample with one.",
        ),
    ),
    why="Bytes a sample is what a disk, a network and an index pay for: the count of numbers times the bytes of each.",
)


# ---------------------------------------------------------------------------------------- embed.faithful_map


def draw_maps(n: int, d: int, k: int, count: int, dtype: torch.dtype = torch.float32) -> Callable:
    """Points, and maps that mix their first two coordinates with noise; the least noisy map is any but the first.

    The noisiest map is also drawn largest.
    """

    def draw(g: Generator) -> tuple[Tensor, list[Tensor], int]:
        vectors = torch.randn(n, d, generator=g) * torch.tensor([4.0, 4.0, *[0.5] * (d - 2)])
        noise = torch.linspace(0.3, 6, count).tolist()
        maps = [vectors[:, :2] + s * torch.randn(n, 2, generator=g) for s in noise]
        maps[-1] = 9 * maps[-1]
        turn = draw_int(g, 1, count - 1)
        return vectors.to(dtype), [m.to(dtype) for m in maps[-turn:] + maps[:-turn]], k

    return draw


def draw_perfect(g: Generator) -> tuple[Tensor, list[Tensor], int]:
    """One of three maps is the points themselves, turned by 90 degrees and shrunk."""
    vectors = torch.randn(12, 2, generator=g)
    shrunk = 0.01 * vectors.flip(1) * torch.tensor([1.0, -1.0])
    return vectors, [torch.randn(12, 2, generator=g), shrunk, torch.randn(12, 2, generator=g)], 3


def draw_line_maps(g: Generator) -> tuple[Tensor, list[Tensor], int]:
    """Maps with a single coordinate."""
    vectors = torch.randn(15, 3, generator=g) * torch.tensor([1.0, 1.0, 6.0])
    return vectors, [vectors[:, i : i + 1].clone() for i in range(3)], 4


def neighbours_by_loop(x: Tensor, k: int) -> list[list[int]]:
    """For each row its k nearest others, nearest first."""
    rows = x.double().tolist()
    by_distance = [sorted((math.dist(a, b), j) for j, b in enumerate(rows) if j != i) for i, a in enumerate(rows)]
    return [[j for _, j in near[:k]] for near in by_distance]


def faithful_by_loop(vectors: Tensor, maps: Sequence[Tensor], k: int) -> tuple[int, float]:
    """The map that loses the smallest share of the k nearest neighbours, and the share."""
    near, shares = neighbours_by_loop(vectors, k), []
    for flat in maps:
        pairs = zip(near, neighbours_by_loop(flat, k), strict=True)
        lost = sum(len(set(before) - set(after)) for before, after in pairs)
        shares.append(lost / (len(vectors) * k))
    return shares.index(min(shares)), min(shares)


def near_of(x: Tensor, k: int, itself: bool = False) -> Tensor:
    """The k nearest rows of each row."""
    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.fill_diagonal_(-1 if itself else torch.inf).topk(k, largest=False).indices


def lost_in(vectors: Tensor, flat: Tensor, k: int, itself: bool = False) -> float:
    """The share of neighbours in the space that are none in the map."""
    near, mapped = near_of(vectors, k, itself), near_of(flat, k, itself)
    return 1 - (near[:, :, None] == mapped[:, None, :]).any(2).double().mean().item()


def best_by(score: Callable[..., float]) -> Callable:
    """Take the map with the lowest score, and give that score."""

    def choose(vectors: Tensor, maps: Sequence[Tensor], k: int) -> tuple[int, float]:
        scores = [score(vectors, flat, k) for flat in maps]
        return scores.index(min(scores)), min(scores)

    return choose


def share_out_of_order(vectors: Tensor, flat: Tensor, k: int) -> float:
    """The share of places at which the two lists of neighbours differ."""
    return (near_of(vectors, k) != near_of(flat, k)).double().mean().item()


def most_kept_share(vectors: Tensor, maps: Sequence[Tensor], k: int) -> tuple[int, float]:
    """The right map with the share that it keeps."""
    best, lost = faithful_by_loop(vectors, maps, k)
    return best, 1 - lost


def worst_map(vectors: Tensor, maps: Sequence[Tensor], k: int) -> tuple[int, float]:
    """The map that loses most."""
    lost = [lost_in(vectors, flat, k) for flat in maps]
    return lost.index(max(lost)), max(lost)


def most_spread_out(vectors: Tensor, maps: Sequence[Tensor], k: int) -> tuple[int, float]:
    """The map with the largest variance, and what it loses."""
    spread = [flat.var(dim=0).sum().item() for flat in maps]
    best = spread.index(max(spread))
    return best, lost_in(vectors, maps[best], k)


def lost_rows(vectors: Tensor, flat: Tensor, k: int) -> float:
    """The share of rows that lose any neighbour."""
    near, mapped = near_of(vectors, k), near_of(flat, k)
    return 1 - (near[:, :, None] == mapped[:, None, :]).any(2).all(1).double().mean().item()


FAITHFUL_MAP = Task(
    id="embed.faithful_map",
    title="Choose the map that lies least",
    function="faithful_map",
    minutes=20,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("two maps of six points", draw_maps(6, 3, 2, 2)),
        Regime("four maps", draw_maps(20, 5, 5, 4)),
        Regime("one neighbour", draw_maps(20, 4, 1, 3)),
        Regime("points of 64 numbers", draw_maps(25, 64, 5, 3)),
        Regime("a map that is the space, turned and shrunk", draw_perfect),
        Regime("maps on a line", draw_line_maps),
        Regime("float64", draw_maps(15, 4, 4, 3, torch.float64)),
    ),
    oracle=faithful_by_loop,
    misconceptions=(
        Misconception(
            "share kept",
            most_kept_share,
            "The right map, but this is the share of neighbours that it keeps. Asked is the share that it loses.",
        ),
        Misconception(
            "the map that loses most",
            worst_map,
            "You chose the map that loses most neighbours: the most faithful one loses fewest.",
        ),
        Misconception(
            "most spread out",
            most_spread_out,
            "You chose the map that is most spread out. How large or airy a map looks says nothing about who is near "
            "whom: count the neighbours.",
        ),
        Misconception(
            "itself counted",
            best_by(lambda vectors, flat, k: lost_in(vectors, flat, k, itself=True)),
            "Each point is counted among its own neighbours. No map can lose that one, so the loss looks too small.",
        ),
        Misconception(
            "same order asked",
            best_by(share_out_of_order),
            "This compares the two lists place by place. A neighbour that is still among the k, at another place, "
            "is not lost.",
        ),
        Misconception(
            "points that lose any",
            best_by(lost_rows),
            "This is the share of points that lose at least one neighbour. Count every lost neighbour, of n times k.",
        ),
    ),
    why="A map is judged by what you use it for, who is near whom, and not by how tidy it looks.",
)


TASKS: tuple[Task, ...] = (SIMILARITY_RANK, CLASS_MEANS, KNN_ACCURACY, BYTES_SAVED, FAITHFUL_MAP)
