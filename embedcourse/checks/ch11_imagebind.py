"""Checks of chapter 11: scales, one step of binding, emergent retrieval and its chance, arithmetic, what can cross."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.draw import draw_int, draw_number
from embedcourse.checks.task import Misconception, Regime, Task

__all__ = ["TASKS"]


def with_lengths(g: Generator, z: Tensor, lengths: tuple[float, float]) -> Tensor:
    """The same directions, each row with a length of its own."""
    low, high = map(math.log, lengths)
    return F.normalize(z) * (low + (high - low) * torch.rand(len(z), 1, generator=g, dtype=z.dtype)).exp()


# ---------------------------------------------------------------------------------------- imagebind.scale

Scaled = Callable[[Tensor, str, dict[str, float], float], Tensor]
TEMPERATURES = {"audio": 0.05, "depth": 0.2, "thermal": 0.1, "imu": 0.2}


def draw_head(
    g: Generator,
    sense: str,
    n: int = 3,
    d: int = 4,
    log_scale: tuple[float, float] = (1.5, 4.0),
    lengths: tuple[float, float] = (0.3, 5.0),
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, str, dict[str, float], float]:
    """What the head of a sense makes of n inputs, the sense, the temperatures, the logarithm of the scale of text."""
    h = with_lengths(g, torch.randn(n, d, generator=g, dtype=dtype), lengths)
    return h, sense, dict(TEMPERATURES), draw_number(g, *log_scale)


def scaled_by_loop(h: Tensor, sense: str, temperatures: dict[str, float], log_text_scale: float) -> Tensor:
    """Row by row: over its length, times the scale."""
    return torch.stack([row / row.norm() * scale_of(sense, temperatures, log_text_scale) for row in h])


def scale_of(sense: str, temperatures: dict[str, float], log_text_scale: float, most: float = 100.0) -> float:
    """The number that a sense's unit vectors are multiplied by."""
    if sense == "image":
        return 1.0
    return min(math.exp(log_text_scale), most) if sense == "text" else 1 / temperatures[sense]


def with_scale(scale: Callable[[str, dict[str, float], float], float]) -> Scaled:
    """Unit vectors times another scale."""
    return lambda h, sense, temperatures, log_text_scale: F.normalize(h) * scale(sense, temperatures, log_text_scale)


SCALE = Task(
    id="imagebind.scale",
    title="How loud each sense speaks",
    function="scaled",
    minutes=8,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("pictures", lambda g: draw_head(g, "image")),
        Regime("texts", lambda g: draw_head(g, "text")),
        Regime("texts, scale at the cap", lambda g: draw_head(g, "text", log_scale=(5.0, 7.0))),
        Regime("texts, scale below one", lambda g: draw_head(g, "text", log_scale=(-2.0, -0.5))),
        Regime("sounds", lambda g: draw_head(g, "audio")),
        Regime("depth", lambda g: draw_head(g, "depth")),
        Regime("thermal", lambda g: draw_head(g, "thermal")),
        Regime("motion traces", lambda g: draw_head(g, "imu")),
        Regime("one sound", lambda g: draw_head(g, "audio", n=1)),
        Regime("as many as dimensions", lambda g: draw_head(g, "thermal", n=4)),
        Regime("very long and very short", lambda g: draw_head(g, "imu", lengths=(1e-3, 1e3))),
        Regime("double precision", lambda g: draw_head(g, "depth", dtype=torch.float64)),
        Regime("64 dimensions", lambda g: draw_head(g, "audio", n=8, d=64)),
    ),
    oracle=scaled_by_loop,
    gradients=(0,),
    misconceptions=(
        Misconception(
            "not normalised",
            lambda h, *rest: h * scale_of(*rest),
            "The rows keep the length that the head gave them, so one long sound is louder than all others. "
            "Bring each row to length 1 first, then scale.",
        ),
        Misconception(
            "scaled, then normalised",
            lambda h, *rest: F.normalize(h * scale_of(*rest)),
            "Normalising comes last here, and it takes the scale off again. Normalise first, scale afterwards.",
        ),
        Misconception(
            "temperature multiplied",
            with_scale(lambda s, t, log: t[s] if s in t else scale_of(s, t, log)),
            "The unit vectors are multiplied by the temperature. The loss divides by it: a low temperature makes a "
            "large scale. At temperature 0.05 the scale is 20.",
        ),
        Misconception(
            "logarithm as scale",
            with_scale(lambda s, t, log: log if s == "text" else scale_of(s, t, log)),
            "The texts are multiplied by the logarithm of their scale. What is learned is the logarithm, so that the "
            "scale stays positive: take exp of it.",
        ),
        Misconception(
            "no cap",
            with_scale(lambda s, t, log: scale_of(s, t, log, math.inf)),
            "The scale of the texts grows without bound. It is capped at 100, or training sharpens its softmax until "
            "it is unstable.",
        ),
        Misconception(
            "one scale for all",
            with_scale(lambda s, t, log: 1.0 if s == "image" else scale_of("text", t, log)),
            "All senses share the scale of the texts here. Each sense has its own, from its own temperature: "
            "1 / temperatures[sense].",
        ),
        Misconception(
            "pictures scaled",
            with_scale(lambda s, t, log: scale_of("text" if s == "image" else s, t, log)),
            "The pictures are scaled as well, so every pair with a picture has two scales. In each pair one side "
            "carries the scale, and the picture is the other side: its scale is 1.",
        ),
        Misconception(
            "normalised down the batch",
            lambda h, *rest: F.normalize(h, dim=0) * scale_of(*rest),
            "Each column was brought to length 1 instead of each row. A row is an embedding: F.normalize(h) takes the "
            "norm along dimension 1.",
        ),
    ),
    why="In every trained pair the picture has length 1 and the other sense has the length 1/T, so their product is "
    "the cosine over that sense's own temperature.",
)


