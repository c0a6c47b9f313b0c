"""NT-Xent against the paper's algorithm written as loops, golden values, and pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss as TheirNTXentLoss
from pytorch_metric_learning.losses import SelfSupervisedLoss

from embedcourse.losses import NTXentLoss
from embedcourse.memory import LargestTensor

CHUNKS = [None, 3, 1024]
SIMILARITIES = ["cosine", "arc"]


def by_loop(out0: torch.Tensor, out1: torch.Tensor, temperature: float, similarity: str) -> float:
    """Algorithm 1 of Chen et al. 2020, pair by pair: views 2k and 2k + 1 come from one sample."""
    z = [row for pair in zip(out0.tolist(), out1.tolist(), strict=True) for row in pair]

    def s(x: list[float], y: list[float]) -> float:
        cosine = sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(
            sum(a * a for a in x) * sum(b * b for b in y)
        )
        return cosine if similarity == "cosine" else 1 - math.acos(max(-1.0, min(1.0, cosine))) / math.pi

    def ell(i: int, j: int) -> float:
        denominator = sum(math.exp(s(z[i], z[k]) / temperature) for k in range(len(z)) if k != i)
        return -math.log(math.exp(s(z[i], z[j]) / temperature) / denominator)

    n = len(out0)
    return sum(ell(2 * k, 2 * k + 1) + ell(2 * k + 1, 2 * k) for k in range(n)) / (2 * n)


def batches(n, d, generator, dtype=torch.float64, device="cpu"):
    out0, out1 = torch.randn(2, n, d, generator=generator, dtype=dtype).to(device)
    return out0.requires_grad_(), (out0.detach() + 0.5 * out1).requires_grad_()


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_it_is_the_papers_algorithm(similarity, temperature, chunk_size, dtype, device, generator):
    out0, out1 = batches(5, 4, generator, dtype, device)
    loss = NTXentLoss(temperature, similarity, chunk_size=chunk_size)(out0, out1)
    expected = by_loop(out0, out1, temperature, similarity)
    assert loss.item() == pytest.approx(expected, rel=1e-5 if dtype == torch.float32 else 1e-10)
    assert loss.dtype == dtype
    assert loss.shape == ()


def test_the_official_convention_is_twice_the_papers(generator):
    out0, out1 = batches(6, 3, generator)
    official = NTXentLoss(convention="official")(out0, out1)
    assert torch.equal(official, 2 * NTXentLoss()(out0, out1))


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_equal_embeddings_give_the_log_of_the_number_of_others(similarity, chunk_size, dtype, device):
    out = torch.ones(7, 4, dtype=dtype, device=device)
    loss = NTXentLoss(0.2, similarity, chunk_size=chunk_size)(out, out)
    assert loss.item() == pytest.approx(math.log(2 * 7 - 1), rel=1e-5)


@pytest.mark.parametrize("chunk_size", CHUNKS)
def test_the_golden_value_of_optax(chunk_size):
    ys = torch.tensor([[-1.954, 1.078], [0.238, -0.5703], [1.8745, -0.0195], [-0.6719, -1.921]])
    loss = NTXentLoss(0.07, chunk_size=chunk_size)(ys[[0, 2]], ys[[1, 3]])  # labels 0, 0, 1, 1
    assert loss.item() == pytest.approx(14.01032, rel=1e-5)


@pytest.mark.parametrize("chunk_size", CHUNKS)
def test_it_agrees_with_pytorch_metric_learning(chunk_size, dtype, device, generator):
    out0, out1 = batches(40, 16, generator, dtype, device)
    theirs = SelfSupervisedLoss(TheirNTXentLoss(temperature=0.3))(out0, out1)
    ours = NTXentLoss(0.3, chunk_size=chunk_size)(out0, out1)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    pairs = zip(torch.autograd.grad(ours, (out0, out1)), torch.autograd.grad(theirs, (out0, out1)), strict=True)
    for mine, yours in pairs:
        torch.testing.assert_close(mine, yours, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 7, 24, 25])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_tiles_change_neither_value_nor_gradient(similarity, chunk_size, dtype, device, generator):
    out0, out1 = batches(12, 6, generator, dtype, device)
    whole = NTXentLoss(0.2, similarity, chunk_size=None)(out0, out1)
    tiled = NTXentLoss(0.2, similarity, chunk_size=chunk_size)(out0, out1)
    tight = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(tiled, whole, **tight)
    pairs = zip(torch.autograd.grad(tiled, (out0, out1)), torch.autograd.grad(whole, (out0, out1)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, **tight)


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_gradient_is_that_of_finite_differences(similarity, chunk_size, device, generator):
    loss = NTXentLoss(0.4, similarity, chunk_size=chunk_size)
    assert torch.autograd.gradcheck(loss, batches(4, 3, generator, device=device))


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_nearly_equal_views_keep_an_exact_gradient(similarity, chunk_size, generator):
    """In float32 a cosine near 1 has lost the digits of the angle; float64 tells what is right."""
    out0, _ = batches(6, 8, generator)
    out1 = out0.detach() + 1e-4 * torch.randn(6, 8, generator=generator, dtype=torch.float64)
    loss = NTXentLoss(0.5, similarity, chunk_size=chunk_size)
    (right,) = torch.autograd.grad(NTXentLoss(0.5, similarity, chunk_size=None)(out0, out1), out0)
    single = out0.detach().float().requires_grad_()
    (got,) = torch.autograd.grad(loss(single, out1.float()), single)
    error = (got.double() - right).norm() / right.norm()
    assert error < 1e-2 if similarity == "arc" else error < 1e-4  # the views themselves are rounded to 1e-7 of 1e-4


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("temperature", [1e-3, 1e-2, 1e3])
def test_extreme_temperatures_do_not_overflow(temperature, similarity, chunk_size, device, generator):
    out0, out1 = batches(8, 4, generator, torch.float32, device)
    loss = NTXentLoss(temperature, similarity, chunk_size=chunk_size)(out0, out1)
    exact = NTXentLoss(temperature, similarity, chunk_size=None)(out0.double(), out1.double())
    assert loss.item() == pytest.approx(exact.item(), rel=1e-3, abs=1e-3)
    for gradient in torch.autograd.grad(loss, (out0, out1)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(half, similarity, chunk_size, device, generator):
    out0, out1 = (out.detach().to(half) for out in batches(8, 4, generator, torch.float32, device))
    loss = NTXentLoss(0.05, similarity, chunk_size=chunk_size)
    assert torch.equal(loss(out0, out1), loss(out0.float(), out1.float()))
    with torch.autocast(out0.device.type, torch.bfloat16):
        assert torch.equal(loss(out0.float(), out1.float()), loss(out0, out1))


@pytest.mark.parametrize("chunk_size", CHUNKS)
@pytest.mark.parametrize(("similarity", "level"), [("cosine", 0.0), ("arc", 0.5)])
def test_a_zero_vector_is_at_a_right_angle_to_everything(similarity, level, chunk_size, device):
    out = torch.zeros(3, 4, device=device, requires_grad=True)
    loss = NTXentLoss(0.1, similarity, chunk_size=chunk_size)(out, out)
    assert loss.item() == pytest.approx(math.log(5), rel=1e-5)  # five others, all at one level
    (gradient,) = torch.autograd.grad(loss, out)
    assert torch.equal(gradient, torch.zeros_like(out))


def test_a_second_derivative_exists_without_tiles(generator):
    loss = NTXentLoss(0.5, chunk_size=None)
    assert torch.autograd.gradgradcheck(loss, batches(3, 2, generator))


def test_memory_does_not_grow_with_the_square_of_the_batch(generator):
    """The largest tensor of forward and backward: a tile, or the rows themselves."""
    out0, out1 = batches(1000, 8, generator, torch.float32)
    with LargestTensor() as largest:
        NTXentLoss(chunk_size=100)(out0, out1).backward()
    assert largest.bytes <= max(100 * 100 * 8, 2000 * 8 * 8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        ({"temperature": math.nan}, "temperature must be above 0, got nan"),
        ({"similarity": "dot"}, "similarity must be one of 'cosine', 'arc', got 'dot'"),
        ({"convention": "sum"}, "convention must be one of 'paper', 'official', got 'sum'"),
        ({"chunk_size": 0}, "chunk_size must be above 0, got 0"),
    ],
)
def test_bad_settings_are_named(arguments, words, as_a_user):
    with pytest.raises(ValueError, match=words):
        NTXentLoss(**arguments)


@pytest.mark.parametrize(
    ("out0", "out1", "kind", "words"),
    [
        ([[1.0]], torch.ones(2, 3), TypeError, "out0 must be a tensor of floats, got list"),
        (torch.ones(2, 3), torch.ones(2, 3).long(), TypeError, "out1 must be a tensor of floats, got torch.int64"),
        (torch.ones(2, 3), torch.ones(3, 3), ValueError, r"one shape.*\(2, 3\) and \(3, 3\)"),
        (torch.ones(3), torch.ones(3), ValueError, r"out0 must be a batch of shape \(N, d\), got \(3,\)"),
        (torch.ones(2, 0), torch.ones(2, 0), ValueError, r"out0 must be a batch of shape \(N, d\), got \(2, 0\)"),
        (torch.ones(1, 3), torch.ones(1, 3), ValueError, "at least 2 rows, got 1: one row has no negatives"),
        (torch.ones(0, 3), torch.ones(0, 3), ValueError, "at least 2 rows, got 0"),
    ],
)
def test_bad_batches_are_named(out0, out1, kind, words, as_a_user):
    with pytest.raises(kind, match=words):
        NTXentLoss()(out0, out1)


def test_it_says_what_it_is():
    assert repr(NTXentLoss(0.2, "arc")) == "NTXentLoss(temperature=0.2, similarity='arc')"
