import math

import numpy as np
import pytest
import torch
from scipy.spatial import distance as scipy_distance
from sklearn.covariance import EmpiricalCovariance, ledoit_wolf, oas
from torch.autograd import gradcheck, gradgradcheck

from embedcourse.distances import GaussianReference, cdist, euclidean, mahalanobis, whiten

SQUARE = torch.tensor([[0.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, -2.0]])


def correlated(n, d, generator, dtype=torch.float64):
    return torch.randn(n, d, dtype=dtype, generator=generator) @ torch.randn(d, d, dtype=dtype, generator=generator) + 3


def test_scipys_example(device, dtype):
    points = SQUARE.to(device, dtype)
    covariance = GaussianReference().fit(points).covariance
    torch.testing.assert_close(covariance.cpu(), torch.tensor([[0.5, 0.0], [0.0, 2.0]], dtype=dtype))
    expected = torch.tensor([[2, 2, 2], [4, 8, 4]], device=device, dtype=dtype).sqrt()
    torch.testing.assert_close(mahalanobis(points[:2, None], points[2:], covariance), expected)
    torch.testing.assert_close(cdist(points[:2], points[2:], "mahalanobis", covariance=covariance), expected)


def test_is_scipys(device, generator):
    x = correlated(200, 6, generator)
    covariance, mean = torch.from_numpy(np.cov(x.numpy().T)), x.mean(0)
    inverse = np.linalg.inv(covariance.numpy())
    expected = [scipy_distance.mahalanobis(row, mean.numpy(), inverse) for row in x.numpy()]
    got = mahalanobis(x.to(device), mean.to(device), covariance.to(device)).cpu()
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)
    squared = mahalanobis(x.to(device), mean.to(device), covariance.to(device), squared=True).cpu()
    torch.testing.assert_close(squared, got.square())


def test_against_the_formula_written_out():
    x, y, covariance = torch.tensor([2.0, 1.0]), torch.tensor([0.0, 0.0]), torch.tensor([[4.0, 1.0], [1.0, 2.0]])
    determinant = 4 * 2 - 1 * 1
    expected = (2 * 2 * 2 - 2 * 2 * 1 * 1 + 1 * 1 * 4) / determinant
    assert mahalanobis(x, y, covariance, squared=True).item() == pytest.approx(expected)


def test_identity_covariance_is_euclidean(device, dtype, generator):
    x, y = (torch.randn(7, 4, dtype=dtype, generator=generator).to(device) for _ in range(2))
    identity = torch.eye(4, device=device, dtype=dtype)
    torch.testing.assert_close(mahalanobis(x, y, identity), euclidean(x, y))


