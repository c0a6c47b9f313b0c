import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from embedcourse.distances import cosine_similarity, negative_arc_length


def on_the_circle(theta, **kind):
    return torch.tensor([math.cos(theta), math.sin(theta)], **kind)


@pytest.mark.parametrize(("degrees", "expected"), [(0, 1), (60, 2 / 3), (90, 1 / 2), (180, 0)])
def test_by_hand(degrees, expected, device, dtype):
    x, y = (on_the_circle(math.radians(angle), device=device, dtype=dtype) for angle in (0, degrees))
    assert negative_arc_length(x, 5 * y).item() == pytest.approx(expected, abs=1e-7)


@given(st.floats(0, math.pi))
def test_falls_evenly_with_the_angle(theta):
    x, y = (on_the_circle(angle, dtype=torch.float64) for angle in (0, theta))
    assert negative_arc_length(x, y).item() == pytest.approx(1 - theta / math.pi, abs=1e-15)


def test_is_the_arc_cosine_where_that_is_good(device, generator):
    x, y = (torch.randn(50, 9, dtype=torch.float64, generator=generator).to(device) for _ in range(2))
    expected = 1 - torch.acos(torch.nn.functional.cosine_similarity(x, y)) / math.pi
    torch.testing.assert_close(negative_arc_length(x, y), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("theta", [1e-3, 1e-6, 1e-9])
def test_small_angles_are_seen(theta, device):
    x, y = (on_the_circle(angle, device=device, dtype=torch.float64) for angle in (0, theta))
    assert (1 - negative_arc_length(x, y)).item() * math.pi == pytest.approx(theta, rel=1e-6)
    assert negative_arc_length(x, -y).item() * math.pi == pytest.approx(theta, rel=1e-6)


@pytest.mark.parametrize("theta", [1e-6, 1e-3, 1.0, math.pi - 1e-3, math.pi - 1e-6])
def test_slope_is_the_same_at_every_angle(theta, device, dtype):
    x = on_the_circle(0, device=device, dtype=dtype)
    y = on_the_circle(theta, device=device, dtype=dtype).requires_grad_()
    negative_arc_length(x, y).backward()
    assert y.grad.norm().item() == pytest.approx(1 / math.pi, rel=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_gradient_is_zero_at_the_two_poles(sign, device, dtype):
    x = torch.tensor([1.0, 2.0, 3.0], device=device, dtype=dtype, requires_grad=True)
    similarity = negative_arc_length(x, sign * x.detach())
    similarity.backward()
    assert similarity.item() == (1 if sign == 1 else 0)
    torch.testing.assert_close(x.grad, torch.zeros_like(x), rtol=0, atol=1e-7)


def test_a_zero_vector_counts_as_perpendicular(device, dtype):
    zero = torch.zeros(3, device=device, dtype=dtype, requires_grad=True)
    for other in (torch.ones(3, device=device, dtype=dtype), torch.zeros(3, device=device, dtype=dtype)):
        similarity = negative_arc_length(zero, other)
        (gradient,) = torch.autograd.grad(similarity, zero)
        assert similarity.item() == 0.5
        assert gradient.tolist() == [0, 0, 0]


def test_gradients(device, generator):
    x, y = (torch.randn(3, 4, dtype=torch.float64, generator=generator).to(device).requires_grad_() for _ in range(2))
    assert gradcheck(negative_arc_length, (x, y))
    assert gradgradcheck(negative_arc_length, (x, y))


def test_ranks_as_cosine_does(device, dtype, generator):
    x, y = torch.randn(5, dtype=dtype, generator=generator), torch.randn(100, 5, dtype=dtype, generator=generator)
    by_arc = negative_arc_length(x.to(device), y.to(device)).argsort()
    assert torch.equal(by_arc, cosine_similarity(x.to(device), y.to(device)).argsort())


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision(half, device):
    x = torch.tensor([1.0, 0.0], dtype=half, device=device, requires_grad=True)
    y = torch.tensor([1.0, 1e-3], dtype=half, device=device)
    similarity = negative_arc_length(x, y)
    similarity.backward()
    assert similarity.dtype == half
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() > 0.1  # the clamped arc cosine has gradient 0 or infinity here


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_neither_over_nor_underflow(size, device):
    x, y = torch.tensor([[size, 0], [size, size]], device=device)
    assert negative_arc_length(x, y).item() == pytest.approx(0.75)


@pytest.mark.usefixtures("as_a_user")
def test_bad_input():
    with pytest.raises(ValueError, match="same number of features"):
        negative_arc_length(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="at least one feature"):
        negative_arc_length(torch.zeros(0), torch.zeros(0))
    with pytest.raises(TypeError, match="got list"):
        negative_arc_length([1.0], torch.zeros(1))
