"""FIND on the world's scenes: the encoders that stay frozen, what is asked of a scene, and what is made small.

A thing that is shown and not named is the word "thing" in a sentence: there its picture stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from embedcourse.losses import ClipLoss, dice_loss
from embedcourse.models.encoders import check_pictures, check_sizes
from embedcourse.models.find import FIND, Answer, Question, Vision
from embedcourse.models.text_transformer import TextTransformer
from embedcourse.world.factors import FACTORS
from embedcourse.world.scenes import (
    GROUP_LENGTH,
    PLACES,
    Groups,
    expressions_for,
    group_captions,
    phrases,
    render_groups,
    sample_groups,
    thing_captions,
)
from embedcourse.world.text import PAD, THINGS, TOKENS, VOCABULARY, encode, prompts

__all__ = [
    "CLASSES",
    "WEIGHTS",
    "FrozenEncoders",
    "Lessons",
    "SceneEncoder",
    "SceneFIND",
    "WordEncoder",
    "class_map",
    "class_names",
    "find_objective",
    "lessons",
    "one_pixel_each",
]

#: Tokens that hold any referring expression.
EXPRESSION_LENGTH = 12
#: Where a picture stands in a sentence.
THING = TOKENS[THINGS[1]]


class SceneEncoder(nn.Module):
    """Pictures of 32 × 32 become a fine map, patches in the space of words, and a vector for the whole picture.

    Convolutions to 16 × 16 and to 8 × 8, where each patch also hears what a 4 × 4 map makes of its surroundings.
    Source: this course; the way down and up again is that of Lin et al. (2017), "Feature Pyramid Networks", section 3.
    """

    def __init__(self, width: int = 20, embedding_dim: int = 64) -> None:
        super().__init__()
        check_sizes(width=width, embedding_dim=embedding_dim)
        self.fine = nn.Sequential(convolution(3, width, 2), convolution(width, 2 * width))
        self.coarse = convolution(2 * width, 4 * width, 2)
        self.patch = convolution(4 * width, 4 * width)
        self.context = convolution(4 * width, 4 * width, 2)
        self.patch_projection = nn.Conv2d(4 * width, embedding_dim, 1)
        self.image_projection = nn.Linear(8 * width, embedding_dim)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Float[Tensor, "n 3 32 32"]) -> Vision:
        """The features of each picture. Raises: ValueError for what is no batch of pictures."""
        check_pictures(x, 3)
        fine = self.fine(x.contiguous(memory_format=torch.channels_last))  # (n, 2·width, 16, 16)
        h = self.coarse(fine)  # (n, 4·width, 8, 8)
        h = h + self.patch(h)
        h = h + F.interpolate(self.context(h), scale_factor=2)
        whole = torch.cat([h.mean((2, 3)), h.amax((2, 3))], dim=1)  # (n, 8·width)
        return Vision(fine, self.patch_projection(h), self.image_projection(whole))


def convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class WordEncoder(TextTransformer):
    """A text transformer whose words are projected into the space that they share with patches."""

    def __init__(self, width: int = 64, embedding_dim: int = 64) -> None:
        super().__init__(len(VOCABULARY), GROUP_LENGTH, width)
        self.projection = nn.Linear(width, embedding_dim)

    def read(self, tokens: Int[Tensor, "n length"]) -> Float[Tensor, "n length d"]:
        """A vector for each word, zeros for padding. Raises: TypeError and ValueError as `TextTransformer`."""
        return self.projection(super().read(tokens)).masked_fill((tokens == PAD)[..., None], 0)


class FrozenEncoders(nn.Module):
    """The two encoders whose features FIND works with."""

    def __init__(self, width: int = 20, embedding_dim: int = 64) -> None:
        super().__init__()
        self.embedding_dim, self.fine_dim = embedding_dim, 2 * width
        self.vision, self.language = SceneEncoder(width, embedding_dim), WordEncoder(64, embedding_dim)


class Lessons(NamedTuple):
    """n scenes with all that is asked of them, as tensors whose rows belong together: what `fit` takes."""

    pictures: Float[Tensor, "n 3 32 32"]
    masks: Bool[Tensor, "n 4 32 32"]
    colour: Int[Tensor, "n 4"]
    shape: Int[Tensor, "n 4"]
    #: Words that fit the object at each place alone; where none stands, at another.
    expressions: Int[Tensor, "n 4 length"]
    captions: Int[Tensor, "n length2"]
    #: The place of an object that is shown instead of named, words that point at it, words for its scene, and another
    #: picture of such an object.
    shown: Int[Tensor, " n"]
    with_thing: Int[Tensor, "n length"]
    caption_with_thing: Int[Tensor, "n length3"]
    others: Float[Tensor, "n 3 32 32"]
    regions: Bool[Tensor, "n 1 32 32"]


def lessons(n: int, *, seed: int, hold_out: Iterable[Sequence[str]] = ()) -> Lessons:
    """Draw n scenes and all that is asked of them.

    Half of the expressions say where the object is ("the red ring left of the blue cube"), those of what is shown
    among them; the others only what it is. What is shown comes from another scene: as large, of the same colour, shape
    and material, alone, elsewhere, in another light.

    Raises: ValueError as `sample_groups`.
    Source: this course; sentences with a picture in the place of an entity: Zou et al. (2024), section 4 (FIND-Bench).
    """
    hold_out = list(hold_out)
    groups = sample_groups(n, seed=seed, hold_out=hold_out)
    pictures, masks = render_groups(groups)
    shown = (torch.rand(n, generator=torch.Generator().manual_seed(seed)) * groups.present.sum(1)).long()
    others, regions = render_groups(alone(groups, shown, seed=seed + 1))
    return Lessons(
        pictures,
        masks,
        groups.objects.colour.view(n, PLACES),
        groups.objects.shape.view(n, PLACES),
        torch.stack([encode(texts, EXPRESSION_LENGTH) for texts in expressions(groups, shown)], dim=1),
        encode(group_captions(groups), GROUP_LENGTH),
        shown,
        encode(expressions_for(groups, shown, unnamed=True), EXPRESSION_LENGTH),
        encode(thing_captions(groups, shown)),
        others,
        regions[:, :1],
    )


def expressions(groups: Groups, shown: Int[Tensor, " n"]) -> list[list[str]]:
    """For each place the texts of all scenes: with a relation where it is an even number of places from what is shown.

    Where no object stands, those of the first place.
    """
    names, texts = phrases(groups), []
    for place in range(PLACES):
        target = torch.where(groups.present[:, place], place, 0)
        related = ((target - shown) % 2 == 0).tolist()
        long = expressions_for(groups, target)
        short = [f"the {own[i]}" for own, i in zip(names, target.tolist(), strict=True)]
        texts.append([a if far else b for far, a, b in zip(related, long, short, strict=True)])
    return texts


def alone(groups: Groups, shown: Int[Tensor, " n"], *, seed: int) -> Groups:
    """Other scenes in which something like what is shown stands at the first place, and nothing else."""
    others = sample_groups(len(groups), seed=seed)
    own = PLACES * torch.arange(len(groups)) + shown
    like = {factor: getattr(others.objects, factor).clone() for factor in ("shape", "colour", "size", "material")}
    for factor, values in like.items():
        values[::PLACES] = getattr(groups.objects, factor)[own]
    return Groups(replace(others.objects, **like), torch.arange(PLACES).expand(len(groups), -1) == 0)


class SceneFIND(nn.Module):
    """FIND over frozen encoders of the world's pictures and words.

    Its first methods turn pictures, tokens and masks into features and questions, with a gradient for the interface;
    those from `segment` on answer one question about each picture.
    """

    def __init__(self, encoders: FrozenEncoders, interface: FIND | None = None) -> None:
        super().__init__()
        self.encoders = encoders.requires_grad_(False).eval()
        self.interface = FIND(encoders.embedding_dim, encoders.fine_dim) if interface is None else interface

    def see(self, pictures: Float[Tensor, "n 3 32 32"]) -> Vision:
        """The frozen features of pictures."""
        with torch.no_grad():
            return self.encoders.vision(pictures)

    def read(self, tokens: Int[Tensor, "*batch l"]) -> Float[Tensor, "*batch l d"]:
        """The frozen features of words."""
        with torch.no_grad():
            return self.encoders.language.read(tokens.flatten(0, -2)).view(*tokens.shape, -1)

    def classes(self, names: Int[Tensor, "k l"], n: int) -> Question:
        """Which pixels show each of the named classes? Each name is one prompt, the mean of its words."""
        with torch.no_grad():
            features = self.encoders.language(names)[:, None]  # (k, 1, d)
        prompt = self.interface.word_prompts(features).expand(n, -1, -1, -1)
        return Question("segmentation", prompt, prompt.new_ones(n, len(names), 1, dtype=torch.bool))

    def phrases(self, tokens: Int[Tensor, "n q l"]) -> Question:
        """Which pixels show what each phrase refers to?"""
        return Question("grounding", self.interface.word_prompts(self.read(tokens)), tokens != PAD)

    def clicks(self, vision: Vision, places: Bool[Tensor, "n q 32 32"]) -> Question:
        """Which pixels belong to what was clicked on?"""
        prompt = self.interface.region_prompts(vision, places, placed=True)
        return Question("interactive", prompt[:, :, None], places.new_ones(*places.shape[:2], 1))

    def caption(self, tokens: Int[Tensor, "n l"]) -> Question:
        """What does this text mean?"""
        tokens = tokens[:, None]
        return Question("text retrieval", self.interface.word_prompts(self.read(tokens)), tokens != PAD)

    def shown(self, task: str, tokens: Int[Tensor, "n l"], region: Float[Tensor, "n d"]) -> Question:
        """A sentence with a picture's region in the place of its word "thing", for one of the interleaved tasks.

        Raises: ValueError where there is not one such word a sentence.
        """
        tokens = tokens[:, None]
        prompts = self.interface.word_prompts(self.read(tokens), tokens == THING, region)
        return Question(task, prompts, tokens != PAD)

    def whole(self, n: int) -> Question:
        """What do these pictures show?"""
        like = self.interface.semantic.weight
        return Question("image retrieval", like.new_zeros(n, 1, 0, self.interface.dim), like.new_ones(n, 1, 0).bool())

    def region(self, pictures: Float[Tensor, "n 3 32 32"], regions: Bool[Tensor, "n 1 32 32"]) -> Float[Tensor, "n d"]:
        """A region of another picture, as a prompt."""
        return self.interface.region_prompts(self.see(pictures), regions, placed=False)[:, 0]

    def train(self, mode: bool = True) -> "SceneFIND":
        """Training mode of the interface: what is frozen stays in evaluation mode."""
        super().train(mode)
        self.encoders.eval()
        return self

    @torch.no_grad()
    def segment(self, pictures: Float[Tensor, "n 3 32 32"], names: Sequence[str]) -> Int[Tensor, "n 32 32"]:
        """Which of the named classes each pixel shows, by number; len(names) where it shows none."""
        question = self.classes(encode(names).to(pictures.device), len(pictures))
        masks = self.interface(self.see(pictures), [question])[0].masks
        return with_background(masks).argmax(1)

    @torch.no_grad()
    def ground(self, pictures: Float[Tensor, "n 3 32 32"], phrases: Sequence[str]) -> Float[Tensor, "n 32 32"]:
        """The logits of the mask of what each picture's phrase refers to."""
        tokens = encode(phrases, GROUP_LENGTH).to(pictures.device)
        return self.interface(self.see(pictures), [self.phrases(tokens[:, None])])[0].masks[:, 0]

    @torch.no_grad()
    def select(
        self, pictures: Float[Tensor, "n 3 32 32"], clicks: Bool[Tensor, "n q 32 32"]
    ) -> Float[Tensor, "n q 32 32"]:
        """The logits of the masks of what was clicked on; a click is a map with one pixel."""
        vision = self.see(pictures)
        return self.interface(vision, [self.clicks(vision, clicks)])[0].masks

    @torch.no_grad()
    def ground_shown(
        self,
        pictures: Float[Tensor, "n 3 32 32"],
        phrases: Sequence[str],
        others: Float[Tensor, "n 3 32 32"],
        regions: Bool[Tensor, "n 1 32 32"],
    ) -> Float[Tensor, "n 32 32"]:
        """As `ground`, where the word "thing" of each phrase is a region of another picture."""
        tokens = encode(phrases, GROUP_LENGTH).to(pictures.device)
        question = self.shown("interleaved grounding", tokens, self.region(others, regions))
        return self.interface(self.see(pictures), [question])[0].masks[:, 0]

    @torch.no_grad()
    def embed_image(self, pictures: Float[Tensor, "n 3 32 32"]) -> Float[Tensor, "n d"]:
        """Pictures in the common space, as unit vectors."""
        return self.interface(self.see(pictures), [self.whole(len(pictures))])[0].semantic[:, 0]

    @torch.no_grad()
    def embed_text(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Captions in the common space, as unit vectors."""
        tokens = encode(texts, GROUP_LENGTH).to(self.interface.order.device)
        return self.answer_without_picture(self.caption(tokens))

    @torch.no_grad()
    def embed_shown(
        self, texts: Sequence[str], others: Float[Tensor, "n 3 32 32"], regions: Bool[Tensor, "n 1 32 32"]
    ) -> Float[Tensor, "n d"]:
        """As `embed_text`, where the word "thing" of each text is a region of a picture."""
        tokens = encode(texts, GROUP_LENGTH).to(others.device)
        return self.answer_without_picture(self.shown("interleaved retrieval", tokens, self.region(others, regions)))

    def answer_without_picture(self, question: Question) -> Float[Tensor, "n d"]:
        """The embedding that answers a question which reads language alone: any picture will do."""
        nothing = question.prompts.new_zeros(len(question.prompts), 3, 32, 32)
        return self.interface(self.see(nothing), [question])[0].semantic[:, 0]


def with_background(masks: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k1 h w"]:
    """The logits of classes and, behind them, that of the background, which is always 0."""
    return F.pad(masks, (0, 0, 0, 0, 0, 1))


#: The lists of classes that segmentation is asked for.
CLASSES = ("colour", "shape", "colour and shape")


def class_names(kind: str) -> list[str]:
    """The names of all classes of a kind: "a red object", "a sphere", "a red sphere".

    Raises: ValueError for another kind than those of `CLASSES`.
    Source: this course.
    """
    if kind not in CLASSES:
        raise ValueError(f"kind: expected one of {', '.join(CLASSES)}; got {kind!r}")
    return prompts(*kind.split(" and "), template="a {}")


def class_map(lesson: Lessons, kind: str) -> Int[Tensor, "n 32 32"]:
    """The class of each pixel, as the number of its name; the background has the number after the last.

    Raises: ValueError as `class_names`.
    Source: this course.
    """
    background = len(class_names(kind))
    pair = lesson.colour * len(FACTORS["shape"]) + lesson.shape
    of_object = {"colour": lesson.colour, "shape": lesson.shape}.get(kind, pair)  # (n, 4)
    inside = lesson.masks.any(1)  # (n, 32, 32)
    top = lesson.masks.int().argmax(1).flatten(1)  # (n, 1024): masks do not overlap
    return of_object.gather(1, top).view(inside.shape).masked_fill(~inside, background)


def one_pixel_each(masks: Bool[Tensor, "n q h w"]) -> Bool[Tensor, "n q h w"]:
    """A pixel of each mask, at random: a click. None of an empty mask.

    Raises: nothing.
    Source: clicks drawn from the true mask: Zou et al. (2023), "Segment Everything Everywhere All at Once", section 3.
    """
    chance = torch.rand(masks.shape, device=masks.device).masked_fill(~masks, -1)
    first = F.one_hot(chance.flatten(2).argmax(2), chance.shape[2] * chance.shape[3])
    return first.bool().view(masks.shape) & masks


#: What can be learned, and how much each counts beside the others.
WEIGHTS = {
    "segmentation": 2.0,
    "grounding": 1.0,
    "interactive": 1.0,
    "retrieval": 1.0,
    "interleaved grounding": 1.0,
    "interleaved retrieval": 1.0,
}


def find_objective(
    model: SceneFIND, *batch: Shaped[Tensor, "n ..."], tasks: Sequence[str] = tuple(WEIGHTS)
) -> dict[str, Float[Tensor, ""]]:
    """What `fit` makes small for FIND: the weighted sum of its tasks' losses on a batch of `Lessons`, and each of them.

    Clicks, and the kind of classes that are asked for, are drawn anew in every batch. All is answered in one pass.

    Raises: ValueError for an unknown task, or none.
    Source: Zou et al. (2024), section 3 (training on all tasks together); the weights are this course's.
    """
    if not tasks or set(tasks) - WEIGHTS.keys():
        raise ValueError(f"tasks: expected some of {', '.join(WEIGHTS)}; got {tasks!r}")
    model.interface.clamp_logit_scale()
    lesson = Lessons(*batch)
    vision = model.see(lesson.pictures)
    questions, truth = asked(model, lesson, vision, tasks)
    answers = dict(zip(questions, model.interface(vision, list(questions.values())), strict=True))
    losses = {task: cost(task, answers, lesson, truth, model.interface.scale) for task in tasks}
    total = sum(WEIGHTS[task] * loss for task, loss in losses.items())
    return {"loss": total, **{task: loss.detach() for task, loss in losses.items()}}


def asked(
    model: SceneFIND, lesson: Lessons, vision: Vision, tasks: Sequence[str]
) -> tuple[dict[str, Question], Int[Tensor, "n 32 32"] | None]:
    """The questions of a batch by name, and the true classes where segmentation is among them."""
    questions, truth = {}, None
    if "segmentation" in tasks:
        names, truth = occurring(lesson, CLASSES[int(torch.randint(len(CLASSES), ()))])
        questions["segmentation"] = model.classes(names, len(truth))
    if "grounding" in tasks:
        questions["grounding"] = model.phrases(lesson.expressions)
    if "interactive" in tasks:
        questions["interactive"] = model.clicks(vision, one_pixel_each(lesson.masks))
    if {"retrieval", "interleaved retrieval"} & set(tasks):
        questions["image"] = model.whole(len(lesson.pictures))
    if "retrieval" in tasks:
        questions["retrieval"] = model.caption(lesson.captions)
    if any(task.startswith("interleaved") for task in tasks):
        region = model.region(lesson.others, lesson.regions)
        sentences = {"interleaved grounding": lesson.with_thing, "interleaved retrieval": lesson.caption_with_thing}
        questions |= {task: model.shown(task, words, region) for task, words in sentences.items() if task in tasks}
    return questions, truth


def occurring(lesson: Lessons, kind: str) -> tuple[Int[Tensor, "k l"], Int[Tensor, "n 32 32"]]:
    """The names of the classes that occur in a batch, and the class of each pixel among them, k for the background."""
    names = encode(class_names(kind)).to(lesson.masks.device)
    truth = class_map(lesson, kind)
    occur = torch.zeros(len(names) + 1, dtype=torch.bool, device=truth.device)
    occur[truth.flatten()] = True
    occur[-1] = True
    return names[occur[:-1]], (occur.cumsum(0) - 1)[truth]


def cost(
    task: str,
    answers: Mapping[str, Answer],
    lesson: Lessons,
    truth: Int[Tensor, "n 32 32"] | None,
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """The loss of a task's answers."""
    if task == "segmentation":
        return class_loss(answers[task].masks, truth)
    if task in ("retrieval", "interleaved retrieval"):
        return ClipLoss()(answers["image"].semantic[:, 0], answers[task].semantic[:, 0], scale)
    if task == "interleaved grounding":
        rows = torch.arange(len(lesson.shown), device=lesson.shown.device)
        return mask_loss(answers[task].masks[:, 0], lesson.masks[rows, lesson.shown])
    there = lesson.masks.flatten(2).any(2)  # (n, 4)
    return mask_loss(answers[task].masks[there], lesson.masks[there])


def class_loss(masks: Float[Tensor, "n k h w"], truth: Int[Tensor, "n h w"]) -> Float[Tensor, ""]:
    """Cross-entropy of each pixel's softmax over the classes and a background whose logit is always 0."""
    return F.cross_entropy(with_background(masks), truth)


def mask_loss(logits: Float[Tensor, "m h w"], masks: Bool[Tensor, "m h w"]) -> Float[Tensor, ""]:
    """Cross-entropy of each pixel, in the mask or not, and dice."""
    return F.binary_cross_entropy_with_logits(logits, masks.to(logits.dtype)) + dice_loss(logits, masks)
