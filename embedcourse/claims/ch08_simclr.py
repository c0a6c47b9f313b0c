"""Chapter 8: a space learned without labels, judged by linear probes and by the nearest of very few labelled pictures.

The settings are those of the chapter on a CPU. Seed 0 also has the chapter's scenes; every seed has its own.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from embedcourse.claims.claim import Claim
from embedcourse.data.augmentations import augmentations, two_views
from embedcourse.data.digits import Digits, load_digits
from embedcourse.evaluation import knn_accuracy, linear_probe
from embedcourse.losses import NTXentLoss
from embedcourse.models.encoders import SmallCNN, embed_in_chunks, train_on_labels
from embedcourse.models.projector import Projector
from embedcourse.models.simclr import SimCLR
from embedcourse.training import History, fit
from embedcourse.world import render, sample

__all__ = ["CLAIMS", "measure", "pretrain"]

PICTURES, STEPS, BATCH, WIDTH, LABELLED, FEW = 6000, 500, 128, 16, 1000, 100
EPOCHS, DIGIT_STEPS, DRAWS = 40, 200, 20

CLAIMS = (
    Claim(
        "shape: SimCLR",
        at_least=0.72,
        paper="ImageNet, linear classifier: 69.3 % with ResNet-50, 76.5 % four times as wide (table 6)",
        differs="6 shapes in a generated world of 32×32 pixels in place of 1,000 classes of ImageNet; 0.1 million "
        "weights in place of 24 million; 64,000 pictures seen in place of 1.28 billion",
    ),
    Claim(
        "shape: random network", at_most=0.50, paper="reports no such control", differs="the same network, untrained"
    ),
    Claim(
        "CPU seconds of training",
        at_most=25,
        paper="about 1.5 hours for 100 of the 1,000 epochs, on 128 TPU v3 cores (section 2.2)",
        differs="the time of one CPU core, without waiting",
    ),
    Claim(
        "shape, 100 labels: SimCLR above supervised",
        at_least=0.10,
        paper="ImageNet, 1 % of the labels, top 5: 75.5 against 48.4 % (table 7)",
        differs="a probe on frozen features, where the paper trains on",
    ),
    Claim(
        "colour: random network above SimCLR",
        at_least=0.30,
        paper="reports no such figure",
        differs="views are recoloured, so that the loss wants colour forgotten",
    ),
    Claim(
        "position: h above z",
        at_least=0.10,
        paper="rotation read from h and from g(h): 67.6 against 25.6 % (table 3)",
        differs="views are shifted; the paper asks how far it had turned them",
    ),
    Claim(
        "digits, one label a class: SimCLR above raw pixels",
        at_least=0.08,
        paper="reports no such control",
        differs="scans of 8×8 pixels, which get the label of the nearest of ten labelled ones",
    ),
)

#: How the views of a picture of the world differ: in place, size, angle, side and colour, and every third is grey.
VIEWS = augmentations(zoom=(1.0, 1.4), shift=0.1, rotation=15, flip=True, colour=0.5, shuffle=1.0, grey=0.3, noise=0)
#: How those of a digit differ.
DIGIT_VIEWS = augmentations(zoom=(1.0, 1.3), shift=0.1, rotation=15, flip=False, colour=0.4, noise=0.05)

Embed = Callable[[Tensor], Tensor]


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    """Train on the easy world and on digits, and judge what was learned beside what was there before."""
    with threadpool_limits(1):  # as in the chapter: the layers are small, and a second thread gains little
        return measure_world(seed, shorter) | measure_digits(seed, shorter)


def pretrain(
    x: Tensor, augment: nn.Module, loss: nn.Module, *, steps: int, width: int, batch_size: int = BATCH, seed: int = 0
) -> tuple[SimCLR, History]:
    """An encoder and a projector, trained on pictures without labels, as in the chapter."""
    torch.manual_seed(seed)
    model = SimCLR(SmallCNN(width, channels=x.shape[1]), Projector(8 * width, 8 * width, 64))

    def objective(model: SimCLR, batch: Tensor) -> Tensor:
        x0, x1 = two_views(augment, batch)
        return loss(model(x0), model(x1))

    options = {"steps": steps, "batch_size": batch_size, "lr": 0.01, "seed": seed}
    return model, fit(model, objective, x, **options, progress=False)


def measure_world(seed: int, shorter: int) -> dict[str, float]:
    """What linear probes read of shape, colour and position off SimCLR, and off networks that had no such training."""
    world = World(seed, max(PICTURES // shorter, 2 * BATCH))
    started = time.process_time()
    model, _ = pretrain(world.x, VIEWS, NTXentLoss(0.2), steps=STEPS // shorter, width=WIDTH, seed=seed)
    seconds = time.process_time() - started
    torch.manual_seed(seed)
    untrained, supervised = SmallCNN(WIDTH), SmallCNN(WIDTH)
    train_on_labels(
        supervised, world.x[:FEW], world.scenes.labels("shape")[:FEW], epochs=max(EPOCHS // shorter, 1), seed=seed
    )
    shape, by_few = world.probe(model.embed, "shape"), world.probe(model.embed, "shape", FEW)
    colour, position = world.probe(model.embed, "colour"), world.probe(model.embed, "position")
    return {
        "CPU seconds of training": seconds,
        "shape: SimCLR": shape,
        "shape: random network": world.probe(untrained.embed, "shape"),
        "shape, 100 labels: SimCLR": by_few,
        "shape, 100 labels: SimCLR above supervised": by_few - world.probe(supervised.embed, "shape", FEW),
        "colour: SimCLR": colour,
        "colour: random network above SimCLR": world.probe(untrained.embed, "colour") - colour,
        "position: h above z": position - world.probe(partial(embed_in_chunks, model), "position"),
    }


class World:
    """Pictures to learn from, of which the first are labelled, and others to be judged by."""

    def __init__(self, seed: int, pictures: int) -> None:
        self.scenes = sample(pictures, seed=2 * seed, easy=True)
        self.others = sample(LABELLED, seed=2 * seed + 1, easy=True)
        self.x, self.x_test = render(self.scenes, "image"), render(self.others, "image")

    def probe(self, embed: Embed, factor: str, labelled: int = LABELLED) -> float:
        """Accuracy of a linear probe that was given so many labels of a factor."""
        labels, truth = self.scenes.labels(factor)[:labelled], self.others.labels(factor)
        return linear_probe(embed(self.x[:labelled]), labels, embed(self.x_test), truth)


def measure_digits(seed: int, shorter: int) -> dict[str, float]:
    """How often the nearest of ten labelled digits, one a class, is of the right class: SimCLR and raw pixels."""
    digits = load_digits(seed)
    options = {"steps": DIGIT_STEPS // shorter, "width": WIDTH, "batch_size": 256, "seed": seed}
    model, _ = pretrain(digits.train_images, DIGIT_VIEWS, NTXentLoss(0.2), **options)
    learned, raw = (
        one_label_a_class(digits, embed, seed) for embed in (model.embed, partial(torch.flatten, start_dim=1))
    )
    return {
        "digits, one label a class: SimCLR": learned,
        "digits, one label a class: SimCLR above raw pixels": learned - raw,
    }


def one_label_a_class(digits: Digits, embed: Embed, seed: int) -> float:
    """Accuracy by the nearest labelled picture, mean of several draws of one labelled picture a class."""
    train, test, scores = embed(digits.train_images), embed(digits.test_images), []
    generator = torch.Generator().manual_seed(seed)
    for _ in range(DRAWS):
        order = torch.randperm(len(train), generator=generator)
        first = torch.stack([order[digits.train_labels[order] == c][0] for c in range(10)])
        scores.append(knn_accuracy(train[first], digits.train_labels[first], test, digits.test_labels, k=1))
    return sum(scores) / DRAWS
