"""SimCLR projects for the loss, embeds before the projector, and finds a class that its views leave alone."""

import pytest
import torch

from embedcourse.data.augmentations import augmentations, two_views
from embedcourse.data.digits import load_digits
from embedcourse.evaluation import effective_rank, linear_probe
from embedcourse.losses import NTXentLoss
from embedcourse.models.encoders import SmallCNN
from embedcourse.models.projector import Projector
from embedcourse.models.simclr import SimCLR
from embedcourse.training import fit


def small(channels: int = 3) -> SimCLR:
    torch.manual_seed(0)
    return SimCLR(SmallCNN(width=2, channels=channels), Projector(16, 8, 4))


def test_the_loss_sees_the_projection_and_the_rest_the_representation(device, generator):
    model = small().to(device)
    x = torch.rand(7, 3, 8, 8, generator=generator).to(device)
    h = model.embed(x, chunk_size=3)
    assert model.training
    assert not h.requires_grad
    assert h.shape == (7, model.encoder.embedding_dim)
    model.eval()
    torch.testing.assert_close(h, model.encoder(x), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model(x), model.projector(h), atol=1e-6, rtol=1e-5)


def test_every_weight_learns(generator):
    model = small()
    x0, x1 = torch.rand(2, 6, 3, 8, 8, generator=generator)
    NTXentLoss()(model(x0), model(x1)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_training_brings_views_together_and_digits_into_order():
    digits = load_digits()
    torch.manual_seed(0)
    model = SimCLR(SmallCNN(width=8, channels=1), Projector(64, 64, 32))
    augment, loss = augmentations(flip=False, rotation=10), NTXentLoss(0.2)

    def objective(model, x):
        x0, x1 = two_views(augment, x)
        return loss(model(x0), model(x1))

    def probe() -> float:
        train, test = model.embed(digits.train_images), model.embed(digits.test_images)
        return linear_probe(train[:50], digits.train_labels[:50], test, digits.test_labels)

    before = probe()
    history = fit(model, objective, digits.train_images, steps=60, batch_size=128, lr=0.01, progress=False)
    assert sum(history.loss[-5:]) < 0.75 * sum(history.loss[:5])
    assert probe() > before + 0.1
    assert effective_rank(model.embed(digits.test_images)).std > 0.1


@pytest.mark.usefixtures("as_a_user")
def test_pictures_of_another_kind_are_refused_by_name():
    with pytest.raises(ValueError, match=r"x: expected pictures of shape \(n, 3, h, w\), got \(2, 1, 8, 8\)"):
        small()(torch.rand(2, 1, 8, 8))
    with pytest.raises(ValueError, match="chunk_size: expected at least 1, got 0"):
        small().embed(torch.rand(2, 3, 8, 8), chunk_size=0)
