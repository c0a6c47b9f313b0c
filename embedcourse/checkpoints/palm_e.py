"""PaLM-E of chapter 13: a language model that only ever read text, and a picture encoder trained into it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from embedcourse.checkpoints.recipe import Recipe
from embedcourse.checkpoints.weights import load_weights
from embedcourse.models.palm_e import PaLME, small_language_model
from embedcourse.models.palm_e_blocks import (
    blocks_palm_e,
    camera,
    reached,
    sense_loss,
    success,
    text_loss,
    training_tables,
)
from embedcourse.training import Objective, fit
from embedcourse.world.blocks.examples import TASKS, Example, sample_conversations, sample_examples, sample_unguessable
from embedcourse.world.blocks.language import VOCABULARY
from embedcourse.world.blocks.loops import closed_loop, stranger

__all__ = ["RECIPES", "load_language_model", "load_palm_e", "measured_examples"]

#: What a conversation about one state is made of: of everything, and once the rest is known, mostly of plans.
CONVERSATION = ("plan", "command", "question", "question")
PLANNING = ("plan", "plan", "plan", "command", "question")
#: Goals of conversations, equally many of each kind: any; those two or more moves away that do not give their plan
#: away; those that the gripper is on the way to, some of which it has reached.
ANY, HIDDEN, PURSUED = {}, {"least_moves": 2, "given_away": False}, {"pursued": True}


@dataclass(frozen=True)
class Round:
    """Steps with a rise and fall of the rate of their own, on new conversations."""

    steps: int
    rate: float
    seed: int
    turns: tuple[str, ...] = CONVERSATION
    goals: tuple[dict, ...] = (ANY, HIDDEN)
    batch: int = 48


#: How the two learn. Seeds that nothing else here uses.
TEXT_ROUNDS = (
    Round(5000, 3e-3, 13_000_001),
    Round(3000, 2e-3, 13_000_008),
    Round(2000, 2e-3, 13_000_015, PLANNING),
    Round(2000, 2e-3, 13_000_029, PLANNING, (ANY, HIDDEN, PURSUED)),
)
SIGHT_ROUNDS = (Round(4800, 4e-3, 13_000_022, goals=(ANY, HIDDEN, PURSUED), batch=32),)
#: Conversations in words for each round and with a picture, fewer for a short run; examples of a task to measure on.
IN_WORDS, WITH_PICTURE, MEASURED = 96_000, 153_600, 300
MEASURED_SEED = 13_000_003


def load_language_model() -> nn.Module:
    """The shipped language model of the blocks world, in evaluation mode: it has read text alone.

    Raises: FileNotFoundError and ValueError as `load_weights`.
    """
    model = untrained_language_model()
    model.load_state_dict(load_weights("palm_e_language_model"))
    return model.eval()


#: The tables of words at the two ends of the language model: one and the same.
INPUT, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


def untrained_language_model() -> nn.Module:
    """A language model that stores its table of words once: safetensors takes nothing twice."""
    model = small_language_model(len(VOCABULARY))
    model.register_state_dict_post_hook(without_output)
    model.register_load_state_dict_pre_hook(with_output)
    return model


def without_output(model: nn.Module, weights: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Leave out the table that is there already."""
    del weights[prefix + OUTPUT]


