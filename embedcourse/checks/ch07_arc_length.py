"""Checks of chapter 7: the angle and its similarity, its gradient, walks on the sphere, and fair temperatures."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.compare import Close
from embedcourse.checks.draw import draw_number
from embedcourse.checks.task import AtSize, Misconception, Regime, Task

__all__ = ["TASKS"]


def draw_at_angle(g: Generator, rows: tuple[int, ...], d: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Unit vectors in float64, each pair at an angle of its own between low and high (radians)."""
    x, w = (torch.randn(*rows, d, generator=g, dtype=torch.float64) for _ in range(2))
    u = x / x.norm(dim=-1, keepdim=True)
    w = w - (w * u).sum(-1, keepdim=True) * u
    w = w / w.norm(dim=-1, keepdim=True)
    theta = low + (high - low) * torch.rand(*rows, 1, generator=g, dtype=torch.float64)
    return u, u * theta.cos() + w * theta.sin()


def draw_pairs(
    g: Generator,
    rows: tuple[int, ...],
    d: int,
    low: float = 0.3,
    high: float = 2.8,
    dtype: torch.dtype = torch.float32,
    lengths: tuple[float, float] = (0.5, 4.0),
) -> tuple[Tensor, Tensor]:
    """Pairs at angles between low and high, each vector of its own length."""
    x, y = draw_at_angle(g, rows, d, low, high)
    x = x * draw_number(g, *lengths)
    y = y * draw_number(g, *lengths)
    return x.to(dtype), y.to(dtype)


def draw_one_against_many(g: Generator) -> tuple[Tensor, Tensor]:
    """One vector of five numbers, and three."""
    x, y = draw_pairs(g, (3,), 5)
    return x[0], y


