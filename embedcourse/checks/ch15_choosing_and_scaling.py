"""Checks of chapter 15: which measure, an honest choice, bytes, cells, a loss over many processes, and the capstone."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.compare import ShareRight
from embedcourse.checks.draw import draw_int, draw_number
from embedcourse.checks.task import AtSize, Misconception, Regime, Task
from embedcourse.distances import GaussianReference

__all__ = ["TASKS"]

MEASURES = ["euclidean", "manhattan", "cosine", "mahalanobis"]


def normal(g: Generator, *shape: int) -> Tensor:
    """Standard normal numbers in double precision: in it no two distances are equal but for rounding."""
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def draw_axes(g: Generator, d: int) -> Tensor:
    """Orthonormal directions, one a row."""
    return torch.linalg.qr(normal(g, d, d)).Q


def draw_labels(g: Generator, per_class: int, classes: int = 2) -> Tensor:
    """As many rows of each class, in mixed order."""
    return torch.arange(classes).repeat(per_class)[torch.randperm(classes * per_class, generator=g)]


def until(g: Generator, draw: Callable[[Generator], tuple], good: Callable[..., bool]) -> tuple:
    """Draw again until it is good, such as clear enough that rounding decides nothing."""
    while not good(*(drawn := draw(g))):
        pass
    return drawn


def table(x: Tensor, y: Tensor, measure: str, covariance: Tensor | None = None) -> Tensor:
    """The distance of every row of x from every row of y under a measure; of the cosine, 1 minus it."""
    if measure == "cosine":
        return 1 - F.normalize(x) @ F.normalize(y).T
    if measure == "mahalanobis":
        factor = torch.linalg.cholesky(covariance)
        x, y = (torch.linalg.solve_triangular(factor, z.T, upper=False).T for z in (x, y))
    return torch.cdist(x, y, 1.0 if measure == "manhattan" else 2.0, "donot_use_mm_for_euclid_dist")


# -------------------------------------------------------------------------------------------- choose.measure

Labelled = tuple[Tensor, Tensor, list[str]]
Choice = Callable[[Tensor, Tensor, list[str]], Any]


def rays(g: Generator, per_class: int = 20, d: int = 6) -> tuple[Tensor, Tensor]:
    """A class is a direction, not far from the others', and lengths mean nothing."""
    labels = draw_labels(g, per_class)
    return cone(g, labels, d), labels


def cone(g: Generator, place: Tensor, d: int) -> Tensor:
    """Rows whose directions lie around a common one, each class to another side, and whose lengths mean nothing."""
    common, *sides = draw_axes(g, d)
    rows = common + 0.4 * torch.stack(sides)[place] + 0.03 * normal(g, len(place), d)
    return rows * (12 * torch.rand(len(place), 1, generator=g, dtype=torch.float64) - 6).exp()


def shells(g: Generator, per_class: int = 24) -> tuple[Tensor, Tensor]:
    """A class is a length, and directions mean nothing."""
    labels = draw_labels(g, per_class)
    length = 3.0 ** labels[:, None] * (1 + 0.05 * normal(g, len(labels), 1))
    return F.normalize(normal(g, len(labels), 2)) * length, labels


def stretched(g: Generator, per_class: int = 24) -> tuple[Tensor, Tensor]:
    """Two clouds side by side, thirty times as long as they are apart, along both axes at once."""
    labels = draw_labels(g, per_class)
    thin, long = labels[:, None] + 0.15 * normal(g, len(labels), 1), 30 * normal(g, len(labels), 1)
    along = F.normalize(torch.tensor([[1.0, draw_number(g, 0.8, 1.2)]], dtype=torch.float64))
    return long * along + thin * along.flip(1) * torch.tensor([-1, 1]) + 40, labels


def spiked(g: Generator, per_class: int = 20, d: int = 20) -> tuple[Tensor, Tensor]:
    """Every feature tells the class, and two features of each row are broken."""
    labels = draw_labels(g, per_class)
    rows = 2.0 * labels[:, None] + 0.3 * normal(g, len(labels), d) + 20
    broken = torch.rand(len(labels), d, generator=g).argsort(1)[:, :2]
    return rows.scatter_add(1, broken, 15 * normal(g, len(labels), 2)), labels


