"""The small language: every sentence has tokens, plans come back from words, and answers are true."""

import random
from collections import Counter

import pytest

from embedcourse.world.blocks.goals import plan, put, sample_goals
from embedcourse.world.blocks.gripper import COMMANDS
from embedcourse.world.blocks.language import (
    END,
    OBSERVATION,
    PAD,
    VOCABULARY,
    ask,
    decode,
    describe,
    encode,
    parse_command,
    parse_plan,
    write_command,
    write_plan,
)
from embedcourse.world.blocks.states import Move, State, sample_states

STATE = State((("red", "blue"), (), ("green",), ()), 1)


def test_descriptions_by_hand():
    assert describe(STATE) == "one blue on red , three green . gripper two holds nothing"
    assert describe(State(((), (), (), ()), 3, "red")) == "empty . gripper four holds red"


def test_descriptions_tell_states_apart():
    states = set(sample_states(500, seed=0))
    assert len({describe(state) for state in states}) == len(states)


def test_every_sentence_has_tokens_and_comes_back():
    states = sample_states(300, seed=0)
    dice = random.Random(0)
    for state, goal in zip(states, sample_goals(states, seed=0), strict=True):
        for text in (describe(state), goal.instruction, write_plan(plan(state, goal)), *ask(state, dice), *COMMANDS):
            assert decode(encode(text)) == text
    assert decode(encode(f"{OBSERVATION} plan {END} {PAD}")) == f"{OBSERVATION} plan {END}"
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    with pytest.raises(ValueError, match="'hello', 'world'"):
        encode("put hello on world")


def test_plans_come_back_from_words():
    moves = [Move("blue", "table"), Move("red", "green")]
    assert write_plan(moves) == "move blue to table ; move red to green"
    assert parse_plan(write_plan(moves)) == moves
    assert parse_plan(write_plan([])) == []


@pytest.mark.parametrize("text", ["", "move red", "put red on blue", "move red to table ;", "move table to red"])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(ValueError, match="text: expected moves"):
        parse_plan(text)


def test_commands_say_the_move_and_the_way_first_and_come_back_from_words():
    state, goal = State((("red", "blue"), (), ("green",), ()), 2), put("red", "green")
    said = write_command(state, goal)
    assert said == "move blue to table : gripper three , blue one : left"
    assert decode(encode(said)) == said
    assert parse_command(said) == parse_command("left") == "left"
    held = State((("red",), (), ("green",), ()), 1, "blue")
    assert write_command(held, goal) == "move blue to table : gripper two , table two : place"
    assert write_command(state, put("blue", "red")) == parse_command("stop") == "stop"
    with pytest.raises(ValueError, match=r"text: expected a command such as .*got 'move blue to table'"):
        parse_command("move blue to table")


def truth(state, question):
    """The answer, worked out from the tower lists alone."""
    words = question.split()
    towers = [list(stack) for stack in state.stacks if stack]
    place = {block: (number, level) for number, tower in enumerate(towers) for level, block in enumerate(tower)}
    names = ["no", "one", "two", "three", "four"]
    if words[:2] == ["how", "many"]:
        return names[len(towers) if words[2] == "stacks" else len(place)]
    number, level = place[words[3] if words[0] == "what" else words[1]]
    if words[0] == "is":
        other, other_level = place[words[3]]
        return "yes" if number == other and level > other_level else "no"
    wanted = level + (1 if words[2] == "on" else -1)
    found = {position: block for block, position in place.items()}.get((number, wanted))
    return found or ("nothing" if words[2] == "on" else "table")


def test_answers_are_true_and_all_kinds_are_asked():
    dice, kinds = random.Random(1), Counter()
    for state in sample_states(400, seed=2):
        question, answer = ask(state, dice)
        assert answer == truth(state, question)
        kinds[question.split()[0], question.split()[2]] += 1
    assert min(count for kind, count in kinds.items() if kind[0] != "is") > 40
    with pytest.raises(ValueError, match="two standing blocks"):
        ask(State((("red",), (), (), ())), dice)
