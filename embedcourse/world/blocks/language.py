"""The small language of the blocks world: descriptions, instructions, plans, commands, questions and answers."""

import random
import re
from collections.abc import Iterable, Sequence

from embedcourse.world.blocks.goals import Goal
from embedcourse.world.blocks.gripper import COMMANDS, command_for, current_move, next_column
from embedcourse.world.blocks.states import COLOURS, COLUMNS, TABLE, Move, State

__all__ = [
    "END",
    "OBSERVATION",
    "PAD",
    "VOCABULARY",
    "ask",
    "decode",
    "describe",
    "encode",
    "parse_command",
    "parse_plan",
    "write_command",
    "write_plan",
]

#: The three tokens that are no words: filling, what stands where an observation is put in, and the end of an answer.
PAD, OBSERVATION, END = "<pad>", "<observation>", "<end>"
NUMBERS = ("no", "one", "two", "three", "four")
PLACES = NUMBERS[1 : COLUMNS + 1]
#: What separates the moves of a plan, and the stacks of a description.
THEN, NEXT = ";", ","
WORDS = (
    *(*COLOURS, TABLE, THEN, NEXT, ".", ":", "?", *NUMBERS),
    *("state", "empty", "gripper", "holds", "nothing", "instruction", "plan", "question", "answer", "command"),
    *("put", "on", "stack", "clear", "every", "block", "the", "move", "to", *COMMANDS),
    *("what", "is", "under", "how", "many", "stacks", "blocks", "are", "there", "above", "yes"),
)
#: The word of each token.
VOCABULARY = (PAD, OBSERVATION, END, *sorted(set(WORDS)))
TOKENS = {word: token for token, word in enumerate(VOCABULARY)}


def encode(text: str) -> list[int]:
    """The token of each word.

    Raises: ValueError for words outside `VOCABULARY`, by name.
    Source: this course.
    """
    words = text.split()
    if unknown := [word for word in words if word not in TOKENS]:
        raise ValueError(f"text: expected words of the blocks world's language, got {', '.join(map(repr, unknown))}")
    return [TOKENS[word] for word in words]


def decode(tokens: Iterable[int]) -> str:
    """The words of tokens, without filling.

    Raises: nothing.
    Source: this course.
    """
    return " ".join(VOCABULARY[token] for token in tokens if VOCABULARY[token] != PAD)


def describe(state: State) -> str:
    """A state in words: "one blue on red , three green . gripper two holds nothing".

    Each stack that there is, behind the number of its column, from the top down; then where the gripper is.

    Raises: nothing.
    Source: this course.
    """
    stacks = [f"{place} {' on '.join(stack[::-1])}" for place, stack in zip(PLACES, state.stacks, strict=True) if stack]
    standing = f" {NEXT} ".join(stacks) or "empty"
    return f"{standing} . gripper {PLACES[state.gripper]} holds {state.held or 'nothing'}"


def write_plan(moves: Sequence[Move]) -> str:
    """A plan in words: "move red to table ; move blue to red", or "stop" for nothing to do.

    Raises: nothing.
    Source: this course.
    """
    return f" {THEN} ".join(map(str, moves)) or "stop"


def write_command(state: State, goal: Goal) -> str:
    """What the gripper is to do now, in words: "move red to table : gripper two , red one : left", or "stop".

    First the move that it belongs to, then where the gripper is and where what it is about to pick, or to place on, is:
    who says both has only to compare.

    Raises: nothing.
    Source: this course; reasons before the answer: Wei et al. (2022), "Chain-of-thought prompting elicits reasoning in
    large language models".
    """
    if (move := current_move(state, goal)) is None:
        return "stop"
    over = move.onto if state.held else move.block
    where = f"gripper {PLACES[state.gripper]} {NEXT} {over} {PLACES[next_column(state, move)]}"
    return f"{move} : {where} : {command_for(state, move)}"


def parse_command(text: str) -> str:
    """The command in words of the form of `write_command`.

    Raises: ValueError where there is none.
    Source: this course.
    """
    command = text.split(":")[-1].strip()
    if command not in COMMANDS:
        raise ValueError(
            "text: expected a command such as 'move red to table : gripper two , red one : left' or 'stop', "
            f"got {text!r}"
        )
    return command


def parse_plan(text: str) -> list[Move]:
    """The moves of a plan in words.

    Raises: ValueError, with the words that are no move.
    Source: this course.
    """
    if text.strip() == "stop":
        return []
    moves = []
    for step in text.split(THEN):
        match = re.fullmatch(rf"\s*move ({'|'.join(COLOURS)}) to ({'|'.join((*COLOURS, TABLE))})\s*", step)
        if not match:
            raise ValueError(f"text: expected moves such as 'move red to table', got {step.strip()!r}")
        moves.append(Move(*match.groups()))
    return moves


def ask(state: State, dice: random.Random) -> tuple[str, str]:
    """A question about a state, and its answer.

    Raises: ValueError for a state with fewer than two standing blocks.
    Source: this course.
    """
    if len(state.blocks) < 2:
        raise ValueError(f"state: expected at least two standing blocks, got {state}")
    a, b = dice.sample(state.blocks, 2)
    stacks = sum(bool(stack) for stack in state.stacks)
    return dice.choice(
        [
            (f"what is on {a} ?", state.above(a)[0] if state.above(a) else "nothing"),
            (f"what is under {a} ?", state.below(a)),
            (f"is {a} above {b} ?", "yes" if a in state.above(b) else "no"),
            ("how many stacks are there ?", NUMBERS[stacks]),
            ("how many blocks are there ?", NUMBERS[len(state.blocks)]),
        ]
    )
