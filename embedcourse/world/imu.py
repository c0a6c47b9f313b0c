"""IMU: one second of the object's acceleration and rotation. It knows motion, size (amplitude) and shape (wobble)."""

import torch
from jaxtyping import Float
from torch import Tensor

from embedcourse.world.factors import FACTORS, Scenes
from embedcourse.world.noise import noise, uniform

__all__ = ["CHANNELS", "STEPS", "render_imu"]

#: What the sensor measures: acceleration along and rotation around each axis.
CHANNELS = ("acceleration x", "acceleration y", "acceleration z", "rotation x", "rotation y", "rotation z")
#: Measurements in the one second.
STEPS = 64
#: How strongly a small, a medium and a large object moves.
AMPLITUDE = (0.5, 0.85, 1.4)
#: How often each shape wobbles in the second, and how much more around x than around y.
WOBBLE = {
    "sphere": (2.0, 1.0),
    "cube": (8.0, 1.0),
    "cone": (4.0, 0.3),
    "cylinder": (6.0, 0.2),
    "torus": (4.0, 1.0),
    "pyramid": (8.0, 0.3),
}
#: When what bounces hits the ground, in seconds, and how hard.
IMPACTS = {0.1: 2.4, 0.42: 1.9, 0.65: 1.5, 0.81: 1.1, 0.92: 0.8}


def render_imu(scenes: Scenes) -> Float[Tensor, "n 6 64"]:
    """Measurements of six channels over one second, in units of what a body of medium size does.

    Raises: nothing.
    Source: this course.
    """
    chance = uniform(scenes.key, 4, "imu")
    amplitude = torch.tensor(AMPLITUDE, device=scenes.device)[scenes.size] * (0.92 + 0.16 * chance[:, 0])
    time = torch.arange(STEPS, device=scenes.device) / STEPS
    signal = wobble(scenes, time, chance[:, 1, None])
    for name, motion in MOTIONS.items():
        chosen = (scenes.motion == FACTORS["motion"].index(name)).nonzero().squeeze(1)
        signal[chosen] += motion(time - 0.08 * chance[chosen, 2, None], chance[chosen, 3, None])
    grain = noise(scenes.key, len(CHANNELS) * STEPS, "imu noise").view(-1, len(CHANNELS), STEPS)
    return amplitude[:, None, None] * signal + 0.08 * grain


def wobble(scenes: Scenes, time: Float[Tensor, " t"], phase: Float[Tensor, "n 1"]) -> Float[Tensor, "n 6 t"]:
    """The shape's own rocking, around x and around y."""
    table = torch.tensor(list(WOBBLE.values()), device=scenes.device)
    rate, roundness = table[scenes.shape].T.unsqueeze(2)  # (n, 1) each
    turn = 2 * torch.pi * (rate * time + phase)
    return channels(rotation_x=0.7 * torch.sin(turn), rotation_y=0.7 * roundness * torch.cos(turn))


def slide(time: Float[Tensor, "n t"], phase: Float[Tensor, "n 1"]) -> Float[Tensor, "n 6 t"]:
    """A push along x, then friction until rest."""
    push = 2 * torch.exp(-(((time - 0.15) / 0.07) ** 2))
    friction = 0.6 * torch.sigmoid(60 * (time - 0.3)) * (time < 0.85)
    return channels(acceleration_x=push - friction)


def spin(time: Float[Tensor, "n t"], phase: Float[Tensor, "n 1"]) -> Float[Tensor, "n 6 t"]:
    """A steady turn around z, which the other axes feel as a circling pull."""
    turn = 2 * torch.pi * (3 * time + phase)
    return channels(acceleration_x=torch.sin(turn), acceleration_y=torch.cos(turn), rotation_z=torch.ones_like(turn))


def bounce(time: Float[Tensor, "n t"], phase: Float[Tensor, "n 1"]) -> Float[Tensor, "n 6 t"]:
    """Impacts along z, ever faster and weaker, and free fall between them."""
    hits = sum(force * torch.exp(-(((time - start) / 0.02) ** 2)) for start, force in IMPACTS.items())
    return channels(acceleration_z=hits - 0.4)


def channels(**measured: Float[Tensor, "n t"]) -> Float[Tensor, "n 6 t"]:
    """All six channels in their order, those that are not given at rest."""
    rest = torch.zeros_like(next(iter(measured.values())))
    return torch.stack([measured.get(name.replace(" ", "_"), rest) for name in CHANNELS], dim=1)


MOTIONS = {"slide": slide, "spin": spin, "bounce": bounce}
