"""What is written down of one call."""

import numpy as np
import pytest
import torch

from embedcourse.checks.answer import ask, unchanged
from embedcourse.checks.task import Case

T = torch.tensor


def case(*arguments: object) -> Case:
    return Case("any", arguments, seed=1)


def test_a_random_function_is_asked_from_the_same_state(lengths):
    case = lengths.cases(0)[0]
    before = torch.random.get_rng_state()
    assert torch.equal(ask(torch.rand_like, case).value, ask(torch.rand_like, case).value)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_function_gets_copies():
    x = T([1.0, 2.0])
    answer = ask(lambda x: x.mul_(2), case(x))
    assert answer.changed == (0,)
    assert x.tolist() == [1, 2]


def test_an_error_is_kept_with_its_classes_and_line():
    def breaks(x):
        return x["key"]

    raised = ask(breaks, case(T([1.0]))).raised
    assert raised.types[:2] == ("IndexError", "LookupError")
    assert raised.line == 'return x["key"]'
    assert str(raised).startswith("IndexError: ")


def test_leaving_the_program_is_an_answer_but_an_interrupt_is_not():
    def interrupted(x):
        raise KeyboardInterrupt

    assert ask(lambda x: exit(3), case(1)).raised.types[0] == "SystemExit"
    with pytest.raises(KeyboardInterrupt):
        ask(interrupted, case(1))


def test_gradients_are_those_of_a_fixed_weighted_sum():
    x = T([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    (slope,) = ask(lambda x: x.square().sum(1), case(x), gradients=(0,)).gradients
    assert torch.allclose(slope, 2 * x * T([[1.0], [2.0]]))
    assert ask(lambda x: x.detach(), case(x), gradients=(0,)).gradients == (None,)
    assert not x.requires_grad


def test_the_largest_tensor_is_measured_and_views_cost_nothing():
    x = torch.zeros(100, 10)
    small = ask(lambda x: x.expand(1000, 100, 10)[:2].sum(), case(x), measure=True)
    large = ask(lambda x: (x[:, None] - x[None]).sum(), case(x), measure=True)
    assert small.largest_bytes == x.nbytes
    assert large.largest_bytes == 100 * x.nbytes


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (T([1.0, float("nan")]), T([1.0, float("nan")]), True),
        (T([1.0]), T([2.0]), False),
        (T([1.0]), T([1.0], dtype=torch.float64), False),
        (np.ones(2), np.ones(2), True),
        (np.ones(2), np.zeros(2), False),
        ([T([1]), "a"], [T([1]), "a"], True),
        ([1, 2], [1], False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ("a", "a", True),
    ],
)
def test_a_changed_argument_is_noticed(before, after, same):
    assert unchanged(before, after) is same


def test_what_is_measured_runs_on_one_thread(lengths):
    threads, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        ask(lambda x: seen.append(torch.get_num_threads()), lengths.large_case(seed=0), measure=True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert seen == [1]
