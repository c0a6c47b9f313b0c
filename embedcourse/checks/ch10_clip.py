"""Checks of chapter 10: logits, the loss in both directions, classes made of words, retrieval, the gap, and luck."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.compare import Close
from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import Misconception, Regime, Task

__all__ = ["TASKS"]


def of_length(g: Generator, z: Tensor, lengths: tuple[float, float]) -> Tensor:
    """The same directions, each row with a length of its own."""
    low, high = map(math.log, lengths)
    spread = (low + (high - low) * torch.rand(len(z), 1, generator=g, dtype=torch.float64)).exp()
    return F.normalize(z.flatten(1)).reshape(z.shape) * spread.reshape(-1, *[1] * (z.ndim - 1))


# -------------------------------------------------------------------------------------------- clip.logits

Pair = tuple[Tensor, Tensor, Tensor]


def draw_batch(
    g: Generator,
    n: int,
    d: int,
    scale: float = 5.0,
    *,
    captions: int | None = None,
    near: float = 1.0,
    lengths: tuple[float, float] = (0.5, 3.0),
    dtype: torch.dtype = torch.float32,
) -> Pair:
    """Features of n pictures and of their captions (or of more captions), and the logarithm of the scale."""
    m = n if captions is None else captions
    images = torch.randn(max(n, m), d, generator=g, dtype=torch.float64)
    texts = images + near * torch.randn(max(n, m), d, generator=g, dtype=torch.float64)
    images, texts = of_length(g, images[:n], lengths), of_length(g, texts[:m], lengths)
    return images.to(dtype), texts.to(dtype), torch.tensor(math.log(scale), dtype=dtype)


def cosines(x: Tensor, y: Tensor) -> Tensor:
    """Every row with every row."""
    return F.normalize(x) @ F.normalize(y).T


def logits_by_loop(image_features: Tensor, text_features: Tensor, log_scale: Tensor) -> Tensor:
    """Pair by pair: product, lengths, scale."""
    scale = log_scale.double().exp()
    rows = [[scale * (x @ y) / (x.norm() * y.norm()) for y in text_features.double()] for x in image_features.double()]
    return torch.stack([torch.stack(row) for row in rows]).to(image_features.dtype)


LOGITS = Task(
    id="clip.logits",
    title="The table of pictures against captions",
    function="clip_logits",
    minutes=10,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("two pictures", lambda g: draw_batch(g, 2, 3)),
        Regime("one picture and one caption", lambda g: draw_batch(g, 1, 3)),
        Regime("as many pictures as dimensions", lambda g: draw_batch(g, 4, 4)),
        Regime("more captions than pictures", lambda g: draw_batch(g, 3, 4, captions=5)),
        Regime("more pictures than captions", lambda g: draw_batch(g, 4, 3, captions=2)),
        Regime("a scale of one", lambda g: draw_batch(g, 3, 4, 1.0)),
        Regime("a scale below one", lambda g: draw_batch(g, 3, 4, 0.2)),
        Regime("a scale of one hundred", lambda g: draw_batch(g, 3, 4, 100.0)),
        Regime("a scale above one hundred", lambda g: draw_batch(g, 3, 4, 250.0)),
        Regime("vectors of length one", lambda g: draw_batch(g, 3, 4, lengths=(1.0, 1.0))),
        Regime("very long and very short", lambda g: draw_batch(g, 3, 4, lengths=(1e-2, 1e2))),
        Regime("double precision", lambda g: draw_batch(g, 3, 4, dtype=torch.float64)),
        Regime("128 dimensions", lambda g: draw_batch(g, 3, 128, 14.0)),
    ),
    oracle=logits_by_loop,
    compare=Close(atol=2e-5),  # a number near zero is the rest of large ones, in float32
    gradients=(0, 1, 2),
    misconceptions=(
        Misconception(
            "log-scale for the scale",
            lambda x, y, log_scale: log_scale * cosines(x, y),
            "The logarithm of the scale is used as the scale. The model holds the logarithm so that it can learn "
            "freely; what multiplies the cosines is its exponential, log_scale.exp().",
        ),
        Misconception(
            "divided by the scale",
            lambda x, y, log_scale: cosines(x, y) / log_scale.exp(),
            "The cosines are divided by the scale. Dividing is for a temperature. The scale is one over the "
            "temperature, so it multiplies: a large scale makes differences large.",
        ),
        Misconception(
            "exponential of the logits",
            lambda x, y, log_scale: (log_scale.exp() * cosines(x, y)).exp(),
            "The exponential is taken of the whole logit. Only the scale is stored as a logarithm; the exponential of "
            "the logits is the softmax's affair, later on.",
        ),
        Misconception(
            "cut at one hundred",
            lambda x, y, log_scale: log_scale.exp().clamp(max=100) * cosines(x, y),
            "The scale is cut at 100 on the way. Beyond the cut the gradient of the scale is zero, and it can never "
            "come back. Put the parameter back into its range after a step; here, use it as it is.",
        ),
        Misconception(
            "scale cut off from the gradient",
            lambda x, y, log_scale: log_scale.detach().exp() * cosines(x, y),
            "The scale is turned into a plain number (item, float, detach), so it gets no gradient. CLIP learns its "
            "scale: keep the tensor, log_scale.exp().",
        ),
        Misconception(
            "not normalised",
            lambda x, y, log_scale: log_scale.exp() * x @ y.T,
            "These are dot products, which a long vector wins by its length. Bring every picture and every caption to "
            "length 1 first.",
        ),
        Misconception(
            "only pictures normalised",
            lambda x, y, log_scale: log_scale.exp() * F.normalize(x) @ y.T,
            "Pictures have length 1, captions do not, so a long caption is nearer to everything. Normalise both.",
        ),
        Misconception(
            "only captions normalised",
            lambda x, y, log_scale: log_scale.exp() * x @ F.normalize(y).T,
            "Captions have length 1, pictures do not. Then the length of a picture works as a scale of its own. "
            "Normalise both.",
        ),
        Misconception(
            "normalised down the batch",
            lambda x, y, log_scale: log_scale.exp() * F.normalize(x, dim=0) @ F.normalize(y, dim=0).T,
            "Each column was brought to length 1 instead of each row. A row is an embedding: take the norm over the "
            "last dimension.",
        ),
        Misconception(
            "captions in the rows",
            lambda x, y, log_scale: log_scale.exp() * cosines(y, x),
            "Row and column are swapped: this table has a row a caption. The task wants a row a picture and a column "
            "a caption.",
        ),
    ),
    why="Rows of length 1 make products cosines, and the exponential of a free parameter is a scale that can be "
    "learned and never turns negative.",
)


# ---------------------------------------------------------------------------------------------- clip.loss


def draw_all_equal(g: Generator) -> Pair:
    """All pictures and captions are one vector: the loss of a model that has learned nothing."""
    z = torch.randn(1, 4, generator=g).expand(5, -1)
    return z.clone(), 2 * z, torch.tensor(math.log(14.0))


def draw_one_sided(g: Generator) -> Pair:
    """One caption suits every picture, so that the two directions have unlike losses."""
    images, texts, log_scale = draw_batch(g, 4, 6)
    texts[draw_int(g, 0, 3)] = images.mean(0) * 3
    return images, texts, log_scale


def draw_crossed(g: Generator) -> Pair:
    """Each picture is given its neighbour's caption."""
    images, texts, log_scale = draw_batch(g, 4, 5, near=0.3)
    return images, texts.roll(1, 0), log_scale


