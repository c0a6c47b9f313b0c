"""Making weights: the right numbers, a card that fits, nothing written over unasked, nothing half written."""

import hashlib

import pytest
import safetensors.torch
import torch
from torch import nn

from embedcourse.checkpoints.card import Card
from embedcourse.checkpoints.recipe import as_safetensors, make
from embedcourse.checkpoints.weights import SHIPPED


def test_a_run_starts_from_the_seed_and_leaves_torchs_generator_alone(recipe):
    torch.manual_seed(4)
    expected = nn.Linear(3, 2)
    state = torch.get_rng_state()
    model, metrics = recipe.run(2)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(model.weight, expected.weight + 2)
    torch.testing.assert_close(model.bias, expected.bias + 4)
    assert metrics == {"mean": model.weight.mean().item()}


def test_what_is_made_is_what_the_card_says(recipe, tmp_path):
    card = make(recipe, tmp_path / "new")
    data = (tmp_path / "new" / "thing.safetensors").read_bytes()
    assert Card.read(tmp_path / "new" / "thing.json") == card
    assert (card.sha256, card.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (card.steps, card.small_steps, card.seed, card.parameters) == (5, 2, 4, 8)
    assert card.metrics["mean"] - card.small_metrics["mean"] == pytest.approx(3, abs=1e-3)
    assert torch.__version__.startswith(card.torch)
    torch.testing.assert_close(safetensors.torch.load(data), dict(recipe.run(5)[0].state_dict()))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["thing.json", "thing.safetensors"]


def test_nothing_is_written_over_unasked_and_before_any_training(recipe, tmp_path):
    for name in ("thing.safetensors", "thing.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(FileExistsError, match=r"thing\.safetensors is there already"):
            make(recipe, tmp_path)
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    (tmp_path / "thing.safetensors").write_text("mine")
    assert make(recipe, tmp_path, steps=1, replace=True).steps == 1


def test_the_courses_own_folder_takes_the_recipes_steps_only(recipe):
    with pytest.raises(ValueError, match="steps: the course's thing has 5; for 4 name another folder with --out"):
        make(recipe, steps=4, replace=True)
    assert not (SHIPPED / "thing.safetensors").exists()


def test_less_than_a_step_is_refused(recipe, tmp_path):
    with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
        make(recipe, tmp_path, steps=0)
    assert list(tmp_path.iterdir()) == []


def test_strides_of_any_kind_are_kept_out_of_the_file():
    model = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    assert not model.weight.is_contiguous()
    torch.testing.assert_close(safetensors.torch.load(as_safetensors(model))["weight"], model.weight.detach())
