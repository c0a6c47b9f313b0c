"""What is asked for, and the shortest way there."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from embedcourse.world.blocks.states import TABLE, Move, State, execute, moved

__all__ = ["Goal", "gives_away", "names_what_moves", "next_move", "plan", "sample_goals"]


@dataclass(frozen=True)
class Goal:
    """What a state is to be like: some blocks on others, and some with nothing above them.

    `pairs` says what stands on what, from the lowest pair up; `free` names blocks that nothing may stand on.
    """

    instruction: str
    pairs: tuple[tuple[str, str], ...] = ()
    free: tuple[str, ...] = ()

    def holds(self, state: State) -> bool:
        """Whether a state is as it is to be; while a block hangs in the air none is."""
        done = all(state.below(block) == onto for block, onto in self.pairs) if state.held is None else False
        return done and not any(state.above(block) for block in self.free)


def put(block: str, onto: str) -> Goal:
    """One block on another."""
    return Goal(f"put {block} on {onto}", ((block, onto),))


def tower(top: str, middle: str, bottom: str) -> Goal:
    """Three blocks on one another."""
    return Goal(f"stack {top} on {middle} on {bottom}", ((middle, bottom), (top, middle)))


def free(block: str) -> Goal:
    """Nothing on a block."""
    return Goal(f"clear {block}", free=(block,))


def spread(*blocks: str) -> Goal:
    """Every block on the table."""
    return Goal("put every block on the table", tuple((block, TABLE) for block in blocks))


def sample_goals(states: Sequence[State], *, seed: int, least_moves: int = 1) -> list[Goal]:
    """Draw a goal for each state that takes at least so many moves; the same ones for the same seed.

    Raises: ValueError for a state in which no goal takes that many.
    Source: this course.
    """
    dice = random.Random(seed)
    return [some_goal(state, least_moves, dice) for state in states]


def some_goal(state: State, least_moves: int, dice: random.Random, *, given_away: bool = True) -> Goal:
    """A goal of a random kind about random blocks of a state; without `given_away`, none that gives its plan away."""
    for _ in range(1000):
        a, b, c = dice.sample(state.blocks, 3)
        goal = dice.choice([put(a, b), put(a, b), tower(a, b, c), tower(a, b, c), free(a), spread(*state.blocks)])
        if len(plan(state, goal)) >= least_moves and (given_away or not gives_away(goal, state)):
            return goal
    raise ValueError(f"least_moves: no such goal takes {least_moves} moves from {state}")


def gives_away(goal: Goal, state: State) -> bool:
    """Whether the moves that the instruction names, in its order, lead there: whoever reads it need not see the state.

    Raises: nothing.
    Source: this course.
    """
    run = execute(state, [Move(block, onto) for block, onto in goal.pairs])
    return run.failed_step is None and goal.holds(run.states[-1])


def names_what_moves(goal: Goal, state: State) -> bool:
    """Whether the instruction names every block that the shortest plan moves; the others one must see, or guess.

    Raises: ValueError as `next_move`.
    Source: this course.
    """
    return all(move.block in goal.instruction.split() for move in plan(state, goal))


def plan(state: State, goal: Goal) -> list[Move]:
    """A shortest plan: every move of `next_move` until the goal holds.

    Raises: ValueError as `next_move`.
    Source: as `next_move`.
    """
    moves = []
    while move := next_move(state, goal):
        moves.append(move)
        state = moved(state, move)
    return moves


def next_move(state: State, goal: Goal) -> Move | None:
    """The first move of a shortest plan; None where the goal holds.

    A block whose place is ready goes there. Where no place is ready, a free block that is in the way goes to the table:
    the first from the left, those last that the goal has a place for.

    Raises: ValueError where the gripper holds a block.
    Source: Gupta and Nau (1992), "On the complexity of blocks-world planning", for what must move and when.
    """
    if state.held is not None:
        raise ValueError(f"state: expected an empty gripper, got one that holds {state.held}")
    wrong = misplaced(state, goal)
    for block, onto in goal.pairs:
        if block in wrong and not state.above(block) and is_ready(state, onto, wrong):
            return Move(block, onto)
    in_the_way = [stack[-1] for stack in state.stacks if len(stack) > 1 and stack[-1] in wrong]
    homeless = [block for block in in_the_way if block not in dict(goal.pairs)]  # the others may find their place ready
    return Move([*homeless, *in_the_way][0], TABLE) if in_the_way else None


def misplaced(state: State, goal: Goal) -> set[str]:
    """The blocks that must move: those not on what they are to stand on, and all that is in the way."""
    standing = set(state.blocks)
    wrong = {block for block, onto in goal.pairs if block in standing and state.below(block) != onto}
    in_the_way = [*wrong, *goal.free, *(onto for block, onto in goal.pairs if block not in standing or block in wrong)]
    return wrong | {over for block in in_the_way if block in standing for over in state.above(block)}


def is_ready(state: State, onto: str, wrong: set[str]) -> bool:
    """Whether a block may be put there for good."""
    return onto == TABLE or (onto in state.blocks and onto not in wrong and not state.above(onto))