def rows_of(function: Callable[[list[float], list[float]], float]) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of two lists of numbers, applied row by row."""

    def of_tensors(x: Tensor, y: Tensor) -> Tensor:
        x, y = torch.broadcast_tensors(x, y)
        if x.dim() == 1:
            return torch.tensor(function(x.tolist(), y.tolist()), dtype=x.dtype)
        return torch.stack([of_tensors(a, b) for a, b in zip(x, y, strict=True)])

    return of_tensors


# ------------------------------------------------------------------------------------------ arc.similarity


def draw_rounded_beyond_one(g: Generator, sign: int) -> tuple[Tensor, Tensor]:
    """Two vectors on one line whose cosine comes out beyond ±1 in float32, by each of the three usual formulas."""
    while True:
        x = torch.randn(5, generator=g)
        y = sign * 3 * x
        by_norms = (x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1))
        by_units = (F.normalize(x, dim=-1) * F.normalize(y, dim=-1)).sum(-1)
        if min(abs(by_norms), abs(by_units), abs(F.cosine_similarity(x, y, dim=-1))) > 1:
            return x, y


def arc_by_loop(x: list[float], y: list[float]) -> float:
    """Product, lengths, cosine, angle, one after the other."""
    product = sum(a * b for a, b in zip(x, y, strict=True))
    lengths = math.sqrt(sum(a * a for a in x)) * math.sqrt(sum(b * b for b in y))
    cosine = max(-1.0, min(1.0, product / lengths))
    return 1 - math.acos(cosine) / math.pi


def cosine_of(x: Tensor, y: Tensor) -> Tensor:
    """The cosine, never beyond ±1."""
    return F.cosine_similarity(x, y, dim=-1).clamp(-1, 1)


def of_the_dot_product(x: Tensor, y: Tensor) -> Tensor:
    """The arc cosine of a product whose vectors were not brought to length one."""
    return 1 - torch.acos((x * y).sum(-1).clamp(-1, 1)) / torch.pi


def along_the_batch(x: Tensor, y: Tensor) -> Tensor:
    """Right for two single vectors, along the wrong dimension for rows."""
    if x.dim() == y.dim() == 1:
        return 1 - torch.acos(cosine_of(x, y)) / torch.pi
    return 1 - torch.acos(F.cosine_similarity(x, y, dim=0).clamp(-1, 1)) / torch.pi


SIMILARITY = Task(
    id="arc.similarity",
    title="A similarity that falls evenly",
    function="similarity",
    minutes=8,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("two vectors", lambda g: draw_pairs(g, (), 3, 0.4, 1.2)),
        Regime("an obtuse angle", lambda g: draw_pairs(g, (), 3, 1.9, 2.7)),
        Regime("several rows", lambda g: draw_pairs(g, (3,), 4)),
        Regime("as many rows as dimensions", lambda g: draw_pairs(g, (4,), 4)),
        Regime("one against many", draw_one_against_many),
        Regime("vectors of length one", lambda g: draw_pairs(g, (3,), 5, lengths=(1.0, 1.0))),
        Regime("very long and very short", lambda g: draw_pairs(g, (2,), 4, lengths=(1e-3, 1e3))),
        Regime("the same direction, rounded", lambda g: draw_rounded_beyond_one(g, 1)),
        Regime("opposite directions, rounded", lambda g: draw_rounded_beyond_one(g, -1)),
        Regime("double precision", lambda g: draw_pairs(g, (3,), 6, dtype=torch.float64)),
        Regime("384 dimensions", lambda g: draw_pairs(g, (4,), 384)),
    ),
    oracle=rows_of(arc_by_loop),
    compare=Close(atol=1e-3),  # whatever the formula, acos in float32 is no better than that near ±1
    misconceptions=(
        Misconception(
            "degrees",
            lambda x, y: 1 - torch.rad2deg(torch.acos(cosine_of(x, y))) / torch.pi,
            "The angle is in degrees here and is divided by π. "
            "torch.acos answers in radians, where a half turn is π: leave them as they are.",
        ),
        Misconception(
            "no division by π",
            lambda x, y: 1 - torch.acos(cosine_of(x, y)),
            "This is 1 − θ, which is negative beyond 57 degrees. "
            "Divide the angle by π, the widest angle there is, and the similarity stays between 0 and 1.",
        ),
        Misconception(
            "divided by a full turn",
            lambda x, y: 1 - torch.acos(cosine_of(x, y)) / (2 * torch.pi),
            "This divides by 2π, a full turn. Two directions are never farther apart than half a turn: divide by π.",
        ),
        Misconception(
            "from −1 to 1",
            lambda x, y: 1 - 2 * torch.acos(cosine_of(x, y)) / torch.pi,
            "This runs from −1 to 1, as the cosine does. "
            "Here opposite directions get 0 and perpendicular ones 1/2: leave out the factor 2.",
        ),
        Misconception(
            "obtuse angles cut off",
            lambda x, y: 1 - torch.acos(F.cosine_similarity(x, y, dim=-1).clamp(0, 1)) / torch.pi,
            "The cosine is cut off at 0, so every obtuse angle counts as a right one. "
            "Cosines run from −1 to 1: clamp to that range.",
        ),
        Misconception(
            "lengths left in",
            of_the_dot_product,
            "This takes the arc cosine of the dot product. "
            "Only for vectors of length one is that the cosine: divide by both lengths first.",
        ),
        Misconception(
            "rounded beyond one",
            lambda x, y: 1 - torch.acos(F.cosine_similarity(x, y, dim=-1)) / torch.pi,
            "By rounding, the cosine of two vectors on one line may come out as 1.0000001, and acos answers NaN there. "
            "Clamp the cosine to the range from −1 to 1 first.",
        ),
        Misconception(
            "the cosine itself",
            cosine_of,
            "This is the cosine similarity of chapter 6. Go on: the angle is its arc cosine, the similarity 1 − θ/π.",
        ),
        Misconception(
            "a distance",
            lambda x, y: torch.acos(cosine_of(x, y)) / torch.pi,
            "This grows with the angle, so it is a distance. A similarity is 1 for the same direction: 1 − θ/π.",
        ),
        Misconception(
            "along the batch",
            along_the_batch,
            "This runs down the rows and compares dimensions. Each pair of rows has its own angle: use dim=-1.",
        ),
    ),
    why="The lengths are divided out, the arc cosine turns the cosine into an angle in radians, and 1 − θ/π maps "
    "0…π evenly to 1…0. The clamp keeps a rounding error from becoming NaN.",
    at_size=AtSize(lambda g: tuple(torch.randn(2, 2000, 384, generator=g)), seconds=2.0),
)


# ---------------------------------------------------------------------------------------------- arc.stable


def draw_on_one_line(g: Generator, factor: float) -> tuple[Tensor, Tensor]:
    """Rows and the same rows times a power of two, which is exact in floats."""
    x = torch.randn(2, 4, generator=g) + 0.1
    return x, x * factor


def angle_by_parts(x: Tensor, y: Tensor) -> Tensor:
    """θ from the part of v that lies along u and the part that stands upright on it, row by row in float64."""
    dtype = x.dtype
    x, y = torch.broadcast_tensors(x.double(), y.double())
    if x.dim() > 1:
        return torch.stack([angle_by_parts(a, b) for a, b in zip(x, y, strict=True)]).to(dtype)
    u, v = x / x.square().sum().sqrt(), y / y.square().sum().sqrt()
    along = (u * v).sum()
    upright = (v - along * u).square().sum()
    if upright < 1e-28:  # on one line: 0 or π, and no direction in which to move is better than another
        return (0 * (x + y).sum() + (0.0 if along > 0 else math.pi)).to(dtype)
    return torch.atan2(upright.sqrt(), along).to(dtype)


def chords(x: Tensor, y: Tensor, length: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """‖u − v‖ and ‖u + v‖ of the unit vectors."""
    u, v = F.normalize(x, dim=-1), F.normalize(y, dim=-1)
    length = length or (lambda z: z.norm(dim=-1))
    return length(u - v), length(u + v)


def angle_by_chords(x: Tensor, y: Tensor, length: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """2·atan2 of the two chords."""
    minus, plus = chords(x, y, length)
    return 2 * torch.atan2(minus, plus)


def clamped_arc_cosine(x: Tensor, y: Tensor) -> Tensor:
    """What training code usually does."""
    cosine = (F.normalize(x, dim=-1) * F.normalize(y, dim=-1)).sum(-1)
    return torch.acos(cosine.clamp(-1 + 1e-7, 1 - 1e-7))


def plain_arc_cosine(x: Tensor, y: Tensor) -> Tensor:
    """The arc cosine with a clamp at ±1."""
    return torch.acos((F.normalize(x, dim=-1) * F.normalize(y, dim=-1)).sum(-1).clamp(-1, 1))


STABLE = Task(
    id="arc.stable",
    title="The angle that survives training",
    function="angle",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("two vectors", lambda g: draw_pairs(g, (), 3, 0.4, 1.2)),
        Regime("an obtuse angle", lambda g: draw_pairs(g, (), 3, 1.9, 2.7)),
        Regime("several rows", lambda g: draw_pairs(g, (3,), 4)),
        Regime("as many rows as dimensions", lambda g: draw_pairs(g, (4,), 4)),
        Regime("one against many", draw_one_against_many),
        Regime("almost the same direction", lambda g: draw_pairs(g, (2,), 3, 1e-6, 2e-6, torch.float64)),
        Regime(
            "almost opposite", lambda g: draw_pairs(g, (2,), 3, math.pi - 2e-8, math.pi - 1e-8, dtype=torch.float64)
        ),
        Regime("exactly the same direction", lambda g: draw_on_one_line(g, 2.0)),
        Regime("exactly opposite", lambda g: draw_on_one_line(g, -2.0)),
        Regime("very long and very short", lambda g: draw_pairs(g, (2,), 4, lengths=(1e-2, 1e2))),
        Regime("384 dimensions", lambda g: draw_pairs(g, (4,), 384)),
    ),
    oracle=angle_by_parts,
    gradients=(0, 1),
    misconceptions=(
        Misconception(
            "clamped arc cosine",
            clamped_arc_cosine,
            "This is the clamped arc cosine. No angle comes out below 4.9e-4, and there its gradient is 0. "
            "Use the chords instead: θ = 2·atan2(‖u − v‖, ‖u + v‖).",
        ),
        Misconception(
            "arc cosine",
            plain_arc_cosine,
            "The cosine of a small angle is rounded to 1, and the slope of acos at 1 is infinite, so the angle is "
            "inexact and its gradient useless there. Use the chords: θ = 2·atan2(‖u − v‖, ‖u + v‖).",
        ),
        Misconception(
            "chords swapped",
            lambda x, y: 2 * torch.atan2(*reversed(chords(x, y))),
            "The chords are swapped, so this is π − θ. "
            "The first argument of atan2 is the one that vanishes at angle 0: ‖u − v‖.",
        ),
        Misconception(
            "factor 2 missing",
            lambda x, y: torch.atan2(*chords(x, y)),
            "This is half of the angle: ‖u − v‖ = 2·sin(θ/2) and ‖u + v‖ = 2·cos(θ/2). Multiply by 2.",
        ),
        Misconception(
            "half a chord",
            lambda x, y: 2 * torch.asin((chords(x, y)[0] / 2).clamp(max=1)),
            "2·asin(‖u − v‖/2) is right near angle 0, but near π it has the trouble that acos has near 0. "
            "atan2 takes both chords and is exact at both ends.",
        ),
        Misconception(
            "a quotient of the chords",
            lambda x, y: 2 * torch.atan(chords(x, y)[0] / chords(x, y)[1]),
            "For opposite vectors ‖u + v‖ is 0, and the gradient of the quotient is not finite. "
            "torch.atan2 takes the two chords apart and never divides.",
        ),
        Misconception(
            "the root at zero",
            lambda x, y: angle_by_chords(x, y, lambda z: z.square().sum(-1).sqrt()),
            "The slope of a square root at 0 is infinite, and infinite times 0 is NaN: no gradient is left at equal or "
            "opposite vectors. torch's own norm, (u - v).norm(dim=-1), has gradient 0 there.",
        ),
        Misconception(
            "something small under the root",
            lambda x, y: angle_by_chords(x, y, lambda z: (z.square().sum(-1) + 1e-8).sqrt()),
            "The small number under the root keeps the gradient finite, but makes it and the angle wrong wherever "
            "the angle is small. torch's own norm, (u - v).norm(dim=-1), needs no such help.",
        ),
        Misconception(
            "squared chords",
            lambda x, y: angle_by_chords(x, y, lambda z: z.square().sum(-1)),
            "These are the squares of the chords: the square root is missing. "
            "Their quotient is tan² of half the angle, not tan.",
        ),
        Misconception(
            "lengths left in",
            lambda x, y: 2 * torch.atan2((x - y).norm(dim=-1), (x + y).norm(dim=-1)),
            "This subtracts and adds vectors of unequal lengths. The chords are those of the unit vectors u and v.",
        ),
        Misconception(
            "a chord",
            lambda x, y: chords(x, y)[0],
            "This is the chord ‖u − v‖, the straight line through the ball. The angle is the way along the surface.",
        ),
        Misconception(
            "the similarity",
            lambda x, y: 1 - angle_by_chords(x, y) / torch.pi,
            "This is the similarity 1 − θ/π. Asked for is the angle θ itself, in radians.",
        ),
    ),
    why="‖u − v‖ and ‖u + v‖ are 2·sin(θ/2) and 2·cos(θ/2): near 0 and near π one of them is small and keeps "
    "its digits, so atan2 is accurate at both ends. The gradient is finite everywhere, and 0 for vectors on one line.",
    at_size=AtSize(lambda g: tuple(torch.randn(2, 2000, 384, generator=g)), seconds=2.0),
)


# ----------------------------------------------------------------------------------------------- arc.slerp


def draw_walk(
    g: Generator, d: int, low: float, high: float, t: list[float], dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    """Two unit vectors at an angle between low and high, and the steps of the way."""
    x, y = draw_at_angle(g, (), d, low, high)
    return x.to(dtype), y.to(dtype), torch.tensor(t, dtype=dtype)


def draw_whole(g: Generator, sign: int) -> tuple[Tensor, Tensor, Tensor]:
    """A unit vector and itself, or its opposite."""
    x, _ = draw_at_angle(g, (), 3, 1.0, 1.0)
    x = x.float()
    return x, sign * x, torch.tensor([0.0, 0.25, 0.5, 1.0])


def some_steps(g: Generator, k: int) -> list[float]:
    """Numbers between 0 and 1, none of them a half."""
    return [draw_number(g, 0.05, 0.4) if i % 2 else draw_number(g, 0.6, 0.95) for i in range(k)]


def walk_by_loop(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """Turn x towards y by t·θ, step by step, in the plane of the two."""
    if torch.equal(x, -y):
        raise ValueError("x and y are opposite: no shortest way between them is shorter than the others")
    if torch.equal(x, y):
        return torch.stack([x for _ in t])
    u, v = x.double(), y.double()
    theta = angle_by_parts(u, v)
    upright = v - (u @ v) * u
    upright = upright / upright.norm()
    steps = [math.cos(s * theta) * u + math.sin(s * theta) * upright for s in t.tolist()]
    return torch.stack(steps).to(x.dtype)


def sines(x: Tensor, y: Tensor, t: Tensor, theta: Tensor | None = None) -> Tensor:
    """The formula, without a look at special cases."""
    theta = angle_by_chords(x, y) if theta is None else theta
    t = t[:, None]
    return (torch.sin((1 - t) * theta) * x + torch.sin(t * theta) * y) / torch.sin(theta)


def else_right(wrong: Callable, *, equal: bool = False, opposite: bool = False) -> Callable:
    """A wrong idea that is right where the vectors are equal or opposite, but for the cases named."""

    def idea(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
        special = (torch.equal(x, y) and not equal) or (torch.equal(x, -y) and not opposite)
        return walk_by_loop(x, y, t) if special else wrong(x, y, t)

    return idea


def straight(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """The line through the ball."""
    return (1 - t[:, None]) * x + t[:, None] * y


def shorter_of_two(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """The other end where that is nearer, as for quaternions."""
    return sines(x, -y if x @ y < 0 else y, t)


SLERP = Task(
    id="arc.slerp",
    title="Walk along the sphere",
    function="slerp",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("a few steps", lambda g: draw_walk(g, 3, 0.8, 1.4, some_steps(g, 3))),
        Regime("an obtuse angle", lambda g: draw_walk(g, 3, 1.8, 2.8, some_steps(g, 3))),
        Regime("a small angle", lambda g: draw_walk(g, 3, 0.05, 0.1, some_steps(g, 4), torch.float64)),
        Regime("both ends and the middle", lambda g: draw_walk(g, 2, 0.8, 2.2, [0.0, 0.5, 1.0])),
        Regime("beyond the ends", lambda g: draw_walk(g, 3, 0.8, 1.4, [-0.25, 0.25, 1.5])),
        Regime("one step", lambda g: draw_walk(g, 3, 0.8, 1.4, some_steps(g, 1))),
        Regime("as many steps as dimensions", lambda g: draw_walk(g, 4, 0.8, 2.4, some_steps(g, 4))),
        Regime("the same vector twice", lambda g: draw_whole(g, 1)),
        Regime("opposite vectors", lambda g: draw_whole(g, -1)),
        Regime("384 dimensions", lambda g: draw_walk(g, 384, 0.8, 2.2, some_steps(g, 3))),
    ),
    oracle=walk_by_loop,
    misconceptions=(
        Misconception(
            "straight through the ball",
            else_right(straight),
            "This is the straight line between the two points, so it leaves the sphere and runs through the ball. "
            "Weigh x and y by sines: sin((1−t)θ)/sin θ and sin(tθ)/sin θ.",
        ),
        Misconception(
            "a line pushed out to the sphere",
            else_right(lambda x, y, t: F.normalize(straight(x, y, t), dim=-1)),
            "The points lie on the right way but at uneven steps: a straight line was divided evenly and then pushed "
            "out to the sphere. Divide the angle evenly: weights sin((1−t)θ)/sin θ and sin(tθ)/sin θ.",
        ),
        Misconception(
            "from y to x",
            else_right(lambda x, y, t: sines(y, x, t)),
            "The way runs from y to x. At t = 0 the walk is at x, so x has the weight sin((1−t)θ)/sin θ.",
        ),
        Misconception(
            "sine of the angle missing",
            else_right(lambda x, y, t: sines(x, y, t) * torch.sin(angle_by_chords(x, y))),
            "The sum is not divided by sin θ, so its length is not one.",
        ),
        Misconception(
            "the nearer of y and −y",
            else_right(shorter_of_two),
            "For an obtuse angle this walks to −y. That is right for rotations written as quaternions, where y and −y "
            "are the same rotation. For embeddings they are opposite directions.",
        ),
        Misconception(
            "steps only between the ends",
            else_right(lambda x, y, t: sines(x, y, t.clamp(0, 1))),
            "Steps below 0 or above 1 are cut off. The formula holds for them too: the walk goes on past its ends.",
        ),
        Misconception(
            "division by sin 0",
            else_right(sines, equal=True),
            "For two equal vectors θ is 0 and the formula divides 0 by 0. "
            "There is no way to go: every step is x itself.",
        ),
        Misconception(
            "a way between opposite vectors",
            else_right(lambda x, y, t: sines(x, y, t, torch.tensor(math.pi)), opposite=True),
            "Between opposite vectors there are infinitely many shortest ways, and the formula divides by sin π. "
            "Raise a ValueError instead of picking one by rounding errors.",
        ),
    ),
    why="Both weights are sines, so every point has length one and equal steps of t are equal angles. Equal vectors "
    "leave nothing to walk, and between opposite ones there is no single shortest way.",
)


# -------------------------------------------------------------------------------------------- arc.gradient


def draw_angles(g: Generator, n: int, low: float, high: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor]:
    """Angles between two others, in radians."""
    return ((low + (high - low) * torch.rand(n, generator=g, dtype=torch.float64)).to(dtype),)


def slopes_by_loop(theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Angle by angle."""
    cosine = [-math.sin(t) for t in theta.tolist()]
    arc = [-1 / math.pi for _ in theta.tolist()]
    ratio = [a / b for a, b in zip(cosine, arc, strict=True)]
    return tuple(torch.tensor(values, dtype=theta.dtype) for values in (cosine, arc, ratio))


