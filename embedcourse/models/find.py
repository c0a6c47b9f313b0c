"""FIND: one interface over frozen features answers what is asked in names, words, clicks and pictures.

File order is the order of the paper: tasks as data, prompts, the two attentions and their masks, the interface.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from embedcourse.distances.cosine import unit
from embedcourse.models.clip import FIRST_SCALE, LARGEST_SCALE
from embedcourse.models.encoders import check_sizes
from embedcourse.models.palm_e import inject

__all__ = [
    "FIND",
    "TASKS",
    "Answer",
    "Attention",
    "InterfaceLayer",
    "Question",
    "Task",
    "Vision",
    "conditional_mask",
    "content_mask",
    "interleave",
    "mask_logits",
    "pooled",
]


class Vision(NamedTuple):
    """What a frozen picture encoder gives: a fine map, coarse patches in the space of words, one vector for all."""

    fine: Float[Tensor, "n c h2 w2"]
    patches: Float[Tensor, "n d h w"]
    image: Float[Tensor, "n d"]


@dataclass(frozen=True)
class Task:
    """A task, as data: whose copies its queries are, what they read, what they are prompted with, what they answer."""

    #: The learned query that its queries start from: "object", "image" or "text".
    query: str
    #: What content attention shows them: "vision", the patches of the picture, or "language", their own prompts.
    content: str
    #: What conditional attention shows them; empty for a task without prompts.
    prompts: str
    #: Which of the two projections answers: "pixel", a mask, or "semantic", an embedding.
    answer: str


TASKS = {
    "segmentation": Task("object", "vision", "a class name for each query", "pixel"),
    "grounding": Task("object", "vision", "the words of a phrase", "pixel"),
    "interactive": Task("object", "vision", "the place of a click", "pixel"),
    "interleaved grounding": Task("object", "vision", "words and a picture's region among them", "pixel"),
    "image retrieval": Task("image", "vision", "", "semantic"),
    "text retrieval": Task("text", "language", "the words of a caption", "semantic"),
    "interleaved retrieval": Task("text", "language", "words and a picture's region among them", "semantic"),
}


class Question(NamedTuple):
    """Queries of one task, each with its own prompts: `given` says which of the p places hold one."""

    task: str
    prompts: Float[Tensor, "n q p d"]
    given: Bool[Tensor, "n q p"]


class Answer(NamedTuple):
    """What each query says: an embedding of length 1 and the logits of a mask. The task decides which of them counts.

    A pixel belongs to a mask where its logit is above 0.
    """

    semantic: Float[Tensor, "n q d"]
    masks: Float[Tensor, "n q h w"]


def interleave(
    words: Float[Tensor, "*batch l d"], places: Bool[Tensor, "*batch l"], regions: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch l d"]:
    """Sentences in which pictures stand for words: at the places the regions, in reading order, elsewhere the words.

    Raises: ValueError where places and regions are not equally many.
    Source: Zou et al. (2024), "Interfacing Foundation Models' Embeddings", section 3 (interleave).
    """
    if int(places.sum()) != len(regions):
        raise ValueError(f"regions: expected one for each of {int(places.sum())} places, got {len(regions)}")
    return inject(words.flatten(0, -3), places.flatten(0, -2), regions).view_as(words)


def pooled(x: Float[Tensor, "*batch p d"], given: Bool[Tensor, "*batch p"]) -> Float[Tensor, "*batch d"]:
    """The mean of what is given; zeros where nothing is.

    Raises: nothing.
    Source: this course.
    """
    return x.masked_fill(~given[..., None], 0).sum(-2) / given.sum(-1, keepdim=True).clamp(min=1)


def conditional_mask(given: Bool[Tensor, "n p"], owner: Int[Tensor, " p"], queries: int) -> Bool[Tensor, "n s s"]:
    """Who sees whom among the queries and, behind them, the prompts (s = queries + p): True where a row sees a column.

    owner: the query to which each prompt belongs. A query sees itself and its own prompts; a prompt sees itself and
    the other prompts of its query, and no query. What is not given is seen by itself alone. Queries of different
    tasks, or of the same, thus never meet: each is answered as if it were asked alone.

    Raises: ValueError for an owner that is no query.
    Source: Zou et al. (2024), section 3 (conditional attention); who sees whom is simplified here.
    """
    if len(owner) and not (int(owner.min()) >= 0 and int(owner.max()) < queries):
        raise ValueError(f"owner: expected numbers of the {queries} queries, got {owner.tolist()}")
    of = torch.cat([torch.arange(queries, device=owner.device), owner])  # (s,)
    is_prompt = torch.arange(len(of), device=owner.device) >= queries  # (s,)
    there = F.pad(given, (queries, 0), value=True)  # (n, s)
    sees = (of[:, None] == of) & is_prompt & there[:, None]  # (n, s, s)
    return sees | torch.eye(len(of), dtype=torch.bool, device=owner.device)


def content_mask(
    given: Bool[Tensor, "n p"], owner: Int[Tensor, " p"], reads_vision: Bool[Tensor, " q"], patches: int
) -> Bool[Tensor, "n q m"]:
    """What each query reads of the patches and, behind them, the prompts (m = patches + p).

    Those that read vision see every patch and no prompt; those that read language see their own prompts alone.

    Raises: nothing.
    Source: Zou et al. (2024), section 3 (content attention).
    """
    own = owner == torch.arange(len(reads_vision), device=owner.device)[:, None]  # (q, p)
    language = own & ~reads_vision[:, None] & given[:, None]  # (n, q, p)
    vision = reads_vision[:, None].expand(len(given), -1, patches)  # (n, q, patches)
    return torch.cat([vision, language], dim=2)


class Attention(nn.Module):
    """Attention with several heads and a mask that says who may be seen.

    Source: Vaswani et al. (2017), "Attention Is All You Need", section 3.2.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))

    def forward(
        self, x: Float[Tensor, "n q d"], memory: Float[Tensor, "n m d"], sees: Bool[Tensor, "n q m"]
    ) -> Float[Tensor, "n q d"]:
        """What each row of x takes from the rows of memory that it sees; each must see at least one."""
        q, k, v = (
            linear(y).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (n, heads, rows, d/heads)
            for linear, y in ((self.query, x), (self.key, memory), (self.value, memory))
        )
        taken = F.scaled_dot_product_attention(q, k, v, attn_mask=sees[:, None])
        return self.output(taken.transpose(1, 2).flatten(2))


