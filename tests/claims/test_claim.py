"""A claim is a range, and a claim that claims nothing is refused."""

import math

import pytest

from embedcourse.claims import Claim


@pytest.mark.parametrize(
    ("claim", "inside", "outside"),
    [
        (Claim("a", at_least=0.7), (0.7, 1.0), (0.6999, -1.0, math.nan)),
        (Claim("a", at_most=0.7), (0.7, -1.0), (0.7001, math.nan)),
        (Claim("a", at_least=0.2, at_most=0.4), (0.2, 0.3, 0.4), (0.19, 0.41, math.nan)),
        (Claim("a", at_least=0.0), (0.0,), (-1e-9,)),
    ],
)
def test_it_holds_in_its_range_ends_included(claim, inside, outside):
    assert all(map(claim.holds, inside))
    assert not any(map(claim.holds, outside))


def test_the_range_is_written_as_it_was_given():
    ranges = Claim("a", at_least=0.72), Claim("a", at_most=0.5), Claim("a", at_least=0.2, at_most=0.4)
    assert [claim.range for claim in ranges] == ["≥ 0.72", "≤ 0.5", "0.2 to 0.4"]


def test_a_claim_of_nothing_and_an_empty_range_are_refused():
    with pytest.raises(ValueError, match="'a' claims nothing: give at_least or at_most"):
        Claim("a", paper="0.9")
    with pytest.raises(ValueError, match=r"'a': at_least is 0.5, above at_most, which is 0.4"):
        Claim("a", at_least=0.5, at_most=0.4)
