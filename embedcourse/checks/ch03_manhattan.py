"""Checks of chapter 3: sum absolute differences, for pairs and walks, find the middle, and choose a measure."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from embedcourse.checks.compare import Close
from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import AtSize, Misconception, Regime, Task

__all__ = ["TASKS"]


# -------------------------------------------------------------------------------------- manhattan.distance


def draw_pair(
    g: Generator, rows: tuple[int, ...], d: int, scale: float = 3.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Rows that differ by more than 0 everywhere, once upwards and once downwards at least."""
    x = torch.randn(*rows, d, generator=g, dtype=dtype) * scale
    step = (torch.rand(*rows, d, generator=g, dtype=dtype) + 0.2) * scale
    sign = torch.randn(*rows, d, generator=g).sign()
    sign[..., :2] = torch.tensor([1.0, -1.0])
    return x, x + step * sign


def draw_bytes(g: Generator) -> tuple[Tensor, Tensor]:
    """Two pictures of bytes; the first byte rises and the second falls."""
    x, y = torch.randint(60, 200, (2, 3, 5), generator=g, dtype=torch.uint8)
    x[:, :2] = torch.tensor([3, 250], dtype=torch.uint8)
    y[:, :2] = torch.tensor([5, 100], dtype=torch.uint8)
    return x, y


def draw_some_equal(g: Generator) -> tuple[Tensor, Tensor]:
    """Two vectors that are equal in all places but three."""
    x, y = draw_pair(g, (), 8)
    y[3:] = x[3:]
    y[2] = x[2] + 5
    return x, y


def draw_one_against_many(g: Generator) -> tuple[Tensor, Tensor]:
    """One row of five, and four rows of five."""
    x, y = draw_pair(g, (4,), 5)
    return x[0], y


def distance_by_loop(x: Tensor, y: Tensor) -> Tensor:
    """Number by number."""
    x, y = torch.broadcast_tensors(x, y)
    if x.dim() == 1:
        total = sum(abs(a - b) for a, b in zip(x.tolist(), y.tolist(), strict=True))
        return torch.tensor(total, dtype=torch.float64)
    return torch.stack([distance_by_loop(a, b) for a, b in zip(x, y, strict=True)])


