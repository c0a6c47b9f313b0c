"""InfoNCE and CLIP's loss against the loop over pairs, against transformers' CLIP, and against values found by hand."""

import math

import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

from embedcourse.losses import ClipLoss, info_nce


def batches(n, d, generator, dtype=torch.float64, device="cpu"):
    z_a, z_b = torch.randn(2, n, d, generator=generator, dtype=dtype).to(device)
    return z_a.requires_grad_(), (z_a.detach() + z_b).requires_grad_()


def loop(queries, keys, scale):
    """−log of the right key's share, query by query and key by key."""
    total = 0.0
    for i, query in enumerate(queries):
        e = [torch.exp(scale * (query @ key) / (query.norm() * key.norm())) for key in keys]
        total = total - torch.log(e[i] / sum(e))
    return total / len(queries)


@pytest.mark.parametrize("scale", [0.5, 14.3])
def test_one_direction_is_the_loop(scale, dtype, device, generator):
    queries, keys = batches(7, 4, generator, dtype, device)
    ours, theirs = info_nce(queries, keys, scale), loop(queries, keys, scale)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    pairs = zip(torch.autograd.grad(ours, (queries, keys)), torch.autograd.grad(theirs, (queries, keys)), strict=True)
    for mine, yours in pairs:
        torch.testing.assert_close(mine, yours, rtol=1e-3, atol=1e-5)


def test_clips_loss_is_the_mean_of_both_directions(dtype, device, generator):
    images, texts = batches(6, 5, generator, dtype, device)
    expected = (loop(images, texts, 5.0) + loop(texts, images, 5.0)) / 2
    torch.testing.assert_close(ClipLoss()(images, texts, 5.0), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ClipLoss()(texts, images, 5.0), expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(info_nce(images, texts, 5.0), info_nce(texts, images, 5.0), rtol=1e-2)


def tiny_transformers_clip() -> CLIPModel:
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = CLIPTextConfig(**sizes, vocab_size=20, max_position_embeddings=6, eos_token_id=19)
    vision = CLIPVisionConfig(**sizes, image_size=8, patch_size=4)
    return CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=5))


def test_it_is_the_loss_of_transformers_clip():
    torch.manual_seed(0)
    model = tiny_transformers_clip()
    tokens = torch.randint(0, 19, (6, 6))
    tokens[:, -1] = 19
    out = model(input_ids=tokens, pixel_values=torch.randn(6, 3, 8, 8), return_loss=True)
    ours = ClipLoss()(out.image_embeds, out.text_embeds, model.logit_scale.exp())
    torch.testing.assert_close(ours, out.loss, rtol=1e-5, atol=1e-6)
    of_ours, of_theirs = (torch.autograd.grad(loss, model.logit_scale, retain_graph=True) for loss in (ours, out.loss))
    torch.testing.assert_close(of_ours, of_theirs, rtol=1e-4, atol=1e-6)


def test_two_right_angles_and_a_scale_of_ln_three_cost_ln_four_thirds():
    """Logits are ln 3 for the own key and 0 for the other: shares 3/4 and 1/4."""
    z = torch.tensor([[2.0, 0.0], [0.0, 5.0]], dtype=torch.float64)
    assert info_nce(z, z, math.log(3)).item() == pytest.approx(math.log(4 / 3))
    assert ClipLoss()(z, z.flip(0), math.log(3)).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("n", [2, 9])
def test_what_cannot_be_told_apart_costs_ln_n(n, dtype):
    z = torch.ones(n, 3, dtype=dtype)
    assert ClipLoss()(z, z, 30.0).item() == pytest.approx(math.log(n), abs=1e-5)
    assert info_nce(z, torch.zeros_like(z), 30.0).item() == pytest.approx(math.log(n), abs=1e-5)


def test_lengths_do_not_matter(generator):
    images, texts = batches(5, 4, generator)
    factors = torch.rand(5, 1, generator=generator, dtype=torch.float64) + 0.1
    torch.testing.assert_close(ClipLoss()(3 * images, factors * texts, 7.0), ClipLoss()(images, texts, 7.0))


def test_the_gradient_is_that_of_finite_differences(device, generator):
    images, texts = batches(5, 3, generator, device=device)
    scale = torch.tensor(4.0, dtype=torch.float64, device=device, requires_grad=True)
    assert torch.autograd.gradcheck(ClipLoss(), (images, texts, scale))
    assert torch.autograd.gradcheck(info_nce, (images, texts, scale))


def test_a_large_scale_does_not_overflow(generator):
    images, texts = batches(5, 3, generator, torch.float32)
    with torch.no_grad():
        exact = ClipLoss()(images.double(), texts.double(), 1e4)
        torch.testing.assert_close(ClipLoss()(images, texts, 1e4).double(), exact, rtol=1e-4, atol=1e-2)
    assert exact > 100  # exp() alone overflows float32 above 88


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(half, device, generator):
    images, texts = (z.detach().to(half) for z in batches(8, 4, generator, torch.float32, device))
    for loss in (ClipLoss(), info_nce):
        assert torch.equal(loss(images, texts, 20.0), loss(images.float(), texts.float(), 20.0))
        with torch.autocast(images.device.type, torch.bfloat16):
            assert torch.equal(loss(images, texts, 20.0), loss(images.float(), texts.float(), 20.0))


def test_bad_input_is_named(as_a_user):
    loss, z = ClipLoss(), torch.ones(3, 4)
    with pytest.raises(
        ValueError, match=r"image_features and text_features must have one shape.* \(3, 4\) and \(2, 4\)"
    ):
        loss(z, z[:2], 1.0)
    with pytest.raises(ValueError, match="image_features must have at least 2 rows, got 1"):
        loss(z[:1], z[:1], 1.0)
    with pytest.raises(TypeError, match=r"text_features must be a tensor of floats, got torch\.int64"):
        loss(z, z.long(), 1.0)
    with pytest.raises(ValueError, match=r"queries must be a batch of shape \(N, d\), got \(4,\)"):
        info_nce(z[0], z, 1.0)
    with pytest.raises(ValueError, match=r"logit_scale must be above 0, got -1\.0: it is 1/temperature, not its log"):
        loss(z, z, -1.0)
    with pytest.raises(ValueError, match="scale must be above 0, got nan"):
        info_nce(z, z, torch.tensor(math.nan))
    with pytest.raises(TypeError, match=r"scale must be a single number, got shape \(2,\)"):
        info_nce(z, z, torch.ones(2))
    with pytest.raises(TypeError, match="scale must be a single number, got str"):
        info_nce(z, z, "14")
