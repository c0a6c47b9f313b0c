"""What senses share: the pairs, the sentences and the other scenes are what they say."""

import pytest
import torch

from embedcourse.world import FACTORS, sample
from embedcourse.world.sharing import counterparts, factor_labels, sentences, shared_factors
from embedcourse.world.text import OPENINGS, THINGS, WORDS


@pytest.mark.parametrize(
    ("pair", "shared"),
    [
        (("text", "audio"), {"material", "size", "motion"}),
        (("audio", "imu"), {"size", "motion"}),
        (("depth", "thermal"), {"shape", "size"}),
        (("text", "thermal"), {"shape", "size", "temperature"}),
        (("depth", "audio"), {"size"}),
    ],
)
def test_pairs_share_what_the_world_says(pair, shared):
    assert set(shared_factors(*pair)) == set(shared_factors(*pair[::-1])) == shared


def test_sentences_name_the_right_values_and_nothing_else():
    scenes = sample(200, seed=1)
    factors = ("material", "motion")
    told = sentences(scenes, factors)
    free = {word for opening in OPENINGS for word in opening.split()} | {"an", *THINGS}
    for row, sentence in enumerate(told):
        words = set(sentence.split())
        for factor in factors:
            own = set(WORDS[factor][int(scenes.labels(factor)[row])])
            assert len(own & words) == 1, sentence
            words -= own
        assert words <= free, sentence
    assert len(set(told)) > 40  # synonyms


def test_counterparts_share_what_has_a_name_and_nothing_else():
    scenes = sample(300, seed=2)
    others = counterparts(scenes, seed=3)
    named = [factor for factor in FACTORS if factor != "position"]
    assert torch.equal(factor_labels(scenes, named), factor_labels(others, named))
    assert not torch.equal(scenes.key, others.key)
    assert (scenes.labels("position") == others.labels("position")).double().mean() < 0.25
