"""Each kind of fault is found, in its order, and wrong ideas are recognised."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from embedcourse.checks.answer import ask
from embedcourse.checks.compare import ShareRight
from embedcourse.checks.judge import exam_of, examine, judge, show

from .conftest import guarded


def right(x):
    return guarded(x).square().sum(1).sqrt()


def test_a_right_function_passes_and_hears_why(lengths):
    verdict = examine(lengths, right, seed=3)
    assert verdict.passed
    assert verdict.message == lengths.why


def slow(x):
    time.sleep(0.6 if len(x) > 1000 else 0)
    return right(x)


def hungry(x):
    torch.zeros(len(x), 300)
    return right(x)


def changes_its_input(x):
    length = right(x)
    x.detach().mul_(2)
    return length


def fails_at_size(x):
    if len(x) > 1000:
        raise MemoryError("too much")
    return right(x)


def detached(x):
    return right(x).detach()


def nan_slope(x):
    return right(x) + (x - x).sum(1).sqrt()


def wrong_slope(x):
    return right(x) * 2 - right(x).detach()


def misspelt(x):
    return rihgt(x)


def leaves(x):
    raise SystemExit(0)


def unwritten(x):
    raise NotImplementedError


def returns_nothing(x):
    guarded(x)


KINDS = {
    "raised": [misspelt, leaves, fails_at_size],
    "unwritten": [unwritten],
    "changed": [changes_its_input],
    "type": [lambda x: right(x).tolist(), lambda x: right(x).detach().numpy(), returns_nothing],
    "shape": [lambda x: right(x)[:, None]],
    "dtype": [lambda x: right(x).long()],
    "value": [lambda x: right(x) + 0.01, lambda x: right(x) * math.nan],
    "gradient": [detached, nan_slope, wrong_slope],
    "slow": [slow],
    "hungry": [hungry],
}


@pytest.mark.parametrize(("kind", "function"), [(k, f) for k, fs in KINDS.items() for f in fs])
def test_every_kind_of_fault_is_found(lengths, kind, function):
    verdict = examine(lengths, function, seed=5)
    assert (verdict.kind, verdict.misconception) == (kind, None)
    assert "toy" not in verdict.message


def test_wrong_ideas_are_named_with_an_example(lengths):
    for idea in lengths.misconceptions:
        verdict = examine(lengths, idea.wrong, seed=11)
        assert verdict.misconception == idea.name
        assert verdict.message.startswith(idea.says)
        assert "For example (" in verdict.message
        assert "lengths(" in verdict.message


def test_an_idea_is_named_whatever_type_holds_it(lengths):
    verdict = examine(lengths, lambda x: guarded(x).square().sum(1).tolist(), seed=2)
    assert verdict.misconception == "squared"


def test_of_two_mistakes_the_one_seen_on_most_inputs_is_named_first(lengths):
    verdict = examine(lengths, lambda x: x.square().sum(-1), seed=2)  # squared, and takes any form
    assert verdict.misconception == "squared"


def test_a_mistake_of_its_own_is_no_known_idea(lengths):
    verdict = examine(lengths, lambda x: guarded(x).square().sum(1) * 3, seed=2)
    assert verdict.misconception is None
    assert "wrong value" in verdict.message


def test_predictions_are_judged_by_how_many_are_right(lengths):
    task = replace(lengths, oracle=lambda x: torch.arange(len(x)), compare=ShareRight(1.0), gradients=(), at_size=None)
    assert examine(task, lambda x: torch.arange(len(x)), seed=0).passed
    verdict = examine(task, lambda x: torch.arange(len(x)).clamp(max=0), seed=0)
    assert verdict.message.endswith(": 1 of 2 predictions are right, and 2 are needed.")


def test_an_error_of_a_class_below_the_wanted_one_will_do(lengths):
    class Mine(ValueError):
        pass

    def mine(x):
        if x.dim() != 2:
            raise Mine
        return right(x)

    assert examine(lengths, mine, seed=0).passed


def test_the_judge_needs_no_learners_code(lengths):
    exam = exam_of(lengths, seed=4)
    answers = [ask(right, case, lengths.gradients) for case in lengths.cases(seed=4)]
    assert judge(exam, answers).passed
    assert not judge(exam, answers[::-1]).passed


def test_the_oracle_and_the_wrong_ideas_are_asked_once_an_exam(lengths):
    asked = []
    task = replace(lengths, oracle=lambda x: asked.append(x) or lengths.oracle(x))
    for _ in range(3):
        examine(task, lambda x: x, seed=6)
    assert len(asked) == len(task.regimes)
    examine(task, lambda x: x, seed=7)
    assert len(asked) == 2 * len(task.regimes)


def test_values_are_shown_short():
    assert show(torch.tensor([1.0, 0.123456])) == "tensor([1, 0.1235])"
    assert show(torch.zeros(30, 2)) == "<tensor of shape (30, 2), float32>"
    assert show(np.arange(3)) == "tensor([0, 1, 2])"
    assert show("a" * 300).endswith("…")
    assert show(["a"] * 100) == "<list of 100: 'a', …>"
    assert show((1,)) == "(1,)"


def test_a_whole_number_that_no_float_can_hold_is_refused_in_words():
    from embedcourse.checks import chapter_tasks

    task = next(task for task in chapter_tasks("hamming") if task.id == "hamming.count")
    verdict = examine(task, lambda x, y: 10**5000 if isinstance(right := task.oracle(x, y), int) else right, 0)
    assert verdict.kind == "value"
    assert verdict.message.endswith("yours gave <int of about 5000 digits>.")