def blobs(g: Generator, per_class: int = 8, d: int = 4, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Classes so far apart in every respect that any measure will do."""
    labels = draw_labels(g, per_class, classes)
    return 10 * draw_axes(g, d)[labels] + 0.3 * normal(g, len(labels), d), labels


def hits(x: Tensor, labels: Tensor, measure: str) -> int:
    """How many rows have a nearest other row of their own class."""
    distances = table(x, x, measure, torch.cov(x.T)).fill_diagonal_(math.inf)
    return int((labels[distances.argmin(1)] == labels).sum())


def draw_data(g: Generator, make: Callable[[Generator], tuple[Tensor, Tensor]], measures: list[str]) -> Labelled:
    """Rows for which the best measure is three rows ahead of all others."""

    def clear(x: Tensor, labels: Tensor) -> bool:
        *_, second, best = sorted(hits(x, labels, measure) for measure in measures)
        return best - second >= 3

    return *until(g, make, clear), list(measures)


def draw_any(g: Generator, measures: list[str]) -> Labelled:
    """Rows on which all measures are right, so that the first is chosen."""

    def all_right(x: Tensor, labels: Tensor) -> bool:
        return all(hits(x, labels, measure) == len(x) for measure in measures)

    return *until(g, blobs, all_right), list(measures)


def draw_tilted(g: Generator, measures: list[str]) -> Labelled:
    """Long clouds for which the spread of each feature is not enough: the covariance between them is needed."""
    return until(g, lambda g: draw_data(g, stretched, measures), lambda *drawn: by_variances(*drawn) != "mahalanobis")


def by_variances(x: Tensor, labels: Tensor, measures: list[str]) -> str:
    """The choice of who takes each feature's variance, and leaves out how they go together."""

    def right(measure: str) -> int:
        rows, name = (x / x.std(0), "euclidean") if measure == "mahalanobis" else (x, measure)
        return hits(rows, labels, name)

    return max(measures, key=right)


def measure_by_loop(x: Tensor, labels: Tensor, measures: list[str]) -> str:
    """Measure by measure and row by row, each row against all the others."""
    inverse = torch.linalg.inv(torch.cov(x.T))
    distances = {
        "euclidean": lambda row, others: (others - row).square().sum(1).sqrt(),
        "manhattan": lambda row, others: (others - row).abs().sum(1),
        "cosine": lambda row, others: 1 - others @ row / (others.norm(dim=1) * row.norm()),
        "mahalanobis": lambda row, others: ((others - row) @ inverse * (others - row)).sum(1).sqrt(),
    }
    best, record = "", -1
    for measure in measures:
        right = 0
        for i, row in enumerate(x):
            others, theirs = torch.cat([x[:i], x[i + 1 :]]), torch.cat([labels[:i], labels[i + 1 :]])
            right += int(theirs[distances[measure](row, others).argmin()] == labels[i])
        if right > record:
            best, record = measure, right
    return best


def most(score: Callable[[Tensor, Tensor, str], float]) -> Choice:
    """The first of the measures with the largest score."""
    return lambda x, labels, measures: max(measures, key=lambda measure: score(x, labels, measure))


def with_itself(x: Tensor, labels: Tensor, measure: str) -> float:
    """Each row is its own nearest."""
    return len(x)


def cosine_as_distance(x: Tensor, labels: Tensor, measure: str) -> float:
    """The least similar row counts as the nearest."""
    if measure != "cosine":
        return hits(x, labels, measure)
    similar = (1 - table(x, x, measure)).fill_diagonal_(math.inf)
    return int((labels[similar.argmin(1)] == labels).sum())


def nearness(x: Tensor, labels: Tensor, measure: str) -> float:
    """Minus the mean distance of the nearest other row."""
    return -table(x, x, measure, torch.cov(x.T)).fill_diagonal_(math.inf).amin(1).mean().item()


MEASURE = Task(
    id="choose.measure",
    title="Let the data choose the measure",
    function="choose_measure",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("lengths that mean nothing", lambda g: draw_data(g, rays, MEASURES)),
        Regime("nothing but lengths", lambda g: draw_data(g, shells, ["cosine", "euclidean"])),
        Regime("two long clouds side by side", lambda g: draw_tilted(g, MEASURES)),
        Regime("the same, three measures", lambda g: draw_tilted(g, ["cosine", "mahalanobis", "euclidean"])),
        Regime("broken features", lambda g: draw_data(g, spiked, MEASURES)),
        Regime("any measure will do", lambda g: draw_any(g, MEASURES)),
        Regime("any will do, in another order", lambda g: draw_any(g, ["cosine", "manhattan", "euclidean"])),
        Regime("any will do, the dearest first", lambda g: draw_any(g, MEASURES[::-1])),
        Regime("one measure", lambda g: (*blobs(g, 4), ["manhattan"])),
    ),
    oracle=measure_by_loop,
    misconceptions=(
        Misconception(
            "its own neighbour",
            most(with_itself),
            "Each row finds itself, at distance 0, so every measure is always right and the first one wins. "
            "Ask for the nearest other row: set the diagonal of the table to infinity.",
        ),
        Misconception(
            "similarity taken for a distance",
            most(cosine_as_distance),
            "The row with the smallest cosine is taken for the nearest. The cosine is a similarity: large is near. "
            "Turn its sign, or use argmax for it.",
        ),
        Misconception(
            "worst measure",
            lambda x, labels, measures: min(measures, key=lambda measure: hits(x, labels, measure)),
            "This is the measure under which the fewest neighbours are right. Take the most.",
        ),
        Misconception(
            "last of equals",
            lambda x, labels, measures: most(hits)(x, labels, measures[::-1]),
            "Where measures are equally good, this takes the last. The list begins with the simplest: a later measure "
            "must be better than all before it to be worth its price.",
        ),
        Misconception(
            "cosine whatever the data",
            lambda x, labels, measures: "cosine",
            "This is cosine, whatever the data say. It is a good habit with embeddings that were trained by it, and "
            "wrong where the length is the message. Measure it.",
        ),
        Misconception(
            "Euclid whatever the data",
            lambda x, labels, measures: "euclidean",
            "This is Euclid, whatever the data say. One long direction without meaning is enough to drown all others "
            "in it. Measure it.",
        ),
        Misconception(
            "Mahalanobis whatever the data",
            lambda x, labels, measures: "mahalanobis",
            "This is the measure with the most to fit, whatever the data say. It repairs units and tilted clouds, and "
            "nothing else. Measure it.",
        ),
        Misconception(
            "variances only",
            by_variances,
            "Mahalanobis is taken with the variance of each feature alone. That repairs units. A cloud across the axes "
            "is repaired by the whole covariance: its other entries say which features go together.",
        ),
        Misconception(
            "smallest distances",
            most(nearness),
            "This takes the measure whose distances are smallest. Distances under two measures have different units, "
            "so they cannot be compared. Compare how often the nearest other row has the right class.",
        ),
        Misconception(
            "share instead of name",
            lambda x, labels, measures: max(hits(x, labels, measure) for measure in measures) / len(x),
            "This is how often the best measure is right. Asked for is its name.",
        ),
    ),
    why="The question decides which measure is right, and an experiment with the question's own labels finds it: "
    "how often is the nearest other row of the same class? Of equally good measures the simplest wins.",
    imports=("embedcourse.distances",),
)


# ---------------------------------------------------------------------------------------------- choose.split

Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, list[int]]
KS = [1, 3, 7, 15, 25]


def part(g: Generator, n: int, spread: float, flipped: float, centre: float) -> tuple[Tensor, Tensor]:
    """Two classes that overlap, off the origin, some labels wrong."""
    labels = torch.arange(n) % 2
    x = centre + 1.5 * labels[:, None] + spread * normal(g, n, 2)
    return x, labels ^ (torch.rand(n, generator=g) < flipped).long()


def draw_parts(
    g: Generator,
    n: int = 50,
    m: int = 40,
    ks: list[int] = KS,
    spread: float = 1.0,
    flipped: float = 0.2,
    centre: float = 3.0,
    test: int | None = None,
) -> Parts:
    """Training, validation and test rows of one world, and the numbers of neighbours to choose from."""
    sizes = (n, m, m if test is None else test)
    return *(t for size in sizes for t in part(g, size, spread, flipped, centre)), list(ks)


def knn_shares(corpus: Tensor, corpus_labels: Tensor, x: Tensor, labels: Tensor, metric: str = "euclidean") -> Callable:
    """The accuracy as a function of k. There are two classes and k is odd, so no vote is a tie."""
    order = table(x, corpus, metric).argsort(1)
    votes = corpus_labels[order].cumsum(1)

    def share(k: int) -> float:
        return (((2 * votes[:, k - 1]) > k).long() == labels).double().mean().item()

    return share


def split_by_loop(
    train: Tensor, train_labels: Tensor, validation: Tensor, own: Tensor, test: Tensor, others: Tensor, ks: list[int]
) -> tuple[int, float]:
    """Row by row and neighbour by neighbour."""

    corpus, classes = train.tolist(), train_labels.tolist()

    def accuracy(x: Tensor, labels: Tensor, k: int) -> float:
        right = 0
        for row, label in zip(x.tolist(), labels.tolist(), strict=True):
            near = sorted((math.dist(row, other), i) for i, other in enumerate(corpus))[:k]
            voted = [classes[i] for _, i in near]
            right += max(set(voted), key=voted.count) == label
        return right / len(x)

    best = max(ks, key=lambda k: accuracy(validation, own, k))
    return best, accuracy(test, others, best)


def chosen(
    score: Callable[..., Callable[[int], float]], told: Callable[..., Callable[[int], float]], last: bool = False
) -> Callable[..., tuple[int, float]]:
    """The k with the largest score of one kind, and another score of it; both are made of the six tensors."""

    def choose(*parts: Any) -> tuple[int, float]:
        *tensors, ks = parts
        best = max(ks[::-1] if last else ks, key=score(*tensors))
        return best, told(*tensors)(best)

    return choose


