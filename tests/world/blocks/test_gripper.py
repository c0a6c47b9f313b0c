"""The gripper: each command, and a policy that reaches every goal, also after a stranger's hand."""

import random

import pytest

from embedcourse.world.blocks.goals import put, sample_goals
from embedcourse.world.blocks.gripper import act, current_move, next_command
from embedcourse.world.blocks.states import Impossible, Move, State, disturb, sample_states

STATE = State((("red", "blue"), (), ("green",), ()))


def test_commands_by_hand():
    held = act(STATE, "pick")
    assert held == State((("red",), (), ("green",), ()), 0, "blue")
    right = act(act(held, "right"), "right")
    assert act(right, "place") == State((("red",), (), ("green", "blue"), ()), 2)
    assert act(STATE, "stop") == STATE


@pytest.mark.parametrize(
    ("state", "command", "reason"),
    [
        (STATE, "left", "further left"),
        (State(STATE.stacks, 3), "right", "further right"),
        (State(STATE.stacks, 1), "pick", "no block stands here"),
        (STATE, "place", "holds nothing"),
        (State((("red",), (), (), ()), 0, "blue"), "pick", "holds blue already"),
    ],
)
def test_impossible_commands_say_why(state, command, reason):
    with pytest.raises(Impossible, match=reason):
        act(state, command)


def test_an_unknown_command_is_refused():
    with pytest.raises(ValueError, match="command: expected one of left, right"):
        act(STATE, "jump")


def run(state, goal, stranger=None):
    """The state in which the policy stops; a stranger moves a block before the fifth command."""
    for number in range(100):
        if number == 5 and stranger and not state.held:
            state = disturb(state, stranger)
        command = next_command(state, goal)
        if command == "stop":
            return state
        state = act(state, command)
    raise AssertionError("the policy does not stop")


@pytest.mark.parametrize("stranger", [None, random.Random(0)], ids=["calm", "stranger"])
def test_the_policy_reaches_every_goal(stranger):
    states = sample_states(300, seed=0, held_out=None)
    for state, goal in zip(states, sample_goals(states, seed=0), strict=True):
        assert goal.holds(run(state, goal, stranger))


def test_the_policy_by_hand():
    goal = put("blue", "green")
    assert [next_command(STATE, goal), next_command(act(STATE, "pick"), goal)] == ["pick", "right"]
    assert next_command(State((("red",), (), ("green",), ()), 2, "blue"), goal) == "place"
    assert next_command(State((("red",), (), ("green", "blue"), ()), 2), goal) == "stop"


def test_what_is_in_the_gripper_goes_to_its_place_or_to_the_first_free_column():
    held = State((("red",), (), ("green",), ()), 3, "blue")
    assert current_move(held, put("blue", "green")) == Move("blue", "green")
    assert current_move(held, put("red", "green")) == Move("blue", "table")
    assert next_command(held, put("red", "green")) == "left"
    assert next_command(State(held.stacks, 1, "blue"), put("red", "green")) == "place"
    assert current_move(STATE, put("red", "green")) == Move("blue", "table")
    assert current_move(STATE, put("blue", "red")) is None