# ----------------------------------------------------------------------------------------- imagebind.step

StepArguments = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float, float]
Step = Callable[..., tuple[Tensor, Tensor]]


def draw_step(
    g: Generator,
    n: int = 4,
    p: int = 5,
    q: int = 4,
    d: int = 3,
    temperature: float = 0.2,
    lr: float = 0.5,
    noise: float = 0.3,
    dtype: torch.dtype = torch.float32,
) -> StepArguments:
    """A linear hub and a linear encoder, n scenes seen and heard, their motion embedded, a temperature and a rate."""
    scenes = torch.randn(n, 3, generator=g, dtype=dtype)

    def sense(size: int) -> Tensor:
        own = noise * torch.randn(n, size, generator=g, dtype=dtype)
        return scenes @ torch.randn(3, size, generator=g, dtype=dtype) + own

    hub, encoder = torch.randn(p, d, generator=g, dtype=dtype), torch.randn(q, d, generator=g, dtype=dtype)
    return hub, encoder, sense(p), sense(q), F.normalize(sense(d)), temperature, lr


def shares(z_a: Tensor, z_b: Tensor, temperature: float) -> Tensor:
    """For each row of a, minus the logarithm of the share of its own row of b, by loop; the mean of these."""
    total = z_a.new_zeros(())
    for i in range(len(z_a)):
        logits = torch.stack([z_a[i] @ z_b[j] / (z_a[i].norm() * z_b[j].norm()) / temperature for j in range(len(z_b))])
        total = total - (logits[i] - logits.logsumexp(0))
    return total / len(z_a)


def step_by_loop(
    hub: Tensor, encoder: Tensor, pictures: Tensor, sounds: Tensor, z_motion: Tensor, temperature: float, lr: float
) -> tuple[Tensor, Tensor]:
    """Both directions pair by pair in float64; the encoder goes against its gradient, the hub stays."""
    weight = encoder.double().requires_grad_()
    z_picture, z_sound = pictures.double() @ hub.double(), sounds.double() @ weight
    loss = shares(z_picture, z_sound, temperature) + shares(z_sound, z_picture, temperature)
    (slope,) = torch.autograd.grad(loss, weight)
    return hub, (encoder - lr * slope).to(encoder.dtype)


