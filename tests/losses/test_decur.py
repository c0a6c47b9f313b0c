"""DeCUR against a loop over the paper's sums, against Barlow Twins where nothing is unique, and over two processes."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from embedcourse.losses import BarlowTwinsLoss, DeCURLoss
from embedcourse.losses.decur import redundancy

PROCESSES = 2


def batches(n, d, generator, dtype=torch.float64, device="cpu") -> list[Tensor]:
    """Two views of each of two modalities that have something to do with each other."""
    shared = torch.randn(n, d, generator=generator, dtype=dtype)
    noise = torch.randn(4, n, d, generator=generator, dtype=dtype)
    return [(3 * (shared + z) + 2).to(device).requires_grad_() for z in noise]


def loop(z_a, z_b, dims, wanted, lambd, eps=1e-5):
    """Σᵢ (wanted − Cᵢᵢ)² + λ Σᵢ Σⱼ≠ᵢ Cᵢⱼ² over some dimensions, number by number."""
    n, total = len(z_a), 0.0
    for i in dims:
        for j in dims:
            a, b = z_a[:, i], z_b[:, j]
            covariance = sum((a[s] - a.mean()) * (b[s] - b.mean()) for s in range(n)) / n
            c = covariance / ((a.var(correction=0) + eps) * (b.var(correction=0) + eps)).sqrt()
            total = total + ((wanted - c) ** 2 if i == j else lambd * c**2)
    return total


def papers_terms(m1_view1, m1_view2, m2_view1, m2_view2, k, lambd):
    """L_M1, L_M2, L_com and L_uni as the paper writes them."""
    d = m1_view1.shape[1]
    return {
        "intra 1": loop(m1_view1, m1_view2, range(d), 1, lambd),
        "intra 2": loop(m2_view1, m2_view2, range(d), 1, lambd),
        "common": loop(m1_view1, m2_view1, range(k), 1, lambd),
        "unique": loop(m1_view1, m2_view1, range(k, d), 0, lambd),
    }


def assert_equal_with_gradient(ours, theirs, views):
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
    gradients = (torch.autograd.grad(loss, views, retain_graph=True) for loss in (ours, theirs))
    for mine, yours in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("k", [0, 1, 3, 5])
@pytest.mark.parametrize("lambd", [0.0051, 0.5])
def test_it_is_the_papers_sum_of_four_terms(k, lambd, dtype, device, generator):
    views = batches(8, 5, generator, dtype, device)
    theirs = papers_terms(*views, k, lambd)
    terms = DeCURLoss(k, lambd, "sum").terms(*views)
    for name, term in theirs.items():
        torch.testing.assert_close(terms[name], torch.as_tensor(term).to(terms[name]), rtol=1e-5, atol=1e-7)
    assert_equal_with_gradient(terms["loss"], sum(theirs.values()), views)


def test_the_official_average_halves_the_cross_modal_part(dtype, device, generator):
    views = batches(8, 5, generator, dtype, device)
    theirs = papers_terms(*views, 2, 0.0051)
    average = (theirs["intra 1"] + theirs["intra 2"] + (theirs["common"] + theirs["unique"]) / 2) / 3
    assert_equal_with_gradient(DeCURLoss(2)(*views), average, views)


@pytest.mark.parametrize("k", [1, 4])
def test_it_is_what_torchs_batch_normalisation_makes_of_it(k, dtype, device, generator):
    """Another road to the same number: one matrix of targets and one of weights for each cross-correlation."""
    views = batches(20, 5, generator, dtype, device)
    norm = nn.BatchNorm1d(5, affine=False).to(views[0])
    a1, a2, b1, b2 = map(norm, views)
    eye = torch.eye(5).to(a1)
    weights = eye + 0.02 * (1 - eye)
    is_common = (torch.arange(5) < k).to(a1)
    same_kind = is_common[:, None] == is_common
    intra = sum((weights * (x.T @ y / 20 - eye) ** 2).sum() for x, y in ((a1, a2), (b1, b2)))
    cross = (weights * same_kind * (a1.T @ b1 / 20 - eye * is_common) ** 2).sum()
    assert_equal_with_gradient(DeCURLoss(k, 0.02, "sum")(*views), intra + cross, views)
    assert_equal_with_gradient(DeCURLoss(k, 0.02)(*views), (intra + cross / 2) / 3, views)


def test_with_all_dimensions_common_it_is_three_barlow_twins(dtype, device, generator):
    m1_view1, m1_view2, m2_view1, m2_view2 = views = batches(30, 6, generator, dtype, device)
    twins = BarlowTwinsLoss(0.02)
    intra_1, intra_2, cross = twins(m1_view1, m1_view2), twins(m2_view1, m2_view2), twins(m1_view1, m2_view1)
    assert_equal_with_gradient(DeCURLoss(6, 0.02, "sum")(*views), intra_1 + intra_2 + cross, views)
    assert_equal_with_gradient(DeCURLoss(6, 0.02)(*views), (intra_1 + intra_2 + cross / 2) / 3, views)


def test_the_gradient_is_that_of_finite_differences(device, generator):
    assert torch.autograd.gradcheck(DeCURLoss(2, 0.3), batches(6, 3, generator, device=device))


def test_separate_common_and_unique_dimensions_cost_nothing():
    signs = torch.tensor([[a, b, c] for a in (-1.0, 1) for b in (-1, 1) for c in (-1, 1)], dtype=torch.float64)
    m1, m2 = signs[:, [0, 1]], signs[:, [0, 2]]  # the first is the same in both modalities, the second is not
    loss = DeCURLoss(1, 1.0, "sum", eps=1e-12)
    assert loss(m1, m1, m2, m2).item() == pytest.approx(0, abs=1e-9)
    assert loss(m1, m1, m1, m1).item() == pytest.approx(1)  # the unique diagonal counts
    assert DeCURLoss(2, 1.0, "sum", eps=1e-12)(m1, m1, m2, m2).item() == pytest.approx(1)


def test_the_mixed_blocks_are_free():
    signs = torch.tensor([[a, b] for a in (-1.0, 1) for b in (-1, 1)], dtype=torch.float64)
    swapped = signs[:, [1, 0]]  # common of one is unique of the other
    terms = DeCURLoss(1, 1.0, eps=1e-12).terms(signs, signs, swapped, swapped)
    assert terms["common"].item() == pytest.approx(1)
    assert terms["unique"].item() == pytest.approx(0, abs=1e-9)


def test_redundancy_is_zero_for_its_target_and_for_nothing():
    assert redundancy(torch.eye(3), 1, 0.5) == 0
    assert redundancy(torch.zeros(3, 3), 0, 0.5) == 0
    assert redundancy(torch.full((2, 2), 0.5), 0, 0.25) == 0.5 + 0.25 * 0.5
    assert redundancy(torch.zeros(0, 0), 1, 0.5) == 0


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(half, device, generator):
    views = [z.detach().to(half) for z in batches(8, 4, generator, torch.float32, device)]
    loss = DeCURLoss(2)
    expected = loss(*(z.float() for z in views))
    assert torch.equal(loss(*views), expected)
    with torch.autocast(views[0].device.type, torch.bfloat16):
        assert torch.equal(loss(*views), expected)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)).double()


def inputs() -> Tensor:
    """Two views of two modalities: 4 × 8 rows."""
    return torch.randn(4, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def step(model: nn.Module, loss: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The loss and the gradients of all parameters."""
    model.zero_grad()
    value = loss(*model(x.flatten(0, 1)).chunk(4))
    value.backward()
    return value.detach(), [parameter.grad.clone() for parameter in model.parameters()]


