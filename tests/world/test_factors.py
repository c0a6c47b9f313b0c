"""Scenes are drawn evenly, always the same for the same seed, and held-out combinations never occur."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from embedcourse.world.factors import BLIND, FACTORS, KNOWS, NAMED, REACH, Scenes, sample

PAIRS = [("red", "cube"), ("blue", "torus"), ("hot", "metal", "spin")]


def same(a: Scenes, b: Scenes) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Scenes))


def occurs(scenes: Scenes, combination: tuple[str, ...]) -> list[bool]:
    names = list(zip(*(scenes.names(factor) for factor in NAMED), strict=True))
    return [set(combination) <= set(values) for values in names]


def test_the_table_of_senses():
    assert BLIND["image"] == {"temperature"}
    assert BLIND["depth"] == {"colour", "material", "motion", "temperature"}
    assert BLIND["thermal"] == {"colour", "material", "motion"}
    assert BLIND["audio"] == {"shape", "colour", "temperature", "position"}
    assert BLIND["imu"] == {"colour", "material", "temperature", "position"}
    assert BLIND["text"] == set()
    assert KNOWS["audio"] & KNOWS["imu"] == {"motion", "size"}


def test_names_of_values_name_one_factor_only():
    names = [name for factor in NAMED for name in FACTORS[factor]]
    assert len(names) == len(set(names)) == 28


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_factor_is_uniform(seed):
    scenes = sample(9000, seed=seed)
    for factor, names in FACTORS.items():
        counts = scenes.labels(factor).bincount(minlength=len(names))
        assert len(counts) == len(names)
        assert chisquare(counts).pvalue > 1e-4, factor


def test_factors_are_independent():
    scenes = sample(20_000, seed=0)
    for a in FACTORS:
        for b in FACTORS:
            if a < b:
                pairs = scenes.labels(a) * len(FACTORS[b]) + scenes.labels(b)
                counts = pairs.bincount(minlength=len(FACTORS[a]) * len(FACTORS[b]))
                assert chisquare(counts).pvalue > 1e-5, (a, b)


def test_position_lies_in_its_cell():
    scenes = sample(500, seed=0)
    for (x, y), name in zip(scenes.position.tolist(), scenes.names("position"), strict=True):
        third = REACH / 3
        assert ("left" in name) == (x < -third)
        assert ("right" in name) == (x > third)
        assert ("top" in name) == (y > third)
        assert ("bottom" in name) == (y < -third)


def test_the_seed_decides(device):
    assert same(sample(50, seed=3, device=device), sample(50, seed=3).to(device))
    assert sample(50, seed=3, device=device).device.type == device.type
    assert not same(sample(50, seed=3), sample(50, seed=4))


def test_torchs_own_generator_is_left_alone():
    before = torch.get_rng_state()
    sample(10, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_held_out_combinations_never_occur_and_their_parts_do():
    scenes = sample(5000, seed=0, hold_out=PAIRS)
    for combination in PAIRS:
        assert not any(occurs(scenes, combination))
        assert all(any(occurs(scenes, (value,))) for value in combination)


@given(st.lists(st.tuples(*(st.sampled_from(FACTORS[f]) for f in ("colour", "shape"))), min_size=1, max_size=12))
def test_hold_out_and_only_are_opposites(pairs):
    assert not any(any(occurs(sample(200, seed=0, hold_out=pairs), pair)) for pair in pairs)
    hits = zip(*(occurs(sample(200, seed=0, only=pairs), pair) for pair in pairs), strict=True)
    assert all(map(any, hits))


def test_only_draws_all_its_combinations():
    scenes = sample(2000, seed=0, only=PAIRS[:2])
    shares = [sum(occurs(scenes, pair)) / 2000 for pair in PAIRS[:2]]
    assert shares == pytest.approx([0.5, 0.5], abs=0.05)


def test_the_easy_world_is_plain_still_and_large():
    scenes = sample(300, seed=0, easy=True)
    assert set(scenes.names("size")) == {"large"}
    assert set(scenes.names("motion")) == {"still"}
    assert not scenes.background.any()
    assert scenes.angle.abs().max() > 3  # turned every way
    assert set(scenes.names("shape")) == set(FACTORS["shape"])


def test_background_scales_the_ground_alone():
    lively, calm = sample(40, seed=0), sample(40, seed=0, background=0.2)
    torch.testing.assert_close(calm.background, 0.2 * lively.background)
    assert same(dataclasses.replace(calm, background=lively.background), lively)


def test_scenes_are_chosen_as_rows_are():
    scenes = sample(20, seed=0)
    assert len(scenes[3]) == 1
    assert same(scenes[-1], scenes[19:])
    assert same(scenes[3:6], scenes[[3, 4, 5]])
    assert same(scenes[scenes.shape == 2], scenes[(scenes.shape == 2).nonzero().squeeze(1)])
    assert len(scenes[:0]) == 0
    with pytest.raises(IndexError):
        scenes[20]


def test_change_sets_named_factors_and_nothing_else():
    scenes = sample(30, seed=0)
    changed = scenes.change("still", "hot")
    assert set(changed.names("motion")) == {"still"}
    assert set(changed.names("temperature")) == {"hot"}
    assert same(dataclasses.replace(changed, motion=scenes.motion, temperature=scenes.temperature), scenes)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": -1}, "n: expected a number of scenes of at least 0, got -1"),
        ({"background": 1.5}, r"background: expected a number from 0 \(plain\) to 1, got 1.5"),
        ({"background": float("nan")}, "background: expected a number from 0"),
        ({"hold_out": [("red", "cub")]}, "value: expected one of sphere, .* bounce; got 'cub'"),
        ({"hold_out": ["red"]}, "expected combinations such as"),
        ({"only": [()]}, "expected combinations such as"),
        ({"only": [("red", "blue")]}, "no combination of values is left"),
        ({"only": [("small",)], "easy": True}, "no combination of values is left"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        sample(**{"n": 2, "seed": 0} | options)


@pytest.mark.usefixtures("as_a_user")
def test_unknown_factors_and_values_are_refused_by_name():
    scenes = sample(2, seed=0)
    for ask in (scenes.labels, scenes.names):
        with pytest.raises(ValueError, match=r"factor: expected one of shape, .* position; got 'weight'"):
            ask("weight")
    with pytest.raises(ValueError, match=r"value: expected one of .*; got 'loud'"):
        scenes.change("loud")
