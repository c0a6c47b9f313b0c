"""A task draws its inputs afresh, the same for the same seed."""

from dataclasses import replace

import pytest
import torch

from embedcourse.checks.task import Regime


def test_one_seed_one_input_and_other_seeds_others(lengths):
    one, same, other = (lengths.cases(seed)[0].arguments[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_one_more_regime_does_not_change_the_inputs_of_the_others(lengths):
    more = replace(lengths, regimes=(Regime("new", lambda g: (torch.rand(2, 2, generator=g),)), *lengths.regimes))
    assert torch.equal(lengths.cases(seed=1)[0].arguments[0], more.cases(seed=1)[1].arguments[0])


def test_there_is_one_case_a_regime_and_one_large_one(lengths):
    assert [case.regime for case in lengths.cases(0)] == [regime.name for regime in lengths.regimes]
    assert lengths.large_case(0).arguments[0].shape == (2000, 20)
    with pytest.raises(ValueError, match=r"toy\.lengths has no limits"):
        replace(lengths, at_size=None).large_case(0)
