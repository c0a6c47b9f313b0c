"""The table of senses: what a sense knows can be read from it, what it is blind to leaves no trace."""

from dataclasses import replace

import pytest
import torch

from embedcourse.world import BLIND, FACTORS, FORMS, KNOWS, SENSES, Scenes, render, sample
from tests.world.probe import TEST, accuracies

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module", params=SENSES)
def probed(request) -> tuple[str, dict[str, float]]:
    """A sense, and what a probe reads from it: mean of three worlds."""
    runs = [accuracies(request.param, seed) for seed in SEEDS]
    return request.param, {factor: sum(run[factor] for run in runs) / len(runs) for factor in FACTORS}


def test_a_probe_reads_what_a_sense_knows_and_only_guesses_the_rest(probed):
    sense, accuracy = probed
    for factor, names in FACTORS.items():
        chance = 1 / len(names)
        if factor in KNOWS[sense]:
            assert accuracy[factor] > chance + 0.3, factor
        else:
            deviation = (chance * (1 - chance) / (len(SEEDS) * TEST)) ** 0.5
            assert abs(accuracy[factor] - chance) < 4 * deviation, factor


def other(scenes: Scenes, factor: str) -> Scenes:
    """The same scenes with another value of one factor."""
    value = getattr(scenes, factor)
    changed = -value if factor == "position" else (value + 1) % len(FACTORS[factor])
    return replace(scenes, **{factor: changed})


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("sense", SENSES)
def test_a_factor_changes_exactly_the_senses_that_know_it(sense, factor):
    scenes = sample(40, seed=0)
    before, after = render(scenes, sense), render(other(scenes, factor), sense)
    assert torch.equal(before, after) == (factor in BLIND[sense])


@pytest.mark.parametrize("sense", SENSES)
def test_a_scene_is_the_same_alone_in_a_chunk_in_a_slice_and_on_each_device(sense, device):
    scenes = sample(37, seed=0)
    whole = render(scenes, sense, chunk_size=37)
    assert whole.shape == (37, *FORMS[sense])
    for got, expected in [
        (render(scenes, sense, chunk_size=5), whole),
        (render(scenes, sense, chunk_size=1), whole),
        (render(scenes[10:20], sense), whole[10:20]),
        (render(scenes[[3]], sense), whole[3:4]),
        (render(scenes.to(device), sense).cpu(), whole),
    ]:
        torch.testing.assert_close(got, expected, atol=2e-3 if device.type == "cuda" else 1e-4, rtol=0)
    assert torch.equal(render(scenes, sense, chunk_size=37), whole)
    assert render(scenes[:0], sense).shape == (0, *FORMS[sense])


def test_chunks_bound_what_is_rendered_at_once(monkeypatch):
    sizes = []
    monkeypatch.setitem(SENSES, "imu", lambda scenes: (sizes.append(len(scenes)), torch.zeros(len(scenes), 6, 64))[1])
    assert len(render(sample(1000, seed=0), "imu", chunk_size=300)) == 1000
    assert sizes == [300, 300, 300, 100]


@pytest.mark.usefixtures("as_a_user")
def test_bad_requests_are_refused_by_name():
    scenes = sample(2, seed=0)
    with pytest.raises(ValueError, match="sense: expected one of image, depth, thermal, audio, imu, text; got 'smell'"):
        render(scenes, "smell")
    with pytest.raises(ValueError, match="chunk_size: expected at least 1, got 0"):
        render(scenes, "image", chunk_size=0)