def of_differences(wrong: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A wrong idea of what to do with the differences."""
    return lambda x, y: wrong(x.double() - y)


DISTANCE = Task(
    id="manhattan.distance",
    title="Add up the differences",
    function="manhattan",
    minutes=6,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("two vectors", lambda g: draw_pair(g, (), 5)),
        Regime("several rows", lambda g: draw_pair(g, (3,), 4)),
        Regime("as many rows as columns", lambda g: draw_pair(g, (4,), 4)),
        Regime("one row against many", draw_one_against_many),
        Regime("rows of rows", lambda g: draw_pair(g, (2, 3), 4)),
        Regime("bytes", draw_bytes),
        Regime("mostly equal", draw_some_equal),
        Regime("small numbers", lambda g: draw_pair(g, (2,), 3, 1e-2)),
        Regime("large numbers", lambda g: draw_pair(g, (2,), 3, 1e5)),
        Regime("double precision", lambda g: draw_pair(g, (3,), 5, dtype=torch.float64)),
        Regime("1,000 dimensions", lambda g: draw_pair(g, (2,), 1000)),
    ),
    oracle=distance_by_loop,
    misconceptions=(
        Misconception(
            "signed sum",
            of_differences(lambda delta: delta.sum(-1)),
            "The signs are still in, so a difference upwards cancels one downwards. "
            "Take the absolute value of each difference before you sum.",
        ),
        Misconception(
            "absolute value of the sum",
            of_differences(lambda delta: delta.sum(-1).abs()),
            "The absolute value comes too late: differences upwards and downwards have cancelled by then. "
            "First .abs(), then .sum(-1).",
        ),
        Misconception(
            "largest difference",
            of_differences(lambda delta: delta.abs().amax(-1)),
            "This is the largest difference, which is L∞. The Manhattan distance adds up all of them.",
        ),
        Misconception(
            "straight line",
            of_differences(lambda delta: delta.square().sum(-1).sqrt()),
            "This is the straight line of the crow, L2. Along the streets no difference is squared: "
            "sum the absolute differences.",
        ),
        Misconception(
            "squares",
            of_differences(lambda delta: delta.square().sum(-1)),
            "This sums the squares, so large differences outweigh the others. "
            "The Manhattan distance takes each difference as it is.",
        ),
        Misconception(
            "mean",
            of_differences(lambda delta: delta.abs().mean(-1)),
            "This is the mean of the differences, and their sum is asked for: .sum(-1).",
        ),
        Misconception(
            "count of differences",
            lambda x, y: (x != y).sum(-1),
            "This counts the places that differ, which is the Hamming distance. "
            "Here it matters by how much they differ: subtract.",
        ),
        Misconception(
            "bytes go round",
            lambda x, y: (x - y).abs().sum(-1),
            "Bytes are subtracted as bytes here. A byte knows no minus, so 3 − 5 gives 254, and no error is raised. "
            "Convert to floats before you subtract.",
        ),
        Misconception(
            "one number for all rows",
            of_differences(lambda delta: delta.abs().sum()),
            "This is one number for all rows together. Each row has its own distance: sum the last dimension only.",
        ),
        Misconception(
            "sum over the rows",
            of_differences(lambda delta: delta.abs().sum(0)),
            "This sums down the first dimension, over the samples. A distance sums over the last one: .sum(-1).",
        ),
    ),
    why="Each difference counts for what it is, without its sign, and only the last dimension is summed, "
    "so every row keeps a distance of its own. Bytes become floats before the subtraction.",
    at_size=AtSize(lambda g: tuple(torch.rand(2, 1000, 1000, generator=g)), seconds=2.0),
)


# -------------------------------------------------------------------------------------- manhattan.pairwise


def draw_tables(
    g: Generator, n: int, m: int, d: int, shift: float = 0.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Two sets of rows, which may lie away from zero."""
    x = torch.randn(n, d, generator=g, dtype=dtype) + shift
    return x, torch.randn(m, d, generator=g, dtype=dtype) * 2 + shift


def draw_with_itself(g: Generator) -> tuple[Tensor, Tensor]:
    """The same rows on both sides."""
    x, _ = draw_tables(g, 4, 1, 3)
    return x, x.clone()


def draw_with_zeros(g: Generator) -> tuple[Tensor, Tensor]:
    """Rows in which many numbers are exactly zero, one row of them altogether."""
    x, y = draw_tables(g, 3, 4, 6)
    x, y = x * (torch.rand(3, 6, generator=g) < 0.5), y * (torch.rand(4, 6, generator=g) < 0.5)
    x[0] = 0
    y[1] = torch.tensor([1.0, -2.0, 3.0, 0.0, 0.0, -1.0])
    return x, y


def table_by_loop(x: Tensor, y: Tensor) -> Tensor:
    """Row by row, number by number."""
    points, others = x.tolist(), y.tolist()
    rows = [[sum(abs(p - q) for p, q in zip(a, b, strict=True)) for b in others] for a in points]
    return torch.tensor(rows, dtype=x.dtype)


def differences(x: Tensor, y: Tensor) -> Tensor:
    """The giant: n × m × d."""
    return x[:, None] - y


PAIRWISE = Task(
    id="manhattan.pairwise",
    title="All pairs, without the giant",
    function="pairwise",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("a few rows", lambda g: draw_tables(g, 3, 2, 4)),
        Regime("one row each", lambda g: draw_tables(g, 1, 1, 3)),
        Regime("one row against many", lambda g: draw_tables(g, 1, 5, 3)),
        Regime("as many rows as columns", lambda g: draw_tables(g, 4, 4, 4)),
        Regime("a set with itself", draw_with_itself),
        Regime("many zeros", draw_with_zeros),
        Regime("one feature", lambda g: draw_tables(g, 3, 4, 1)),
        Regime("all numbers negative", lambda g: draw_tables(g, 3, 4, 3, shift=-20.0)),
        Regime("double precision", lambda g: draw_tables(g, 5, 3, 4, dtype=torch.float64)),
        Regime("384 dimensions", lambda g: draw_tables(g, 4, 6, 384)),
    ),
    oracle=table_by_loop,
    misconceptions=(
        Misconception(
            "signed sum",
            lambda x, y: differences(x, y).sum(-1),
            "The signs are still in, so differences cancel, and some distances are negative. "
            "Take the absolute value of each difference before you add it.",
        ),
        Misconception(
            "absolute value of the sum",
            lambda x, y: differences(x, y).sum(-1).abs(),
            "The absolute value is taken once, at the end, when differences upwards and downwards have cancelled. "
            "It belongs inside the sum.",
        ),
        Misconception(
            "largest difference",
            lambda x, y: differences(x, y).abs().amax(-1),
            "This keeps the largest difference of each pair, which is L∞. Add the differences up.",
        ),
        Misconception(
            "straight line",
            lambda x, y: differences(x, y).square().sum(-1).sqrt(),
            "These are straight lines, L2; torch.cdist gives them too unless you say p=1. "
            "Sum the absolute differences.",
        ),
        Misconception(
            "last feature only",
            lambda x, y: differences(x, y)[..., -1].abs(),
            "Only the last feature is left: each turn of the loop overwrites what was there. Add to the total instead.",
        ),
        Misconception(
            "first feature left out",
            lambda x, y: differences(x, y)[..., 1:].abs().sum(-1),
            "The first feature is missing. Positions start at 0: range(x.shape[1]) walks through all of them.",
        ),
        Misconception(
            "row against row",
            lambda x, y: (x - y).abs().sum(-1),
            "This compares row with row of the same number. Every row of x is to be compared with every row of y.",
        ),
        Misconception(
            "sum over the rows",
            lambda x, y: differences(x, y).abs().sum(1),
            "This sums over the rows of y and leaves a number for each feature. Sum over the features, "
            "and leave a number for each pair.",
        ),
        Misconception(
            "transposed",
            lambda x, y: differences(y, x).abs().sum(-1),
            "The table is transposed: rows belong to x, columns to y.",
        ),
    ),
    why="The distance is a sum over the features, so it can be added up one feature at a time. "
    "Then the largest tensor is the table itself, and n × m × d numbers are never held at once.",
    at_size=AtSize(lambda g: tuple(torch.rand(2, 400, 200, generator=g)), seconds=3.0, largest_bytes=20_000_000),
)


