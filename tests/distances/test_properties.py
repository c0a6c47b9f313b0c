"""What must hold for all points: the axioms of a metric, and what each measure does not notice."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from embedcourse.distances import (
    cosine_similarity,
    euclidean,
    hamming,
    mahalanobis,
    manhattan,
    negative_arc_length,
    pack_bits,
    packed_hamming,
)

COVARIANCE = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 0.7]], dtype=torch.float64)


def arc_distance(x, y):
    return 1 - negative_arc_length(x, y)


def packed(x, y):
    return packed_hamming(pack_bits(x > 0), pack_bits(y > 0))


METRIC_SPACES = {
    "hamming": hamming,
    "packed_hamming": packed,
    "manhattan": manhattan,
    "euclidean": euclidean,
    "mahalanobis": lambda x, y: mahalanobis(x, y, COVARIANCE),
    "arc length": arc_distance,
}
numbers = st.integers(-50, 50).map(lambda number: number / 4)


def triples(d=3):
    return arrays(float, (3, d), elements=numbers).map(torch.from_numpy)


@pytest.fixture(params=METRIC_SPACES, scope="module")
def distance(request):
    return METRIC_SPACES[request.param]


@given(triples())
def test_symmetric_and_not_negative(distance, points):
    x, y, _ = points
    assert distance(x, y) == pytest.approx(distance(y, x).item(), rel=1e-12)
    assert distance(x, y) >= 0


@given(triples())
def test_zero_to_itself(distance, points):
    x = points[0] if points[0].any() else points[0] + 1  # the zero vector has no direction
    assert distance(x, x) == 0


@given(triples())
def test_no_detour_is_shorter(distance, points):
    x, y, z = points
    assert distance(x, z) <= distance(x, y) + distance(y, z) + 1e-12


@given(triples())
def test_different_points_are_apart(points):
    x, y, _ = points
    for distance in (hamming, manhattan, euclidean, METRIC_SPACES["mahalanobis"]):
        assert (distance(x, y) > 0) == (not torch.equal(x, y))


@given(triples())
def test_orders_of_the_norms(points):
    x, y, _ = points
    assert euclidean(x, y) <= manhattan(x, y) + 1e-12
    assert manhattan(x, y) <= 3**0.5 * euclidean(x, y) + 1e-12


@given(triples(), st.integers(-100, 100))
def test_moving_both_points_changes_no_difference(points, step):
    x, y, _ = points
    for distance in (hamming, manhattan, euclidean, METRIC_SPACES["mahalanobis"]):
        assert distance(x + step, y + step) == pytest.approx(distance(x, y).item(), rel=1e-12)


@given(triples(), st.floats(1e-3, 1e3))
def test_length_does_not_matter_to_the_angle(points, factor):
    x, y, _ = points
    for similarity in (cosine_similarity, negative_arc_length):
        assert similarity(factor * x, y) == pytest.approx(similarity(x, y).item(), rel=1e-9, abs=1e-9)


@given(triples(), st.floats(1e-3, 1e3))
def test_distances_scale_with_their_points(points, factor):
    x, y, _ = points
    for distance in (manhattan, euclidean, METRIC_SPACES["mahalanobis"]):
        assert distance(factor * x, factor * y) == pytest.approx(factor * distance(x, y).item(), rel=1e-9)


@given(triples(), st.integers(0, 2**32 - 1))
def test_turning_the_axes(points, seed):
    """Rotations leave lengths and angles alone; along the streets of a turned grid the way is another one."""
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))).Q
    x, y, _ = points
    for measure in (euclidean, cosine_similarity, negative_arc_length):
        assert measure(x @ rotation, y @ rotation) == pytest.approx(measure(x, y).item(), rel=1e-9, abs=1e-7)


def test_manhattan_notices_a_rotation():
    half = 0.5**0.5
    rotation = torch.tensor([[half, half], [-half, half]])
    x, y = torch.tensor([1.0, 0.0]), torch.zeros(2)
    assert manhattan(x, y).item() == 1
    assert manhattan(x @ rotation, y @ rotation).item() == pytest.approx(2**0.5)


@given(triples(), st.permutations(range(3)))
def test_the_order_of_the_features_does_not_matter(points, order):
    x, y, _ = points
    for measure in (hamming, manhattan, euclidean, cosine_similarity, negative_arc_length):
        assert measure(x[order], y[order]) == pytest.approx(measure(x, y).item(), rel=1e-12, abs=1e-12)


@given(triples())
def test_hamming_sees_only_whether_values_are_equal(points):
    x, y, _ = points
    assert hamming(x, y) == hamming(torch.exp(x / 4), torch.exp(y / 4))


@given(triples(), st.integers(0, 2**32 - 1))
def test_mahalanobis_does_not_notice_a_change_of_coordinates(points, seed):
    change = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    change = change + 4 * torch.eye(3, dtype=torch.float64)
    x, y, _ = points
    turned = mahalanobis(x @ change.T, y @ change.T, change @ COVARIANCE @ change.T)
    assert turned == pytest.approx(mahalanobis(x, y, COVARIANCE).item(), rel=1e-6)


@given(triples())
def test_ranges_of_the_similarities(points):
    x, y, _ = points
    assert -1 <= cosine_similarity(x, y) <= 1
    assert 0 <= negative_arc_length(x, y) <= 1
    opposite = negative_arc_length(x, -y)
    assert opposite == pytest.approx(1 - negative_arc_length(x, y).item(), abs=1e-12)
