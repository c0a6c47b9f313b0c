"""The small networks compute what they say, learn, and have the same form as a pretrained one."""

import urllib.error
import urllib.request

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, ResNetConfig, ResNetModel

from embedcourse.data.digits import load_digits
from embedcourse.models import encoders
from embedcourse.models.encoders import (
    PretrainedResNet,
    SmallCNN,
    SmallCNN1d,
    SmallResNet,
    embed_in_chunks,
    evaluation_mode,
    load_image_encoder,
    train_on_labels,
)


@pytest.fixture
def small_pretrained(tmp_path):
    """A tiny ResNet with random weights, saved as transformers saves one."""
    torch.manual_seed(0)
    config = ResNetConfig(num_channels=3, embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")
    model = ResNetModel(config).eval()
    model.save_pretrained(tmp_path / "resnet")
    return tmp_path / "resnet", model


@pytest.fixture
def no_hub(monkeypatch):
    """The model hub out of reach; the test fails when it is asked more than once."""
    asked = []

    def refuse(request, **_):
        asked.append(request.full_url)
        assert len(asked) == 1
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return asked


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (32, 32), (1, 1)])
@pytest.mark.parametrize(("embedding_dim", "channels"), [(32, 1), (2, 3)])
def test_pictures_of_any_size_become_rows(size, embedding_dim, channels, device):
    encoder = SmallResNet(embedding_dim, width=4, channels=channels).to(device)
    assert encoder(torch.rand(3, channels, *size, device=device)).shape == (3, embedding_dim)
    assert encoder.embed(torch.rand(0, channels, *size, device=device)).shape == (0, embedding_dim)


