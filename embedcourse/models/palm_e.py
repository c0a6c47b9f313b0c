"""PaLM-E: what a sensor sees becomes vectors among a language model's word vectors, and the model goes on in words.

File order is the order of the paper: the sentence, the encoders, the model that reads it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

__all__ = [
    "IGNORED",
    "PaLME",
    "PictureEncoder",
    "SlotEncoder",
    "StateEncoder",
    "answer_loss",
    "inject",
    "padded",
    "small_language_model",
    "training_sentences",
]

#: The label of a token that the loss does not look at.
IGNORED = -100
#: Standard deviation of the numbers in a picture's tokens before anything is learned; in a word's vector it is 0.2.
LOUDNESS = 5.0


def inject(
    embeddings: Float[Tensor, "n l d"], places: Bool[Tensor, "n l"], features: Float[Tensor, "m d"]
) -> Float[Tensor, "n l d"]:
    """The word vectors with the features at the places, in reading order: x_i = γ(w_i), or φ(O)_i where a place is.

    Raises: ValueError where places and features are not equally many.
    Source: Driess et al. (2023), "PaLM-E: An Embodied Multimodal Language Model", section 3, Eq. 3.
    """
    if int(places.sum()) != len(features):
        raise ValueError(f"features: expected one for each of {int(places.sum())} places, got {len(features)}")
    return embeddings.masked_scatter(places.unsqueeze(2), features.to(embeddings.dtype))


def padded(rows: Sequence[Sequence[int]], value: int, *, left: bool = False) -> Int[Tensor, "n l"]:
    """Rows of different lengths as one tensor, filled up on the right, or on the left.

    Raises: ValueError for no row.
    Source: this course; on the left for generation, so that every row ends where the answer begins.
    """
    if not rows:
        raise ValueError("rows: expected at least one")
    return nn.utils.rnn.pad_sequence(
        [torch.tensor(row, dtype=torch.int64) for row in rows],
        batch_first=True,
        padding_value=value,
        padding_side="left" if left else "right",
    )


def training_sentences(
    conversations: Sequence[Sequence[tuple[Sequence[int], Sequence[int]]]], pad: int
) -> tuple[Int[Tensor, "n l"], Int[Tensor, "n l"]]:
    """Tokens of conversations, and labels: the answers' tokens, all else ignored.

    A conversation is one or more pairs of a prompt and its answer, each read with all before it.

    Raises: ValueError for no conversation.
    Source: Driess et al. (2023), section 3 (cross-entropy on the non-prefix tokens only).
    """
    tokens = [[token for turn in turns for part in turn for token in part] for turns in conversations]
    labels = [
        [label for prompt, answer in turns for label in (*[IGNORED] * len(prompt), *answer)] for turns in conversations
    ]
    return padded(tokens, pad), padded(labels, IGNORED)


def answer_loss(logits: Float[Tensor, "n l v"], labels: Int[Tensor, "n l"]) -> Float[Tensor, ""]:
    """Cross-entropy of each answer token given all before it, averaged over the answer tokens.

    The output at a place speaks about the next token: the labels are read one place further on.

    Raises: ValueError where no token counts.
    Source: Driess et al. (2023), section 3; the shift as in transformers' causal language models.
    """
    following = labels[:, 1:].flatten()
    if not (following != IGNORED).any():
        raise ValueError("labels: expected some that count behind the first place, got none")
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), following, ignore_index=IGNORED)


def speak_up(last: nn.Linear) -> None:
    """Let tokens be loud from the start: what the language model's layers add then hardly changes them.

    Tokens as quiet as words are learned several times more slowly.
    """
    nn.init.normal_(last.weight, std=LOUDNESS * last.in_features**-0.5)


class StateEncoder(nn.Module):
    """A vector of numbers about the whole state becomes a few tokens: two layers.

    Source: Driess et al. (2023), section 4, state estimation vectors (φ_state, an MLP).
    """

    def __init__(self, numbers: int, width: int, tokens: int = 8, hidden: int = 256) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Linear(numbers, hidden), nn.GELU(), nn.Linear(hidden, tokens * width))
        speak_up(self.layers[-1])

    def forward(self, x: Float[Tensor, "n f"]) -> Float[Tensor, "n tokens d"]:
        """The tokens of each state."""
        return self.layers(x).unflatten(1, (-1, self.width))


class SlotEncoder(nn.Module):
    """Each object's numbers become one token; which object it is, the word before the token says.

    Source: Driess et al. (2023), section 4, object-centric representations and entity referrals.
    """

    def __init__(self, numbers: int, width: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(numbers, hidden), nn.GELU(), nn.Linear(hidden, width))
        speak_up(self.layers[-1])

    def forward(self, x: Float[Tensor, "n objects f"]) -> Float[Tensor, "n objects d"]:
        """One token an object."""
        return self.layers(x)


class PictureEncoder(nn.Module):
    """A picture of 32 × 32 becomes a few tokens: patches by convolution, queries that read them, and an affine map.

    Source: Driess et al. (2023), section 4 (φ_ViT and the affine map ψ to the language model's width); patches by
    convolution: Xiao et al. (2021), "Early convolutions help transformers see better"; queries that read them:
    Jaegle et al. (2021), "Perceiver".
    """

    def __init__(self, width: int, tokens: int = 8, hidden: int = 64, channels: int = 3, layers: int = 2) -> None:
        super().__init__()
        self.tokens = tokens
        sizes = (channels, hidden // 2, hidden, hidden)
        self.patches = nn.Sequential(
            *(
                layer
                for before, after in pairwise(sizes)
                for layer in (nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(1, after), nn.GELU())
            )
        )
        # As loud as what the convolutions say from the start: where a block stands matters as much as which it is.
        self.positions = nn.Parameter(0.5 * torch.randn(16, hidden))
        self.queries = nn.Parameter(0.5 * torch.randn(tokens, hidden))
        layer = nn.TransformerEncoderLayer(hidden, 4, 2 * hidden, dropout=0, batch_first=True, norm_first=True)
        self.reader = nn.TransformerEncoder(layer, layers, nn.LayerNorm(hidden), enable_nested_tensor=False)
        self.affine = nn.Linear(hidden, width)
        speak_up(self.affine)

    def forward(self, x: Float[Tensor, "n c 32 32"]) -> Float[Tensor, "n tokens d"]:
        """The tokens of each picture."""
        cells = self.patches(x).flatten(2).transpose(1, 2) + self.positions  # (n, 16, hidden)
        queries = self.queries.expand(len(x), -1, -1)  # (n, tokens, hidden)
        read = self.reader(torch.cat([queries, cells], dim=1))[:, : self.tokens]  # (n, tokens, hidden)
        return self.affine(read)  # (n, tokens, d)


class PaLME(nn.Module):
    """A language model, and encoders that speak into its embedding space.

    language_model: any causal one of transformers: it takes `inputs_embeds` and gives `logits`.
    encoders: by the name of what they take; each gives (n, tokens, width).
    placeholder, pad, end: the tokens with these meanings.

    Source: Driess et al. (2023), section 3.
    """

    def __init__(
        self, language_model: nn.Module, encoders: Mapping[str, nn.Module], *, placeholder: int, pad: int, end: int
    ) -> None:
        super().__init__()
        self.language_model, self.encoders = language_model, nn.ModuleDict(encoders)
        self.placeholder, self.pad, self.end = placeholder, pad, end

    def freeze_language_model(self) -> "PaLME":
        """Only the encoders learn from now on; the model itself is returned.

        Raises: nothing.
        Source: Driess et al. (2023), section 5 (variation with model freezing).
        """
        self.language_model.requires_grad_(False)
        return self

    def encode(self, kind: str, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n tokens d"]:
        """What an encoder makes of observations.

        Raises: ValueError for an unknown kind.
        """
        if kind not in self.encoders:
            raise ValueError(f"kind: expected one of {', '.join(self.encoders)}; got {kind!r}")
        return self.encoders[kind](x)

    def read(
        self, *parts: str | tuple[str, Tensor], tokenize: Callable[[str], list[int]]
    ) -> tuple[Int[Tensor, "1 l"], Float[Tensor, "m d"]]:
        """The tokens and the features of one multimodal sentence: texts and observations, in any order and number.

        An observation is a pair of its kind and one tensor, without a dimension for the batch.

        Raises: ValueError for an unknown kind or a sentence without a part.
        Source: Driess et al. (2023), section 3 (multimodal sentences).
        """
        if not parts:
            raise ValueError("parts: expected texts and observations, got none")
        tokens, features = [], [self.word_vectors(torch.zeros(1, 0, dtype=torch.int64, device=self.device))[0]]
        for part in parts:
            if isinstance(part, str):
                tokens += tokenize(part)
            else:
                features.append(self.encode(part[0], part[1][None].to(self.device))[0])
                tokens += [self.placeholder] * len(features[-1])
        return torch.tensor([tokens], device=self.device), torch.cat(features)

    @property
    def device(self) -> torch.device:
        """Where the language model is."""
        return next(self.language_model.parameters()).device

    def word_vectors(self, tokens: Int[Tensor, "n l"]) -> Float[Tensor, "n l d"]:
        """γ(w): the language model's own vectors."""
        return self.language_model.get_input_embeddings()(tokens)

    def sentence_vectors(self, tokens: Int[Tensor, "n l"], features: Float[Tensor, "m d"]) -> Float[Tensor, "n l d"]:
        """What the language model reads: word vectors, with the features at the placeholders.

        Raises: ValueError as `inject`.
        """
        return inject(self.word_vectors(tokens), tokens == self.placeholder, features)

    def forward(self, tokens: Int[Tensor, "n l"], features: Float[Tensor, "m d"]) -> Float[Tensor, "n l v"]:
        """At each place, the logits of the token that follows.

        Raises: ValueError as `inject`.
        """
        vectors = self.sentence_vectors(tokens, features)
        return self.language_model(inputs_embeds=vectors, attention_mask=(tokens != self.pad).long()).logits

    @torch.no_grad()
    def generate(
        self, prompts: Int[Tensor, "n l"], features: Float[Tensor, "m d"], *, most: int = 32
    ) -> list[list[int]]:
        """The most probable next token, again and again, up to the end token, which is left out, or `most` tokens.

        prompts: filled up on the left, so that every answer begins where the row ends. The model is left in evaluation
        mode.

        Raises: ValueError as `inject`, and for padding on the right.
        Source: transformers' `generate`, greedy.
        """
        if (prompts[:, -1] == self.pad).any():
            raise ValueError("prompts: expected padding on the left, got rows that end in padding")
        self.eval()
        answers = self.language_model.generate(
            inputs_embeds=self.sentence_vectors(prompts, features),
            attention_mask=(prompts != self.pad).long(),
            max_new_tokens=most,
            do_sample=False,
            pad_token_id=self.pad,
            eos_token_id=self.end,
        )
        return [row[: row.index(self.end)] if self.end in row else row for row in answers.tolist()]


def small_language_model(
    vocabulary_size: int, *, architecture: str = "llama", width: int = 96, layers: int = 3, pad: int = 0
) -> nn.Module:
    """A causal language model of transformers, small enough to train on a laptop, without dropout.

    The vectors of words are the same at the input and at the output. Weights start with variance 1 / width: from the
    library's 0.02, made for large models, so small a one takes longer to learn to look things up.

    architecture: "llama" (rotary positions, gated MLP) or "gpt2" (learned positions).

    Raises: ValueError for another architecture.
    Source: Touvron et al. (2023), "LLaMA", section 2.2; Radford et al. (2019), "Language models are unsupervised
    multitask learners", section 2.3.
    """
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    own = {"vocab_size": vocabulary_size, "pad_token_id": pad, "bos_token_id": None, "eos_token_id": None}
    own["initializer_range"] = width**-0.5
    if architecture == "llama":
        config = LlamaConfig(
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            **own,
        )
        return LlamaForCausalLM(config)
    if architecture == "gpt2":
        config = GPT2Config(
            n_embd=width,
            n_layer=layers,
            n_head=4,
            n_inner=2 * width,
            n_positions=256,
            **dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0),
            **own,
        )
        return GPT2LMHeadModel(config)
    raise ValueError(f"architecture: expected 'llama' or 'gpt2', got {architecture!r}")
