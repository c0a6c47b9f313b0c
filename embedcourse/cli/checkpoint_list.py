"""The weights that come with the course: which are there and as their cards say, and how to make one again."""

from pathlib import Path
from typing import TYPE_CHECKING

from embedcourse.cli.doctor import RESTORE, Finding

if TYPE_CHECKING:
    from embedcourse.checkpoints import Card

__all__ = ["examine", "make"]


def examine() -> list[Finding]:
    """Every checkpoint that has a recipe, against its card."""
    from embedcourse.checkpoints import RECIPES

    return [finding_of(name) for name in RECIPES]


def finding_of(name: str) -> Finding:
    """Whether the weights of that name are there and as their card says, and how good they are."""
    from embedcourse.checkpoints import verify

    try:
        card = verify(name)
    except (OSError, ValueError) as error:
        return Finding(name, False, str(error), f"or {RESTORE}")
    return Finding(name, True, described(card))


def make(name: str, out: Path | None, steps: int | None, replace: bool) -> str:
    """Make weights by their recipe and say where they are and how good.

    Raises: ValueError for an unknown name; FileExistsError where weights are in the way, ValueError for other steps
    than the recipe's in the course's own folder, OSError where the folder cannot be written.
    """
    from embedcourse.checkpoints import SHIPPED, find_recipe
    from embedcourse.checkpoints import make as make_weights

    folder = SHIPPED if out is None else out
    card = make_weights(find_recipe(name), folder, steps=steps, replace=replace)
    return f"{folder / name}.safetensors: {described(card)}"


def described(card: "Card") -> str:
    """A card in a line."""
    metrics = ", ".join(f"{name} {number:.2f}" for name, number in card.metrics.items())
    return f"{card.bytes / 1e6:.1f} MB, {card.steps} steps; {metrics}"
