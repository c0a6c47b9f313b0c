"""PaLM-E's weights: what their cards say can be measured again, and a short run reaches what it reached before."""

import pytest
import torch

from embedcourse.checkpoints import RECIPES, make, verify
from embedcourse.checkpoints.palm_e import (
    CONVERSATION,
    TEXT_ROUNDS,
    load_language_model,
    load_palm_e,
    measured_examples,
    untrained_language_model,
)
from embedcourse.models.palm_e_blocks import answers, decider
from embedcourse.world.blocks.examples import sample_conversations
from embedcourse.world.blocks.language import parse_plan
from embedcourse.world.blocks.loops import closed_loop
from embedcourse.world.blocks.states import is_held_out

NAMES = ("palm_e_language_model", "palm_e_picture_encoder")


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_weights_are_as_good_as_their_card_says(name):
    model = load_language_model() if name == "palm_e_language_model" else load_palm_e().encoders["picture"]
    assert not model.training
    assert RECIPES[name].measure(model) == pytest.approx(verify(name).metrics, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_a_short_run_reaches_what_the_card_says_of_it(name, tmp_path):
    card = verify(name)
    again = make(RECIPES[name], tmp_path, steps=card.small_steps)
    assert again.metrics == pytest.approx(
        card.small_metrics, abs=0.05 if torch.__version__.startswith(card.torch) else 0.2
    )
    assert verify(name, tmp_path) == again


def test_both_plan_for_arrangements_that_were_never_met():
    examples = measured_examples()
    learned_from = {
        turns[0].state.canonical() for turns in sample_conversations(CONVERSATION, 2000, seed=TEXT_ROUNDS[0].seed)
    }
    assert all(is_held_out(example.state) for task in ("plan", "question") for example in examples[task])
    assert not learned_from & {example.state.canonical() for example in examples["plan"]}
    assert min(len(parse_plan(example.answer)) for example in examples["plan"]) == 2
    model, plans = load_palm_e(), examples["plan"][:50]
    for sense, least in ((None, 49), ("picture", 48)):
        right = [example.is_solved_by(said) for example, said in zip(plans, answers(model, plans, sense), strict=True)]
        assert sum(right) >= least


def test_a_model_that_looks_again_before_every_move_knows_when_it_is_done():
    plans = measured_examples()["plan"][:50]
    states, goals = [example.state for example in plans], [example.goal for example in plans]
    for sense, least in ((None, 49), ("picture", 48)):
        runs = closed_loop(decider(load_palm_e(), sense), states, goals)
        assert sum(goal.holds(run[-1]) for goal, run in zip(goals, runs, strict=True)) >= least


def test_the_table_of_words_is_stored_once_and_shared():
    model = load_language_model()
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert "lm_head.weight" not in model.state_dict()
    other = untrained_language_model()
    other.load_state_dict(model.state_dict())
    assert other.lm_head.weight is other.get_input_embeddings().weight
    assert torch.equal(other.lm_head.weight, model.lm_head.weight)


def test_the_language_model_is_frozen_and_the_encoder_is_not():
    model = load_palm_e()
    assert not any(parameter.requires_grad for parameter in model.language_model.parameters())
    assert all(parameter.requires_grad for parameter in model.encoders.parameters())
    assert sum(verify(name).bytes for name in NAMES) < 3_000_000
