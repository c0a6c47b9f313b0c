"""VICReg expands for the loss, embeds before the expander, and collapses without its variance term."""

import pytest
import torch

from embedcourse.data.augmentations import augmentations, two_views
from embedcourse.data.digits import load_digits
from embedcourse.evaluation import effective_rank
from embedcourse.losses import VICRegLoss
from embedcourse.models.encoders import SmallCNN
from embedcourse.models.projector import Projector
from embedcourse.models.vicreg import VICReg
from embedcourse.training import fit


def small(channels: int = 3, width: int = 2) -> VICReg:
    torch.manual_seed(0)
    return VICReg(SmallCNN(width, channels), Projector(8 * width, 32, 32, 32))


def test_the_loss_sees_the_expansion_and_the_rest_the_representation(device, generator):
    model = small().to(device)
    x = torch.rand(7, 3, 8, 8, generator=generator).to(device)
    y = model.embed(x, chunk_size=3)
    assert model.training
    assert not y.requires_grad
    assert y.shape == (7, model.encoder.embedding_dim)
    model.eval()
    torch.testing.assert_close(y, model.encoder(x), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model(x), model.expander(y), atol=1e-6, rtol=1e-5)


def test_every_weight_learns(generator):
    model = small()
    x0, x1 = torch.rand(2, 6, 3, 8, 8, generator=generator)
    VICRegLoss()(model(x0), model(x1)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_without_the_variance_term_the_space_collapses():
    images = load_digits().train_images
    augment = augmentations(flip=False)

    def spread(**weights: float):
        model, loss = small(channels=1, width=4), VICRegLoss(**weights)

        def objective(model, x):
            x0, x1 = two_views(augment, x)
            return loss(model(x0), model(x1))

        fit(model, objective, images, steps=60, batch_size=128, lr=5e-3, progress=False)
        with torch.no_grad():
            return effective_rank(model(images))

    assert spread().std > 0.3
    assert spread(mu_param=0.0).std < 0.05


@pytest.mark.usefixtures("as_a_user")
def test_pictures_of_another_kind_are_refused_by_name():
    with pytest.raises(ValueError, match=r"x: expected pictures of shape \(n, 3, h, w\), got \(2, 1, 8, 8\)"):
        small()(torch.rand(2, 1, 8, 8))
