"""A real CLIP is read from disk and embeds as transformers does; without one, a sentence and the fallback."""

import shutil
import urllib.request

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import BertConfig, CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig, PreTrainedTokenizerFast

from embedcourse.models.clip import world_clip, zero_shot_classifier
from embedcourse.models.pretrained_clip import PretrainedCLIP, load_clip

WORDS = ["<pad>", "<unknown>", "<start>", "a", "photo", "of", "cat", "dog", "red", "<end>"]
END = WORDS.index("<end>")


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, with a start and an end, as CLIP's own has them."""
    numbers = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[(word, numbers[word]) for word in ("<start>", "<end>")]
    )
    special = {"unk_token": "<unknown>", "pad_token": "<pad>", "bos_token": "<start>", "eos_token": "<end>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def tiny_model() -> CLIPModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = CLIPTextConfig(**sizes, vocab_size=len(WORDS), max_position_embeddings=7, eos_token_id=END)
    vision = CLIPVisionConfig(**sizes, image_size=16, patch_size=4)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=5)
    return CLIPModel(config).eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny CLIP with random weights and its tokenizer, saved as transformers saves them."""
    folder, model = tmp_path_factory.mktemp("clip"), tiny_model()
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder, model


@pytest.fixture
def fallback():
    return world_clip(1)


def test_pictures_and_texts_are_embedded_as_transformers_does(saved, fallback, device, capfd):
    folder, theirs = saved
    ours = load_clip(folder, fallback=fallback)
    assert isinstance(ours, PretrainedCLIP)
    assert capfd.readouterr() == ("", "")
    images, texts = torch.rand(3, 3, 16, 16), ["a photo of a cat", "dog", "a red dog"]
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    tokens = tiny_tokenizer()(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        out = theirs(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            pixel_values=(images - mean[:, None, None]) / std[:, None, None],
        )
    ours.to(device)
    torch.testing.assert_close(ours.embed_image(images), out.image_embeds, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.embed_text(texts), out.text_embeds, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.scale.detach().cpu(), theirs.logit_scale.exp().detach())


def test_it_takes_pictures_of_any_size_grey_or_coloured_and_long_texts(saved, fallback):
    model = load_clip(str(saved[0]), fallback=fallback)
    grey = torch.rand(40, 1, 9, 9)
    z = model.embed_image(grey)
    assert z.shape == (40, model.embedding_dim) == (40, 5)
    torch.testing.assert_close(z[35:], model.embed_image(grey[35:].repeat(1, 3, 1, 1)), atol=1e-5, rtol=1e-4)
    flat = torch.full((1, 3, 30, 30), 0.4)  # however it is scaled, it stays what it is
    torch.testing.assert_close(model.embed_image(flat), model.embed_image(flat[:, :, :16, :16]), atol=1e-5, rtol=1e-4)
    texts = ["a photo of a red dog", "a photo of a red dog of a cat"] * 20
    rows = model.embed_text(texts)
    assert rows.shape == (40, 5)
    torch.testing.assert_close(rows[0], rows[1], atol=1e-5, rtol=1e-4)  # cut after seven tokens, end included
    assert not torch.allclose(rows[0], model.embed_text(["a red cat"])[0], atol=1e-3)
    assert not z.requires_grad
    assert not rows.requires_grad


def test_what_works_with_the_courses_clip_works_with_it(saved, fallback):
    model = load_clip(saved[0], fallback=fallback)
    rows = zero_shot_classifier(model, [["a cat", "a photo of a cat"], "a dog"])
    torch.testing.assert_close(rows[1], model.embed_text(["a dog"])[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(2))


def test_without_the_hub_one_sentence_says_what_is_missing(fallback, monkeypatch, capfd):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    assert load_clip("openai/no-such-clip", fallback=fallback) is fallback
    out, err = capfd.readouterr()
    assert out == (
        "The weights of 'openai/no-such-clip' are not on this disk and cannot be fetched: "
        "the fallback is used instead.\n"
    )
    assert err == ""


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "tokenizer*.json"])
def test_a_folder_that_lacks_files_gives_the_fallback(missing, saved, tmp_path, fallback, capfd):
    shutil.copytree(saved[0], tmp_path, dirs_exist_ok=True)
    for file in tmp_path.glob(missing):
        file.unlink()
    assert load_clip(tmp_path, fallback=fallback) is fallback
    assert capfd.readouterr().out.count("the fallback is used") == 1


def test_a_model_of_another_kind_is_refused(tmp_path, fallback):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="a model of the kind 'bert', expected 'clip'"):
        load_clip(tmp_path, fallback=fallback)


@pytest.mark.usefixtures("as_a_user")
def test_bad_input_is_refused_by_name(saved, fallback):
    with pytest.raises(TypeError, match=r"fallback: expected a model such as world_clip\(\), got Linear"):
        load_clip(saved[0], fallback=nn.Linear(2, 2))
    model = load_clip(saved[0], fallback=fallback)
    with pytest.raises(ValueError, match=r"images: expected square pictures \(n, 1 or 3, h, h\), got \(2, 3, 8, 9\)"):
        model.embed_image(torch.rand(2, 3, 8, 9))
    with pytest.raises(ValueError, match=r"got \(2, 2, 8, 8\)"):
        model.embed_image(torch.rand(2, 2, 8, 8))
    with pytest.raises(TypeError, match="texts: expected a list of texts, got the string 'a cat'"):
        model.embed_text("a cat")
    with pytest.raises(ValueError, match="texts: expected at least one, got none"):
        model.embed_text([])
