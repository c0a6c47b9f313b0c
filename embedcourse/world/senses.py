"""Every sense by its name, and scenes as that sense has them."""

from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor

from embedcourse.world.audio import BANDS, HOP, SAMPLES, render_audio
from embedcourse.world.depth import render_depth
from embedcourse.world.factors import Scenes
from embedcourse.world.image import PIXELS, render_image
from embedcourse.world.imu import CHANNELS, STEPS, render_imu
from embedcourse.world.text import LENGTH, render_text
from embedcourse.world.thermal import render_thermal

__all__ = ["FORMS", "SENSES", "render"]

#: What renders each sense.
SENSES: dict[str, Callable[[Scenes], Tensor]] = {
    "image": render_image,
    "depth": render_depth,
    "thermal": render_thermal,
    "audio": render_audio,
    "imu": render_imu,
    "text": render_text,
}
#: The form of one scene in each sense: pictures, audio as log-mel, six channels over time, tokens.
FORMS = {
    "image": (3, PIXELS, PIXELS),
    "depth": (1, PIXELS, PIXELS),
    "thermal": (1, PIXELS, PIXELS),
    "audio": (1, BANDS, SAMPLES // HOP),
    "imu": (len(CHANNELS), STEPS),
    "text": (LENGTH,),
}


def render(scenes: Scenes, sense: str, *, chunk_size: int = 128) -> Shaped[Tensor, "n ..."]:
    """What a sense makes of the scenes, of the form in `FORMS`; memory beyond that result does not grow with n.

    Raises: ValueError for an unknown sense or a chunk of less than one scene.
    Source: this course.
    """
    if sense not in SENSES:
        raise ValueError(f"sense: expected one of {', '.join(SENSES)}; got {sense!r}")
    if chunk_size < 1:
        raise ValueError(f"chunk_size: expected at least 1, got {chunk_size}")
    dtype = torch.int64 if sense == "text" else torch.float32
    result = torch.empty(len(scenes), *FORMS[sense], dtype=dtype, device=scenes.device)
    for start in range(0, len(scenes), chunk_size):
        result[start : start + chunk_size] = SENSES[sense](scenes[start : start + chunk_size])
    return result
