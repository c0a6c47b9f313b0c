"""PaLM-E in the blocks world: what is fed in for each sense, what is learned from, and how answers are judged."""

import pytest
import torch

from embedcourse.models import palm_e_blocks
from embedcourse.models.palm_e import IGNORED, answer_loss, small_language_model
from embedcourse.models.palm_e_blocks import (
    SENSES,
    answers,
    blocks_palm_e,
    camera,
    decider,
    reached,
    sense_loss,
    success,
    text_loss,
    training_tables,
)
from embedcourse.world.blocks.examples import TASKS, sample_conversations, sample_examples, sample_unguessable
from embedcourse.world.blocks.goals import plan
from embedcourse.world.blocks.language import END, OBSERVATION, PAD, VOCABULARY, decode, encode, write_plan
from embedcourse.world.blocks.loops import closed_loop, open_loop, slips, stranger
from embedcourse.world.blocks.states import State, sample_states
from embedcourse.world.blocks.views import render_side

PLANS = sample_examples("plan", 12, seed=0)
CONVERSATIONS = sample_conversations(TASKS, 6, seed=0)


@pytest.fixture
def model(device):
    torch.manual_seed(0)
    return blocks_palm_e(small_language_model(len(VOCABULARY), width=16, layers=1), *SENSES).to(device).eval()


@pytest.mark.parametrize("sense", SENSES)
def test_every_sense_has_as_many_places_as_tokens(model, device, sense):
    states = sample_states(3, seed=0)
    tokens = model.encode(sense, SENSES[sense].observe(states).to(device))
    assert tokens.shape[2] == 16
    for state in states:
        words = SENSES[sense].sentence(state).split()
        assert words.count(OBSERVATION) == tokens.shape[1]
        assert encode(" ".join(words))


def test_an_object_is_named_before_its_token():
    state = State((("red", "blue"), (), ("green",), ()), 2)
    assert SENSES["slots"].sentence(state) == (
        "red <observation> green <observation> blue <observation> yellow <observation> purple <observation> "
        "orange <observation> cyan <observation> pink <observation> . gripper three"
    )


def test_an_unknown_sense_is_refused(model):
    for call in (
        lambda: blocks_palm_e(model.language_model, "smell"),
        lambda: training_tables([PLANS[:1]], "smell"),
        lambda: answers(model, PLANS, "smell"),
    ):
        with pytest.raises(ValueError, match="sense: expected one of picture, depth, state, slots, blind; got 'smell'"):
            call()


def test_tables_are_the_sentences():
    tokens, labels = training_tables([[example] for example in PLANS])
    for example, row, label in zip(PLANS, tokens.tolist(), labels.tolist(), strict=True):
        assert decode(row) == f"{example.in_words()} {example.answer} {END}"
        assert decode(token for token in label if token != IGNORED) == f"{example.answer} {END}"


def test_a_conversation_is_one_row_and_one_observation():
    pictures, tokens, labels = training_tables(CONVERSATIONS, "picture")
    assert torch.equal(pictures, render_side([turns[0].state for turns in CONVERSATIONS]))
    for turns, row, label in zip(CONVERSATIONS, tokens.tolist(), labels.tolist(), strict=True):
        assert row.count(encode(OBSERVATION)[0]) == 24
        said = " ".join(f"{example.prompt} {example.answer} {END}" for example in turns)
        assert decode(row) == f"state : {24 * f'{OBSERVATION} '}" + said.replace("state : {seen} ", "")
        assert [VOCABULARY[token] for token in label if token > 0].count(END) == len(turns)


def test_the_loss_is_that_of_the_sentences(model, device):
    tables = [table.to(device) for table in training_tables(CONVERSATIONS)]
    expected = answer_loss(model(tables[0], torch.zeros(0, 16, device=device)), tables[1])
    torch.testing.assert_close(text_loss(model, *tables), expected)
    more = [torch.nn.functional.pad(table, (0, 5), value=value) for table, value in zip(tables, (0, -100), strict=True)]
    torch.testing.assert_close(text_loss(model, *more), expected)


@pytest.mark.parametrize("sense", SENSES)
def test_the_loss_reads_what_the_sense_gives(model, device, sense):
    observed, tokens, labels = (table.to(device) for table in training_tables(CONVERSATIONS, sense))
    expected = answer_loss(model(tokens, model.encode(sense, observed).flatten(0, 1)), labels)
    torch.testing.assert_close(sense_loss(sense)(model, observed, tokens, labels), expected)
    other = sense_loss(sense, lambda x: 1 - x)(model, observed, tokens, labels)
    assert other.item() != pytest.approx(expected.item(), abs=1e-6)


def test_observations_meet_their_own_sentences(model, device):
    """Whatever else is in the batch, and however it is cut, an answer is the same."""
    for sense in (None, "slots"):
        together = answers(model, PLANS[:4], sense)
        assert answers(model, PLANS[3::-1], sense, at_once=3) == together[::-1]


def test_a_camera_moves_pictures_by_a_pixel_at_most():
    torch.manual_seed(0)
    pictures = torch.zeros(200, 1, 32, 32)
    pictures[:, :, 15:18, 15:18] = 0.8
    taken = camera(pictures)
    assert taken.shape == pictures.shape
    assert taken.min() >= 0
    assert taken.max() <= 1
    assert (taken[:, :, 16, 16] > 0.4).all()  # three pixels wide, so that the middle stays in it
    assert taken[:, :, :13].max() < 0.3
    up, left = taken[:, 0, 14, 16] > 0.4, taken[:, 0, 16, 14] > 0.4
    assert all(60 * 0.5 < moved.sum() < 67 * 1.5 for moved in (up, left))  # one in three each
    assert taken[:, 0, 16, 16].std() > 0.05  # brightness


def test_success_is_the_share_that_the_simulator_accepts(model, monkeypatch):
    said = [example.answer for example in PLANS[:9]] + ["move red", "", "yes"]
    monkeypatch.setattr("embedcourse.models.palm_e_blocks.answers", lambda *_: said)
    assert success(model, PLANS) == 9 / 12
    with pytest.raises(ValueError, match="examples: expected at least one"):
        success(model, [])


def test_a_decider_asks_for_the_task(model, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "embedcourse.models.palm_e_blocks.answers", lambda model, examples, sense: asked.extend(examples) or ["stop"]
    )
    state, goal = PLANS[0].state, PLANS[0].goal
    for task in ("plan", "command"):
        assert decider(model, "picture", task=task)([state], [goal]) == ["stop"]
    assert asked[0].in_words() == PLANS[0].in_words()
    assert asked[1].in_words().endswith("command :")
    with pytest.raises(ValueError, match="task: expected"):
        decider(model, task="question")([state], [goal])


def test_the_three_special_tokens_are_the_languages(model):
    assert [VOCABULARY[token] for token in (model.pad, model.placeholder, model.end)] == [PAD, OBSERVATION, END]


def knowing(_model, _sense, *, task):
    """In the place of the model: who plans from the truth, as it is when asked."""
    return lambda states, goals: [write_plan(plan(state, goal)) for state, goal in zip(states, goals, strict=True)]


def test_who_knows_the_way_arrives_where_it_looks_again(model, monkeypatch):
    monkeypatch.setattr(palm_e_blocks, "decider", knowing)
    plans = sample_unguessable(6, seed=3)
    assert reached(open_loop, model, plans) == 1
    assert reached(closed_loop, model, plans, disturbance=stranger) == 1
    assert reached(closed_loop, model, plans, disturbance=slips) == 1
    assert reached(closed_loop, model, plans, most=1) == 0  # all plans have two moves or more
