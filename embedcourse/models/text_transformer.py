"""A transformer that reads a short text and says what it means as one row of numbers."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from embedcourse.models.encoders import check_sizes, embed_in_chunks

__all__ = ["PAD", "TextTransformer"]

#: The token that fills a text up on the right; it is never read.
PAD = 0


class TextTransformer(nn.Module):
    """Words look at each other, then their vectors are averaged: tokens (n, length) in, n rows of `width` numbers out.

    Token and position embeddings, pre-norm transformer layers without a causal mask, a last layer norm, the mean over
    the words. Padding is neither attended to nor averaged: it never matters. A text without any word becomes zeros.
    CLIP reads causally and takes the vector at an end token, into which all words must be gathered; the mean needs no
    such token, and one layer is enough for it to hear every word.
    Source: Vaswani et al. (2017), "Attention Is All You Need"; pre-norm, learned positions and initial spread as in
    Radford et al. (2019), "GPT-2", section 2.3, and CLIP (2021), section 2.4; the mean is this course's choice.
    """

    def __init__(self, vocabulary_size: int, length: int, width: int = 64, layers: int = 1, heads: int = 4) -> None:
        super().__init__()
        check_sizes(vocabulary_size=vocabulary_size, length=length, width=width, layers=layers, heads=heads)
        if width % heads:
            raise ValueError(f"width: expected a multiple of the {heads} heads, got {width}")
        self.vocabulary_size, self.length, self.embedding_dim = vocabulary_size, length, width
        self.words = nn.Embedding(vocabulary_size, width)
        self.positions = nn.Parameter(0.01 * torch.randn(length, width))
        nn.init.normal_(self.words.weight, std=0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, tokens: Int[Tensor, "n length"]) -> Float[Tensor, "n width"]:
        """The embedding of each text, with a gradient: the mean of its words.

        Raises: TypeError and ValueError as `read`.
        """
        return self.read(tokens).sum(1) / (tokens != PAD).sum(1, keepdim=True).clamp(min=1)  # (n, width)

    def read(self, tokens: Int[Tensor, "n length"]) -> Float[Tensor, "n length width"]:
        """A vector for each word as it is meant in its text, with a gradient; zeros for padding.

        Raises: TypeError for what is no tensor of whole numbers; ValueError for texts that are too long, or for tokens
        outside the vocabulary.
        """
        check_tokens(tokens, self.length, self.vocabulary_size)
        word = tokens != PAD  # (n, l)
        x = self.words(tokens) + self.positions[: tokens.shape[1]]  # (n, l, width)
        ignored = ~word
        ignored[:, 0] = False  # a text without a word has to look at something, or its softmax is 0/0
        x = self.layers(x, src_key_padding_mask=ignored)  # (n, l, width)
        return x.masked_fill(~word[..., None], 0)

    def embed(self, tokens: Int[Tensor, "n length"]) -> Float[Tensor, "n width"]:
        """The embedding of each text in evaluation mode, without a gradient; the mode is put back afterwards."""
        return embed_in_chunks(self, tokens)


def check_tokens(tokens: object, length: int, vocabulary_size: int) -> None:
    """Refuse what is no batch of texts of at most that many tokens, all of the vocabulary."""
    if not isinstance(tokens, Tensor) or tokens.dtype not in (torch.int64, torch.int32):
        got = tokens.dtype if isinstance(tokens, Tensor) else type(tokens).__name__
        raise TypeError(f"tokens: expected a tensor of whole numbers, got {got}")
    if tokens.ndim != 2 or not 1 <= tokens.shape[1] <= length:
        raise ValueError(f"tokens: expected shape (n, up to {length}), got {tuple(tokens.shape)}")
    strange = tokens[(tokens < 0) | (tokens >= vocabulary_size)]  # on a GPU they would end the whole process
    if len(strange):
        raise ValueError(f"tokens: expected numbers from 0 to {vocabulary_size - 1}, got {int(strange[0])}")
