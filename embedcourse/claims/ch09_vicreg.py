"""Chapter 9: VICReg whole and without each of its terms, SimCLR beside it, and a network that learned nothing.

The settings are those of the chapter on a CPU. Seed 0 also has the chapter's scenes; every seed has its own.
"""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from embedcourse.claims.claim import Claim
from embedcourse.data.augmentations import augmentations
from embedcourse.evaluation import effective_rank, linear_probe
from embedcourse.losses import NTXentLoss, VICRegLoss, invariance
from embedcourse.models.encoders import SmallCNN
from embedcourse.models.projector import Projector
from embedcourse.models.vicreg import VICReg
from embedcourse.training import fit
from embedcourse.world import render, sample

__all__ = ["CLAIMS", "measure"]

PICTURES, VIEWS, LABELLED, STEPS, BATCH = 2000, 6, 1000, 180, 128
OPTIONS = {"batch_size": BATCH, "lr": 0.01}
#: A strong decay lets directions of z fade for which no term asks; SimCLR keeps the usual one.
DECAY, USUAL_DECAY = 1.5, 0.01
WEIGHTS = {  # of invariance, variance and covariance
    "full": (25, 25, 1),
    "no variance": (25, 0, 1),
    "no covariance": (25, 25, 0),
    "no invariance": (0, 25, 1),
    "invariance alone": (25, 0, 0),
}
LOSSES = {name: VICRegLoss(*weights, convention="paper") for name, weights in WEIGHTS.items()}
LOSSES["SimCLR"] = NTXentLoss(0.2)

CLAIMS = (
    Claim(
        "no variance: std",
        at_most=0.05,
        paper="collapse (table 7: λ, μ, ν = 25, 0, 1)",
        differs="the mean standard deviation of the dimensions of z",
    ),
    Claim(
        "invariance alone: std",
        at_most=0.05,
        paper="collapse (table 7: λ, μ, ν = 1, 0, 0)",
        differs="the mean standard deviation of the dimensions of z",
    ),
    Claim(
        "no covariance: rank",
        at_most=2.0,
        paper="reports no rank; 57.5 against 68.6 % on ImageNet (table 7)",
        differs="the effective rank of z, of 128 dimensions; the strong weight decay makes it so low",
    ),
    Claim(
        "full above no variance: y as it is",
        at_least=0.20,
        paper="ImageNet, linear classifier: 68.6 % against collapse (table 7)",
        differs="6 shapes in a generated world of 32×32 pixels in place of 1,000 classes of ImageNet; 0.1 million "
        "weights in place of 24 million; 180 steps in place of 100 epochs",
    ),
    Claim(
        "no variance above random: y as it is",
        at_most=0.10,
        paper="reports no random network",
        differs="a random network of this form is above chance, and so is a collapsed one",
    ),
)


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    """Train each network on the same pictures, and look at its z and its y: "<network>: <what was seen>"."""
    data = Data(seed, max(PICTURES // shorter, 2 * BATCH))
    seen = {"random": data.look(random_network(seed, data.views))}
    for name, loss in LOSSES.items():
        decay = USUAL_DECAY if name == "SimCLR" else DECAY
        seen[name] = data.look(trained(seed, loss, data.views, STEPS // shorter, decay))
    y = {name: numbers["y as it is"] for name, numbers in seen.items()}
    return {f"{name}: {what}": number for name, numbers in seen.items() for what, number in numbers.items()} | {
        "full above no variance: y as it is": y["full"] - y["no variance"],
        "no variance above random: y as it is": y["no variance"] - y["random"],
    }


def new_network(seed: int) -> VICReg:
    """An encoder and an expander, the same ones for the same seed."""
    torch.manual_seed(seed)
    return VICReg(SmallCNN(16), Projector(128, 128, 128, 128))


def random_network(seed: int, views: Tensor) -> VICReg:
    """A network that learned nothing; its batch norm has seen the pictures, else its numbers were out of scale."""
    network = new_network(seed)
    update_bn(views[:, 0].split(BATCH), network)
    return network.eval()


def trained(seed: int, loss: nn.Module, views: Tensor, steps: int, decay: float) -> VICReg:
    """A network trained on two of the stored views of each picture, drawn anew at each step."""

    def objective(network: VICReg, batch: Tensor) -> Tensor:
        first, second = torch.randperm(VIEWS)[:2]
        return loss(network(batch[:, first]), network(batch[:, second]))

    network = new_network(seed)
    options = OPTIONS | {"steps": steps, "weight_decay": decay, "seed": seed}
    fit(network, objective, views, **options, device="cpu", progress=False)
    return network


class Data:
    """Pictures in stored views, of which the first are labelled, and others to be judged by."""

    def __init__(self, seed: int, pictures: int) -> None:
        scenes, others = sample(pictures, seed=seed, easy=True), sample(LABELLED, seed=1000 + seed, easy=True)
        x, self.x_test = render(scenes, "image"), render(others, "image")
        self.x, self.labels, self.truth = x[:LABELLED], scenes.labels("shape")[:LABELLED], others.labels("shape")
        torch.manual_seed(seed)
        augment = augmentations(colour=0.5, shuffle=1.0, noise=0)
        self.views = torch.stack([augment(x) for _ in range(VIEWS)], dim=1)  # (pictures, views, 3, 32, 32)

    def look(self, network: VICReg) -> dict[str, float]:
        """How z lies, how far two views disagree, and the shape as probes read it off y."""
        y, y_test = network.embed(self.x), network.embed(self.x_test)
        with torch.no_grad():
            rank, std = effective_rank(network(self.x_test))
            z_a, z_b = network(self.views[:LABELLED, 0]), network(self.views[:LABELLED, 1])
        return {
            "std": std,
            "rank": rank,
            "disagreement": (invariance(z_a, z_b) / (z_a.var(0) + z_b.var(0)).mean()).item(),
            "y as it is": linear_probe(y, self.labels, y_test, self.truth, standardise=False),
            "y standardised": linear_probe(y, self.labels, y_test, self.truth),
        }
