"""Measures a chapter's claims seed by seed; what is measured is kept at once, so that a run that is stopped goes on."""

import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import embedcourse
from embedcourse import course
from embedcourse.claims import registry
from embedcourse.claims.results import Results, file_of, results_of

__all__ = ["run"]


def run(chapter: course.Chapter, seeds: int | None = None, tell: Callable[[str], None] = print) -> Results:
    """Measure a chapter's claims with seeds 0, 1, …, and store the results in the place of earlier ones.

    Earlier results stay until all seeds are measured. A run that was stopped goes on with the seed that it was at,
    where seeds, code and machine are the same; otherwise it starts again.

    seeds: how many; None takes as many as the earlier results have, three where there are none.
    tell: gets a line before and after each seed.
    Raises: ValueError where `measure` returns no number for a claim, other names than before, NaN or infinity.
    """
    seeds = seeds or seeds_before(chapter)
    module, unfinished = registry.module_of(chapter), file_of(chapter).with_suffix(".unfinished.tmp")
    results = continued(unfinished, Results(machine(), list(range(seeds)), digest_of(module)))
    if results.rows:
        tell(f"{chapter.name}: {len(results.rows)} of {seeds} seeds are kept from a run that was stopped")
    for seed in results.open_seeds:
        tell(f"{chapter.name}: seed {seed} ({len(results.rows) + 1} of {seeds})")
        started = time.perf_counter()
        row = module.measure(seed)
        check_measured(chapter, module, row)
        results.add(row, time.perf_counter() - started)
        results.date = datetime.now(UTC).date().isoformat()
        results.write(unfinished)
        tell(f"{chapter.name}: seed {seed} took {results.seconds[-1]:.0f} s")
    results.write(file_of(chapter))
    unfinished.unlink()
    return results


def seeds_before(chapter: course.Chapter) -> int:
    """How many seeds the stored results have, three where none are stored."""
    return len(results_of(chapter).seeds) if file_of(chapter).exists() else 3


def continued(file: Path, new: Results) -> Results:
    """What the run that left this file had measured, where it is the same run; else the new one."""
    try:
        old = Results.read(file)
    except (FileNotFoundError, ValueError):
        return new
    return old if old.is_same_run(new) else new


def check_measured(chapter: course.Chapter, module: ModuleType, row: dict[str, float]) -> None:
    """Refuse measurements that leave a claim open."""
    missing = [claim.key for claim in module.CLAIMS if claim.key not in row]
    if missing:
        raise ValueError(f"{chapter.module}.measure returned no {missing[0]!r}, which is claimed; got {sorted(row)}")


def machine() -> dict[str, Any]:
    """Where and with what is measured, as far as numbers may depend on it."""
    import torch

    return {
        "processor": platform.processor() or platform.machine(),
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def digest_of(module: ModuleType) -> str:
    """SHA-256 of a chapter's module and of all that it may use."""
    digest = hashlib.sha256()
    for file in (*used_files(), Path(module.__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def used_files() -> Iterator[Path]:
    """What measurements may depend on: the package, weights included, but for what serves learners."""
    package = Path(embedcourse.__file__).parent
    for file in sorted(package.rglob("*")):
        if file.is_file() and not {"checks", "claims", "cli", "__pycache__"} & set(file.relative_to(package).parts):
            yield file
