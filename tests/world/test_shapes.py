"""Areas and volumes of the shapes against school geometry."""

import math
from dataclasses import replace

import pytest
import torch

from embedcourse.world.factors import FACTORS, sample
from embedcourse.world.shapes import RADII, heights, local_coordinates

#: Area of the outline and volume above the ground, for a radius of 1.
SOLIDS = {
    "sphere": (math.pi, 2 / 3 * math.pi),
    "cube": (1.68**2, (1.68**2 + 1.18**2 + 1.68 * 1.18) / 3),  # a frustum of height 1: the edges are bevelled
    "cone": (0.42 * 1.95**2, math.pi * (0.42 * 1.95) ** 2 * 1.95 / 6),
    "cylinder": (1.1 * 1.96, math.pi * 0.55**2 * 1.96 / 2),
    "torus": (math.pi * (1 - 0.4**2), math.pi**2 * 0.7 * 0.3**2),
    "pyramid": (1.68**2, 1.68**2 * 0.84 * 1.6 / 3),
}


@pytest.mark.parametrize("shape", FACTORS["shape"])
@pytest.mark.parametrize("size", FACTORS["size"])
def test_area_and_volume(shape, size, device):
    scenes = replace(sample(3, seed=0), position=torch.zeros(3, 2)).change(shape, size).to(device)
    pixels = 200
    height = heights(scenes.shape, *local_coordinates(scenes, pixels))
    pixel = (2 / pixels / RADII[FACTORS["size"].index(size)]) ** 2  # in radii
    area, volume = SOLIDS[shape]
    torch.testing.assert_close((height > 0).sum((1, 2)).cpu() * pixel, torch.full((3,), area), rtol=0.02, atol=0)
    torch.testing.assert_close(height.sum((1, 2)).cpu() * pixel, torch.full((3,), volume), rtol=0.02, atol=0)


def test_the_object_stands_where_its_position_says():
    scenes = replace(sample(1, seed=0), position=torch.tensor([[0.25, -0.125]]), angle=torch.zeros(1)).change("sphere")
    u, v = local_coordinates(scenes, 16)
    height = heights(scenes.shape, u, v)[0]
    row, column = divmod(int(height.argmax()), 16)
    assert column in (9, 10)  # x = 0.25 lies between these pixels' centres
    assert row in (8, 9)  # y is below the middle, and rows count downwards


def test_the_axis_turns_with_the_angle():
    scenes = replace(sample(2, seed=0), position=torch.zeros(2, 2), angle=torch.tensor([0.0, math.pi / 2]))
    lying = scenes.change("cylinder", "large")
    along, across = heights(lying.shape, *local_coordinates(lying, 32))
    torch.testing.assert_close(torch.rot90(along), across, atol=1e-5, rtol=0)


def test_every_shape_keeps_within_the_picture_at_every_place():
    scenes = sample(500, seed=0).change("large", "sphere")
    height = heights(scenes.shape, *local_coordinates(scenes, 32))
    assert not height[:, [0, -1]].gt(0.3).any()
    assert not height[:, :, [0, -1]].gt(0.3).any()