class InterfaceLayer(nn.Module):
    """Content attention of the queries, conditional attention of queries and prompts, two linear layers for each.

    After each of the three, what comes out is added to what went in, and the sum is normalised (post-norm).
    Nobody reads the prompts after the last layer, so it leaves them as they came.
    Source: Zou et al. (2024), section 3.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.content, self.conditional = Attention(dim, heads), Attention(dim, heads)
        self.feed_forward = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))

    def forward(
        self,
        queries: Float[Tensor, "n q d"],
        prompts: Float[Tensor, "n p d"],
        features: Float[Tensor, "n m d"],
        reads: Bool[Tensor, "n q m"],
        sees: Bool[Tensor, "n s s"],
        *,
        last: bool = False,
    ) -> tuple[Float[Tensor, "n q d"], Float[Tensor, "n p d"]]:
        """Queries and prompts after this layer."""
        count = queries.shape[1]
        queries = self.norms[0](queries + self.content(queries, features, reads))
        seen = torch.cat([queries, prompts], dim=1)  # (n, s, d)
        x = queries if last else seen
        x = self.norms[1](x + self.conditional(x, seen, sees[:, : x.shape[1]]))
        x = self.norms[2](x + self.feed_forward(x))
        return x[:, :count], prompts if last else x[:, count:]


class FIND(nn.Module):
    """The interface: it reads frozen features, is asked questions, and gives embeddings and masks.

    feature_dim, fine_dim: widths of the frozen features; words and patches share the first. dim: its own width.
    length: the most words of a sentence.
    One projection takes words and patches into one space; queries start from the mean of their prompts. A patch at the
    edge of an object seldom shows what it belongs to: a convolution tells each what surrounds it.

    Source: Zou et al. (2024), "Interfacing Foundation Models' Embeddings" (FIND). Without its mask-guided attention
    and its object queries that are matched afterwards: here every query is prompted. The convolution is all that there
    is of a pixel decoder; the way back to fine pixels: Lin et al. (2017), "Feature Pyramid Networks", section 3.
    """

    def __init__(
        self,
        feature_dim: int = 64,
        fine_dim: int = 40,
        dim: int = 64,
        *,
        layers: int = 2,
        heads: int = 4,
        length: int = 32,
    ) -> None:
        super().__init__()
        check_sizes(feature_dim=feature_dim, fine_dim=fine_dim, dim=dim, layers=layers, heads=heads, length=length)
        if dim % heads:
            raise ValueError(f"heads: expected a divisor of dim {dim}, got {heads}")
        self.dim = dim
        self.project = nn.Sequential(nn.LayerNorm(feature_dim), nn.Linear(feature_dim, dim))
        self.fine = nn.Linear(fine_dim, dim)
        self.surroundings = nn.Sequential(
            nn.Conv2d(dim + fine_dim, dim, 3, padding=1), nn.GELU(), nn.Conv2d(dim, dim, 1)
        )
        self.place = nn.Linear(4 * WAVES, dim)
        self.order = nn.Parameter(0.3 * torch.randn(length, dim))
        self.queries = nn.ParameterDict({kind: 0.02 * torch.randn(dim) for kind in ("object", "image", "text")})
        self.layers = nn.ModuleList(InterfaceLayer(dim, heads) for _ in range(layers))
        self.lateral = nn.Conv2d(fine_dim, dim, 1)
        self.pixel_map = nn.Sequential(nn.GELU(), nn.Conv2d(dim, dim, 1))
        self.semantic = nn.Linear(dim, dim)
        self.pixel = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim + 1))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def word_prompts(
        self,
        words: Float[Tensor, "*batch l d"],
        places: Bool[Tensor, "*batch l"] | None = None,
        regions: Float[Tensor, "m d2"] | None = None,
    ) -> Float[Tensor, "*batch l d2"]:
        """Frozen features of the words of sentences as prompts, with where in the sentence they stand.

        places, regions: words in whose place a picture's region stands, and the prompts of these regions.

        Raises: ValueError for sentences that are too long, and as `interleave`.
        """
        if words.shape[-2] > len(self.order):
            raise ValueError(f"words: expected at most {len(self.order)} a sentence, got {words.shape[-2]}")
        prompts = self.project(words)
        if places is not None:
            prompts = interleave(prompts, places, regions)
        return prompts + self.order[: words.shape[-2]]

    def region_prompts(
        self, vision: Vision, regions: Bool[Tensor, "n q h w"], *, placed: bool
    ) -> Float[Tensor, "n q d"]:
        """One prompt for each region of a picture, of the mean of its features. A click is a region of one pixel.

        placed: say where the region lies. A region of another picture says only what it shows.
        """
        prompts = self.project(region_mean(vision.patches, regions)) + self.fine(region_mean(vision.fine, regions))
        if placed:
            prompts = prompts + self.place(region_mean(waves(vision.fine), regions))
        return prompts

    def patch_tokens(self, vision: Vision) -> Float[Tensor, "n d h w"]:
        """The patches in the interface's space, with what surrounds them and where they lie."""
        x = self.project(vision.patches.movedim(1, -1)).movedim(-1, 1)  # (n, d, h, w)
        x = x + self.surroundings(torch.cat([x, F.adaptive_avg_pool2d(vision.fine, x.shape[2:])], dim=1))
        return x + self.place(waves(x).movedim(1, -1)).movedim(-1, 1)

    def forward(self, vision: Vision, questions: Sequence[Question], size: int = 32) -> list[Answer]:
        """The answers to all questions about each picture, in one pass; each is what it were if asked alone.

        Raises: ValueError for no question, an unknown task, prompts where the task has none, or a query without any.
        """
        check_questions(questions)
        patches = self.patch_tokens(vision)
        tokens = patches.flatten(2).transpose(1, 2)  # (n, patches, d)
        queries = torch.cat([self.first_queries(vision, question) for question in questions], dim=1)  # (n, q, d)
        prompts = torch.cat([question.prompts.flatten(1, 2) for question in questions], dim=1)  # (n, p, d)
        given = torch.cat([question.given.flatten(1) for question in questions], dim=1)  # (n, p)
        owner, reads_vision = owners_and_readers(questions, queries.device)
        reads = content_mask(given, owner, reads_vision, tokens.shape[1])
        sees = conditional_mask(given, owner, queries.shape[1])
        features = torch.cat([tokens, prompts], dim=1)  # (n, patches + p, d): as they came, in every layer
        for layer in self.layers:
            queries, prompts = layer(queries, prompts, features, reads, sees, last=layer is self.layers[-1])
        semantic, masks = unit(self.semantic(queries)), self.draw(queries, vision.fine, patches, size)
        counts = [question.given.shape[1] for question in questions]
        return [Answer(*parts) for parts in zip(semantic.split(counts, 1), masks.split(counts, 1), strict=True)]

    def first_queries(self, vision: Vision, question: Question) -> Float[Tensor, "n q d"]:
        """Copies of the task's learned query, each with the mean of its prompts, or of the whole picture."""
        start = self.queries[TASKS[question.task].query]
        if TASKS[question.task].prompts:
            return start + pooled(question.prompts, question.given)
        return (start + self.project(vision.image))[:, None].expand(-1, question.given.shape[1], -1)

    def draw(
        self,
        queries: Float[Tensor, "n q d"],
        fine: Float[Tensor, "n c h2 w2"],
        patches: Float[Tensor, "n d h w"],
        size: int,
    ) -> Float[Tensor, "n q size size"]:
        """The mask of each query at the picture's size."""
        x = self.lateral(fine) + F.interpolate(patches, fine.shape[2:], mode="bilinear")
        pixels = x + self.pixel_map(x)  # (n, d, h2, w2)
        embedding, threshold = self.pixel(queries).split([self.dim, 1], dim=2)
        return mask_logits(queries + embedding, pixels, size) - threshold[..., None]

    @property
    def scale(self) -> Float[Tensor, ""]:
        """1/temperature of retrieval, which multiplies cosines."""
        return self.logit_scale.exp()

    def clamp_logit_scale(self) -> None:
        """Put the parameter back into [0, ln 100], as CLIP does."""
        with torch.no_grad():
            self.logit_scale.clamp_(0, math.log(LARGEST_SCALE))