def test_whitened_rows_are_round(device, dtype, generator):
    x = correlated(500, 4, generator, dtype).to(device)
    reference = GaussianReference(ddof=1).fit(x)
    white = whiten(x, reference.mean, reference.covariance)
    identity = torch.eye(4, dtype=white.dtype)
    torch.testing.assert_close(torch.cov(white.T).cpu(), identity, atol=1e-4, rtol=0)
    torch.testing.assert_close(white.norm(dim=1).to(dtype), reference.distance(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_units_of_the_features_play_no_part(unit, device, dtype, generator):
    x = correlated(100, 3, generator, dtype).to(device)
    scaled = x * torch.tensor([1, unit, 1], device=device, dtype=dtype)
    distances = (GaussianReference().fit(rows).distance(rows) for rows in (x, scaled))
    torch.testing.assert_close(*distances, rtol=1e-4, atol=1e-5)


def test_reference_is_sklearns_with_ddof_0(device, generator):
    x = correlated(40, 6, generator)
    oracle = EmpiricalCovariance().fit(x.numpy())
    reference = GaussianReference(ddof=0).fit(x.to(device))
    np.testing.assert_allclose(reference.covariance.cpu(), oracle.covariance_, rtol=1e-10)
    np.testing.assert_allclose(reference.mean.cpu(), oracle.location_, rtol=1e-10)
    np.testing.assert_allclose(reference.distance(x.to(device), squared=True).cpu(), oracle.mahalanobis(x), rtol=1e-9)


@pytest.mark.parametrize(("n", "d"), [(5, 20), (40, 6), (300, 3), (30, 1)])
@pytest.mark.parametrize(("rule", "oracle"), [("ledoit-wolf", ledoit_wolf), ("oas", oas)])
def test_shrinkage_is_sklearns(rule, oracle, n, d, device, generator):
    x = correlated(n, d, generator)
    expected, _ = oracle(x.numpy())
    got = GaussianReference(shrinkage=rule, ddof=0).fit(x.to(device)).covariance.cpu()
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_shrinkage_by_a_weight(device, generator):
    x = correlated(30, 4, generator)
    empirical = np.cov(x.numpy().T)
    expected = 0.7 * empirical + 0.3 * np.trace(empirical) / 4 * np.eye(4)
    np.testing.assert_allclose(GaussianReference(shrinkage=0.3).fit(x.to(device)).covariance.cpu(), expected, rtol=1e-9)


@pytest.mark.parametrize("ddof", [0, 1])
def test_ddof_is_numpys(ddof, generator):
    x = correlated(30, 4, generator)
    np.testing.assert_allclose(
        GaussianReference(ddof=ddof).fit(x).covariance, np.cov(x.numpy().T, ddof=ddof), rtol=1e-9
    )


def test_results_have_the_dtype_of_the_rows(device, dtype, generator):
    x = correlated(30, 4, generator, dtype).to(device)
    reference = GaussianReference().fit(x)
    assert {reference.mean.dtype, reference.covariance.dtype, reference.distance(x).dtype} == {dtype}


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.uint8, torch.int64])
def test_half_precision_and_whole_numbers(kind, generator):
    x = torch.randint(0, 200, (50, 3), generator=generator).to(kind)
    reference = GaussianReference().fit(x.double())
    expected = reference.distance(x.double())
    got = GaussianReference().fit(x).distance(x)
    assert got.dtype == (kind if kind.is_floating_point else torch.get_default_dtype())
    torch.testing.assert_close(got.double(), expected, rtol=4 * torch.finfo(got.dtype).eps, atol=0)


def test_gradients(device, generator):
    x, mean, root = (
        torch.randn(*shape, dtype=torch.float64, generator=generator).to(device).requires_grad_()
        for shape in ((2, 3), (3,), (3, 3))
    )

    def distance(x, mean, root):
        return mahalanobis(x, mean, root @ root.T + torch.eye(3, device=device, dtype=torch.float64))

    assert gradcheck(distance, (x, mean, root))
    assert gradgradcheck(distance, (x, mean, root), fast_mode=True)


def test_gradient_at_the_mean_is_zero(device, dtype):
    x = torch.ones(3, device=device, dtype=dtype, requires_grad=True)
    mahalanobis(x, x.detach().clone(), torch.eye(3, device=device, dtype=dtype)).backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_nan_stays_in_its_row(device, dtype):
    x = torch.tensor([[math.nan, 1], [3, 4]], device=device, dtype=dtype)
    got = mahalanobis(x, torch.zeros(2, device=device, dtype=dtype), torch.eye(2, device=device, dtype=dtype))
    assert got[0].isnan()
    assert got[1].item() == 5