def loss_by_loop(image_features: Tensor, text_features: Tensor, log_scale: Tensor) -> Tensor:
    """Row by row and column by column: the exponential of the right one over the sum of all, minus its logarithm."""
    s = logits_by_loop(image_features.double(), text_features.double(), log_scale.double())
    total, n = s.new_zeros(()), len(s)
    for i in range(n):
        for line in (s[i], s[:, i]):
            largest = line.max().detach()
            total = total - (line[i] - largest - (line - largest).exp().sum().log())
    return (total / (2 * n)).to(image_features.dtype)


def logits(x: Tensor, y: Tensor, log_scale: Tensor) -> Tensor:
    """The right logits, quickly."""
    return log_scale.exp() * cosines(x, y)


def own(s: Tensor) -> Tensor:
    """The column that belongs to each row."""
    return torch.arange(len(s))


def both_ways(s: Tensor, **options: str) -> Tensor:
    """The mean of both directions' cross-entropies."""
    return (F.cross_entropy(s, own(s), **options) + F.cross_entropy(s.T, own(s), **options)) / 2


def over_the_whole_table(x: Tensor, y: Tensor, log_scale: Tensor) -> Tensor:
    """One softmax over all pairs of the batch."""
    s = logits(x, y, log_scale)
    return (s.logsumexp((0, 1)) - s.diagonal()).mean()


def with_labels_of_ones(x: Tensor, y: Tensor, log_scale: Tensor) -> Tensor:
    """Everybody belongs to number one."""
    s = logits(x, y, log_scale)
    ones = torch.ones(len(s), dtype=torch.long)
    return (F.cross_entropy(s, ones) + F.cross_entropy(s.T, ones)) / 2


def softmax_twice(x: Tensor, y: Tensor, log_scale: Tensor) -> Tensor:
    """Probabilities handed to a loss that takes logits."""
    s = logits(x, y, log_scale)
    return (F.cross_entropy(s.softmax(1), own(s)) + F.cross_entropy(s.T.softmax(1), own(s))) / 2


def quotient(x: Tensor, y: Tensor, log_scale: Tensor) -> Tensor:
    """Exponential over sum, which is infinity over infinity at a scale of one hundred."""
    e = logits(x, y, log_scale).exp()
    return -((e.diagonal() / e.sum(1)).log().mean() + (e.diagonal() / e.sum(0)).log().mean()) / 2


def pair_left_out(x: Tensor, y: Tensor, log_scale: Tensor) -> Tensor:
    """The sums hold the strangers alone."""
    s = logits(x, y, log_scale)
    others = s.masked_fill(torch.eye(len(s), dtype=torch.bool), -math.inf)
    return ((others.logsumexp(1) + others.logsumexp(0)) / 2 - s.diagonal()).mean()


def everybody_with_everybody(x: Tensor, y: Tensor, log_scale: Tensor) -> Tensor:
    """Pictures against pictures too, as SimCLR does with its views."""
    z = F.normalize(torch.cat([x, y]))
    s = log_scale.exp() * z @ z.T
    s = s.masked_fill(torch.eye(len(s), dtype=torch.bool), -math.inf)
    return F.cross_entropy(s, own(s).roll(len(x)))


