"""DeCUR keeps two networks for two modalities, and its training splits what both see from what one sees."""

import pytest
import torch
from torch import Tensor, nn

from embedcourse.evaluation import variance_explained
from embedcourse.losses import DeCURLoss, cross_correlation
from embedcourse.models.decur import DeCUR
from embedcourse.models.encoders import SmallCNN, SmallCNN1d
from embedcourse.models.projector import Projector
from embedcourse.training import fit


def small() -> DeCUR:
    torch.manual_seed(0)
    encoders = {"imu": SmallCNN1d(2), "audio": SmallCNN(2, channels=1)}
    return DeCUR(encoders, {name: Projector(16, 16, 6) for name in encoders}, dim_common=4)


def pairs(n: int, generator: torch.Generator) -> dict[str, Tensor]:
    return {
        "imu": torch.randn(n, 6, 64, generator=generator),
        "audio": torch.rand(n, 1, 32, 32, generator=generator),
    }


@pytest.mark.parametrize("modality", ["imu", "audio"])
def test_each_modality_has_its_own_encoder_and_projector(modality, device, generator):
    model = small().to(device)
    x = pairs(7, generator)[modality].to(device)
    h, z = model.embed(modality, x, chunk_size=3), model.embed(modality, x, projected=True, chunk_size=3)
    assert model.training
    assert not z.requires_grad
    assert (h.shape, z.shape) == ((7, 16), (7, 6))
    model.eval()
    torch.testing.assert_close(h, model.encoders[modality](x), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(z, model.projectors[modality](h), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(z, model(modality, x), atol=1e-6, rtol=1e-5)


def test_common_and_unique_dimensions_are_all_there_are(generator):
    model = small()
    z = model("imu", pairs(5, generator)["imu"])
    assert z[:, model.common].shape == (5, 4)
    assert torch.equal(torch.cat([z[:, model.common], z[:, model.unique]], dim=1), z)


def test_every_weight_learns_and_no_weight_of_the_other_modality(generator):
    model = small()
    x = pairs(6, generator)
    imu = model("imu", x["imu"]), model("imu", x["imu"] + 1)
    audio = model("audio", x["audio"]), model("audio", x["audio"] + 1)
    DeCURLoss(4)(*imu, *audio).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    model.zero_grad()
    DeCURLoss(4).terms(*(model("imu", x["imu"]) for _ in range(4)))["loss"].backward()
    assert all(p.grad is None for p in [*model.encoders["audio"].parameters(), *model.projectors["audio"].parameters()])


def test_it_splits_what_both_see_from_what_one_sees(generator):
    """Three signs: both modalities see the first, each sees one that the other does not."""
    shared, own_1, own_2 = torch.randint(2, (3, 512), generator=generator)
    turn = torch.randn(2, 4, 4, generator=generator)
    first, second = (
        torch.stack([2.0 * shared - 1, 2.0 * own - 1, *torch.zeros(2, 512)], 1) @ mix
        for own, mix in zip((own_1, own_2), turn, strict=True)
    )
    torch.manual_seed(0)
    names = ("first", "second")
    model = DeCUR({n: nn.Identity() for n in names}, {n: Projector(4, 32, 2) for n in names}, dim_common=1)
    loss = DeCURLoss(1, lambd=0.5)

    def objective(model, *batch):
        views = [(n, x + 0.1 * torch.randn_like(x)) for n, x in zip(names, batch, strict=True) for _ in range(2)]
        return loss.terms(*(model(n, x) for n, x in views))

    history = fit(model, objective, (first, second), steps=60, batch_size=128, lr=1e-2, device="cpu", progress=False)
    assert {"intra 1", "intra 2", "common", "unique"} < history.terms.keys()
    z_1, z_2 = (model.embed(n, x, projected=True) for n, x in zip(names, (first, second), strict=True))
    c = cross_correlation(z_1, z_2).diagonal()
    assert c[model.common].min() > 0.9
    assert c[model.unique].abs().max() < 0.15
    for z, own in ((z_1, own_1), (z_2, own_2)):
        assert variance_explained(z[:, model.common], shared) > 5 * variance_explained(z[:, model.common], own)
        assert variance_explained(z[:, model.unique], own) > 5 * variance_explained(z[:, model.unique], shared)


ENCODERS = {"a": nn.Identity(), "b": nn.Identity()}
PROJECTORS = {"a": nn.Linear(3, 2), "b": nn.Linear(3, 2)}
ONE = nn.Linear(3, 2)
OFFICIAL = {"a": nn.Sequential(ONE, nn.ReLU()), "b": nn.Sequential(ONE, nn.ReLU())}


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DeCUR(ENCODERS, {"a": ONE}, 1), r"the same two modalities, got \['a', 'b'\] and \['a'\]"),
        (lambda: DeCUR({"a": ONE}, {"a": ONE}, 1), r"the same two modalities, got \['a'\] and \['a'\]"),
        (lambda: DeCUR(ENCODERS, {"a": ONE, "b": ONE}, 1), "projectors must have weights of their own, got 2"),
        (lambda: DeCUR(ENCODERS, OFFICIAL, 1), "projectors must have weights of their own, got 2 that both share"),
        (lambda: DeCUR(ENCODERS, PROJECTORS, -1), "dim_common must be 0 or above, got -1"),
        (lambda: DeCUR(ENCODERS, PROJECTORS, 1)("c", torch.ones(2, 3)), "modality must be one of 'a', 'b', got 'c'"),
        (lambda: DeCUR(ENCODERS, PROJECTORS, 1).embed("c", torch.ones(2, 3)), "modality must be one of 'a', 'b'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
