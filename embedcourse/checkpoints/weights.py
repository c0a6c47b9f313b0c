"""Weights from a file, after a look at whether it is the one that its card describes."""

import hashlib
from pathlib import Path

import safetensors.torch
from torch import Tensor

from embedcourse.checkpoints.card import Card

__all__ = ["SHIPPED", "load_weights", "verify"]

#: Where the weights lie that come with the course.
SHIPPED = Path(__file__).resolve().parent


def load_weights(name: str, folder: Path = SHIPPED) -> dict[str, Tensor]:
    """The weights of that name, for `model.load_state_dict`; their SHA-256 is the one on their card.

    Raises: FileNotFoundError where the file or its card is missing, ValueError for an unknown name or where one of the
    two is damaged; the message names the file, and the command that makes it again.
    """
    return safetensors.torch.load(verified(name, folder)[1])


def verify(name: str, folder: Path = SHIPPED) -> Card:
    """The card of the weights of that name, which are as it says. Raises: as `load_weights`."""
    return verified(name, folder)[0]


def verified(name: str, folder: Path) -> tuple[Card, bytes]:
    """The card and the very bytes that were compared with it."""
    file = folder / f"{name}.safetensors"
    try:
        card, data = Card.read(file.with_suffix(".json")), file.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error.filename} is missing; {make_again(name)}") from error
    except ValueError as error:
        raise ValueError(f"{error}; {make_again(name)}") from error
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ValueError(f"{file} is damaged, its SHA-256 is not the one on its card; {make_again(name)}")
    return card, data


def make_again(name: str) -> str:
    """What to do about weights that cannot be loaded."""
    from embedcourse.checkpoints.registry import find_recipe  # here, as a recipe may itself start from weights

    return f"`{find_recipe(name).command} --replace` makes it again"