def on_train(a: Tensor, la: Tensor, b: Tensor, lb: Tensor, c: Tensor, lc: Tensor) -> Callable[[int], float]:
    """Training rows asked among themselves."""
    return knn_shares(a, la, a, la)


def on_validation(a: Tensor, la: Tensor, b: Tensor, lb: Tensor, c: Tensor, lc: Tensor) -> Callable[[int], float]:
    """Validation rows asked among the training rows."""
    return knn_shares(a, la, b, lb)


def on_test(a: Tensor, la: Tensor, b: Tensor, lb: Tensor, c: Tensor, lc: Tensor) -> Callable[[int], float]:
    """Test rows asked among the training rows."""
    return knn_shares(a, la, c, lc)


def on_both(a: Tensor, la: Tensor, b: Tensor, lb: Tensor, c: Tensor, lc: Tensor) -> Callable[[int], float]:
    """Validation and test rows together, asked among the training rows."""
    return knn_shares(a, la, torch.cat([b, c]), torch.cat([lb, lc]))


def joined(a: Tensor, la: Tensor, b: Tensor, lb: Tensor, c: Tensor, lc: Tensor) -> Callable[[int], float]:
    """Test rows asked among training and validation rows."""
    return knn_shares(torch.cat([a, b]), torch.cat([la, lb]), c, lc)


def best_on_test(*parts: Any) -> tuple[int, float]:
    """The k of the validation rows, beside the best accuracy of any k."""
    *tensors, ks = parts
    return max(ks, key=on_validation(*tensors)), max(map(on_test(*tensors), ks))


def worst_k(*parts: Any) -> tuple[int, float]:
    """The least accurate on the validation rows."""
    *tensors, ks = parts
    worst = min(ks, key=on_validation(*tensors))
    return worst, on_test(*tensors)(worst)


def by_cosine(*parts: Any) -> tuple[int, float]:
    """Right but for the measure."""
    a, la, b, lb, c, lc, ks = parts
    best = max(ks, key=knn_shares(a, la, b, lb, "cosine"))
    return best, knn_shares(a, la, c, lc, "cosine")(best)


def disagreeing(a: Tensor, la: Tensor, b: Tensor, lb: Tensor, c: Tensor, lc: Tensor, ks: list[int]) -> bool:
    """Whether training, validation and test rows each prefer another k, and two k are equally good for validation."""
    validation = sorted(map(on_validation(a, la, b, lb, c, lc), ks))
    best = {max(ks, key=score(a, la, b, lb, c, lc)) for score in (on_train, on_validation, on_test)}
    return len(best) == 3 and validation[-1] == validation[-2]


SPLIT = Task(
    id="choose.split",
    title="An honest choice, an honest number",
    function="choose_k",
    minutes=10,
    difficulty="easy",
    points=3,
    regimes=(
        Regime("wrong labels", lambda g: draw_parts(g)),
        Regime("no wrong labels", lambda g: draw_parts(g, flipped=0.0)),
        Regime("hardly any overlap", lambda g: draw_parts(g, spread=0.4, flipped=0.0)),
        Regime("three parts, three favourites", lambda g: until(g, draw_parts, disagreeing)),
        Regime("the same, large numbers first", lambda g: until(g, lambda g: draw_parts(g, ks=KS[::-1]), disagreeing)),
        Regime("few validation rows", lambda g: draw_parts(g, m=9, test=60)),
        Regime("few test rows", lambda g: draw_parts(g, test=7)),
        Regime("one number to choose from", lambda g: draw_parts(g, ks=[5])),
        Regime("far from the origin", lambda g: draw_parts(g, centre=40.0)),
        Regime("many rows", lambda g: draw_parts(g, n=120, m=90)),
    ),
    oracle=split_by_loop,
    misconceptions=(
        Misconception(
            "chosen on the training rows",
            chosen(on_train, on_test),
            "The number of neighbours was judged on the rows that are the neighbours. With one neighbour each finds "
            "itself and is never wrong, so one always wins. Judge it on rows that took no part: the validation rows.",
        ),
        Misconception(
            "chosen on the test rows",
            chosen(on_test, on_test),
            "The number of neighbours was chosen on the test rows, and then judged on them. They are no longer unseen, "
            "and the accuracy flatters. Choose on the validation rows, and look at the test rows once.",
        ),
        Misconception(
            "chosen on validation and test rows",
            chosen(on_both, on_test),
            "The test rows took part in the choice. Even a small part in it makes them useless as a judge. "
            "Choose on the validation rows alone.",
        ),
        Misconception(
            "validation accuracy reported",
            chosen(on_validation, on_validation),
            "The choice is right, but the accuracy is that on the validation rows. It is the best of several and "
            "was chosen for being high. Report the accuracy on the test rows.",
        ),
        Misconception(
            "training accuracy reported",
            chosen(on_validation, on_train),
            "The choice is right, but the accuracy is that on the training rows, each of which has itself among its "
            "neighbours. Report the accuracy on the test rows.",
        ),
        Misconception(
            "best accuracy reported",
            best_on_test,
            "The choice is right, but the accuracy is the best that any number reaches on the test rows. "
            "Report what the chosen number reaches there, whether you like it or not.",
        ),
        Misconception(
            "validation rows among the neighbours",
            chosen(on_validation, joined),
            "For the last step the validation rows were added to the training rows. That may well help, but then it is "
            "not what was chosen that is judged. The neighbours are training rows, in both steps.",
        ),
        Misconception(
            "last of equals",
            chosen(on_validation, on_test, last=True),
            "Where two numbers are equally good, this takes the later one. Take the first: max(ks, key=...) does.",
        ),
        Misconception(
            "worst number",
            worst_k,
            "This is the number with the lowest accuracy on the validation rows. Take the highest.",
        ),
        Misconception(
            "cosine",
            by_cosine,
            "The neighbours were found by cosine, which knn_accuracy takes by itself. These rows were not trained by "
            'it, and the task asks for Euclid: metric="euclidean".',
        ),
    ),
    why="Training rows are remembered, validation rows are used up by choosing, and only the test rows are left to "
    "say how good the choice is. They can say it once.",
    imports=("embedcourse.distances", "embedcourse.evaluation"),
)


# --------------------------------------------------------------------------------------------- choose.memory

Size = Callable[[int, int, str, int], Any]
STORES = ("float32", "float16", "int8", "binary")


def draw_index(
    g: Generator, store: str, cells: bool = False, d: tuple[int, int] = (3, 130), n: tuple[int, int] = (200, 9000)
) -> tuple[int, int, str, int]:
    """So many rows of so many numbers, how they are stored, and in how many cells; 0 cells is a flat index."""
    return draw_int(g, *n), draw_int(g, *d), store, draw_int(g, 3, 40) if cells else 0


def odd_bits(g: Generator, cells: bool = False) -> tuple[int, int, str, int]:
    """Codes that leave the last byte partly empty."""
    return draw_int(g, 201, 900), 8 * draw_int(g, 2, 12) + draw_int(g, 1, 7), "binary", 5 if cells else 0


