"""Loops: whoever plans perfectly reaches every goal with open eyes, and not with closed ones."""

import random

import pytest

from embedcourse.world.blocks.goals import plan, put, sample_goals
from embedcourse.world.blocks.gripper import next_command
from embedcourse.world.blocks.language import write_plan
from embedcourse.world.blocks.loops import (
    calm,
    closed_loop,
    first_move,
    one_command,
    open_loop,
    slips,
    stranger,
)
from embedcourse.world.blocks.states import State, execute, sample_states

STATES = sample_states(200, seed=0)
GOALS = sample_goals(STATES, seed=0, least_moves=2)


def planner(states, goals):
    return [write_plan(plan(state, goal)) for state, goal in zip(states, goals, strict=True)]


def operator(states, goals):
    return [next_command(state, goal) for state, goal in zip(states, goals, strict=True)]


def reached(runs):
    return sum(goal.holds(run[-1]) for goal, run in zip(GOALS, runs, strict=True)) / len(runs)


def test_in_a_calm_world_both_loops_are_the_simulator():
    expected = [execute(state, plan(state, goal)).states for state, goal in zip(STATES, GOALS, strict=True)]
    assert open_loop(planner, STATES, GOALS) == expected
    assert closed_loop(planner, STATES, GOALS) == expected


@pytest.mark.parametrize("disturbance", [stranger, slips])
def test_only_open_eyes_reach_the_goal_in_a_disturbed_world(disturbance):
    assert reached(closed_loop(planner, STATES, GOALS, disturbance=disturbance, most=40)) == 1
    assert 0.3 < reached(open_loop(planner, STATES, GOALS, disturbance=disturbance)) < 0.75


@pytest.mark.parametrize("disturbance", [calm, stranger, slips])
def test_commands_reach_the_goal(disturbance):
    runs = closed_loop(operator, STATES, GOALS, carry_out=one_command, disturbance=disturbance, most=120)
    assert reached(runs) == 1


def test_every_step_is_decided_by_what_is_there_then():
    seen = []

    def watched(states, goals):
        seen.append(list(states))
        return planner(states, goals)

    (run,) = closed_loop(watched, STATES[:1], GOALS[:1], disturbance=stranger)
    assert tuple(state for (state,) in seen) == run


def test_a_run_that_never_stops_is_ended():
    (run,) = closed_loop(lambda states, goals: ["move red to red"] * len(states), STATES[:1], GOALS[:1], most=5)
    assert run == (STATES[0],) * 6
    (run,) = open_loop(lambda states, goals: ["move to"], STATES[:1], GOALS[:1])
    assert run == (STATES[0],)


def test_steps_by_hand():
    state = State((("red", "blue"), (), ("green",), ()))
    assert first_move(state, "move blue to green ; move red to blue") == State((("red",), (), ("green", "blue"), ()))
    assert first_move(state, "stop") is None
    assert one_command(state, "pick").held == "blue"
    assert one_command(state, "move blue to table : gripper one , blue one : pick").held == "blue"
    assert one_command(state, "stop") is None


def test_disturbances_by_hand():
    before, after = STATES[0], STATES[1]
    dice = random.Random(0)
    assert calm(0, before, after, dice) == after
    assert stranger(1, before, after, dice) == after
    assert sum(stranger(0, before, after, dice).below(block) != after.below(block) for block in after.blocks) == 1
    slipped = sum(slips(0, before, after, dice) == before for _ in range(2000)) / 2000
    assert slipped == pytest.approx(0.2, abs=0.03)


def test_states_and_goals_belong_together():
    for loop in (closed_loop, open_loop):
        with pytest.raises(ValueError, match="shorter"):
            loop(lambda states, goals: ["stop"] * len(states), [STATES[0]], [])
    assert closed_loop(planner, [], []) == []
    assert put("red", "blue").instruction == "put red on blue"
