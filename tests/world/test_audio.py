"""Sounds have the pitch, the decay and the rhythm that their scene asks for; log-mel is what others compute."""

import pytest
import torch
from transformers.audio_utils import mel_filter_bank

from embedcourse.world.audio import (
    BANDS,
    BLOWS,
    FRAME,
    HOP,
    LATEST,
    PITCH,
    RATE,
    SAMPLES,
    TIMBRES,
    log_mel,
    mel_filters,
    render_audio,
    waveform,
)
from embedcourse.world.factors import FACTORS, sample


def test_mel_filters_are_those_of_transformers():
    expected = mel_filter_bank(FRAME // 2 + 1, BANDS, 0, RATE / 2, RATE, norm=None, mel_scale="htk")
    torch.testing.assert_close(mel_filters(), torch.from_numpy(expected).float(), atol=1e-5, rtol=0)


def test_log_mel_against_torchs_spectrogram(device, generator):
    wave = torch.randn(3, SAMPLES, generator=generator).to(device)
    padded = torch.nn.functional.pad(wave, (HOP // 2, HOP // 2))
    window = torch.hann_window(FRAME, device=device)
    spectrum = torch.stft(padded, FRAME, HOP, window=window, center=False, return_complex=True)
    power = torch.einsum("nft,fb->nbt", spectrum.abs() ** 2, mel_filters().to(device))
    expected = ((power + 0.01).log10() + 2) / 5
    torch.testing.assert_close(log_mel(wave)[:, 0], expected, atol=1e-4, rtol=1e-4)


def test_a_tone_sounds_in_the_band_of_its_frequency():
    time = torch.arange(SAMPLES) / RATE
    for band in (5, 15, 30):
        frequency = mel_filters()[:, band].argmax() * RATE / FRAME
        heard = log_mel(torch.sin(2 * torch.pi * frequency * time)[None])[0, 0, :, 16]
        assert heard.argmax() == band


def test_silence_is_0():
    assert log_mel(torch.zeros(1, SAMPLES)).abs().max() < 1e-6


@pytest.mark.parametrize("size", FACTORS["size"])
def test_size_is_pitch(size, device):
    sound = waveform(sample(50, seed=0, device=device).change("still", "metal", size)).cpu()
    spectrum = torch.fft.rfft(sound, n=4 * SAMPLES).abs()
    loudest = spectrum.argmax(1) * RATE / (4 * SAMPLES)
    expected = PITCH[FACTORS["size"].index(size)]
    assert (loudest / expected - 1).abs().max() < 0.08


@pytest.mark.parametrize("material", FACTORS["material"])
def test_material_is_decay(material):
    sound = waveform(sample(100, seed=0).change("still", "large", material)).abs()
    energy = [sound[:, LATEST + start : LATEST + start + 400].square().mean().sqrt() for start in (0, 800)]
    decay = torch.log((energy[0] - 0.01) / (energy[1] - 0.0099).clamp(min=1e-5)) * RATE / 800
    assert decay > 0.7 * TIMBRES[material][2]


@pytest.mark.parametrize("motion", ["still", "spin", "bounce"])
def test_motion_is_rhythm(motion):
    sound = waveform(sample(50, seed=0).change("small", "rubber", motion)).abs()
    loudness = sound.unfold(1, 80, 40).amax(2)  # every 5 ms
    rises = ((loudness[:, 1:] > 0.12) & (loudness[:, 1:] > 1.6 * loudness[:, :-1])).int()
    blows = (rises.diff(dim=1, prepend=torch.zeros(50, 1)) == 1).sum(1)
    expected = sum(start < (SAMPLES - LATEST) / RATE for start in BLOWS[motion])
    assert (blows - expected).abs().float().mean() < 1


def test_what_slides_never_falls_silent():
    sound = waveform(sample(50, seed=0).change("rubber", "slide"))
    assert sound[:, 1000:].abs().unfold(1, 400, 400).amax(2).min() > 0.1


def test_the_picture_is_that_of_the_sound():
    scenes = sample(4, seed=0)
    assert torch.equal(render_audio(scenes), log_mel(waveform(scenes)))


@pytest.mark.usefixtures("as_a_user")
def test_a_sound_shorter_than_a_frame_is_refused():
    with pytest.raises(ValueError, match=r"wave: expected at least 256 samples, got shape \(1, 100\)"):
        log_mel(torch.zeros(1, 100))
