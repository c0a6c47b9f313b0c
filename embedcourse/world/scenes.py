"""Scenes of two to four objects, with the mask of each object and sentences about them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from embedcourse.world.factors import FACTORS, Scenes, sample
from embedcourse.world.image import PIXELS, add_grain, paint_object, render_background, shadowed
from embedcourse.world.noise import uniform
from embedcourse.world.text import THINGS, WORDS, decode, said, to_the_left, with_an

__all__ = [
    "GROUP_LENGTH",
    "Groups",
    "expressions_for",
    "group_captions",
    "phrases",
    "referring_expressions",
    "render_groups",
    "sample_groups",
    "thing_captions",
]

#: Places for objects in each scene.
PLACES = 4
#: Shapes, and pairs of a colour and a shape.
SHAPES = len(FACTORS["shape"])
PAIRS = len(FACTORS["colour"]) * SHAPES
#: Radius of a small, a medium and a large object among others.
GROUP_RADII = (0.30, 0.36, 0.44)
#: Tokens that hold any caption of a group: `encode(group_captions(groups), GROUP_LENGTH)`.
GROUP_LENGTH = 28
#: How often a group's sentences leave out an attribute. Colour and shape stay: together they tell objects apart.
LEFT_OUT = {"size": 0.5, "colour": 0.0, "material": 0.5, "shape": 0.0}


@dataclass(frozen=True)
class Groups:
    """n scenes with four places each; an object stands at every place that is present.

    `objects` holds all 4·n of them, scene by scene. No two objects of a scene share both colour and shape.
    """

    objects: Scenes
    present: Bool[Tensor, "n 4"]

    def __len__(self) -> int:
        return len(self.present)

    def __getitem__(self, index: slice) -> "Groups":
        """The chosen scenes, which follow one another. Raises: ValueError for a slice with steps."""
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise ValueError(f"index: expected a slice without steps, got {index}")
        return Groups(self.objects[PLACES * start : PLACES * stop], self.present[index])

    def to(self, device: str | torch.device) -> "Groups":
        """The same scenes on another device."""
        return Groups(self.objects.to(device), self.present.to(device))


def sample_groups(
    n: int,
    *,
    seed: int,
    hold_out: Iterable[Sequence[str]] = (),
    background: float = 1.0,
    device: str | torch.device = "cpu",
) -> Groups:
    """Draw n scenes of two to four objects at rest, the same ones for the same seed on every device.

    hold_out: pairs of a colour and a shape that no object has, such as [("red", "cube"), ("blue", "torus")].

    Raises: ValueError for a negative n, a background outside [0, 1], what is no pair of a colour and a shape, or where
    fewer than four pairs are left.
    Source: this course.
    """
    allowed = torch.tensor([pair for pair in range(PAIRS) if pair not in held_out(hold_out)])
    if len(allowed) < PLACES:
        raise ValueError(f"hold_out: expected at least {PLACES} pairs to be left, got {len(allowed)}")
    objects = sample(PLACES * n, seed=seed, only=[("still",)], background=background)
    generator = torch.Generator().manual_seed(seed)
    pairs = allowed[shuffled(n, len(allowed), generator)[:, :PLACES].reshape(-1)]
    corners = torch.tensor([[-0.46, -0.46], [-0.46, 0.46], [0.46, -0.46], [0.46, 0.46]])
    objects = replace(
        objects,
        colour=pairs // SHAPES,
        shape=pairs % SHAPES,
        position=corners[shuffled(n, PLACES, generator).reshape(-1)] + 0.3 * objects.position,
        light=objects.light[::PLACES].repeat_interleave(PLACES, dim=0),
        background=objects.background[::PLACES].repeat_interleave(PLACES, dim=0),
    )
    count = torch.randint(2, PLACES + 1, (n, 1), generator=generator)
    return Groups(objects, torch.arange(PLACES) < count).to(device)


def held_out(combinations: Iterable[Sequence[str]]) -> set[int]:
    """The numbers of some pairs of a colour and a shape, counted as in `prompts("colour", "shape")`."""
    names = [f"{colour} {shape}" for colour in FACTORS["colour"] for shape in FACTORS["shape"]]
    wanted = [" ".join(combination) for combination in combinations]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ValueError(f'hold_out: expected pairs such as ("red", "cube"), got {unknown[0]!r}')
    return {names.index(name) for name in wanted}


def shuffled(n: int, d: int, generator: torch.Generator) -> Int[Tensor, "n {d}"]:
    """The numbers 0 to d − 1, in another order in each row."""
    return torch.rand(n, d, generator=generator).argsort(dim=1)


def render_groups(
    groups: Groups, *, chunk_size: int = 128
) -> tuple[Float[Tensor, "n 3 32 32"], Bool[Tensor, "n 4 32 32"]]:
    """Pictures with values in [0, 1], and which pixels show the object at each place.

    Masks do not overlap: a pixel belongs to the object on top. Those of absent objects are empty.

    Raises: ValueError for a chunk of less than one scene.
    Source: this course.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size: expected at least 1, got {chunk_size}")
    starts = range(0, max(len(groups), 1), chunk_size)
    pictures, masks = zip(*(render_chunk(groups[start : start + chunk_size]) for start in starts), strict=True)
    return torch.cat(pictures), torch.cat(masks)


