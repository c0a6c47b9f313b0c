"""SimCLR on the easy world under other temperatures, similarities, batch sizes and augmentations, judged by probes.

Run as `python -m benchmarks.simclr` (ten minutes on two CPU cores). Every run sees as many pictures as any other.
Writes benchmarks/results/simclr.json, which chapter 8 shows.
"""

import json
import os
import platform
import time
from pathlib import Path

import torch
from rich.console import Console

from embedcourse.claims.ch08_simclr import pretrain
from embedcourse.data.augmentations import augmentations
from embedcourse.evaluation import linear_probe
from embedcourse.losses import NTXentLoss
from embedcourse.models.simclr import SimCLR
from embedcourse.world import Scenes, render, sample

RESULTS = Path(__file__).parent / "results" / "simclr.json"
PICTURES, SEEN, WIDTH, LABELLED, SEEDS = 3000, 160 * 128, 8, 1000, (0, 1, 2)
GEOMETRY = {"zoom": (1.0, 1.4), "shift": 0.1, "rotation": 15, "flip": True}
COLOUR = {"colour": 0.5, "shuffle": 1.0, "grey": 0.3}
NONE = {"zoom": None, "shift": 0, "rotation": 0, "flip": False, "colour": 0, "shuffle": 0, "noise": 0}
RECIPES = {"geometry": NONE | GEOMETRY, "colour": NONE | COLOUR, "both": NONE | GEOMETRY | COLOUR}
TEMPERATURES = {
    "cosine": (0.02, 0.1, 0.2, 0.5, 2.0),
    "arc": (0.01, 0.03, 0.06, 0.2),
}
BATCHES = (32, 128, 512)


def train(
    x: torch.Tensor,
    *,
    seed: int,
    similarity: str = "cosine",
    temperature: float = 0.2,
    batch: int = 128,
    recipe: str = "both",
) -> tuple[SimCLR, float]:
    """A network trained on x without labels, and the mean loss of its last tenth of steps."""
    augment, loss = augmentations(**RECIPES[recipe]), NTXentLoss(temperature, similarity)
    steps = SEEN // batch
    model, history = pretrain(x, augment, loss, steps=steps, width=WIDTH, batch_size=batch, seed=seed)
    last = history.loss[-(steps // 10) :]
    return model, sum(last) / len(last)


def measure(x: torch.Tensor, scenes: Scenes, x_test: torch.Tensor, others: Scenes, **how: object) -> dict:
    """The last loss, and what linear probes read of shape and colour, for each seed."""
    found: dict[str, list[float]] = {"loss": [], "shape": [], "colour": []}
    for seed in SEEDS:
        model, loss = train(x, seed=seed, **how)
        found["loss"].append(round(loss, 4))
        h, h_test = model.embed(x[:LABELLED]), model.embed(x_test)
        for factor in ("shape", "colour"):
            accuracy = linear_probe(h, scenes.labels(factor)[:LABELLED], h_test, others.labels(factor))
            found[factor].append(round(accuracy, 4))
    return found


def main() -> None:
    """Measure all and write the results."""
    console, start, kept = Console(), time.perf_counter(), {}
    scenes, others = sample(PICTURES, seed=0, easy=True), sample(1000, seed=1, easy=True)
    data = render(scenes, "image"), scenes, render(others, "image"), others
    results: dict[str, dict] = {"cosine": {}, "arc": {}, "batch": {}, "recipe": {}}

    def note(table: str, row: object, similarity: str = "cosine", temperature: float = 0.2, **how: object) -> None:
        key = similarity, temperature, *(set(how.items()) - {("batch", 128), ("recipe", "both")})
        if key not in kept:
            kept[key] = measure(*data, similarity=similarity, temperature=temperature, **how)
            console.print(key, kept[key])
        results[table][str(row)] = kept[key]

    for similarity, temperatures in TEMPERATURES.items():
        for temperature in temperatures:
            note(similarity, temperature, similarity, temperature)
    for size in BATCHES:
        note("batch", size, batch=size)
    for recipe in RECIPES:
        note("recipe", recipe, recipe=recipe)
    machine = {"processor": platform.processor() or platform.machine(), "cpu_cores": os.cpu_count()}
    setting = {"pictures": PICTURES, "seen": SEEN, "width": WIDTH, "labelled": LABELLED, "seeds": len(SEEDS)}
    times = {"threads": torch.get_num_threads(), "minutes": round((time.perf_counter() - start) / 60, 1)}
    written = {**machine, "torch": torch.__version__, **setting, **times, **results}
    RESULTS.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
