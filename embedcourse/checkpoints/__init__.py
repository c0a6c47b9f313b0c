"""Small weights that come with the course, a card for each that says what they are, and the recipes that make them."""

from embedcourse.checkpoints.card import Card
from embedcourse.checkpoints.find import load_find_features
from embedcourse.checkpoints.imagebind_hub import hub_pictures, load_hub
from embedcourse.checkpoints.palm_e import load_language_model, load_palm_e
from embedcourse.checkpoints.recipe import Recipe, make
from embedcourse.checkpoints.registry import RECIPES, find_recipe
from embedcourse.checkpoints.weights import SHIPPED, load_weights, verify

__all__ = [
    "RECIPES",
    "SHIPPED",
    "Card",
    "Recipe",
    "find_recipe",
    "hub_pictures",
    "load_find_features",
    "load_hub",
    "load_language_model",
    "load_palm_e",
    "load_weights",
    "make",
    "verify",
]
