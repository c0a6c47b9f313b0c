"""What was measured of a chapter's claims, seed by seed, and the file that keeps it."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from embedcourse import course
from embedcourse.claims import registry

__all__ = ["Results", "file_of", "results_of", "stored"]


@dataclass
class Results:
    """A row of numbers by name for each seed that is measured, and how they came about."""

    #: Processor, cores, threads, and the versions of torch and Python.
    machine: dict[str, Any]
    #: The seeds that are asked for; there may be fewer rows while the run goes on.
    seeds: list[int]
    #: SHA-256 of the code that measured.
    code: str
    #: What `measure` returned, a row a seed.
    rows: list[dict[str, float]] = field(default_factory=list)
    #: How long `measure` took, in seconds, for each row.
    seconds: list[float] = field(default_factory=list)
    #: The day on which the last row was measured (ISO 8601, UTC).
    date: str = ""

    def __post_init__(self) -> None:
        """Refuse rows that do not belong together."""
        if len(self.rows) != len(self.seconds) or len(self.rows) > len(self.seeds):
            raise ValueError(f"{len(self.rows)} rows, {len(self.seconds)} times and {len(self.seeds)} seeds do not fit")
        for seed, row in zip(self.seeds, self.rows, strict=False):
            self.check(seed, row)

    def check(self, seed: int, row: dict[str, float]) -> None:
        """Refuse a row that is not like the first, or holds what is no finite number."""
        if row.keys() != self.rows[0].keys():
            raise ValueError(f"seed {seed} has {sorted(row)}, seed {self.seeds[0]} has {sorted(self.rows[0])}")
        odd = [key for key, number in row.items() if not math.isfinite(number)]
        if odd:
            raise ValueError(f"seed {seed}: expected finite numbers, got {row[odd[0]]} for {odd[0]!r}")

    @property
    def open_seeds(self) -> list[int]:
        """The seeds that are still to be measured."""
        return self.seeds[len(self.rows) :]

    def add(self, row: dict[str, float], seconds: float) -> None:
        """Note what the next seed gave.

        Raises: ValueError for a row that is not like those before, or holds NaN or infinity.
        """
        seed = self.open_seeds[0]
        self.rows.append({key: float(number) for key, number in row.items()})
        self.check(seed, self.rows[-1])
        self.seconds.append(round(seconds, 1))

    def columns(self) -> dict[str, list[float]]:
        """The numbers by name, one a seed."""
        return {key: [row[key] for row in self.rows] for key in self.rows[0]} if self.rows else {}

    def is_same_run(self, other: "Results") -> bool:
        """Whether rows of both may stand side by side: the same seeds, code and machine."""
        return (self.machine, self.seeds, self.code) == (other.machine, other.seeds, other.code)

    @classmethod
    def read(cls, file: Path) -> "Results":
        """Read a file; ValueError when it holds anything else than what `write` writes."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} is damaged: {error}") from error

    def write(self, file: Path) -> None:
        """Write a file, whole or not at all."""
        course.write_whole(file, (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode())


def file_of(chapter: course.Chapter) -> Path:
    """Where a chapter's finished results are kept.

    Raises: FileNotFoundError where the package was installed without the course's folder.
    """
    return course.root() / "benchmarks" / "results" / "claims" / f"{chapter.name}.json"


def results_of(chapter: course.Chapter) -> Results:
    """The results of a chapter, as they are stored.

    Raises: FileNotFoundError where nothing is stored, or the package was installed without the course's folder;
    ValueError for a damaged file.
    """
    file = file_of(chapter)
    if not file.exists():
        raise FileNotFoundError(
            f"nothing is stored of the claims of {chapter.name}; run `embedcourse claims {chapter.name}`"
        )
    return Results.read(file)


def stored(chapter: str) -> dict[str, list[float]]:
    """The stored numbers of a chapter, by name, one a seed: what its claims are judged by, and further ones.

    Raises: ValueError for a chapter without claims, or a damaged file; FileNotFoundError where nothing is stored, or
    the package was installed without the course's folder.
    """
    return results_of(registry.find_chapter(chapter)).columns()
