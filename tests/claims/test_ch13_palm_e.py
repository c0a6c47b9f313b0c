"""Chapter 13's claims: what of a model may learn, and what a short run measures."""

import pytest
import torch

from embedcourse.checkpoints.palm_e import load_language_model, load_palm_e
from embedcourse.claims.ch13_palm_e import train, with_new_map


def test_a_new_map_is_decided_by_its_seed_and_alone_may_learn():
    first, again, other = (with_new_map(seed) for seed in (0, 0, 1))
    assert [name for name, p in first.named_parameters() if p.requires_grad] == [
        "encoders.picture.affine.weight",
        "encoders.picture.affine.bias",
    ]
    affine, shipped = "affine.weight", load_palm_e().encoders["picture"].state_dict()
    eyes, same, different = (model.encoders["picture"].state_dict() for model in (first, again, other))
    assert torch.equal(eyes[affine], same[affine])
    assert not torch.equal(eyes[affine], different[affine])
    assert all(torch.equal(x, shipped[name]) for name, x in eyes.items() if not name.startswith("affine"))
    with pytest.raises(ValueError, match="sense: expected 'picture' or 'blind', got 'slots'"):
        with_new_map(sense="slots")


def test_training_moves_the_map_and_nothing_else():
    model = with_new_map()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    history = train(model, steps=2)
    changed = {name for name, x in model.state_dict().items() if not torch.equal(x, before[name])}
    assert changed == {"encoders.picture.affine.weight", "encoders.picture.affine.bias"}
    assert len(history.loss) == 2
    words = load_language_model().state_dict()
    assert all(torch.equal(x, words[name]) for name, x in model.language_model.state_dict().items())


def test_a_short_run_measures_shares(short_run):
    measured = dict(short_run("palm_e"))
    assert measured.pop("CPU seconds of training") > 0
    assert all(0 <= number <= 1 for number in measured.values())
    assert measured["language kept, frozen"] == measured["plans, state in words"]