LOSS = Task(
    id="clip.loss",
    title="The loss, in both directions",
    function="clip_loss",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("two pairs", lambda g: draw_batch(g, 2, 3)),
        Regime("four pairs", lambda g: draw_batch(g, 4, 5)),
        Regime("as many pairs as dimensions", lambda g: draw_batch(g, 4, 4)),
        Regime("nothing is told apart", draw_all_equal),
        Regime("one caption suits all", draw_one_sided),
        Regime("the captions are mixed up", draw_crossed),
        Regime("lengths that differ", lambda g: draw_batch(g, 3, 4, lengths=(0.2, 8.0))),
        Regime("vectors of length one", lambda g: draw_batch(g, 3, 4, lengths=(1.0, 1.0))),
        Regime("a scale of one", lambda g: draw_batch(g, 3, 4, 1.0)),
        Regime("a scale of one hundred", lambda g: draw_batch(g, 3, 8, 100.0, near=0.1)),
        Regime("double precision", lambda g: draw_batch(g, 3, 4, dtype=torch.float64)),
        Regime("eight pairs", lambda g: draw_batch(g, 8, 32, 14.0)),
    ),
    oracle=loss_by_loop,
    gradients=(0, 1, 2),
    misconceptions=(
        Misconception(
            "pictures to captions only",
            lambda x, y, log_scale: (lambda s: F.cross_entropy(s, own(s)))(logits(x, y, log_scale)),
            "Only pictures look for their captions here, row by row. Captions look for their pictures too: "
            "the same on the columns, s.T, and the mean of both.",
        ),
        Misconception(
            "captions to pictures only",
            lambda x, y, log_scale: (lambda s: F.cross_entropy(s.T, own(s)))(logits(x, y, log_scale)),
            "Only captions look for their pictures here, column by column. Pictures look for their captions too: "
            "take the mean of both.",
        ),
        Misconception(
            "sum of both directions",
            lambda x, y, log_scale: 2 * both_ways(logits(x, y, log_scale)),
            "This is the sum of the two directions. CLIP takes their mean, so that a model that knows nothing has the "
            "loss log n.",
        ),
        Misconception(
            "softmax over the whole table",
            over_the_whole_table,
            "One softmax runs over all pairs of the batch. Each picture chooses among captions, a softmax a row; each "
            "caption chooses among pictures, a softmax a column.",
        ),
        Misconception(
            "labels of ones",
            with_labels_of_ones,
            "The labels are ones, so every picture is said to belong to caption number 1. A label is not a yes, it is "
            "a column: picture i belongs to caption i, torch.arange(n).",
        ),
        Misconception(
            "every pair for itself",
            lambda x, y, log_scale: (lambda s: F.binary_cross_entropy_with_logits(s, torch.eye(len(s)).to(s)))(
                logits(x, y, log_scale)
            ),
            "Each pair is judged for itself by a sigmoid. (SigLIP does so, with a bias beside the scale.) In CLIP the "
            "captions compete: a softmax over each row and each column.",
        ),
        Misconception(
            "softmax twice",
            softmax_twice,
            "The logits went through a softmax before cross_entropy, which does a softmax itself. "
            "Hand the logits over as they are.",
        ),
        Misconception(
            "sum instead of mean",
            lambda x, y, log_scale: both_ways(logits(x, y, log_scale), reduction="sum"),
            "This is the sum over the pairs, which grows with the batch. Take the mean.",
        ),
        Misconception(
            "log-scale for the scale",
            lambda x, y, log_scale: both_ways(log_scale * cosines(x, y)),
            "The logarithm of the scale is used as the scale. Take its exponential first: your clip_logits does.",
        ),
        Misconception(
            "divided by the scale",
            lambda x, y, log_scale: both_ways(cosines(x, y) / log_scale.exp()),
            "The cosines are divided by the scale. The scale is one over the temperature, so it multiplies.",
        ),
        Misconception(
            "not normalised",
            lambda x, y, log_scale: both_ways(log_scale.exp() * x @ y.T),
            "These are dot products of vectors of any length, so the model could lower the loss by making its "
            "embeddings longer. Bring each row to length 1.",
        ),
        Misconception(
            "pair left out of the sum",
            pair_left_out,
            "The sum runs over the strangers alone, so the loss can fall below zero. The right caption is one of "
            "those to choose from: it is in the sum too.",
        ),
        Misconception(
            "pictures against pictures",
            everybody_with_everybody,
            "This is SimCLR's loss: pictures meet pictures, and captions meet captions. In CLIP a picture meets "
            "captions only, and a caption meets pictures only.",
        ),
        Misconception(
            "infinity over infinity",
            quotient,
            "At a scale of 100 the exponential of a logit overflows, and infinity over infinity is NaN. "
            "Let cross_entropy do it: it subtracts the largest number first.",
        ),
    ),
    why="Each picture is asked which caption is its own, and each caption which picture: two cross-entropies over one "
    "table, and their mean.",
)


# ----------------------------------------------------------------------------------------- clip.zero_shot

Quiz = tuple[Tensor, Tensor, float]


def draw_quiz(
    g: Generator,
    n: int,
    classes: int,
    templates: int,
    d: int,
    scale: float = 10.0,
    *,
    spread: float = 1.0,
    lengths: tuple[float, float] = (0.5, 3.0),
    dtype: torch.dtype = torch.float32,
) -> Quiz:
    """Pictures around their class, and for each class prompts that differ by their template."""
    centres = torch.randn(classes, d, generator=g, dtype=torch.float64)
    images = centres[torch.randint(classes, (n,), generator=g)]
    images = images + 0.7 * torch.randn(n, d, generator=g, dtype=torch.float64)
    prompts = centres[:, None] + spread * torch.randn(classes, templates, d, generator=g, dtype=torch.float64)
    prompts = of_length(g, prompts.reshape(-1, d), lengths).reshape(prompts.shape)
    return of_length(g, images, lengths).to(dtype), prompts.to(dtype), scale


