"""Every recipe by the name of the weights that it makes."""

from embedcourse.checkpoints import find, imagebind_hub, palm_e
from embedcourse.checkpoints.recipe import Recipe

__all__ = ["RECIPES", "find_recipe"]

#: The recipes, in the order of the chapters that use what they make.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (*imagebind_hub.RECIPES, *palm_e.RECIPES, *find.RECIPES)
}


def find_recipe(name: str) -> Recipe:
    """The recipe of the weights of that name. Raises: ValueError for an unknown one, listing those that are known."""
    if name not in RECIPES:
        raise ValueError(f"name: {name!r} is no checkpoint of this course; they are: {', '.join(RECIPES)}")
    return RECIPES[name]
