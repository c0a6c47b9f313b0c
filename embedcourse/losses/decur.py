"""DeCUR: two modalities agree in the common dimensions; in the unique ones each agrees with itself alone."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from embedcourse._arguments import check_not_negative
from embedcourse.losses._batches import check_choice, check_views, joint_views, off_diagonal
from embedcourse.losses.barlow_twins import BarlowTwinsLoss, cross_correlation

__all__ = ["DeCURLoss"]


class DeCURLoss(nn.Module):
    """Barlow Twins within each modality over all dimensions; across the two only over the first `dim_common`.

    With C the cross-correlation of the first views of both modalities, its common block C[:k, :k] is to become the
    identity, its unique block C[k:, k:] zero, diagonal included. The two mixed blocks are left alone. Alone, the unique
    block would be content with noise: the intra-modal terms make its dimensions say something.

    dim_common: k, the number of common dimensions. All: cross-modal Barlow Twins with two intra-modal terms.
    lambd: the weight of what lies off a diagonal, in all four terms. The default is for thousands of dimensions: the
        fewer there are, the fewer others each has to differ from, and the more each of those may weigh.
    reduction: "official" is (intra 1 + intra 2 + (common + unique) / 2) / 3, as the authors' code returns it; "sum"
        adds up the four, as the paper writes it: there the cross-modal terms weigh twice as much.
    gather: take the matrices over the rows of all processes of torch.distributed. Value and, under
        DistributedDataParallel, gradient are those of one process on the joint batch. The official code adds up the
        matrices without a gradient across processes, and divides by a batch size that assumes four of them.

    Half precision is computed in float32.
    Source: Wang et al. (2023), "Decoupling Common and Unique Representations for Multimodal Self-supervised Learning",
    section 3; "official" and λ: zhu-xlab/DeCUR, decur.py.
    """

    def __init__(
        self,
        dim_common: int,
        lambd: float = 0.0051,
        reduction: Literal["official", "sum"] = "official",
        *,
        eps: float = 1e-5,
        gather: bool = False,
    ) -> None:
        super().__init__()
        check_not_negative(dim_common=dim_common, lambd=lambd)
        check_choice("reduction", reduction, ("official", "sum"))
        self.dim_common, self.lambd, self.reduction = dim_common, lambd, reduction
        self.eps, self.gather = eps, gather
        self.intra = BarlowTwinsLoss(lambd, eps, gather=gather)

    def extra_repr(self) -> str:
        """What distinguishes this loss from another."""
        return f"dim_common={self.dim_common}, lambd={self.lambd}, reduction={self.reduction!r}"

    def forward(
        self,
        m1_view1: Float[Tensor, "n d"],
        m1_view2: Float[Tensor, "n d"],
        m2_view1: Float[Tensor, "n d"],
        m2_view2: Float[Tensor, "n d"],
    ) -> Float[Tensor, ""]:
        """The loss of two views of each of two modalities, row i of all four from sample i: 0 or above.

        Raises: TypeError and ValueError for what are no four batches of one shape, have a single row, or fewer
        dimensions than dim_common.
        """
        return self.terms(m1_view1, m1_view2, m2_view1, m2_view2)["loss"]

    def terms(
        self,
        m1_view1: Float[Tensor, "n d"],
        m1_view2: Float[Tensor, "n d"],
        m2_view1: Float[Tensor, "n d"],
        m2_view2: Float[Tensor, "n d"],
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss and what it is made of, for `fit`: "loss", "intra 1", "intra 2", "common", "unique".

        Raises: as the call.
        """
        self.check(m1_view1=m1_view1, m1_view2=m1_view2, m2_view1=m2_view1, m2_view2=m2_view2)
        terms = {"intra 1": self.intra(m1_view1, m1_view2), "intra 2": self.intra(m2_view1, m2_view2)}
        terms |= self.cross(m1_view1, m2_view1)
        return {"loss": self.reduced(*terms.values())} | terms

    def cross(self, m1: Float[Tensor, "n d"], m2: Float[Tensor, "n d"]) -> dict[str, Float[Tensor, ""]]:
        """The cross-modal terms alone, of one view of each modality: "common" and "unique".

        Raises: TypeError and ValueError for what is no pair of batches, or has a single row.
        """
        with joint_views(m1, m2, self.gather) as (z_1, z_2):
            c, k = cross_correlation(z_1, z_2, self.eps), self.dim_common
            return {"common": redundancy(c[:k, :k], 1, self.lambd), "unique": redundancy(c[k:, k:], 0, self.lambd)}

    def reduced(self, intra_1: Tensor, intra_2: Tensor, common: Tensor, unique: Tensor) -> Float[Tensor, ""]:
        """One number of the four terms."""
        if self.reduction == "sum":
            return intra_1 + intra_2 + common + unique
        return (intra_1 + intra_2 + (common + unique) / 2) / 3

    def check(self, **views: object) -> None:
        """Refuse what are no four batches whose rows correspond, by name."""
        first, *others = views
        for other in others:
            check_views(views[first], views[other], (first, other), least=2)
        d = views[first].shape[1]
        if d < self.dim_common:
            raise ValueError(f"dim_common must be at most the {d} dimensions of the embeddings, got {self.dim_common}")


def redundancy(c: Float[Tensor, "d d"], target: float, lambd: float) -> Float[Tensor, ""]:
    """Σᵢ (target − Cᵢᵢ)² + λ Σᵢ Σⱼ≠ᵢ Cᵢⱼ²: 0 where the matrix is target times the identity, and where it is empty."""
    return (target - c.diagonal()).square().sum() + lambd * off_diagonal(c).square().sum()
