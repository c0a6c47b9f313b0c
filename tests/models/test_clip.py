"""CLIP gives its loss what open_clip's gives, keeps its scale in bounds, and names what it never saw a label of."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from embedcourse.models.clip import CLIP, clip_objective, world_clip, zero_shot_classifier
from embedcourse.models.encoders import SmallCNN
from embedcourse.models.text_transformer import TextTransformer
from embedcourse.training import fit
from embedcourse.world import encode, prompts, render, sample


def small(width: int = 2) -> CLIP:
    torch.manual_seed(0)
    return world_clip(width)


def pairs(n: int, seed: int = 0):
    scenes = sample(n, seed=seed)
    return scenes, render(scenes, "image"), render(scenes, "text")


def test_both_towers_end_in_a_linear_projection_into_one_space(device):
    torch.manual_seed(0)
    model = CLIP(SmallCNN(2, channels=1), TextTransformer(20, 6, width=8), embedding_dim=5).to(device)
    images, tokens = torch.rand(3, 1, 8, 8, device=device), torch.randint(1, 20, (3, 6), device=device)
    z_image, z_text = model.encode_image(images), model.encode_text(tokens)
    torch.testing.assert_close(z_image, model.image_encoder(images) @ model.image_projection.weight.T)
    torch.testing.assert_close(z_text, model.text_encoder(tokens) @ model.text_projection.weight.T)
    assert z_image.shape == z_text.shape == (3, 5)
    torch.testing.assert_close(model.encode_image(images, normalize=True), F.normalize(z_image))
    torch.testing.assert_close(model.encode_text(tokens, normalize=True), F.normalize(z_text))


def test_its_loss_gets_unit_vectors_and_the_scale_not_its_logarithm():
    model = small()
    _, images, tokens = pairs(5)
    image_features, text_features, scale = model(images, tokens)
    assert scale.item() == pytest.approx(1 / 0.07)
    assert model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))
    for features in (image_features, text_features):
        torch.testing.assert_close(features.norm(dim=1), torch.ones(5))
    logits = scale * image_features @ text_features.T
    both = (F.cross_entropy(logits, torch.arange(5)) + F.cross_entropy(logits.T, torch.arange(5))) / 2
    torch.testing.assert_close(clip_objective(model, images, tokens)["loss"], both)


def test_every_weight_learns():
    model = small()
    _, images, tokens = pairs(64)
    clip_objective(model, images, tokens)["loss"].backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


@pytest.mark.parametrize(("before", "after"), [(9.0, math.log(100)), (-1.0, 0.0), (2.5, 2.5)])
def test_the_parameter_is_clamped_and_its_gradient_lives_at_the_limit(before, after):
    model = small()
    nn.init.constant_(model.logit_scale, before)
    _, images, tokens = pairs(8)
    terms = clip_objective(model, images, tokens)
    assert model.logit_scale.item() == pytest.approx(after)
    assert terms["scale"].item() == pytest.approx(math.exp(after))
    terms["loss"].backward()
    assert model.logit_scale.grad.abs() > 1e-6


def test_embedding_is_without_gradient_in_evaluation_mode_which_is_put_back(device):
    model = small().to(device)
    _, images, tokens = pairs(6)
    found = model.embed_image(images), model.embed_text(tokens)
    assert all(part.training for part in model.modules())
    assert not any(z.requires_grad for z in found)
    assert all(z.device == images.device for z in found)
    model.eval()
    expected = model(images.to(device), tokens.to(device))[:2]
    for z, other in zip(found, expected, strict=True):
        torch.testing.assert_close(z, other.detach().cpu(), atol=1e-5, rtol=1e-4)


def test_texts_are_taken_as_words_or_as_tokens():
    model, texts = small(), ["a red cube", "the small blue metal ring"]
    assert torch.equal(model.embed_text(texts), model.embed_text(encode(texts)))
    assert torch.equal(model.embed_text([""]), torch.zeros(1, 64))  # says nothing, is like nothing
    without = CLIP(SmallCNN(2), TextTransformer(200, 16, width=8))
    assert without.embed_text(encode(texts)).shape == (2, 64)
    with pytest.raises(TypeError, match="texts: expected tokens, as this CLIP has no tokenizer, got list"):
        without.embed_text(texts)


def test_a_class_is_the_mean_of_its_prompts_of_equal_weight():
    model = small()
    prompts_of = [["a red cube", "the crimson box", "a red thing"], "a blue ring", ("one ball",)]
    rows = zero_shot_classifier(model, prompts_of)
    ensemble = sum(model.embed_text([sentence])[0] for sentence in prompts_of[0])
    torch.testing.assert_close(rows[0], ensemble / ensemble.norm(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(rows[1:], model.embed_text(["a blue ring", "one ball"]), atol=1e-6, rtol=1e-5)


@pytest.mark.usefixtures("as_a_user")
def test_bad_prompts_and_sizes_are_refused_by_name():
    model = small()
    with pytest.raises(TypeError, match="prompts: expected one or more sentences for each class, got the string 'a '"):
        zero_shot_classifier(model, "a ")
    for nothing in ([], [["a red cube"], []]):
        with pytest.raises(ValueError, match="prompts: expected at least one sentence for each class"):
            zero_shot_classifier(model, nothing)
    with pytest.raises(ValueError, match="width: expected at least 1, got 0"):
        world_clip(0)
    with pytest.raises(ValueError, match="embedding_dim: expected at least 1, got 0"):
        CLIP(SmallCNN(2), TextTransformer(20, 6), embedding_dim=0)


def test_colours_are_named_without_a_label():
    _, images, tokens = pairs(1500, seed=1)
    scenes, unseen, _ = pairs(400, seed=2)
    model = small(width=4)

    def accuracy(factor: str) -> float:
        found = model.embed_image(unseen) @ zero_shot_classifier(model, prompts(factor)).T
        return (found.argmax(1) == scenes.labels(factor)).double().mean().item()

    assert accuracy("colour") < 0.3
    history = fit(model, clip_objective, (images, tokens), steps=80, batch_size=128, lr=0.01, progress=False)
    assert accuracy("colour") > 0.4  # chance is an eighth
    assert accuracy("temperature") < 0.45  # chance is a third: no picture shows it
    scales = history.terms["scale"]
    assert scales[0] == pytest.approx(1 / 0.07)
    assert max(scales) > 1.01 * min(scales)