@pytest.mark.parametrize("size", [(32, 32), (8, 8), (5, 7), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_small_cnn_is_four_convolutions_and_a_mean(size, channels, device, generator):
    """An oracle: the layers one by one, with batch statistics, in the ordinary layout of memory."""
    torch.manual_seed(0)
    encoder = SmallCNN(width=2, channels=channels).to(device)
    assert encoder.embedding_dim == 16
    x = y = torch.rand(16, channels, *size, generator=generator).to(device)
    for convolution, norm, _ in encoder.layers:
        y = F.conv2d(y, convolution.weight.contiguous(), stride=2, padding=1)
        mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), unbiased=False, keepdim=True)
        y = ((y - mean) / (var + norm.eps).sqrt()).relu()
    assert y.shape == (16, 16, *(-(-side // 16) for side in size))
    torch.testing.assert_close(encoder(x), y.mean((2, 3)), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("steps", [64, 9, 1])
@pytest.mark.parametrize("channels", [6, 1])
def test_the_small_cnn_over_time_is_four_convolutions_and_a_mean(steps, channels, device, generator):
    """An oracle: the layers one by one, each a sum over its three steps, with batch statistics."""
    torch.manual_seed(0)
    encoder = SmallCNN1d(width=2, channels=channels).to(device)
    assert encoder.embedding_dim == 16
    x = y = torch.rand(16, channels, steps, generator=generator).to(device)
    for convolution, norm, _ in encoder.layers:
        padded = F.pad(y, (1, 1))
        y = sum(
            torch.einsum("oc,nct->not", convolution.weight[:, :, k], padded[:, :, k : k + y.shape[2] : 2])
            for k in range(3)
        )
        mean, var = y.mean((0, 2), keepdim=True), y.var((0, 2), unbiased=False, keepdim=True)
        y = ((y - mean) / (var + norm.eps).sqrt()).relu()
    assert y.shape == (16, 16, -(-steps // 16))
    torch.testing.assert_close(encoder(x), y.mean(2), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(encoder.embed(x), encoder.eval()(x).detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("network", [SmallCNN, SmallResNet])
def test_each_says_how_wide_its_embeddings_are(network):
    encoder = network(channels=1)
    assert encoder.embed(torch.rand(2, 1, 8, 8)).shape == (2, encoder.embedding_dim)


@pytest.mark.parametrize("chunk_size", [1, 3, 7, 100])
def test_chunks_change_nothing_and_go_to_the_encoders_device(chunk_size, device, generator):
    encoder = SmallCNN(width=2).to(device)
    x = torch.rand(7, 3, 8, 8, generator=generator)
    seen = []
    encoder.register_forward_pre_hook(lambda _, inputs: seen.append((len(inputs[0]), inputs[0].device.type)))
    z = embed_in_chunks(encoder, x, chunk_size=chunk_size)
    assert z.device == x.device
    assert max(seen) == (min(chunk_size, 7), device.type)
    assert sum(rows for rows, _ in seen) == 7
    torch.testing.assert_close(z, encoder.eval()(x.to(device)).cpu(), atol=1e-6, rtol=1e-5)


def test_evaluation_mode_puts_every_parts_own_mode_back():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout().eval(), nn.Dropout()))
    modes = [part.training for part in model.modules()]
    with evaluation_mode(model):
        assert not any(part.training for part in model.modules())
    with pytest.raises(KeyError), evaluation_mode(model):
        raise KeyError
    assert [part.training for part in model.modules()] == modes == [True, True, True, False, True]


def test_a_block_adds_its_input_to_its_residual():
    torch.manual_seed(0)
    block = encoders.ResidualBlock(4, 4, stride=1).eval()
    x = torch.randn(2, 4, 6, 6)
    nn.init.zeros_(block.norm2.weight)  # a block whose residual is zero passes its input on
    torch.testing.assert_close(block(x), F.relu(x))


def test_a_block_that_halves_matches_the_equation_written_out():
    torch.manual_seed(0)
    block = encoders.ResidualBlock(2, 4, stride=2)
    x = torch.randn(8, 2, 6, 6)

    def normalised(y, layer):  # batch statistics, as in training
        mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), unbiased=False, keepdim=True)
        return (y - mean) / (var + layer.eps).sqrt()

    residual = normalised(F.conv2d(x, block.conv1.weight, stride=2, padding=1), block.norm1).relu()
    residual = normalised(F.conv2d(residual, block.conv2.weight, padding=1), block.norm2)
    expected = (residual + F.conv2d(x, block.shortcut.weight, stride=2)).relu()
    torch.testing.assert_close(block(x), expected, atol=1e-5, rtol=1e-4)


def test_embed_has_no_gradient_and_puts_the_mode_back():
    encoder, x = SmallResNet(4, width=4), torch.rand(6, 1, 8, 8)
    before = encoder.norm.running_mean.clone()
    z = encoder.embed(x)
    assert encoder.training
    assert not z.requires_grad
    assert torch.equal(encoder.norm.running_mean, before)
    torch.testing.assert_close(encoder.embed(x[:1]), z[:1], atol=1e-6, rtol=1e-5)  # rows do not see each other
    assert encoder(x).requires_grad
    assert not encoder.eval().embed(x).requires_grad
    assert not encoder.training


def test_every_weight_learns():
    encoder = SmallResNet(4, width=4)
    encoder(torch.rand(6, 1, 8, 8)).pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_trained_digits_lie_by_class_and_random_ones_do_not():
    digits = load_digits(test_size=400)
    torch.manual_seed(0)
    encoder = SmallResNet(8, width=8)
    before = one_mean_a_class(encoder, digits)
    assert train_on_labels(encoder, digits.train_images, digits.train_labels, epochs=3) is encoder
    assert not encoder.training
    assert before < 0.7
    assert one_mean_a_class(encoder, digits) > 0.9


def one_mean_a_class(encoder: SmallResNet, digits) -> float:
    from sklearn.neighbors import NearestCentroid

    z, test = encoder.embed(digits.train_images), encoder.embed(digits.test_images)
    return NearestCentroid().fit(z, digits.train_labels).score(test, digits.test_labels)


def test_training_is_decided_by_its_seed():
    x, labels = load_digits(test_size=1600)[:2]

    def trained(seed: int) -> torch.Tensor:
        torch.manual_seed(0)
        return train_on_labels(SmallResNet(4, width=4), x, labels, epochs=1, seed=seed).embed(x[:5])

    torch.testing.assert_close(trained(1), trained(1))
    assert not torch.allclose(trained(1), trained(2), atol=1e-2)


def test_training_leaves_torchs_generator_alone():
    encoder = SmallResNet(2, width=2)
    before = torch.get_rng_state()
    train_on_labels(encoder, torch.rand(4, 1, 8, 8, generator=torch.Generator()), torch.tensor([0, 1, 0, 1]), epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.tensor([0, 1])}, "labels: expected one a picture"),
        ({"labels": torch.tensor([0, -1, 1])}, "labels: expected class numbers from 0 on, got -1"),
        ({"epochs": 0}, "epochs: expected at least 1, got 0"),
    ],
)
def test_bad_training_is_refused_by_name(change, message):
    options = {"x": torch.rand(3, 1, 8, 8), "labels": torch.tensor([0, 1, 2]), "epochs": 1} | change
    with pytest.raises(ValueError, match=message):
        train_on_labels(SmallResNet(2, width=2), **options)


@pytest.mark.usefixtures("as_a_user")
def test_bad_pictures_and_sizes_are_refused_by_name():
    with pytest.raises(ValueError, match=r"x: expected pictures of shape \(n, 1, h, w\), got \(8, 8\)"):
        SmallResNet()(torch.rand(8, 8))
    with pytest.raises(ValueError, match=r"got \(2, 3, 8, 8\)"):
        SmallResNet().embed(torch.rand(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"x: expected pictures of shape \(n, 3, h, w\), got \(2, 1, 8, 8\)"):
        SmallCNN()(torch.rand(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"x: expected signals of shape \(n, 6, t\), got \(2, 64, 6\)"):
        SmallCNN1d()(torch.rand(2, 64, 6))
    with pytest.raises(ValueError, match="channels: expected at least 1, got 0"):
        SmallCNN1d(channels=0)
    with pytest.raises(ValueError, match="embedding_dim: expected at least 1, got 0"):
        SmallResNet(embedding_dim=0)
    with pytest.raises(ValueError, match="width: expected at least 1, got 0"):
        SmallCNN(width=0)
    with pytest.raises(ValueError, match="chunk_size: expected at least 1, got 0"):
        embed_in_chunks(SmallCNN(), torch.rand(2, 3, 8, 8), chunk_size=0)


def test_a_pretrained_resnet_is_read_from_a_folder(small_pretrained, capfd):
    folder, model = small_pretrained
    encoder = load_image_encoder(folder, fallback=SmallResNet())
    assert isinstance(encoder, PretrainedResNet)
    assert not encoder.training
    x = torch.rand(2, 3, 16, 16)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = model((x - mean[:, None, None]) / std[:, None, None]).last_hidden_state.mean((2, 3))
    torch.testing.assert_close(encoder.embed(x), expected, atol=1e-5, rtol=1e-4)
    assert capfd.readouterr() == ("", "")


def test_a_pretrained_resnet_takes_grey_pictures_and_has_the_form_of_the_small_one(small_pretrained):
    encoder = load_image_encoder(str(small_pretrained[0]), fallback=SmallResNet())
    grey = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(encoder.embed(grey), encoder.embed(grey.repeat(1, 3, 1, 1)))
    assert encoder.embed(grey).shape == (2, encoder.embedding_dim) == (2, 8)
    assert encoder(grey).requires_grad
    with pytest.raises(ValueError, match=r"expected pictures of shape \(n, 1 or 3, h, w\), got \(2, 2, 8, 8\)"):
        encoder(torch.rand(2, 2, 8, 8))


def test_without_the_hub_one_sentence_says_what_is_missing(no_hub, capfd):
    fallback = SmallResNet(2, width=2)
    assert load_image_encoder("microsoft/no-such-resnet", fallback=fallback) is fallback
    out, err = capfd.readouterr()
    assert out == (
        "The weights of 'microsoft/no-such-resnet' are not on this disk and cannot be fetched: "
        "the fallback is used instead.\n"
    )
    assert err == ""
    assert len(no_hub) == 1


def test_a_folder_that_is_missing_is_never_asked_for_on_the_hub(no_hub, tmp_path, capfd):
    fallback = SmallResNet(2, width=2)
    for name in (tmp_path / "nowhere", "./nowhere", "../nowhere"):
        assert load_image_encoder(name, fallback=fallback) is fallback
    assert no_hub == []
    assert capfd.readouterr().out.count("the fallback is used") == 3


def test_told_to_stay_offline_it_asks_nobody(monkeypatch, capfd):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    fallback = SmallResNet(2, width=2)
    assert load_image_encoder("microsoft/no-such-resnet", fallback=fallback) is fallback
    assert "cannot be fetched" in capfd.readouterr().out


def test_a_model_of_another_kind_is_refused(tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="a model of the kind 'bert', expected 'resnet'"):
        load_image_encoder(tmp_path, fallback=SmallResNet())


def test_damaged_weights_are_an_error_and_not_a_reason_to_fall_back(small_pretrained):
    folder, _ = small_pretrained
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(Exception, match=r"(?i)header|safetensor"):
        load_image_encoder(folder, fallback=SmallResNet())


@pytest.mark.usefixtures("as_a_user")
def test_a_fallback_that_is_no_network_is_refused():
    with pytest.raises(TypeError, match="fallback: expected a torch module such as SmallResNet"):
        load_image_encoder("microsoft/resnet-18", fallback=None)