Slopes = tuple[Tensor, Tensor, Tensor]


def by_the_cosine(theta: Tensor) -> Slopes:
    """Slopes with respect to the cosine, not the angle."""
    return torch.ones_like(theta), 1 / (torch.pi * torch.sin(theta)), torch.pi * torch.sin(theta)


GRADIENT = Task(
    id="arc.gradient",
    title="Where the cosine stalls",
    function="slopes",
    minutes=8,
    difficulty="medium",
    points=2,
    regimes=(
        Regime("a few angles", lambda g: draw_angles(g, 3, 0.5, 1.3)),
        Regime("obtuse angles", lambda g: draw_angles(g, 3, 1.8, 2.9)),
        Regime("close to 0", lambda g: draw_angles(g, 3, 1e-4, 0.1)),
        Regime("close to a half turn", lambda g: draw_angles(g, 3, 3.05, 3.14)),
        Regime("close to a right angle", lambda g: draw_angles(g, 2, 1.5, 1.64)),
        Regime("a single angle", lambda g: draw_angles(g, 1, 0.5, 1.3)),
        Regime("double precision", lambda g: draw_angles(g, 4, 0.2, 3.0, torch.float64)),
        Regime("many angles", lambda g: draw_angles(g, 500, 0.01, 3.13)),
    ),
    oracle=slopes_by_loop,
    misconceptions=(
        Misconception(
            "slope by the cosine",
            by_the_cosine,
            "These are slopes with respect to the cosine. Asked for is how fast each similarity changes with the "
            "angle: −sin θ for cos θ, and −1/π for 1 − θ/π.",
        ),
        Misconception(
            "sign lost",
            lambda theta: (torch.sin(theta), torch.full_like(theta, 1 / torch.pi), torch.pi * torch.sin(theta)),
            "Both slopes are positive here. A similarity falls as the angle grows, so its slope is negative.",
        ),
        Misconception(
            "cosine for sine",
            lambda theta: (
                -torch.cos(theta),
                torch.full_like(theta, -1 / torch.pi),
                torch.pi * torch.cos(theta),
            ),
            "The derivative of cos θ is −sin θ. It vanishes at 0 and π, where the cosine stalls, not at π/2.",
        ),
        Misconception(
            "slope per degree",
            lambda theta: (
                -torch.sin(theta) * torch.pi / 180,
                torch.full_like(theta, -1 / 180),
                torch.pi * torch.sin(theta),
            ),
            "These slopes are per degree. The angles are in radians, and so are the slopes: −sin θ and −1/π.",
        ),
        Misconception(
            "radians taken for degrees",
            lambda theta: (
                -torch.sin(torch.deg2rad(theta)),
                torch.full_like(theta, -1 / torch.pi),
                torch.pi * torch.sin(torch.deg2rad(theta)),
            ),
            "The angles are in radians already, and torch.sin takes radians: do not convert them.",
        ),
        Misconception(
            "ratio upside down",
            lambda theta: (
                -torch.sin(theta),
                torch.full_like(theta, -1 / torch.pi),
                1 / (torch.pi * torch.sin(theta)),
            ),
            "The ratio is upside down. How many times steeper is the cosine: its slope comes first in the division.",
        ),
        Misconception(
            "slope of θ/π",
            lambda theta: (-torch.sin(theta), torch.full_like(theta, 1 / torch.pi), -torch.pi * torch.sin(theta)),
            "The second slope has the wrong sign: 1 − θ/π falls, so its slope is −1/π.",
        ),
        Misconception(
            "one number for all angles",
            lambda theta: (-torch.sin(theta), torch.tensor(-1 / torch.pi), torch.pi * torch.sin(theta)),
            "The slope of 1 − θ/π is the same at every angle, but give it once for each of them: torch.full_like.",
        ),
        Misconception(
            "the similarities themselves",
            lambda theta: (torch.cos(theta), 1 - theta / torch.pi, torch.cos(theta) / (1 - theta / torch.pi)),
            "These are the similarities. Asked for are their slopes: the derivatives with respect to the angle.",
        ),
    ),
    why="d cos θ/dθ = −sin θ dies at 0 and π, d(1 − θ/π)/dθ = −1/π does not. The ratio π·sin θ says how much steeper "
    "the cosine is: π times at a right angle, and not at all where it stalls.",
)