def mask_logits(
    queries: Float[Tensor, "n q d"], pixels: Float[Tensor, "n d h w"], size: int
) -> Float[Tensor, "n q {size} {size}"]:
    """Logits of masks: the product of each query with each pixel's embedding over √d, then bilinear to size × size.

    First the product, then the larger size: logits are interpolated, never masks.

    Raises: nothing.
    Source: Cheng et al. (2021), "Per-Pixel Classification is Not All You Need for Semantic Segmentation", section 3.3;
    over √d: this course.
    """
    logits = torch.einsum("nqd,ndhw->nqhw", queries, pixels) / pixels.shape[1] ** 0.5
    return F.interpolate(logits, (size, size), mode="bilinear")


#: Waves along each axis by which a place is told.
WAVES = 4


def waves(like: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h w"]:
    """Sines and cosines of 1/4, 1/2, 1 and 2 periods across a map, along y and along x: where each cell lies."""
    n, _, h, w = like.shape
    rates = torch.pi / 2 * 2 ** torch.arange(WAVES, device=like.device, dtype=like.dtype)[:, None]
    y, x = (rates * ((torch.arange(k, device=like.device, dtype=like.dtype) + 0.5) / k) for k in (h, w))
    down, across = (torch.cat([line.sin(), line.cos()]) for line in (y, x))  # (2·WAVES, h) and (2·WAVES, w)
    return torch.cat([down[:, :, None].expand(-1, -1, w), across[:, None].expand(-1, h, -1)]).expand(n, -1, -1, -1)


def region_mean(x: Float[Tensor, "n d h w"], regions: Bool[Tensor, "n q h2 w2"]) -> Float[Tensor, "n q d"]:
    """The mean of a map over each region, which has a finer grid; zeros for an empty region."""
    weights = F.adaptive_avg_pool2d(regions.to(x.dtype), x.shape[2:])  # (n, q, h, w)
    weights = weights / weights.sum((2, 3), keepdim=True).clamp(min=1e-6)
    return torch.einsum("nqhw,ndhw->nqd", weights, x)


def owners_and_readers(
    questions: Sequence[Question], device: torch.device
) -> tuple[Int[Tensor, " p"], Bool[Tensor, " q"]]:
    """The query to which each prompt belongs, and which queries read the picture."""
    queries, places = torch.tensor([question.given.shape[1:] for question in questions]).unbind(1)
    places = places.repeat_interleave(queries)  # (q,)
    owner = torch.arange(len(places)).repeat_interleave(places)
    vision = torch.tensor([TASKS[question.task].content == "vision" for question in questions])
    return owner.to(device), vision.repeat_interleave(queries).to(device)


def check_questions(questions: Sequence[Question]) -> None:
    """Refuse what cannot be asked, by name."""
    if not questions:
        raise ValueError("questions: expected at least one")
    for task, _, given in questions:
        if task not in TASKS:
            raise ValueError(f"task: expected one of {', '.join(TASKS)}; got {task!r}")
        if not TASKS[task].prompts and given.shape[2]:
            raise ValueError(f"prompts: {task} has none, got {given.shape[2]} for each query")
        if TASKS[task].prompts and not given.any(2).all():
            raise ValueError(f"given: expected at least one prompt for each query of {task}")
