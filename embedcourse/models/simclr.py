"""SimCLR: two views of a picture must find each other among the views of all other pictures."""

from jaxtyping import Float
from torch import Tensor, nn

from embedcourse.models.encoders import embed_in_chunks

__all__ = ["SimCLR"]


class SimCLR(nn.Module):
    """An encoder f and a projector g: the loss sees z = g(f(x)), what follows uses the representation h = f(x).

    A step of training, for two views made by random augmentations of each picture of a batch:

        x0, x1 = two_views(augment, x)
        loss = NTXentLoss()(model(x0), model(x1))

    Source: Chen et al. (2020), "A Simple Framework for Contrastive Learning of Visual Representations", section 2.1
    and figure 2; the step is Algorithm 1; why h and not z is kept: section 4.2.
    """

    def __init__(self, encoder: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """z, the rows that the loss compares.

        Raises: ValueError as the encoder and the projector.
        """
        return self.projector(self.encoder(x))

    def embed(self, x: Float[Tensor, "n c h w"], *, chunk_size: int = 1024) -> Float[Tensor, "n d_h"]:
        """h, the representation before the projector, in evaluation mode and without a gradient.

        Raises: ValueError as `embed_in_chunks`.
        """
        return embed_in_chunks(self.encoder, x, chunk_size=chunk_size)
