"""The image: height field → normals → shading. It knows everything but temperature."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from embedcourse.world.factors import FACTORS, Scenes
from embedcourse.world.noise import noise
from embedcourse.world.shapes import RADII, heights, local_coordinates, radius

__all__ = ["PIXELS", "paint_object", "render_background", "render_image"]

#: Width and height of image, depth and thermal.
PIXELS = 32
#: Surfaces are shaded at twice the width and height, then averaged: smooth edges.
FINE = 2 * PIXELS
#: Red, green and blue of each colour.
RGB = {
    "red": (0.90, 0.13, 0.12),
    "orange": (1.00, 0.52, 0.05),
    "yellow": (0.98, 0.90, 0.15),
    "green": (0.12, 0.65, 0.15),
    "cyan": (0.20, 0.88, 0.92),
    "blue": (0.14, 0.28, 0.92),
    "purple": (0.46, 0.10, 0.72),
    "pink": (1.00, 0.58, 0.78),
}
#: How each material answers light: diffuse, specular, shininess (the exponent of Phong), opacity.
MATERIALS = {
    "metal": (0.85, 1.00, 24.0, 1.00),
    "wood": (0.95, 0.00, 1.0, 1.00),
    "glass": (0.95, 1.50, 40.0, 0.60),
    "rubber": (0.60, 0.00, 1.0, 1.00),
}


def render_image(scenes: Scenes) -> Float[Tensor, "n 3 32 32"]:
    """Colour pictures with values in [0, 1].

    Raises: nothing.
    Source: this course; shading after Phong (1975), "Illumination for computer generated pictures".
    """
    picture = shadowed(render_background(scenes), scenes)
    colour, cover, _ = paint_object(scenes)
    picture = torch.lerp(picture, colour, cover)
    picture = torch.lerp(picture, picture.new_ones(()), motion_marks(scenes))
    return add_grain(picture, scenes)


def add_grain(picture: Float[Tensor, "n 3 32 32"], scenes: Scenes) -> Float[Tensor, "n 3 32 32"]:
    """The picture with the camera's noise."""
    grain = noise(scenes.key, 3 * PIXELS**2, "image").view(-1, 3, PIXELS, PIXELS)
    return (picture + 0.02 * grain).clamp_(0, 1)


def render_background(scenes: Scenes) -> Float[Tensor, "n 3 32 32"]:
    """The ground alone: grey, tinted, with waves as strong as the scene's background is lively.

    Raises: nothing.
    Source: this course.
    """
    line = (torch.arange(PIXELS, device=scenes.device) + 0.5) * 2 / PIXELS - 1
    tint, wave, phase = scenes.background.split([3, 2, 1], dim=1)
    across, up = (5 * wave)[:, :, None, None].unbind(1)  # (n, 1, 1)
    waves = torch.sin(across * line + up * line[:, None] + 3 * phase[:, :, None])  # (n, 32, 32)
    depth = 0.2 * scenes.background.abs().mean(1)[:, None, None]
    return 0.55 + 0.1 * tint[:, :, None, None] + (depth * waves)[:, None]


def shadowed(
    picture: Float[Tensor, "n 3 32 32"], scenes: Scenes, radii: tuple[float, ...] = RADII
) -> Float[Tensor, "n 3 32 32"]:
    """The ground with the object's soft shadow: close to it, or away from it when the object is in the air."""
    bounce = scenes.motion == FACTORS["motion"].index("bounce")
    lift = torch.where(bounce, 0.8, 0.15) * radius(scenes, radii)
    away = light_direction(scenes)[:, :2]
    away = -lift[:, None] * away / away.norm(dim=1, keepdim=True)
    u, v = local_coordinates(replace(scenes, position=scenes.position + away), PIXELS, radii)
    outline = (heights(scenes.shape, u, v) > 0).float().unsqueeze(1)  # (n, 1, 32, 32)
    shadow = F.avg_pool2d(outline, 5, stride=1, padding=2)
    return picture * (1 - 0.6 * shadow)


def light_direction(scenes: Scenes) -> Float[Tensor, "n 3"]:
    """Where the light comes from, as a unit vector: from above, more or less from the upper left."""
    azimuth = torch.pi * (0.75 + 0.2 * scenes.light[:, 0])
    elevation = torch.pi * (0.25 + 0.06 * scenes.light[:, 1])
    flat = elevation.cos()
    return torch.stack([flat * azimuth.cos(), flat * azimuth.sin(), elevation.sin()], dim=1)


