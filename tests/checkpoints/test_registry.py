"""Recipes are found by the name of what they make."""

import pytest

from embedcourse.checkpoints.registry import RECIPES, find_recipe


def test_every_recipe_is_found_by_its_own_name():
    assert {"imagebind_hub", "imagebind_hub_motion_blind"} <= RECIPES.keys()
    assert all(find_recipe(name) is recipe and recipe.name == name for name, recipe in RECIPES.items())


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"name: 'hub' is no checkpoint of this course; they are: .*imagebind_hub"):
        find_recipe("hub")
