"""Chapter 13: a language model that only ever read text plans from pictures, through an encoder trained into it.

The language model and the shipped encoder are those that come with the course; the seed decides what else is trained,
and what all is measured on: arrangements held out, and plans that nobody can guess from the instruction.
"""

import time
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from embedcourse.checkpoints.palm_e import (
    ANY,
    CONVERSATION,
    HIDDEN,
    PURSUED,
    Round,
    conversations,
    load_language_model,
    load_palm_e,
    untrained_language_model,
)
from embedcourse.claims.claim import Claim
from embedcourse.models.palm_e import PaLME
from embedcourse.models.palm_e_blocks import blocks_palm_e, camera, reached, sense_loss, success, training_tables
from embedcourse.training import History, fit
from embedcourse.world.blocks.examples import Example, sample_examples, sample_unguessable
from embedcourse.world.blocks.loops import calm, closed_loop, one_command, open_loop, slips, stranger

__all__ = ["BATCH", "CLAIMS", "MEASURED", "RATE", "STEPS", "measure", "train", "with_new_map"]

#: How a map from what the eyes see into the language model's space learns; all weights at once need smaller steps.
STEPS, BATCH, RATE, RATE_OF_ALL = 300, 16, 1e-1, 3e-3
#: Plans that everything is measured on; goals of the gripper's loop, and how often it may look.
MEASURED, BY_COMMANDS, MOST_COMMANDS = 300, 60, 60