def paint_object(
    scenes: Scenes, radii: tuple[float, ...] = RADII
) -> tuple[Float[Tensor, "n 3 32 32"], Float[Tensor, "n 1 32 32"], Float[Tensor, "n 1 32 32"]]:
    """The object's colour at each pixel, how much of the ground it hides, and how much of the pixel it fills.

    The last two are numbers from 0 to 1, and differ for glass.

    Raises: nothing.
    Source: Phong (1975), "Illumination for computer generated pictures", with textures of this course.
    """
    u, v = local_coordinates(scenes, FINE, radii)
    height = heights(scenes.shape, u, v)
    normal = normals(height, radius(scenes, radii))
    table = torch.tensor(list(MATERIALS.values()), device=scenes.device)
    *answers, opacity = table[scenes.material, :, None, None].unbind(1)  # (n, 1, 1) each
    diffuse, specular = phong(normal, light_direction(scenes), *answers)
    body = diffuse * texture(scenes, u, v, normal)
    opacity = torch.maximum(opacity + (1 - opacity) * (1 - normal[:, 2]), specular.clamp(max=1))
    inside = (height > 0).float()
    white = specular + (body - 1).clamp(min=0)  # what is too bright for its colour turns white
    maps = F.avg_pool2d(torch.stack([inside * opacity, inside * body.clamp(max=1), inside * white, inside], dim=1), 2)
    cover, body, white, inside = maps.unsqueeze(2).unbind(1)  # (n, 1, 32, 32) each
    rgb = torch.tensor(list(RGB.values()), device=scenes.device)[scenes.colour, :, None, None]
    return (rgb * body + white) / inside.clamp(min=0.25), cover, inside


def normals(height: Float[Tensor, "n p p"], radius: Float[Tensor, " n"]) -> Float[Tensor, "n 3 p p"]:
    """Unit normals of a height field, from its slopes along x and along y."""
    step = 2 * (2 / height.shape[-1]) / radius[:, None, None]  # two pixels, in radii
    padded = F.pad(height, (1, 1, 1, 1))
    right = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / step
    up = (padded[:, :-2, 1:-1] - padded[:, 2:, 1:-1]) / step
    upright = (1 + right**2 + up**2).rsqrt()
    return torch.stack([-right * upright, -up * upright, upright], dim=1)


def phong(
    normal: Float[Tensor, "n 3 p p"],
    light: Float[Tensor, "n 3"],
    diffuse: Float[Tensor, "n 1 1"],
    specular: Float[Tensor, "n 1 1"],
    shininess: Float[Tensor, "n 1 1"],
) -> tuple[Float[Tensor, "n p p"], Float[Tensor, "n p p"]]:
    """How bright the surface is: scattered light, and the highlight where the light's mirror image meets the eye."""
    facing = (normal * light[:, :, None, None]).sum(1)
    mirrored = 2 * facing * normal[:, 2] - light[:, 2, None, None]  # the eye is straight above
    return diffuse * (0.3 + 0.85 * facing.clamp(min=0)), specular * mirrored.clamp(min=0) ** shininess


def texture(
    scenes: Scenes, u: Float[Tensor, "n p p"], v: Float[Tensor, "n p p"], normal: Float[Tensor, "n 3 p p"]
) -> Float[Tensor, "n p p"]:
    """What the material does to the brightness: mirrored bands of metal, grain of wood, nubs of rubber."""
    result = torch.ones_like(u)
    for name, pattern in TEXTURES.items():
        chosen = (scenes.material == FACTORS["material"].index(name)).nonzero().squeeze(1)
        result[chosen] = pattern(u[chosen], v[chosen], normal[chosen])
    return result


def metal(u: Tensor, v: Tensor, normal: Tensor) -> Tensor:
    """The surroundings mirrored: bands across, shifted where the surface turns."""
    return 1.2 + 0.8 * torch.sin(3.5 * (u + v) + 3 * normal[:, 1] - 2 * normal[:, 0])


def wood(u: Tensor, v: Tensor, normal: Tensor) -> Tensor:
    """Grain: wavy dark lines along the axis."""
    return 1 - 0.75 * torch.sin(10 * v + torch.sin(2 * u)).clamp(min=0)


def rubber(u: Tensor, v: Tensor, normal: Tensor) -> Tensor:
    """Rows of nubs."""
    return 0.85 + 0.2 * torch.sin(10 * u) * torch.sin(10 * v)


TEXTURES = {"metal": metal, "wood": wood, "rubber": rubber}


def motion_marks(scenes: Scenes) -> Float[Tensor, "n 1 32 32"]:
    """How white each pixel is painted: streaks behind what slides, a swirl around what spins."""
    u, v = local_coordinates(scenes, PIXELS)
    result = torch.zeros_like(u)
    for name, mark in MARKS.items():
        chosen = (scenes.motion == FACTORS["motion"].index(name)).nonzero().squeeze(1)
        result[chosen] = mark(u[chosen], v[chosen])
    return result.unsqueeze(1)


def slide(u: Tensor, v: Tensor) -> Tensor:
    """Three lines that begin on the object's rear half and fade behind it."""
    return 0.85 * torch.sigmoid(-12 * (u + 0.55)) * torch.exp(-0.4 * u**2) * (torch.cos(7 * v) > 0.6) * (v.abs() < 1.1)


def spin(u: Tensor, v: Tensor) -> Tensor:
    """Three curved arms around the rim."""
    distance = (u**2 + v**2).sqrt()
    rim = torch.exp(-(((distance - 1.1) / 0.22) ** 2))
    return 0.9 * rim * (torch.sin(3 * torch.atan2(v, u) + 4 * distance) > 0.35)


MARKS = {"slide": slide, "spin": spin}
