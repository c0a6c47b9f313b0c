"""Depth: how high each pixel lies. It knows shape, size and position."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from embedcourse.world.factors import Scenes
from embedcourse.world.image import PIXELS
from embedcourse.world.noise import noise, uniform
from embedcourse.world.shapes import heights, local_coordinates, radius

__all__ = ["render_depth"]


def render_depth(scenes: Scenes) -> Float[Tensor, "n 1 32 32"]:
    """Heights above the ground, where the picture is 2 wide, on a slightly tilted sensor with noise.

    Raises: nothing.
    Source: this course.
    """
    u, v = local_coordinates(scenes, 2 * PIXELS)
    surface = F.avg_pool2d(heights(scenes.shape, u, v).unsqueeze(1), 2) * radius(scenes)[:, None, None, None]
    line = (surface.new_ones(PIXELS).cumsum(0) - 0.5) * 2 / PIXELS - 1
    across, up = (0.1 * (2 * uniform(scenes.key, 2, "tilt") - 1))[:, :, None, None, None].unbind(1)
    plane = across * line + up * line[:, None]
    grain = noise(scenes.key, PIXELS**2, "depth").view(-1, 1, PIXELS, PIXELS)
    return surface + plane + 0.03 * grain