# ----------------------------------------------------------------------------------------- manhattan.paths


def draw_staircase(g: Generator, start: float = 0.0, dtype: torch.dtype = torch.float32) -> tuple[Tensor]:
    """Unit steps to the east and to the north, at least one of each."""
    steps = torch.zeros(draw_int(g, 5, 9), 2, dtype=dtype)
    east = torch.rand(len(steps), generator=g) < 0.5
    east[:2] = torch.tensor([True, False])
    steps[east, 0], steps[~east, 1] = 1, 1
    return (torch.cat([torch.full((1, 2), start, dtype=dtype), start + steps.cumsum(0)]),)


def draw_walk(g: Generator, n: int, d: int, start: float = 2.0, dtype: torch.dtype = torch.float32) -> tuple[Tensor]:
    """Corners anywhere, with pieces across, there and back."""
    corners = torch.randn(n, d, generator=g, dtype=dtype) * 3 + start
    if n > 2:
        corners[-1] = corners[0] + torch.tensor([1.0, *[-2.5] * (d - 1)])
    return (corners,)


def draw_detour(g: Generator) -> tuple[Tensor]:
    """From (0, 0) to (3, 4) with some steps to the west first."""
    west = draw_int(g, 1, 4)
    return (torch.tensor([[0.0, 0.0], [-west, 0], [-west, 4], [3, 4]]),)


def draw_round(g: Generator) -> tuple[Tensor]:
    """Out and home again."""
    (corners,) = draw_walk(g, 5, 2)
    return (torch.cat([corners, corners[:1]]),)


def length_by_loop(corners: Tensor) -> float:
    """Piece by piece."""
    rows = corners.tolist()
    total = 0.0
    for i in range(1, len(rows)):
        total += sum(abs(a - b) for a, b in zip(rows[i - 1], rows[i], strict=True))
    return total


def steps_of(corners: Tensor) -> Tensor:
    """From each corner to the next."""
    return corners.diff(dim=0)


