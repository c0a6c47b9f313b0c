"""Time and memory of NT-Xent, forward and backward, beside pytorch-metric-learning.

Run as `python -m benchmarks.losses`. Each competitor runs in a process of its own, so that its peak memory is its own.
Writes benchmarks/results/losses.json.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from embedcourse.losses import NTXentLoss

DIMENSIONS, TEMPERATURE, REPEATS = 128, 0.5, 3
RESULTS = Path(__file__).parent / "results" / "losses.json"
#: The batches that each is given. The memory of pytorch-metric-learning grows with the cube of the batch.
BATCHES = {
    "embedcourse, tiles": (256, 2048, 8192),
    "embedcourse, tiles, arc": (256, 2048, 8192),
    "embedcourse, whole": (256, 2048, 8192),
    "pytorch-metric-learning": (256,),
}


def make(name: str) -> nn.Module:
    """The competitor of that name."""
    if name == "pytorch-metric-learning":
        from pytorch_metric_learning import losses

        return losses.SelfSupervisedLoss(losses.NTXentLoss(temperature=TEMPERATURE))
    similarity = "arc" if name.endswith("arc") else "cosine"
    return NTXentLoss(TEMPERATURE, similarity, chunk_size=1024 if "tiles" in name else None)


def measure(name: str, n: int) -> dict[str, float]:
    """Seconds of the best run, bytes of memory above what stood before, and the value, for two batches of n."""
    loss = make(name)
    generator = torch.Generator().manual_seed(0)
    out0, out1 = torch.randn(2, n, DIMENSIONS, generator=generator).unbind()
    out0.requires_grad_()
    out1.requires_grad_()
    loss(out0[:8], out1[:8]).backward()
    before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(REPEATS):
        start = time.perf_counter()
        value = loss(out0, out1)
        value.backward()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": round(min(times), 4), "megabytes": round(peak / 1024, 1), "value": round(value.item(), 6)}


def main() -> None:
    """Measure all and write the results."""
    table = Table("NT-Xent", "batch", "seconds", "megabytes", "value")
    rows = {}
    for name, batches in BATCHES.items():
        for n in batches:
            command = [sys.executable, "-m", "benchmarks.losses", name, str(n)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = rows.setdefault(name, {})[str(n)] = json.loads(done.stdout)
            table.add_row(name, f"{n:,}", *(f"{found[key]:g}" for key in ("seconds", "megabytes", "value")))
    machine = {"processor": platform.processor() or platform.machine(), "cpu_cores": os.cpu_count()}
    versions = {name: version(name) for name in ("torch", "pytorch-metric-learning")}
    setting = {"dimensions": DIMENSIONS, "temperature": TEMPERATURE, "threads": torch.get_num_threads()}
    RESULTS.write_text(json.dumps({**machine, **versions, **setting, "NT-Xent": rows}, indent=1) + "\n")
    Console().print(table)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main()
