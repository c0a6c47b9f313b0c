"""Text: what somebody might say about a scene. It can name every factor, and leaves each out one time in four.

A caption is made slot by slot: opening, size, temperature, colour, material, shape, motion, position. Each slot's word
is one of several synonyms. The vocabulary is fixed, so that prompts and captions share their numbers.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from embedcourse.world.factors import FACTORS, Scenes, check_factor
from embedcourse.world.noise import uniform

__all__ = ["LENGTH", "VOCABULARY", "captions", "decode", "encode", "prompts", "render_text"]

#: Tokens a caption, padded on the right.
LENGTH = 16
#: How often an attribute is left out.
DROP = 0.25
#: How a caption begins.
OPENINGS = ("a", "the", "one", "this is a", "there is a", "a photo of a")
#: Words for the values of each factor, in the order of `FACTORS`; the first is the one of prompts.
WORDS = {
    "size": (("small", "little", "tiny"), ("medium", "midsize"), ("large", "big", "huge")),
    "temperature": (("cold", "icy", "chilly"), ("warm", "lukewarm"), ("hot", "heated")),
    "colour": (
        *(("red", "crimson"), ("orange", "tangerine"), ("yellow", "golden"), ("green", "emerald")),
        *(("cyan", "turquoise"), ("blue", "navy"), ("purple", "violet"), ("pink", "rosy")),
    ),
    "material": (("metal", "metallic", "steel"), ("wood", "wooden"), ("glass", "glassy"), ("rubber", "rubbery")),
    "shape": (
        *(("sphere", "ball"), ("cube", "box"), ("cone", "funnel")),
        *(("cylinder", "tube"), ("torus", "ring", "donut"), ("pyramid",)),
    ),
    "motion": (
        *(("still", "resting"), ("sliding", "gliding")),
        *(("spinning", "rotating", "turning"), ("bouncing", "hopping", "jumping")),
    ),
    "position": tuple((f"in the {cell}" if cell == "centre" else f"at the {cell}",) for cell in FACTORS["position"]),
}
#: What is said of a shape that is left out.
THINGS = ("object", "thing")
#: Words that only captions of several objects need.
RELATING = ("of", "above", "below", "and")


def vocabulary() -> tuple[str, ...]:
    """Every word of every slot, sorted, after the two tokens that are no words."""
    slots = [*OPENINGS, *THINGS, *RELATING, *(word for values in WORDS.values() for words in values for word in words)]
    return ("<pad>", "<unknown>", *sorted({word for phrase in slots for word in phrase.split()} | {"an"}))


#: The word of each token.
VOCABULARY = vocabulary()
TOKENS = {word: token for token, word in enumerate(VOCABULARY)}
PAD, UNKNOWN = 0, 1


def render_text(scenes: Scenes) -> Int[Tensor, "n 16"]:
    """Captions as tokens: `encode(captions(scenes))`, without the way over strings.

    Raises: nothing.
    Source: this course.
    """
    opening = choose(table_of((OPENINGS,)), torch.zeros_like(scenes.shape), uniform(scenes.key, 1, "open")[:, 0])
    words = said(scenes, dict.fromkeys(WORDS, DROP), "text")
    return articles(to_the_left(torch.cat([opening, words], dim=1)))


def said(scenes: Scenes, left_out: Mapping[str, float], stream: str) -> Int[Tensor, "n w"]:
    """Words for some factors of each scene, each left out with its own probability; a shape left out is a thing."""
    chance = uniform(scenes.key, 2 * len(left_out), stream)
    slots = []
    for column, (factor, probability) in enumerate(left_out.items()):
        word, silent = chance[:, 2 * column], chance[:, 2 * column + 1, None] < probability
        named = choose(table_of(WORDS[factor]), scenes.labels(factor), word)
        unnamed = choose(table_of((THINGS,)), torch.zeros_like(scenes.shape), word) if factor == "shape" else PAD
        slots.append(torch.where(silent, unnamed, named))
    return torch.cat(slots, dim=1)


def captions(scenes: Scenes) -> list[str]:
    """A caption for each scene, such as "a little crimson metal ring spinning at the left".

    Raises: nothing.
    Source: this course.
    """
    return decode(render_text(scenes))


def prompts(*factors: str, template: str = "a photo of a {}") -> list[str]:
    """A sentence for every value of a factor, or every combination of several, the first factor varying slowest.

    `prompts("colour", "shape")` begins with "a photo of a red sphere" and has 48 sentences.

    Raises: ValueError for no factor, an unknown one, or a template without {}.
    Source: Radford et al. (2021), "Learning Transferable Visual Models From Natural Language Supervision", section 3.1.
    """
    if not factors or template.count("{}") != 1:
        raise ValueError(f"factors, template: expected a factor and one {{}}, got {factors} and {template!r}")
    for factor in factors:
        check_factor(factor)
    sentences = []
    for values in itertools.product(*(range(len(FACTORS[factor])) for factor in factors)):
        words = {factor: WORDS[factor][value][0] for factor, value in zip(factors, values, strict=True)}
        phrase = " ".join(words.get(factor, THINGS[0] if factor == "shape" else "") for factor in WORDS)
        sentences.append(with_an(template.format(" ".join(phrase.split()))))
    return sentences


def with_an(text: str) -> str:
    """The text with "an" for every "a" before a vowel."""
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


def encode(texts: Sequence[str], length: int = LENGTH) -> Int[Tensor, "n {length}"]:
    """Tokens of the words, padded on the right; a word outside the vocabulary becomes <unknown>.

    Raises: TypeError for a bare string, ValueError for a text of more words than `length`.
    Source: this course.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts: expected a list of texts, got the string {texts!r}")
    rows = [[TOKENS.get(word, UNKNOWN) for word in re.findall(r"[a-z]+", text.lower())] for text in texts]
    longest = max(map(len, rows), default=0)
    if longest > length:
        raise ValueError(f"texts: expected at most {length} words a text, got {longest}")
    return torch.tensor([row + [PAD] * (length - len(row)) for row in rows], dtype=torch.int64).reshape(-1, length)


