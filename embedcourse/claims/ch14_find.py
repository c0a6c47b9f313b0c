"""Chapter 14: one interface over frozen features segments, grounds, selects and retrieves with one set of weights.

The frozen features are the shipped ones; the seed decides the scenes and the interface. Six pairs of a colour and a
shape occur in no training scene, neither of the features nor of the interface.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from embedcourse.checkpoints.find import HELD_OUT, load_find_features
from embedcourse.claims.claim import Claim
from embedcourse.evaluation import class_iou, iou, retrieval_recall
from embedcourse.models.find_scenes import (
    CLASSES,
    WEIGHTS,
    FrozenEncoders,
    Lessons,
    SceneFIND,
    class_map,
    class_names,
    find_objective,
    lessons,
    one_pixel_each,
)
from embedcourse.training import fit
from embedcourse.world import prompts
from embedcourse.world.text import decode

__all__ = ["BATCH", "CLAIMS", "MEASURED", "RATE", "SCENES", "STEPS", "interface", "measure", "picked"]

#: How the interface learns, and how many scenes are measured; among as many a caption searches its picture.
SCENES, STEPS, BATCH, RATE, MEASURED = 3000, 400, 20, 6e-3, 200

WORLD = "generated scenes of two to four objects; 0.42 million weights, frozen ones included"
CLAIMS = (
    Claim(
        "grounding: picks the right object",
        at_least=0.95,
        differs=f"{WORLD}; by chance about a third",
    ),
    Claim(
        "grounding: IoU",
        at_least=0.72,
        paper="COCO-Entity: cIoU 76.2 with Focal-L (README of the authors' code)",
        differs=WORLD,
    ),
    Claim("segmentation: mIoU by colour", at_least=0.75, differs=f"{WORLD}; 8 classes"),
    Claim("segmentation: mIoU by shape", at_least=0.65, differs=f"{WORLD}; 6 classes"),
    Claim("segmentation: mIoU by colour and shape", at_least=0.65, differs=f"{WORLD}; 48 classes"),
    Claim(
        "segmentation: mIoU by colour and shape, pairs never seen",
        at_least=0.60,
        differs="6 of the 48 classes, which neither the frozen features nor the interface had met",
    ),
    Claim("text -> image R@1", at_least=0.80, differs=f"{WORLD}; {MEASURED} pictures"),
    Claim(
        "interleaved -> image R@1",
        at_least=0.65,
        paper="COCO-Entity: IR@5 81.1 with Focal-L (README of the authors' code)",
        differs=f"{WORLD}; {MEASURED} pictures; the region shows another object of the kind",
    ),
    Claim(
        "interleaved -> image R@1, region blanked",
        at_most=0.25,
        differs="the same sentences, the features of the region set to 0",
    ),
    Claim(
        "grounding alone: segmentation: mIoU by colour and shape",
        at_most=0.50,
        differs="an interface that was trained to ground and for nothing else",
    ),
    Claim(
        "retrieval alone: grounding: IoU",
        at_most=0.25,
        differs="an interface that was trained to find pictures by captions and for nothing else",
    ),
    Claim(
        "segmentation alone: interleaved -> image R@1",
        at_most=0.25,
        differs="an interface that was trained to segment and for nothing else",
    ),
    Claim(
        "random features: segmentation: mIoU by shape",
        at_most=0.20,
        differs="the joint interface, trained alike over encoders that learned nothing",
    ),
    Claim(
        "random features: text -> image R@1",
        at_most=0.10,
        differs="the joint interface, trained alike over encoders that learned nothing",
    ),
    Claim(
        "random features: grounding: picks the right object",
        at_most=0.85,
        differs="it does not fail here: random convolutions keep colours, and the interface learns to read them",
    ),
)
#: The tasks of each interface that is trained beside the joint one.
ALONE = {
    "segmentation alone": ["segmentation"],
    "grounding alone": ["grounding"],
    "retrieval alone": ["retrieval"],
}


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    """Train on all tasks together, on some alone, and over random features; measure each interface on new scenes."""
    data = lessons(max(SCENES // shorter, BATCH), seed=20 * seed + 14_100_000, hold_out=HELD_OUT)
    test = lessons(max(MEASURED // shorter, 20), seed=20 * seed + 14_100_002)
    train = partial(interface, data=data, steps=STEPS // shorter, seed=seed)
    encoders, started = load_find_features(), time.process_time()
    model = train(encoders)
    joint = {"CPU seconds of training": time.process_time() - started, **dict(answers(model, test, seed))}
    for name, tasks in ALONE.items():
        joint |= {f"{name}: {key}": value for key, value in answers(train(encoders, tasks=tasks), test, seed)}
    random = answers(train(untrained(seed, data)), test, seed)
    return joint | {f"random features: {key}": value for key, value in random}


def interface(
    encoders: FrozenEncoders, data: Lessons, *, tasks: Sequence[str] = tuple(WEIGHTS), steps: int = STEPS, seed: int = 0
) -> SceneFIND:
    """An interface over the encoders, trained on some tasks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SceneFIND(encoders)
    objective = partial(find_objective, tasks=tasks)
    fit(model, objective, tuple(data), steps=steps, batch_size=BATCH, lr=RATE, seed=seed, device="cpu", progress=False)
    return model


