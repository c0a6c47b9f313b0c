"""Time and error of every pairwise measure beside scipy, scikit-learn, torch and torchmetrics.

Run as `python -m benchmarks.distances` for all, or with the names of some, such as `euclidean`.
Writes benchmarks/results/distances.json.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.spatial.distance
import torch
import torchmetrics.functional.pairwise as tm
from rich.console import Console
from rich.table import Table
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import cosine_similarity as sklearn_cosine

from embedcourse.distances import GaussianReference, cdist, nearest, pack_bits

ROWS, FEATURES, REPEATS = 2000, 384, 5
SEARCH_ROWS, SEARCH_K = 20_000, 10
RESULTS = Path(__file__).parent / "results" / "distances.json"
DIRECT, PRODUCT = "donot_use_mm_for_euclid_dist", "use_mm_for_euclid_dist"

Runner = Callable[[], Any]


def seconds(run: Runner) -> tuple[float, Any]:
    """Median of five runs after one that warms up."""
    result = run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def largest_error(result: Any, truth: np.ndarray) -> float:
    """Largest error relative to the truth; where the truth is below 1e-3 of its largest entry, to that."""
    floor = 1e-3 * np.abs(truth).max()
    return float((np.abs(np.asarray(result, dtype=np.float64) - truth) / np.maximum(np.abs(truth), floor)).max())


def contests(x: torch.Tensor, y: torch.Tensor) -> dict[str, tuple[Callable[[], np.ndarray], dict[str, Runner]]]:
    """For each metric the truth (scipy in float64) and the competitors, all on float32 input."""
    a, b = x.numpy(), y.numpy()

    def truth(metric: str) -> np.ndarray:
        return scipy.spatial.distance.cdist(a.astype(np.float64), b.astype(np.float64), metric)

    bits, other_bits = x > 0, y > 0
    bits_np, other_np = bits.numpy(), other_bits.numpy()
    packed, other_packed = pack_bits(bits), pack_bits(other_bits)
    levels, other_levels = x.round().long(), y.round().long()
    levels_np, other_levels_np = levels.numpy(), other_levels.numpy()
    covariance = GaussianReference().fit(torch.cat([x, y])).covariance
    inverse = np.linalg.inv(covariance.double().numpy())
    whitening = np.linalg.cholesky(inverse)
    return {
        "hamming (bits)": (
            lambda: scipy.spatial.distance.cdist(bits_np, other_np, "hamming") * FEATURES,
            {
                "embedcourse": lambda: cdist(bits, other_bits, "hamming"),
                "embedcourse, packed": lambda: cdist(packed, other_packed, "packed_hamming"),
                "scipy": lambda: scipy.spatial.distance.cdist(bits_np, other_np, "hamming") * FEATURES,
                "sklearn": lambda: pairwise_distances(bits_np, other_np, metric="hamming") * FEATURES,
                "torch, p=0": lambda: torch.cdist(bits.float(), other_bits.float(), p=0.0),
            },
        ),
        "hamming (integers)": (
            lambda: scipy.spatial.distance.cdist(levels_np, other_levels_np, "hamming") * FEATURES,
            {
                "embedcourse": lambda: cdist(levels, other_levels, "hamming"),
                "scipy": lambda: scipy.spatial.distance.cdist(levels_np, other_levels_np, "hamming") * FEATURES,
                "torch, p=0": lambda: torch.cdist(levels.float(), other_levels.float(), p=0.0),
            },
        ),
        "manhattan": (
            lambda: truth("cityblock"),
            {
                "embedcourse": lambda: cdist(x, y, "manhattan"),
                "scipy": lambda: scipy.spatial.distance.cdist(a, b, "cityblock"),
                "sklearn": lambda: pairwise_distances(a, b, metric="manhattan"),
                "torch": lambda: torch.cdist(x, y, p=1.0),
                # torchmetrics repeats both inputs to n × m × d numbers, 6 GB here: it gets an eighth of the rows.
                "torchmetrics (n/8)": lambda: tm.pairwise_manhattan_distance(x[: ROWS // 8], y),
            },
        ),
        "euclidean": (
            lambda: truth("euclidean"),
            {
                "embedcourse": lambda: cdist(x, y, "euclidean"),
                "scipy": lambda: scipy.spatial.distance.cdist(a, b, "euclidean"),
                "sklearn": lambda: pairwise_distances(a, b, metric="euclidean"),
                "torch, direct": lambda: torch.cdist(x, y, compute_mode=DIRECT),
                "torch, product": lambda: torch.cdist(x, y, compute_mode=PRODUCT),
                "torchmetrics": lambda: tm.pairwise_euclidean_distance(x, y),
            },
        ),
        "mahalanobis": (
            # scipy's own would take minutes; on whitened rows its Euclidean distance is the same.
            lambda: scipy.spatial.distance.cdist(a @ whitening, b @ whitening),
            {
                "embedcourse": lambda: cdist(x, y, "mahalanobis", covariance=covariance),
                # scipy and sklearn multiply by the inverse for every pair: a twentieth of the rows each way.
                "scipy (n/20 × m/20)": lambda: scipy.spatial.distance.cdist(
                    a[: ROWS // 20], b[: ROWS // 20], "mahalanobis", VI=inverse
                ),
                "sklearn (n/20 × m/20)": lambda: pairwise_distances(
                    a[: ROWS // 20], b[: ROWS // 20], metric="mahalanobis", VI=inverse
                ),
            },
        ),
        "cosine_similarity": (
            lambda: 1 - truth("cosine"),
            {
                "embedcourse": lambda: cdist(x, y, "cosine"),
                "scipy": lambda: 1 - scipy.spatial.distance.cdist(a, b, "cosine"),
                "sklearn": lambda: sklearn_cosine(a, b),
                "torchmetrics": lambda: tm.pairwise_cosine_similarity(x, y),
            },
        ),
        "negative_arc_length": (
            lambda: 1 - np.arccos(np.clip(1 - truth("cosine"), -1, 1)) / np.pi,
            {
                "embedcourse": lambda: cdist(x, y, "arc"),
                "torch, clamped acos": lambda: 1 - (product_of_units(x, y).clamp(-1, 1).acos() / torch.pi),
            },
        ),
    }


def product_of_units(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The usual cosine matrix: normalised rows, one product."""
    return torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T