def draw_one_unsure_class(g: Generator) -> Quiz:
    """The prompts of one class point every way, so that their mean is short."""
    images, prompts, scale = draw_quiz(g, 4, 3, 4, 6, spread=0.2)
    prompts[draw_int(g, 0, 2)] += 4 * torch.randn(4, 6, generator=g)
    return images, prompts, scale


def zero_shot_by_loop(image_features: Tensor, prompt_features: Tensor, scale: float) -> Tensor:
    """Class by class: unit prompts, their mean, length 1 again; picture by picture: cosines, exponentials, shares."""
    classes = []
    for prompts in prompt_features.double():
        mean = sum(prompt / prompt.norm() for prompt in prompts) / len(prompts)
        classes.append(mean / mean.norm())
    rows = []
    for image in image_features.double():
        exponentials = [math.exp(scale * float(image @ c / image.norm()) - scale) for c in classes]
        rows.append([e / sum(exponentials) for e in exponentials])
    return torch.tensor(rows, dtype=torch.float64).to(image_features.dtype)


def shares(x: Tensor, classes: Tensor, scale: float) -> Tensor:
    """Probabilities of classes that are given as vectors, whatever their length."""
    return (scale * F.normalize(x) @ classes.T).softmax(1)


def ensemble(prompts: Tensor) -> Tensor:
    """Unit prompts, averaged over the templates, not normalised again."""
    return F.normalize(prompts, dim=-1).mean(1)


def template_by_template(x: Tensor, prompts: Tensor, scale: float) -> Tensor:
    """Probabilities for each template: (templates, n, classes)."""
    return torch.stack([shares(x, F.normalize(p), scale) for p in prompts.unbind(1)])


ZERO_SHOT = Task(
    id="clip.zero_shot",
    title="A classifier made of words",
    function="zero_shot",
    minutes=15,
    difficulty="medium",
    points=4,
    regimes=(
        Regime("two classes, two templates", lambda g: draw_quiz(g, 2, 2, 2, 2)),
        Regime("three classes, two templates", lambda g: draw_quiz(g, 4, 3, 2, 5)),
        Regime("one template", lambda g: draw_quiz(g, 3, 4, 1, 5)),
        Regime("one picture", lambda g: draw_quiz(g, 1, 3, 2, 4)),
        Regime("as many classes as templates", lambda g: draw_quiz(g, 4, 3, 3, 5)),
        Regime("as many of everything", lambda g: draw_quiz(g, 3, 3, 3, 3)),
        Regime("one class with prompts that disagree", draw_one_unsure_class),
        Regime("prompts of one length", lambda g: draw_quiz(g, 3, 3, 4, 5, lengths=(1.0, 1.0))),
        Regime("prompts of very unlike length", lambda g: draw_quiz(g, 3, 3, 4, 5, lengths=(0.05, 20.0))),
        Regime("a scale of one", lambda g: draw_quiz(g, 3, 3, 2, 5, 1.0)),
        Regime("a scale of one hundred", lambda g: draw_quiz(g, 3, 3, 2, 5, 100.0)),
        Regime("double precision", lambda g: draw_quiz(g, 3, 4, 2, 5, dtype=torch.float64)),
        Regime("many classes", lambda g: draw_quiz(g, 6, 20, 5, 32, 14.0)),
    ),
    oracle=zero_shot_by_loop,
    misconceptions=(
        Misconception(
            "mean without length one",
            lambda x, prompts, scale: shares(x, ensemble(prompts), scale),
            "The mean of the prompts is not brought to length 1 again. The mean of unit vectors is shorter than 1, "
            "most of all where the prompts disagree, and such a class loses by its length.",
        ),
        Misconception(
            "prompts not of length one",
            lambda x, prompts, scale: shares(x, F.normalize(prompts.mean(1)), scale),
            "The prompts are averaged as they are, so the longest prompt decides. Bring each prompt to length 1 "
            "before the mean.",
        ),
        Misconception(
            "no length one at all",
            lambda x, prompts, scale: shares(x, prompts.mean(1), scale),
            "Neither the prompts nor their mean are brought to length 1, so a class can win by length. Normalise each "
            "prompt, average, and normalise the mean.",
        ),
        Misconception(
            "averaged after the softmax",
            lambda x, prompts, scale: template_by_template(x, prompts, scale).mean(0),
            "Each template votes with its probabilities, and the votes are averaged after the softmax. CLIP averages "
            "in the space of embeddings: one vector a class, and one softmax.",
        ),
        Misconception(
            "classes and templates swapped",
            lambda x, prompts, scale: shares(x, F.normalize(F.normalize(prompts, dim=-1).mean(0)), scale),
            "The mean runs over the classes, so what is left are the templates. prompt_features has a row a class and "
            "a column a template: average over dimension 1.",
        ),
        Misconception(
            "first template only",
            lambda x, prompts, scale: shares(x, F.normalize(prompts[:, 0]), scale),
            "Only the first template is used. The classifier of a class is the mean over all of its prompts.",
        ),
        Misconception(
            "best template",
            lambda x, prompts, scale: (
                (scale * F.normalize(x) @ F.normalize(prompts, dim=-1).transpose(1, 2)).amax(-1).T.softmax(1)
            ),
            "Each class is judged by its nearest prompt. Then a class with more odd prompts has more chances. "
            "Take the mean of the prompts.",
        ),
        Misconception(
            "normalised across the templates",
            lambda x, prompts, scale: shares(x, F.normalize(F.normalize(prompts, dim=1).mean(1)), scale),
            "F.normalize works along dimension 1 unless told otherwise, and here that is the templates. "
            "A prompt lies along the last dimension: dim=-1.",
        ),
        Misconception(
            "pictures not of length one",
            lambda x, prompts, scale: (scale * x @ F.normalize(ensemble(prompts)).T).softmax(1),
            "The pictures keep their lengths, so a long one is surer of everything. Cosines need length 1 on both "
            "sides.",
        ),
        Misconception(
            "softmax over the pictures",
            lambda x, prompts, scale: (scale * F.normalize(x) @ F.normalize(ensemble(prompts)).T).softmax(0),
            "The softmax runs over the pictures, so each column adds up to 1. Each picture chooses among the classes: "
            "each row adds up to 1.",
        ),
        Misconception(
            "divided by the scale",
            lambda x, prompts, scale: shares(x, F.normalize(ensemble(prompts)), 1 / scale),
            "The cosines are divided by the scale, and all classes look alike. The scale multiplies.",
        ),
        Misconception(
            "no scale",
            lambda x, prompts, scale: shares(x, F.normalize(ensemble(prompts)), 1.0),
            "The scale is missing. Cosines differ by little, so without it every class gets nearly the same share.",
        ),
        Misconception(
            "the answer alone",
            lambda x, prompts, scale: (F.normalize(x) @ F.normalize(ensemble(prompts)).T).argmax(1),
            "These are the numbers of the nearest classes. The task wants the probability of every class, a row a "
            "picture: leave out the argmax, and take the softmax.",
        ),
        Misconception(
            "no softmax",
            lambda x, prompts, scale: scale * F.normalize(x) @ F.normalize(ensemble(prompts)).T,
            "These are logits. A softmax over each row turns them into probabilities.",
        ),
    ),
    why="A class is the direction in which its prompts point together. The nearest direction is the answer, and no "
    "labelled picture was needed for it.",
)


