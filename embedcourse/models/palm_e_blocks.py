"""PaLM-E in the blocks world: its senses and their encoders, examples as tables to train on, and answers read back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from embedcourse.models.palm_e import (
    PaLME,
    PictureEncoder,
    SlotEncoder,
    StateEncoder,
    answer_loss,
    padded,
    training_sentences,
)
from embedcourse.world.blocks.examples import Example, observed, request
from embedcourse.world.blocks.goals import Goal
from embedcourse.world.blocks.language import END, OBSERVATION, PAD, PLACES, TOKENS, decode, encode
from embedcourse.world.blocks.loops import Decide
from embedcourse.world.blocks.states import COLOURS, State
from embedcourse.world.blocks.views import SLOT, render_depth, render_side, slots, state_vectors

__all__ = [
    "SENSES",
    "Sense",
    "answers",
    "blocks_palm_e",
    "camera",
    "decider",
    "reached",
    "sense_loss",
    "success",
    "text_loss",
    "training_tables",
]

#: Tokens that an observation of the whole state becomes: about as many as a description of it has words.
OBSERVED = 24


@dataclass(frozen=True)
class Sense:
    """A way to take in a state without words."""

    #: What the sensor gives for states.
    observe: Callable[[Sequence[State]], Tensor]
    #: Makes an encoder of that, for a language model of a width.
    encoder: Callable[[int], nn.Module]
    #: The words and placeholders that stand in the prompt.
    sentence: Callable[[State], str]


def objects(state: State) -> str:
    """Each object's name before its token; where the gripper is, no object says."""
    named = " ".join(f"{colour} {OBSERVATION}" for colour in COLOURS)
    return f"{named} . gripper {PLACES[state.gripper]}"


def whole(state: State) -> str:
    """Tokens for the state as a whole."""
    return observed(OBSERVED)


def darkness(states: Sequence[State]) -> Float[Tensor, "n 3 32 32"]:
    """What a camera sees with its cap on."""
    return torch.zeros(len(states), 3, 32, 32)


#: By name: a picture, heights from above, one vector, one vector an object, and a picture of nothing.
SENSES = {
    "picture": Sense(render_side, lambda width: PictureEncoder(width, OBSERVED), whole),
    "depth": Sense(render_depth, lambda width: PictureEncoder(width, OBSERVED, channels=1), whole),
    "state": Sense(state_vectors, lambda width: StateEncoder(len(COLOURS) * SLOT + 4, width, OBSERVED), whole),
    "slots": Sense(slots, lambda width: SlotEncoder(SLOT, width), objects),
    "blind": Sense(darkness, lambda width: PictureEncoder(width, OBSERVED), whole),
}


def blocks_palm_e(language_model: nn.Module, *senses: str) -> PaLME:
    """A language model of the blocks world with a fresh encoder for each of the senses.

    Raises: ValueError for an unknown sense.
    Source: Driess et al. (2023), "PaLM-E: An Embodied Multimodal Language Model", section 4.
    """
    width = language_model.get_input_embeddings().embedding_dim
    encoders = {name: sense_of(name).encoder(width) for name in senses}
    return PaLME(language_model, encoders, placeholder=TOKENS[OBSERVATION], pad=TOKENS[PAD], end=TOKENS[END])


def sense_of(name: str) -> Sense:
    """The sense of that name."""
    if name not in SENSES:
        raise ValueError(f"sense: expected one of {', '.join(SENSES)}; got {name!r}")
    return SENSES[name]


def prompt(example: Example, sense: str | None) -> list[int]:
    """The tokens of a prompt: the state in words, or with places for what a sense gives."""
    return encode(example.in_words() if sense is None else example.with_seen(sense_of(sense).sentence(example.state)))


def training_tables(conversations: Sequence[Sequence[Example]], sense: str | None = None) -> tuple[Tensor, ...]:
    """Observations, tokens and labels, one row a conversation about one state; without a sense, tokens and labels.

    Raises: ValueError for an unknown sense or no conversation.
    Source: this course.
    """
    turns = [
        [
            (encode(example.as_next_turn()) if number else prompt(example, sense), encode(f"{example.answer} {END}"))
            for number, example in enumerate(examples)
        ]
        for examples in conversations
    ]
    tables = training_sentences(turns, TOKENS[PAD])
    if sense is None:
        return tables
    return sense_of(sense).observe([examples[0].state for examples in conversations]), *tables


def text_loss(model: PaLME, tokens: Int[Tensor, "n l"], labels: Int[Tensor, "n l"]) -> Float[Tensor, ""]:
    """The loss on the answers where states are in words.

    Raises: ValueError as `answer_loss`.
    Source: as `answer_loss`.
    """
    return loss_with(model, no_features(model), tokens, labels)


