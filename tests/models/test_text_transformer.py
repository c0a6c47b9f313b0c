"""The text transformer is its equations written out, never reads padding, and minds the order of words."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F

from embedcourse.models.text_transformer import PAD, TextTransformer


def small(layers: int = 1, **options) -> TextTransformer:
    torch.manual_seed(0)
    return TextTransformer(30, 10, width=8, layers=layers, heads=2, **options).double()


def texts(n, length, generator, device="cpu"):
    return torch.randint(1, 30, (n, length), generator=generator).to(device)


def attention(layer, x):
    """Every head by itself: each word takes from every word, by the softmax of query · key over √d."""
    n, width = x.shape
    q, k, v = (x @ layer.in_proj_weight.T + layer.in_proj_bias).reshape(n, 3, layer.num_heads, -1).unbind(1)
    heads = []
    for h in range(layer.num_heads):
        weights = (q[:, h] @ k[:, h].T / math.sqrt(width / layer.num_heads)).softmax(1)  # (n, n)
        heads.append(weights @ v[:, h])
    return layer.out_proj(torch.cat(heads, dim=1))


def written_out(model, words):
    """One text without padding, layer by layer, pre-norm."""
    x = model.words.weight[words] + model.positions[: len(words)]  # (l, width)
    for layer in model.layers.layers:
        x = x + attention(layer.self_attn, layer.norm1(x))
        x = x + layer.linear2(F.gelu(layer.linear1(layer.norm2(x))))
    return model.layers.norm(x).mean(0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_it_is_the_equations_written_out(layers, training, device, generator):
    model = small(layers).to(device).train(training)
    tokens = texts(3, 7, generator, device)
    expected = torch.stack([written_out(model, row) for row in tokens])
    torch.testing.assert_close(model(tokens), expected)
    torch.testing.assert_close(model.embed(tokens), expected.detach())  # torch has a faster path without gradient


@pytest.mark.parametrize("padding", [1, 4])
def test_padding_never_matters(padding, device, generator):
    model = small(2).to(device)
    tokens = texts(4, 6, generator, device)
    padded = F.pad(tokens, (0, padding), value=PAD)
    among_longer = torch.cat([padded, texts(2, 6 + padding, generator, device)])
    for encode in (model, model.embed):
        torch.testing.assert_close(encode(padded), encode(tokens))
        torch.testing.assert_close(encode(among_longer)[:4], encode(tokens))


def test_padding_has_no_share_of_the_gradient(generator):
    model = small()
    model(F.pad(texts(3, 5, generator), (0, 5), value=PAD)).square().sum().backward()
    assert torch.equal(model.words.weight.grad[PAD], torch.zeros(8, dtype=torch.float64))
    assert torch.equal(model.positions.grad[5:], torch.zeros(5, 8, dtype=torch.float64))
    assert model.positions.grad[:5].abs().sum() > 0


def test_a_text_without_words_is_zero_and_harms_no_other(device, generator):
    model = small().to(device)
    tokens = texts(3, 5, generator, device)
    with_empty = torch.cat([tokens, torch.zeros_like(tokens[:1])])
    for encode in (model, model.embed):
        torch.testing.assert_close(encode(with_empty)[:3], encode(tokens))
        assert torch.equal(encode(with_empty)[3], torch.zeros(8, dtype=torch.float64, device=device))
    model(with_empty).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_order_of_words_is_told_by_positions_alone(generator):
    model = small()
    tokens = texts(2, 6, generator)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert not torch.allclose(model(tokens[:, order]), model(tokens))
    torch.nn.init.zeros_(model.positions)
    torch.testing.assert_close(model(tokens[:, order]), model(tokens))


def test_every_weight_learns(generator):
    model = small()
    (model(texts(30, 10, generator)) * torch.randn(8, generator=generator)).sum().backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_it_says_how_wide_its_embeddings_are_and_warns_of_nothing(generator):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = TextTransformer(30, 10)
        z = model.embed(F.pad(texts(2, 4, generator), (0, 3)))
        model(texts(2, 4, generator)).sum().backward()
    assert z.shape == (2, model.embedding_dim) == (2, 64)
    assert model.training
    assert not z.requires_grad


@pytest.mark.usefixtures("as_a_user")
def test_bad_texts_and_sizes_are_refused_by_name(device):
    model, tokens = small().to(device), torch.ones(2, 10, dtype=torch.int64, device=device)
    with pytest.raises(ValueError, match=r"tokens: expected shape \(n, up to 10\), got \(2, 11\)"):
        model(F.pad(tokens, (0, 1)))
    with pytest.raises(ValueError, match=r"got \(10,\)"):
        model(tokens[0])
    with pytest.raises(TypeError, match=r"tokens: expected a tensor of whole numbers, got torch\.float32"):
        model(tokens.float())
    with pytest.raises(TypeError, match="tokens: expected a tensor of whole numbers, got list"):
        model(["a red cube"])
    for strange in (30, -1):
        with pytest.raises(ValueError, match=f"tokens: expected numbers from 0 to 29, got {strange}"):
            model(torch.where(torch.arange(10, device=device) == 3, strange, tokens))
    with pytest.raises(ValueError, match="width: expected a multiple of the 4 heads, got 6"):
        TextTransformer(30, 10, width=6)
    with pytest.raises(ValueError, match="layers: expected at least 1, got 0"):
        TextTransformer(30, 10, layers=0)
