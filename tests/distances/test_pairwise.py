import math

import numpy as np
import pytest
import scipy.spatial.distance
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import pairwise_distances
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from embedcourse.distances import (
    METRICS,
    GaussianReference,
    cdist,
    cosine_similarity,
    euclidean,
    hamming,
    mahalanobis,
    manhattan,
    nearest,
    negative_arc_length,
    pack_bits,
    packed_hamming,
)
from embedcourse.distances import pairwise as module

COVARIANCE = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 0.7]], dtype=torch.float64)
ONE_PAIR = {
    "hamming": hamming,
    "packed_hamming": packed_hamming,
    "manhattan": manhattan,
    "euclidean": euclidean,
    "mahalanobis": lambda x, y: mahalanobis(x, y, COVARIANCE.to(x)),
    "cosine_similarity": cosine_similarity,
    "negative_arc_length": negative_arc_length,
}
_original_direct = module._direct
SMOOTH = ("euclidean", "mahalanobis", "cosine_similarity", "negative_arc_length")
SIMILARITIES = ("cosine_similarity", "negative_arc_length")


def options_for(metric, like):
    return {"covariance": COVARIANCE.to(like)} if metric == "mahalanobis" else {}


def points(n, metric, generator, dtype=torch.float64, d=3):
    if metric == "packed_hamming":
        return torch.randint(0, 256, (n, d), generator=generator).to(torch.uint8)
    if metric == "hamming":
        return torch.randint(0, 3, (n, d), generator=generator).to(dtype)
    return torch.randn(n, d, dtype=dtype, generator=generator)