def sense_loss(
    sense: str, distort: Callable[[Tensor], Tensor] = lambda x: x
) -> Callable[[PaLME, Tensor, Tensor, Tensor], Tensor]:
    """The loss on the answers where states are given by a sense: a function of a model and a row of each table.

    distort: what is done to observations before they are encoded, `camera` for example.

    Raises: nothing; what is returned raises ValueError as `PaLME.encode`, `inject` and `answer_loss`.
    Source: Driess et al. (2023), section 3.
    """

    def loss(
        model: PaLME, observed: Float[Tensor, "n ..."], tokens: Int[Tensor, "n l"], labels: Int[Tensor, "n l"]
    ) -> Float[Tensor, ""]:
        return loss_with(model, model.encode(sense, distort(observed)).flatten(0, 1), tokens, labels)

    return loss


def loss_with(
    model: PaLME, features: Float[Tensor, "m d"], tokens: Int[Tensor, "n l"], labels: Int[Tensor, "n l"]
) -> Float[Tensor, ""]:
    """The loss on the answers, without the columns in which every row is filled up."""
    longest = int((tokens != model.pad).sum(1).max())
    return answer_loss(model(tokens[:, :longest], features), labels[:, :longest])


def no_features(model: PaLME) -> Float[Tensor, "0 d"]:
    """What is injected into a sentence of words alone."""
    table = model.language_model.get_input_embeddings().weight
    return table.new_zeros(0, table.shape[1])


def camera(pictures: Float[Tensor, "n c 32 32"]) -> Float[Tensor, "n c 32 32"]:
    """Pictures as a real camera might take them: a pixel aside, brighter or darker, with noise.

    Raises: nothing.
    Source: this course.
    """
    n, pixels = len(pictures), torch.arange(32, device=pictures.device)
    down, right = torch.randint(3, (2, n, 1), device=pictures.device) + pixels  # (n, 32) each
    wider = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    each = torch.arange(n, device=pictures.device)[:, None, None]
    shifted = wider.movedim(1, 3)[each, down[:, :, None], right[:, None, :]].movedim(3, 1)
    brightness = 1 + 0.4 * (torch.rand(n, 1, 1, 1, device=pictures.device) - 0.5)
    return (shifted * brightness + 0.03 * torch.randn_like(shifted)).clamp(0, 1)


@torch.no_grad()
def answers(model: PaLME, examples: Sequence[Example], sense: str | None = None, *, at_once: int = 500) -> list[str]:
    """What the model answers to each example, in words.

    Raises: ValueError for an unknown sense.
    Source: this course.
    """
    found = []
    for start in range(0, len(examples), at_once):
        part = examples[start : start + at_once]
        prompts = padded([prompt(example, sense) for example in part], model.pad, left=True).to(model.device)
        features = no_features(model)
        if sense is not None:
            seen = sense_of(sense).observe([example.state for example in part]).to(model.device)
            features = model.encode(sense, seen).flatten(0, 1)
        found += map(decode, model.generate(prompts, features))
    return found


def success(model: PaLME, examples: Sequence[Example], sense: str | None = None) -> float:
    """Share of examples that the model's answers solve; plans are carried out.

    Range: [0, 1].
    Raises: ValueError for no example or an unknown sense.
    Source: this course.
    """
    if not examples:
        raise ValueError("examples: expected at least one")
    said = answers(model, examples, sense)
    return sum(example.is_solved_by(answer) for example, answer in zip(examples, said, strict=True)) / len(examples)


def decider(model: PaLME, sense: str | None = None, *, task: str = "plan") -> Decide:
    """The model as what decides in a loop: by plans, or by commands.

    Raises: nothing; what is returned raises ValueError for another task or an unknown sense.
    Source: Driess et al. (2023), section 6.3.
    """

    def decide(states: Sequence[State], goals: Sequence[Goal]) -> list[str]:
        asked = [Example(state, request(task, goal), "", goal) for state, goal in zip(states, goals, strict=True)]
        return answers(model, asked, sense)

    return decide


def reached(
    loop: Callable[..., list[tuple[State, ...]]],
    model: PaLME,
    plans: Sequence[Example],
    *,
    sense: str = "picture",
    task: str = "plan",
    **options: Any,
) -> float:
    """Share of goals that hold at the end of a loop.

    loop: `closed_loop` or `open_loop`; task: what the model is asked for in it; options: of the loop.

    Range: [0, 1].
    Raises: as the loop.
    Source: Driess et al. (2023), "PaLM-E: An Embodied Multimodal Language Model", section 6.3.
    """
    goals = [example.goal for example in plans]
    runs = loop(decider(model, sense, task=task), [example.state for example in plans], goals, **options)
    return sum(goal.holds(run[-1]) for goal, run in zip(goals, runs, strict=True)) / len(plans)