WORLD = "a generated world of coloured blocks; 0.4 million weights in place of 12 to 562 billion"
PLANS = "two or more moves, one of a block that the instruction does not name"
CLAIMS = (
    Claim("plans, state in words", at_least=0.99, differs=f"{WORLD}; plans of {PLANS}; the upper bound: no picture"),
    Claim(
        "plans, frozen, map trained live",
        at_least=0.80,
        paper="task and motion planning with 1 % of the data, frozen: 31.8 alone, 74.3 in a mixture of tasks",
        differs=f"{WORLD}; {STEPS} steps, eyes that come with the course",
    ),
    Claim("plans, frozen, shipped encoder", at_least=0.98, differs="the encoder that comes with the course"),
    Claim("plans, blind", at_most=0.10, differs="the camera with its cap on"),
    Claim(
        "language kept, fine-tuned",
        at_most=0.97,
        differs=f"plans in words after {STEPS} more steps on pictures, all weights trained; frozen nothing is lost",
    ),
    Claim("loop, a stranger moves a block", at_least=0.95, differs="shipped encoder, a look at each move"),
    Claim("open loop, a stranger moves a block", at_most=0.60, differs="shipped encoder, one look"),
    Claim("loop, slips", at_least=0.95, differs="one move in five does nothing"),
    Claim("open loop, slips", at_most=0.65, differs="one move in five does nothing, one look"),
)


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    """Measure the shipped model and its loops, and what is trained here beside each other."""
    n, steps = max(MEASURED // shorter, 4), max(STEPS // shorter, 1)
    plans = sample_unguessable(n, seed=20 * seed + 13_100_000)
    return {**shipped(plans, seed), **dict(trained_maps(plans, steps, seed)), **dict(from_nothing(plans, steps, seed))}


def shipped(plans: Sequence[Example], seed: int) -> dict[str, float]:
    """How good the shipped model is: in words, from pictures, and in a world that does not keep still."""
    model, n = load_palm_e(), len(plans)
    found = {"plans, state in words": success(model, plans)}
    found["plans, frozen, shipped encoder"] = success(model, plans, "picture")
    for task in ("command", "question"):
        asked = sample_examples(task, n, seed=20 * seed + 13_100_001, held_out=True)
        found[f"{task}s, frozen, shipped encoder"] = success(model, asked, "picture")
    for name, disturbance in (("calm", calm), ("a stranger moves a block", stranger), ("slips", slips)):
        for loop, way in (("loop", closed_loop), ("open loop", open_loop)):
            found[f"{loop}, {name}"] = reached(way, model, plans, disturbance=disturbance, seed=seed)
    by_commands = {"task": "command", "carry_out": one_command, "most": MOST_COMMANDS, "disturbance": stranger}
    found["gripper's loop, a stranger moves a block"] = reached(
        closed_loop, model, plans[:BY_COMMANDS], seed=seed, **by_commands
    )
    return found


def with_new_map(seed: int = 0, sense: str = "picture", language_model: nn.Module | None = None) -> PaLME:
    """The shipped eyes with a map into the language model's space that starts anew, and alone may learn.

    sense: "picture", or "blind" for the same eyes behind a cap. language_model: another one than that of the course.

    Raises: ValueError for a sense without such eyes.
    Source: Driess et al. (2023), section 4 (a pre-trained ViT, and an affine map ψ that is learned) and section 5
    (variation with model freezing).
    """
    if sense not in ("picture", "blind"):
        raise ValueError(f"sense: expected 'picture' or 'blind', got {sense!r}")
    model = blocks_palm_e(language_model or load_language_model(), sense)
    encoder = model.encoders[sense]
    encoder.load_state_dict(load_palm_e().encoders["picture"].state_dict())
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder.affine.reset_parameters()
    encoder.affine.requires_grad_(True)
    return model


def train(
    model: PaLME,
    sense: str = "picture",
    *,
    steps: int = STEPS,
    rate: float = RATE,
    turns: Sequence[str] = CONVERSATION,
    optimizer: str = "muon",
    seed: int = 0,
) -> History:
    """Train all that is not frozen on conversations about states given by a sense; every batch brings new ones.

    turns: the tasks of a conversation. rate, optimizer: as in `fit`.

    Raises: ValueError as `sample_conversations`, `sense_loss` and `fit`.
    Source: Driess et al. (2023), sections 3 and 5.
    """
    of = Round(steps, rate, 20 * seed + 13_100_010, tuple(turns), (ANY, HIDDEN, PURSUED))
    data = training_tables(conversations(of, (steps + 2) * BATCH), sense)
    objective = sense_loss(sense, camera if sense in ("picture", "depth") else lambda x: x)
    how = {"batch_size": BATCH, "lr": rate, "optimizer": optimizer, "seed": seed, "progress": False}
    return fit(model, objective, data, steps=steps, device="cpu", **how)


def trained_maps(plans: Sequence[Example], steps: int, seed: int) -> Iterator[tuple[str, float]]:
    """Maps trained into the language model, which stays frozen, is tuned afterwards, or knows nothing yet."""
    model, started = with_new_map(seed), time.process_time()
    train(model, steps=steps, seed=seed)
    yield "CPU seconds of training", time.process_time() - started
    yield "plans, frozen, map trained live", success(model, plans, "picture")
    yield "language kept, frozen", success(model, plans)
    model.requires_grad_(True)
    train(model, steps=steps, rate=RATE_OF_ALL, seed=seed + 1000)
    yield "plans, fine-tuned", success(model, plans, "picture")
    yield "language kept, fine-tuned", success(model, plans)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = with_new_map(seed, language_model=untrained_language_model()).requires_grad_(True)
    train(model, steps=steps, rate=RATE_OF_ALL, seed=seed)
    yield "plans, from scratch", success(model, plans, "picture")
    for name, sense, turns in (("plans alone", "picture", ("plan",)), ("blind", "blind", CONVERSATION)):
        model = with_new_map(seed, sense)
        train(model, sense, steps=steps, turns=turns, seed=seed)
        yield f"plans, {name}", success(model, plans, sense)


#: Encoders that start from nothing; of the state vector's one, orthogonal steps would be the whole cost.
FROM_NOTHING = {"picture": "muon", "depth": "muon", "state": "adamw", "slots": "adamw"}


def from_nothing(plans: Sequence[Example], steps: int, seed: int) -> Iterator[tuple[str, float]]:
    """Whole encoders of all senses, trained as long as the map above."""
    for sense, optimizer in FROM_NOTHING.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = blocks_palm_e(load_language_model(), sense).freeze_language_model()
        train(model, sense, steps=steps, rate=RATE_OF_ALL, optimizer=optimizer, seed=seed)
        yield f"plans, {sense} from nothing", success(model, plans, sense)