class Recorder(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation makes."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.largest = max([self.largest, *sizes])
        return result


# All pairs are what the measure gives for one pair.


@pytest.mark.parametrize("chunk_size", [None, 1, 4, 100])
@pytest.mark.parametrize("metric", METRICS)
def test_every_pair(metric, chunk_size, device, dtype, generator):
    x, y = (points(n, metric, generator, dtype).to(device) for n in (9, 7))
    got = cdist(x, y, metric, chunk_size=chunk_size, **options_for(metric, x))
    expected = torch.stack([torch.stack([ONE_PAIR[metric](a, b) for b in y]) for a in x])
    torch.testing.assert_close(got, expected, rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=1e-7)
    assert got.dtype == expected.dtype


@pytest.mark.parametrize("metric", METRICS)
def test_without_y_it_is_x(metric, device, dtype, generator):
    x = points(40, metric, generator, dtype).to(device)
    got = cdist(x, metric=metric, **options_for(metric, x))
    assert torch.equal(got, cdist(x, x.clone(), metric, **options_for(metric, x)))
    if metric not in SIMILARITIES:
        assert (got.diagonal() == 0).all()
    else:
        torch.testing.assert_close(got.diagonal(), torch.ones_like(got.diagonal()))
        assert got.max() <= 1


@pytest.mark.parametrize(
    ("alias", "metric"),
    [
        ("cityblock", "manhattan"),
        ("l1", "manhattan"),
        ("l2", "euclidean"),
        ("cosine", "cosine_similarity"),
        ("arc", "negative_arc_length"),
    ],
)
def test_aliases(alias, metric, generator):
    x = points(5, metric, generator)
    assert torch.equal(cdist(x, metric=alias), cdist(x, metric=metric))


def test_options(device, generator):
    x = torch.randint(0, 3, (6, 3), generator=generator).to(device, torch.float64)
    torch.testing.assert_close(cdist(x, metric="hamming", normalize=True), hamming(x[:, None], x, normalize=True))
    torch.testing.assert_close(cdist(x, squared=True), euclidean(x[:, None], x, squared=True))
    covariance = COVARIANCE.to(x)
    torch.testing.assert_close(
        cdist(x, metric="mahalanobis", squared=True, covariance=covariance),
        mahalanobis(x[:, None], x, covariance, squared=True),
    )


# Other libraries agree.


@pytest.mark.parametrize("d", [1, 3, 64])
@pytest.mark.parametrize(("metric", "scipys"), [("manhattan", "cityblock"), ("euclidean", "euclidean")])
def test_is_scipys(metric, scipys, d, device, generator):
    x, y = (points(n, metric, generator, d=d) + 5 for n in (60, 50))
    expected = scipy.spatial.distance.cdist(x, y, scipys)
    np.testing.assert_allclose(cdist(x.to(device), y.to(device), metric).cpu(), expected, rtol=1e-10)


def test_cosine_and_arc_are_scipys(device, generator):
    x, y = (points(n, "cosine", generator, d=64) for n in (60, 50))
    expected = 1 - scipy.spatial.distance.cdist(x, y, "cosine")
    x, y = x.to(device), y.to(device)
    np.testing.assert_allclose(cdist(x, y, "cosine").cpu(), expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(cdist(x, y, "arc").cpu(), 1 - np.arccos(expected) / np.pi, rtol=1e-10)


def test_mahalanobis_is_scipys(device, generator):
    x, y = (points(n, "mahalanobis", generator, d=8) @ points(8, "l2", generator, d=8) for n in (60, 50))
    covariance = GaussianReference().fit(torch.cat([x, y])).covariance
    expected = scipy.spatial.distance.cdist(x, y, "mahalanobis")  # estimates the same covariance itself
    got = cdist(x.to(device), y.to(device), "mahalanobis", covariance=covariance.to(device))
    np.testing.assert_allclose(got.cpu(), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_hamming_is_scipys(kind, device, generator):
    x, y = (torch.randint(0, 2, (n, 70), generator=generator).to(kind) for n in (30, 20))
    expected = scipy.spatial.distance.cdist(x.numpy(), y.numpy(), "hamming")
    got = cdist(x.to(device), y.to(device), "hamming")
    assert got.dtype == torch.int64
    np.testing.assert_allclose(got.cpu() / 70, expected, rtol=1e-6)
    if kind == torch.bool:
        assert torch.equal(got, cdist(pack_bits(x).to(device), pack_bits(y).to(device), "packed_hamming"))


@pytest.mark.parametrize("offset", [0.0, 10.0, 1000.0])
@pytest.mark.parametrize("spread", [1.0, 1e-4])
def test_float32_is_at_least_as_exact_as_every_peer(offset, spread, device, generator):
    clusters = torch.randn(5, 1, 48, generator=generator) + spread * torch.randn(5, 20, 48, generator=generator)
    x = (clusters + offset).flatten(0, 1)
    truth = scipy.spatial.distance.cdist(x.double(), x.double())
    others = truth > 0

    def largest_error(got):
        return (np.abs(np.asarray(got, dtype=np.float64) - truth)[others] / truth[others]).max()

    peers = [torch.cdist(x, x, compute_mode=f"{mode}use_mm_for_euclid_dist") for mode in ("", "donot_")]
    best = min(largest_error(peer) for peer in [*peers, pairwise_distances(x.numpy())])
    mine = largest_error(cdist(x.to(device)).cpu())
    assert mine <= max(best, torch.finfo(torch.float32).eps)
    if device.type == "cpu":
        assert mine <= torch.finfo(torch.float32).eps


@given(
    arrays(np.float64, (4, 3), elements=st.floats(-1e9, 1e9)), arrays(np.float64, (5, 3), elements=st.floats(-1e9, 1e9))
)
def test_euclidean_is_a_loop_over_differences(x, y):
    got = cdist(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    for i in range(4):
        for j in range(5):
            assert got[i, j] == pytest.approx(math.dist(x[i], y[j]), rel=1e-10, abs=1e-150)


# The hard places of the expanded square.


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_close_points_far_from_the_origin(kind, device):
    x = torch.tensor([[772, 112], [772.20001, 112]], dtype=kind, device=device)
    got = cdist(x)
    assert got[0, 1].item() == pytest.approx(0.2, rel=1e-4)
    assert got.diagonal().tolist() == [0, 0]


@pytest.mark.parametrize("many", [False, True])
def test_tight_clusters(many, dtype, generator):
    """Few close pairs are recomputed one by one, many send the block down the direct path: both must be exact."""
    centres = torch.randn(2 if many else 40, 1, 20, dtype=dtype, generator=generator)
    x = (centres + 1e-5 * torch.randn(len(centres), 3, 20, dtype=dtype, generator=generator)).flatten(0, 1)
    expected = scipy.spatial.distance.cdist(x.double(), x.double())
    np.testing.assert_allclose(cdist(x), expected, rtol=1e-10 if dtype == torch.float64 else 2e-7)


def test_both_paths_are_taken(monkeypatch, generator):
    calls = []
    monkeypatch.setattr(module, "_direct", lambda *args: calls.append(args) or _original_direct(*args))
    cdist(torch.randn(64, 5, generator=generator))
    assert not calls
    cdist(torch.zeros(64, 5))
    assert calls


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_neither_over_nor_underflow(kind, device):
    size = 1e30 if kind == torch.float32 else 1e300
    for scale in (size, 1 / size):
        x = torch.tensor([[3 * scale, 0], [0, 4 * scale]], device=device, dtype=kind)
        assert cdist(x)[0, 1].item() == pytest.approx(5 * scale, rel=1e-6)
        assert cdist(x + scale, metric="cosine")[0, 1].item() == pytest.approx(9 / math.sqrt(17 * 26), rel=1e-6)


def test_small_distances_beside_large_numbers(device):
    x = torch.tensor([[1e30, 0], [1, 0], [2, 0], [1e-3, 0]], device=device)
    got = cdist(x).cpu()
    torch.testing.assert_close(got[1, 2:], torch.tensor([1.0, 0.999]))


def test_nan_and_infinity_stay_in_their_rows(device, dtype, generator):
    x = torch.randn(40, 3, dtype=dtype, generator=generator)
    x[3, 1], x[5, 0] = math.nan, math.inf
    expected = scipy.spatial.distance.cdist(x.double(), x.double())
    got = cdist(x.to(device)).cpu()
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got[3].isnan().all()
    assert got[0, 5].isinf()
    for metric in ("manhattan", "cosine", "arc"):
        values = cdist(x.to(device), metric=metric).cpu()
        assert values[3].isnan().all()
        assert values[0, 6:].isfinite().all()


def test_integers_keep_every_digit(device):
    x = torch.tensor([[2**60, 1], [2**60 + 3, 5]], device=device)
    assert cdist(x)[0, 1].item() == 5
    assert cdist(x, metric="manhattan").tolist() == [[0, 7], [7, 0]]
    assert cdist(x, metric="hamming").tolist() == [[0, 2], [2, 0]]


def test_hamming_compares_what_cannot_be_subtracted(device):
    x = torch.tensor([[math.inf, 1, math.nan], [math.inf, 2, 0], [-math.inf, 1, 0]], device=device)
    assert cdist(x, metric="hamming").tolist() == [[1, 2, 2], [2, 0, 2], [2, 2, 0]]
    lowest = torch.tensor([[-(2**63)], [-(2**63) + 1]], device=device)
    assert cdist(lowest, metric="hamming").tolist() == [[0, 1], [1, 0]]


def test_bytes_do_not_wrap(device):
    x = torch.tensor([[3], [5]], dtype=torch.uint8, device=device)
    assert cdist(x).tolist() == [[0, 2], [2, 0]]
    assert cdist(x, metric="manhattan").tolist() == [[0, 2], [2, 0]]


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("metric", ["manhattan", "euclidean", "mahalanobis", "cosine", "arc"])
def test_half_precision_is_the_rounded_truth(metric, half, device, generator):
    x = torch.randn(20, 3, generator=generator).to(device, half)
    covariance = COVARIANCE.to(half)
    options = {"covariance": covariance.to(device)} if metric == "mahalanobis" else {}
    wide = {"covariance": covariance.to(device, torch.float64)} if metric == "mahalanobis" else {}
    got = cdist(x, metric=metric, **options)
    assert got.dtype == half
    expected = cdist(x.double(), metric=metric, **wide)
    torch.testing.assert_close(got.double(), expected, rtol=torch.finfo(half).eps, atol=1e-7)


@pytest.mark.parametrize("metric", METRICS)
def test_autocast_changes_nothing(metric, device, generator):
    x = points(20, metric, generator, torch.float32).to(device)
    options = options_for(metric, x)
    plain = cdist(x, metric=metric, **options)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        assert torch.equal(cdist(x, metric=metric, **options), plain)
        assert torch.equal(ONE_PAIR[metric](x[:, None], x), ONE_PAIR[metric](x.clone()[:, None], x))
        found = nearest(x, x, 3, metric, **options)
    assert torch.equal(found.values, nearest(x, x, 3, metric, **options).values)


@pytest.mark.parametrize("metric", METRICS)
def test_no_rows(metric, device, generator):
    x, none = points(4, metric, generator).to(device), points(0, metric, generator).to(device)
    options = options_for(metric, x)
    assert cdist(none, x, metric, **options).shape == (0, 4)
    assert cdist(x, none, metric, **options).shape == (4, 0)
    assert cdist(none, metric=metric, **options).shape == (0, 0)
    assert nearest(none, x, 2, metric, **options).indices.shape == (0, 2)


# Gradients.


@pytest.mark.parametrize("metric", [*SMOOTH, "manhattan"])
def test_gradients(metric, device, generator):
    x, y = (points(n, metric, generator).to(device).requires_grad_() for n in (4, 3))

    def matrix(a, b):
        return cdist(a, b, metric, chunk_size=2, **options_for(metric, a.detach()))

    assert gradcheck(matrix, (x, y))
    if metric in SMOOTH:
        assert gradgradcheck(matrix, (x, y), fast_mode=True)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("squared", [False, True])
def test_gradients_of_both_paths(squared, direct, monkeypatch, generator):
    """Few close pairs are recomputed, many send the block down the direct path, which accelerators always take."""
    x = torch.randn(40, 2, dtype=torch.float64, generator=generator)
    y = torch.cat([x[:3] + 1e-3, x[3:5], torch.randn(5, 2, dtype=torch.float64, generator=generator)])
    if direct:
        x, y = (torch.cat([1e-3 * points - 1, 1e-3 * points + 1]) for points in (x, y))  # two tight clusters
    calls = []
    monkeypatch.setattr(module, "_direct", lambda *args: calls.append(args) or _original_direct(*args))
    x, y = x.requires_grad_(), y.requires_grad_()
    matrix, expected = cdist(x, y, squared=squared), euclidean(x[:, None], y, squared=squared)
    weight = torch.randn(matrix.shape, dtype=torch.float64, generator=generator)
    gradients = [torch.autograd.grad((weight * values).sum(), (x, y)) for values in (matrix, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
    assert bool(calls) == direct


@pytest.mark.parametrize("metric", [*SMOOTH, "manhattan"])
def test_gradient_is_that_of_single_pairs(metric, device, dtype, generator):
    x = torch.cat([points(9, metric, generator, dtype)] * 2).to(device).requires_grad_()  # every point twice
    weight = torch.randn(18, 18, dtype=dtype, generator=generator).to(device)
    gradients = [
        torch.autograd.grad((weight * matrix).sum(), x)[0]
        for matrix in (cdist(x, metric=metric, **options_for(metric, x.detach())), ONE_PAIR[metric](x[:, None], x))
    ]
    assert gradients[0].isfinite().all()
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4 if dtype == torch.float32 else 1e-7)


@pytest.mark.parametrize("metric", ["euclidean", "mahalanobis", "manhattan", "cosine", "arc"])
def test_gradient_of_the_diagonal_is_zero(metric, device, dtype):
    x = torch.tensor([[1.0, 2.0, 3.0]], device=device, dtype=dtype, requires_grad=True)
    cdist(x, metric=metric, **options_for(metric, x.detach())).sum().backward()
    torch.testing.assert_close(x.grad, torch.zeros_like(x), rtol=0, atol=1e-7)


def test_gradient_towards_the_covariance(generator):
    root = torch.randn(3, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    x = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    identity = torch.eye(3, dtype=torch.float64)
    assert gradcheck(lambda r: cdist(x, metric="mahalanobis", covariance=r @ r.T + identity), (root,))


def test_zero_vectors(device, dtype):
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]], device=device, dtype=dtype, requires_grad=True)
    assert cdist(x, metric="cosine")[0].tolist() == [0, 0, 0]
    arc = cdist(x, metric="arc")
    assert arc[0].tolist() == [0.5, 0.5, 0.5]
    arc.sum().backward()
    assert x.grad.isfinite().all()


# Neighbours.


def nearest_by_sorting(values, k, largest):
    """All of them, sorted by value and then by index."""
    sign = -1 if largest else 1
    order = [sorted(range(len(row)), key=lambda j, row=row: (sign * row[j], j))[:k] for row in values.tolist()]
    return torch.tensor(order)


@pytest.mark.parametrize("chunk_size", [None, 1, 7, 1000])
@pytest.mark.parametrize("k", [1, 3, 25])
@pytest.mark.parametrize("metric", METRICS)
def test_neighbours(metric, k, chunk_size, device, generator):
    x, y = points(11, metric, generator), points(25, metric, generator)
    y[13:20] = y[2:9]  # ties for every metric
    x, y = x.to(device), y.to(device)
    options = options_for(metric, x)
    matrix = ONE_PAIR[metric](x[:, None], y)
    expected = nearest_by_sorting(matrix, k, metric in SIMILARITIES).to(device)
    found = nearest(x, y, k, metric, chunk_size=chunk_size, **options)
    torch.testing.assert_close(found.values, matrix.gather(1, expected))
    assert torch.equal(found.indices, expected)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_points_in_different_blocks_are_equal(metric, device, dtype, generator):
    """A matrix product rounds by position: the copies' distances differ in the last digit, their ranks must not."""
    x, y = points(20, metric, generator, dtype).to(device), points(30, metric, generator, dtype).to(device).repeat(5, 1)
    expected = nearest_by_sorting(ONE_PAIR[metric](x[:, None], y), 60, metric in SIMILARITIES).to(device)
    found = nearest(x, y, 60, metric, chunk_size=37, **options_for(metric, x))
    assert torch.equal(found.indices, expected)
    assert (found.values.diff(dim=1) * (-1 if metric in SIMILARITIES else 1) >= 0).all()


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_of_equals_the_lowest_index_comes_first(chunk_size, device):
    x, y = torch.zeros(2, 4, dtype=torch.bool, device=device), torch.ones(50, 4, dtype=torch.bool, device=device)
    y[40] = False
    found = nearest(x, y, 4, "hamming", chunk_size=chunk_size)
    assert found.indices.tolist() == [[40, 0, 1, 2]] * 2
    assert found.values.tolist() == [[0, 4, 4, 4]] * 2


@given(st.integers(1, 12), st.lists(st.lists(st.integers(0, 2), min_size=12, max_size=12), min_size=1, max_size=4))
def test_ties_at_the_boundary(k, rows):
    values = torch.tensor(rows)
    for largest in (False, True):
        got, columns = module._ranked(*module._best(values, k, largest), largest)
        assert torch.equal(columns, nearest_by_sorting(values, k, largest))
        assert torch.equal(got, values.gather(1, columns))


def test_values_carry_no_gradient(generator):
    x = torch.randn(4, 3, generator=generator, requires_grad=True)
    assert not nearest(x, x, 2).values.requires_grad


# Memory.


@pytest.mark.parametrize("metric", METRICS)
def test_the_search_never_holds_the_matrix(metric, generator):
    x, y = points(1000, metric, generator, torch.float32), points(800, metric, generator, torch.float32)
    with Recorder() as recorder:
        nearest(x, y, 5, metric, chunk_size=200, **options_for(metric, x))
    assert 0 < recorder.largest <= 200 * 200 + 1800 * 24  # a block and the inputs, against 800,000
    with Recorder() as recorder:
        cdist(x, y, metric, **options_for(metric, x))
    assert recorder.largest == 1000 * 800  # the recorder does see a matrix


@pytest.mark.parametrize("metric", METRICS)
def test_chunks_bound_the_temporaries(metric, generator):
    x, y = points(400, metric, generator, torch.float32), points(300, metric, generator, torch.float32)
    sizes = []

    class Temporaries(Recorder):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = super().__torch_dispatch__(func, types, args, kwargs)
            if isinstance(result, torch.Tensor) and result.shape != (400, 300):
                sizes.append(result.numel())
            return result

    with Temporaries():
        cdist(x, y, metric, chunk_size=10, **options_for(metric, x))
    assert max(sizes) <= 10 * 300 + (400 + 300) * 24  # a block, and the rows made ready (unpacked bits: 24 a row)


# Bad input.


@pytest.mark.usefixtures("as_a_user")
class TestBadInput:
    x = torch.ones(4, 3)

    @pytest.mark.parametrize("metric", ["euclidian", "", None, 2, ["l2"]])
    def test_unknown_metric(self, metric):
        with pytest.raises(ValueError, match=r"metric must be one of hamming, .*negative_arc_length, cityblock.*; got"):
            cdist(self.x, metric=metric)

    @pytest.mark.parametrize(
        ("metric", "option", "known"),
        [
            ("hamming", "squared", "takes only normalize"),
            ("l2", "normalise", "takes only squared"),
            ("cosine", "squared", "takes no option"),
            ("mahalanobis", "VI", "takes only covariance, squared"),
        ],
    )
    def test_unknown_option(self, metric, option, known):
        for function in (cdist, lambda *args, **options: nearest(*args[:2], 1, *args[2:], **options)):
            with pytest.raises(ValueError, match=f"unknown option '{option}': .*{known}"):
                function(self.x, self.x, metric, **{option: True})

    def test_mahalanobis_without_covariance(self):
        with pytest.raises(ValueError, match=r"needs covariance=.*GaussianReference"):
            cdist(self.x, metric="mahalanobis")

    @pytest.mark.parametrize("k", [0, -1, 5, 1.0, True])
    def test_k(self, k):
        with pytest.raises(ValueError, match="k must be a whole number from 1 to the 4 rows of y, got"):
            nearest(self.x, self.x, k)

    @pytest.mark.parametrize("chunk_size", [0, -1, 2.0, True])
    def test_chunk_size(self, chunk_size):
        with pytest.raises(ValueError, match="chunk_size must be None or a whole number"):
            cdist(self.x, chunk_size=chunk_size)
        with pytest.raises(ValueError, match="chunk_size must be None or a whole number"):
            nearest(self.x, self.x, 1, chunk_size=chunk_size)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    @pytest.mark.parametrize("metric", ["hamming", "l2", "cosine"])
    def test_nothing_is_near_nan(self, metric, value):
        bad = torch.full((2, 3), value)
        with pytest.raises(ValueError, match="x must be finite"):
            nearest(bad, self.x, 1, metric)
        with pytest.raises(ValueError, match="y must be finite"):
            nearest(self.x, bad, 1, metric)

    @pytest.mark.parametrize("shape", [(3,), (2, 2, 3), ()])
    def test_not_a_matrix(self, shape):
        with pytest.raises(ValueError, match="y must have 2 dimensions"):
            cdist(self.x, torch.zeros(shape))

    def test_unequal_features(self):
        with pytest.raises(ValueError, match=r"same number of features.*\(4, 3\) and \(4, 2\)"):
            cdist(self.x, torch.zeros(4, 2))

    def test_no_features(self):
        with pytest.raises(ValueError, match="x must have at least one feature"):
            cdist(torch.zeros(4, 0))

    def test_types(self):
        with pytest.raises(TypeError, match=r"x must be a torch\.Tensor, got ndarray"):
            cdist(self.x.numpy())
        with pytest.raises(TypeError, match="complex"):
            cdist(self.x.to(torch.complex64))
        with pytest.raises(TypeError, match="packed codes as uint8"):
            cdist(self.x, metric="packed_hamming")
