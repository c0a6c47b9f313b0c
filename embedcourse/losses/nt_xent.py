"""NT-Xent, the loss of SimCLR: find the other view of your own sample among all views of the batch."""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from embedcourse._arguments import check_positive
from embedcourse.distances import cdist, negative_arc_length
from embedcourse.distances.arc_length import from_chords
from embedcourse.distances.cosine import unit
from embedcourse.losses._batches import check_choice, check_views, full_precision, gathered, ranks

__all__ = ["NTXentLoss"]


class NTXentLoss(nn.Module):
    """Normalised temperature-scaled cross-entropy: −log of exp(s⁺/T) / Σ exp(s/T), over all views but the anchor.

    Each of the 2N views is an anchor. Its positive is the other view of the same sample, its negatives are the 2N − 2
    views of other samples. `similarity` compares them: "cosine", or "arc" (1 − θ/π, which is π times flatter at a
    right angle, so that equal temperature is not equal sharpness).

    convention: "paper" averages over the 2N anchors (Eq. 1 and Algorithm 1; lightly does the same); "official" is the
        sum of the two views' means, as the authors' code returns it: twice as much.
    chunk_size: logits are made in tiles of chunk_size × chunk_size, and made again for the gradient, which exists to
        first order: exact, fast, and in memory that grows with N only. None holds all 2N × 2N, as in the equation.
    gather: compare with the views of all processes of torch.distributed. Value and, under DistributedDataParallel,
        gradient are those of one process on the joint batch; each process must bring equally many rows.

    Half precision is computed in float32. A zero vector is at similarity 0 (arc: ½) to everything.
    Source: Chen et al. (2020), "A Simple Framework for Contrastive Learning of Visual Representations", Eq. 1 and
    Algorithm 1; default temperature and "official": google-research/simclr, objective.py and run.py.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        similarity: Literal["cosine", "arc"] = "cosine",
        *,
        convention: Literal["paper", "official"] = "paper",
        chunk_size: int | None = 1024,
        gather: bool = False,
    ) -> None:
        super().__init__()
        check_positive(temperature=temperature)
        check_choice("similarity", similarity, ("cosine", "arc"))
        check_choice("convention", convention, ("paper", "official"))
        if chunk_size is not None:
            check_positive(chunk_size=chunk_size)
        self.temperature, self.similarity, self.convention = temperature, similarity, convention
        self.chunk_size, self.gather = chunk_size, gather

    def extra_repr(self) -> str:
        """What distinguishes this loss from another."""
        return f"temperature={self.temperature}, similarity={self.similarity!r}"

    def forward(self, out0: Float[Tensor, "n d"], out1: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two batches, row i of both from sample i: 0 or above.

        Raises: TypeError and ValueError for what is no pair of batches; ValueError for a single sample in all, which
        has no negative.
        """
        check_views(out0, out1, least=1 if self.gather and ranks()[1] > 1 else 2)
        with torch.autocast(out0.device.type, enabled=False):
            z0, z1 = map(unit, full_precision(out0, out1))
            anchors = torch.cat([z0, z1])  # (2n, d)
            views = torch.cat([gathered(z0), gathered(z1)]) if self.gather else anchors  # (2N, d)
            own = own_rows(len(z0), anchors.device) if self.gather else None
            loss = self.log_sum(anchors, views, own).mean() - self.positives(z0, z1).mean()
            loss = mean_over_processes(loss) if self.gather else loss
        return loss if self.convention == "paper" else 2 * loss

    def positives(self, z0: Float[Tensor, "n d"], z1: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Similarity of the two views of each sample, over T; it counts for both anchors."""
        s = (z0 * z1).sum(1) if self.similarity == "cosine" else negative_arc_length(z0, z1)
        return s / self.temperature

    def log_sum(
        self, anchors: Float[Tensor, "a d"], views: Float[Tensor, "v d"], own: Tensor | None
    ) -> Float[Tensor, " a"]:
        """log Σ exp(s/T) of each anchor over all views but itself: the denominator of Eq. 1."""
        if self.chunk_size is not None:
            return LogSumOfOthers.apply(anchors, views, own, self.temperature, self.similarity, self.chunk_size)
        s = anchors @ views.T if self.similarity == "cosine" else cdist(anchors, views, "arc")
        itself = torch.arange(len(anchors), device=s.device) if own is None else own
        itself = torch.zeros_like(s, dtype=torch.bool).scatter_(1, itself[:, None], True)
        return (s / self.temperature).masked_fill(itself, -math.inf).logsumexp(1)


def own_rows(n: int, device: torch.device) -> Tensor:
    """Where the 2n views of this process stand among the gathered 2N."""
    rank, processes = ranks()
    first = torch.arange(rank * n, (rank + 1) * n, device=device)
    return torch.cat([first, first + n * processes])


def mean_over_processes(loss: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The mean of all processes' losses as the value; the gradient stays that of the own anchors.

    Every anchor is counted by one process alone, so DistributedDataParallel's mean of the gradients is that of the
    joint loss.
    """
    everywhere = gathered(loss.detach().reshape(1, 1)).mean()
    return loss + (everywhere - loss).detach()


class LogSumOfOthers(torch.autograd.Function):
    """log Σⱼ exp(s(uᵢ, vⱼ)/T) over all j but i's own, tile by tile: no tile is kept, each is made again for backward.

    Where anchors and views are the same rows, s is symmetric, and each tile above the diagonal serves both its rows
    and its columns: half of the matrix products are saved.
    Source: the streaming softmax of Milakov and Gimelshein (2018), "Online normalizer calculation for softmax"; the
    use of symmetry is this course's.
    """

    @staticmethod
    def forward(
        u: Float[Tensor, "a d"],
        v: Float[Tensor, "v d"],
        own: Tensor | None,
        temperature: float,
        similarity: str,
        chunk_size: int,
    ) -> Float[Tensor, " a"]:
        """The log-sums, without any tile left."""
        log_sum = u.new_full((len(u),), -math.inf)
        for rows, columns, mirrored in tiles(u, v, own, chunk_size):
            logits, _ = tile(u, v, own, rows, columns, temperature, similarity)
            log_sum[rows] = torch.logaddexp(log_sum[rows], logits.logsumexp(1))
            if mirrored:
                log_sum[columns] = torch.logaddexp(log_sum[columns], logits.logsumexp(0))
        return log_sum

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the rows and their log-sums, which is all that backward needs."""
        u, v, own, *ctx.options = inputs
        ctx.save_for_backward(u, v, own, output)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, " a"]) -> tuple[Tensor | None, ...]:
        """Each pair pulls by its share of the anchor's sum, exp(logit − log-sum), times the similarity's slope."""
        u, v, own, log_sum = ctx.saved_tensors
        temperature, similarity, chunk_size = ctx.options
        grad_u, grad_v = torch.zeros_like(u), torch.zeros_like(v)
        for rows, columns, mirrored in tiles(u, v, own, chunk_size):
            logits, slope = tile(u, v, own, rows, columns, temperature, similarity)
            pull = (logits - log_sum[rows, None]).exp_().mul_(gradient[rows, None])
            if mirrored:
                pull += (logits - log_sum[columns]).exp_().mul_(gradient[columns])
            pull = pull.mul_(slope) if slope is not None else pull
            grad_u[rows] += pull @ v[columns]
            grad_v[columns] += pull.T @ u[rows]
        return grad_u / temperature, grad_v / temperature, None, None, None, None


def tiles(u: Tensor, v: Tensor, own: Tensor | None, chunk_size: int) -> list[tuple[slice, slice, bool]]:
    """Rows and columns of each tile, and whether it stands for its mirror image too.

    Without `own` u and v are the same rows, and the tiles below the diagonal are the mirror images of those above.
    """
    rows, columns = ([slice(i, i + chunk_size) for i in range(0, len(x), chunk_size)] for x in (u, v))
    if own is not None:
        return [(r, c, False) for r in rows for c in columns]
    return [(r, c, c.start > r.start) for r in rows for c in columns if c.start >= r.start]


def tile(
    u: Tensor, v: Tensor, own: Tensor | None, rows: slice, columns: slice, temperature: float, similarity: str
) -> tuple[Tensor, Tensor | None]:
    """The logits of one tile, −∞ where an anchor meets itself, and the slope of the similarity by the cosine (or 1)."""
    itself = torch.arange(len(u), device=u.device)[rows] if own is None else own[rows]
    inside = ((itself >= columns.start) & (itself < columns.stop)).nonzero()[:, 0]
    diagonal = (inside, itself[inside] - columns.start)
    s, slope = (u[rows] @ v[columns].T).index_put_(diagonal, u.new_zeros(())), None
    if similarity == "arc":
        s, sine = arc(u[rows], v[columns], s)
        slope = torch.where(sine > 0, 1 / (math.pi * sine), 0)
    return s.div_(temperature).index_put_(diagonal, u.new_tensor(-math.inf)), slope


def arc(
    u: Float[Tensor, "a d"], v: Float[Tensor, "v d"], cosine: Float[Tensor, "a v"]
) -> tuple[Float[Tensor, "a v"], Float[Tensor, "a v"]]:
    """1 − θ/π and sin θ; by the chords ‖u ± v‖ = 2 cos(θ/2), 2 sin(θ/2) where a cosine near ±1 has lost its digits."""
    if cosine.abs().max() < NEARLY_PARALLEL:
        return 1 - cosine.acos() / math.pi, (1 - cosine.square()).sqrt_()
    minus, plus = (torch.cdist(u, w, compute_mode="donot_use_mm_for_euclid_dist") for w in (v, -v))
    return from_chords(minus, plus), minus * plus / 2


#: Up to this cosine the acos of a float32 product is good to 2e-6.
NEARLY_PARALLEL = 0.999
