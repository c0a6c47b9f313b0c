import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance as scipy_distance
from torch.autograd import gradcheck, gradgradcheck

from embedcourse.distances import cosine_similarity

coordinates = st.integers(-1000, 1000).map(float)


def test_four_directions(device, dtype):
    x = torch.tensor([1.0, 0.0], device=device, dtype=dtype)
    others = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-4.0, 0.0], [1.0, math.sqrt(3)]], device=device, dtype=dtype)
    expected = torch.tensor([1, 0, -1, 0.5], device=device, dtype=dtype)
    torch.testing.assert_close(cosine_similarity(x, others), expected)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1))
def test_against_a_loop(pairs):
    dot = length_x = length_y = 0.0
    for a, b in pairs:
        dot, length_x, length_y = dot + a * b, length_x + a * a, length_y + b * b
    expected = dot / math.sqrt(length_x * length_y) if length_x * length_y else 0
    x, y = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    assert cosine_similarity(x, y).item() == pytest.approx(expected, rel=1e-10, abs=1e-14)


def test_is_scipys(device, generator):
    x, y = (torch.randn(6, 50, dtype=torch.float64, generator=generator) for _ in range(2))
    expected = [1 - scipy_distance.cosine(a, b) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    got = cosine_similarity(x.to(device), y.to(device)).cpu()
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-14)


def test_never_beyond_one(device, dtype, generator):
    x = torch.randn(20_000, 3, dtype=dtype, generator=generator).to(device)
    assert cosine_similarity(x, x).max() <= 1
    assert cosine_similarity(x, -x).min() >= -1


def test_the_bound_does_not_kill_the_gradient(generator):
    x = torch.randn(2000, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    y = x.detach() + 1e-9 * torch.randn(2000, 3, dtype=torch.float64, generator=generator)
    (gradient,) = torch.autograd.grad(cosine_similarity(x, y).sum(), x)
    assert (gradient.abs().sum(1) > 0).all()


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_neither_over_nor_underflow(size, device):
    x = torch.tensor([3 * size, 4 * size], device=device)
    assert cosine_similarity(x, x.flip(0)).item() == pytest.approx(24 / 25)


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e-320])
def test_neither_over_nor_underflow_in_float64(size):
    x = torch.tensor([3 * size, 4 * size], dtype=torch.float64)
    assert cosine_similarity(x, x.flip(0)).item() == pytest.approx(24 / 25, rel=1e-3)


def test_a_zero_vector_is_at_zero_with_gradient_zero(device, dtype):
    x = torch.zeros(3, device=device, dtype=dtype, requires_grad=True)
    y = torch.ones(3, device=device, dtype=dtype, requires_grad=True)
    similarity = cosine_similarity(x, y)
    similarity.backward()
    assert similarity.item() == 0
    assert x.grad.tolist() == [0, 0, 0]
    assert y.grad.tolist() == [0, 0, 0]
    assert cosine_similarity(x, x).item() == 0


def test_gradients(device, generator):
    x, y = (torch.randn(3, 4, dtype=torch.float64, generator=generator).to(device).requires_grad_() for _ in range(2))
    assert gradcheck(cosine_similarity, (x, y))
    assert gradgradcheck(cosine_similarity, (x, y))


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision(half, device):
    x = torch.full((4096,), 64.0, dtype=half, device=device)
    assert cosine_similarity(x, x).item() == 1
    assert cosine_similarity(x, x).dtype == half


def test_whole_numbers(device):
    x = torch.tensor([3, 4], dtype=torch.uint8, device=device)
    got = cosine_similarity(x, x.flip(0))
    assert got.item() == pytest.approx(24 / 25)
    assert got.dtype == torch.get_default_dtype()


def test_nan_stays_in_its_row(device):
    x = torch.tensor([[float("nan"), 1], [3, 4]], device=device)
    assert cosine_similarity(x, torch.ones(2, device=device)).isnan().tolist() == [True, False]


@pytest.mark.usefixtures("as_a_user")
def test_bad_input():
    with pytest.raises(ValueError, match="same number of features"):
        cosine_similarity(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="at least one feature"):
        cosine_similarity(torch.zeros(0), torch.zeros(0))
    with pytest.raises(TypeError, match=r"x must be a torch\.Tensor, got float"):
        cosine_similarity(1.0, torch.zeros(1))
