"""The recipe of chapter 12 makes views that keep the factors, trains every variant, and reads each part of a space."""

import pytest
import torch

from embedcourse.claims.ch12_decur import (
    DIMENSIONS,
    PAIRS,
    VARIANTS,
    CrossCorrelations,
    build,
    parts,
    prepare,
    read_off,
    signal_view,
    train,
    view,
)
from embedcourse.losses import cross_correlation

PAIR = PAIRS["imu-audio"]


def test_a_shifted_signal_is_one_of_the_rolled_signals(generator):
    x = torch.randn(50, 2, 9, generator=generator)
    moved = signal_view(x, shift=2)
    rolled = torch.stack([x.roll(k, -1) for k in range(-2, 3)])  # (5, 50, 2, 9)
    same = (rolled == moved).all(-1).all(-1)  # (5, 50)
    assert (same.sum(0) == 1).all()  # all channels of a signal by one shift
    assert same.any(1).all()  # every shift occurs


def test_gain_and_loudness_are_one_number_a_signal_in_their_range():
    x = torch.ones(500, 1, 4, 3)
    for options, least, most in (({"gain": 0.2}, 0.8, 1.2), ({"loudness": 0.3}, 0.7, 1.3)):
        y = signal_view(x, **options)
        assert torch.equal(y, y[:, :, :1, :1].expand_as(y))
        assert least <= y.min() < least + 0.05
        assert most - 0.05 < y.max() <= most
    assert signal_view(x, noise=0.1).std().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(signal_view(x), x)


@pytest.mark.parametrize("name", PAIRS)
def test_pictures_lie_in_the_range_of_their_views_and_views_differ(name):
    seen = prepare(PAIRS[name], 64, seed=0)
    for sense, x in seen.by.items():
        if sense in ("image", "thermal"):
            assert ((x < 0) | (x > 1)).float().mean() < 0.01
        first, second = view(sense)(x), view(sense)(x)
        assert first.shape == x.shape
        assert not torch.equal(first, second)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_has_its_dimensions_and_its_terms(variant):
    split, intra = VARIANTS[variant]
    model, history = train(PAIR, prepare(PAIR, 32, seed=0), variant, share=0.25, steps=2)
    assert model.dim_common == (DIMENSIONS // 4 if split else DIMENSIONS)
    assert ({"intra 1", "intra 2"} <= history.terms.keys()) == intra
    assert set(parts(model, torch.ones(3, DIMENSIONS))) == ({"all", "common", "unique"} if split else {"all"})
    if not intra:
        sums = [c + u for c, u in zip(history.terms["common"], history.terms["unique"], strict=True)]
        assert history.loss == pytest.approx(sums)


def test_the_watch_keeps_the_matrix_of_each_step():
    seen = prepare(PAIR, 32, seed=0)
    watch = CrossCorrelations(PAIR, seen)
    model, history = train(PAIR, seen, steps=3, watch=watch, watch_every=2)
    assert list(watch.matrices) == history.watched_at == [0, 2, 3]
    z = (model.embed(sense, seen.by[sense], projected=True) for sense in PAIR.senses)
    c = cross_correlation(*z)
    torch.testing.assert_close(watch.matrices[3], c)
    assert history.watched["common diagonal"][-1] == pytest.approx(c.diagonal()[:32].mean().item())
    assert history.watched["unique diagonal"][-1] == pytest.approx(c.diagonal()[32:].abs().mean().item())


def test_every_factor_is_read_off_every_part():
    found = read_off(build(PAIR, 32, seed=0), PAIR, prepare(PAIR, 60, seed=0), prepare(PAIR, 40, seed=1))
    factors = {"imu": ("motion", "size", "shape"), "audio": ("motion", "size", "material")}
    expected = {"common diagonal", "unique diagonal"}
    for sense, own in factors.items():
        for part in ("all", "common", "unique"):
            expected.add(f"{sense}, {part}: rank")
            expected |= {f"{sense} {f}, {part}: {m}" for f in own for m in ("variance", "noisy", "standardised")}
    assert found.keys() == expected


def test_the_same_seed_builds_the_same_networks():
    one, same, other = (build(PAIR, 32, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
