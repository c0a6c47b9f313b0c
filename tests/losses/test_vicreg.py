"""VICReg against loops that transcribe the paper's equations, and pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import VICRegLoss as TheirVICRegLoss

from embedcourse.losses import VICRegLoss, covariance, invariance, variance


def batches(n, d, generator, dtype=torch.float64, device="cpu"):
    z_a, z_b = torch.randn(2, n, d, generator=generator, dtype=dtype).to(device) * 0.7 + 1
    return z_a.requires_grad_(), z_b.requires_grad_()


def mean(values):
    return sum(values) / len(values)


def variance_by_loop(z, gamma=1.0, eps=1e-4):
    """Eq. 1 and 2, dimension by dimension."""
    hinges = []
    for column in z.T.tolist():
        var = sum((x - mean(column)) ** 2 for x in column) / (len(column) - 1)
        hinges.append(max(0.0, gamma - math.sqrt(var + eps)))
    return mean(hinges)


def covariance_by_loop(z):
    """Eq. 3 and 4, pair of dimensions by pair."""
    columns = z.T.tolist()
    n, d = len(columns[0]), len(columns)
    total = 0.0
    for i in range(d):
        for j in range(d):
            if i != j:
                pairs = zip(columns[i], columns[j], strict=True)
                c = sum((x - mean(columns[i])) * (y - mean(columns[j])) for x, y in pairs) / (n - 1)
                total += c**2
    return total / d


def test_the_terms_are_the_papers_equations(dtype, device, generator):
    z_a, z_b = batches(6, 4, generator, dtype, device)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    squares = [(a - b) ** 2 for a, b in zip(z_a.flatten().tolist(), z_b.flatten().tolist(), strict=True)]
    assert invariance(z_a, z_b).item() == pytest.approx(mean(squares), rel=tolerance)
    assert variance(z_a).item() == pytest.approx(variance_by_loop(z_a), rel=tolerance)
    assert variance(z_a, 2.0, 1e-2).item() == pytest.approx(variance_by_loop(z_a, 2.0, 1e-2), rel=tolerance)
    assert covariance(z_a).item() == pytest.approx(covariance_by_loop(z_a), rel=tolerance)


@pytest.mark.parametrize(("convention", "share"), [("official", 0.5), ("paper", 1.0)])
def test_the_loss_is_the_weighted_sum_of_the_terms(convention, share, generator):
    z_a, z_b = batches(6, 4, generator)
    loss = VICRegLoss(3.0, 5.0, 7.0, 1e-3, gamma=1.5, convention=convention)(z_a, z_b)
    v = variance_by_loop(z_a, 1.5, 1e-3) + variance_by_loop(z_b, 1.5, 1e-3)
    c = covariance_by_loop(z_a) + covariance_by_loop(z_b)
    expected = 3 * invariance(z_a, z_b).item() + 5 * share * v + 7 * c
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_it_agrees_with_pytorch_metric_learning(dtype, device, generator):
    z_a, z_b = batches(30, 12, generator, dtype, device)
    theirs = TheirVICRegLoss(invariance_lambda=25, variance_mu=25, covariance_v=1, eps=1e-4)(z_a, ref_emb=z_b)
    ours = VICRegLoss()(z_a, z_b)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    pairs = zip(torch.autograd.grad(ours, (z_a, z_b)), torch.autograd.grad(theirs, (z_a, z_b)), strict=True)
    for mine, yours in pairs:
        torch.testing.assert_close(mine, yours, rtol=1e-4, atol=1e-7)


def test_the_gradient_is_that_of_finite_differences(device, generator):
    assert torch.autograd.gradcheck(VICRegLoss(), batches(5, 3, generator, device=device))


def test_each_term_is_zero_where_it_is_content():
    z = torch.tensor([[2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [-2.0, -2.0]])  # spread wide, and uncorrelated
    assert invariance(z, z) == 0
    assert variance(z) == 0
    assert covariance(z) == 0
    assert VICRegLoss()(z, z) == 0


def test_a_collapsed_batch_pays_all_of_gamma_but_the_root_of_eps(device):
    z = torch.full((4, 3), 5.0, device=device, requires_grad=True)
    loss = variance(z)
    assert loss.item() == pytest.approx(1 - 1e-2, rel=1e-6)  # √1e-4
    (gradient,) = torch.autograd.grad(loss, z)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(half, device, generator):
    z_a, z_b = (z.detach().to(half) for z in batches(8, 4, generator, torch.float32, device))
    loss = VICRegLoss()
    assert torch.equal(loss(z_a, z_b), loss(z_a.float(), z_b.float()))
    with torch.autocast(z_a.device.type, torch.bfloat16):
        assert torch.equal(loss(z_a, z_b), loss(z_a.float(), z_b.float()))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lambda_param": -1.0}, "lambda_param must be 0 or above, got -1.0"),
        ({"mu_param": math.nan}, "mu_param must be 0 or above, got nan"),
        ({"nu_param": -0.1}, "nu_param must be 0 or above, got -0.1"),
        ({"eps": 0.0}, "eps must be above 0, got 0.0"),
        ({"gamma": 0.0}, "gamma must be above 0, got 0.0"),
        ({"convention": "mean"}, "convention must be one of 'official', 'paper', got 'mean'"),
    ],
)
def test_bad_settings_are_named(arguments, words, as_a_user):
    with pytest.raises(ValueError, match=words):
        VICRegLoss(**arguments)


def test_bad_batches_are_named(as_a_user):
    with pytest.raises(ValueError, match="out0 must have at least 2 rows, got 1: one row has no negatives and no spr"):
        VICRegLoss()(torch.ones(1, 3), torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"z_a and z_b must have one shape.*\(2, 3\) and \(2, 4\)"):
        invariance(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match="z must have at least 2 rows, got 1"):
        variance(torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"z must be a batch of shape \(N, d\), got \(3,\)"):
        covariance(torch.ones(3))
    with pytest.raises(TypeError, match=r"z must be a tensor of floats, got torch\.int64"):
        covariance(torch.ones(3, 2).long())


def test_it_says_what_it_is():
    assert repr(VICRegLoss()) == "VICRegLoss(lambda_param=25.0, mu_param=25.0, nu_param=1.0)"
