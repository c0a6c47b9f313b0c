"""Barlow Twins against the steps of the official code, made of torch's own batch normalisation, and against NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from embedcourse.losses import BarlowTwinsLoss, cross_correlation


def batches(n, d, generator, dtype=torch.float64, device="cpu"):
    z_a, z_b = torch.randn(2, n, d, generator=generator, dtype=dtype).to(device)
    return (z_a * 3 + 2).requires_grad_(), (z_a.detach() + z_b).requires_grad_()


def official(z_a, z_b, lambd):
    """Batch normalisation without affine, product over the batch, squares on and off the diagonal."""
    norm = nn.BatchNorm1d(z_a.shape[1], affine=False).to(z_a)
    c = norm(z_a).T @ norm(z_b) / len(z_a)
    total = 0.0
    for i in range(len(c)):
        for j in range(len(c)):
            total = total + ((1 - c[i, j]) ** 2 if i == j else lambd * c[i, j] ** 2)
    return total


def test_it_is_the_official_codes_loss(dtype, device, generator):
    z_a, z_b = batches(9, 5, generator, dtype, device)
    ours, theirs = BarlowTwinsLoss()(z_a, z_b), official(z_a, z_b, 0.0051)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    pairs = zip(torch.autograd.grad(ours, (z_a, z_b)), torch.autograd.grad(theirs, (z_a, z_b)), strict=True)
    for mine, yours in pairs:
        torch.testing.assert_close(mine, yours, rtol=1e-3, atol=1e-6)


def test_the_cross_correlation_is_numpys(generator):
    z_a, z_b = (z.detach() for z in batches(50, 4, generator))
    both = np.corrcoef(z_a.numpy(), z_b.numpy(), rowvar=False)
    assert np.allclose(cross_correlation(z_a, z_b, eps=1e-12).numpy(), both[:4, 4:], atol=1e-10)
    assert np.allclose(cross_correlation(z_a, z_b[:, :2], eps=1e-12).numpy(), both[:4, 4:6], atol=1e-10)


def test_the_gradient_is_that_of_finite_differences(device, generator):
    assert torch.autograd.gradcheck(BarlowTwinsLoss(0.3), batches(6, 3, generator, device=device))


def test_equal_uncorrelated_views_cost_nothing_and_a_constant_dimension_costs_one():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    assert BarlowTwinsLoss(eps=1e-12)(z, z).item() == pytest.approx(0, abs=1e-12)
    constant = torch.cat([z, torch.ones(4, 1)], dim=1)
    assert BarlowTwinsLoss(eps=1e-12)(constant, constant).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(half, device, generator):
    z_a, z_b = (z.detach().to(half) for z in batches(8, 4, generator, torch.float32, device))
    loss = BarlowTwinsLoss()
    assert torch.equal(loss(z_a, z_b), loss(z_a.float(), z_b.float()))
    with torch.autocast(z_a.device.type, torch.bfloat16):
        assert torch.equal(loss(z_a, z_b), loss(z_a.float(), z_b.float()))


def test_bad_input_is_named(as_a_user):
    with pytest.raises(ValueError, match="lambda_param must be 0 or above, got -1"):
        BarlowTwinsLoss(-1)
    with pytest.raises(ValueError, match="eps must be above 0, got 0"):
        BarlowTwinsLoss(eps=0)
    with pytest.raises(ValueError, match="out0 must have at least 2 rows, got 1"):
        BarlowTwinsLoss()(torch.ones(1, 3), torch.ones(1, 3))
    with pytest.raises(ValueError, match="one row a sample each, got 4 and 5 rows"):
        cross_correlation(torch.ones(4, 3), torch.ones(5, 3))
    with pytest.raises(TypeError, match=r"z_b must be a tensor of floats, got torch\.bool"):
        cross_correlation(torch.ones(4, 3), torch.ones(4, 3).bool())


def test_it_says_what_it_is():
    assert repr(BarlowTwinsLoss()) == "BarlowTwinsLoss(lambda_param=0.0051)"