def render_chunk(groups: Groups) -> tuple[Float[Tensor, "n 3 32 32"], Bool[Tensor, "n 4 32 32"]]:
    """As `render_groups`, all scenes at once, place after place."""
    picture = render_background(groups.objects[::PLACES])
    masks = torch.zeros(len(groups), PLACES, PIXELS, PIXELS, dtype=torch.bool, device=picture.device)
    for place in range(PLACES):
        thing, present = groups.objects[place::PLACES], groups.present[:, place, None, None, None]
        colour, cover, inside = paint_object(thing, GROUP_RADII)
        with_thing = torch.lerp(shadowed(picture, thing, GROUP_RADII), colour, cover)
        picture = torch.where(present, with_thing, picture)
        mask = (inside > 0.5) & present  # (n, 1, 32, 32)
        masks &= ~mask
        masks[:, place] = mask[:, 0]
    return add_grain(picture, groups.objects[::PLACES]), masks


def group_captions(groups: Groups) -> list[str]:
    """A sentence on all objects of each scene: "a small red ring left of a blue cube and a green glass cone".

    Raises: nothing.
    Source: this course.
    """
    first, second = groups.objects[::PLACES], groups.objects[1::PLACES]
    sentences, present = [], groups.present.tolist()
    for names, there, relation in zip(phrases(groups), present, relations(first, second), strict=True):
        one, two, *others = (f"a {name}" for name, present in zip(names, there, strict=True) if present)
        sentences.append(with_an(" and ".join([f"{one} {relation} {two}", *others])))
    return sentences


def referring_expressions(groups: Groups) -> tuple[list[str], Int[Tensor, " n"]]:
    """For each scene words that fit exactly one object, "the red ring left of the blue cube", and that object's place.

    Raises: nothing.
    Source: the task is that of Kazemzadeh et al. (2014), "ReferItGame: Referring to objects in photographs of natural
    scenes"; the words are this course's.
    """
    which = uniform(groups.objects.key[::PLACES], 2, "refer")[:, 0]
    target = (which * groups.present.sum(1)).long()
    return expressions_for(groups, target), target


def expressions_for(groups: Groups, target: Int[Tensor, " n"], *, unnamed: bool = False) -> list[str]:
    """For each scene words that fit the object at a place alone, and tell where it is, seen from another object.

    unnamed: call it a thing and no more, so that a picture can stand for it.

    Raises: ValueError for a place where no object stands.
    Source: as `referring_expressions`.
    """
    landmark = others(groups, target)[0]
    start = PLACES * torch.arange(len(groups), device=landmark.device)
    relation = relations(groups.objects[start + target], groups.objects[start + landmark])
    names = phrases(groups, target if unnamed else None)
    return [
        f"the {own[i]} {words} the {own[j]}"
        for own, i, words, j in zip(names, target.tolist(), relation, landmark.tolist(), strict=True)
    ]


def thing_captions(groups: Groups, target: Int[Tensor, " n"]) -> list[str]:
    """On up to three objects of each scene: "the thing left of the blue cube and a green object".

    The object at a place is a thing and no more, so that a picture can stand for it; the third has but its colour.

    Raises: ValueError as `expressions_for`.
    Source: this course.
    """
    landmark, third = others(groups, target)
    start = PLACES * torch.arange(len(groups), device=third.device)
    colours = [WORDS["colour"][colour][0] for colour in groups.objects.colour[start + third].tolist()]
    return [
        with_an(f"{text} and a {colour} object") if more else text
        for text, colour, more in zip(
            expressions_for(groups, target, unnamed=True), colours, (third != landmark).tolist(), strict=True
        )
    ]


def others(groups: Groups, target: Int[Tensor, " n"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """The places of two other objects of each scene, drawn at random; the same one twice where there is but one."""
    count = groups.present.sum(1)
    if not (target < count).all():
        raise ValueError(f"target: expected places where objects stand, got {int(target[target >= count][0])}")
    step = 1 + (uniform(groups.objects.key[::PLACES], 2, "refer")[:, 1] * (count - 1)).long()
    return (target + step) % count, (target + 1 + step % (count - 1)) % count


def phrases(groups: Groups, unnamed: Int[Tensor, " n"] | None = None) -> list[list[str]]:
    """Words for the object at each place, without an article: "small red ring"; a thing for those that are unnamed.

    Raises: nothing.
    Source: this course.
    """
    names = decode(to_the_left(said(groups.objects, LEFT_OUT, "phrase")))
    if unnamed is not None:
        for scene, place in enumerate(unnamed.tolist()):
            names[PLACES * scene + place] = THINGS[1]
    return [names[start : start + PLACES] for start in range(0, len(names), PLACES)]


def relations(objects: Scenes, landmarks: Scenes) -> list[str]:
    """Where each object is, seen from its landmark, along the axis on which they are further apart."""
    words = []
    for x, y in (objects.position - landmarks.position).tolist():
        words.append(("left of" if x < 0 else "right of") if abs(x) > abs(y) else ("below" if y < 0 else "above"))
    return words
