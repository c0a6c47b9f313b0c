"""Chapter 10: pictures and captions agree without a label, and sentences name and find what was never labelled.

Seed 0 has the chapter's scenes; every seed has its own. Colour and shape of eight combinations never meet in training.
"""

import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embedcourse.claims.claim import Claim
from embedcourse.evaluation import modality_gap, retrieval_recall
from embedcourse.models.clip import clip_objective, world_clip, zero_shot_classifier
from embedcourse.models.encoders import SmallCNN, embed_in_chunks
from embedcourse.training import Objective, fit
from embedcourse.world import FACTORS, Scenes, prompts, render, sample

__all__ = ["BATCH", "CLAIMS", "HELD_OUT", "RATE", "SCENES", "STEPS", "TEMPLATES", "measure"]

#: How CLIP learns.
SCENES, STEPS, BATCH, RATE = 24_000, 350, 256, 2e-3
#: Scenes to be named, and pictures among which a caption's is searched.
NAMED, SEARCHED = 2000, 400
#: Pairs of colour and shape that never occur in training: each colour once, so that none is rare.
HELD_OUT = tuple(zip(FACTORS["colour"], FACTORS["shape"] + FACTORS["shape"][:2], strict=True))
#: Sentences for an ensemble; the first is that of `prompts`.
TEMPLATES = ("a photo of a {}", "a {}", "the {}", "one {}", "this is a {}", "there is a {}")