def untrained(seed: int, data: Lessons) -> FrozenEncoders:
    """Encoders as they are born, but for the statistics of their batch norms: without these they were handicapped."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        encoders = FrozenEncoders()
        for part in data.pictures[:1280].split(128):
            encoders.vision(part)
    return encoders


def answers(model: SceneFIND, test: Lessons, seed: int) -> Iterator[tuple[str, float]]:
    """How good the answers to all questions are, whether or not the model was trained on them."""
    yield from segmented(model, test)
    rows = torch.arange(len(test.shown))
    truth, sentences = test.masks[rows, test.shown], decode(test.expressions[rows, test.shown])
    shown = test.others, test.regions
    for task, logits in (
        ("grounding", model.ground(test.pictures, sentences)),
        ("interleaved grounding", model.ground_shown(test.pictures, decode(test.with_thing), *shown)),
    ):
        yield f"{task}: picks the right object", (picked(logits, test.masks) == test.shown).double().mean().item()
        yield f"{task}: IoU", iou(logits > 0, truth).mean().item()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clicks = one_pixel_each(test.masks)
    there = test.masks.flatten(2).any(2)
    yield "interactive: IoU", iou(model.select(test.pictures, clicks) > 0, test.masks)[there].mean().item()
    yield from found(model, test)


def segmented(model: SceneFIND, test: Lessons) -> Iterator[tuple[str, float]]:
    """mIoU over the classes of each kind; over the pairs also without those held out, and over these alone."""
    names = prompts("colour", "shape", template="{}")
    new = torch.tensor([tuple(name.split()) in HELD_OUT for name in names])
    for kind in CLASSES:
        predicted = model.segment(test.pictures, class_names(kind))
        ious = class_iou(predicted, class_map(test, kind), len(class_names(kind)))
        yield f"segmentation: mIoU by {kind}", ious.nanmean().item()
    yield "segmentation: mIoU by colour and shape, seen pairs", ious[~new].nanmean().item()
    yield "segmentation: mIoU by colour and shape, pairs never seen", ious[new].nanmean().item()


def picked(logits: Tensor, masks: Tensor) -> Tensor:
    """The place of the object whose pixels the mask claims most: the largest mean probability over an object."""
    inside = (logits.sigmoid()[:, None] * masks).sum((2, 3)) / masks.sum((2, 3)).clamp(min=1)  # (n, 4)
    return inside.argmax(1)


def found(model: SceneFIND, test: Lessons) -> Iterator[tuple[str, float]]:
    """How often a caption finds its picture, and a sentence in which an object is shown, or its region is blanked."""
    images, texts = model.embed_image(test.pictures), decode(test.caption_with_thing)
    yield "text -> image R@1", retrieval_recall(model.embed_text(decode(test.captions)), images)
    shown = model.embed_shown(texts, test.others, test.regions)
    yield "interleaved -> image R@1", retrieval_recall(shown, images)
    blanked = model.embed_shown(texts, test.others, test.regions & False)
    yield "interleaved -> image R@1, region blanked", retrieval_recall(blanked, images)
