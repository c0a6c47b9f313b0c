"""ImageBind: every sense learns to agree with pictures alone, and senses that never met agree with each other."""

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from embedcourse.distances.cosine import unit
from embedcourse.losses.info_nce import info_nce
from embedcourse.models.clip import CLIP
from embedcourse.models.encoders import SmallCNN, SmallCNN1d, check_sizes, embed_in_chunks

__all__ = ["FIRST_SCALES", "ImageBind", "binding_loss", "world_encoders"]

#: What unit vectors of each sense are multiplied by: 1/temperature. Text learns its own from this one on.
FIRST_SCALES = {"image": 1.0, "text": 1 / 0.07, "audio": 20.0, "depth": 5.0, "thermal": 10.0, "imu": 5.0}
#: The senses whose scale is learned, and the largest that it becomes.
LEARNED, LARGEST_SCALE = ("text",), 100.0


class ImageBind(nn.Module):
    """Six encoders, each with a linear head into one space; outputs are unit vectors times the sense's own scale.

    Scales are held as logarithms; only that of text learns. The scale of one side of a pair is the 1/temperature of its
    softmax, as that of pictures is 1. Encoders say in `embedding_dim` how wide their rows are.

    tokenize: makes tokens of texts, so that `embed("text", …)` takes either.

    To bind sound to a hub that is done, with the pictures embedded once for all senses:

        model = ImageBind.from_clip(clip, {"audio": SmallCNN(channels=1)})
        z = model.embed("image", pictures)
        fit(model, lambda model, z, x: binding_loss(model, "audio", z, x), (z, sounds), steps=150, lr=4e-3)

    Source: Girdhar et al. (2023), "ImageBind: One Embedding Space To Bind Them All", section 3 and figure 2; heads and
    scales: facebookresearch/ImageBind, imagebind_model.py (which puts a layer norm before each head; here the encoders
    end as they do elsewhere in the course).
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        embedding_dim: int = 64,
        *,
        tokenize: Callable[[Sequence[str]], Tensor] | None = None,
    ) -> None:
        super().__init__()
        check_sizes(embedding_dim=embedding_dim)
        for sense in encoders:
            check_sense("encoders", sense, FIRST_SCALES)
        self.embedding_dim, self.tokenize = embedding_dim, tokenize
        self.encoders = nn.ModuleDict(encoders)
        self.heads = nn.ModuleDict(
            {sense: nn.Linear(encoder.embedding_dim, embedding_dim, bias=False) for sense, encoder in encoders.items()}
        )
        self.log_scales = nn.ParameterDict(
            {sense: nn.Parameter(torch.tensor(math.log(FIRST_SCALES[sense])), sense in LEARNED) for sense in encoders}
        )

    @classmethod
    def from_clip(cls, clip: CLIP, encoders: Mapping[str, nn.Module]) -> "ImageBind":
        """A model whose image and text halves are copies of a CLIP's, with its learned scale, and frozen.

        encoders: of the other senses; with their heads they are all that trains.
        """
        own = copy.deepcopy(clip)
        halves = {"image": own.image_encoder, "text": own.text_encoder}
        model = cls({**halves, **encoders}, own.embedding_dim, tokenize=own.tokenize)
        model.heads["image"], model.heads["text"] = own.image_projection, own.text_projection
        model.log_scales["text"] = own.logit_scale
        return model.freeze("image", "text")

    @property
    def senses(self) -> tuple[str, ...]:
        """The senses that this model has."""
        return tuple(self.encoders)

    def freeze(self, *senses: str) -> "ImageBind":
        """Let these senses learn no more, and put their encoders into evaluation mode; return the model.

        Raises: ValueError for a sense that the model lacks.
        """
        for sense in senses:
            check_sense("senses", sense, self.encoders)
            for part in (self.encoders[sense], self.heads[sense]):
                part.requires_grad_(False).eval()
            self.log_scales[sense].requires_grad_(False)
        return self

    def scale(self, sense: str) -> Float[Tensor, ""]:
        """1/temperature of a sense, at most 100. As in the official code, a scale beyond has no gradient.

        Raises: ValueError for a sense that the model lacks.
        """
        check_sense("sense", sense, self.encoders)
        return self.log_scales[sense].exp().clamp(max=LARGEST_SCALE)

    def forward(self, inputs: Mapping[str, Shaped[Tensor, "n *form"]]) -> dict[str, Float[Tensor, "n d"]]:
        """What `encode` makes of each sense: `model({"image": pictures, "audio": sounds})`.

        Raises: as `encode`.
        """
        return {sense: self.encode(sense, x) for sense, x in inputs.items()}

    def encode(self, sense: str, x: Shaped[Tensor, "n *form"]) -> Float[Tensor, "n d"]:
        """Inputs of a sense in the common space, with a gradient: unit vectors times the sense's scale.

        To compare two senses by cosine, scale both back to length 1, or take `embed`.

        Raises: ValueError for a sense that the model lacks, and whatever its encoder refuses.
        """
        check_sense("sense", sense, self.encoders)
        return self.scale(sense) * unit(self.heads[sense](self.encoders[sense](x)))

    def embed(self, sense: str, x: Shaped[Tensor, "n *form"] | Sequence[str]) -> Float[Tensor, "n d"]:
        """Inputs of a sense as unit vectors, in evaluation mode, in chunks, without a gradient.

        x: as `embedcourse.world.render` gives it; for text also a list of sentences, where the CLIP had a tokenizer.

        Raises: as `encode`; TypeError for sentences without a tokenizer or of another sense than text.
        """
        check_sense("sense", sense, self.encoders)
        if not isinstance(x, Tensor):
            if sense != "text" or self.tokenize is None:
                raise TypeError(f"x: expected a tensor for {sense}, got {type(x).__name__}")
            x = self.tokenize(x)
        return unit(embed_in_chunks(nn.Sequential(self.encoders[sense], self.heads[sense]), x))


def binding_loss(
    model: ImageBind,
    sense: str,
    images: Float[Tensor, "n c h w"] | Float[Tensor, "n d"],
    x: Shaped[Tensor, "n *form"],
) -> Float[Tensor, ""]:
    """Each picture finds what the sense perceived of the same scene among the batch, and the other way round: the sum.

    images: pictures, or what `model.embed("image", pictures)` made of them, which spares a frozen encoder its work at
    every step. Row i of images and of x is scene i.

    Range: [0, ∞); 2 ln n when nothing is told apart.
    Raises: ValueError for the sense "image" or one that the model lacks, for embeddings of another width, and as
    `info_nce` and the encoders.
    Source: Girdhar et al. (2023), "ImageBind", Eq. 1 and the sentence after it: L(image, m) + L(m, image).
    """
    if sense == "image":
        raise ValueError("sense: expected one to bind to pictures, got 'image'")
    if images.ndim == 2 and images.shape[1] != model.embedding_dim:
        raise ValueError(f"images: expected embeddings of width {model.embedding_dim}, got {tuple(images.shape)}")
    anchors = images if images.ndim == 2 else model.encode("image", images)
    others, scale = model.encode(sense, x), model.scale(sense)
    return info_nce(anchors, others, scale) + info_nce(others, anchors, scale)


def world_encoders(width: int = 16) -> dict[str, nn.Module]:
    """Untrained encoders for the four senses of the world that a CLIP lacks: `ImageBind.from_clip(clip, encoders)`.

    Raises: ValueError for a width below 1.
    Source: this course.
    """
    return {
        "depth": SmallCNN(width, channels=1),
        "thermal": SmallCNN(width, channels=1),
        "audio": SmallCNN(width, channels=1),
        "imu": SmallCNN1d(width),
    }


def check_sense(argument: str, sense: str, known: Iterable[str]) -> None:
    """Refuse a sense that is not there, by name."""
    if sense not in known:
        raise ValueError(f"{argument}: expected {', '.join(known)}; got {sense!r}")