# ----------------------------------------------------------------------------------------------- arc.match


def draw_cloud(g: Generator, n: int, d: int, spread: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, float]:
    """Embeddings of unequal lengths around one direction, and a temperature; a small spread makes a narrow cone."""
    centre = F.normalize(torch.randn(d, generator=g), dim=0)
    z = centre + spread * torch.randn(n, d, generator=g) / math.sqrt(d)
    z = z * (0.5 + 2.5 * torch.rand(n, 1, generator=g))
    return z.to(dtype), draw_number(g, 0.02, 0.5)


def match_by_loop(z: Tensor, tau: float) -> float:
    """Pair by pair."""
    rows = z.double()
    angles = [float(angle_by_parts(rows[i], rows[j])) for i in range(len(rows)) for j in range(i)]
    mean = sum(angles) / len(angles)
    return tau / (math.pi * math.sin(mean))


def table_of_angles(z: Tensor) -> Tensor:
    """All angles, those of the rows with themselves included."""
    u = F.normalize(z.double(), dim=1)
    return angle_by_chords(u[:, None], u[None])


def mean_angle(z: Tensor) -> Tensor:
    """The mean over different rows."""
    return table_of_angles(z).sum() / (len(z) * (len(z) - 1))


def of_the_mean_cosine(z: Tensor, tau: float) -> float:
    """The angle of the mean cosine instead of the mean angle."""
    u = F.normalize(z.double(), dim=1)
    cosine = ((u @ u.T).sum() - len(z)) / (len(z) * (len(z) - 1))
    return tau / (math.pi * math.sqrt(1 - float(cosine) ** 2))


