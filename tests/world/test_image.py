"""Surfaces are shaded as Phong says; glass is seen through; motion can be taken out of the picture."""

from dataclasses import replace

import pytest
import torch

from embedcourse.world.factors import FACTORS, sample
from embedcourse.world.image import RGB, light_direction, normals, paint_object, phong, render_background, render_image
from embedcourse.world.shapes import RADII


def test_pictures_have_values_from_0_to_1(device):
    picture = render_image(sample(64, seed=0, device=device))
    assert picture.shape == (64, 3, 32, 32)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.1


def test_normals_of_a_sphere_point_away_from_its_centre(device):
    line = (torch.arange(200, device=device) + 0.5) / 100 - 1
    x, y = line[None, :] / 0.9, -line[:, None] / 0.9
    height = (1 - x**2 - y**2).clamp(min=0).sqrt()
    expected = torch.stack([x.expand(200, 200), y.expand(200, 200), height])
    got = normals(height[None], torch.tensor([0.9], device=device))[0]
    inner = height > 0.4
    torch.testing.assert_close(got[:, inner], expected[:, inner], atol=2e-3, rtol=0)


def test_phong_against_vectors_written_out(generator):
    normal = torch.nn.functional.normalize(torch.randn(2, 3, 2, 2, generator=generator), dim=1)
    light = torch.nn.functional.normalize(torch.rand(2, 3, generator=generator), dim=1)
    one = torch.ones(2, 1, 1)
    scattered, highlight = phong(normal, light, 0.5 * one, 2 * one, 3 * one)
    for i, row, column in [(0, 0, 0), (0, 1, 0), (1, 0, 1), (1, 1, 1)]:
        n, towards = normal[i, :, row, column], light[i]
        mirrored = 2 * (n @ towards) * n - towards
        assert scattered[i, row, column].item() == pytest.approx(0.5 * (0.3 + 0.85 * max(0, float(n @ towards))), 1e-4)
        assert highlight[i, row, column].item() == pytest.approx(2 * max(0, float(mirrored[2])) ** 3, 1e-4, 1e-6)


def test_the_light_is_a_unit_vector_from_above():
    light = light_direction(sample(100, seed=0))
    torch.testing.assert_close(light.norm(dim=1), torch.ones(100))
    assert (light[:, 2] > 0.4).all()


def test_objects_have_their_colour():
    scenes = sample(400, seed=0).change("glass", "sphere", "still")
    colour, _, inside = paint_object(scenes)
    mean = (colour * inside).sum((2, 3)) / inside.sum((2, 3))
    rgb = torch.tensor(list(RGB.values()))
    nearest = torch.cosine_similarity(
        mean[:, None] - mean.min(1).values[:, None, None], rgb - rgb.min(1).values[:, None], dim=2
    )
    assert (nearest.argmax(1) == scenes.colour).float().mean() > 0.95


@pytest.mark.parametrize("size", FACTORS["size"])
def test_a_ball_fills_the_area_of_its_disc(size):
    _, _, inside = paint_object(sample(20, seed=0).change("sphere", size))
    area = 3.14159 * RADII[FACTORS["size"].index(size)] ** 2
    torch.testing.assert_close(inside.sum((1, 2, 3)) * (2 / 32) ** 2, torch.full((20,), area), rtol=0.03, atol=0)


def test_the_ground_is_seen_through_glass_alone():
    lively, plain = sample(50, seed=0).change("still", "cube"), sample(50, seed=0, background=0).change("still", "cube")
    _, _, inside = paint_object(lively)
    within = (inside == 1).expand(-1, 3, -1, -1)
    for material in FACTORS["material"]:
        difference = (render_image(lively.change(material)) - render_image(plain.change(material))).abs()[within]
        assert (difference.max() > 0.02) == (material == "glass")


def test_a_plain_ground_is_even_and_a_lively_one_is_not():
    assert render_background(sample(20, seed=0, background=0)).std() < 1e-6
    waves = [render_background(sample(200, seed=0, background=b)).std((2, 3)).mean() for b in (0.2, 1.0)]
    assert 0 < waves[0] < waves[1] / 5


def test_motion_leaves_its_marks_and_can_be_taken_out():
    scenes = sample(100, seed=0)
    for motion in ("slide", "spin", "bounce"):
        marks = (render_image(scenes.change(motion)) - render_image(scenes.change("still"))).abs().amax((1, 2, 3))
        assert (marks > 0.15).float().mean() > 0.95, motion
    blind = render_image(scenes.change("still"))
    others = replace(scenes, motion=scenes.motion.roll(1)).change("still")
    assert torch.equal(blind, render_image(others))
