"""The projector between an encoder and its loss: what the loss asks for is kept out of the representation below it."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Projector"]


class Projector(nn.Sequential):
    """A perceptron with batch norm: `Projector(128, 128, 64)` maps 128 numbers through a layer of 128 to 64.

    Each hidden layer is linear, batch norm, ReLU; the last is linear alone, and none has a bias: what batch norm
    follows would lose it, and what ends the network needs none.

    Raises: ValueError for fewer than two widths, or one below 1.
    Source: Chen et al. (2020), "SimCLR", section 2.1, g(h) = W² ReLU(W¹ h), two layers; Bardes et al. (2022),
    "VICReg", section 4.2, the expander, three layers.
    """

    def __init__(self, *widths: int) -> None:
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"widths must be two or more numbers of at least 1, got {widths}")
        *hidden, last = pairwise(widths)
        layers = [layer for pair in hidden for layer in hidden_layer(*pair)]
        super().__init__(*layers, nn.Linear(*last, bias=False))
        self.widths = widths

    def forward(self, h: Float[Tensor, "n d_in"]) -> Float[Tensor, "n d_out"]:
        """The rows that the loss compares.

        Raises: ValueError for rows of another width than the first layer takes.
        """
        if h.ndim != 2 or h.shape[1] != self.widths[0]:
            raise ValueError(f"h must have shape (n, {self.widths[0]}), got {tuple(h.shape)}")
        return super().forward(h)


def hidden_layer(width_in: int, width_out: int) -> tuple[nn.Module, ...]:
    """Linear, batch norm, ReLU."""
    return nn.Linear(width_in, width_out, bias=False), nn.BatchNorm1d(width_out), nn.ReLU(inplace=True)