def of_raw_rows(z: Tensor, tau: float) -> float:
    """Chords of rows that were not brought to length one."""
    i, j = torch.triu_indices(len(z), len(z), 1)
    z = z.double()
    angle = 2 * torch.atan2((z[i] - z[j]).norm(dim=1), (z[i] + z[j]).norm(dim=1)).mean()
    return float(tau / (math.pi * torch.sin(angle)))


MATCH = Task(
    id="arc.match",
    title="Equal sharpness",
    function="match",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("a wide cloud", lambda g: draw_cloud(g, 6, 5, 3.0)),
        Regime("a narrow cone", lambda g: draw_cloud(g, 6, 5, 0.4)),
        Regime("three rows", lambda g: draw_cloud(g, 3, 4, 0.8)),
        Regime("as many rows as dimensions", lambda g: draw_cloud(g, 5, 5, 1.0)),
        Regime("double precision", lambda g: draw_cloud(g, 5, 4, 0.8, torch.float64)),
        Regime("384 dimensions", lambda g: draw_cloud(g, 8, 384, 0.7)),
        Regime("more rows", lambda g: draw_cloud(g, 25, 8, 0.9)),
    ),
    oracle=match_by_loop,
    misconceptions=(
        Misconception(
            "always a right angle",
            lambda z, tau: tau / math.pi,
            "τ/π is right for embeddings that stand at right angles. "
            "These do not: the slope of the cosine at their mean angle is sin θ, so divide by π·sin θ.",
        ),
        Misconception(
            "the wrong way round",
            lambda z, tau: float(tau * math.pi * torch.sin(mean_angle(z))),
            "This makes the temperature of arc hotter, and its logits flatter still. "
            "Arc is flatter than the cosine, so it needs a colder temperature: divide by π·sin θ.",
        ),
        Misconception(
            "the same temperature",
            lambda z, tau: tau,
            "At the same temperature the logits of arc are not as steep as those of the cosine: "
            "the slopes are (1/π)/τ and sin θ/τ. Ask which τ makes the first equal the second.",
        ),
        Misconception(
            "rows with themselves",
            lambda z, tau: float(tau / (math.pi * torch.sin(table_of_angles(z).mean()))),
            "The mean counts each row's angle with itself, which is 0. Only pairs of different rows matter.",
        ),
        Misconception(
            "cosine for sine",
            lambda z, tau: float(tau / (math.pi * torch.cos(mean_angle(z)).abs())),
            "The slope of cos θ is sin θ in size, not cos θ.",
        ),
        Misconception(
            "the angle for its sine",
            lambda z, tau: float(tau / (math.pi * mean_angle(z))),
            "This divides by the angle itself. The slope of the cosine at θ is sin θ.",
        ),
        Misconception(
            "angle of the mean cosine",
            of_the_mean_cosine,
            "This averages the cosines and then takes the angle of the average. "
            "The mean angle is another number: take the angle of each pair first.",
        ),
        Misconception(
            "lengths left in",
            of_raw_rows,
            "The rows of z have unequal lengths. Normalise them first: an angle is one between directions.",
        ),
        Misconception(
            "degrees",
            lambda z, tau: float(tau / (math.pi * torch.sin(torch.rad2deg(mean_angle(z))))),
            "The sine is taken of degrees. torch.sin takes radians.",
        ),
    ),
    why="At angle θ the logits fall by sin θ/τ for the cosine and by 1/(π·τ_arc) for arc. They are equally sharp when "
    "τ_arc = τ/(π·sin θ): colder by π at right angles, by less where the embeddings crowd together.",
    at_size=AtSize(lambda g: draw_cloud(g, 400, 32, 1.0), seconds=3.0),
)


