"""The frozen features of chapter 14: what FIND's interface works with, learned from captions alone.

Three things are asked of the two encoders. CLIP: a picture finds its caption. Hard negatives: it also tells its caption
from one in which a shape is another. Multiple instances: of each colour, each shape and each pair of both, some patch
of the picture says whether the caption names it; which patch, nobody tells. No mask and no label is seen.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from embedcourse.checkpoints.recipe import Recipe
from embedcourse.checkpoints.weights import load_weights
from embedcourse.distances.cosine import unit
from embedcourse.evaluation import retrieval_recall
from embedcourse.losses.info_nce import cosine_logits
from embedcourse.models.encoders import evaluation_mode
from embedcourse.models.find_scenes import FrozenEncoders
from embedcourse.training import fit
from embedcourse.world import FACTORS, encode, render, sample
from embedcourse.world.scenes import GROUP_LENGTH, group_captions, render_groups, sample_groups
from embedcourse.world.text import THINGS, TOKENS, VOCABULARY, WORDS, with_an

__all__ = ["HELD_OUT", "RECIPES", "load_find_features"]

STEPS, BATCH, RATE = 1600, 96, 3e-3
#: Scenes of several objects and of a single one to train on, and scenes to measure on.
GROUPS, SINGLES, MEASURED = 14_000, 7_000, 500
GROUPS_SEED, SINGLES_SEED, MEASURED_SEED = 14_000_001, 14_000_002, 14_000_003
#: Pairs of colour and shape that never occur in training: each shape once.
HELD_OUT = tuple(zip(("green", "purple", "red", "cyan", "orange", "blue"), FACTORS["shape"], strict=True))

COLOURS, SHAPES = len(FACTORS["colour"]), len(FACTORS["shape"])
#: All pairs of a colour and a shape by number, and those that occur.
PAIRS = [(colour, shape) for colour in range(COLOURS) for shape in range(SHAPES)]
SEEN = [(c, s) for c, s in PAIRS if (FACTORS["colour"][c], FACTORS["shape"][s]) not in HELD_OUT]
#: How many things of each kind there are to be named.
KINDS = (COLOURS, SHAPES, len(SEEN))
#: The colour and the shape of each word, −1 where it names none.
COLOUR_OF, SHAPE_OF = (
    torch.tensor([next((i for i, words in enumerate(WORDS[f]) if word in words), -1) for word in VOCABULARY])
    for f in ("colour", "shape")
)
#: Words that end what is said of an object, as the name of a shape does.
ENDS = [TOKENS[word] for word in THINGS]


def load_find_features() -> FrozenEncoders:
    """The shipped encoders, frozen and in evaluation mode.

    Raises: FileNotFoundError and ValueError as `load_weights`.
    """
    encoders = FrozenEncoders()
    encoders.load_state_dict(load_weights("find_features"))
    return encoders.requires_grad_(False).eval()


class Learner(nn.Module):
    """The encoders with what is needed only while they learn: scales, and how likely a thing is to be named."""

    def __init__(self, encoders: FrozenEncoders) -> None:
        super().__init__()
        self.encoders = encoders
        self.clip_scale = nn.Parameter(torch.tensor(2.6))
        self.patch_scale = nn.Parameter(torch.tensor(2.3))
        self.patch_bias = nn.Parameter(torch.tensor(-8.0))
        self.register_buffer("prompts", synonym_prompts(SEEN), persistent=False)

    def forward(
        self, pictures: Float[Tensor, "n 3 32 32"], tokens: Int[Tensor, "n l"], named: Bool[Tensor, "n things"]
    ) -> dict[str, Tensor]:
        """The three losses of a batch, and their sum."""
        seen = self.encoders.vision(pictures)
        told = self.encoders.language(torch.cat([tokens, with_another_shape(tokens)]))
        own, wrong = told.chunk(2)
        clip = captions_found(seen.image, own, wrong, self.clip_scale.exp().clamp(max=100))
        prompts = self.prompts[int(torch.randint(len(self.prompts), ()))]
        things = unit(self.encoders.language(prompts))  # (things, d)
        scores = torch.einsum("ndp,kd->nkp", F.normalize(seen.patches.flatten(2), dim=1), things)  # cosines
        instances = named_somewhere(self.patch_scale.exp() * scores + self.patch_bias, named)
        return {"loss": clip + instances, "clip": clip.detach(), "instances": instances.detach()}


def captions_found(
    images: Float[Tensor, "n d"], own: Float[Tensor, "n d"], wrong: Float[Tensor, "n d"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """CLIP's loss, where each picture has one more caption to refuse: its own with a shape exchanged."""
    logits = cosine_logits(images, own, scale)  # (n, n)
    refused = scale * (unit(images) * unit(wrong)).sum(1, keepdim=True)  # (n, 1)
    truth = torch.arange(len(images), device=images.device)
    return (F.cross_entropy(torch.cat([logits, refused], dim=1), truth) + F.cross_entropy(logits.T, truth)) / 2


def named_somewhere(scores: Float[Tensor, "n things patches"], named: Bool[Tensor, "n things"]) -> Float[Tensor, ""]:
    """Does some patch show each thing? Cross-entropy with what the caption names, a mean over each kind of thing.

    A caption that names no thing of a kind says nothing about that kind. A picture shows a thing as surely as its
    patches together say so: the log-sum-exp of their logits.
    """
    losses = F.binary_cross_entropy_with_logits(scores.logsumexp(2), named.to(scores.dtype), reduction="none")
    kinds = zip(losses.split(KINDS, 1), named.split(KINDS, 1), strict=True)
    return sum(loss[said.any(1)].sum(1).mean() for loss, said in kinds if said.any()) / len(KINDS)


