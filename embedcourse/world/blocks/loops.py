"""Plans meet a world that does not keep still: carried out blindly, or with a new look before every step."""

import random
from collections.abc import Callable, Sequence

from embedcourse.world.blocks.goals import Goal
from embedcourse.world.blocks.gripper import act
from embedcourse.world.blocks.language import parse_command, parse_plan
from embedcourse.world.blocks.states import State, disturb, moved

__all__ = [
    "Decide",
    "Disturbance",
    "calm",
    "closed_loop",
    "first_move",
    "one_command",
    "open_loop",
    "slips",
    "stranger",
]

#: Says in words what to do in each state for each goal: a plan, or a command.
Decide = Callable[[Sequence[State], Sequence[Goal]], Sequence[str]]
#: What a step is in the end: takes its number from 0, the state before it, the one that it should lead to, and dice.
Disturbance = Callable[[int, State, State, random.Random], State]


def calm(step: int, before: State, after: State, dice: random.Random) -> State:
    """Every step does what it should.

    Raises: nothing.
    Source: this course.
    """
    return after


def stranger(step: int, before: State, after: State, dice: random.Random) -> State:
    """After the first step somebody moves a block.

    Raises: ValueError as `disturb`.
    Source: this course, after the disturbances in section 6.3 of PaLM-E.
    """
    return disturb(after, dice) if step == 0 else after


def slips(step: int, before: State, after: State, dice: random.Random) -> State:
    """One step in five does nothing.

    Raises: nothing.
    Source: this course.
    """
    return before if dice.random() < 0.2 else after


def first_move(state: State, words: str) -> State | None:
    """The state after the first move of a plan in words; None where the plan is to do nothing.

    Raises: ValueError as `parse_plan`, and its kind Impossible as `moved`.
    Source: this course.
    """
    moves = parse_plan(words)
    return moved(state, moves[0]) if moves else None


def one_command(state: State, words: str) -> State | None:
    """The state after a command in words; None for "stop".

    Raises: ValueError as `parse_command`, and its kind Impossible as `act`.
    Source: this course.
    """
    command = parse_command(words)
    return None if command == "stop" else act(state, command)


def closed_loop(
    decide: Decide,
    states: Sequence[State],
    goals: Sequence[Goal],
    *,
    carry_out: Callable[[State, str], State | None] = first_move,
    disturbance: Disturbance = calm,
    most: int = 12,
    seed: int = 0,
) -> list[tuple[State, ...]]:
    """Look, decide, do one step, look again: the states of each run, until the decision is to stop.

    A step that cannot be carried out changes nothing; after `most` steps a run ends where it is.

    Raises: ValueError where states and goals are not equally many.
    Source: Driess et al. (2023), "PaLM-E: An Embodied Multimodal Language Model", section 6.3 (re-planning in a loop).
    """
    runs = [[state] for state, _ in zip(states, goals, strict=True)]
    going, dice = list(range(len(runs))), random.Random(seed)
    for step in range(most):
        words = decide([runs[number][-1] for number in going], [goals[number] for number in going]) if going else []
        for number, said in list(zip(going, words, strict=True)):
            before = runs[number][-1]
            after = attempted(carry_out, before, said)
            if after is None:
                going.remove(number)
            else:
                runs[number].append(disturbance(step, before, after, dice))
    return [tuple(run) for run in runs]


def attempted(carry_out: Callable[[State, str], State | None], state: State, words: str) -> State | None:
    """What becomes of a state; the same one where the words say nothing that can be done."""
    try:
        return carry_out(state, words)
    except ValueError:
        return state


def open_loop(
    decide: Decide,
    states: Sequence[State],
    goals: Sequence[Goal],
    *,
    disturbance: Disturbance = calm,
    seed: int = 0,
) -> list[tuple[State, ...]]:
    """Look once, and carry out the whole plan with closed eyes: the states of each run, up to the move that fails.

    Raises: ValueError where states and goals are not equally many.
    Source: this course, as the baseline of `closed_loop`.
    """
    runs, dice = [], random.Random(seed)
    for state, _, words in zip(states, goals, decide(states, goals), strict=True):
        run = [state]
        try:
            for step, move in enumerate(parse_plan(words)):
                run.append(disturbance(step, run[-1], moved(run[-1], move), dice))
        except ValueError:  # no plan, or a move that cannot be carried out
            pass
        runs.append(tuple(run))
    return runs