PATHS = Task(
    id="manhattan.paths",
    title="The length of a walk",
    function="path_length",
    minutes=8,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("a staircase", draw_staircase),
        Regime("a staircase that starts elsewhere", lambda g: draw_staircase(g, 7.0)),
        Regime("with a detour", draw_detour),
        Regime("out and home again", draw_round),
        Regime("two corners", lambda g: draw_walk(g, 2, 2)),
        Regime("one corner", lambda g: draw_walk(g, 1, 2)),
        Regime("pieces across", lambda g: draw_walk(g, 5, 2)),
        Regime("all numbers negative", lambda g: draw_walk(g, 5, 2, start=-30.0)),
        Regime("as many corners as coordinates", lambda g: draw_walk(g, 3, 3)),
        Regime("double precision", lambda g: draw_walk(g, 6, 2, dtype=torch.float64)),
        Regime("a long walk in space", lambda g: draw_walk(g, 200, 3)),
    ),
    oracle=length_by_loop,
    misconceptions=(
        Misconception(
            "count of pieces",
            lambda corners: float(len(corners) - 1),
            "This counts the pieces of the walk. Pieces may be longer or shorter than 1: add up how long each is.",
        ),
        Misconception(
            "ends only",
            lambda corners: (corners[-1] - corners[0]).abs().sum().item(),
            "This is the distance from the first corner to the last, so detours are forgotten. "
            "Add up the pieces, one after the other.",
        ),
        Misconception(
            "straight line",
            lambda corners: (corners[-1] - corners[0]).norm().item(),
            "This is the straight line of the crow from the first corner to the last. "
            "Add up the pieces, each along the streets.",
        ),
        Misconception(
            "pieces of the crow",
            lambda corners: steps_of(corners).norm(dim=1).sum().item(),
            "Each piece is measured as a straight line here. Between two corners the walk follows the streets: "
            "sum the absolute differences.",
        ),
        Misconception(
            "signed sum",
            lambda corners: steps_of(corners).sum().item(),
            "The signs are still in, so a step back is subtracted from the walk. Every step is walked: "
            "take the absolute value before you sum.",
        ),
        Misconception(
            "goes home",
            lambda corners: steps_of(torch.cat([corners, corners[:1]])).abs().sum().item(),
            "The way from the last corner back to the first is counted too. The walk ends at its last corner.",
        ),
        Misconception(
            "starts at zero",
            lambda corners: (steps_of(corners).abs().sum() + corners[0].abs().sum()).item(),
            "The way from the origin to the first corner is counted too. The walk begins at its first corner.",
        ),
        Misconception(
            "between the coordinates",
            lambda corners: corners.diff(dim=1).abs().sum().item(),
            "This subtracts the coordinates of one corner from each other. A step leads from a corner to the next: "
            "subtract rows, with diff(dim=0).",
        ),
    ),
    why="Each piece is as long as the Manhattan distance of its ends, and the walk is as long as its pieces together. "
    "Steps back count like steps forward.",
)


# ---------------------------------------------------------------------------------------- manhattan.median


def draw_points(g: Generator, n: int, d: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor]:
    """Points with a centre and a spread of their own in each coordinate, and a long tail on one side."""
    points = torch.rand(n, d, generator=g, dtype=dtype).pow(3) * 6
    return (points * (torch.arange(d) + 1) - 2 * torch.arange(d),)


def draw_outlier(g: Generator) -> tuple[Tensor]:
    """Seven points near each other and one far away."""
    (points,) = draw_points(g, 8, 3)
    points[draw_int(g, 0, 7)] = torch.tensor([500.0, -700.0, 900.0])
    return (points,)


def draw_repeated(g: Generator) -> tuple[Tensor]:
    """Whole numbers, so that many values are equal."""
    points = torch.randint(-2, 3, (9, 3), generator=g).float()
    points[0] = torch.tensor([8.0, 9.0, -7.0])
    return (points,)