# --------------------------------------------------------------------------------------------- arc.verdict

Run = tuple[float, list[float], list[float]]
TEMPERATURES = (1.0, 0.3, 0.1)
SEEDS = 3


def draw_accuracies(g: Generator, mean: float, seeds: int = SEEDS, spread: int = 4) -> list[float]:
    """Accuracies in thousandths around a mean, one a seed, no two of them equal and all within the spread."""
    middle = round(1000 * mean)
    steps = torch.randperm(2 * spread + 1, generator=g)[:seeds] - spread
    return [(middle + int(step)) / 1000 for step in steps]


def draw_runs(g: Generator, validation: list[float], test: list[float], spread: int = 4) -> list[Run]:
    """One row a temperature, in mixed order."""
    rows = [
        (t, draw_accuracies(g, v, spread=spread), draw_accuracies(g, e, spread=spread))
        for t, v, e in zip(TEMPERATURES, validation, test, strict=True)
    ]
    return [rows[i] for i in torch.randperm(len(rows), generator=g)]


#: Means of validation and test for one measure: best at the second temperature, or at the third.
EARLY = [0.70, 0.85, 0.78]
LATE = [0.55, 0.70, 0.85]


def shifted(means: list[float], by: float) -> list[float]:
    """The same curve, higher or lower."""
    return [m + by for m in means]


