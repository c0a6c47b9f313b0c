"""The factors of the world, which sense knows which, and scenes drawn from them.

A scene is one object on a ground, seen from above: x to the right, y up, both from −1 to 1 across the picture.
Its factors are independent and uniform. What is no factor is a nuisance: light, background, orientation, noise.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["BLIND", "FACTORS", "KNOWS", "Scenes", "sample"]

#: Names of the values of every factor. Position is continuous; here it is one of nine cells of the picture.
FACTORS = {
    "shape": ("sphere", "cube", "cone", "cylinder", "torus", "pyramid"),
    "colour": ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"),
    "size": ("small", "medium", "large"),
    "material": ("metal", "wood", "glass", "rubber"),
    "temperature": ("cold", "warm", "hot"),
    "motion": ("still", "slide", "spin", "bounce"),
    "position": (
        *("top left", "top", "top right"),
        *("left", "centre", "right"),
        *("bottom left", "bottom", "bottom right"),
    ),
}
#: The factors with names: all but position.
NAMED = tuple(factor for factor in FACTORS if factor != "position")
#: An object's centre lies within this distance of the picture's, along x and along y.
REACH = 0.3

#: Which factors each sense can tell. Thermal sees shape as a blurred outline: cube and pyramid look alike to it.
KNOWS = {
    "image": frozenset({"shape", "colour", "size", "material", "motion", "position"}),
    "depth": frozenset({"shape", "size", "position"}),
    "thermal": frozenset({"temperature", "size", "position", "shape"}),
    "audio": frozenset({"material", "size", "motion"}),
    "imu": frozenset({"motion", "size", "shape"}),
    "text": frozenset(FACTORS),
}
#: Which factors leave no trace in a sense.
BLIND = {sense: frozenset(FACTORS) - known for sense, known in KNOWS.items()}


@dataclass(frozen=True)
class Scenes:
    """n scenes as tensors: the factors, the nuisances, and a key from which each scene's noise follows.

    What a sense makes of a scene depends on nothing else, so a scene looks and sounds the same alone, in a batch, in
    a slice and on another device (up to rounding).
    """

    shape: Int[Tensor, " n"]
    colour: Int[Tensor, " n"]
    size: Int[Tensor, " n"]
    material: Int[Tensor, " n"]
    temperature: Int[Tensor, " n"]
    motion: Int[Tensor, " n"]
    position: Float[Tensor, "n 2"]
    angle: Float[Tensor, " n"]
    light: Float[Tensor, "n 2"]
    background: Float[Tensor, "n 6"]
    key: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: int | slice | Sequence[int] | Int[Tensor, " k"] | Bool[Tensor, " n"]) -> "Scenes":
        """The chosen scenes; a single number chooses a batch of one."""
        index = [index] if isinstance(index, int) else index
        return Scenes(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.shape.device

    def to(self, device: str | torch.device) -> "Scenes":
        """The same scenes on another device."""
        return Scenes(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def labels(self, factor: str) -> Int[Tensor, " n"]:
        """The value of a factor in each scene, as its number in `FACTORS`.

        Raises: ValueError for an unknown factor.
        """
        check_factor(factor)
        if factor != "position":
            return getattr(self, factor)
        column, row = ((self.position * torch.tensor([1, -1], device=self.device) / REACH + 1) * 1.5).long().unbind(1)
        return row.clamp(0, 2) * 3 + column.clamp(0, 2)

    def names(self, factor: str) -> list[str]:
        """The value of a factor in each scene, by name. Raises: ValueError for an unknown factor."""
        return [FACTORS[factor][value] for value in self.labels(factor).tolist()]

    def change(self, *values: str) -> "Scenes":
        """The same scenes with other values: `scenes.change("still")` takes motion out of every picture.

        Raises: ValueError for an unknown value.
        """
        changed = {factor: torch.full_like(self.shape, value) for factor, value in map(find, values)}
        return replace(self, **changed)


def sample(
    n: int,
    *,
    seed: int,
    hold_out: Iterable[Sequence[str]] = (),
    only: Iterable[Sequence[str]] = (),
    easy: bool = False,
    background: float = 1.0,
    device: str | torch.device = "cpu",
) -> Scenes:
    """Draw n scenes, the same ones for the same seed on every device.

    hold_out: combinations of values that never occur, such as [("red", "cube"), ("blue", "torus")].
    only: combinations of which every scene has at least one; to test on exactly what was held out.
    easy: large objects at rest on a plain ground, turned every way, so that single pixels do not give them away.
    background: how lively the ground is, from 0 (plain) to 1.

    Raises: ValueError for a negative n, a background outside [0, 1], an unknown value, or where nothing is left.
    Source: this course.
    """
    check_sample(n, background)
    combinations = allowed(as_tuples(hold_out), as_tuples(only), easy)
    generator = torch.Generator().manual_seed(seed)
    rows = combinations[torch.randint(len(combinations), (n,), generator=generator)]
    scenes = Scenes(
        **dict(zip(NAMED, rows.unbind(1), strict=True)),
        position=REACH * spread(n, 2, generator),
        angle=(torch.pi if easy else 0.3) * spread(n, 1, generator).squeeze(1),
        light=spread(n, 2, generator),
        background=(0 if easy else background) * spread(n, 6, generator),
        key=torch.randint(2**31, (n,), generator=generator),
    )
    return scenes.to(device)


def spread(n: int, d: int, generator: torch.Generator) -> Float[Tensor, "n d"]:
    """Numbers between −1 and 1."""
    return 2 * torch.rand(n, d, generator=generator) - 1


@cache
def allowed(hold_out: tuple[tuple[str, ...], ...], only: tuple[tuple[str, ...], ...], easy: bool) -> Int[Tensor, "c 6"]:
    """Every combination of the named factors that may occur, one a row."""
    rows = torch.tensor(list(itertools.product(*(range(len(FACTORS[factor])) for factor in NAMED))))
    keep = ~has_any(rows, hold_out)
    if only:
        keep &= has_any(rows, only)
    if easy:
        keep &= has_any(rows, (("large", "still"),))
    if not keep.any():
        raise ValueError(f"hold_out, only, easy: no combination of values is left, got {hold_out}, {only}, {easy}")
    return rows[keep]


def has_any(rows: Int[Tensor, "c 6"], combinations: tuple[tuple[str, ...], ...]) -> Bool[Tensor, " c"]:
    """Which rows have all the values of at least one of the combinations."""
    found = torch.zeros(len(rows), dtype=torch.bool)
    for combination in combinations:
        pairs = [find(value) for value in combination]
        found |= torch.stack([rows[:, NAMED.index(factor)] == value for factor, value in pairs]).all(0)
    return found


def find(value: str) -> tuple[str, int]:
    """The factor that has a value of this name, and the value's number. Raises: ValueError where none has."""
    for factor in NAMED:
        if value in FACTORS[factor]:
            return factor, FACTORS[factor].index(value)
    known = ", ".join(name for factor in NAMED for name in FACTORS[factor])
    raise ValueError(f"value: expected one of {known}; got {value!r}")


def as_tuples(combinations: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Combinations in a form that can be looked up; a bare word is a frequent slip."""
    combinations = tuple(combinations)
    if any(isinstance(combination, str) or not combination for combination in combinations):
        raise ValueError(f'hold_out, only: expected combinations such as [("red", "cube")], got {combinations!r}')
    return tuple(map(tuple, combinations))


def check_sample(n: int, background: float) -> None:
    """Refuse what cannot be drawn, by name."""
    if n < 0:
        raise ValueError(f"n: expected a number of scenes of at least 0, got {n}")
    if not 0 <= background <= 1:
        raise ValueError(f"background: expected a number from 0 (plain) to 1, got {background}")


def check_factor(factor: str) -> None:
    """Refuse an unknown factor, by name."""
    if factor not in FACTORS:
        raise ValueError(f"factor: expected one of {', '.join(FACTORS)}; got {factor!r}")