def with_output(model: nn.Module, weights: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Put it in again."""
    weights[prefix + OUTPUT] = weights[prefix + INPUT]


def load_palm_e() -> PaLME:
    """The shipped language model, frozen, with the shipped picture encoder, in evaluation mode.

    Raises: FileNotFoundError and ValueError as `load_weights`.
    """
    model = blocks_palm_e(load_language_model(), "picture").freeze_language_model()
    model.encoders["picture"].load_state_dict(load_weights("palm_e_picture_encoder"))
    return model.eval()


def measured_examples() -> dict[str, list[Example]]:
    """What both are measured on: held-out arrangements; plans of two or more moves that nobody can guess.

    Raises: nothing.
    """
    asked = {task: sample_examples(task, MEASURED, seed=MEASURED_SEED, held_out=True) for task in TASKS}
    return asked | {"plan": sample_unguessable(MEASURED, seed=MEASURED_SEED)}


def train_on_text(language_model: nn.Module, steps: int, seed: int) -> None:
    """Train on conversations in which the state is in words."""
    train_in_rounds(blocks_palm_e(language_model), text_loss, TEXT_ROUNDS, IN_WORDS, None, steps, seed)


def train_in_rounds(
    model: PaLME, objective: Objective, rounds: Sequence[Round], most: int, sense: str | None, steps: int, seed: int
) -> None:
    """One round after the other, each on at most so many new conversations, the state given by a sense or in words."""
    for number, (one, share) in enumerate(shares(rounds, steps)):
        data = training_tables(conversations(one, min(most, share * one.batch)), sense)
        options = {"batch_size": one.batch, "lr": one.rate, "optimizer": "muon", "device": "cpu"}
        fit(model, objective, data, steps=share, seed=seed + 7 * number, **options)


def shares(rounds: Sequence[Round], steps: int) -> list[tuple[Round, int]]:
    """The rounds with the steps that each gets of so many in all, at least one."""
    whole = sum(one.steps for one in rounds)
    return [(one, max(steps * one.steps // whole, 1)) for one in rounds]


def conversations(one: Round, n: int) -> list[list[Example]]:
    """About n conversations of a round."""
    return [
        turns
        for part, goals in enumerate(one.goals)
        for turns in sample_conversations(one.turns, n // len(one.goals), seed=one.seed + part, **goals)
    ]


def measure_on_text(language_model: nn.Module) -> dict[str, float]:
    """How often answers about held-out arrangements in words are right."""
    model = blocks_palm_e(language_model)
    return {f"{task}, state in words": success(model, examples) for task, examples in measured_examples().items()}


def train_on_pictures(encoder: nn.Module, steps: int, seed: int) -> None:
    """Train into the frozen language model, on conversations in which the state is a picture."""
    objective = sense_loss("picture", camera)
    train_in_rounds(with_encoder(encoder), objective, SIGHT_ROUNDS, WITH_PICTURE, "picture", steps, seed)


def measure_on_pictures(encoder: nn.Module) -> dict[str, float]:
    """How often answers about pictures of held-out arrangements are right, and goals reached in a loop."""
    model, examples = with_encoder(encoder), measured_examples()
    return {
        **{f"{task}, state as a picture": success(model, own, "picture") for task, own in examples.items()},
        "goals reached though a block is moved": reached(closed_loop, model, examples["plan"], disturbance=stranger),
    }


def untrained_encoder() -> nn.Module:
    """A picture encoder for the shipped language model's width."""
    return blocks_palm_e(small_language_model(len(VOCABULARY)), "picture").encoders["picture"]


def with_encoder(encoder: nn.Module) -> PaLME:
    """The shipped language model, frozen, with this encoder."""
    model = blocks_palm_e(load_language_model(), "picture").freeze_language_model()
    model.encoders["picture"] = encoder
    return model


def told(rounds: Sequence[Round], n: int) -> str:
    """What the rounds train on, for a card."""
    seeds = ", ".join(str(one.seed) for one in rounds)
    rounds_each = f"in each of {len(rounds)} rounds (seeds {seeds})" if len(rounds) > 1 else f"(seed {seeds})"
    return f"{n} conversations of plan, command and questions {rounds_each}"


MEASURED_ON = (
    f"metrics on {MEASURED} examples of each about arrangements held out (seed {MEASURED_SEED}), plans of two or more "
    "moves that nobody can guess, carried out in the simulator"
)
RECIPES = (
    Recipe(
        "palm_e_language_model",
        "Chapter 13: a small language model of the blocks world that has read text alone.",
        f"{told(TEXT_ROUNDS, IN_WORDS)}, the state in words; {MEASURED_ON}",
        sum(one.steps for one in TEXT_ROUNDS),
        small_steps=20,
        build=untrained_language_model,
        train=train_on_text,
        measure=measure_on_text,
    ),
    Recipe(
        "palm_e_picture_encoder",
        "Chapter 13: pictures of the blocks world as tokens for that language model, which stays frozen.",
        f"{told(SIGHT_ROUNDS, WITH_PICTURE)}, the state as a picture; {MEASURED_ON}",
        sum(one.steps for one in SIGHT_ROUNDS),
        small_steps=20,
        build=untrained_encoder,
        train=train_on_pictures,
        measure=measure_on_pictures,
    ),
)
