"""The frozen features of FIND: what a caption names, the three losses against loops, and what the card says."""

import math

import pytest
import torch

from embedcourse.checkpoints import make, verify
from embedcourse.checkpoints.find import (
    HELD_OUT,
    KINDS,
    PAIRS,
    RECIPES,
    SEEN,
    SHAPE_OF,
    Learner,
    captioned,
    captions_found,
    load_find_features,
    named_somewhere,
    synonym_prompts,
    things_named,
    with_another_shape,
)
from embedcourse.models.find_scenes import FrozenEncoders
from embedcourse.world import FACTORS, encode, prompts
from embedcourse.world.scenes import GROUP_LENGTH
from embedcourse.world.text import decode

#: The same torch differs by the processor's and the threads' rounding alone; another torch may draw other numbers.
SAME_TORCH, OTHER_TORCH = 0.05, 0.2


def names() -> list[str]:
    return decode(synonym_prompts(SEEN)[0])


def test_prompts_are_those_of_the_world_and_in_synonyms():
    first = decode(synonym_prompts(PAIRS)[0])
    assert first == [
        *prompts("colour", template="a {}"),
        *prompts("shape", template="a {}"),
        *prompts("colour", "shape", template="a {}"),
    ]
    versions = synonym_prompts(SEEN)
    assert versions.shape[:2] == (6, sum(KINDS))
    assert {decode(version)[12] for version in versions} == {"a torus", "a ring", "a donut"}


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (
            "a small crimson glass ring above a large blue cube",
            ["a red object", "a blue object", "a cube", "a torus", "a red torus", "a blue cube"],
        ),
        ("a yellow thing and a box", ["a yellow object", "a cube"]),
        ("one hot object at the left", []),
    ],
)
def test_a_caption_names_colours_shapes_and_the_pairs_that_belong_together(caption, expected):
    named = things_named(encode([caption], GROUP_LENGTH))[0]
    assert [name for name, there in zip(names(), named, strict=True) if there] == expected


def test_one_shape_and_nothing_else_is_exchanged():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokens = captioned(100, 50, (1, 2))[1]
        swapped = with_another_shape(tokens)
    differ = (tokens != swapped).sum(1)
    named = (SHAPE_OF[tokens] >= 0).any(1)
    assert torch.equal(differ == 1, named)
    assert not differ[~named].any()
    changed = tokens != swapped
    before, after = SHAPE_OF[tokens[changed]], SHAPE_OF[swapped[changed]]
    assert (before != after).all()
    assert set(after.tolist()) == set(range(6))


def test_held_out_pairs_are_neither_pictured_nor_named_nor_asked_for():
    assert {shape for _, shape in HELD_OUT} == set(FACTORS["shape"])
    assert len({colour for colour, _ in HELD_OUT}) == len(HELD_OUT)
    banned = {f"{colour} {shape}" for colour, shape in HELD_OUT}
    assert not banned & {name.split(" ", 1)[1] for name in names()}
    pictures, tokens = captioned(300, 300, (3, 4))
    assert len(pictures) == len(tokens) == 600
    assert things_named(tokens).any(0).all()  # raises for a pair that is held out; all others occur


def test_captions_are_found_as_in_a_loop(generator):
    images, own, wrong = (torch.randn(4, 5, generator=generator, dtype=torch.float64) for _ in range(3))
    scale = torch.tensor(3.0, dtype=torch.float64)

    def cosine(a, b):
        return float(a @ b / a.norm() / b.norm()) * 3

    total = 0.0
    for i in range(4):
        to_texts = [cosine(images[i], own[j]) for j in range(4)] + [cosine(images[i], wrong[i])]
        to_images = [cosine(images[j], own[i]) for j in range(4)]
        for row in (to_texts, to_images):
            total -= (row[i] - math.log(sum(map(math.exp, row)))) / 8
    assert captions_found(images, own, wrong, scale).item() == pytest.approx(total)


def test_things_are_named_somewhere_as_in_a_loop(generator):
    """A caption without a thing of a kind does not count for that kind."""
    scores = torch.randn(3, sum(KINDS), 4, generator=generator, dtype=torch.float64)
    named = torch.rand(3, sum(KINDS), generator=generator) < 0.3
    named[1, : KINDS[0]] = False
    total, start = 0.0, 0
    for size in KINDS:
        rows = [i for i in range(3) if named[i, start : start + size].any()]
        for i in rows:
            for k in range(start, start + size):
                odds = sum(math.exp(x) for x in scores[i, k].tolist())
                p = odds / (1 + odds)
                total -= math.log(p if named[i, k] else 1 - p) / len(rows) / 3
        start += size
    assert named_somewhere(scores, named).item() == pytest.approx(total)


def test_all_weights_learn_from_captions():
    learner = Learner(FrozenEncoders(width=4, embedding_dim=16))
    pictures, tokens = captioned(16, 8, (5, 6))
    terms = learner(pictures, tokens, things_named(tokens))
    assert terms["loss"].item() == pytest.approx(terms["clip"].item() + terms["instances"].item())
    terms["loss"].backward()
    learned = {name for name, x in learner.named_parameters() if x.grad is not None and x.grad.abs().sum() > 0}
    assert {name for name, _ in learner.named_parameters()} - learned <= {"encoders.language.words.weight"}


def test_the_shipped_features_are_frozen_and_as_good_as_their_card_says():
    encoders = load_find_features()
    assert not encoders.training
    assert not any(parameter.requires_grad for parameter in encoders.parameters())
    card = verify("find_features")
    assert card.bytes < 3e6
    assert RECIPES[0].measure(encoders) == pytest.approx(card.metrics, abs=0.01)
    assert card.metrics["patches name shape"] > 0.8


def test_a_short_run_reaches_what_the_card_says_of_it(tmp_path):
    card = verify("find_features")
    again = make(RECIPES[0], tmp_path, steps=card.small_steps)
    within = SAME_TORCH if torch.__version__.startswith(card.torch) else OTHER_TORCH
    assert again.metrics == pytest.approx(card.small_metrics, abs=within)
    assert again.metrics["patches name colour"] > 0.25  # chance is an eighth: the short run does learn
