"""How a move is carried out: a gripper that goes left and right, picks and places."""

from dataclasses import replace

from embedcourse.world.blocks.goals import Goal, is_ready, misplaced, next_move
from embedcourse.world.blocks.states import COLUMNS, TABLE, Impossible, Move, State

__all__ = ["COMMANDS", "act", "current_move", "next_column", "next_command"]

#: What the gripper can be told; "stop" says that all is done.
COMMANDS = ("left", "right", "pick", "place", "stop")


def act(state: State, command: str) -> State:
    """The state after one command.

    Raises: Impossible, with the reason, for a command that cannot be carried out; ValueError for an unknown one.
    Source: this course.
    """
    here = state.stacks[state.gripper]
    if command == "stop":
        return state
    if command in ("left", "right"):
        there = state.gripper + (1 if command == "right" else -1)
        if not 0 <= there < COLUMNS:
            raise Impossible(f"the gripper cannot go further {command}")
        return replace(state, gripper=there)
    if command == "pick":
        if state.held or not here:
            raise Impossible(f"the gripper holds {state.held} already" if state.held else "no block stands here")
        return replace(with_stack(state, here[:-1]), held=here[-1])
    if command == "place":
        if not state.held:
            raise Impossible("the gripper holds nothing")
        return with_stack(replace(state, held=None), (*here, state.held))
    raise ValueError(f"command: expected one of {', '.join(COMMANDS)}; got {command!r}")


def with_stack(state: State, stack: tuple[str, ...]) -> State:
    """The state with another stack under the gripper."""
    stacks = (*state.stacks[: state.gripper], stack, *state.stacks[state.gripper + 1 :])
    return replace(state, stacks=stacks)


def current_move(state: State, goal: Goal) -> Move | None:
    """The move that is under way or comes next, seen from any state, whatever happened before; None: the goal holds.

    What hangs in the gripper goes to its place where that is ready, else to the table.

    Raises: nothing.
    Source: this course.
    """
    if state.held is None:
        return next_move(state, goal)
    wrong = misplaced(state, goal)
    ready = [onto for block, onto in goal.pairs if block == state.held and is_ready(state, onto, wrong)]
    return Move(state.held, ready[0] if ready else TABLE)


def next_column(state: State, move: Move) -> int:
    """Where the gripper must be for a move that is under way: over the block, or with it, over where it goes.

    Raises: ValueError for a block that does not stand.
    Source: this course.
    """
    if state.held is None:
        return state.column(move.block)
    return state.stacks.index(()) if move.onto == TABLE else state.column(move.onto)


def next_command(state: State, goal: Goal) -> str:
    """What the gripper is to do now so that the goal holds in the end.

    Raises: nothing.
    Source: this course.
    """
    move = current_move(state, goal)
    return "stop" if move is None else command_for(state, move)


def command_for(state: State, move: Move) -> str:
    """The command that brings the gripper nearer to where a move goes on, or carries that out there."""
    column = next_column(state, move)
    if state.gripper != column:
        return "right" if state.gripper < column else "left"
    return "place" if state.held else "pick"
