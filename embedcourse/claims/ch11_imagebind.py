"""Chapter 11: senses that were only ever bound to pictures find each other, where pictures show what they share.

Queries and keys are of different scenes: for every query there is one key of a scene with the same named factors, at
another place, under another light, with other noise. A query of text is a sentence that names what the pair shares.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations

import torch
from torch import Tensor

from embedcourse.checkpoints import hub_pictures, load_hub
from embedcourse.claims.claim import Claim
from embedcourse.evaluation import chance_agreement, match_agreement
from embedcourse.losses import ClipLoss
from embedcourse.models.clip import CLIP, world_clip, zero_shot_classifier
from embedcourse.models.imagebind import ImageBind, binding_loss, world_encoders
from embedcourse.training import Objective, fit
from embedcourse.world import Scenes, encode, prompts, render, sample
from embedcourse.world.sharing import counterparts, factor_labels, sentences, shared_factors

__all__ = [
    "BOUND",
    "CLAIMS",
    "Perceived",
    "bind",
    "measure",
]

#: The senses that learn in the chapter, in its order.
BOUND = ("audio", "imu", "depth", "thermal")
#: How they learn, and how many scenes are measured.
SCENES, STEPS, BATCH, RATE, MEASURED = 8192, 150, 256, 4e-3, 1000
#: 1/temperature of a pair that is trained directly: CLIP's first one.
DIRECT_SCALE = 1 / 0.07

WORLD = "generated scenes in place of recordings; encoders of 0.1 to 0.2 million weights in place of a ViT-H"
CLAIMS = (
    Claim(
        "text -> audio: emergent",
        at_least=0.90,
        paper="ESC-50, sounds named by text prompts: 66.9 (table 2)",
        differs=f"{WORLD}; the best match must agree on material, size and motion",
    ),
    Claim(
        "audio -> imu: emergent",
        at_least=0.90,
        paper="reports no figure for this pair",
        differs=f"{WORLD}; the best match must agree on size and motion",
    ),
    Claim(
        "depth -> thermal: emergent",
        at_least=0.80,
        paper="reports no figure for this pair",
        differs=f"{WORLD}; the best match must agree on shape and size, although cubes and pyramids look alike in heat",
    ),
    Claim("zero-shot audio: material", at_least=0.90, paper="ESC-50: 66.9 (table 2)", differs=f"{WORLD}; 4 classes"),
    Claim("zero-shot depth: shape", at_least=0.90, paper="NYU-D: 54.0 (table 2)", differs=f"{WORLD}; 6 classes"),
    Claim("zero-shot thermal: shape", at_least=0.70, paper="LLVIP: 63.4 (table 2)", differs=f"{WORLD}; 6 classes"),
    Claim("zero-shot imu: motion", at_least=0.90, paper="Ego4D: 25.0 (table 2)", differs=f"{WORLD}; 4 classes"),
    Claim(
        "zero-shot thermal: temperature",
        at_most=0.45,
        paper="no such control",
        differs="chance is a third: pictures do not show temperature, so no sense learns of it through them",
    ),
    Claim(
        "motion-blind audio -> imu: motion",
        at_most=0.40,
        paper="no such control; a better image encoder helps every sense (section 5)",
        differs="chance is a quarter: the hub's pictures show everything at rest",
    ),
    Claim(
        "motion-blind audio -> imu: size",
        at_least=0.80,
        paper="no such control",
        differs="what the same pictures do show emerges as before",
    ),
)


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    """Bind the four senses to the shipped hubs, search between all six, and set chance and direct training beside it.

    The seed decides the scenes and the encoders that are bound; the hubs are the shipped ones.
    """
    scenes = sample(SCENES // shorter, seed=10 * seed + 11_100_000)
    queries = sample(MEASURED // shorter, seed=10 * seed + 11_100_001)
    keys = counterparts(queries, seed=10 * seed + 11_100_002)
    steps = STEPS // shorter
    hub, blind_hub = load_hub(), load_hub(motion_blind=True)
    model = bind(hub, scenes, steps=steps, seed=seed)
    blind = bind(blind_hub, scenes, ("audio", "imu"), motion_blind=True, steps=steps, seed=seed)
    return {
        **dict(between_all(Perceived.by(model, queries), Perceived.by(model, keys))),
        **dict(directly_trained(scenes, queries, keys, steps=steps, seed=seed)),
        **dict(named_by_text(hub, Perceived.by(model, queries))),
        **dict(through_resting_pictures(Perceived.by(blind, queries), Perceived.by(blind, keys))),
    }


def bind(
    hub: CLIP,
    scenes: Scenes,
    senses: Sequence[str] = BOUND,
    *,
    motion_blind: bool = False,
    steps: int = STEPS,
    seed: int = 0,
) -> ImageBind:
    """Encoders of these senses, each trained on its own against the hub's embeddings of the scenes' pictures."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoders = world_encoders()
        model = ImageBind.from_clip(hub, {sense: encoders[sense] for sense in senses})
    embedded = model.embed("image", hub_pictures(scenes, motion_blind=motion_blind))
    for sense in senses:
        train(model, partial(bound, sense=sense), (embedded, render(scenes, sense)), steps, seed)
    return model


