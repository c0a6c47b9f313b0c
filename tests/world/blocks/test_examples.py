"""Tasks as sentences: every prompt is in the language, and every answer is right."""

import random
from collections import Counter

import pytest

from embedcourse.world.blocks.examples import (
    TASKS,
    answer_question,
    give_command,
    make_plan,
    observed,
    request,
    sample_conversations,
    sample_examples,
    sample_unguessable,
)
from embedcourse.world.blocks.goals import gives_away, put
from embedcourse.world.blocks.language import OBSERVATION, encode, parse_command, parse_plan, write_plan
from embedcourse.world.blocks.states import Move, State, is_held_out

STATE = State((("red", "blue"), (), ("green",), ()))


def test_prompts_by_hand():
    example = make_plan(STATE, put("red", "green"))
    assert example.in_words() == (
        "state : one blue on red , three green . gripper one holds nothing . instruction : put red on green . plan :"
    )
    assert example.with_seen(observed(2)) == (
        "state : <observation> <observation> . instruction : put red on green . plan :"
    )
    assert example.answer == "move blue to table ; move red to green"
    assert give_command(STATE, put("red", "green")).answer == "move blue to table : gripper one , blue one : pick"
    assert give_command(STATE, put("red", "green")).prompt.endswith("command :")
    assert answer_question(STATE, random.Random(0)).prompt.endswith("? answer :")
    with pytest.raises(ValueError, match="task: expected one of plan, command; got 'question'"):
        request("question", put("red", "green"))


def test_examples_are_in_the_language_and_right():
    for task in TASKS:
        for example in sample_examples(task, 100, seed=0):
            assert encode(example.with_seen(observed(3))).count(encode(OBSERVATION)[0]) == 3
            assert encode(example.in_words())
            assert encode(example.answer)
            assert example.is_solved_by(example.answer)


@pytest.mark.parametrize(
    ("answer", "solved"),
    [
        ("move blue to table ; move red to green", True),
        ("move green to table ; move blue to table ; move red to green", False),  # green is on the table already
        ("move blue to green ; move blue to table ; move red to green", True),  # longer, and there as well
        ("move blue to table", False),
        ("move red to green", False),
        ("stop", False),
        ("move blue to table ; move red to", False),
        ("", False),
    ],
)
def test_a_plan_is_judged_by_where_it_leads(answer, solved):
    assert make_plan(STATE, put("red", "green")).is_solved_by(answer) is solved


def test_other_answers_are_judged_by_their_words():
    assert give_command(STATE, put("red", "green")).is_solved_by("move blue to table : gripper one , blue one : pick")
    assert not give_command(STATE, put("red", "green")).is_solved_by(
        "move blue to table : gripper one , blue one : left"
    )


def test_samples_are_as_asked_for():
    assert sample_examples("plan", 20, seed=1) == sample_examples("plan", 20, seed=1)
    assert sample_examples("plan", 20, seed=1) != sample_examples("plan", 20, seed=2)
    plans = sample_examples("plan", 300, seed=0, held_out=True, least_moves=2)
    assert all(is_held_out(example.state) for example in plans)
    assert min(len(parse_plan(example.answer)) for example in plans) == 2
    assert "stop" in {example.answer for example in sample_examples("plan", 300, seed=0)}
    with pytest.raises(ValueError, match="tasks: expected some of plan, command, question; got 'dance'"):
        sample_examples("dance", 1, seed=0)


def test_commands_of_all_kinds_are_asked_for_on_the_way():
    examples = sample_examples("command", 600, seed=0)
    assert min(Counter(parse_command(example.answer) for example in examples).values()) > 20
    assert 100 < sum(bool(example.state.held) for example in examples) < 500


@pytest.mark.parametrize("pursued", [False, True])
@pytest.mark.parametrize("held_out", [False, True])
def test_states_on_the_way_are_held_out_too(held_out, pursued):
    for turns in sample_conversations(TASKS, 300, seed=0, held_out=held_out, pursued=pursued):
        assert is_held_out(turns[0].state) == held_out


def test_goals_that_are_pursued_are_met_when_they_are_reached_too():
    def standing_towers(**kind):
        asked = [turns[0] for turns in sample_conversations(("plan",), 1500, seed=0, **kind)]
        return sum(one.answer == "stop" and one.goal.instruction.startswith("stack") for one in asked if one.goal)

    assert standing_towers() <= 5
    assert standing_towers(pursued=True) >= 25


def test_a_conversation_is_about_one_state():
    tasks = ("plan", "command", "question", "question")
    orders = set()
    for turns in sample_conversations(tasks, 300, seed=0):
        assert len({example.state for example in turns}) == 1
        kinds = [example.prompt.split()[-2] for example in turns]
        assert kinds.count("answer") == 2
        orders.add(tuple(kinds))
        assert ("plan" in kinds) == (turns[0].state.held is None)
        assert all(example.is_solved_by(example.answer) for example in turns)
    assert len(orders) > 10
    first = make_plan(STATE, put("red", "green"))
    assert first.as_next_turn() == ". instruction : put red on green . plan :"
    with pytest.raises(ValueError, match="got none"):
        sample_conversations((), 1, seed=0)


def test_a_negative_count_is_refused():
    assert observed(0) == ""
    with pytest.raises(ValueError, match="count: expected at least 0, got -1"):
        observed(-1)


def test_plans_that_are_not_given_away_need_a_look():
    examples = sample_examples("plan", 200, seed=0, least_moves=2, given_away=False)
    assert len(examples) == 200
    assert examples[:50] == sample_examples("plan", 50, seed=0, least_moves=2, given_away=False)
    for example in examples:
        named = write_plan([Move(*pair) for pair in example.goal.pairs])
        assert not example.is_solved_by(named)
        assert max(map(len, example.state.stacks)) > 1
    others = sample_examples("plan", 200, seed=0, least_moves=2)
    given = [example for example in others if gives_away(example.goal, example.state)]
    assert 40 < len(given) < 120
    assert all(example.is_solved_by(write_plan([Move(*p) for p in example.goal.pairs])) for example in given)


def test_unguessable_plans_move_a_block_that_is_not_named():
    examples = sample_unguessable(150, seed=3)
    assert len(examples) == 150
    assert examples[:30] == sample_unguessable(30, seed=3)
    for example in examples:
        moved = [move.block for move in parse_plan(example.answer)]
        assert len(moved) >= 2
        assert set(moved) - set(example.prompt.split())
        assert is_held_out(example.state)
