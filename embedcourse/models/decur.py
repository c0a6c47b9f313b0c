"""DeCUR: two modalities, each with its own encoder and projector, share some dimensions and keep the others."""

from collections.abc import Mapping

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from embedcourse.models.encoders import embed_in_chunks

__all__ = ["DeCUR"]


class DeCUR(nn.Module):
    """An encoder f and a projector g for each modality: the loss sees z = g(f(x)), of which some dimensions are common.

    `z[:, model.common]` are the first `dim_common` dimensions of an embedding, `z[:, model.unique]` the others. A step
    of training, for a batch of pairs and an augmentation fit for each modality:

        imu_0, imu_1 = two_views(augment_imu, imu)
        audio_0, audio_1 = two_views(augment_audio, audio)
        z = model("imu", imu_0), model("imu", imu_1), model("audio", audio_0), model("audio", audio_1)
        loss = DeCURLoss(model.dim_common)(*z)

    Each view passes the network on its own, so that batch norm takes its statistics view by view. In the official code
    both projectors are made of the same layers, and so are one; here each modality has its own, as in the paper.
    Source: Wang et al. (2023), "Decoupling Common and Unique Representations for Multimodal Self-supervised Learning",
    section 3 and figure 2.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], projectors: Mapping[str, nn.Module], dim_common: int) -> None:
        super().__init__()
        check_parts(encoders, projectors, dim_common)
        self.encoders, self.projectors = nn.ModuleDict(encoders), nn.ModuleDict(projectors)
        self.dim_common = dim_common
        self.common, self.unique = slice(0, dim_common), slice(dim_common, None)

    def forward(self, modality: str, x: Shaped[Tensor, "n ..."]) -> Float[Tensor, "n d"]:
        """z, the rows that the loss compares.

        Raises: ValueError for an unknown modality, and as the encoder and the projector.
        """
        self.check_modality(modality)
        return self.projectors[modality](self.encoders[modality](x))

    def embed(
        self, modality: str, x: Shaped[Tensor, "n ..."], *, projected: bool = False, chunk_size: int = 1024
    ) -> Float[Tensor, "n d"]:
        """The representation f(x) before the projector, in evaluation mode and without a gradient.

        projected: z = g(f(x)) instead, whose dimensions are common or unique.

        Raises: ValueError for an unknown modality, and as `embed_in_chunks`.
        """
        self.check_modality(modality)
        encoder, projector = self.encoders[modality], self.projectors[modality]
        whole = nn.Sequential(encoder, projector) if projected else encoder
        return embed_in_chunks(whole, x, chunk_size=chunk_size)

    def check_modality(self, modality: str) -> None:
        """Refuse a modality without an encoder."""
        if modality not in self.encoders:
            raise ValueError(f"modality must be one of {', '.join(map(repr, self.encoders))}, got {modality!r}")


def check_parts(encoders: Mapping[str, nn.Module], projectors: Mapping[str, nn.Module], dim_common: int) -> None:
    """Refuse parts that do not belong together, by name."""
    if len(encoders) != 2 or encoders.keys() != projectors.keys():
        names = f"{list(encoders)} and {list(projectors)}"
        raise ValueError(f"encoders and projectors must be for the same two modalities, got {names}")
    first, second = ({id(weight) for weight in projector.parameters()} for projector in projectors.values())
    if first & second:
        raise ValueError(f"projectors must have weights of their own, got {len(first & second)} that both share")
    if dim_common < 0:
        raise ValueError(f"dim_common must be 0 or above, got {dim_common}")