def bytes_by_hand(n: int, d: int, store: str, cells: int) -> int:
    """One part after the other."""
    bits = {"float32": 32, "float16": 16, "int8": 8, "binary": 1}[store]
    whole_bytes = (bits * d + 7) // 8
    rows, ids, centres = n * whole_bytes, n * 8, cells * d * 4
    return rows + ids + centres if cells else rows


def bytes_by(
    row: Callable[[int, str], float] = lambda d, store: bytes_by_hand(1, d, store, 0),
    id_bytes: Callable[[int, int], int] = lambda n, cells: 8 * n if cells else 0,
    centre: Callable[[int, str], int] = lambda d, store: 4 * d,
    unit: int = 1,
) -> Size:
    """Right but for what a row, all ids, or a centre takes, or for the unit."""

    def size(n: int, d: int, store: str, cells: int) -> Any:
        total = n * row(d, store) + id_bytes(n, cells) + cells * centre(d, store)
        return total if unit == 1 else total / unit

    return size


def whole(bytes_a_row: dict[str, float]) -> Callable[[int, str], float]:
    """What d numbers take, rounded up to whole bytes."""
    return lambda d, store: math.ceil(bytes_a_row[store] * d)


MEMORY = Task(
    id="choose.memory",
    title="How many bytes?",
    function="index_bytes",
    minutes=10,
    difficulty="easy",
    points=3,
    regimes=(
        *(Regime(f"{store}, flat", lambda g, store=store: draw_index(g, store)) for store in STORES),
        *(Regime(f"{store}, in cells", lambda g, store=store: draw_index(g, store, cells=True)) for store in STORES),
        Regime("codes that do not fill their last byte", odd_bits),
        Regime("the same, in cells", lambda g: odd_bits(g, cells=True)),
        Regime("one row", lambda g: draw_index(g, "float32", n=(1, 1))),
        Regime("one cell", lambda g: (*draw_index(g, "float16")[:3], 1)),
        Regime("a thousand million rows", lambda g: (10**9, 768, "binary", 2**16)),
    ),
    oracle=bytes_by_hand,
    misconceptions=(
        Misconception(
            "bits for bytes",
            bytes_by(row=lambda d, store: {"float32": 32, "float16": 16, "int8": 8, "binary": 1}[store] * d),
            "The rows are counted in bits, and the rest in bytes. Eight bits make a byte: float32 takes 4 bytes.",
        ),
        Misconception(
            "a byte for each bit",
            bytes_by(row=whole({"float32": 4, "float16": 2, "int8": 1, "binary": 1})),
            "Each bit of a code takes a whole byte here. That is what a bool tensor does. A code is packed, eight bits "
            "to the byte.",
        ),
        Misconception(
            "last byte cut off",
            bytes_by(row=lambda d, store: d // 8 if store == "binary" else bytes_by_hand(1, d, store, 0)),
            "Bits that do not fill a byte are cut off. They need a byte all the same: round up.",
        ),
        Misconception(
            "parts of a byte",
            bytes_by(row=lambda d, store: d / 8 if store == "binary" else bytes_by_hand(1, d, store, 0)),
            "A code takes a part of a byte here. Memory has no such parts: round up to whole bytes.",
        ),
        Misconception(
            "packed across rows",
            lambda n, d, store, cells: bytes_by_hand(1, n * d, store, 0) + bool(cells) * 8 * n + cells * d * 4,
            "The bits of all rows are packed in one go, so a row may begin in the middle of a byte. "
            "Each row is rounded up to whole bytes by itself.",
        ),
        Misconception(
            "double precision",
            bytes_by(row=whole({"float32": 8, "float16": 4, "int8": 2, "binary": 1 / 8})),
            "Each number takes twice its room. float32 is 32 bits, which are 4 bytes; 8 bytes is float64.",
        ),
        Misconception(
            "ids forgotten",
            bytes_by(id_bytes=lambda n, cells: 0),
            "The ids are missing. In cells the rows no longer stand in their order, so each brings its number along, "
            "8 bytes each.",
        ),
        Misconception(
            "ids of four bytes",
            bytes_by(id_bytes=lambda n, cells: 4 * n if cells else 0),
            "The ids take 4 bytes here. They are int64, which is 8: as many as 64 bits of code.",
        ),
        Misconception(
            "ids in a flat index too",
            bytes_by(id_bytes=lambda n, cells: 8 * n),
            "The flat index holds ids here. It needs none: the place of a row is its number.",
        ),
        Misconception(
            "one id for each cell",
            bytes_by(id_bytes=lambda n, cells: 8 * cells),
            "There is one id for each cell here. Each row has its own.",
        ),
        Misconception(
            "centres forgotten",
            bytes_by(centre=lambda d, store: 0),
            "The centres of the cells are missing. Every query is compared with them first: cells rows of d float32.",
        ),
        Misconception(
            "centres stored like rows",
            bytes_by(centre=lambda d, store: bytes_by_hand(1, d, store, 0)),
            "The centres are stored as the rows are. They stay in float32 whatever the rows are stored in, "
            "4 bytes a number.",
        ),
        Misconception(
            "kilobytes",
            bytes_by(unit=1000),
            "This is in kilobytes. Asked for are bytes, as a whole number.",
        ),
    ),
    why="Rows cost what their numbers cost, rounded up to whole bytes. Cells add an id to each row, and a centre to "
    "each cell. For short codes the ids can outweigh the codes.",
)


# ---------------------------------------------------------------------------------------------- choose.cells

InCells = tuple[Tensor, Tensor, Tensor, Tensor, int, int]
Search = Callable[[Tensor, Tensor, Tensor, Tensor, int, int], Tensor]


def draw_cells(
    g: Generator, n: int = 40, d: int = 3, cells: int = 6, nprobe: int = 2, k: int = 3, offset: float = 2.0
) -> InCells:
    """A query near the border of its cell, rows, their cells' centres, the cell of each row, and two numbers.

    The centres are rows of the corpus themselves, moved a little, in mixed order.
    """
    corpus = offset + normal(g, n, d)
    centres = corpus[torch.randperm(n, generator=g)[:cells]] + 0.1 * normal(g, cells, d)
    cell_of = table(corpus, centres, "euclidean").argmin(1)
    query = (centres[0] + centres[-1]) / 2 + 0.1 * normal(g, d)
    return query, corpus, centres, cell_of, nprobe, k


def draw_few_in_reach(g: Generator) -> InCells:
    """The probed cell holds two rows, and five are wanted."""
    query, corpus, centres, cell_of, *_ = draw_cells(g, 30, 3, 5)
    nearest = (centres - query).norm(dim=1).argmin()
    cell_of[cell_of == nearest] = (nearest + 1) % len(centres)
    cell_of[torch.randperm(30, generator=g)[:2]] = nearest
    return query, corpus, centres, cell_of, 1, 5


def draw_empty_cell(g: Generator) -> InCells:
    """No row lies in the probed cell."""
    query, corpus, centres, cell_of, *_ = draw_cells(g, 30, 3, 5)
    nearest = (centres - query).norm(dim=1).argmin()
    cell_of[cell_of == nearest] = (nearest + 1) % len(centres)
    return query, corpus, centres, cell_of, 1, 3


def missed(*drawn: Any) -> bool:
    """Whether one cell more or less, all of them, their order, or another measure would give another answer."""
    query, corpus, centres, cell_of, nprobe, k = drawn
    found = cells_by_loop(*drawn)
    others = [cells_by_loop(query, corpus, centres, cell_of, other, k) for other in (1, nprobe + 1, len(centres))]
    return all(not torch.equal(found, other) for other in (*others, cell_after_cell(*drawn), by_product(*drawn)))


def overflowing(*drawn: Any) -> bool:
    """The same, and the nearest cell holds fewer rows than are wanted."""
    query, _, centres, cell_of, _, k = drawn
    return missed(*drawn) and int((cell_of == to_query(query, centres).argmin()).sum()) < k


def cells_by_loop(query: Tensor, corpus: Tensor, centres: Tensor, cell_of: Tensor, nprobe: int, k: int) -> Tensor:
    """Sort the cells, collect the rows of the first of them one by one, sort those."""
    point = query.tolist()
    by_distance = sorted(range(len(centres)), key=lambda cell: math.dist(point, centres[cell].tolist()))
    probed = set(by_distance[:nprobe])
    rows = [i for i, cell in enumerate(cell_of.tolist()) if cell in probed]
    best = sorted(rows, key=lambda i: math.dist(point, corpus[i].tolist()))[:k]
    return torch.tensor(best + [-1] * (k - len(best)), dtype=torch.long)


def to_query(query: Tensor, rows: Tensor) -> Tensor:
    """The distance of each row."""
    return (rows - query).norm(dim=1)


def filled(ids: Tensor, k: int, value: int = -1) -> Tensor:
    """k ids, the missing ones a value."""
    return F.pad(ids[:k], (0, max(0, k - len(ids))), value=value)


def rows_in(cell_of: Tensor, probed: Tensor) -> Tensor:
    """The rows of some cells."""
    return torch.isin(cell_of, probed).nonzero()[:, 0]


def nearest_cells(query: Tensor, centres: Tensor, nprobe: int) -> Tensor:
    """The cells to probe."""
    return to_query(query, centres).argsort()[:nprobe]


def probing(
    cells: Callable[[Tensor, Tensor, int], Tensor] = nearest_cells,
    order: Callable[[Tensor, Tensor], Tensor] = lambda query, rows: to_query(query, rows).argsort(),
    value: int = -1,
) -> Search:
    """Right but for which cells are probed, how rows are ordered, or what stands for a missing one."""

    def search(query: Tensor, corpus: Tensor, centres: Tensor, cell_of: Tensor, nprobe: int, k: int) -> Tensor:
        rows = rows_in(cell_of, cells(query, centres, nprobe))
        return filled(rows[order(query, corpus[rows])], k, value)

    return search


def places(query: Tensor, corpus: Tensor, centres: Tensor, cell_of: Tensor, nprobe: int, k: int) -> Tensor:
    """Places among the rows of the probed cells."""
    rows = rows_in(cell_of, nearest_cells(query, centres, nprobe))
    return filled(to_query(query, corpus[rows]).argsort(), k)


def cell_after_cell(query: Tensor, corpus: Tensor, centres: Tensor, cell_of: Tensor, nprobe: int, k: int) -> Tensor:
    """All of the nearest cell before any of the next."""
    found = []
    for cell in nearest_cells(query, centres, nprobe):
        rows = rows_in(cell_of, cell)
        found.append(rows[to_query(query, corpus[rows]).argsort()])
    return filled(torch.cat(found), k)


def k_of_each(query: Tensor, corpus: Tensor, centres: Tensor, cell_of: Tensor, nprobe: int, k: int) -> Tensor:
    """k for each cell, not merged."""
    probed = nearest_cells(query, centres, nprobe)
    return torch.cat([cells_by_loop(query, corpus, centres[c][None], (cell_of != c).long(), 1, k) for c in probed])


def by_product(query: Tensor, corpus: Tensor, centres: Tensor, cell_of: Tensor, nprobe: int, k: int) -> Tensor:
    """Cells and rows by the largest dot product."""
    return probing(
        lambda query, centres, nprobe: (centres @ query).argsort(descending=True)[:nprobe],
        lambda query, rows: (rows @ query).argsort(descending=True),
    )(query, corpus, centres, cell_of, nprobe, k)


CELLS = Task(
    id="choose.cells",
    title="Look into the nearest cells only",
    function="search_cells",
    minutes=15,
    difficulty="medium",
    points=4,
    regimes=(
        Regime("two cells of six", lambda g: until(g, draw_cells, missed)),
        Regime("three cells of eight", lambda g: until(g, lambda g: draw_cells(g, 50, 2, 8, 3, 8), overflowing)),
        Regime("only the best row", lambda g: draw_cells(g, k=1)),
        Regime("as many cells as dimensions", lambda g: draw_cells(g, 60, 6, 6, 2, 6)),
        Regime("one cell", lambda g: draw_cells(g, nprobe=1)),
        Regime("all cells", lambda g: draw_cells(g, nprobe=6)),
        Regime("fewer rows than wanted", draw_few_in_reach),
        Regime("an empty cell", draw_empty_cell),
        Regime("around the origin", lambda g: draw_cells(g, offset=0.0)),
        Regime("many rows and dimensions", lambda g: draw_cells(g, 300, 24, 20, 4, 10)),
    ),
    oracle=cells_by_loop,
    misconceptions=(
        Misconception(
            "every cell",
            probing(cells=lambda query, centres, nprobe: torch.arange(len(centres))),
            "This looks into every cell, so it is exact and saves nothing. Keep the rows of the nprobe nearest cells.",
        ),
        Misconception(
            "nearest cell only",
            probing(cells=lambda query, centres, nprobe: nearest_cells(query, centres, 1)),
            "This looks into the nearest cell only. A query near a border has neighbours on the other side: "
            "look into the nprobe nearest cells.",
        ),
        Misconception(
            "first cells",
            probing(cells=lambda query, centres, nprobe: torch.arange(nprobe)),
            "These are the first nprobe cells of the list. Take those whose centres are nearest to the query.",
        ),
        Misconception(
            "farthest cells",
            probing(cells=lambda query, centres, nprobe: to_query(query, centres).argsort(descending=True)[:nprobe]),
            "These are the cells whose centres are farthest from the query. A distance is good when it is small.",
        ),
        Misconception(
            "farthest rows",
            probing(order=lambda query, rows: to_query(query, rows).argsort(descending=True)),
            "The cells are right, but of their rows the farthest come first. Sort upwards.",
        ),
        Misconception(
            "places instead of rows",
            places,
            "These are places among the rows of the probed cells. Whoever asked has the corpus, and needs its row "
            "numbers: rows[best] instead of best.",
        ),
        Misconception(
            "cell after cell",
            cell_after_cell,
            "All rows of the nearest cell come before those of the next. The order of the cells says little about "
            "their rows: put the rows of all probed cells together, then sort.",
        ),
        Misconception(
            "k of each cell",
            k_of_each,
            "There are k rows of each probed cell here. Asked for are k in all: merge them, sort, and cut.",
        ),
        Misconception(
            "dot product",
            by_product,
            "Cells and rows are ranked by the dot product. The cells were made by distance, and the rows have not "
            "length 1, so that is another order. Use the distance for both.",
        ),
        Misconception(
            "in the order of the corpus",
            probing(order=lambda query, rows: torch.arange(len(rows))),
            "The rows of the probed cells stand in the order of the corpus, so the first k are not the best k. "
            "Sort them by their distance to the query.",
        ),
        Misconception(
            "filled with row 0",
            probing(value=0),
            "Missing places are filled with 0, which is a row. Nobody could tell that it was not found. Fill with −1.",
        ),
        Misconception(
            "shorter than k",
            lambda *a: cells_by_loop(*a)[cells_by_loop(*a) >= 0],
            "Where the probed cells hold fewer than k rows, the result is shorter than k. Fill it up with −1, so that "
            "the results of many queries make a table.",
        ),
    ),
    why="The centres decide where to look, the distances decide what is best, and what was not looked at cannot be "
    "found. With every cell probed the search is exact.",
    at_size=AtSize(lambda g: draw_cells(g, 12_000, 16, 100, 3, 10), seconds=2.0, largest_bytes=700_000),
)


# --------------------------------------------------------------------------------------------- choose.gather

Ranked = tuple[Tensor, Tensor, int, float]
Share = Callable[[Tensor, Tensor, int, float], Tensor]


def draw_ranks(g: Generator, world: int, rank: int, n: int = 3, d: int = 4, temperature: float = 0.3) -> Ranked:
    """What each of some processes embedded, unit rows in two views, the number of one of them, a temperature."""
    z0 = normal(g, world, n, d)
    z1 = z0 + 0.8 * normal(g, world, n, d)
    return F.normalize(z0, dim=-1), F.normalize(z1, dim=-1), rank, temperature


def draw_single(g: Generator) -> Ranked:
    """Single precision."""
    z0, z1, rank, temperature = draw_ranks(g, 2, 1)
    return z0.float(), z1.float(), rank, temperature


def share_by_loop(z0: Tensor, z1: Tensor, rank: int, temperature: float) -> Tensor:
    """Row by row of the process, against every row of every process."""
    total = z0.new_zeros(())
    for mine, theirs in ((z0, z1), (z1, z0)):
        for i in range(z0.shape[1]):
            row = mine[rank, i]
            scores = torch.stack([row @ other / temperature for part in theirs for other in part])
            own = row @ theirs[rank, i] / temperature
            total = total + scores.logsumexp(0) - own
    return total / (2 * z0.shape[1])


def one_way(rows: Tensor, others: Tensor, own: Tensor, temperature: float, reduction: str = "mean") -> Tensor:
    """Each row looks for its own among the others."""
    return F.cross_entropy(rows @ others.flatten(0, -2).T / temperature, own, reduction=reduction)


def both_ways(
    rows0: Tensor, all0: Tensor, rows1: Tensor, all1: Tensor, own: Tensor, temperature: float, reduction: str = "mean"
) -> Tensor:
    """The mean of the two directions."""
    return (one_way(rows0, all1, own, temperature, reduction) + one_way(rows1, all0, own, temperature, reduction)) / 2


def own_places(z: Tensor, rank: int) -> Tensor:
    """Where the rows of a process stand among all."""
    return torch.arange(z.shape[1]) + rank * z.shape[1]


def gathering(gather: Callable[[Tensor, int], Tensor], places: Callable[[Tensor, int], Tensor] = own_places) -> Share:
    """Right but for how the rows of all are gathered, or where a process looks for its own."""
    return lambda z0, z1, rank, temperature: both_ways(
        z0[rank], gather(z0, rank), z1[rank], gather(z1, rank), places(z0, rank), temperature
    )


def share(z0: Tensor, z1: Tensor, rank: int, temperature: float) -> Tensor:
    """As asked for."""
    return gathering(lambda z, rank: z)(z0, z1, rank, temperature)


def own_alive(z: Tensor, rank: int) -> Tensor:
    """Only the rows of the process itself carry a gradient."""
    return torch.cat([z[:rank].detach(), z[rank : rank + 1], z[rank + 1 :].detach()])


def joint(z0: Tensor, z1: Tensor, rank: int, temperature: float) -> Tensor:
    """The loss of all rows of all processes."""
    own = torch.arange(z0[..., 0].numel())
    return both_ways(z0.flatten(0, 1), z0, z1.flatten(0, 1), z1, own, temperature)


def summed(z0: Tensor, z1: Tensor, rank: int, temperature: float) -> Tensor:
    """The sum over the rows."""
    return both_ways(z0[rank], z0, z1[rank], z1, own_places(z0, rank), temperature, "sum")


GATHER = Task(
    id="choose.gather",
    title="One process of many",
    function="rank_loss",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("the first of two", lambda g: draw_ranks(g, 2, 0)),
        Regime("the second of two", lambda g: draw_ranks(g, 2, 1)),
        Regime("the third of four", lambda g: draw_ranks(g, 4, 2)),
        Regime("the last of three", lambda g: draw_ranks(g, 3, 2, n=5)),
        Regime("one process", lambda g: draw_ranks(g, 1, 0)),
        Regime("one row for each process", lambda g: draw_ranks(g, 4, 1, n=1)),
        Regime("as many processes as rows", lambda g: draw_ranks(g, 3, 1, n=3, d=3)),
        Regime("a low temperature", lambda g: draw_ranks(g, 2, 1, temperature=0.05)),
        Regime("a temperature above one", lambda g: draw_ranks(g, 3, 1, temperature=draw_number(g, 1.5, 3))),
        Regime("single precision", draw_single),
        Regime("many rows and dimensions", lambda g: draw_ranks(g, 4, 3, n=8, d=32)),
    ),
    oracle=share_by_loop,
    gradients=(0, 1),
    misconceptions=(
        Misconception(
            "places not moved on",
            gathering(lambda z, rank: z, places=lambda z, rank: torch.arange(z.shape[1])),
            "Each process looks for its own rows at the places 0 to n − 1, where only the first process has them. "
            "The rows of process r begin at place r · n.",
        ),
        Misconception(
            "own rows only",
            gathering(lambda z, rank: z[rank], places=lambda z, rank: torch.arange(z.shape[1])),
            "The process compares its rows with its own only. That is the loss of a small batch, and no mean of such "
            "losses is the loss of the large one. Compare with the rows of all processes.",
        ),
        Misconception(
            "joint loss",
            joint,
            "This is the loss of all rows of all processes, which each of them would compute again. "
            "Asked for is one process's share: its own rows against all.",
        ),
        Misconception(
            "gathered without gradient",
            gathering(lambda z, rank: z.detach()),
            "The value is right. But the gathered rows carry no gradient, as after a plain all_gather, so nobody tells "
            "them to come or to go. Keep them in the graph: no detach.",
        ),
        Misconception(
            "only own rows carry a gradient",
            gathering(own_alive),
            "The value is right, and own rows carry a gradient, but the rows of other processes carry none. What they "
            "should learn from this process is lost, and the mean over processes is not the joint gradient.",
        ),
        Misconception(
            "one direction",
            lambda z0, z1, rank, temperature: one_way(z0[rank], z1, own_places(z0, rank), temperature),
            "Only the first view looks for the second. Let the second look for the first too, and take the mean.",
        ),
        Misconception(
            "the other direction",
            lambda z0, z1, rank, temperature: one_way(z1[rank], z0, own_places(z0, rank), temperature),
            "Only the second view looks for the first. Let the first look for the second too, and take the mean.",
        ),
        Misconception(
            "sum of the directions",
            lambda *a: 2 * share(*a),
            "The two directions are added up. Take their mean.",
        ),
        Misconception(
            "sum over the rows",
            summed,
            "This adds up over the rows of the process. Then the size of a step would grow with the batch: take the "
            "mean over its n rows.",
        ),
        Misconception(
            "one over the number of processes",
            lambda z0, z1, rank, temperature: share(z0, z1, rank, temperature) / len(z0),
            "This divides by the rows of all processes. But whoever averages gradients over processes divides by their "
            "number again, so each step would be too small by that number. Divide by your own n rows.",
        ),
        Misconception(
            "temperature multiplied",
            lambda z0, z1, rank, temperature: share(z0, z1, rank, 1 / temperature),
            "The cosines are multiplied by the temperature. Divide by it: a low temperature sharpens.",
        ),
        Misconception(
            "processes interleaved",
            gathering(lambda z, rank: z.transpose(0, 1).contiguous()),
            "The rows are gathered one of each process in turn, so no process finds its own where it looks. "
            "Gathering puts one process after the other: z.flatten(0, 1).",
        ),
    ),
    why="The mean of all shares is the loss of the joint batch, and as the gathered rows stay in the graph, the mean "
    "of the gradients is its gradient. Many processes then learn what one would.",
)


