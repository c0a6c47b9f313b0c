"""Thermal is warmth behind a blur that hides the difference between cube and pyramid."""

import itertools

import torch
from scipy.ndimage import gaussian_filter

from embedcourse.world.factors import FACTORS, sample
from embedcourse.world.thermal import BLUR, WARMTH, blurred, render_thermal


def test_the_blur_is_scipys(device, generator):
    picture = torch.zeros(1, 1, 32, 32)
    picture[0, 0, 8:24, 8:24] = torch.rand(16, 16, generator=generator)
    expected = gaussian_filter(picture[0, 0].numpy(), BLUR, mode="constant", radius=round(3 * BLUR))
    torch.testing.assert_close(blurred(picture.to(device))[0, 0].cpu(), torch.from_numpy(expected), atol=1e-5, rtol=0)


def test_the_middle_of_a_ball_is_as_warm_as_its_temperature():
    for temperature, warmth in zip(FACTORS["temperature"], WARMTH, strict=True):
        picture = render_thermal(sample(400, seed=0).change("sphere", "large", temperature))
        extreme = (
            picture.flatten(1).sort(dim=1).values[:, -100:] if warmth > 0 else picture.flatten(1).sort().values[:, :100]
        )
        assert abs(extreme.mean() - warmth) < 0.08


def test_cube_and_pyramid_look_alike_and_no_other_pair_does():
    scenes = sample(300, seed=0)
    pictures = {shape: render_thermal(scenes.change(shape)) for shape in FACTORS["shape"]}
    distance = {
        pair: (pictures[pair[0]] - pictures[pair[1]]).square().mean().item()
        for pair in itertools.combinations(FACTORS["shape"], 2)
    }
    alike = distance.pop(("cube", "pyramid"))
    assert alike < min(distance.values()) / 3