Board = tuple[list[Run], list[Run]]


def draw_winner(g: Generator, gain: float) -> Board:
    """Each has its own best temperature; arc is ahead there by some gain (behind where it is negative)."""
    return draw_runs(g, EARLY, EARLY), draw_runs(g, shifted(LATE, gain), shifted(LATE, gain))


def draw_overlap(g: Generator) -> Board:
    """Arc is ahead on average, the cosine in its best seed; the seeds differ by more."""
    cosine, arc = draw_winner(g, 0.005)
    return with_test(cosine, EARLY, [0.848, 0.850, 0.868]), with_test(arc, LATE, [0.856, 0.859, 0.862])


def draw_touching(g: Generator, cosine_ahead: bool) -> Board:
    """The worst seed of one is exactly the best of the other."""
    cosine, arc = draw_winner(g, 0.0)
    high, low = [0.860, 0.864, 0.868], [0.852, 0.856, 0.860]
    return (
        with_test(cosine, EARLY, high if cosine_ahead else low),
        with_test(arc, LATE, low if cosine_ahead else high),
    )


def with_test(runs: list[Run], means: list[float], test: list[float]) -> list[Run]:
    """The row of the best temperature with other accuracies on the test set."""
    best = TEMPERATURES[means.index(max(means))]
    return [(t, v, test if t == best else e) for t, v, e in runs]


def draw_peek(g: Generator) -> Board:
    """Test and validation disagree on the best temperature of both, and on who is ahead."""
    return draw_runs(g, shifted(EARLY, 0.03), [0.70, 0.80, 0.88]), draw_runs(g, LATE, [0.55, 0.87, 0.84])


def draw_lucky_seed(g: Generator) -> Board:
    """One seed of a poor temperature is the best of all on the validation set."""
    cosine, arc = draw_winner(g, 0.03)
    lucky = [0.93, 0.60, 0.62]
    return (
        [(t, lucky if t == 0.1 else v, e) for t, v, e in cosine],
        [(t, lucky if t == 1.0 else v, e) for t, v, e in arc],
    )


def draw_failed_seed(g: Generator) -> Board:
    """The best temperature has fewer seeds than the others, as one run was lost."""
    cosine, arc = draw_winner(g, -0.03)
    return [cut(run) if run[0] == 0.3 else run for run in cosine], [cut(run) if run[0] == 0.1 else run for run in arc]


def cut(run: Run) -> Run:
    """Without its last seed."""
    return run[0], run[1][:-1], run[2][:-1]