# ------------------------------------------------------------------------------------------- choose.capstone

World = tuple[Tensor, Tensor, Tensor]
Way = tuple[Tensor, Tensor, Tensor, Tensor]
Make = Callable[[Generator, Tensor], Tensor]
READY = ("euclidean", "cosine", "mahalanobis")
WANTED = 0.9
#: The weight of the sphere in a covariance: enough that it has full rank, too little to drown a quiet direction.
LITTLE = 1e-8


def corners(place: Tensor, d: int) -> Tensor:
    """The centre of each row's class: corners of a regular polygon in the first two of d directions."""
    angle = 2 * math.pi * place.double() / (place.max() + 1)
    return F.pad(torch.stack([angle.cos(), angle.sin()], dim=1), (0, d - 2))


def loud(g: Generator, place: Tensor, d: int = 32) -> Tensor:
    """Two quiet directions tell the class, all others are loud and tell nothing; none is along an axis."""
    spread = torch.cat([torch.full((2,), 0.3), 10 + 20 * torch.rand(d - 2, generator=g)]).double()
    return (4 * corners(place, d) + spread * normal(g, len(place), d)) @ draw_axes(g, d) + 50


def units(g: Generator, place: Tensor, d: int = 6) -> Tensor:
    """The two features that tell the class are in small units, the others in large ones."""
    spread = torch.cat([torch.full((2,), 0.15), 50 + 250 * torch.rand(d - 2, generator=g)]).double()
    return (2 * corners(place, d) + spread * normal(g, len(place), d))[:, torch.randperm(d, generator=g)] + 100