def with_another_shape(tokens: Int[Tensor, "n l"]) -> Int[Tensor, "n l"]:
    """The captions with one word for a shape, if there is any, exchanged for one of another shape, at random."""
    shape = SHAPE_OF[tokens]  # (n, l)
    chance = torch.rand(shape.shape).masked_fill(shape < 0, -1)
    place = chance.argmax(1, keepdim=True)
    first = torch.tensor([TOKENS[words[0]] for words in WORDS["shape"]])
    other = first[(shape.gather(1, place) + torch.randint(1, SHAPES, place.shape)) % SHAPES]
    return torch.where(shape.amax(1, keepdim=True) < 0, tokens, tokens.scatter(1, place, other))


def things_named(tokens: Int[Tensor, "n l"]) -> Bool[Tensor, "n things"]:
    """Which colours, shapes, and pairs of both each caption names: a colour belongs to the shape that follows it.

    Things are numbered as in `synonym_prompts(SEEN)`.
    """
    named = torch.zeros(len(tokens), sum(KINDS), dtype=torch.bool)
    colours, shapes = COLOUR_OF[tokens].tolist(), SHAPE_OF[tokens].tolist()
    for row, words in enumerate(tokens.tolist()):
        colour = -1
        for place, word in enumerate(words):
            if colours[row][place] >= 0:
                colour = colours[row][place]
                named[row, colour] = True
            if (shape := shapes[row][place]) >= 0:
                named[row, COLOURS + shape] = True
                if colour >= 0:
                    named[row, COLOURS + SHAPES + SEEN.index((colour, shape))] = True
            if shape >= 0 or word in ENDS:
                colour = -1
    return named


def synonym_prompts(pairs: Sequence[tuple[int, int]]) -> Int[Tensor, "versions things l"]:
    """Prompts for all colours, all shapes and some pairs, such as "a red object", "a cube" and "a red cube".

    In six versions, in which each value's synonyms take turns.
    """
    versions = []
    for version in range(6):
        colours, shapes = ([words[version % len(words)] for words in WORDS[factor]] for factor in ("colour", "shape"))
        both = [f"{colours[c]} {shapes[s]}" for c, s in pairs]
        names = [*(f"{colour} object" for colour in colours), *shapes, *both]
        versions.append(encode([with_an(f"a {name}") for name in names], 4))
    return torch.stack(versions)


def captioned(groups: int, singles: int, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Pictures and the tokens of their captions, of scenes of several objects, and of a single one."""
    several = sample_groups(groups, seed=seeds[0], hold_out=HELD_OUT)
    single = sample(singles, seed=seeds[1], hold_out=HELD_OUT)
    told = F.pad(render(single, "text"), (0, GROUP_LENGTH - render(single[:1], "text").shape[1]))
    pictures = torch.cat([render_groups(several)[0], render(single, "image")])
    return pictures, torch.cat([encode(group_captions(several), GROUP_LENGTH), told])


def train(encoders: nn.Module, steps: int, seed: int) -> None:
    """Train the encoders, in place."""
    share = min(1, steps * BATCH / (GROUPS + SINGLES))
    pictures, tokens = captioned(int(share * GROUPS), int(share * SINGLES), (GROUPS_SEED, SINGLES_SEED))
    data = pictures, tokens, things_named(tokens)
    fit(Learner(encoders), Learner.__call__, data, steps=steps, batch_size=BATCH, lr=RATE, seed=seed, device="cpu")


@torch.no_grad()
def measure(encoders: FrozenEncoders) -> dict[str, float]:
    """How often a caption finds its picture, and the patches of an object its colour, its shape, or both, by name."""
    groups = sample_groups(MEASURED, seed=MEASURED_SEED)
    pictures, masks = render_groups(groups)
    with evaluation_mode(encoders):
        seen = encoders.vision(pictures)
        told = encoders.language(encode(group_captions(groups), GROUP_LENGTH))
        names = unit(encoders.language(synonym_prompts(PAIRS)[0]))
    weights = F.avg_pool2d(masks.to(seen.patches.dtype), 4)  # (n, 4, 8, 8): how much of each patch is the object's
    objects = torch.einsum("nkhw,ndhw->nkd", weights, F.normalize(seen.patches, dim=1))[groups.present]
    colour, shape = (
        labels.view(MEASURED, -1)[groups.present] for labels in (groups.objects.colour, groups.objects.shape)
    )
    truth = {"colour": colour, "shape": shape, "colour and shape": colour * SHAPES + shape}
    cosines = dict(zip(truth, (unit(objects) @ names.T).split((COLOURS, SHAPES, len(PAIRS)), 1), strict=True))
    return {
        f"text -> image R@1 of {MEASURED}": retrieval_recall(told, seen.image),
        **{f"patches name {kind}": (cosines[kind].argmax(1) == truth[kind]).double().mean().item() for kind in truth},
    }


RECIPES = (
    Recipe(
        "find_features",
        "Chapter 14: the frozen features of pictures and of words with which FIND's interface works.",
        f"{GROUPS} scenes of several objects and {SINGLES} of a single one (seeds {GROUPS_SEED} and {SINGLES_SEED}), "
        "each a picture and a caption, without masks and labels; six pairs of a colour and a shape never occur; "
        f"metrics on {MEASURED} other scenes of several objects (seed {MEASURED_SEED}), all pairs among them",
        STEPS,
        small_steps=40,
        build=FrozenEncoders,
        train=train,
        measure=measure,
    ),
)
