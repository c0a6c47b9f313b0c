"""Chapter 9's networks over five seeds: VICReg whole and without each of its terms, SimCLR, a random network.

Run as `python -m benchmarks.vicreg`. Writes benchmarks/results/vicreg.json, which the chapter shows.
The settings are those of the chapter on a CPU.
"""

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from embedcourse.data.augmentations import augmentations
from embedcourse.evaluation import effective_rank, linear_probe
from embedcourse.losses import NTXentLoss, VICRegLoss, invariance
from embedcourse.models.encoders import SmallCNN
from embedcourse.models.projector import Projector
from embedcourse.models.vicreg import VICReg
from embedcourse.training import fit
from embedcourse.world import render, sample

SEEDS, PICTURES, VIEWS, LABELLED, STEPS, BATCH, LR = range(5), 2000, 6, 1000, 250, 128, 0.01
RESULTS = Path(__file__).parent / "results" / "vicreg.json"
LOSSES = {
    "full": VICRegLoss(25, 25, 1),
    "no variance": VICRegLoss(25, 0, 1),
    "no covariance": VICRegLoss(25, 25, 0),
    "no invariance": VICRegLoss(0, 25, 1),
    "invariance alone": VICRegLoss(25, 0, 0),
    "SimCLR": NTXentLoss(0.2),
}


class Data:
    """Pictures in stored views, and labelled ones to probe with."""

    def __init__(self, seed: int) -> None:
        scenes, others = sample(PICTURES, seed=seed, easy=True), sample(LABELLED, seed=1000 + seed, easy=True)
        self.x, self.x_test = render(scenes, "image"), render(others, "image")
        self.labels, self.labels_test = scenes.labels("shape"), others.labels("shape")
        torch.manual_seed(seed)
        augment = augmentations(colour=0.5, shuffle=1.0, noise=0)
        self.views = torch.stack([augment(self.x) for _ in range(VIEWS)], dim=1)


def new_network(seed: int) -> VICReg:
    """An encoder and an expander, the same ones for the same seed."""
    torch.manual_seed(seed)
    return VICReg(SmallCNN(16), Projector(128, 128, 128, 128))


def set_batch_norm(network: nn.Module, views: Tensor) -> None:
    """Let batch norm see the pictures; no weight changes."""
    network.train()
    with torch.no_grad():
        for batch in views[:, 0].split(BATCH) * 3:
            network(batch)
    network.eval()


def train(network: VICReg, loss: nn.Module, views: Tensor, seed: int) -> float:
    """Train on two of the stored views of each picture, drawn anew at each step; return the seconds."""

    def objective(network: nn.Module, batch: Tensor) -> Tensor:
        first, second = torch.randperm(VIEWS)[:2]
        return loss(network(batch[:, first]), network(batch[:, second]))

    return fit(
        network, objective, views, steps=STEPS, batch_size=BATCH, lr=LR, seed=seed, device="cpu", progress=False
    ).seconds


def plain_probe(train: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor) -> float:
    """A linear classifier on embeddings as they are, at their own scale."""
    probe = LogisticRegression(max_iter=2000).fit(train.numpy(), labels.numpy())
    return float(probe.score(test.numpy(), test_labels.numpy()))


def measure(network: VICReg, data: Data) -> dict[str, float]:
    """What the chapter's table shows of one network."""
    x, labels = data.x[:LABELLED], data.labels[:LABELLED]
    y, y_test = network.embed(x), network.embed(data.x_test)
    with torch.no_grad():
        z, z_test = network(x), network(data.x_test)
        z_a, z_b = network(data.views[:LABELLED, 0]), network(data.views[:LABELLED, 1])
    rank, std = effective_rank(z_test)
    return {
        "std": std,
        "rank": rank,
        "disagreement": (invariance(z_a, z_b) / (z_a.var(0) + z_b.var(0)).mean()).item(),
        "z as it is": plain_probe(z, labels, z_test, data.labels_test),
        "y as it is": plain_probe(y, labels, y_test, data.labels_test),
        "y standardised": linear_probe(y, labels, y_test, data.labels_test),
    }


def main() -> None:
    """Train and measure all, seed by seed, and write what was seen."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in ("random", *LOSSES)}
    for seed in SEEDS:
        data = Data(seed)
        network = new_network(seed)
        set_batch_norm(network, data.views)
        rows["random"].append(measure(network, data))
        for name, loss in LOSSES.items():
            network = new_network(seed)
            seconds = train(network, loss, data.views, seed)
            rows[name].append(measure(network, data) | {"seconds": seconds})
            numbers = "  ".join(f"{key} {value:.3f}" for key, value in rows[name][-1].items())
            print(f"seed {seed}  {name:<17} {numbers}", file=sys.stderr, flush=True)
    machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "torch": version("torch")}
    settings = {"pictures": PICTURES, "steps": STEPS, "batch": BATCH, "labelled": LABELLED, "seeds": len(SEEDS)}
    RESULTS.write_text(json.dumps({"machine": machine, "settings": settings, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