# ----------------------------------------------------------------------------------------- clip.retrieval

Search = tuple[Tensor, Tensor, int]


def draw_search(
    g: Generator, n: int, m: int, k: int, *, alike: int = 0, lift: float = 1.5, dtype: torch.dtype = torch.float32
) -> Search:
    """Similarities of n pictures and m captions, which captions fit, and k.

    Caption i belongs to picture i, and `alike` further ones of the pool fit as well. No two similarities are equal.
    """
    fits = torch.zeros(n, m, dtype=torch.bool)
    fits[:, :n] = torch.eye(n, dtype=torch.bool)
    for i in range(n):
        others = [j for j in torch.randperm(m, generator=g).tolist() if j != i]
        fits[i, others[:alike]] = True
    score = torch.randn(n, m, generator=g, dtype=torch.float64) + lift * fits
    places = score.flatten().argsort().argsort().double()
    return (2 * places / (n * m) - 1).reshape(n, m).to(dtype), fits, k


def draw_perfect(g: Generator) -> Search:
    """Each picture's own caption is the nearest."""
    similarity, fits, _ = draw_search(g, 5, 7, 1)
    return similarity + 3 * fits, fits, 1


def draw_hopeless(g: Generator) -> Search:
    """Each picture's own caption is the farthest."""
    similarity, fits, _ = draw_search(g, 5, 7, 3)
    return similarity - 3 * fits, fits, 3


def recall_by_loop(similarity: Tensor, fits: Tensor, k: int) -> float:
    """Picture by picture: sort the captions, look at the first k, see whether one of them fits."""
    hits = 0
    for scores, right in zip(similarity.tolist(), fits.tolist(), strict=True):
        order = sorted(range(len(scores)), key=lambda j: scores[j], reverse=True)
        hits += any(right[j] for j in order[:k])
    return hits / len(similarity)


def found(similarity: Tensor, fits: Tensor, k: int) -> Tensor:
    """Whether each of the k nearest captions of each picture fits: (n, k)."""
    return fits.gather(1, similarity.topk(min(k, similarity.shape[1])).indices)


def share(hits: Tensor) -> float:
    """How many of them are true, as a share."""
    return hits.double().mean().item()


def order_for_places(similarity: Tensor, fits: Tensor, k: int) -> float:
    """The order of the captions, taken for the place of each caption."""
    order = similarity.argsort(dim=1, descending=True)
    return share(((order < k) & fits).any(1))


def over_the_whole_pool(similarity: Tensor, fits: Tensor, k: int) -> float:
    """The k largest similarities of the table, whoever they belong to."""
    threshold = similarity.flatten().topk(k).values[-1]
    return share(((similarity >= threshold) & fits).any(1))


def from_the_captions(similarity: Tensor, fits: Tensor, k: int) -> float:
    """Each caption looks for pictures."""
    return share(found(similarity.T, fits.T, k).any(1))


