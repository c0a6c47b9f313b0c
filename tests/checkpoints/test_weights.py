"""Weights are loaded when they are what their card says; else the message names the file and what makes it again."""

import dataclasses
import re

import pytest
import torch

from embedcourse.checkpoints import RECIPES
from embedcourse.checkpoints.card import Card
from embedcourse.checkpoints.recipe import make
from embedcourse.checkpoints.weights import SHIPPED, load_weights, verify

AGAIN = "`embedcourse checkpoint make thing --replace` makes it again"


def test_what_was_made_is_loaded(recipe, tmp_path):
    card = make(recipe, tmp_path)
    assert verify("thing", tmp_path) == card
    torch.testing.assert_close(load_weights("thing", tmp_path), dict(recipe.run(5)[0].state_dict()))


@pytest.mark.parametrize("look", [load_weights, verify])
@pytest.mark.parametrize("missing", ["thing.safetensors", "thing.json"])
def test_a_missing_file_is_named_with_its_command(look, missing, recipe, tmp_path):
    make(recipe, tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path / missing} is missing; {AGAIN}")):
        look("thing", tmp_path)


@pytest.mark.parametrize("look", [load_weights, verify])
@pytest.mark.parametrize("damage", ["one bit", "cut", "empty"])
def test_damaged_weights_are_refused(look, damage, recipe, tmp_path):
    make(recipe, tmp_path)
    file = tmp_path / "thing.safetensors"
    data = file.read_bytes()
    file.write_bytes({"one bit": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:-1], "empty": b""}[damage])
    message = f"{file} is damaged, its SHA-256 is not the one on its card; {AGAIN}"
    with pytest.raises(ValueError, match=re.escape(message)):
        look("thing", tmp_path)


def test_a_damaged_card_is_refused(recipe, tmp_path):
    card = make(recipe, tmp_path)
    dataclasses.replace(card, sha256="0" * 64).write(tmp_path / "thing.json")
    with pytest.raises(ValueError, match="is damaged"):
        load_weights("thing", tmp_path)
    (tmp_path / "thing.json").write_text("{}")
    with pytest.raises(ValueError, match=r"thing\.json is no card.*makes it again"):
        load_weights("thing", tmp_path)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'hub' is no checkpoint of this course; they are: .*imagebind_hub"):
        load_weights("hub")


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_weights_are_as_their_card_and_their_recipe_say(name):
    card, recipe = verify(name), RECIPES[name]
    assert (SHIPPED / f"{name}.safetensors").stat().st_size == card.bytes < 3_000_000
    assert (card.name, card.steps, card.small_steps) == (name, recipe.steps, recipe.small_steps)
    assert (card.command, card.purpose, card.data, card.seed) == (
        recipe.command,
        recipe.purpose,
        recipe.data,
        recipe.seed,
    )


def test_every_shipped_file_has_a_recipe():
    shipped = {path.stem for pattern in ("*.safetensors", "*.json") for path in SHIPPED.glob(pattern)}
    assert shipped == set(RECIPES)
    assert all(isinstance(verify(name), Card) for name in shipped)
