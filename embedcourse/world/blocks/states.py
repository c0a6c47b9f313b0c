"""Arrangements of blocks on a table with four columns, and what a move does to them."""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = [
    "COLOURS",
    "COLUMNS",
    "TABLE",
    "Impossible",
    "Move",
    "Run",
    "State",
    "disturb",
    "execute",
    "is_held_out",
    "moved",
    "possible_moves",
    "sample_states",
]

#: The blocks that there are, one of each colour.
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink")
#: Columns in which blocks stand.
COLUMNS = 4
#: What a block stands on when it stands on no block.
TABLE = "table"
#: How many blocks an arrangement may have: never more than columns, so that there is always room on the table.
SIZES = (3, 4)
#: One arrangement in so many is held out.
HELD_OUT = 5


class Impossible(ValueError):
    """A move or a command that cannot be carried out; the message says why."""


@dataclass(frozen=True)
class State:
    """Blocks in columns, and a gripper above them.

    `stacks` has one tuple a column, from left to right, with the colours from the bottom up.
    """

    stacks: tuple[tuple[str, ...], ...]
    gripper: int = 0
    held: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no arrangement, by name."""
        standing = [block for stack in self.stacks for block in stack] + ([self.held] if self.held else [])
        if len(self.stacks) != COLUMNS or not 0 <= self.gripper < COLUMNS:
            raise ValueError(f"stacks, gripper: expected {COLUMNS} columns, got {self.stacks} and {self.gripper}")
        if not set(standing) <= set(COLOURS) or len(set(standing)) < len(standing):
            raise ValueError(f"stacks: expected each of {', '.join(COLOURS)} at most once, got {standing}")

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks that stand, in the order of `COLOURS`."""
        return tuple(colour for colour in COLOURS if any(colour in stack for stack in self.stacks))

    def column(self, block: str) -> int:
        """The column in which a block stands. Raises: Impossible where there is no such block."""
        for number, stack in enumerate(self.stacks):
            if block in stack:
                return number
        raise Impossible(f"no {block} block stands here")

    def above(self, block: str) -> tuple[str, ...]:
        """The blocks above a block, from the lowest up. Raises: Impossible where there is no such block."""
        stack = self.stacks[self.column(block)]
        return stack[stack.index(block) + 1 :]

    def below(self, block: str) -> str:
        """What a block stands on: a colour, or the table. Raises: Impossible where there is no such block."""
        stack = self.stacks[self.column(block)]
        return stack[stack.index(block) - 1] if block != stack[0] else TABLE

    def canonical(self) -> tuple[tuple[str, ...], ...]:
        """The stacks without their places: two states that differ by the order of their columns have the same ones."""
        return tuple(sorted(stack for stack in self.stacks if stack))


def sample_states(n: int, *, seed: int, held_out: bool | None = False) -> list[State]:
    """Draw n arrangements of three or four blocks, the gripper anywhere and empty; the same ones for the same seed.

    held_out: False draws those to learn from, True those to be tested on, None both. Which is which follows from
    `canonical`, so that no held-out arrangement is met in another order of its columns.

    Raises: ValueError for a negative n.
    Source: this course.
    """
    if n < 0:
        raise ValueError(f"n: expected a number of states of at least 0, got {n}")
    dice, found = random.Random(seed), []
    while len(found) < n:
        stacks: list[list[str]] = [[] for _ in range(COLUMNS)]
        for block in dice.sample(COLOURS, dice.choice(SIZES)):
            dice.choice(stacks).append(block)
        state = State(tuple(map(tuple, stacks)), dice.randrange(COLUMNS))
        if held_out is None or is_held_out(state) == held_out:
            found.append(state)
    return found


def is_held_out(state: State) -> bool:
    """Whether an arrangement is kept for tests: about one in five, decided by a hash of its stacks.

    Raises: nothing.
    Source: this course.
    """
    return zlib.crc32(repr(state.canonical()).encode()) % HELD_OUT == 0


@dataclass(frozen=True)
class Move:
    """One step of a plan: a block is put on another one, or on the table."""

    block: str
    onto: str

    def __str__(self) -> str:
        return f"move {self.block} to {self.onto}"


def moved(state: State, move: Move) -> State:
    """The arrangement after a move; on the table a block takes the first free column.

    Raises: Impossible, with the reason, where the move cannot be carried out.
    Source: Fikes and Nilsson (1971), "STRIPS", for moves as preconditions and effects; blocks world of this course.
    """
    start = state.column(move.block)
    for block in (move.block, move.onto) if move.onto != TABLE else (move.block,):
        if over := state.above(block):
            raise Impossible(f"{block} is not free: {over[0]} stands on it")
    if move.block == move.onto:
        raise Impossible(f"{move.block} cannot stand on itself")
    if state.below(move.block) == move.onto:
        raise Impossible(f"{move.block} is on {move.onto} already")
    end = state.stacks.index(()) if move.onto == TABLE else state.column(move.onto)
    stacks = list(state.stacks)
    stacks[start] = stacks[start][:-1]
    stacks[end] = (*stacks[end], move.block)
    return replace(state, stacks=tuple(stacks))


@dataclass(frozen=True)
class Run:
    """What became of a plan: every state from the first to the last, and the step that failed, if one did."""

    states: tuple[State, ...]
    failed_step: int | None = None
    reason: str = ""


def execute(state: State, moves: Sequence[Move]) -> Run:
    """Carry out a plan; the first move that cannot be carried out ends it and is named, counted from 1.

    Raises: nothing.
    Source: this course.
    """
    states = [state]
    for number, move in enumerate(moves, start=1):
        try:
            states.append(moved(states[-1], move))
        except Impossible as error:
            return Run(tuple(states), number, f"step {number}, {move}: {error}")
    return Run(tuple(states))


def possible_moves(state: State) -> list[Move]:
    """Every move that can be carried out.

    Raises: nothing.
    Source: this course.
    """
    free = [block for block in state.blocks if not state.above(block)]
    moves = [Move(block, onto) for block in free for onto in (*free, TABLE)]
    return [move for move in moves if move.onto not in (move.block, state.below(move.block))]


def disturb(state: State, dice: random.Random) -> State:
    """The state after a stranger has moved some block that is free.

    Raises: ValueError where no block can be moved.
    Source: this course.
    """
    moves = possible_moves(state)
    if not moves:
        raise ValueError(f"state: expected one in which a block can be moved, got {state}")
    return moved(state, dice.choice(moves))
