"""Chapter 11's claims: agreement by hand, binding follows its seed, and what a short run measures."""

import pytest
import torch

from embedcourse.checkpoints import load_hub
from embedcourse.claims.ch11_imagebind import Perceived, agreement, bind
from embedcourse.models.imagebind import ImageBind
from embedcourse.world import sample


def test_agreement_is_asked_between_the_two_senses_and_on_the_factors_that_are_named():
    """Embeddings made by hand: audio is one-hot in motion, the sensor too, and neither knows size."""
    scenes, keys = sample(60, seed=4), sample(80, seed=5)
    model = ImageBind({})

    def perceived(scenes):
        motion = torch.nn.functional.one_hot(scenes.labels("motion"), 4).float()
        return Perceived(model, scenes, {"audio": motion, "imu": motion})

    parts = perceived(scenes), perceived(keys)
    assert agreement(*parts, ("audio", "imu"), ["motion"]) == 1
    first = {motion: (keys.labels("motion") == motion).nonzero()[0, 0] for motion in range(4)}  # of equals the first
    sizes = torch.stack([keys.labels("size")[first[int(motion)]] for motion in scenes.labels("motion")])
    expected = (sizes == scenes.labels("size")).double().mean().item()
    assert agreement(*parts, ("audio", "imu")) == pytest.approx(expected)


def test_binding_is_decided_by_its_seed():
    hub, scenes = load_hub(), sample(64, seed=6)
    first, again, other = (bind(hub, scenes, ["imu"], steps=2, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(x, again[name]) for name, x in first.items())
    learned = [name for name in first if "imu" in name and first[name].ndim > 1]
    assert learned
    assert not any(torch.equal(first[name], other[name]) for name in learned)


def test_a_short_run_measures_shares(short_run):
    measured = dict(short_run("imagebind"))
    assert all(0 <= number <= 1 for number in measured.values())
    pairs = [key for key in measured if key.endswith(": emergent")]
    assert len(pairs) == 20  # five senses beside pictures, each to the four others: all share a factor
    assert all(key.replace("emergent", how) in measured for key in pairs for how in ("chance", "directly trained"))
    assert measured["audio -> imu: chance"] == pytest.approx(1 / 12, abs=0.06)