RETRIEVAL = Task(
    id="clip.retrieval",
    title="Recall at k",
    function="recall_at_k",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("four pictures, one place", lambda g: draw_search(g, 4, 4, 1)),
        Regime("one picture", lambda g: draw_search(g, 1, 4, 2)),
        Regime("five pictures, two places", lambda g: draw_search(g, 5, 5, 2)),
        Regime("more captions than pictures", lambda g: draw_search(g, 5, 9, 3)),
        Regime("two captions fit each picture", lambda g: draw_search(g, 6, 12, 2, alike=1, lift=0.5)),
        Regime("five captions fit each picture", lambda g: draw_search(g, 8, 40, 3, alike=4, lift=0.0)),
        Regime("all places", lambda g: draw_search(g, 4, 4, 4)),
        Regime("all found at once", draw_perfect),
        Regime("all found last", draw_hopeless),
        Regime("chance", lambda g: draw_search(g, 40, 40, 5, lift=0.0)),
        Regime("double precision", lambda g: draw_search(g, 6, 8, 2, alike=1, dtype=torch.float64)),
        Regime("many pictures", lambda g: draw_search(g, 60, 80, 5, alike=1, lift=1.0)),
    ),
    oracle=recall_by_loop,
    misconceptions=(
        Misconception(
            "only the own caption",
            lambda similarity, fits, k: recall_by_loop(similarity, torch.eye(*fits.shape, dtype=torch.bool), k),
            "Only the caption with the picture's own number counts. The pool holds others that fit as well, such as "
            "the same words once more. Read in fits what is right.",
        ),
        Misconception(
            "order taken for places",
            order_for_places,
            "argsort lists who stands at each place. Here it is read as the place of each caption, which is something "
            "else. Take the k first of the list, and look up whether they fit.",
        ),
        Misconception(
            "similarity for place",
            over_the_whole_pool,
            "One threshold of similarity decides for all pictures. What counts is the place in the picture's own row: "
            "a picture may have low similarities to all captions and still put the right one first.",
        ),
        Misconception(
            "share of the k that fit",
            lambda similarity, fits, k: share(found(similarity, fits, k)),
            "This is the share of the k found captions that fit, which is precision. R@k asks of each picture only "
            "whether at least one of the k fits.",
        ),
        Misconception(
            "share of the fitting ones found",
            lambda similarity, fits, k: (found(similarity, fits, k).sum(1) / fits.sum(1)).mean().item(),
            "This is the share of the fitting captions that were found. In R@k a picture counts once, as found or not: "
            "one fitting caption among the k is enough.",
        ),
        Misconception(
            "all fitting ones needed",
            lambda similarity, fits, k: share(found(similarity, fits, k).sum(1) == fits.sum(1)),
            "Here a picture counts only if all of its fitting captions are among the k. One of them is enough.",
        ),
        Misconception(
            "smallest first",
            lambda similarity, fits, k: recall_by_loop(-similarity, fits, k),
            "These are the k captions with the lowest similarity. Similarity is large where things are near: "
            "take the largest.",
        ),
        Misconception(
            "at place k only",
            lambda similarity, fits, k: share(found(similarity, fits, k)[:, -1]),
            "Only the caption at place k is looked at. R@k looks at the first k places, all of them.",
        ),
        Misconception(
            "one place too many",
            lambda similarity, fits, k: share(found(similarity, fits, k + 1).any(1)),
            "This looks at k + 1 places. Places 0 to k − 1 are already k of them.",
        ),
        Misconception(
            "first place whatever k",
            lambda similarity, fits, k: share(found(similarity, fits, 1).any(1)),
            "Only the first place is looked at, which is R@1. Look at k places.",
        ),
        Misconception(
            "captions look for pictures",
            from_the_captions,
            "This searches down the columns: captions look for pictures. That is the other direction, with a figure "
            "of its own. Here each row looks for captions.",
        ),
    ),
    why="Recall at k asks each picture one question: is something right among the first k? It reads places, not "
    "similarities, and it gives no penalty for a second caption that is right as well.",
)


# -------------------------------------------------------------------------------------- clip.modality_gap

Clouds = tuple[Tensor, Tensor]


def draw_clouds(
    g: Generator,
    n: int,
    d: int,
    *,
    m: int | None = None,
    apart: float = 1.0,
    lengths: tuple[float, float] = (0.3, 4.0),
    dtype: torch.dtype = torch.float32,
) -> Clouds:
    """Two clouds of embeddings; row i of both from one scene, where there are as many."""
    m = n if m is None else m
    scenes = torch.randn(max(n, m), d, generator=g, dtype=torch.float64)
    shift = apart * torch.randn(2, d, generator=g, dtype=torch.float64)
    noise = torch.randn(2, max(n, m), d, generator=g, dtype=torch.float64)
    clouds = [scenes + shift[i] + 0.3 * noise[i] for i in (0, 1)]
    return of_length(g, clouds[0][:n], lengths).to(dtype), of_length(g, clouds[1][:m], lengths).to(dtype)


def draw_shuffled(g: Generator) -> Clouds:
    """The same directions twice, in another order and of another length: no gap."""
    images, _ = draw_clouds(g, 6, 4)
    return images, 3 * images[torch.randperm(6, generator=g)]


def draw_two_poles(g: Generator) -> Clouds:
    """All pictures at one pole and all captions at the other: the largest gap there is."""
    pole = torch.randn(1, 4, generator=g)
    return pole * (1 + torch.rand(4, 1, generator=g)), -pole * (1 + torch.rand(4, 1, generator=g))


def gap_by_loop(image_features: Tensor, text_features: Tensor) -> float:
    """Row by row to length 1, number by number to the mean, and the length of the difference."""
    centres = []
    for features in (image_features, text_features):
        rows = [[v / math.hypot(*row) for v in row] for row in features.double().tolist()]
        centres.append([sum(column) / len(rows) for column in zip(*rows, strict=True)])
    return math.dist(*centres)


def centre(x: Tensor) -> Tensor:
    """The mean of the rows at length 1."""
    return F.normalize(x).mean(0)


def pairs_apart(x: Tensor, y: Tensor) -> float:
    """Mean distance of a picture and its own caption."""
    return (F.normalize(x) - F.normalize(y)).norm(dim=1).mean().item()


