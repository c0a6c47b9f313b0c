"""Plans reach their goals, and breadth-first search over all moves finds no shorter ones."""

import pytest

from embedcourse.world.blocks.goals import Goal, gives_away, names_what_moves, next_move, plan, put, sample_goals, tower
from embedcourse.world.blocks.states import Move, State, execute, moved, possible_moves, sample_states

STATE = State((("red", "blue"), (), ("green",), ()))


def shortest(state, goal):
    """How many moves it takes, by trying them all."""
    reached, seen, steps = [state], {state.canonical()}, 0
    while not any(goal.holds(one) for one in reached):
        following = [moved(one, move) for one in reached for move in possible_moves(one)]
        reached = []
        for one in following:
            if one.canonical() not in seen:
                seen.add(one.canonical())
                reached.append(one)
        steps += 1
    return steps


def test_plans_reach_the_goal_and_none_is_shorter():
    states = sample_states(600, seed=0, held_out=None)
    lengths = set()
    for state, goal in zip(states, sample_goals(states, seed=0), strict=True):
        moves = plan(state, goal)
        run = execute(state, moves)
        assert run.failed_step is None
        assert goal.holds(run.states[-1])
        assert len(moves) == shortest(state, goal)
        lengths.add(len(moves))
    assert lengths >= {1, 2, 3, 4}


def test_a_plan_by_hand():
    goal = tower("green", "blue", "red")
    assert plan(STATE, goal) == [Move("green", "blue")]
    assert not goal.holds(STATE)
    assert plan(STATE, put("red", "green")) == [Move("blue", "table"), Move("red", "green")]
    assert plan(STATE, put("blue", "red")) == []
    assert put("blue", "red").holds(STATE)
    assert Goal("clear red", free=("red",)).holds(moved(STATE, Move("blue", "table")))


def test_nothing_is_reached_while_a_block_hangs_in_the_air():
    state = State((("red",), (), ("green",), ()), 0, "blue")
    assert not Goal("clear red", free=("red",)).holds(state)
    with pytest.raises(ValueError, match="holds blue"):
        next_move(state, put("blue", "red"))


def test_goals_follow_the_seed_and_take_the_moves_asked_for():
    states = sample_states(200, seed=1)
    goals = sample_goals(states, seed=1, least_moves=2)
    assert goals == sample_goals(states, seed=1, least_moves=2) != sample_goals(states, seed=2, least_moves=2)
    assert min(len(plan(*pair)) for pair in zip(states, goals, strict=True)) == 2
    assert {goal.instruction.split()[0] for goal in goals} == {"put", "stack", "clear"}
    with pytest.raises(ValueError, match="least_moves: no such goal takes 9"):
        sample_goals(states[:1], seed=0, least_moves=9)


def test_an_instruction_gives_its_plan_away_where_nothing_is_in_the_way():
    assert gives_away(put("blue", "green"), STATE)
    assert not gives_away(put("red", "green"), STATE)  # blue stands on red
    assert gives_away(tower("blue", "green", "yellow"), State((("blue",), ("green",), ("yellow",), ())))
    assert not gives_away(tower("blue", "green", "red"), STATE)
    assert not gives_away(put("blue", "red"), STATE)  # it is there already: the move that is named fails


def test_an_instruction_names_what_moves_or_not():
    assert names_what_moves(put("green", "blue"), STATE)
    assert not names_what_moves(put("red", "green"), STATE)  # blue must go first
    assert names_what_moves(tower("red", "green", "blue"), STATE)  # blue must go first, and it is named
