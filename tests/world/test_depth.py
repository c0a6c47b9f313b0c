"""Depth is height, whatever the surface looks like."""

from dataclasses import replace

import pytest
import torch

from embedcourse.world.depth import render_depth
from embedcourse.world.factors import FACTORS, sample
from embedcourse.world.shapes import RADII


@pytest.mark.parametrize("size", FACTORS["size"])
def test_a_ball_is_as_high_as_its_radius(size, device):
    scenes = replace(sample(200, seed=0), position=torch.zeros(200, 2)).change("sphere", size).to(device)
    depth = render_depth(scenes).mean(0)[0].cpu()  # noise and tilt average out
    expected = RADII[FACTORS["size"].index(size)]
    assert depth[15:17, 15:17].mean().item() == pytest.approx(expected, abs=0.02)
    assert depth[0].mean().item() == pytest.approx(0, abs=0.02)


def test_the_hole_of_a_ring_is_as_low_as_the_ground():
    scenes = replace(sample(200, seed=0), position=torch.zeros(200, 2)).change("torus", "large")
    depth = render_depth(scenes).mean(0)[0]
    assert depth[15:17, 15:17].mean().abs() < 0.02
    assert depth.max() > 0.15
