"""VICReg: two views of a picture must agree while every dimension stays spread and says something of its own."""

from jaxtyping import Float
from torch import Tensor, nn

from embedcourse.models.encoders import embed_in_chunks

__all__ = ["VICReg"]


class VICReg(nn.Module):
    """An encoder f and an expander h: the loss sees z = h(f(x)), what follows uses the representation y = f(x).

    The expander is a projector that widens: a covariance can be driven to zero in more dimensions than there are in y,
    which takes from y what is not only linearly dependent. A step of training, for two views of each picture:

        x0, x1 = two_views(augment, x)
        loss = VICRegLoss()(model(x0), model(x1))

    Each view passes the network on its own, so that batch norm takes its statistics view by view.
    Source: Bardes et al. (2022), "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
    section 4 and figure 1 (encoder f_θ, expander h_φ); the step is Algorithm 1.
    """

    def __init__(self, encoder: nn.Module, expander: nn.Module) -> None:
        super().__init__()
        self.encoder, self.expander = encoder, expander

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """z, the rows that the loss holds together and apart.

        Raises: ValueError as the encoder and the expander.
        """
        return self.expander(self.encoder(x))

    def embed(self, x: Float[Tensor, "n c h w"], *, chunk_size: int = 1024) -> Float[Tensor, "n d_y"]:
        """y, the representation before the expander, in evaluation mode and without a gradient.

        Raises: ValueError as `embed_in_chunks`.
        """
        return embed_in_chunks(self.encoder, x, chunk_size=chunk_size)
