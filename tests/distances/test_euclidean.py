import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance as scipy_distance
from torch.autograd import gradcheck, gradgradcheck

from embedcourse.distances import euclidean

coordinates = st.floats(-1e6, 1e6, width=32)


def test_three_four_five(device, dtype):
    x, y = torch.tensor([[0.0, 0.0], [3.0, 4.0]], device=device, dtype=dtype)
    assert euclidean(x, y).item() == 5
    assert euclidean(x, y, squared=True).item() == 25


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1))
def test_against_a_loop(pairs):
    expected = 0.0
    for a, b in pairs:
        expected += (a - b) ** 2
    x, y = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    assert euclidean(x, y, squared=True).item() == pytest.approx(expected, rel=1e-12)
    assert euclidean(x, y).item() == pytest.approx(math.sqrt(expected), rel=1e-12)


def test_is_scipys(device, generator):
    x, y = (torch.randn(6, 50, dtype=torch.float64, generator=generator) for _ in range(2))
    expected = [scipy_distance.euclidean(a, b) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    got = euclidean(x.to(device), y.to(device)).cpu()
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_close_points_far_from_the_origin(device):
    x, y = torch.tensor([[772, 112], [772.20001, 112]], device=device)
    assert euclidean(x, y).item() == pytest.approx(0.2, rel=1e-4)


@pytest.mark.parametrize("size", [1e30, 1e-30, 1e38])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_neither_over_nor_underflow(size, kind, device):
    x = torch.tensor([3 * size, 4 * size] if size < 1e38 else [size, 0], device=device, dtype=kind)
    expected = 5 * size if size < 1e38 else size
    assert euclidean(x, torch.zeros_like(x)).item() == pytest.approx(expected, rel=1e-2 if kind.itemsize == 2 else 1e-6)


@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_neither_over_nor_underflow_in_float64(size):
    x = torch.tensor([3 * size, 4 * size], dtype=torch.float64)
    assert euclidean(x, torch.zeros_like(x)).item() == pytest.approx(5 * size, rel=1e-14)


def test_infinity_is_infinitely_far():
    x = torch.tensor([float("inf"), 0.0])
    assert euclidean(x, torch.zeros(2)).item() == float("inf")


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64])
def test_whole_numbers_give_the_default_float(kind, device):
    x = torch.tensor([0, 1], dtype=kind, device=device)
    got = euclidean(x, x.flip(0))
    assert got.dtype == torch.get_default_dtype()
    assert got.item() == pytest.approx(math.sqrt(2))


def test_large_integers_keep_their_last_digit():
    assert euclidean(torch.tensor([2**60 + 3]), torch.tensor([2**60])).item() == 3


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(half, device):
    x = torch.full((4096,), 64.0, dtype=half, device=device)  # the square, 2²⁴, is beyond float16
    got = euclidean(x, torch.zeros_like(x))
    assert (got.item(), got.dtype) == (4096, half)


@pytest.mark.parametrize("squared", [False, True])
def test_gradients(squared, device, generator):
    x, y = (torch.randn(3, 4, dtype=torch.float64, generator=generator).to(device).requires_grad_() for _ in range(2))
    assert gradcheck(lambda a, b: euclidean(a, b, squared=squared), (x, y))
    assert gradgradcheck(lambda a, b: euclidean(a, b, squared=squared), (x, y))


def test_gradient_at_coincident_points_is_zero(device, dtype):
    x = torch.tensor([[1.0, 2.0], [0.0, 0.0]], device=device, dtype=dtype, requires_grad=True)
    euclidean(x, x.detach().clone()).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_gradient_is_a_unit_vector_at_any_size(device):
    for size in (1e-30, 1.0, 1e30):
        x = torch.tensor([3 * size, 4 * size], device=device, requires_grad=True)
        euclidean(x, torch.zeros(2, device=device)).backward()
        torch.testing.assert_close(x.grad.cpu(), torch.tensor([0.6, 0.8]))


def test_nan_stays_in_its_row(device):
    x = torch.tensor([[float("nan"), 1], [3, 4]], device=device)
    got = euclidean(x, torch.zeros(2, device=device))
    assert got[0].isnan()
    assert got[1].item() == 5


@pytest.mark.usefixtures("as_a_user")
def test_bad_input():
    with pytest.raises(ValueError, match=r"same number of features.*\(2, 3\) and \(2, 4\)"):
        euclidean(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="at least one feature"):
        euclidean(torch.zeros(2, 0), torch.zeros(2, 0))
    with pytest.raises(TypeError, match=r"y must be a torch\.Tensor, got ndarray"):
        euclidean(torch.zeros(3), torch.zeros(3).numpy())
