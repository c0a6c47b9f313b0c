"""Arrangements and moves, against a table of cases and against rules that hold for every arrangement."""

import random

import pytest

from embedcourse.world.blocks.states import (
    COLOURS,
    Impossible,
    Move,
    State,
    disturb,
    execute,
    is_held_out,
    moved,
    possible_moves,
    sample_states,
)

STATE = State((("red", "blue"), (), ("green",), ()))


def test_a_state_knows_what_stands_where():
    assert STATE.blocks == ("red", "green", "blue")
    assert (STATE.column("green"), STATE.above("red"), STATE.above("blue")) == (2, ("blue",), ())
    assert (STATE.below("blue"), STATE.below("red")) == ("red", "table")
    with pytest.raises(Impossible, match="no purple block stands here"):
        STATE.column("purple")


@pytest.mark.parametrize(
    ("stacks", "gripper", "held", "match"),
    [
        ((("red",), ()), 0, None, "4 columns"),
        ((("red",), (), (), ()), 4, None, "4 columns"),
        ((("red",), ("red",), (), ()), 0, None, "at most once"),
        ((("red",), (), (), ()), 0, "red", "at most once"),
        ((("mauve",), (), (), ()), 0, None, "mauve"),
    ],
)
def test_what_is_no_state_is_refused(stacks, gripper, held, match):
    with pytest.raises(ValueError, match=match):
        State(stacks, gripper, held)


@pytest.mark.parametrize(
    ("block", "onto", "stacks"),
    [
        ("blue", "table", (("red",), ("blue",), ("green",), ())),
        ("blue", "green", (("red",), (), ("green", "blue"), ())),
        ("green", "blue", (("red", "blue", "green"), (), (), ())),
    ],
)
def test_moves(block, onto, stacks):
    assert moved(STATE, Move(block, onto)).stacks == stacks


@pytest.mark.parametrize(
    ("block", "onto", "reason"),
    [
        ("red", "table", "red is not free: blue stands on it"),
        ("green", "red", "red is not free"),
        ("green", "green", "cannot stand on itself"),
        ("green", "table", "is on table already"),
        ("blue", "red", "red is not free"),
        ("yellow", "red", "no yellow block"),
        ("green", "yellow", "no yellow block"),
    ],
)
def test_impossible_moves_say_why(block, onto, reason):
    with pytest.raises(Impossible, match=reason):
        moved(STATE, Move(block, onto))


def test_a_plan_ends_at_the_step_that_fails():
    run = execute(STATE, [Move("blue", "green"), Move("green", "red"), Move("red", "table")])
    assert (len(run.states), run.failed_step) == (2, 2)
    assert run.reason == "step 2, move green to red: green is not free: blue stands on it"
    assert execute(STATE, []).states == (STATE,)
    assert execute(STATE, [Move("blue", "table")]).failed_step is None


def test_possible_moves_are_those_that_raise_nothing():
    for state in sample_states(100, seed=0, held_out=None):
        for move in (Move(a, b) for a in COLOURS for b in (*COLOURS, "table")):
            try:
                moved(state, move)
                works = True
            except Impossible:
                works = False
            assert (move in possible_moves(state)) == works


def test_moves_keep_the_blocks_and_can_be_undone():
    for state in sample_states(100, seed=1, held_out=None):
        for move in possible_moves(state):
            after = moved(state, move)
            assert after.blocks == state.blocks
            assert after.below(move.block) == move.onto
            assert moved(after, Move(move.block, state.below(move.block))).canonical() == state.canonical()


def test_held_out_states_are_never_met_in_another_order():
    known = {state.canonical() for state in sample_states(4000, seed=0)}
    strange = {state.canonical() for state in sample_states(2000, seed=1, held_out=True)}
    assert not known & strange
    everything = {state.canonical() for state in sample_states(20_000, seed=2, held_out=None)}
    assert 0.15 < len(strange) / len(everything) < 0.25
    assert all(is_held_out(state) for state in sample_states(10, seed=3, held_out=True))
    mirrored = State(STATE.stacks[::-1])
    assert mirrored.canonical() == STATE.canonical()
    assert is_held_out(mirrored) == is_held_out(STATE)


def test_samples_follow_the_seed():
    assert sample_states(20, seed=5) == sample_states(20, seed=5) != sample_states(20, seed=6)
    assert sample_states(0, seed=5) == []
    with pytest.raises(ValueError, match="n: expected"):
        sample_states(-1, seed=0)


def test_a_stranger_moves_one_block():
    for state in sample_states(50, seed=7):
        after = disturb(state, random.Random(0))
        assert after.blocks == state.blocks
        assert sum(after.below(block) != state.below(block) for block in state.blocks) == 1
    with pytest.raises(ValueError, match="can be moved"):
        disturb(State((("red",), (), (), ())), random.Random(0))
