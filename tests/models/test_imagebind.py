"""ImageBind scales and binds as the official code does, leaves its hub alone, and makes unpaired senses agree."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from embedcourse.evaluation import chance_agreement, match_agreement
from embedcourse.models.clip import CLIP, world_clip
from embedcourse.models.imagebind import FIRST_SCALES, ImageBind, binding_loss, world_encoders
from embedcourse.training import fit
from embedcourse.world import FORMS, encode, render, sample


class Rows(nn.Linear):
    """The smallest encoder of rows of numbers."""

    def __init__(self, width: int = 6, embedding_dim: int = 5) -> None:
        super().__init__(width, embedding_dim)
        self.embedding_dim = embedding_dim


def of_rows(*senses: str) -> ImageBind:
    torch.manual_seed(0)
    return ImageBind({sense: Rows() for sense in senses}, embedding_dim=4)


def bound_to_the_world() -> ImageBind:
    torch.manual_seed(0)
    return ImageBind.from_clip(world_clip(width=2), world_encoders(width=2))


def test_outputs_have_the_lengths_of_the_official_code(device, dtype, generator):
    model = of_rows(*FIRST_SCALES).to(device, dtype)
    x = torch.randn(7, 6, generator=generator).to(device, dtype)
    lengths = {"image": 1, "text": 1 / 0.07, "audio": 20, "depth": 5, "thermal": 10, "imu": 5}
    for sense, out in model(dict.fromkeys(model.senses, x)).items():
        torch.testing.assert_close(out.norm(dim=1), torch.full((7,), lengths[sense], dtype=dtype, device=device))
        torch.testing.assert_close(model.embed(sense, x), F.normalize(out), check_dtype=True)
        torch.testing.assert_close(F.normalize(out), F.normalize(model.heads[sense](model.encoders[sense](x))))


def test_only_the_scale_of_text_learns_and_it_is_a_logarithm_capped_at_100(generator):
    model = of_rows("text", "audio")
    assert {sense for sense, scale in model.log_scales.items() if scale.requires_grad} == {"text"}
    assert model.log_scales["text"].item() == pytest.approx(math.log(1 / 0.07))
    model.encode("text", torch.randn(3, 6, generator=generator)).sum().backward()
    assert model.log_scales["text"].grad != 0
    with torch.no_grad():
        model.log_scales["text"].fill_(math.log(500))
    assert model.scale("text").item() == pytest.approx(100)


@pytest.mark.parametrize(("sense", "scale"), [("audio", 20), ("imu", 5)])
def test_the_loss_is_two_cross_entropies_of_scaled_products(sense, scale, device, dtype, generator):
    model = of_rows("image", sense).to(device, dtype)
    images, x = torch.randn(2, 9, 6, generator=generator).to(device, dtype)
    z, m = model.embed("image", images), model.encode(sense, x)
    logits, own = z @ m.T, torch.arange(9, device=device)  # m is as long as its scale
    expected = F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
    torch.testing.assert_close(binding_loss(model, sense, z, x), expected)
    torch.testing.assert_close(m.norm(dim=1), torch.full((9,), float(scale), device=device, dtype=dtype))


def test_pictures_and_their_embeddings_give_the_same_loss_and_gradients(generator):
    model = bound_to_the_world()
    pictures, depth = torch.rand(6, 3, 32, 32, generator=generator), torch.rand(6, 1, 32, 32, generator=generator)
    losses, gradients = [], []
    for images in (pictures, model.embed("image", pictures)):
        model.zero_grad()
        losses.append(binding_loss(model, "depth", images, depth))
        losses[-1].backward()
        gradients.append([p.grad.clone() for p in model.encoders["depth"].parameters()])
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-4)


def test_a_hub_is_copied_frozen_and_answers_as_the_clip(generator):
    torch.manual_seed(1)
    clip = world_clip(width=2)
    with torch.no_grad():
        clip.logit_scale.fill_(math.log(40))
    model = ImageBind.from_clip(clip, world_encoders(width=2))
    pictures, tokens = torch.rand(5, 3, 32, 32, generator=generator), encode(["a red cube", "a ball"])
    torch.testing.assert_close(model.embed("image", pictures), clip.embed_image(pictures))
    torch.testing.assert_close(model.embed("text", tokens), clip.embed_text(tokens))
    torch.testing.assert_close(model.embed("text", ["a red cube", "a ball"]), clip.embed_text(tokens))
    assert model.scale("text").item() == pytest.approx(40)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning
    assert not any("image" in name or "text" in name or "scale" in name for name in learning)
    assert all(parameter.requires_grad for parameter in clip.parameters())


def test_binding_one_sense_moves_that_sense_alone(generator):
    model = bound_to_the_world()
    scenes = sample(64, seed=5)
    before = copy.deepcopy(model.state_dict())
    data = model.embed("image", render(scenes, "image")), render(scenes, "imu")
    history = fit(
        model, lambda model, z, x: binding_loss(model, "imu", z, x), data, steps=8, batch_size=32, progress=False
    )
    moved = {name.split(".")[1] for name, x in model.state_dict().items() if not torch.equal(x, before[name])}
    assert moved == {"imu"}
    assert history.loss[-1] < history.loss[0]


def test_senses_that_never_met_agree_after_both_met_pictures(generator):
    """Factors of four and three values, drawn as one-hot codes that each sense sees through a matrix of its own."""

    def codes(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.stack([torch.randint(k, (n,), generator=generator) for k in (4, 3)], 1)
        return labels, torch.cat([F.one_hot(labels[:, 0], 4), F.one_hot(labels[:, 1], 3)], 1).float()

    turned = [torch.linalg.qr(torch.randn(7, 7, generator=generator)).Q for _ in range(3)]
    mixing = dict(zip(("image", "audio", "imu"), turned, strict=True))
    _, code = codes(512)
    torch.manual_seed(0)
    model = ImageBind({sense: Rows(7, 12) for sense in mixing}, embedding_dim=8).freeze("image")
    z = model.embed("image", code @ mixing["image"])
    (queries, code_q), (keys, code_k) = codes(200), codes(200)

    def agreement() -> float:
        audio, imu = (model.embed(s, c @ mixing[s]) for s, c in (("audio", code_q), ("imu", code_k)))
        return match_agreement(audio, imu, queries, keys)

    before = agreement()
    for sense in ("audio", "imu"):
        x = code @ mixing[sense]
        fit(model, lambda m, z, x, s=sense: binding_loss(m, s, z, x), (z, x), steps=150, lr=0.02, progress=False)
    assert chance_agreement(queries, keys) == pytest.approx(1 / 12, abs=0.02)
    assert before < 0.5
    assert agreement() > 0.9


def test_embedding_leaves_modes_and_chunks_unseen(generator):
    model = bound_to_the_world()
    model.encoders["audio"].train()
    x = torch.rand(5, 1, 32, 32, generator=generator)
    whole = model.embed("audio", x)
    assert model.encoders["audio"].training
    assert not whole.requires_grad
    torch.testing.assert_close(model.embed("audio", x[:2]), whole[:2], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("sense", FORMS)
def test_every_sense_of_the_world_has_its_place(sense):
    model = bound_to_the_world()
    assert model.embed(sense, render(sample(3, seed=0), sense)).shape == (3, 64)


@pytest.mark.usefixtures("as_a_user")
def test_bad_input_is_refused_by_name(generator):
    model = of_rows("image", "audio")
    x = torch.randn(4, 6, generator=generator)
    with pytest.raises(ValueError, match=r"encoders: expected image, text, .*; got 'smell'"):
        of_rows("smell")
    with pytest.raises(ValueError, match="sense: expected image, audio; got 'imu'"):
        model.encode("imu", x)
    with pytest.raises(ValueError, match="sense: expected image, audio; got 'imu'"):
        model.embed("imu", x)
    with pytest.raises(ValueError, match="senses: expected image, audio; got 'text'"):
        model.freeze("text")
    with pytest.raises(ValueError, match="expected one to bind to pictures, got 'image'"):
        binding_loss(model, "image", torch.zeros(4, 4), x)
    with pytest.raises(ValueError, match=r"images: expected embeddings of width 4, got \(4, 6\)"):
        binding_loss(model, "audio", x, x)
    with pytest.raises(TypeError, match="x: expected a tensor for audio, got list"):
        model.embed("audio", ["a bang"])
    with pytest.raises(ValueError, match="embedding_dim: expected at least 1, got 0"):
        ImageBind({"audio": Rows()}, embedding_dim=0)
    torch.manual_seed(0)
    mute = ImageBind.from_clip(CLIP(world_clip(2).image_encoder, world_clip(2).text_encoder), {})
    with pytest.raises(TypeError, match="x: expected a tensor for text, got list"):
        mute.embed("text", ["a ball"])
