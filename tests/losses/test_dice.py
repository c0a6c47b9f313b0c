"""Dice is scikit-learn's F-score of masks, knows its extremes, and weighs small objects like large ones."""

import pytest
import torch
from sklearn.metrics import f1_score

from embedcourse.losses import dice_loss


def logits_of(masks: torch.Tensor, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Logits that are as good as certain."""
    return (2 * masks.to(dtype) - 1) * 60


def test_of_certain_masks_it_is_the_f_score(device, dtype, generator):
    found, truth = (torch.rand(6, 40, 30, generator=generator) < p for p in (0.5, 0.3))
    scores = [f1_score(t.flatten(), f.flatten()) for t, f in zip(truth, found, strict=True)]
    sizes = (found.sum((1, 2)) + truth.sum((1, 2))).double()
    expected = 1 - ((torch.tensor(scores) * sizes + 1) / (sizes + 1)).mean()  # with the one that is added
    loss = dice_loss(logits_of(found, dtype).to(device), truth.to(device))
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_of_doubtful_masks_it_is_a_loop(device, dtype, generator):
    logits, truth = torch.randn(3, 4, 5, generator=generator), torch.rand(3, 4, 5, generator=generator) < 0.5
    total = 0.0
    for i in range(3):
        p = [1 / (1 + 2.718281828459045**-x) for x in logits[i].flatten().tolist()]
        t = [float(x) for x in truth[i].flatten()]
        total += 1 - (2 * sum(a * b for a, b in zip(p, t, strict=True)) + 1) / (sum(p) + sum(t) + 1)
    assert dice_loss(logits.to(device, dtype), truth.to(device)).item() == pytest.approx(total / 3, abs=1e-6)


def test_extremes():
    half = torch.zeros(1, 8, 8, dtype=torch.bool)
    half[:, :4] = True
    assert dice_loss(logits_of(half), half) < 1e-9
    assert dice_loss(logits_of(~half), half) > 0.98
    nothing = torch.zeros_like(half)
    assert dice_loss(logits_of(nothing), nothing) < 1e-9


def test_a_missed_small_object_costs_as_much_as_a_large_one():
    small, large = torch.zeros(1, 16, 16, dtype=torch.bool), torch.ones(1, 16, 16, dtype=torch.bool)
    small[:, :3, :3] = True
    nothing = torch.zeros_like(small)
    assert dice_loss(logits_of(nothing), small) == pytest.approx(dice_loss(logits_of(nothing), large).item(), abs=0.1)


def test_half_precision_and_gradients(device, generator):
    logits = torch.randn(2, 16, 16, generator=generator).to(device)
    truth = torch.rand(2, 16, 16, generator=generator).to(device) < 0.3
    assert dice_loss(logits.half(), truth).item() == pytest.approx(dice_loss(logits, truth).item(), abs=1e-3)
    assert torch.autograd.gradcheck(lambda x: dice_loss(x, truth), logits.double().requires_grad_())


@pytest.mark.usefixtures("as_a_user")
def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"one shape and a row, got \(2, 3, 3\) and \(1, 3, 3\)"):
        dice_loss(torch.zeros(2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"one shape and a row, got \(0, 3, 3\)"):
        dice_loss(torch.zeros(0, 3, 3), torch.zeros(0, 3, 3, dtype=torch.bool))
