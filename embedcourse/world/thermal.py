"""Thermal: how warm each pixel is, blurred. It knows temperature, size, position, and shape as a blurred outline."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from embedcourse.world.factors import Scenes
from embedcourse.world.image import PIXELS
from embedcourse.world.noise import noise, uniform
from embedcourse.world.shapes import heights, local_coordinates

__all__ = ["render_thermal"]

#: How much warmer than the ground a cold, a warm and a hot object is.
WARMTH = (-0.45, 0.45, 0.9)
#: Standard deviation of the blur, in pixels.
BLUR = 1.5


def render_thermal(scenes: Scenes) -> Float[Tensor, "n 1 32 32"]:
    """Warmth with the ground at about 0: below it for cold objects, up to about .8 for hot ones.

    Thin parts are nearer the ground's temperature: all that tells a pyramid from a cube, and the blur hides most of it.

    Raises: nothing.
    Source: this course.
    """
    u, v = local_coordinates(scenes, PIXELS)
    body = 1 - torch.exp(-6 * heights(scenes.shape, u, v))
    warmth = torch.tensor(WARMTH, device=scenes.device)[scenes.temperature]
    drift = 0.08 * (2 * uniform(scenes.key, 2, "heat") - 1)
    warmth = (warmth + drift[:, 0])[:, None, None, None]
    grain = noise(scenes.key, PIXELS**2, "thermal").view(-1, 1, PIXELS, PIXELS)
    return warmth * blurred(body.unsqueeze(1)) + drift[:, 1, None, None, None] + 0.03 * grain


def blurred(picture: Float[Tensor, "n 1 p p"]) -> Float[Tensor, "n 1 p p"]:
    """The picture after a Gaussian blur, one axis after the other."""
    reach = round(3 * BLUR)
    weights = torch.exp(-((torch.arange(-reach, reach + 1, device=picture.device) / BLUR) ** 2) / 2)
    weights = weights / weights.sum()
    rows = F.conv2d(picture, weights[None, None, None, :], padding=(0, reach))
    return F.conv2d(rows, weights[None, None, :, None], padding=(reach, 0))