def middle_by_loop(points: Tensor) -> Tensor:
    """Sort each coordinate and average its two middle values, which are one where the number is odd."""
    columns = [sorted(column) for column in points.T.tolist()]
    n = len(points)
    return torch.tensor([(c[(n - 1) // 2] + c[n // 2]) / 2 for c in columns], dtype=points.dtype)


def medoid(points: Tensor) -> Tensor:
    """The best of the points themselves."""
    return points[torch.cdist(points, points, p=1.0).sum(1).argmin()]


def geometric_median(points: Tensor) -> Tensor:
    """The least sum of straight lines, by the iteration of Weiszfeld."""
    centre, rows = points.double().mean(0), points.double()
    for _ in range(300):
        weight = 1 / (rows - centre).norm(dim=1).clamp(min=1e-9)
        centre = (weight[:, None] * rows).sum(0) / weight.sum()
    return centre.to(points.dtype)


MEDIAN = Task(
    id="manhattan.median",
    title="The point in the middle",
    function="middle",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("an odd number of points", lambda g: draw_points(g, 5, 2)),
        Regime("an even number of points", lambda g: draw_points(g, 6, 2)),
        Regime("two points", lambda g: draw_points(g, 2, 3)),
        Regime("one point", lambda g: draw_points(g, 1, 3)),
        Regime("as many points as coordinates", lambda g: draw_points(g, 4, 4)),
        Regime("one coordinate", lambda g: draw_points(g, 7, 1)),
        Regime("one point far away", draw_outlier),
        Regime("many equal values", draw_repeated),
        Regime("all numbers negative", lambda g: (draw_points(g, 9, 2)[0] - 40,)),
        Regime("double precision", lambda g: draw_points(g, 8, 3, torch.float64)),
        Regime("384 dimensions", lambda g: draw_points(g, 12, 384)),
    ),
    oracle=middle_by_loop,
    compare=Close(atol=2e-5),  # a number near zero is the rest of large ones, in float32
    misconceptions=(
        Misconception(
            "mean",
            lambda points: points.mean(0),
            "This is the mean, which has the least sum of squares, and one point far away drags it along. "
            "The least sum of absolute differences is at the median of each coordinate.",
        ),
        Misconception(
            "lower of two middles",
            lambda points: points.median(0).values,
            "With an even number of points this takes the lower of the two in the middle, as torch.median does. "
            "Return the point half-way between them.",
        ),
        Misconception(
            "upper of two middles",
            lambda points: points.sort(0).values[len(points) // 2],
            "With an even number of points this takes the upper of the two in the middle. "
            "Return the point half-way between them.",
        ),
        Misconception(
            "one of the points",
            medoid,
            "This is the best of the points themselves (the medoid). The middle need not be one of them: "
            "each coordinate may take its median from another point.",
        ),
        Misconception(
            "straight lines",
            geometric_median,
            "This has the least sum of straight lines, which ties the coordinates to each other. "
            "Along the streets each coordinate has a problem of its own: take its median.",
        ),
        Misconception(
            "half-way between the extremes",
            lambda points: (points.amin(0) + points.amax(0)) / 2,
            "This is half-way between the extremes, which makes the longest way short (L∞). "
            "For the least sum of ways take the median.",
        ),
        Misconception(
            "one number",
            lambda points: points.quantile(0.5),
            "This is one median of all numbers together. Each coordinate has a median of its own: dim=0.",
        ),
        Misconception(
            "median of each point",
            lambda points: points.quantile(0.5, dim=1),
            "This is a median for each point, over its coordinates. You need one for each coordinate, over the points: "
            "dim=0.",
        ),
        Misconception(
            "middle of the list",
            lambda points: points[len(points) // 2],
            "This is the point in the middle of the list as it came. Each coordinate must be sorted first.",
        ),
    ),
    why="The sum of absolute differences is least where as many values lie below as above: at the median, "
    "and each coordinate has its own. How far away the others are plays no part.",
)


# ------------------------------------------------------------------------------------ manhattan.robust_knn

Camera = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float, float]


def draw_camera(
    g: Generator, n: int, m: int, d: int, dead: int, value: float, p: float, dtype: torch.dtype = torch.float32
) -> Camera:
    """Clouds of three classes that overlap a little, and so many dead pixels, which carry much of the class."""
    centres = torch.randn(3, d, generator=g, dtype=dtype) * 0.8 + 3
    broken = torch.zeros(d, dtype=torch.bool)
    broken[torch.randperm(d, generator=g)[:dead]] = True
    centres[:, broken] += 2 * torch.randn(3, dead, generator=g, dtype=dtype)
    labels, truth = torch.randint(3, (n,), generator=g), torch.randint(3, (m,), generator=g)
    train = centres[labels] + torch.randn(n, d, generator=g, dtype=dtype)
    test = centres[truth] + torch.randn(m, d, generator=g, dtype=dtype)
    return train, labels, test, truth, broken, value, p


def lp_by_loop(x: list[float], y: list[float], p: float) -> float:
    """L_p of two rows, up to the root, which changes no order."""
    gaps = [abs(a - b) for a, b in zip(x, y, strict=True)]
    return max(gaps) if math.isinf(p) else sum(gap**p for gap in gaps)


def accuracy_by_loop(
    train: Tensor, labels: Tensor, test: Tensor, truth: Tensor, broken: Tensor, value: float, p: float
) -> float:
    """Picture by picture."""
    right = 0
    for picture, digit in zip(test.double().tolist(), truth.tolist(), strict=True):
        seen = [value if is_dead else pixel for pixel, is_dead in zip(picture, broken.tolist(), strict=True)]
        ways = [lp_by_loop(seen, row, p) for row in train.double().tolist()]
        right += labels[ways.index(min(ways))].item() == digit
    return right / len(test)


def share_right(train: Tensor, labels: Tensor, test: Tensor, truth: Tensor, p: float) -> float:
    """The accuracy of the nearest neighbour."""
    return (labels[torch.cdist(test, train, p=p).argmin(1)] == truth).double().mean().item()


def changed_in_place(
    train: Tensor, labels: Tensor, test: Tensor, truth: Tensor, broken: Tensor, value: float, p: float
) -> float:
    """The caller's pictures are spoilt."""
    test[:, broken] = value
    return share_right(train, labels, test, truth, p)


def farthest(
    train: Tensor, labels: Tensor, test: Tensor, truth: Tensor, broken: Tensor, value: float, p: float
) -> float:
    """The training picture that is least alike."""
    row = torch.cdist(test.masked_fill(broken, value), train, p=p).argmax(1)
    return (labels[row] == truth).double().mean().item()


def rows_for_labels(
    train: Tensor, labels: Tensor, test: Tensor, truth: Tensor, broken: Tensor, value: float, p: float
) -> float:
    """Row numbers compared with labels."""
    row = torch.cdist(test.masked_fill(broken, value), train, p=p).argmin(1)
    return (row == truth).double().mean().item()


ROBUST_KNN = Task(
    id="manhattan.robust_knn",
    title="Recognise with a broken camera",
    function="robust_accuracy",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("L1, one wild pixel", lambda g: draw_camera(g, 40, 30, 6, 1, 50.0, 1.0)),
        Regime("L2, one wild pixel", lambda g: draw_camera(g, 40, 30, 6, 1, 50.0, 2.0, torch.float64)),
        Regime("L∞, one pixel a little off", lambda g: draw_camera(g, 40, 60, 6, 1, 6.0, math.inf)),
        Regime("L∞, two pixels off", lambda g: draw_camera(g, 40, 60, 8, 2, 12.0, math.inf)),
        Regime("L1, three pixels at zero", lambda g: draw_camera(g, 50, 40, 8, 3, 0.0, 1.0)),
        Regime("a healthy camera", lambda g: draw_camera(g, 40, 30, 4, 0, 50.0, 1.0)),
        Regime("a negative value", lambda g: draw_camera(g, 30, 30, 5, 2, -20.0, 1.0)),
        Regime("all pixels but one", lambda g: draw_camera(g, 20, 24, 4, 3, 4.0, 2.0)),
        Regime("one test picture", lambda g: draw_camera(g, 12, 1, 4, 1, 20.0, 1.0)),
        Regime("as many pictures as pixels", lambda g: draw_camera(g, 12, 12, 12, 2, 15.0, 1.0)),
        Regime("double precision", lambda g: draw_camera(g, 30, 24, 6, 2, 9.0, 1.0, torch.float64)),
        Regime("64 pixels", lambda g: draw_camera(g, 40, 30, 64, 6, 255.0, 2.0, torch.float64)),
    ),
    oracle=accuracy_by_loop,
    misconceptions=(
        Misconception(
            "evaluated on clean pictures",
            lambda train, labels, test, truth, broken, value, p: share_right(train, labels, test, truth, p),
            "The test pictures are still healthy, so this says nothing about the broken camera. "
            "Use the copy with the broken pixels from there on.",
        ),
        Misconception(
            "training pictures broken too",
            lambda train, labels, test, truth, broken, value, p: share_right(
                train.masked_fill(broken, value), labels, test.masked_fill(broken, value), truth, p
            ),
            "The training pictures are broken in the same way, so the fault cancels in every difference and hides. "
            "The training pictures come from the healthy camera: leave them as they are.",
        ),
        Misconception(
            "only training pictures broken",
            lambda train, labels, test, truth, broken, value, p: share_right(
                train.masked_fill(broken, value), labels, test, truth, p
            ),
            "The training pictures are broken and the test pictures are not. It is the other way round.",
        ),
        Misconception(
            "value added",
            lambda train, labels, test, truth, broken, value, p: share_right(
                train, labels, test + value * broken, truth, p
            ),
            "The value is added to what the pixel saw. A dead pixel has seen nothing: it shows the value itself.",
        ),
        Misconception(
            "healthy pixels broken",
            lambda train, labels, test, truth, broken, value, p: share_right(
                train, labels, test.masked_fill(~broken, value), truth, p
            ),
            "The mask is upside down: the healthy pixels are set to the value. broken is True where a pixel is dead.",
        ),
        Misconception(
            "p ignored",
            lambda train, labels, test, truth, broken, value, p: share_right(
                train, labels, test.masked_fill(broken, value), truth, 2.0
            ),
            "This measures by L2 whatever p is; torch.cdist does so unless told otherwise. Hand p on: p=p.",
        ),
        Misconception(
            "farthest picture",
            farthest,
            "This takes the training picture that is farthest away. A distance is good when it is small: argmin.",
        ),
        Misconception(
            "rows taken for labels",
            rows_for_labels,
            "This compares the number of the nearest row with the label. "
            "Look up which label stands in that row: labels[row].",
        ),
        Misconception(
            "the other way round",
            lambda train, labels, test, truth, broken, value, p: share_right(
                test.masked_fill(broken, value), truth, train, labels, p
            ),
            "This gives each training picture the label of its nearest test picture. Training and test are swapped: "
            "each test picture looks for its nearest training picture.",
        ),
        Misconception(
            "count",
            lambda train, labels, test, truth, broken, value, p: (
                share_right(train, labels, test.masked_fill(broken, value), truth, p) * len(test)
            ),
            "This is the number of pictures recognised. A share lies between 0 and 1: take the mean.",
        ),
        Misconception(
            "error for accuracy",
            lambda train, labels, test, truth, broken, value, p: (
                1 - share_right(train, labels, test.masked_fill(broken, value), truth, p)
            ),
            "This is the share of pictures that were not recognised. The accuracy is the share that was.",
        ),
        Misconception(
            "pictures changed",
            changed_in_place,
            "The pictures that were handed over are spoilt for whoever needs them next. "
            "Work on a copy: test.masked_fill(broken, value) makes one.",
        ),
    ),
    why="The camera that breaks is the one in use, so the fault goes into a copy of the test pictures alone. "
    "Whoever breaks the training pictures alike, or none at all, measures something else.",
)


# ---------------------------------------------------------------------------------------- manhattan.choose

Measure = tuple[str, float, float]


def draw_rivals(g: Generator) -> tuple[list[Measure], float]:
    """One good on healthy pictures, one on broken ones, one in between that is never best; and their break-even."""
    healthy, broken = 0.90 + draw_int(g, 0, 5) / 100, 0.60 + draw_int(g, 0, 15) / 100
    lead, lag = draw_int(g, 2, 4) / 100, draw_int(g, 6, 30) / 100
    steady, fragile = ("L1", healthy, broken), ("L2", healthy + lead, broken - lag)
    other = ("L∞", healthy - 0.2, broken - lag - 0.1)
    measures = [steady, fragile, other]
    return [measures[i] for i in torch.randperm(3, generator=g)], lead / (lead + lag)


def draw_near_break_even(g: Generator, factor: float) -> tuple[list[Measure], float]:
    """A share a little below or above the break-even."""
    measures, even = draw_rivals(g)
    return measures, even * factor


def draw_share(g: Generator, share: float) -> tuple[list[Measure], float]:
    """A share of that size."""
    return draw_rivals(g)[0], share


def draw_many_broken(g: Generator) -> tuple[list[Measure], float]:
    """The one that is good on broken pictures is bad on healthy ones, and most pictures are broken."""
    good, bad = 0.80 + draw_int(g, 0, 9) / 100, 0.30 + draw_int(g, 0, 9) / 100
    measures = [("L1", bad, good), ("L2", good + 0.05, bad), ("L∞", bad + 0.2, bad + 0.15)]
    return [measures[i] for i in torch.randperm(3, generator=g)], 0.9


def draw_equal(g: Generator) -> tuple[list[Measure], float]:
    """Two that are exactly equal at one half, in either order, and a worse one before them."""
    high, low = 0.875, 0.5 + draw_int(g, 0, 3) / 16
    pair = [("L1", low, high), ("L2", high, low)]
    return [("L∞", 0.25, 0.5), *(pair[i] for i in torch.randperm(2, generator=g))], 0.5


def over_all(measure: Measure, share: float) -> float:
    """The accuracy over healthy and broken pictures."""
    return (1 - share) * measure[1] + share * measure[2]


def choose_by_loop(measures: list[Measure], share: float) -> str:
    """One measure after the other, in pictures of a million."""
    best, most = "", -1.0
    for name, healthy, broken in measures:
        recognised = 1e6 * (1 - share) * healthy + 1e6 * share * broken
        if recognised > most:
            best, most = name, recognised
    return best


CHOOSE = Task(
    id="manhattan.choose",
    title="How many cameras are broken?",
    function="choose",
    minutes=8,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("no camera is broken", lambda g: draw_share(g, 0.0)),
        Regime("every camera is broken", lambda g: draw_share(g, 1.0)),
        Regime("just below the break-even", lambda g: draw_near_break_even(g, 0.97)),
        Regime("just above the break-even", lambda g: draw_near_break_even(g, 1.03)),
        Regime("half of the cameras", lambda g: draw_share(g, 0.5)),
        Regime("most cameras are broken", draw_many_broken),
        Regime("two that are equally good", draw_equal),
        Regime("only one measure", lambda g: (draw_rivals(g)[0][:1], 0.3)),
    ),
    oracle=choose_by_loop,
    misconceptions=(
        Misconception(
            "healthy pictures only",
            lambda measures, share: max(measures, key=lambda m: m[1])[0],
            "This looks at healthy pictures only. A small lead there can be lost many times over on the broken ones: "
            "weigh both by how often they come.",
        ),
        Misconception(
            "broken pictures only",
            lambda measures, share: max(measures, key=lambda m: m[2])[0],
            "This looks at broken pictures only. When they are rare, what is lost on the healthy ones weighs more: "
            "weigh both by how often they come.",
        ),
        Misconception(
            "share ignored",
            lambda measures, share: max(measures, key=lambda m: m[1] + m[2])[0],
            "Both accuracies count the same here, as if half of the cameras were broken. Weigh them by the share.",
        ),
        Misconception(
            "share upside down",
            lambda measures, share: max(measures, key=lambda m: over_all(m, 1 - share))[0],
            "The weights are swapped. share belongs to the broken pictures, 1 − share to the healthy ones.",
        ),
        Misconception(
            "healthy pictures in full",
            lambda measures, share: max(measures, key=lambda m: m[1] + share * m[2])[0],
            "The healthy accuracy counts in full here, however many cameras are broken. "
            "Only 1 − share of the pictures are healthy: weigh it by that.",
        ),
        Misconception(
            "worst case",
            lambda measures, share: max(measures, key=lambda m: min(m[1], m[2]))[0],
            "This takes the best of the worst cases, which ignores how often the worst case comes. "
            "Asked for is the most pictures over all.",
        ),
        Misconception(
            "least",
            lambda measures, share: min(measures, key=lambda m: over_all(m, share))[0],
            "This is the measure that recognises fewest. An accuracy is good when it is large: max.",
        ),
        Misconception(
            "accuracy returned",
            lambda measures, share: max(over_all(m, share) for m in measures),
            "This is the accuracy of the best measure. Its name is asked for.",
        ),
        Misconception(
            "last of equals",
            lambda measures, share: max(reversed(measures), key=lambda m: over_all(m, share))[0],
            "Of equally good measures this takes the last. Take the one that stands first: "
            "replace the best only by what is better.",
        ),
    ),
    why="Each accuracy counts as often as its kind of picture comes. "
    "A small lead on the many can outweigh a large loss on the few, and from the break-even on it does not.",
)


TASKS = (DISTANCE, PAIRWISE, PATHS, MEDIAN, ROBUST_KNN, CHOOSE)