GAP = Task(
    id="clip.modality_gap",
    title="The gap between pictures and captions",
    function="modality_gap",
    minutes=8,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("three of each", lambda g: draw_clouds(g, 3, 4)),
        Regime("one of each", lambda g: draw_clouds(g, 1, 4)),
        Regime("as many as dimensions", lambda g: draw_clouds(g, 4, 4)),
        Regime("more captions than pictures", lambda g: draw_clouds(g, 3, 4, m=6)),
        Regime("more pictures than captions", lambda g: draw_clouds(g, 5, 3, m=2)),
        Regime("the same cloud, shuffled", draw_shuffled),
        Regime("two poles", draw_two_poles),
        Regime("vectors of length one", lambda g: draw_clouds(g, 5, 4, lengths=(1.0, 1.0))),
        Regime("very unlike lengths", lambda g: draw_clouds(g, 5, 4, lengths=(0.01, 100.0))),
        Regime("two clouds far apart", lambda g: draw_clouds(g, 6, 5, apart=4.0)),
        Regime("double precision", lambda g: draw_clouds(g, 4, 3, dtype=torch.float64)),
        Regime("64 dimensions", lambda g: draw_clouds(g, 30, 64, m=20)),
    ),
    oracle=gap_by_loop,
    misconceptions=(
        Misconception(
            "before normalising",
            lambda x, y: (x.mean(0) - y.mean(0)).norm().item(),
            "The centres are those of the features as they are, so long vectors decide. Search looks at directions "
            "only: bring every row to length 1, then take the centres.",
        ),
        Misconception(
            "centres of length one",
            lambda x, y: (F.normalize(centre(x), dim=0) - F.normalize(centre(y), dim=0)).norm().item(),
            "The centres are brought to length 1 as well. A wide cloud has its centre near the origin, and that must "
            "count: normalise the rows, not the centres.",
        ),
        Misconception(
            "normalised after the mean",
            lambda x, y: (F.normalize(x.mean(0), dim=0) - F.normalize(y.mean(0), dim=0)).norm().item(),
            "The means are normalised instead of the rows. Bring every row to length 1 first, then average, and leave "
            "the mean as it is.",
        ),
        Misconception(
            "mean distance of pairs",
            pairs_apart,
            "This is the mean distance of a picture and its own caption. It needs as many of both, and it is not 0 "
            "even for two clouds on one spot. The gap is the distance of the two centres.",
        ),
        Misconception(
            "mean distance of all",
            lambda x, y: torch.cdist(F.normalize(x), F.normalize(y)).mean().item(),
            "This is the mean distance of every picture to every caption, which is large for wide clouds with no gap. "
            "Take the centres first, then one distance.",
        ),
        Misconception(
            "centre of the mixed set",
            lambda x, y: (centre(x) - F.normalize(torch.cat([x, y])).mean(0)).norm().item(),
            "This goes from the pictures' centre to the centre of all embeddings together, which lies in between. "
            "Go to the captions' centre.",
        ),
        Misconception(
            "squared",
            lambda x, y: (centre(x) - centre(y)).square().sum().item(),
            "This is the squared distance: the square root is missing.",
        ),
        Misconception(
            "one minus cosine",
            lambda x, y: 1 - F.cosine_similarity(centre(x), centre(y), dim=0).item(),
            "This is one minus the cosine of the centres, which does not see how far they lie from the origin. "
            "The gap is a Euclidean distance.",
        ),
        Misconception(
            "mean over the numbers",
            lambda x, y: (F.normalize(x).mean(1) - F.normalize(y).mean(1)).norm().item(),
            "The mean runs over the numbers of each embedding. A centre is the mean over the rows: dimension 0.",
        ),
        Misconception(
            "normalised down the batch",
            lambda x, y: (F.normalize(x, dim=0).mean(0) - F.normalize(y, dim=0).mean(0)).norm().item(),
            "Each column was brought to length 1 instead of each row. A row is an embedding: take the norm over the "
            "last dimension.",
        ),
    ),
    why="Two centres on directions alone: 0 where pictures and captions fill the same place, 2 where they sit at "
    "opposite poles.",
)


# ---------------------------------------------------------------------------------------------- clip.seen

Result = tuple[str, int, int, int]
NAMES = ("shape", "colour", "size", "material", "temperature", "motion", "position")


def errors_above(right: int, total: int, classes: int) -> float:
    """By how many standard errors a score is above chance."""
    p = 1 / classes
    return (right / total - p) / math.sqrt(p * (1 - p) / total)


def draw_scores(g: Generator, *bands: tuple[float, float], total: tuple[int, int] = (90, 400)) -> tuple[list[Result]]:
    """One factor a band, in mixed order: each lies so many standard errors above chance, from the band."""
    names = [NAMES[i] for i in torch.randperm(len(NAMES), generator=g)]
    results = []
    while len(results) < len(bands):
        low, high = bands[len(results)]
        n, classes = draw_int(g, *total), draw_int(g, 3, 9)
        right = [r for r in range(n + 1) if low < errors_above(r, n, classes) < high]
        if right:
            results.append((names[len(results)], right[draw_int(g, 0, len(right) - 1)], n, classes))
    return ([results[i] for i in torch.randperm(len(results), generator=g)],)


def draw_on_the_line(g: Generator) -> tuple[list[Result]]:
    """Exactly three standard errors above chance, in numbers that a computer holds exactly."""
    results = [("shape", 21, 48, 4), ("material", 66, 192, 4), ("motion", 228, 768, 4)]
    return ([*results[: draw_int(g, 1, 3)], ("colour", 90, 100, 8)],)