@pytest.mark.usefixtures("as_a_user")
class TestBadCovariance:
    def refuse(self, covariance, match):
        x = torch.zeros(2, covariance.shape[-1])
        with pytest.raises(ValueError, match=match):
            mahalanobis(x, x, covariance)

    def test_singular(self, dtype):
        self.refuse(torch.ones(3, 3, dtype=dtype), r"rank 1 in dimension 3.*shrinkage=\"ledoit-wolf\"")

    def test_zero_variance(self, dtype):
        self.refuse(torch.diag(torch.tensor([1, 0, 1], dtype=dtype)), "rank 2 in dimension 3")

    def test_near_singular_passes_cholesky_but_not_us(self, dtype):
        almost = 1 - 2 * torch.finfo(dtype).eps
        covariance = torch.tensor([[1, almost], [almost, 1]], dtype=dtype)
        assert torch.linalg.cholesky_ex(covariance).info == 0
        self.refuse(covariance, "rank 1 in dimension 2")

    def test_near_singular_in_small_units(self, dtype):
        units = torch.tensor([1e-6, 1e3], dtype=dtype)
        almost = 1 - 2 * torch.finfo(dtype).eps
        self.refuse(torch.tensor([[1, almost], [almost, 1]], dtype=dtype) * units * units[:, None], "rank 1")

    def test_not_symmetric(self, dtype):
        self.refuse(torch.tensor([[1, 0.5], [0, 1]], dtype=dtype), "symmetric")

    @pytest.mark.parametrize("entries", [[[1, 2], [2, 1]], [[-1, 0], [0, 1]]])
    def test_not_positive_definite(self, entries, dtype):
        self.refuse(torch.tensor(entries, dtype=dtype), "positive definite")

    def test_not_square(self):
        self.refuse(torch.ones(2, 3), r"shape \(3, 3\).*got \(2, 3\)")

    def test_another_dimension(self):
        with pytest.raises(ValueError, match=r"shape \(3, 3\) as x has 3 features, got \(2, 2\)"):
            mahalanobis(torch.zeros(3), torch.zeros(3), torch.eye(2))

    def test_not_a_matrix(self):
        self.refuse(torch.ones(3), "covariance must have 2 dimensions")

    def test_nan(self):
        self.refuse(torch.tensor([[1, math.nan], [math.nan, 1]]), "finite")

    def test_not_a_tensor(self):
        with pytest.raises(TypeError, match=r"covariance must be a torch\.Tensor, got ndarray"):
            mahalanobis(torch.zeros(2), torch.zeros(2), np.eye(2))


@pytest.mark.usefixtures("as_a_user")
class TestBadReference:
    def test_not_fitted(self):
        for use in (lambda r: r.mean, lambda r: r.covariance, lambda r: r.distance(torch.zeros(2))):
            with pytest.raises(RuntimeError, match=r"call fit\(x\) first"):
                use(GaussianReference())

    @pytest.mark.parametrize("shrinkage", ["ledoit", 1.5, -0.1, True, math.nan])
    def test_unknown_shrinkage(self, shrinkage):
        with pytest.raises(ValueError, match="shrinkage must be None"):
            GaussianReference(shrinkage=shrinkage)

    def test_unknown_ddof(self):
        with pytest.raises(ValueError, match="ddof must be 0 or 1, got 2"):
            GaussianReference(ddof=2)

    def test_fewer_points_than_dimensions(self, dtype):
        x = torch.randn(4, 6, dtype=dtype)
        with pytest.raises(ValueError, match=r"rank 3 in dimension 6.*shrink"):
            GaussianReference().fit(x)
        assert GaussianReference(shrinkage="ledoit-wolf").fit(x).distance(x).isfinite().all()

    def test_two_points_give_the_rule_nothing_to_shrink_by(self):
        with pytest.raises(ValueError, match=r"rank 1 in dimension 3.*by a weight"):
            GaussianReference(shrinkage="ledoit-wolf").fit(torch.tensor([[1.0, 2, 3], [2, 4, 3.5]]))

    def test_a_feature_that_is_the_sum_of_two(self, dtype, generator):
        x = torch.randn(50, 2, dtype=dtype, generator=generator)
        with pytest.raises(ValueError, match="rank 2 in dimension 3"):
            GaussianReference().fit(torch.cat([x, x.sum(1, keepdim=True)], 1))

    def test_one_point(self):
        with pytest.raises(ValueError, match=r"at least two rows.*\(1, 3\)"):
            GaussianReference().fit(torch.zeros(1, 3))

    def test_nan(self):
        with pytest.raises(ValueError, match="x must be finite"):
            GaussianReference().fit(torch.tensor([[1.0], [math.nan]]))

    def test_one_row_without_its_dimension(self):
        with pytest.raises(ValueError, match="x must have 2 dimensions"):
            GaussianReference().fit(torch.zeros(3))

    def test_other_features_than_fitted(self, generator):
        reference = GaussianReference().fit(torch.randn(9, 3, generator=generator))
        with pytest.raises(ValueError, match="x and the fitted mean must have the same number of features"):
            reference.distance(torch.zeros(2, 4))
