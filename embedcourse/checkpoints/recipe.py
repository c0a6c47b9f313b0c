"""How weights are made: a recipe as code, and the one way to run it and to write what comes out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from embedcourse.checkpoints.card import Card
from embedcourse.checkpoints.weights import SHIPPED
from embedcourse.course import write_whole

__all__ = ["Recipe", "make"]


@dataclass(frozen=True)
class Recipe:
    """All that it takes to make weights again: the same numbers on the same processor, torch and number of threads."""

    name: str
    #: What the weights are for, and what they are trained on, each in a sentence, for the card.
    purpose: str
    data: str
    steps: int
    #: So few steps that a test can repeat them.
    small_steps: int
    #: Makes the untrained model; called with torch's generator seeded.
    build: Callable[[], nn.Module]
    #: Trains the model in place: `train(model, steps, seed)`.
    train: Callable[[nn.Module, int, int], object]
    #: Says how good the model is, in numbers by name.
    measure: Callable[[nn.Module], dict[str, float]]
    seed: int = 0

    @property
    def command(self) -> str:
        """What to type to make the weights."""
        return f"embedcourse checkpoint make {self.name}"

    def run(self, steps: int) -> tuple[nn.Module, dict[str, float]]:
        """A model trained for so many steps, and how good it is. Raises: ValueError for less than one step."""
        if steps < 1:
            raise ValueError(f"steps: expected at least 1, got {steps}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self.build()
        self.train(model, steps, self.seed)
        return model, self.measure(model)


def make(recipe: Recipe, folder: Path = SHIPPED, *, steps: int | None = None, replace: bool = False) -> Card:
    """Train what the recipe says and write NAME.safetensors and its card NAME.json, each whole or not at all.

    steps: other than the recipe's, only into another folder than that of the course. replace: write over weights that
    are there.

    Raises: FileExistsError where they are there and `replace` is not said; ValueError for steps below 1, or for other
    steps into the course's folder.
    """
    file, card_file = folder / f"{recipe.name}.safetensors", folder / f"{recipe.name}.json"
    steps = recipe.steps if steps is None else steps
    if steps != recipe.steps and folder.resolve() == SHIPPED:
        raise ValueError(
            f"steps: the course's {recipe.name} has {recipe.steps}; for {steps} name another folder with --out"
        )
    if not replace and (file.exists() or card_file.exists()):
        raise FileExistsError(f"{file} is there already; name another folder with --out, or say --replace")
    model, metrics = recipe.run(steps)
    small_metrics = metrics if steps == recipe.small_steps else recipe.run(recipe.small_steps)[1]
    data = as_safetensors(model)
    card = Card(
        name=recipe.name,
        purpose=recipe.purpose,
        command=recipe.command,
        data=recipe.data,
        seed=recipe.seed,
        steps=steps,
        metrics=rounded(metrics),
        small_steps=recipe.small_steps,
        small_metrics=rounded(small_metrics),
        torch=torch.__version__.partition("+")[0],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    write_whole(file, data)
    card.write(card_file)
    return card


def as_safetensors(model: nn.Module) -> bytes:
    """All weights and buffers of a model. The format knows no strides: each tensor is laid out row after row."""
    return safetensors.torch.save({name: x.cpu().contiguous() for name, x in model.state_dict().items()})


def rounded(metrics: dict[str, float]) -> dict[str, float]:
    """The numbers as a card shows them."""
    return {name: round(number, 4) for name, number in metrics.items()}