def bound(model: ImageBind, images: Tensor, x: Tensor, *, sense: str) -> Tensor:
    """`binding_loss`, its arguments in the order in which `fit` gives them."""
    return binding_loss(model, sense, images, x)


def train(model: ImageBind, objective: Objective, data: tuple[Tensor, ...], steps: int, seed: int) -> None:
    """Train as everything here is trained."""
    batch = min(BATCH, len(data[0]))
    fit(model, objective, data, steps=steps, batch_size=batch, lr=RATE, seed=seed, device="cpu", progress=False)


@dataclass(frozen=True)
class Perceived:
    """Scenes as a model perceives them: embeddings of each of its senses but text, whose words depend on the search."""

    model: ImageBind
    scenes: Scenes
    embedded: dict[str, Tensor]

    @classmethod
    def by(cls, model: ImageBind, scenes: Scenes) -> "Perceived":
        """Embed the scenes once for all searches."""
        senses = [sense for sense in model.senses if sense != "text"]
        return cls(model, scenes, {sense: model.embed(sense, render(scenes, sense)) for sense in senses})

    def rows(self, sense: str, factors: Sequence[str]) -> Tensor:
        """The embeddings in one sense; as text, those of sentences that name the factors."""
        return self.model.embed("text", sentences(self.scenes, factors)) if sense == "text" else self.embedded[sense]


def agreement(queries: Perceived, keys: Perceived, senses: tuple[str, str], factors: Sequence[str] = ()) -> float:
    """Share of queries in one sense whose best match in the other agrees on the factors; without any on all shared."""
    shared = shared_factors(*senses)
    rows = [perceived.rows(sense, shared) for perceived, sense in zip((queries, keys), senses, strict=True)]
    return match_agreement(*rows, *(factor_labels(part.scenes, factors or shared) for part in (queries, keys)))


def between_all(queries: Perceived, keys: Perceived) -> Iterator[tuple[str, float]]:
    """From every sense to every other that shares factors with it: agreement on all of them, and chance.

    With pictures it was trained. Between other senses it emerged, and it is said of each factor alone too.
    """
    for senses in permutations(queries.model.senses, 2):
        if not (factors := shared_factors(*senses)):
            continue
        pair = " -> ".join(senses)
        yield f"{pair}: {'trained' if 'image' in senses else 'emergent'}", agreement(queries, keys, senses)
        yield f"{pair}: chance", chance_agreement(*(factor_labels(part.scenes, factors) for part in (queries, keys)))
        if "image" not in senses:
            yield from ((f"{pair}: {factor}", agreement(queries, keys, senses, [factor])) for factor in factors)


def directly_trained(
    scenes: Scenes, queries: Scenes, keys: Scenes, *, steps: int, seed: int
) -> Iterator[tuple[str, float]]:
    """The same for senses that otherwise never meet, trained on each other from scratch: what can be reached."""
    for senses in combinations(("text", *BOUND), 2):
        if not shared_factors(*senses):
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoders = world_encoders() | {"text": world_clip().text_encoder}
            model = ImageBind({sense: encoders[sense] for sense in senses}, tokenize=encode)
        train(model, partial(paired, senses=senses), tuple(render(scenes, sense) for sense in senses), steps, seed)
        parts = Perceived.by(model, queries), Perceived.by(model, keys)
        for way in (senses, senses[::-1]):
            yield f"{' -> '.join(way)}: directly trained", agreement(*parts, way)


def paired(model: ImageBind, first: Tensor, second: Tensor, *, senses: tuple[str, str]) -> Tensor:
    """CLIP's loss for two senses of the same scenes."""
    return ClipLoss()(model.encode(senses[0], first), model.encode(senses[1], second), DIRECT_SCALE)


def named_by_text(hub: CLIP, perceived: Perceived) -> Iterator[tuple[str, float]]:
    """Zero-shot classification of what each bound sense perceived, by the prompts of each factor that it knows."""
    for sense in BOUND:
        for factor in shared_factors(sense, "text"):
            found = (perceived.embedded[sense] @ zero_shot_classifier(hub, prompts(factor)).T).argmax(1)
            yield f"zero-shot {sense}: {factor}", (found == perceived.scenes.labels(factor)).double().mean().item()


def through_resting_pictures(queries: Perceived, keys: Perceived) -> Iterator[tuple[str, float]]:
    """Sound and movement bound through pictures without motion: what of their shared factors emerges, one by one."""
    for senses in (("audio", "imu"), ("text", "audio"), ("text", "imu")):
        for factor in shared_factors(*senses):
            yield f"motion-blind {' -> '.join(senses)}: {factor}", agreement(queries, keys, senses, [factor])
