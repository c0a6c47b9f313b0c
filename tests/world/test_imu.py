"""Shape is the rate of the wobble, size its amplitude, motion what the axes feel."""

import pytest
import torch

from embedcourse.world.factors import FACTORS, sample
from embedcourse.world.imu import AMPLITUDE, CHANNELS, IMPACTS, STEPS, WOBBLE, render_imu

X, Z, TURN_X, TURN_Z = (
    CHANNELS.index(f"{what}") for what in ("acceleration x", "acceleration z", "rotation x", "rotation z")
)


@pytest.mark.parametrize("shape", FACTORS["shape"])
def test_shape_is_the_rate_of_the_wobble(shape, device):
    signal = render_imu(sample(40, seed=0, device=device).change(shape, "still", "large")).cpu()
    spectrum = torch.fft.rfft(signal, dim=2).abs()
    assert (spectrum[:, TURN_X].argmax(1) == WOBBLE[shape][0]).all()
    ratio = spectrum[:, TURN_X + 1].amax(1) / spectrum[:, TURN_X].amax(1)
    assert ratio.mean().item() == pytest.approx(WOBBLE[shape][1], abs=0.05)


def test_size_is_amplitude():
    for size, amplitude in zip(FACTORS["size"], AMPLITUDE, strict=True):
        signal = render_imu(sample(200, seed=0).change("sphere", "still", size))
        spread = signal[:, TURN_X].std(1).mean().item()
        assert spread == pytest.approx(amplitude * 0.7 / 2**0.5, rel=0.05)  # of a sine of amplitude .7


def test_what_spins_turns_around_z_and_nothing_else_does():
    for motion in FACTORS["motion"]:
        turn = render_imu(sample(100, seed=0).change(motion, "medium"))[:, TURN_Z].mean()
        assert turn.item() == pytest.approx(0.85 if motion == "spin" else 0, abs=0.05)


def test_what_bounces_feels_its_first_impact_most():
    signal = render_imu(sample(100, seed=0).change("bounce", "large"))[:, Z]
    first = signal.argmax(1) / STEPS
    start = min(IMPACTS)
    assert ((first > start - 0.03) & (first < start + 0.11)).all()  # a scene may begin up to .08 s late


def test_what_slides_is_pushed_and_then_slows_down():
    signal = render_imu(sample(100, seed=0).change("slide", "large"))[:, X]
    assert (signal.argmax(1) < 0.3 * STEPS).all()
    assert (signal[:, STEPS // 2 : 3 * STEPS // 4].mean(1) < -0.3).all()