def info_nce(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """One direction: each row of a looks for its own row of b."""
    return F.cross_entropy(a @ b.T / temperature, torch.arange(len(a)))


def both_ways(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """The sum of both directions, of unit vectors."""
    a, b = F.normalize(a), F.normalize(b)
    return info_nce(a, b, temperature) + info_nce(b, a, temperature)


def descend(loss: Callable[..., Tensor], moves: str = "encoder", sign: float = 1.0) -> Step:
    """A step on another loss, or of other weights. loss: of the embeddings of pictures, sounds, motion, and T."""

    def step(
        hub: Tensor, encoder: Tensor, pictures: Tensor, sounds: Tensor, z_motion: Tensor, temperature: float, lr: float
    ) -> tuple[Tensor, Tensor]:
        weights = hub.clone().requires_grad_(), encoder.clone().requires_grad_()
        value = loss(pictures @ weights[0], sounds @ weights[1], z_motion, temperature)
        slopes = torch.autograd.grad(value, weights, allow_unused=True)
        moved = [
            (weight if slope is None or moves not in (name, "both") else weight - sign * lr * slope).detach()
            for name, weight, slope in zip(("hub", "encoder"), weights, slopes, strict=True)
        ]
        return tuple(moved)

    return step


STEP = Task(
    id="imagebind.step",
    title="Bind a new sense to a frozen hub",
    function="bind_step",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("two scenes", lambda g: draw_step(g, 2, 3, 2, 2)),
        Regime("four scenes", draw_step),
        Regime("as many scenes as dimensions", lambda g: draw_step(g, 3, 3, 3, 3)),
        Regime("many scenes", lambda g: draw_step(g, 12, 6, 5, 8)),
        Regime("a low temperature", lambda g: draw_step(g, 4, temperature=0.05, dtype=torch.float64)),
        Regime("a temperature above one", lambda g: draw_step(g, 4, temperature=draw_number(g, 1.5, 4), lr=3.0)),
        Regime("a small step", lambda g: draw_step(g, 3, lr=0.05)),
        Regime("a large step", lambda g: draw_step(g, 3, lr=4.0)),
        Regime("sounds that hold no noise", lambda g: draw_step(g, 5, noise=0.0)),
        Regime("double precision", lambda g: draw_step(g, 4, dtype=torch.float64)),
        Regime("many dimensions", lambda g: draw_step(g, 6, 16, 12, 32)),
    ),
    oracle=step_by_loop,
    misconceptions=(
        Misconception(
            "hub not frozen",
            descend(lambda p, s, m, t: both_ways(p, s, t), moves="both"),
            "The hub moves too. Then the pictures leave the texts and all other senses behind that were bound to them. "
            "Move the encoder alone, and return the hub as it came.",
        ),
        Misconception(
            "hub moves to the sound",
            descend(lambda p, s, m, t: both_ways(p, s, t), moves="hub"),
            "The hub moves towards the sounds, and the encoder stays. It is the other way round: the hub is the fixed "
            "point that every new sense comes to.",
        ),
        Misconception(
            "two senses without the picture",
            descend(lambda p, s, m, t: both_ways(s, m, t)),
            "The sounds are bound to the motion traces. ImageBind pairs every sense with pictures and with nothing "
            "else. That sound and motion agree in the end is what emerges.",
        ),
        Misconception(
            "picture and motion",
            descend(lambda p, s, m, t: both_ways(s, p, t) + both_ways(s, m, t)),
            "The sounds are bound to the pictures and to the motion traces as well. Pairs of two senses other than the "
            "picture are never used: leave z_motion out.",
        ),
        Misconception(
            "one direction: picture to sound",
            descend(lambda p, s, m, t: info_nce(F.normalize(p), F.normalize(s), t)),
            "Only the pictures look for their sounds. The sounds look for their pictures too: add the cross-entropy of "
            "the transposed table.",
        ),
        Misconception(
            "one direction: sound to picture",
            descend(lambda p, s, m, t: info_nce(F.normalize(s), F.normalize(p), t)),
            "Only the sounds look for their pictures. The pictures look for their sounds too: add the cross-entropy of "
            "the transposed table.",
        ),
        Misconception(
            "mean of the directions",
            descend(lambda p, s, m, t: both_ways(p, s, t) / 2),
            "This takes the mean of the two directions, as CLIP does. ImageBind adds them up, so the step is twice as "
            "long.",
        ),
        Misconception(
            "temperature multiplied",
            descend(lambda p, s, m, t: both_ways(p, s, 1 / t)),
            "The cosines are multiplied by the temperature. Divide by it: a low temperature sharpens.",
        ),
        Misconception(
            "dot products",
            descend(lambda p, s, m, t: info_nce(p, s, t) + info_nce(s, p, t)),
            "These are dot products of vectors of any length. Bring the rows of both senses to length 1 before you "
            "multiply them.",
        ),
        Misconception(
            "nothing pushes apart",
            descend(lambda p, s, m, t: -2 * (F.normalize(p) * F.normalize(s)).sum(1).mean() / t),
            "Each sound is pulled to its picture and pushed away from none. All sounds could end in one place. "
            "The cross-entropy over the whole row does the pushing.",
        ),
        Misconception(
            "up the gradient",
            descend(lambda p, s, m, t: both_ways(p, s, t), sign=-1.0),
            "The encoder goes up the gradient, and the loss grows. Subtract lr times the gradient.",
        ),
    ),
    why="The hub stays where it is, so whatever was bound to it before stays bound. The sounds move to their pictures, "
    "and so to everything that the pictures are near.",
)


# ------------------------------------------------------------------------------------- imagebind.emergent

Retrieval = tuple[Tensor, Tensor, Tensor, Tensor]


def draw_labels(g: Generator, n: int, values: tuple[int, ...]) -> Tensor:
    """n scenes, a value of each factor; early values are more frequent."""
    columns = [(torch.rand(n, generator=g) ** 1.3 * k).long().clamp(max=k - 1) for k in values]
    return torch.stack(columns, dim=1)


def draw_retrieval(
    g: Generator,
    n: int = 30,
    m: int = 40,
    d: int = 12,
    values: tuple[int, ...] = (3, 4),
    noise: float = 0.6,
    lengths: tuple[float, float] = (0.2, 20.0),
    dtype: torch.dtype = torch.float32,
) -> Retrieval:
    """Queries of one sense and keys of another, of other scenes; each factor has a direction for each value."""
    query_labels, key_labels = draw_labels(g, n, values), draw_labels(g, m, values)
    directions = [torch.randn(k, d, generator=g, dtype=dtype) for k in values]

    def embed(labels: Tensor) -> Tensor:
        z = sum(table[column] for table, column in zip(directions, labels.T, strict=True))
        return with_lengths(g, z + noise * torch.randn(len(z), d, generator=g, dtype=dtype), lengths)

    return embed(query_labels), embed(key_labels), query_labels, key_labels


def draw_no_agreement(g: Generator) -> Retrieval:
    """No key shares the first factor with any query."""
    queries, keys, query_labels, key_labels = draw_retrieval(g)
    key_labels[:, 0] += 3
    return queries, keys, query_labels, key_labels


def agreement_by_loop(queries: Tensor, keys: Tensor, query_labels: Tensor, key_labels: Tensor) -> float:
    """Query by query and key by key: the largest cosine, and whether all factors are the same."""
    hits = 0
    for query, wanted in zip(queries.double(), query_labels.tolist(), strict=True):
        best, most = None, -2.0
        for key, found in zip(keys.double(), key_labels.tolist(), strict=True):
            cosine = float(query @ key / (query.norm() * key.norm()))
            if cosine > most:
                best, most = found, cosine
        hits += best == wanted
    return hits / len(queries)


def best_matches(queries: Tensor, keys: Tensor) -> Tensor:
    """The number of the key with the largest cosine, for each query."""
    return (F.normalize(queries) @ F.normalize(keys).T).argmax(1)


def share(hits: Tensor) -> float:
    """The share of True."""
    return hits.double().mean().item()


def judged(hit: Callable[[Tensor], Tensor], match: Callable[[Tensor, Tensor], Tensor] = best_matches) -> Callable:
    """Another idea of a hit, of which factors agree (n, f), or of a match."""
    return lambda queries, keys, query_labels, key_labels: share(hit(query_labels == key_labels[match(queries, keys)]))


def from_the_other_side(queries: Tensor, keys: Tensor, query_labels: Tensor, key_labels: Tensor) -> float:
    """The keys look for queries."""
    return agreement_by_loop(keys, queries, key_labels, query_labels)


def own_row(queries: Tensor, keys: Tensor, query_labels: Tensor, key_labels: Tensor) -> float:
    """A hit is the key of the same number."""
    return share(best_matches(queries, keys) == torch.arange(len(queries)))


EMERGENT = Task(
    id="imagebind.emergent",
    title="Retrieval between senses that never met",
    function="agreement",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("more keys than queries", draw_retrieval),
        Regime("more queries than keys", lambda g: draw_retrieval(g, 40, 25)),
        Regime("as many queries as keys", lambda g: draw_retrieval(g, 30, 30)),
        Regime("as many queries as dimensions", lambda g: draw_retrieval(g, 12, 40, 12)),
        Regime("two queries, three keys", lambda g: draw_retrieval(g, 2, 3, 3, values=(2, 2))),
        Regime("one query", lambda g: draw_retrieval(g, 1, 20)),
        Regime("one key", lambda g: draw_retrieval(g, 12, 1)),
        Regime("one factor", lambda g: draw_retrieval(g, values=(4,), noise=1.0)),
        Regime("three factors", lambda g: draw_retrieval(g, 40, 60, values=(2, 3, 4))),
        Regime("nothing agrees", draw_no_agreement),
        Regime("vectors of length one", lambda g: draw_retrieval(g, lengths=(1.0, 1.0))),
        Regime("double precision", lambda g: draw_retrieval(g, dtype=torch.float64)),
        Regime("64 dimensions", lambda g: draw_retrieval(g, 20, 24, 64, noise=1.5)),
    ),
    oracle=agreement_by_loop,
    misconceptions=(
        Misconception(
            "dot product",
            judged(lambda same: same.all(1), lambda q, k: (q @ k.T).argmax(1)),
            "The best match is taken by dot product, and the longest key wins. Embeddings of ImageBind are scaled, "
            "each sense by its own number, so bring the rows to length 1 first.",
        ),
        Misconception(
            "any factor",
            judged(lambda same: same.any(1)),
            "A match counts here when a single factor agrees. It must agree in all of them: all(1), not any(1).",
        ),
        Misconception(
            "mean over factors",
            judged(lambda same: same),
            "This averages over factors as well as over queries, so half a hit counts half. A query is a hit when all "
            "factors of its best match are right.",
        ),
        Misconception(
            "first factor only",
            judged(lambda same: same[:, 0]),
            "Only the first factor is compared. All shared factors must agree.",
        ),
        Misconception(
            "own row",
            own_row,
            "This asks whether query i finds key i. Queries and keys are of other scenes here, so there is no own key: "
            "compare the labels of the query with those of the key that it found.",
        ),
        Misconception(
            "keys ask",
            from_the_other_side,
            "Here the keys look for queries. Take the best key of each query: argmax along the keys, dimension 1.",
        ),
        Misconception(
            "worst match",
            judged(lambda same: same.all(1), lambda q, k: (F.normalize(q) @ F.normalize(k).T).argmin(1)),
            "This takes the key with the smallest cosine, which points away from the query. "
            "A cosine is large for what is near: argmax.",
        ),
        Misconception(
            "normalised down the batch",
            judged(lambda same: same.all(1), lambda q, k: (F.normalize(q, dim=0) @ F.normalize(k, dim=0).T).argmax(1)),
            "Each column was brought to length 1 instead of each row. A row is an embedding: F.normalize(queries).",
        ),
    ),
    why="The cosine ignores each sense's scale, and a match counts only when every shared factor is right. "
    "Keys of other scenes cannot give the pair away by its exact position.",
)