WORLD = "generated scenes and captions in place of 400 million pairs from the web; 0.17 million weights"
CLAIMS = (
    Claim(
        "zero-shot colour",
        at_least=0.90,
        paper="ImageNet, 1,000 classes: 76.2 % with ViT-L/14@336px (section 3.1.3)",
        differs=f"{WORLD}; 8 classes",
    ),
    Claim("zero-shot material", at_least=0.70, paper="as above", differs=f"{WORLD}; 4 classes"),
    Claim("zero-shot shape", at_least=0.55, paper="as above", differs=f"{WORLD}; 6 classes"),
    Claim(
        "zero-shot temperature",
        at_most=0.40,
        paper="reports no such control",
        differs="chance is a third: captions tell it, pictures do not show it",
    ),
    Claim(
        "colour and shape, never seen together",
        at_least=10 / 48,
        paper="reports no such control",
        differs="chance is 1 of 48; none of these combinations was in a training picture or caption",
    ),
    Claim(
        "text -> image R@5",
        at_least=0.85,
        paper="Flickr30k, zero-shot: 90.6 % (table 13)",
        differs=f"{WORLD}; 400 pictures, searched by captions that leave out a quarter of what they could say",
    ),
    Claim(
        "image -> text R@5",
        at_least=0.85,
        paper="Flickr30k, zero-shot: 98.7 % (table 13)",
        differs=f"{WORLD}; 400 captions, one a picture in place of five",
    ),
    Claim(
        "modality gap, trained",
        at_least=0.20,
        paper="reports none; Liang et al. (2022) found it",
        differs="the distance of the means of all pictures and all captions, on the unit sphere",
    ),
    Claim(
        "CPU seconds of training",
        at_most=30,
        paper="12 days on 256 V100 GPUs for the largest ViT (section 2.5)",
        differs="one core of a CPU",
    ),
)


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    """Train on captioned pictures, name and search others by sentences, and set two other networks beside it.

    Those are the same CLIP untrained, and the same picture encoder trained as long on labels of all factors.
    """
    scenes = sample(SCENES // shorter, seed=10 * seed + 10_100_000, hold_out=HELD_OUT)
    named = sample(NAMED // shorter, seed=10 * seed + 10_100_001, hold_out=HELD_OUT)
    pictures, steps = render(scenes, "image"), STEPS // shorter
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, labelled = world_clip(), Labelled()
    images, texts = embedded(model, named)
    untrained = {f"untrained {factor}": share for factor, share in named_by_prompts(model, images, named)}
    gap = modality_gap(images, texts)
    seconds = train(model, clip_objective, (pictures, render(scenes, "text")), steps, seed)
    train(labelled, labelled_objective, (pictures, labels_of(scenes)), steps, seed)
    images, texts = embedded(model, named)
    return {
        **untrained,
        **{f"zero-shot {factor}": share for factor, share in named_by_prompts(model, images, named)},
        **{f"ensemble {factor}": share for factor, share in named_by_prompts(model, images, named, TEMPLATES)},
        **{f"supervised {factor}": share for factor, share in named_by_labels(labelled, named)},
        **dict(named_together(model, images, named, seed=10 * seed + 10_100_002)),
        **dict(found_by_search(images[:SEARCHED], texts[:SEARCHED])),
        "modality gap, untrained": gap,
        "modality gap, trained": modality_gap(images, texts),
        "scale": model.scale.item(),
        "CPU seconds of training": seconds,
    }


def train(model: nn.Module, objective: Objective, data: tuple[Tensor, ...], steps: int, seed: int) -> float:
    """Train as everything here is trained; return the seconds of CPU that it took."""
    batch = min(BATCH, len(data[0]))
    before = time.process_time()
    fit(model, objective, data, steps=steps, batch_size=batch, lr=RATE, seed=seed, device="cpu", progress=False)
    return time.process_time() - before


def embedded(model: nn.Module, scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Pictures and captions of the scenes, as unit vectors."""
    return model.embed_image(render(scenes, "image")), model.embed_text(render(scenes, "text"))


def accuracy(model: nn.Module, images: Tensor, scenes: Scenes, *factors: str, templates: tuple[str, ...]) -> float:
    """Share of embedded pictures whose nearest class, made of sentences, has the right values of all the factors."""
    sentences = zip(*(prompts(*factors, template=template) for template in templates), strict=True)
    found = (images @ zero_shot_classifier(model, list(sentences)).T).argmax(1)
    right = torch.zeros_like(found)
    for factor in factors:
        right = right * len(FACTORS[factor]) + scenes.labels(factor)
    return (found == right).double().mean().item()


def named_by_prompts(
    model: nn.Module, images: Tensor, scenes: Scenes, templates: tuple[str, ...] = TEMPLATES[:1]
) -> Iterator[tuple[str, float]]:
    """Zero-shot accuracy of every factor."""
    for factor in FACTORS:
        yield factor, accuracy(model, images, scenes, factor, templates=templates)


def named_together(model: nn.Module, images: Tensor, scenes: Scenes, seed: int) -> Iterator[tuple[str, float]]:
    """Zero-shot accuracy of colour and shape together, among all 48: of these scenes, and of those held out."""
    held_out = sample(len(scenes), seed=seed, only=HELD_OUT)
    of_held_out = model.embed_image(render(held_out, "image"))
    for met, (embeddings, truth) in {"seen": (images, scenes), "never seen": (of_held_out, held_out)}.items():
        share = accuracy(model, embeddings, truth, "colour", "shape", templates=TEMPLATES[:1])
        yield f"colour and shape, {met} together", share


def found_by_search(images: Tensor, texts: Tensor) -> Iterator[tuple[str, float]]:
    """How often a caption finds its picture among all, and a picture its caption."""
    for way, queries, keys in (("text -> image", texts, images), ("image -> text", images, texts)):
        for k in (1, 5):
            yield f"{way} R@{k}", retrieval_recall(queries, keys, k)


class Labelled(nn.Module):
    """CLIP's picture encoder with a linear classifier for each factor: what labels can teach it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SmallCNN()
        width = self.encoder.embedding_dim
        self.classifiers = nn.ModuleList(nn.Linear(width, len(values)) for values in FACTORS.values())

    def forward(self, images: Tensor) -> list[Tensor]:
        """The logits of every factor."""
        h = self.encoder(images)
        return [classifier(h) for classifier in self.classifiers]


def labels_of(scenes: Scenes) -> Tensor:
    """The values of all factors, a row a scene."""
    return torch.stack([scenes.labels(factor) for factor in FACTORS], dim=1)


def labelled_objective(model: Labelled, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of all factors together."""
    return sum(F.cross_entropy(logits, right) for logits, right in zip(model(images), labels.T, strict=True))


def named_by_labels(model: Labelled, scenes: Scenes) -> Iterator[tuple[str, float]]:
    """Accuracy of every factor's classifier."""
    h = embed_in_chunks(model.encoder, render(scenes, "image"))
    for factor, classifier in zip(FACTORS, model.classifiers, strict=True):
        yield factor, (classifier(h).argmax(1) == scenes.labels(factor)).double().mean().item()