def compare(metric: str, truth: np.ndarray, runners: dict[str, Runner]) -> list[dict[str, Any]]:
    """One row for each library."""
    rows = []
    for library, run in runners.items():
        elapsed, result = seconds(run)
        error = largest_error(result, truth[: result.shape[0], : result.shape[1]])
        rows.append({"metric": metric, "library": library, "seconds": elapsed, "largest_error": error})
    return rows


def searches(generator: torch.Generator) -> dict[str, Runner]:
    """Exact searches of 20,000 queries among 20,000 points, and all their Mahalanobis distances."""
    x, y = (torch.randn(SEARCH_ROWS, FEATURES, generator=generator) for _ in range(2))
    covariance = GaussianReference().fit(x).covariance
    packed, other_packed = pack_bits(x > 0), pack_bits(y > 0)
    return {
        "nearest, euclidean": lambda: nearest(x, y, SEARCH_K),
        "nearest, cosine": lambda: nearest(x, y, SEARCH_K, "cosine"),
        "nearest, packed_hamming": lambda: nearest(packed, other_packed, SEARCH_K, "packed_hamming"),
        "nearest, mahalanobis": lambda: nearest(x, y, SEARCH_K, "mahalanobis", covariance=covariance),
        "cdist, mahalanobis": lambda: cdist(x, y, "mahalanobis", covariance=covariance),
    }


def once(name: str, run: Runner) -> list[dict[str, Any]]:
    """One row: the seconds of a single run."""
    start = time.perf_counter()
    run()
    return [{"run": name, "rows": SEARCH_ROWS, "seconds": time.perf_counter() - start}]


def conditions() -> dict[str, Any]:
    """What the figures depend on."""
    libraries = ("torch", "numpy", "scipy", "scikit-learn", "torchmetrics")
    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {library: version(library) for library in libraries},
        "rows": ROWS,
        "features": FEATURES,
        "repeats": REPEATS,
        "dtype": "float32",
        "input": "standard normal, seed 0",
    }


def show(rows: list[dict[str, Any]], title: str) -> None:
    """A table on the terminal."""
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def main(wanted: list[str]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(ROWS, FEATURES, generator=generator) for _ in range(2))
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report = {"conditions": conditions(), "results": report.get("results", {})}
    contest, search = contests(x, y), searches(generator)
    for name in wanted or [*contest, *search]:
        result = compare(name, contest[name][0](), contest[name][1]) if name in contest else once(name, search[name])
        show(result, name)
        report["results"][name] = result
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