def verdict_by_loop(cosine: list[Run], arc: list[Run]) -> tuple[float, float, str]:
    """Temperature by temperature, then seed against seed."""
    chosen = []
    for runs in (cosine, arc):
        best, best_mean = None, -1.0
        for run in runs:
            mean = math.fsum(run[1]) / len(run[1])
            if mean > best_mean:
                best, best_mean = run, mean
        chosen.append(best)
    (t_cosine, _, test_cosine), (t_arc, _, test_arc) = chosen
    return t_cosine, t_arc, ahead(test_cosine, test_arc)


def ahead(cosine: list[float], arc: list[float]) -> str:
    """The measure of which every seed beats every seed of the other."""
    if all(a > c for a in arc for c in cosine):
        return "arc"
    return "cosine" if all(c > a for a in arc for c in cosine) else "level"


def mean(values: list[float]) -> float:
    """The mean of some accuracies."""
    return sum(values) / len(values)


def decide(
    choose: Callable[[Run], float],
    judge: Callable[[list[float], list[float]], str] = ahead,
    judged_by: int = 2,
) -> Callable[[list[Run], list[Run]], tuple[float, float, str]]:
    """A verdict by one way to choose a temperature, one to judge, and the set of accuracies that is judged."""

    def verdict(cosine: list[Run], arc: list[Run]) -> tuple[float, float, str]:
        c, a = max(cosine, key=choose), max(arc, key=choose)
        return c[0], a[0], judge(c[judged_by], a[judged_by])

    return verdict


def higher_mean(cosine: list[float], arc: list[float]) -> str:
    """Any difference counts."""
    return "arc" if mean(arc) > mean(cosine) else "cosine"


def best_seed(cosine: list[float], arc: list[float]) -> str:
    """The one best seed of each."""
    if max(arc) == max(cosine):
        return "level"
    return "arc" if max(arc) > max(cosine) else "cosine"


def not_below(cosine: list[float], arc: list[float]) -> str:
    """Touching counts as ahead."""
    if min(arc) >= max(cosine):
        return "arc"
    return "cosine" if min(cosine) >= max(arc) else "level"


def equal_temperature(cosine: list[Run], arc: list[Run]) -> tuple[float, float, str]:
    """Both at the temperature that suits the cosine."""
    c = max(cosine, key=lambda run: mean(run[1]))
    a = next(run for run in arc if run[0] == c[0])
    return c[0], a[0], ahead(c[2], a[2])


VERDICT = Task(
    id="arc.verdict",
    title="A fair comparison",
    function="verdict",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("level", lambda g: draw_winner(g, 0.0)),
        Regime("arc is ahead", lambda g: draw_winner(g, 0.04)),
        Regime("the cosine is ahead", lambda g: draw_winner(g, -0.04)),
        Regime("ahead by less than the seeds differ", draw_overlap),
        Regime("worst and best seed are equal", lambda g: draw_touching(g, False)),
        Regime("worst and best seed are equal, the other way", lambda g: draw_touching(g, True)),
        Regime("another temperature is better on the test set", draw_peek),
        Regime("one lucky seed", draw_lucky_seed),
        Regime("a run was lost", draw_failed_seed),
    ),
    oracle=verdict_by_loop,
    misconceptions=(
        Misconception(
            "chosen on the test set",
            decide(lambda run: mean(run[2])),
            "The temperature was chosen by the test accuracies, so the test set judges a choice that it made itself. "
            "Choose by the validation accuracies.",
        ),
        Misconception(
            "one temperature for both",
            equal_temperature,
            "Arc is judged at the best temperature of the cosine. An equal temperature is not an equal sharpness: "
            "each gets its own.",
        ),
        Misconception(
            "the luckiest seed chooses",
            decide(lambda run: max(run[1])),
            "The temperature was chosen by its best seed, and a lucky seed may belong to a poor temperature. "
            "Choose by the mean over the seeds.",
        ),
        Misconception(
            "sum for mean",
            decide(lambda run: sum(run[1])),
            "This adds the validation accuracies up, so a temperature with more seeds looks better. Take the mean.",
        ),
        Misconception(
            "any difference counts",
            decide(lambda run: mean(run[1]), higher_mean),
            "The higher mean wins here, by however little. "
            "Where the seeds of the two overlap, another draw of seeds could turn it round: that is level.",
        ),
        Misconception(
            "best seed against best seed",
            decide(lambda run: mean(run[1]), best_seed),
            "This compares the best seed of one with the best of the other. "
            "To be ahead, even the worst seed must beat the best of the other.",
        ),
        Misconception(
            "judged on the validation set",
            decide(lambda run: mean(run[1]), judged_by=1),
            "The verdict is read off the validation accuracies, which have chosen the temperature and flatter it. "
            "Judge on the test set.",
        ),
        Misconception(
            "touching is ahead",
            decide(lambda run: mean(run[1]), not_below),
            "The worst seed of one equals the best of the other, and that is not ahead: every seed must be better.",
        ),
    ),
    why="Each measure is at its own best temperature, chosen without the test set, and a lead counts only where no "
    "choice among the seeds could have turned it round.",
)


TASKS = (SIMILARITY, STABLE, SLERP, GRADIENT, MATCH, VERDICT)