def draw_one_answer_above(g: Generator) -> tuple[list[Result]]:
    """A third of the answers, rounded up: above chance by less than one answer."""
    thirds = draw_int(g, 30, 130)
    return ([("temperature", thirds + 1, 3 * thirds + 2, 3), ("colour", 90, 100, 8)],)


def seen_by_loop(results: list[Result]) -> list[str]:
    """Factor by factor: share, chance, standard error."""
    seen = []
    for name, right, total, classes in results:
        chance = 1 / classes
        error = math.sqrt(chance * (1 - chance) / total)
        if right / total > chance + 3 * error:
            seen.append(name)
    return seen


def seen_if(judge: Callable[[int, int, int], bool]) -> Callable[[list[Result]], list[str]]:
    """The names of those that a judge lets pass."""
    return lambda results: [name for name, *score in results if judge(*score)]


CLEAR, CLOSE, LUCKY, BELOW = (5.0, 15.0), (3.03, 3.3), (1.1, 2.9), (-9.0, -3.2)

SEEN = Task(
    id="clip.seen",
    title="Seen, or luck?",
    function="what_is_seen",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("one clear, one at chance", lambda g: draw_scores(g, CLEAR, (-0.9, 0.9))),
        Regime("a lucky one", lambda g: draw_scores(g, CLEAR, LUCKY)),
        Regime("several lucky ones", lambda g: draw_scores(g, LUCKY, CLEAR, LUCKY, (2.1, 2.9))),
        Regime("just enough", lambda g: draw_scores(g, CLOSE, CLEAR, (2.7, 2.98))),
        Regime("far below chance", lambda g: draw_scores(g, BELOW, CLEAR)),
        Regime("nothing is seen", lambda g: draw_scores(g, LUCKY, (-0.9, 0.9), BELOW)),
        Regime("all are seen", lambda g: draw_scores(g, CLEAR, CLOSE, CLEAR)),
        Regime("exactly on the line", draw_on_the_line),
        Regime("one answer above chance", draw_one_answer_above),
        Regime("few pictures", lambda g: draw_scores(g, CLOSE, LUCKY, (2.0, 2.8), total=(20, 30))),
        Regime("many pictures", lambda g: draw_scores(g, (3.1, 4.0), CLEAR, LUCKY, total=(5_000, 9_000))),
        Regime("seven factors", lambda g: draw_scores(g, CLEAR, LUCKY, BELOW, CLEAR, CLOSE, (0.0, 0.9), (2.5, 2.9))),
    ),
    oracle=seen_by_loop,
    misconceptions=(
        Misconception(
            "no margin",
            seen_if(lambda right, n, c: right / n > 1 / c),
            "Everything above chance counts as seen. Half of the factors that nobody sees land above chance by luck: "
            "ask for three standard errors more.",
        ),
        Misconception(
            "chance is one half",
            seen_if(lambda right, n, c: right / n > 0.5),
            "The limit is one half. Who guesses among c classes is right one time in c: chance is 1 / classes.",
        ),
        Misconception(
            "one standard error",
            seen_if(lambda right, n, c: errors_above(right, n, c) > 1),
            "One standard error is not enough: one in six factors that nobody sees would pass. "
            "The task asks for three.",
        ),
        Misconception(
            "two standard errors",
            seen_if(lambda right, n, c: errors_above(right, n, c) > 2),
            "This asks for two standard errors. With many factors to look at, one of them gets that far by luck. "
            "The task asks for three.",
        ),
        Misconception(
            "a fixed margin",
            seen_if(lambda right, n, c: right / n > 1 / c + 0.1),
            "The margin is the same for few pictures and for many. With few pictures luck reaches far, with many it "
            "does not: the margin must shrink with the root of their number.",
        ),
        Misconception(
            "spread of one picture",
            seen_if(lambda right, n, c: right / n > 1 / c + 3 * math.sqrt(1 / c * (1 - 1 / c))),
            "This is the spread of a single answer. The share of n answers spreads less: divide by n under the root.",
        ),
        Misconception(
            "root forgotten",
            seen_if(lambda right, n, c: right / n > 1 / c + 3 * (1 / c * (1 - 1 / c)) / n),
            "The square root is missing, so this is the variance of the share. The standard error is its root, and "
            "much larger.",
        ),
        Misconception(
            "far from chance either way",
            seen_if(lambda right, n, c: abs(errors_above(right, n, c)) > 3),
            "A factor far below chance is let pass. It is a finding too, a label or a caption that is swapped, but the "
            "factor was not named correctly: above chance only.",
        ),
        Misconception(
            "on the line counts",
            seen_if(lambda right, n, c: right / n >= 1 / c + 3 * math.sqrt(1 / c * (1 - 1 / c) / n)),
            "A score exactly on the line is let pass. The task asks for more than three standard errors: > instead "
            "of >=.",
        ),
        Misconception(
            "one chance for all",
            lambda results: [name for name, right, n, _ in results if errors_above(right, n, max(2, len(results))) > 3],
            "Chance is taken as one over the number of factors. It is one over the number of classes of each factor, "
            "the last number of its tuple.",
        ),
    ),
    why="Chance differs from factor to factor, and luck shrinks with the root of the number of pictures. Only what is "
    "well beyond luck may be called seen.",
)


TASKS = (LOGITS, LOSS, ZERO_SHOT, RETRIEVAL, GAP, SEEN)