def run(rank: int, folder: str) -> None:
    """One process: its half of the batch."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=PROCESSES)
    x = inputs().chunk(PROCESSES, dim=1)[rank]
    torch.save(step(DistributedDataParallel(network()), DeCURLoss(2, gather=True), x), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_learn_what_one_learns_from_the_joint_batch(tmp_path):
    mp.spawn(run, (str(tmp_path),), nprocs=PROCESSES)
    value, gradients = step(network(), DeCURLoss(2), inputs())
    for rank in range(PROCESSES):
        its_value, its_gradients = torch.load(Path(tmp_path) / f"{rank}.pt")
        torch.testing.assert_close(its_value, value, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(its_gradients, gradients, rtol=1e-9, atol=1e-12)


def test_without_other_processes_gathering_changes_nothing():
    one, other = (step(network(), DeCURLoss(2, gather=gather), inputs()) for gather in (True, False))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)


Z = torch.ones(4, 3)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: DeCURLoss(-1), ValueError, "dim_common must be 0 or above, got -1"),
        (lambda: DeCURLoss(1, -1), ValueError, "lambd must be 0 or above, got -1"),
        (lambda: DeCURLoss(1, eps=0), ValueError, "eps must be above 0, got 0"),
        (lambda: DeCURLoss(1, reduction="mean"), ValueError, "reduction must be one of 'official', 'sum', got 'mean'"),
        (lambda: DeCURLoss(4)(Z, Z, Z, Z), ValueError, "dim_common must be at most the 3 dimensions .*, got 4"),
        (lambda: DeCURLoss(1)(Z, Z, Z[:, :2], Z), ValueError, "m1_view1 and m2_view1 must have one shape"),
        (lambda: DeCURLoss(1)(Z, Z, Z, Z[:3]), ValueError, "m1_view1 and m2_view2 must have one shape"),
        (lambda: DeCURLoss(1)(Z, Z.bool(), Z, Z), TypeError, r"m1_view2 must be a tensor of floats, got torch\.bool"),
        (lambda: DeCURLoss(1)(*[Z[:1]] * 4), ValueError, "m1_view1 must have at least 2 rows, got 1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_it_says_what_it_is():
    assert "dim_common=3, lambd=0.0051, reduction='official'" in repr(DeCURLoss(3))
