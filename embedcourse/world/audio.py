"""Audio: half a second of the object being struck. It knows material (timbre), size (pitch) and motion (rhythm)."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from embedcourse.world.factors import Scenes
from embedcourse.world.noise import noise, uniform

__all__ = ["RATE", "SAMPLES", "log_mel", "mel_filters", "render_audio", "waveform"]

#: Samples a second.
RATE = 8000
#: Samples a sound: about half a second.
SAMPLES = 4096
#: Frames of 256 samples, one every 128.
FRAME, HOP = 256, 128
#: Bands of the mel scale.
BANDS = 32

#: The lowest partial of a small, a medium and a large object, in hertz.
PITCH = (640.0, 375.0, 220.0)
#: Each material's partials: how many times the lowest, and how loud; then its decay in 1 / seconds.
TIMBRES = {
    "metal": ((1.0, 2.76, 5.40), (0.6, 0.5, 0.4), 8.0),
    "wood": ((1.0, 2.00, 3.95), (0.8, 0.4, 0.1), 30.0),
    "glass": ((1.0, 2.32, 4.25), (0.2, 0.4, 0.8), 14.0),
    "rubber": ((1.0, 1.50, 2.00), (1.0, 0.2, 0.0), 55.0),
}
#: When the object is struck in each motion, in seconds, and how hard. What slides is rubbed all the time.
BLOWS = {
    "still": {0.0: 1.0},
    "slide": {},
    "spin": {0.075 * beat: 0.8 for beat in range(7)},
    "bounce": {0.0: 1.0, 0.18: 0.8, 0.3: 0.6, 0.38: 0.45, 0.43: 0.35, 0.46: 0.3},
}
#: The first blow comes this many samples after the start at the latest.
LATEST = 400


def render_audio(scenes: Scenes) -> Float[Tensor, "n 1 32 32"]:
    """The sounds as pictures, low tones above: `log_mel(waveform(scenes))`.

    Raises: nothing.
    Source: as `waveform` and `log_mel`.
    """
    return log_mel(waveform(scenes))


def waveform(scenes: Scenes) -> Float[Tensor, "n 4096"]:
    """The sounds to listen to, at `RATE` samples a second, with values around ±1.

    Raises: nothing.
    Source: this course; partials that decay, as modal synthesis makes them.
    """
    pitch, delay, loudness = uniform(scenes.key, 3, "audio").unbind(1)
    since, force = struck(scenes, (LATEST * delay).long())
    ratios, weights, decay = (table.to(scenes.device)[scenes.material] for table in timbres())
    base = torch.tensor(PITCH, device=scenes.device)[scenes.size] * (0.93 + 0.14 * pitch)
    phase = (2 * torch.pi * base)[:, None] * torch.arange(SAMPLES, device=scenes.device) / RATE
    tone = sum(weights[:, k, None] * torch.sin(phase * ratios[:, k, None]) for k in range(ratios.shape[1]))
    hiss = 0.01 * noise(scenes.key, SAMPLES, "hiss")
    return (0.7 + 0.3 * loudness)[:, None] * force * torch.exp(-decay[:, None] * since) * tone + hiss


@cache
def timbres() -> tuple[Float[Tensor, "m k"], Float[Tensor, "m k"], Float[Tensor, " m"]]:
    """Ratios, weights and decay of every material."""
    return tuple(map(torch.tensor, zip(*TIMBRES.values(), strict=True)))


def struck(scenes: Scenes, delay: Int[Tensor, " n"]) -> tuple[Float[Tensor, "n t"], Float[Tensor, "n t"]]:
    """Seconds since the last blow, and its force, at each sample of each scene."""
    since, force = (table.to(scenes.device) for table in rhythms())
    window = LATEST - delay[:, None] + torch.arange(SAMPLES, device=scenes.device)  # (n, t)
    place = scenes.motion[:, None] * since.shape[1] + window
    return since.flatten()[place], force.flatten()[place]


@cache
def rhythms() -> tuple[Float[Tensor, "m t"], Float[Tensor, "m t"]]:
    """Seconds since the last blow, and its force, for every motion, from `LATEST` samples before the first blow on."""
    time = torch.arange(-LATEST, SAMPLES) / RATE
    since, force = torch.zeros(len(BLOWS), len(time)), torch.zeros(len(BLOWS), len(time))
    for motion, blows in enumerate(BLOWS.values()):
        for start, strength in blows.items():
            after = time >= start
            since[motion, after], force[motion, after] = time[after] - start, strength
    rubbed = list(BLOWS).index("slide")
    force[rubbed] = 0.45 * (1 + 0.6 * torch.sin(2 * torch.pi * 23 * time)) * torch.sigmoid(80 * (time - 0.03))
    return since, force


def log_mel(wave: Float[Tensor, "n t"]) -> Float[Tensor, "n 1 32 frames"]:
    """Loudness of `BANDS` mel bands over time: log10 of the power, from 0 for silence to about 1 for loud tones.

    Raises: ValueError for waves shorter than a frame.
    Source: Davis and Mermelstein (1980), "Comparison of parametric representations for monosyllabic word
    recognition", up to the logarithm.
    """
    if wave.shape[1] < FRAME:
        raise ValueError(f"wave: expected at least {FRAME} samples, got shape {tuple(wave.shape)}")
    frames = F.pad(wave, (HOP // 2, HOP // 2)).unfold(1, FRAME, HOP)  # (n, frames, 256)
    spectrum = torch.fft.rfft(frames * torch.hann_window(FRAME, device=wave.device))
    power = (spectrum.real**2 + spectrum.imag**2) @ mel_filters().to(wave.device)  # (n, frames, 32)
    return ((power + 0.01).log10().add_(2) / 5).transpose(1, 2).unsqueeze(1)


@cache
def mel_filters() -> Float[Tensor, "frequencies 32"]:
    """How much of each frequency of a frame belongs to each mel band: triangles of height 1.

    Raises: nothing.
    Source: O'Shaughnessy (1987), "Speech Communication": mel = 2595 log10(1 + f / 700).
    """
    top = 2595 * math.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, top, BANDS + 2, dtype=torch.float64) / 2595) - 1)
    frequencies = torch.linspace(0, RATE / 2, FRAME // 2 + 1, dtype=torch.float64)[:, None]
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    return torch.minimum(rising, falling).clamp(min=0).float()
