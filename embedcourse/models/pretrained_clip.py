"""CLIPs that others trained on photographs of the world outside, in the form of the course's own."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from embedcourse.distances.cosine import unit
from embedcourse.models.encoders import embed_in_chunks, evaluation_mode, found_or_fallback, pretrained

if TYPE_CHECKING:
    from transformers import CLIPModel, PreTrainedTokenizerBase

__all__ = ["PretrainedCLIP", "load_clip"]

#: Texts, and pictures, worked on at a time: the networks are large.
CHUNK = 32


class PretrainedCLIP(nn.Module):
    """A CLIP of transformers that embeds pictures and sentences as `CLIP` does, for all that only searches or names.

    Pictures are square and have values in [0, 1]; they are scaled to the size that the network takes, and its colour
    statistics are taken off here. Texts beyond the network's length are cut.
    """

    def __init__(self, network: "CLIPModel", tokenizer: "PreTrainedTokenizerBase") -> None:
        super().__init__()
        from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

        self.network, self.tokenizer = network, tokenizer
        self.embedding_dim, self.pixels = network.config.projection_dim, network.config.vision_config.image_size
        self.register_buffer("mean", torch.tensor(OPENAI_CLIP_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(OPENAI_CLIP_STD).reshape(3, 1, 1), persistent=False)

    @property
    def scale(self) -> Float[Tensor, ""]:
        """1/temperature, which multiplies cosines."""
        return self.network.logit_scale.exp()

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Pictures in the common space; a grey one is repeated over the colours.

        Raises: ValueError for what is no batch of square pictures with one channel or three.
        """
        if images.dim() != 4 or images.shape[1] not in (1, 3) or images.shape[2] != images.shape[3]:
            raise ValueError(f"images: expected square pictures (n, 1 or 3, h, h), got {tuple(images.shape)}")
        images = F.interpolate(images, (self.pixels, self.pixels), mode="bicubic", antialias=True).clamp(0, 1)
        images = (images - self.mean) / self.std  # (n, 3, pixels, pixels)
        return self.network.visual_projection(self.network.vision_model(images).pooler_output)

    def embed_image(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Pictures as unit vectors, in evaluation mode, in chunks, without a gradient.

        Raises: ValueError for what is no batch of square pictures with one channel or three.
        """
        return unit(embed_in_chunks(self, images, chunk_size=CHUNK))

    def embed_text(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Texts as unit vectors, in evaluation mode, in chunks, without a gradient.

        Raises: TypeError for one string instead of a list; ValueError for no texts.
        """
        if isinstance(texts, str):
            raise TypeError(f"texts: expected a list of texts, got the string {texts!r}")
        if len(texts) == 0:
            raise ValueError("texts: expected at least one, got none")
        with evaluation_mode(self), torch.no_grad():
            chunks = [self.read(texts[i : i + CHUNK]) for i in range(0, len(texts), CHUNK)]
        return unit(torch.cat(chunks))

    def read(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """A few texts in the common space."""
        longest = self.network.config.text_config.max_position_embeddings
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")
        seen = self.network.text_model(
            tokens["input_ids"].to(self.mean.device), attention_mask=tokens["attention_mask"].to(self.mean.device)
        )
        return self.network.text_projection(seen.pooler_output).to("cpu")


def load_clip(name: str | os.PathLike, *, fallback: nn.Module) -> nn.Module:
    """A pretrained CLIP from a folder, from transformers' cache, or from the network; else the fallback.

    `name` is a folder or a model's name on the Hugging Face hub, such as "openai/clip-vit-large-patch14". Where the
    weights cannot be had, one printed sentence says what is missing, and the fallback is returned: a CLIP of the
    course, or whatever else has `embed_image` and `embed_text`. Only safetensors are read.

    Raises: TypeError when `fallback` cannot embed pictures and texts; ValueError when `name` is a model of another
    kind than CLIP.
    Source: Radford et al. (2021), "Learning Transferable Visual Models From Natural Language Supervision"; weights by
    whoever made them.
    """
    if not all(callable(getattr(fallback, method, None)) for method in ("embed_image", "embed_text")):
        raise TypeError(f"fallback: expected a model such as world_clip(), got {type(fallback).__name__}")
    return found_or_fallback(name, pretrained_clip, fallback)


def pretrained_clip(name: str | os.PathLike, online: bool) -> PretrainedCLIP:
    """The CLIP of that name with its tokenizer, ready to embed; OSError where a file of it is out of reach."""
    from transformers import AutoTokenizer, CLIPModel
    from transformers.utils import cached_file

    network = pretrained(CLIPModel, "clip", name, online)
    cached_file(name, "tokenizer.json", local_files_only=not online)  # else AutoTokenizer makes one without any word
    return PretrainedCLIP(network, AutoTokenizer.from_pretrained(name, local_files_only=not online)).eval()