def decode(tokens: Int[Tensor, "n length"]) -> list[str]:
    """The texts of the tokens, without padding.

    Raises: nothing.
    Source: this course.
    """
    return [" ".join(VOCABULARY[token] for token in row if token != PAD) for row in tokens.tolist()]


@cache
def table_of(
    choices: tuple[tuple[str, ...], ...],
) -> tuple[Int[Tensor, "values synonyms words"], Int[Tensor, " values"]]:
    """Tokens of each value's synonyms, and how many synonyms it has."""
    most = max(map(len, choices))
    width = max(len(phrase.split()) for synonyms in choices for phrase in synonyms)
    rows = [encode([*synonyms, *[""] * (most - len(synonyms))], width) for synonyms in choices]
    return torch.stack(rows), torch.tensor([len(synonyms) for synonyms in choices])


def choose(
    table: tuple[Int[Tensor, "values synonyms words"], Int[Tensor, " values"]],
    value: Int[Tensor, " n"],
    chance: Float[Tensor, " n"],
) -> Int[Tensor, "n words"]:
    """The tokens of one synonym of each value."""
    tokens, count = (part.to(value.device) for part in table)
    return tokens[value, (chance * count[value]).long()]


def to_the_left(tokens: Int[Tensor, "n w"]) -> Int[Tensor, "n 16"]:
    """The words in their order, the padding behind them."""
    order = (tokens == PAD).to(torch.int8).argsort(dim=1, stable=True)
    return F.pad(tokens.gather(1, order), (0, LENGTH - tokens.shape[1]))


def articles(tokens: Int[Tensor, "n l"]) -> Int[Tensor, "n l"]:
    """The tokens with "an" for every "a" before a vowel."""
    vowel = torch.tensor([word[0] in "aeiou" for word in VOCABULARY], device=tokens.device)
    following = F.pad(tokens[:, 1:], (0, 1))
    return tokens.masked_fill((tokens == TOKENS["a"]) & vowel[following], TOKENS["an"])
