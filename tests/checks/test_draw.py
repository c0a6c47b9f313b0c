"""Numbers that inputs are made of: within their range, its ends among them, and the same from the same generator."""

import torch

from embedcourse.checks.draw import draw_int, draw_number


def test_whole_numbers_reach_both_ends():
    g = torch.Generator().manual_seed(0)
    assert {draw_int(g, 3, 5) for _ in range(100)} == {3, 4, 5}
    assert draw_int(g, 7, 7) == 7


def test_numbers_lie_between_and_follow_the_generator():
    first, again = (
        [draw_number(g, -2.0, 1.0) for _ in range(200)] for g in (torch.Generator().manual_seed(1) for _ in range(2))
    )
    assert first == again
    assert -2 <= min(first) < -1.9
    assert 0.9 < max(first) < 1
