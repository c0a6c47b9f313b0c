"""Captions are true, leave out what they should, and prompts use their words."""

import itertools

import pytest
import torch

from embedcourse.world.factors import FACTORS, sample
from embedcourse.world.text import (
    DROP,
    LENGTH,
    UNKNOWN,
    VOCABULARY,
    WORDS,
    captions,
    decode,
    encode,
    prompts,
    render_text,
)
from tests.world.reading import MEANING, claims, facts

SCENES = sample(4000, seed=0)
CAPTIONS = captions(SCENES)


def test_captions_say_nothing_untrue():
    for text, true in zip(CAPTIONS, facts(SCENES), strict=True):
        assert claims(text).items() <= true.items(), text


@pytest.mark.parametrize("factor", FACTORS)
def test_each_attribute_is_left_out_one_time_in_four(factor):
    said = sum(factor in claims(text) for text in CAPTIONS) / len(CAPTIONS)
    assert said == pytest.approx(1 - DROP, abs=0.03)


def test_attributes_are_left_out_independently():
    said = torch.tensor([[factor in claims(text) for factor in FACTORS] for text in CAPTIONS]).float()
    assert torch.corrcoef(said.T).fill_diagonal_(0).abs().max() < 0.08


def test_every_synonym_is_used():
    spoken = {word for text in CAPTIONS for word in text.split()}
    assert set(MEANING) - spoken == set(itertools.chain(*itertools.chain(*[WORDS["position"]])))
    assert {"object", "thing", "photo", "there", "one", "an"} <= spoken


def test_no_article_stands_before_the_wrong_sound():
    for text in CAPTIONS:
        words = text.split()
        for article, word in itertools.pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (word[0] in "aeiou"), text


def test_tokens_are_those_of_the_captions(device):
    tokens = render_text(SCENES[:500].to(device))
    assert tokens.shape == (500, LENGTH)
    assert torch.equal(tokens.cpu(), encode(CAPTIONS[:500]))
    assert decode(tokens) == CAPTIONS[:500]
    assert (tokens != UNKNOWN).all()


def test_prompts_in_the_order_of_the_values():
    assert prompts("colour")[:2] == ["a photo of a red object", "a photo of an orange object"]
    assert prompts("motion")[1] == "a photo of an object sliding"
    assert prompts("position")[4] == "a photo of an object in the centre"
    assert prompts("shape", template="one {}")[:2] == ["one sphere", "one cube"]
    pairs = [(colour, shape) for colour in FACTORS["colour"] for shape in FACTORS["shape"]]
    assert [tuple(text.split()[-2:]) for text in prompts("colour", "shape")] == pairs
    assert [tuple(text.split()[-1:-3:-1]) for text in prompts("shape", "colour")] == [
        (shape, colour) for shape in FACTORS["shape"] for colour in FACTORS["colour"]
    ]


@pytest.mark.parametrize("factor", FACTORS)
def test_prompts_claim_exactly_their_value(factor):
    for text, value in zip(prompts(factor), FACTORS[factor], strict=True):
        assert claims(text) == {factor: value}
        assert UNKNOWN not in encode([text])


def test_encoding_words():
    assert encode(["A RED ball!", ""]).tolist() == [
        [VOCABULARY.index(word) for word in ("a", "red", "ball")] + [0] * (LENGTH - 3),
        [0] * LENGTH,
    ]
    assert encode(["a dog"], 2).tolist() == [[VOCABULARY.index("a"), UNKNOWN]]
    assert encode([]).shape == (0, LENGTH)
    assert len(set(VOCABULARY)) == len(VOCABULARY)


@pytest.mark.usefixtures("as_a_user")
def test_bad_texts_and_prompts_are_refused_by_name():
    with pytest.raises(TypeError, match="texts: expected a list of texts, got the string 'a ball'"):
        encode("a ball")
    with pytest.raises(ValueError, match="texts: expected at most 3 words a text, got 4"):
        encode(["one", "a big red ball"], 3)
    with pytest.raises(ValueError, match=r"factor: expected one of .*; got 'color'"):
        prompts("color")
    with pytest.raises(ValueError, match=r"expected a factor and one \{\}, got \(\)"):
        prompts()
    with pytest.raises(ValueError, match="expected a factor and one"):
        prompts("shape", template="a photo")
