"""Answers are compared in the order type, shape, dtype, value, and NaN is never right."""

import numpy as np
import pytest
import torch

from embedcourse.checks.compare import Close, SameSets, ShareRight, alike

T = torch.tensor


@pytest.mark.parametrize(
    ("expected", "got", "kind"),
    [
        (T([1.0, 2.0]), T([1.0, 2.0]), None),
        (T([1.0, 2.0]), T([1.0, 2.0], dtype=torch.float64), None),
        (T([1.0]), T([1.0 + 1e-6]), None),
        (T([1.0]), T([1.01]), "value"),
        (T([1.0]), T([[1.0]]), "shape"),
        (T([1.0]), [1.0], "type"),
        (T([1.0]), T([1]), "dtype"),
        (T([1]), T([1.0]), "dtype"),
        (T([float("nan")]), T([float("nan")]), "value"),
        (1, 1, None),
        (1, np.int64(1), None),
        (1, 1.0, "dtype"),
        (1, True, "type"),
        (1.0, 1, None),
        (1.0, np.float32(1), None),
        (1.0, T(1.0), "type"),
        (1.0, float("nan"), "value"),
        (float("nan"), float("nan"), "value"),
        ("a", "a", None),
        ("a", "b", "value"),
        ("a", None, "type"),
        (True, True, None),
        (True, 1, "type"),
        (None, None, None),
        ([1, 2], (1, 2), None),
        ([1, 2], [1], "shape"),
        ([1, 2], [1, 3], "value"),
        ([1, 2], 1, "type"),
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": 2}, "value"),
        ({"a": 1}, {"b": 1}, "shape"),
        ({"a": 1}, [1], "type"),
    ],
)
def test_the_first_difference(expected, got, kind):
    difference = Close()(expected, got)
    assert (difference.kind if difference else None) == kind


def test_dtype_matters_only_when_asked():
    assert Close(dtype=True)(T([1.0]), T([1.0], dtype=torch.float64)).kind == "dtype"


def test_an_oracle_of_an_unknown_type_is_an_error():
    with pytest.raises(TypeError, match="oracle returned a set"):
        Close()({1}, {1})


def test_sets_do_not_mind_order():
    assert SameSets()(T([[1, 2], [3, 4]]), T([[2, 1], [3, 4]])) is None
    assert SameSets()(T([[1, 2]]), T([[1, 3]])).kind == "value"
    assert SameSets()(T([[1, 2]]), T([1, 2])).kind == "shape"


@pytest.mark.parametrize(
    ("got", "kind"),
    [
        (T([1, 2, 3, 4]), None),
        (T([1, 2, 3, 0]), None),
        (T([1, 2, 0, 0]), "value"),
        (T([4, 3, 2, 1]), "value"),
        (T([1, 2, 3]), "shape"),
        (T([1.0, 2.0, 3.0, 4.0]), "dtype"),
        ([1, 2, 3, 4], "type"),
    ],
)
def test_predictions_need_only_be_right_often_enough(got, kind):
    difference = ShareRight(0.75)(T([1, 2, 3, 4]), got)
    assert (difference.kind if difference else None) == kind


def test_too_few_right_predictions_are_counted():
    assert ShareRight(0.7)(T([1, 2, 3]), T([1, 2, 0])).detail == "2 of 3 predictions are right, and 3 are needed"


def test_an_object_that_equals_everything_is_no_answer():
    class Liar:
        def __eq__(self, other):
            return True

        __hash__ = None

    for expected in (T([1.0]), 1, 1.0, "a", [1], {"a": 1}, True, None):
        assert Close()(expected, Liar()) is not None


def test_alike_looks_through_types_but_not_shapes():
    assert alike(T([1.0, 2.0]), [1, 2])
    assert alike(T([float("nan")]), [float("nan")])
    assert alike([T([1.0]), "a"], [np.ones(1), "a"])
    assert alike({"a": 1}, {"a": 1.0})
    assert not alike(T([1.0]), T([[1.0]]))
    assert not alike(None, 0)
    assert not alike([1, [2, 3]], [1, 2])
    assert not alike("a", "b")


def test_types_are_named_with_their_article():
    says = [Close()(torch.zeros(2), got).detail for got in (3, 3.0, None, [1])]
    assert says == [
        "expected a tensor, got an int",
        "expected a tensor, got a float",
        "expected a tensor, got None (is a return missing?)",
        "expected a tensor, got a list",
    ]


@pytest.mark.parametrize("expected", [3, 0.5])
def test_a_whole_number_that_no_float_can_hold_is_a_wrong_value(expected):
    for huge in (10**400, -(10**5000)):
        difference = Close()((expected,), (huge,))
        assert difference.kind == "value"
        assert not alike((expected,), (huge,))