# --------------------------------------------------------------------------------------- imagebind.chance

Chance = Callable[[Tensor, Tensor], float]


def draw_two_galleries(
    g: Generator, n: int = 6, m: int = 8, values: tuple[int, ...] = (2, 3), tied: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Labels of queries and of keys. tied: how often the second factor follows the first.

    The first query finds its like among the keys, and another scene as well.
    """
    both = draw_labels(g, n, values), draw_labels(g, m, values)
    for labels in both:
        if tied and len(values) > 1:
            follows = torch.rand(len(labels), generator=g) < tied
            labels[follows, 1] = labels[follows, 0].clamp(max=values[1] - 1)
    both[1][0] = both[0][0]
    if m > 1:
        both[1][1] = (both[0][0] + 1) % torch.tensor(values)
    return both


def draw_strangers(g: Generator) -> tuple[Tensor, Tensor]:
    """No key is like any query."""
    query_labels, key_labels = draw_two_galleries(g)
    return query_labels, key_labels + 5


def chance_by_loop(query_labels: Tensor, key_labels: Tensor) -> float:
    """All pairs, one by one: the share of those that agree in every factor."""
    hits = 0
    for wanted in query_labels.tolist():
        for found in key_labels.tolist():
            hits += all(a == b for a, b in zip(wanted, found, strict=True))
    return hits / (len(query_labels) * len(key_labels))


def agreeing(query_labels: Tensor, key_labels: Tensor) -> Tensor:
    """For each pair and each factor whether they agree, (n, m, f)."""
    return query_labels[:, None] == key_labels


def one_over_all_combinations(query_labels: Tensor, key_labels: Tensor) -> float:
    """1 over the product of the numbers of values."""
    return 1 / math.prod(len(column.unique()) for column in torch.cat([query_labels, key_labels]).T)


CHANCE = Task(
    id="imagebind.chance",
    title="What a blind match would score",
    function="chance",
    minutes=8,
    difficulty="medium",
    points=2,
    regimes=(
        Regime("two factors", draw_two_galleries),
        Regime("more queries than keys", lambda g: draw_two_galleries(g, 9, 4)),
        Regime("as many queries as keys", lambda g: draw_two_galleries(g, 6, 6)),
        Regime("as many as factors", lambda g: draw_two_galleries(g, 3, 3, (2, 2, 2))),
        Regime("one factor", lambda g: draw_two_galleries(g, values=(3,))),
        Regime("three factors", lambda g: draw_two_galleries(g, 12, 15, (2, 3, 2))),
        Regime("factors that go together", lambda g: draw_two_galleries(g, 12, 14, (3, 3), tied=0.9)),
        Regime("one query", lambda g: draw_two_galleries(g, 1, 7)),
        Regime("one key", lambda g: draw_two_galleries(g, 5, 1)),
        Regime("no key is like any query", draw_strangers),
        Regime("many scenes", lambda g: draw_two_galleries(g, 80, 120, (3, 4))),
    ),
    oracle=chance_by_loop,
    misconceptions=(
        Misconception(
            "one over the keys",
            lambda query_labels, key_labels: 1 / len(key_labels),
            "This is the chance to hit one certain key. Many keys agree with a query in the shared factors, and each "
            "of them is a hit.",
        ),
        Misconception(
            "one over the combinations",
            one_over_all_combinations,
            "This is one over the number of combinations, which is right only where all occur equally often. "
            "Count the pairs that agree instead.",
        ),
        Misconception(
            "product of the factors' chances",
            lambda query_labels, key_labels: agreeing(query_labels, key_labels).double().mean((0, 1)).prod().item(),
            "The chances of the single factors are multiplied, as if the factors had nothing to do with each other. "
            "Ask of each pair whether all factors agree, then average.",
        ),
        Misconception(
            "any factor",
            lambda query_labels, key_labels: share(agreeing(query_labels, key_labels).any(2)),
            "A pair counts here when a single factor agrees. For a hit all of them must.",
        ),
        Misconception(
            "mean over factors",
            lambda query_labels, key_labels: share(agreeing(query_labels, key_labels)),
            "This averages over the factors too. First ask whether all factors of a pair agree, then average over "
            "the pairs.",
        ),
        Misconception(
            "some key agrees",
            lambda query_labels, key_labels: share(agreeing(query_labels, key_labels).all(2).any(1)),
            "This is the share of queries that have a hit somewhere among the keys: the best that any search could do. "
            "A blind match takes one key at random.",
        ),
        Misconception(
            "row by row",
            lambda query_labels, key_labels: share(
                (query_labels[: len(key_labels)] == key_labels[: len(query_labels)]).all(1)
            ),
            "Query i is compared with key i only. A blind match may take any key, so average over all pairs.",
        ),
        Misconception(
            "keys among themselves",
            lambda query_labels, key_labels: share(agreeing(key_labels, key_labels).all(2)),
            "The keys are compared with themselves, and every key agrees with itself. Compare queries with keys.",
        ),
    ),
    why="A blind match takes a key at random, so its score is the share of all pairs that agree in every factor. "
    "What a retrieval scores means something only beside this number.",
)


# ----------------------------------------------------------------------------------- imagebind.arithmetic

Sum = Callable[[Tensor, Tensor, Tensor], Tensor]


def draw_sum(
    g: Generator,
    n: int = 3,
    m: int = 4,
    d: int = 5,
    loud: float = 20.0,
    lengths: tuple[float, float] = (0.8, 1.3),
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, sounds that are so much longer, and a gallery of pictures; each row has a length of its own."""
    pictures, sounds, gallery = (torch.randn(k, d, generator=g, dtype=dtype) for k in (n, n, m))
    return (
        with_lengths(g, pictures, lengths),
        loud * with_lengths(g, sounds, lengths),
        with_lengths(g, gallery, (lengths[0], 3 * lengths[1])),
    )


def draw_right_angles(g: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures and sounds along unlike axes, and the axes as gallery."""
    axes = torch.eye(4)[torch.randperm(4, generator=g)]
    return axes[:3], 20 * axes[1:], 2 * torch.eye(4)


def sum_by_loop(picture: Tensor, sound: Tensor, gallery: Tensor) -> Tensor:
    """Row by row: both over their lengths, their sum, and its cosine with each of the gallery."""
    rows = []
    for a, b in zip(picture.double(), sound.double(), strict=True):
        both = a / a.norm() + b / b.norm()
        rows.append(torch.stack([both @ key / (both.norm() * key.norm()) for key in gallery.double()]))
    return torch.stack(rows).to(picture.dtype)


def cosines_of(combine: Callable[[Tensor, Tensor], Tensor]) -> Sum:
    """Cosines of the gallery with another combination."""
    return lambda picture, sound, gallery: F.normalize(combine(picture, sound)) @ F.normalize(gallery).T


ARITHMETIC = Task(
    id="imagebind.arithmetic",
    title="Picture plus sound",
    function="picture_plus_sound",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("three pictures and sounds", draw_sum),
        Regime("one picture and sound", lambda g: draw_sum(g, 1)),
        Regime("as many as the gallery has", lambda g: draw_sum(g, 4, 4)),
        Regime("as many as dimensions", lambda g: draw_sum(g, 5, 5, 5)),
        Regime("a gallery of one", lambda g: draw_sum(g, 3, 1)),
        Regime("at right angles", draw_right_angles),
        Regime("equally loud", lambda g: draw_sum(g, loud=1.0)),
        Regime("vectors of length one", lambda g: draw_sum(g, loud=1.0, lengths=(1.0, 1.0))),
        Regime("a faint sound", lambda g: draw_sum(g, loud=0.05)),
        Regime("very long and very short", lambda g: draw_sum(g, lengths=(1e-2, 1e2), dtype=torch.float64)),
        Regime("double precision", lambda g: draw_sum(g, dtype=torch.float64)),
        Regime("64 dimensions", lambda g: draw_sum(g, 8, 20, 64)),
    ),
    oracle=sum_by_loop,
    misconceptions=(
        Misconception(
            "sum without normalising",
            cosines_of(lambda picture, sound: picture + sound),
            "The scaled embeddings are added as they are. A sound is twenty times as long as a picture, so the sum is "
            "the sound and next to nothing of the picture. Bring both to length 1 before you add.",
        ),
        Misconception(
            "difference",
            cosines_of(lambda picture, sound: F.normalize(picture) - F.normalize(sound)),
            "This is picture minus sound: what is in the picture and not in the sound. To have both, add.",
        ),
        Misconception(
            "product",
            cosines_of(lambda picture, sound: F.normalize(picture) * F.normalize(sound)),
            "The numbers are multiplied place by place. Directions are added: a sum of two arrows lies between them.",
        ),
        Misconception(
            "sum not normalised",
            lambda picture, sound, gallery: (F.normalize(picture) + F.normalize(sound)) @ F.normalize(gallery).T,
            "The sum itself is not brought to length 1, so these are no cosines: they can exceed 1. "
            "Normalise once more after adding.",
        ),
        Misconception(
            "mean of two cosines",
            lambda picture, sound, gallery: (F.normalize(picture) + F.normalize(sound)) @ F.normalize(gallery).T / 2,
            "This is the mean of the cosine with the picture and the cosine with the sound. The sum of two unit "
            "vectors is shorter than 2 unless they are equal: normalise the sum instead of halving it.",
        ),
        Misconception(
            "gallery not normalised",
            lambda picture, sound, gallery: F.normalize(F.normalize(picture) + F.normalize(sound)) @ gallery.T,
            "The rows of the gallery keep their lengths, and the longest wins. Bring them to length 1 too.",
        ),
        Misconception(
            "picture alone",
            cosines_of(lambda picture, sound: picture),
            "The sound plays no part here. Add it to the picture.",
        ),
        Misconception(
            "larger of the two",
            lambda picture, sound, gallery: torch.maximum(
                *(F.normalize(z) @ F.normalize(gallery).T for z in (picture, sound))
            ),
            "This takes the larger of the two cosines, so being like the picture or like the sound is enough. "
            "What is near to the sum is like both.",
        ),
        Misconception(
            "normalised down the batch",
            lambda picture, sound, gallery: cosines_of(lambda a, b: F.normalize(a, dim=0) + F.normalize(b, dim=0))(
                picture, sound, gallery
            ),
            "Each column was brought to length 1 instead of each row. A row is an embedding: F.normalize(picture).",
        ),
    ),
    why="Unit vectors weigh equally in a sum, whatever scale each sense was trained with, and what lies near the sum "
    "is like both.",
)


# -------------------------------------------------------------------------------------- imagebind.explain

Table = tuple[dict[str, list[str]], str, str, str, list[str]]
Verdict = Callable[[bool, bool, bool], str]
WORLD = {
    "image": ["shape", "colour", "size", "material", "motion"],
    "depth": ["shape", "size"],
    "thermal": ["temperature", "size", "shape"],
    "audio": ["material", "size", "motion"],
    "imu": ["motion", "size", "shape"],
    "text": ["shape", "colour", "size", "material", "temperature", "motion"],
}
ALL = WORLD["text"]


def draw_pair_of(g: Generator, blind: str | None = None) -> Table:
    """Two senses of the world, with a picture that may be blind to a factor."""
    others = [sense for sense in WORLD if sense != "image"]
    a, b = (others[i] for i in torch.randperm(len(others), generator=g)[:2])
    knows = {sense: [f for f in factors if (sense, f) != ("image", blind)] for sense, factors in WORLD.items()}
    return knows, "image", a, b, list(ALL)


def draw_table(g: Generator, factors: int = 8, to_the_hub: bool = False) -> Table:
    """A hub and two senses; each of the eight ways in which three can know a factor occurs once, in mixed order."""
    ways = torch.randperm(8, generator=g)[:factors].tolist()
    names = [f"f{i + 1}" for i in range(factors)]
    senses = ["hub", "a", "b"]
    knows = {
        sense: [name for name, way in zip(names, ways, strict=True) if way >> i & 1] for i, sense in enumerate(senses)
    }
    return knows, "hub", "a", "hub" if to_the_hub else "b", names


def draw_three_ways(g: Generator) -> Table:
    """Three factors: one that crosses, one that the hub stops, and one that only one of the two knows."""
    names = [("colour", "motion", "size")[i] for i in torch.randperm(3, generator=g)]
    knows = {"eye": [names[0]], "ear": [names[0], names[1]], "hand": [names[0], names[1]]}
    knows["ear" if draw_int(g, 0, 1) else "hand"].append(names[2])
    return knows, "eye", "ear", "hand", sorted(names)


def explain_by_sets(knows: dict[str, list[str]], hub: str, a: str, b: str, factors: list[str]) -> dict[str, str]:
    """By sets: what both know, and of that what the hub knows."""
    shared = set(knows[a]) & set(knows[b])
    crossing = shared & set(knows[hub])
    stopped = shared - crossing
    return {f: "crosses" if f in crossing else "stopped by the hub" if f in stopped else "not shared" for f in factors}


def explain_by(verdict: Verdict) -> Callable[..., dict[str, str]]:
    """A verdict of whether a, b and the hub know a factor."""
    return lambda knows, hub, a, b, factors: {
        f: verdict(f in knows[a], f in knows[b], f in knows[hub]) for f in factors
    }


def said(crosses: bool, shared: bool) -> str:
    """The words of a verdict."""
    return "crosses" if crosses else "stopped by the hub" if shared else "not shared"


EXPLAIN = Task(
    id="imagebind.explain",
    title="Which factors cross?",
    function="explain",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("three factors", draw_three_ways),
        Regime("two senses of the world", draw_pair_of),
        Regime("a picture blind to motion", lambda g: draw_pair_of(g, "motion")),
        Regime("a picture blind to size", lambda g: draw_pair_of(g, "size")),
        Regime("every way to know", draw_table),
        Regime("four factors", lambda g: draw_table(g, 4)),
        Regime("one factor", lambda g: draw_table(g, 1)),
        Regime("from a sense to the hub itself", lambda g: draw_table(g, to_the_hub=True)),
        Regime("no factor", lambda g: ({"hub": [], "a": [], "b": []}, "hub", "a", "b", [])),
    ),
    oracle=explain_by_sets,
    misconceptions=(
        Misconception(
            "hub ignored",
            explain_by(lambda a, b, hub: said(a and b, False)),
            "Whatever both senses know is said to cross. They never met: what one knows reaches the other only through "
            "the hub, and the hub must see it too.",
        ),
        Misconception(
            "one of the two is enough",
            explain_by(lambda a, b, hub: said((a or b) and hub, a or b)),
            "A factor crosses here when one of the two senses knows it. A sound cannot be matched by colour, however "
            "well the other side knows it: both ends must know.",
        ),
        Misconception(
            "hub alone decides",
            explain_by(lambda a, b, hub: said(hub, True)),
            "Only the hub is asked. The hub sees colour, and no sound ever holds one: ask both ends as well.",
        ),
        Misconception(
            "hub blamed first",
            explain_by(lambda a, b, hub: said(a and b and hub, not hub)),
            "The hub is blamed for factors that the two senses do not share. No hub could carry those: they are not "
            "shared. Ask both ends first.",
        ),
        Misconception(
            "second sense forgotten",
            explain_by(lambda a, b, hub: said(a and hub, a)),
            "Only the first sense and the hub are asked. The second must know the factor as well.",
        ),
        Misconception(
            "first sense forgotten",
            explain_by(lambda a, b, hub: said(b and hub, b)),
            "Only the second sense and the hub are asked. The first must know the factor as well.",
        ),
        Misconception(
            "reasons swapped",
            explain_by(lambda a, b, hub: said(a and b and hub, not (a and b))),
            "What crosses is right, the two reasons are swapped. Where both know a factor and the hub does not, the "
            "hub stops it. Where one of the two lacks it, it is not shared.",
        ),
    ),
    why="The only way from one sense to another leads through the hub, so a factor crosses when all three know it. "
    "This predicts what emerges before anything is trained.",
)


TASKS = (SCALE, STEP, EMERGENT, CHANCE, ARITHMETIC, EXPLAIN)
