import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance as scipy_distance
from torch.autograd import gradcheck

from embedcourse.distances import manhattan

coordinates = st.floats(-1e6, 1e6, width=32)


def test_a_walk_through_the_grid(device, dtype):
    start, end = torch.tensor([[0.0, 0.0], [3.0, 4.0]], device=device, dtype=dtype)
    assert manhattan(start, end).item() == 7


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1))
def test_against_a_loop(pairs):
    x, y = (list(side) for side in zip(*pairs, strict=True))
    expected = 0.0
    for a, b in pairs:
        expected += abs(a - b)
    got = manhattan(torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64))
    assert got.item() == pytest.approx(expected, rel=1e-12)


def test_is_scipys(device, generator):
    x, y = (torch.randn(6, 50, dtype=torch.float64, generator=generator) for _ in range(2))
    expected = [scipy_distance.cityblock(a, b) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    got = manhattan(x.to(device), y.to(device)).cpu()
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_whole_numbers_do_not_wrap(kind, device):
    x, y = torch.tensor([3, 100], dtype=kind, device=device), torch.tensor([5, 0], dtype=kind, device=device)
    got = manhattan(x, y)
    assert got.dtype == torch.int64
    assert got.item() == 102


def test_bools_are_counted(device):
    got = manhattan(torch.tensor([True, False, True], device=device), torch.tensor([False, False, True], device=device))
    assert (got.item(), got.dtype) == (1, torch.int64)


def test_large_integers_keep_their_last_digit():
    assert manhattan(torch.tensor([2**60 + 1]), torch.tensor([2**60])).item() == 1


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(half, device):
    x = torch.full((4096,), 0.5, dtype=half, device=device)  # added one by one in bfloat16 the sum stalls at 128
    got = manhattan(x, torch.zeros_like(x))
    assert (got.item(), got.dtype) == (2048, half)


def test_mixed_floats_promote():
    assert manhattan(torch.ones(2, dtype=torch.float16), torch.ones(2, dtype=torch.float64)).dtype == torch.float64
    assert manhattan(torch.ones(2, dtype=torch.float16), torch.ones(2, dtype=torch.bfloat16)).dtype == torch.float32
    assert manhattan(torch.ones(2, dtype=torch.int64), torch.ones(2)).dtype == torch.float32


def test_gradient(device, generator):
    x, y = (torch.randn(3, 4, dtype=torch.float64, generator=generator).to(device).requires_grad_() for _ in range(2))
    assert gradcheck(manhattan, (x, y))


def test_gradient_at_coincident_points_is_zero(device, dtype):
    x = torch.ones(3, device=device, dtype=dtype, requires_grad=True)
    manhattan(x, torch.ones_like(x)).backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_nan_stays_in_its_row(device):
    x = torch.tensor([[float("nan"), 1], [2, 3]], device=device)
    assert manhattan(x, torch.zeros(2, device=device)).isnan().tolist() == [True, False]


def test_no_rows():
    assert manhattan(torch.zeros(0, 3), torch.zeros(3)).shape == (0,)


@pytest.mark.usefixtures("as_a_user")
class TestBadInput:
    def test_complex_numbers(self):
        with pytest.raises(TypeError, match=r"y must hold bools, integers or real floats, got torch\.complex64"):
            manhattan(torch.zeros(2), torch.zeros(2, dtype=torch.complex64))

    def test_a_scalar(self):
        with pytest.raises(ValueError, match=r"x must have at least one dimension .*got shape \(\)"):
            manhattan(torch.tensor(1.0), torch.zeros(1))

    def test_shapes_that_do_not_broadcast(self):
        with pytest.raises(ValueError, match=r"do not broadcast, got shapes \(2, 3\) and \(4, 3\)"):
            manhattan(torch.zeros(2, 3), torch.zeros(4, 3))

    def test_no_features(self):
        with pytest.raises(ValueError, match="at least one feature"):
            manhattan(torch.zeros(0), torch.zeros(0))
