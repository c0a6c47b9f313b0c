"""CLIP: an encoder of pictures and one of texts learn to agree, and any sentence becomes a classifier."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from embedcourse.distances.cosine import unit
from embedcourse.losses.info_nce import ClipLoss
from embedcourse.models.encoders import SmallCNN, check_sizes, embed_in_chunks
from embedcourse.models.text_transformer import TextTransformer
from embedcourse.world.text import LENGTH, VOCABULARY, encode

__all__ = ["CLIP", "clip_objective", "world_clip", "zero_shot_classifier"]

#: The learned temperature starts at 0.07 and never falls below 0.01.
FIRST_SCALE, LARGEST_SCALE = 1 / 0.07, 100.0


class CLIP(nn.Module):
    """Two encoders, each followed by a linear projection into one space, and a learned temperature.

    The temperature is held as `logit_scale`, the *logarithm* of 1/temperature: a step changes it by a share of itself,
    and it cannot become negative. Encoders say in `embedding_dim` how wide their rows are.

    tokenize: makes tokens of texts, so that `embed_text` takes either.

    Source: Radford et al. (2021), "Learning Transferable Visual Models From Natural Language Supervision", sections
    2.3 to 2.5 and figure 3.
    """

    def __init__(
        self,
        image_encoder: nn.Module,
        text_encoder: nn.Module,
        embedding_dim: int = 64,
        *,
        tokenize: Callable[[Sequence[str]], Tensor] | None = None,
    ) -> None:
        super().__init__()
        check_sizes(embedding_dim=embedding_dim)
        self.embedding_dim, self.tokenize = embedding_dim, tokenize
        self.image_encoder, self.text_encoder = image_encoder, text_encoder
        self.image_projection = nn.Linear(image_encoder.embedding_dim, embedding_dim, bias=False)
        self.text_projection = nn.Linear(text_encoder.embedding_dim, embedding_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def forward(
        self, images: Float[Tensor, "n c h w"], tokens: Int[Tensor, "n length"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d"], Float[Tensor, ""]]:
        """Both kinds of features, normalised, and the scale (not its logarithm): what `ClipLoss` takes.

        Raises: TypeError and ValueError as the encoders.
        """
        return self.encode_image(images, normalize=True), self.encode_text(tokens, normalize=True), self.scale

    @property
    def scale(self) -> Float[Tensor, ""]:
        """1/temperature, which multiplies cosines."""
        return self.logit_scale.exp()

    def encode_image(self, images: Float[Tensor, "n c h w"], normalize: bool = False) -> Float[Tensor, "n d"]:
        """Pictures in the common space, with a gradient. Raises: ValueError as the encoder."""
        features = self.image_projection(self.image_encoder(images))
        return unit(features) if normalize else features

    def encode_text(self, tokens: Int[Tensor, "n length"], normalize: bool = False) -> Float[Tensor, "n d"]:
        """Texts in the common space, with a gradient. Raises: TypeError and ValueError as the encoder."""
        features = self.text_projection(self.text_encoder(tokens))
        return unit(features) if normalize else features

    def embed_image(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Pictures as unit vectors, in evaluation mode, in chunks, without a gradient.

        Raises: ValueError as the encoder.
        """
        return unit(embed_in_chunks(nn.Sequential(self.image_encoder, self.image_projection), images))

    def embed_text(self, texts: Sequence[str] | Int[Tensor, "n length"]) -> Float[Tensor, "n d"]:
        """Texts, or their tokens, as unit vectors, in evaluation mode, in chunks, without a gradient.

        Raises: TypeError for texts where this CLIP has no tokenizer; TypeError and ValueError as the tokenizer and the
        encoder.
        """
        if not isinstance(texts, Tensor):
            if self.tokenize is None:
                raise TypeError(f"texts: expected tokens, as this CLIP has no tokenizer, got {type(texts).__name__}")
            texts = self.tokenize(texts)
        return unit(embed_in_chunks(nn.Sequential(self.text_encoder, self.text_projection), texts))

    def clamp_logit_scale(self) -> None:
        """Put the parameter back into [0, ln 100]: a scale from 1 to 100.

        The parameter, not its exp(): a clamp of exp() has no gradient at the limit, and the scale would stay there.
        """
        with torch.no_grad():
            self.logit_scale.clamp_(0, math.log(LARGEST_SCALE))


def world_clip(width: int = 16) -> CLIP:
    """A CLIP for the world's pictures (3×32×32) and captions (16 tokens), untrained.

    Raises: ValueError for a width below 1.
    Source: this course.
    """
    return CLIP(SmallCNN(width), TextTransformer(len(VOCABULARY), LENGTH, width=4 * width), tokenize=encode)


def clip_objective(
    model: CLIP, images: Float[Tensor, "n c h w"], tokens: Int[Tensor, "n length"]
) -> dict[str, Float[Tensor, ""]]:
    """What `fit` makes small for a CLIP: the loss of a batch, and the scale beside it to be noted.

    Raises: TypeError and ValueError as `ClipLoss`.
    Source: Radford et al. (2021), "CLIP", figure 3; the scale is clipped at 100: section 2.5.
    """
    model.clamp_logit_scale()
    image_features, text_features, scale = model(images, tokens)
    return {"loss": ClipLoss()(image_features, text_features, scale), "scale": scale}


def zero_shot_classifier(
    model: nn.Module, prompts: Sequence[str] | Sequence[Sequence[str]]
) -> Float[Tensor, "classes d"]:
    """A row for each class, made of words alone: the class of a picture is the row with the largest cosine.

    prompts: for each class a sentence, or several, whose embeddings are averaged and normalised again (an ensemble).
    With `rows = zero_shot_classifier(model, prompts)` the classes are `(model.embed_image(x) @ rows.T).argmax(1)`.

    Raises: TypeError for one string; ValueError for no classes, or a class without a prompt.
    Source: Radford et al. (2021), "CLIP", sections 3.1.2 and 3.1.4.
    """
    if isinstance(prompts, str):
        raise TypeError(f"prompts: expected one or more sentences for each class, got the string {prompts!r}")
    ensembles = [[sentences] if isinstance(sentences, str) else list(sentences) for sentences in prompts]
    if not ensembles or not all(ensembles):
        raise ValueError(f"prompts: expected at least one sentence for each class, got {ensembles}")
    embeddings = model.embed_text([sentence for ensemble in ensembles for sentence in ensemble])
    of_class = embeddings.split([len(ensemble) for ensemble in ensembles])
    return unit(torch.stack([rows.mean(0) for rows in of_class]))
