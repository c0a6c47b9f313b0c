"""A scene's random numbers are evenly spread, unrelated, and depend on its key alone."""

import torch
from scipy.stats import kstest

from embedcourse.world.noise import noise, uniform

KEYS = torch.arange(200)  # neighbouring keys: the hardest case for a hash


def test_uniform_numbers_are_uniform():
    x = uniform(KEYS, 500, "a")
    assert x.min() >= 0
    assert x.max() < 1
    assert kstest(x.flatten(), "uniform").pvalue > 1e-3
    for column in (0, 1, 499):
        assert kstest(x[:, column], "uniform").pvalue > 1e-3


def test_noise_has_mean_0_and_standard_deviation_1():
    x = noise(KEYS, 500, "a")
    torch.testing.assert_close(x.mean(), torch.tensor(0.0), atol=0.02, rtol=0)
    torch.testing.assert_close(x.std(), torch.tensor(1.0), atol=0.02, rtol=0)
    assert x.abs().max() <= 6**0.5
    assert kstest(x.flatten(), "triang", args=(0.5, -(6**0.5), 2 * 6**0.5)).pvalue > 1e-3


def test_scenes_places_and_streams_are_unrelated():
    x = noise(KEYS, 2000, "imu")
    for rows in (x, x.T[:200], torch.cat([x[:50], noise(KEYS[:50], 2000, "imu noise")])):
        correlation = torch.corrcoef(rows).fill_diagonal_(0)
        assert correlation.abs().max() < 5.5 / rows.shape[1] ** 0.5


def test_each_scene_has_its_own_numbers_in_every_batch_and_on_every_device(device):
    x = noise(KEYS.to(device), 30, "a").cpu()
    assert torch.equal(x, noise(KEYS, 30, "a"))
    assert torch.equal(x[[7, 3]], noise(KEYS[[7, 3]], 30, "a"))
    assert torch.equal(x[:, :4], noise(KEYS, 4, "a"))