def directions(g: Generator, place: Tensor, d: int = 24) -> Tensor:
    """A class is a direction, not far from the others', and lengths mean nothing."""
    return cone(g, place, d)


def lengths(g: Generator, place: Tensor, d: int = 3) -> Tensor:
    """A class is a length, and directions mean nothing."""
    length = 5.0 ** place[:, None] * (1 + 0.05 * normal(g, len(place), 1))
    return F.normalize(normal(g, len(place), d)) * length


def wide(g: Generator, place: Tensor, d: int = 40) -> Tensor:
    """Many features, all alike, and the class in a few directions."""
    return 5 * draw_axes(g, d)[place] + 0.5 * normal(g, len(place), d)


def draw_truth(
    g: Generator, make: Make, per_class: int = 40, classes: int = 3, m: int = 60, only: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Labelled rows in mixed order, other rows, of one class if so wished, and their labels, which stay here."""
    train = draw_labels(g, per_class, classes)
    test = torch.zeros(m, dtype=torch.long) if only else torch.randint(classes, (m,), generator=g)
    rows = make(g, torch.cat([train, test]))
    names = 3 + torch.randperm(40, generator=g)[:classes]
    return rows[: len(train)], names[train], rows[len(train) :], names[test]


def draw_world(g: Generator, make: Make, **sizes: Any) -> World:
    """A world in which whoever asks either half, or both, is right about every row."""

    def solved(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor) -> bool:
        forth, back = half_by_half(train, labels)
        chosen = {most_right(ways) for ways in ([forth, back], [forth], [back])}
        return all(torch.equal(classify_plainly(train, labels, test, measure), truth) for measure in chosen)

    return until(g, lambda g: draw_truth(g, make, **sizes), solved)[:3]


def residuals(x: Tensor, labels: Tensor) -> Tensor:
    """What is left of each row when the mean of its class is taken off."""
    names, place = labels.unique(return_inverse=True)
    return x - torch.stack([x[labels == name].mean(0) for name in names])[place]


def little_shrunk(centred: Tensor, weight: float = LITTLE) -> Tensor:
    """The covariance of centred rows, with a little of the sphere of its own mean variance."""
    s = centred.T @ centred / (len(centred) - 1)
    return (1 - weight) * s + weight * s.trace() / len(s) * torch.eye(len(s), dtype=s.dtype)


def classify_plainly(x: Tensor, labels: Tensor, queries: Tensor, measure: str) -> Tensor:
    """The class of the nearest row, all differences spelled out."""
    if measure == "mahalanobis":
        factor = torch.linalg.cholesky(little_shrunk(residuals(x, labels)))
        x, queries = (torch.linalg.solve_triangular(factor, z.T, upper=False).T for z in (x, queries))
    if measure == "cosine":
        x, queries = F.normalize(x), F.normalize(queries)  # among unit vectors the nearest has the largest cosine
    return labels[(queries[:, None] - x).square().sum(2).argmin(1)]


def predict_by_halves(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """Each half of the training rows is asked about the other; the measure that is right most often predicts."""
    return classify_plainly(train, labels, test, most_right(half_by_half(train, labels)))


def half_by_half(train: Tensor, labels: Tensor) -> list[Way]:
    """Each half of the rows asked about the other: rows and classes that are known, rows and classes that are asked."""
    (x, y), (of_x, of_y) = train.chunk(2), labels.chunk(2)
    return [(x, of_x, y, of_y), (y, of_y, x, of_x)]


def most_right(ways: list[Way]) -> str:
    """The measure under which most rows that are asked have a neighbour of their own class."""
    right = dict.fromkeys(READY, 0)
    for measure in READY:
        for x, of_x, y, of_y in ways:
            right[measure] += int((classify_plainly(x, of_x, y, measure) == of_y).sum())
    return max(READY, key=right.get)


def covariance_of(x: Tensor, labels: Tensor) -> Tensor:
    """Within the classes."""
    return little_shrunk(residuals(x, labels))


def nearest_label(x: Tensor, labels: Tensor, queries: Tensor, measure: str, covariance: Tensor | None = None) -> Tensor:
    """The class of the nearest row."""
    return labels[table(queries, x, measure, covariance).argmin(1)]


def always(measure: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """One measure for all data."""
    return lambda train, labels, test: nearest_label(train, labels, test, measure, covariance_of(train, labels))


def choosing(
    covariance: Callable[[Tensor, Tensor], Tensor] = covariance_of, read: Callable[..., Tensor] = nearest_label
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A choice by halves, right but for the covariance, or for how a class is read off."""

    def predict(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
        (fit, asked), (of_fit, of_asked) = train.chunk(2), labels.chunk(2)

        def right(measure: str) -> int:
            return int((read(fit, of_fit, asked, measure, covariance(fit, of_fit)) == of_asked).sum())

        return read(train, labels, test, max(READY, key=right), covariance(train, labels))

    return predict


def by_class_means(x: Tensor, labels: Tensor, queries: Tensor, measure: str, covariance: Tensor) -> Tensor:
    """The class of the nearest mean."""
    names = labels.unique()
    means = torch.stack([x[labels == name].mean(0) for name in names])
    return nearest_label(means, names, queries, measure, covariance)


def positions(x: Tensor, labels: Tensor, queries: Tensor, measure: str, covariance: Tensor) -> Tensor:
    """The number of the nearest row."""
    return table(queries, x, measure, covariance).argmin(1)


def ledoit_wolf(x: Tensor, labels: Tensor) -> Tensor:
    """The weight of the sphere by Ledoit and Wolf's rule."""
    centred = residuals(x, labels)
    s = centred.T @ centred / len(x)
    spread = s.square().sum()
    noise = (centred.square().sum(1).square().mean() - spread) / len(x)
    return little_shrunk(centred, (noise / (spread - s.trace() ** 2 / len(s))).clamp(0, 1).item())


def standardised(by_test: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Euclid after each feature was divided by its spread: the test rows by the training rows' or by their own."""

    def predict(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
        known = test if by_test else train
        return nearest_label(
            (train - train.mean(0)) / train.std(0), labels, (test - known.mean(0)) / known.std(0), "euclidean"
        )

    return predict


def covariance_a_class(train: Tensor, labels: Tensor, test: Tensor) -> Tensor:
    """The nearest class mean, each in the spread of its own class."""
    parts = [train[labels == name] for name in labels.unique()]
    far = [table(test, p.mean(0, keepdim=True), "mahalanobis", little_shrunk(p - p.mean(0)))[:, 0] for p in parts]
    return labels.unique()[torch.stack(far).argmin(0)]


CAPSTONE = Task(
    id="choose.capstone",
    title="Predict what nobody labelled",
    function="predict",
    minutes=30,
    difficulty="hard",
    points=5,
    regimes=(
        Regime("loud directions that mean nothing", lambda g: draw_world(g, loud)),
        Regime("unequal units", lambda g: draw_world(g, units)),
        Regime("lengths that mean nothing", lambda g: draw_world(g, directions, per_class=12)),
        Regime("nothing but lengths", lambda g: draw_world(g, lengths)),
        Regime("fewer rows than features", lambda g: draw_world(g, wide, per_class=6)),
        Regime("loud directions, all of one class", lambda g: draw_world(g, loud, only=True)),
        Regime("unequal units, all of one class", lambda g: draw_world(g, units, only=True)),
        Regime("seven classes", lambda g: draw_world(g, directions, per_class=12, classes=7)),
        Regime("two classes", lambda g: draw_world(g, lengths, classes=2)),
    ),
    oracle=predict_by_halves,
    compare=ShareRight(WANTED),
    misconceptions=(
        Misconception(
            "Euclid on raw rows",
            always("euclidean"),
            "The nearest row by Euclid, whatever the data. Loud directions that tell nothing about the class decide "
            "it, or the lengths do. Let a part of the training rows judge several measures.",
        ),
        Misconception(
            "cosine on raw rows",
            always("cosine"),
            "The nearest row by cosine, whatever the data. Where the class is in the length, cosine throws it away. "
            "Let a part of the training rows judge several measures.",
        ),
        Misconception(
            "Mahalanobis on raw rows",
            always("mahalanobis"),
            "The nearest row by Mahalanobis, whatever the data. It repairs units and loud directions, but not lengths "
            "that mean nothing. Let a part of the training rows judge several measures.",
        ),
        Misconception(
            "standardised",
            standardised(by_test=False),
            "Each feature is divided by its spread, whatever the data. That repairs units along the axes. A loud "
            "direction across the axes is in all features, and none of them looks loud.",
        ),
        Misconception(
            "standardised by the test rows",
            standardised(by_test=True),
            "The test rows are standardised by their own mean and spread. When all are of one class, the class is in "
            "that mean, and it is gone. Whatever is fitted is fitted on the training rows.",
        ),
        Misconception(
            "covariance of all rows",
            choosing(lambda x, labels: little_shrunk(x - x.mean(0))),
            "The covariance is taken around the mean of all rows, so the distance between the classes counts as "
            "spread, and is divided out. Subtract from each row the mean of its class first.",
        ),
        Misconception(
            "a covariance for each class",
            covariance_a_class,
            "Each class has a covariance of its own, fitted on its few rows, and the widest class is near to everyone. "
            "Subtract the class means and fit one covariance on all that is left.",
        ),
        Misconception(
            "shrunk too far",
            choosing(ledoit_wolf),
            "The covariance is shrunk towards a sphere by Ledoit and Wolf's rule. The sphere is as wide as the loud "
            "directions are on average, and the quiet ones that tell the class drown in it. "
            "Shrink only so much that the covariance has full rank.",
        ),
        Misconception(
            "not shrunk",
            choosing(lambda x, labels: GaussianReference().fit(residuals(x, labels)).covariance),
            "With fewer rows than features the covariance has no inverse, and your function has no answer. "
            "A tiny weight of the sphere is enough to give it one.",
        ),
        Misconception(
            "class means",
            choosing(read=by_class_means),
            "Each row goes to the nearest class mean. Where a class is a length, all means lie together in the middle. "
            "Ask the nearest rows.",
        ),
        Misconception(
            "numbers of rows",
            choosing(read=positions),
            "These are numbers of training rows. Asked for is the class of each: labels[rows].",
        ),
    ),
    why="Nobody told you which kind of data it is. Rows kept back from the training rows judged the measures, whatever "
    "was fitted was fitted on training rows, and the test rows were only predicted.",
    imports=("embedcourse.distances", "embedcourse.evaluation"),
)


TASKS = (MEASURE, SPLIT, MEMORY, CELLS, GATHER, CAPSTONE)
