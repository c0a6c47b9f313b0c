"""What senses have in common: shared factors, sentences about them and no others, other scenes that agree on them."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from embedcourse.world.factors import FACTORS, KNOWS, Scenes, sample
from embedcourse.world.text import WORDS, decode, said, to_the_left, with_an

__all__ = ["counterparts", "factor_labels", "sentences", "shared_factors"]


def shared_factors(first: str, second: str) -> tuple[str, ...]:
    """What both senses know, position left out: image, depth and thermal show the exact place, words only a ninth.

    Raises: KeyError for an unknown sense.
    Source: this course.
    """
    return tuple(factor for factor in FACTORS if factor != "position" and factor in KNOWS[first] & KNOWS[second])


def factor_labels(scenes: Scenes, factors: Sequence[str]) -> Int[Tensor, "n factors"]:
    """The values of some factors, a row a scene.

    Raises: ValueError for an unknown factor; RuntimeError for none.
    Source: this course.
    """
    return torch.stack([scenes.labels(factor) for factor in factors], dim=1)


def sentences(scenes: Scenes, factors: Sequence[str]) -> list[str]:
    """For each scene a sentence that names these factors and no others, with the words of captions.

    Raises: nothing.
    Source: this course.
    """
    left_out = {factor: float(factor not in factors) for factor in WORDS}
    return [with_an(f"a {words}") for words in decode(to_the_left(said(scenes, left_out, "sentence")))]


def counterparts(scenes: Scenes, *, seed: int) -> Scenes:
    """Other scenes with the same named factors, in the same order: all else about them is drawn anew.

    Raises: nothing.
    Source: this course.
    """
    named = {factor: scenes.labels(factor) for factor in FACTORS if factor != "position"}
    return replace(sample(len(scenes), seed=seed), **named)
