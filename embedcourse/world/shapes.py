"""The six shapes as height fields seen from above, the ground of image, depth and thermal.

Cone and cylinder lie on their sides: standing, they would look like a sphere from above.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from embedcourse.world.factors import FACTORS, Scenes

__all__ = ["RADII", "heights", "local_coordinates"]

#: Radius of a small, a medium and a large object, where the picture is 2 wide.
RADII = (0.42, 0.54, 0.68)
#: Half the side of the square on which cube and pyramid stand, in radii.
HALF_SIDE = 0.84


def radius(scenes: Scenes, radii: tuple[float, ...] = RADII) -> Float[Tensor, " n"]:
    """Each object's radius, where the picture is 2 wide."""
    return torch.tensor(radii, device=scenes.device)[scenes.size]


def local_coordinates(
    scenes: Scenes, pixels: int, radii: tuple[float, ...] = RADII
) -> tuple[Float[Tensor, "n p p"], Float[Tensor, "n p p"]]:
    """Where each pixel lies for the object: u along its axis and v across, in radii, 0 at its centre.

    Raises: nothing.
    Source: this course; a shift, a turn and a scaling.
    """
    line = (torch.arange(pixels, device=scenes.device) + 0.5) * 2 / pixels - 1
    x = line - scenes.position[:, 0, None, None]  # (n, 1, p)
    y = -line[:, None] - scenes.position[:, 1, None, None]  # (n, p, 1)
    r = radius(scenes, radii)
    cos, sin = ((f(scenes.angle) / r)[:, None, None] for f in (torch.cos, torch.sin))
    return cos * x + sin * y, cos * y - sin * x


def heights(shape: Int[Tensor, " n"], u: Float[Tensor, "n p p"], v: Float[Tensor, "n p p"]) -> Float[Tensor, "n p p"]:
    """Height of the object above the ground at each pixel, in radii; 0 beside the object.

    Raises: nothing.
    Source: this course; the upper surfaces of the solids.
    """
    result = torch.zeros_like(u)
    for number, name in enumerate(FACTORS["shape"]):
        chosen = (shape == number).nonzero().squeeze(1)
        result[chosen] = SURFACES[name](u[chosen], v[chosen])
    return result


def sphere(u: Tensor, v: Tensor) -> Tensor:
    """A ball of radius 1: the upper half."""
    return (1 - u**2 - v**2).clamp(min=0).sqrt()


def cube(u: Tensor, v: Tensor) -> Tensor:
    """A box with a flat top and bevelled edges."""
    return ((HALF_SIDE - square(u, v)) * 4).clamp(0, 1)


def cone(u: Tensor, v: Tensor) -> Tensor:
    """A cone on its side: its radius falls along u from .8 to nothing."""
    return ((0.42 * (1 - u)) ** 2 - v**2).clamp(min=0).sqrt() * ((u > -0.95) & (u < 1))


def cylinder(u: Tensor, v: Tensor) -> Tensor:
    """A cylinder on its side, along u."""
    return (0.55**2 - v**2).clamp(min=0).sqrt() * (u.abs() < 0.98)


def torus(u: Tensor, v: Tensor) -> Tensor:
    """A ring that lies flat, its tube .6 thick."""
    return (0.3**2 - ((u**2 + v**2).sqrt() - 0.7) ** 2).clamp(min=0).sqrt()


def pyramid(u: Tensor, v: Tensor) -> Tensor:
    """Four even slopes from a square to a tip."""
    return (HALF_SIDE - square(u, v)).clamp(min=0) * 1.6


def square(u: Tensor, v: Tensor) -> Tensor:
    """Distance from the centre as a square measures it."""
    return torch.maximum(u.abs(), v.abs())


SURFACES = {surface.__name__: surface for surface in (sphere, cube, cone, cylinder, torus, pyramid)}
