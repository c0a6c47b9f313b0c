"""Checks of chapter 14: masks from products, who sees whom, class IoU, pictures among words, and what limits a task."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import AtSize, Misconception, Regime, Task

__all__ = ["TASKS"]


# ------------------------------------------------------------------------------------------ find.masks

Size = tuple[int, int]
Masks = Callable[[Tensor, Tensor, Size, float], Tensor]
Resize = Callable[[Tensor, Size], Tensor]


def draw_masks(
    g: Generator,
    q: int = 3,
    d: int = 3,
    grid: Size = (3, 4),
    size: Size = (6, 8),
    threshold: float | None = None,
    spread: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Size, float]:
    """Queries, a map of features, the size of the picture and a threshold; no pixel lies at the threshold."""
    threshold = draw_int(g, 3, 7) / 10 if threshold is None else threshold
    while True:
        queries = spread * torch.randn(q, d, generator=g, dtype=dtype)
        features = torch.randn(d, *grid, generator=g, dtype=dtype)
        logits = smooth(products(queries.double(), features.double()), size)
        if (logits - math.log(threshold / (1 - threshold))).abs().min() > 1e-3:
            return queries, features, size, threshold


def draw_small_masks(g: Generator) -> tuple[Tensor, Tensor, Size, float]:
    """Whole numbers on a map of 2 × 2 that has the size of the picture; one cell fits the query by exactly 0."""
    features = torch.randint(-2, 3, (2, 2, 2), generator=g).float()
    features[:, draw_int(g, 0, 1), draw_int(g, 0, 1)] = 0
    return torch.tensor([[draw_int(g, 1, 2), -draw_int(g, 1, 2)]]).float(), features, (2, 2), 0.5


def masks_by_loop(queries: Tensor, features: Tensor, size: Size, threshold: float) -> Tensor:
    """Cell by cell a sum of products, pixel by pixel the weighted mean of four cells, its sigmoid, a comparison."""
    (h, w), columns = features.shape[1:], features.double().permute(1, 2, 0).tolist()
    downwards, sideways = ([between(i, k, n) for i in range(n)] for k, n in zip((h, w), size, strict=True))
    answer = []
    for query in queries.double().tolist():
        cells = [[sum(a * b for a, b in zip(query, column, strict=True)) for column in row] for row in columns]
        for top, bottom, down in downwards:
            for left, right, across in sideways:
                above = (1 - across) * cells[top][left] + across * cells[top][right]
                below = (1 - across) * cells[bottom][left] + across * cells[bottom][right]
                logit = (1 - down) * above + down * below
                answer.append(1 / (1 + math.exp(-logit)) > threshold)
    return torch.tensor(answer).reshape(len(queries), *size)


def between(pixel: int, cells: int, pixels: int) -> tuple[int, int, float]:
    """The two cells between whose middles the middle of a pixel lies, and how far it is on the way to the second."""
    place = max((pixel + 0.5) * cells / pixels - 0.5, 0)
    first = min(int(place), cells - 1)
    return first, min(first + 1, cells - 1), place - first


def products(queries: Tensor, features: Tensor) -> Tensor:
    """The product of each query with each cell."""
    return torch.einsum("qd,dhw->qhw", queries, features)


def smooth(x: Tensor, size: Size, **how: bool) -> Tensor:
    """Bilinear."""
    return F.interpolate(x[None], size, mode="bilinear", **how)[0]


def masks_with(multiply: Callable[[Tensor, Tensor], Tensor] = products, resize: Resize = smooth) -> Masks:
    """Products, size, sigmoid, threshold, with one slip in it."""

    def masks(queries: Tensor, features: Tensor, size: Size, threshold: float) -> Tensor:
        return resize(multiply(queries, features), size).sigmoid() > threshold

    return masks


def decided_by(decide: Callable[[Tensor, float], Tensor]) -> Masks:
    """Another way from logits at the picture's size to masks."""
    return lambda queries, features, size, threshold: decide(smooth(products(queries, features), size), threshold)


def cut_before(queries: Tensor, features: Tensor, size: Size, threshold: float) -> Tensor:
    """The small mask is made larger."""
    small = products(queries, features).sigmoid() > threshold
    return smooth(small.to(queries.dtype), size) > 0.5


def probabilities_resized(queries: Tensor, features: Tensor, size: Size, threshold: float) -> Tensor:
    """The sigmoid before the larger size."""
    return smooth(products(queries, features).sigmoid(), size) > threshold


MASKS = Task(
    id="find.masks",
    title="A mask is a product",
    function="masks",
    minutes=10,
    difficulty="easy",
    points=3,
    regimes=(
        Regime("two by two, no resizing", draw_small_masks),
        Regime("one query", lambda g: draw_masks(g, q=1)),
        Regime("three queries", draw_masks),
        Regime("threshold one half", lambda g: draw_masks(g, threshold=0.5)),
        Regime("a low threshold", lambda g: draw_masks(g, threshold=0.2)),
        Regime("a high threshold", lambda g: draw_masks(g, threshold=0.8, spread=2.0)),
        Regime("no resizing", lambda g: draw_masks(g, size=(3, 4))),
        Regime("long queries", lambda g: draw_masks(g, spread=8.0)),
        Regime("short queries", lambda g: draw_masks(g, spread=0.3, threshold=0.5)),
        Regime("as many queries as dimensions", lambda g: draw_masks(g, 4, 4, (4, 4), (8, 8))),
        Regime("a picture that is no multiple of the map", lambda g: draw_masks(g, grid=(3, 3), size=(7, 5))),
        Regime("double precision", lambda g: draw_masks(g, dtype=torch.float64)),
        Regime("32 dimensions", lambda g: draw_masks(g, 3, 32, (6, 6), (18, 18), spread=0.3)),
    ),
    oracle=masks_by_loop,
    misconceptions=(
        Misconception(
            "sigmoid twice",
            decided_by(lambda logits, threshold: logits.sigmoid().sigmoid() > threshold),
            "The sigmoid is taken twice. The first gives numbers from 0 to 1, the second makes at least one half of "
            "each, so that nearly everything is inside. Once is enough.",
        ),
        Misconception(
            "threshold on logits",
            decided_by(lambda logits, threshold: logits > threshold),
            "The threshold is held against the logits. It is a probability: take the sigmoid first. "
            "Probability one half is logit 0, not one half.",
        ),
        Misconception(
            "cut before resizing",
            cut_before,
            "The small mask was cut and then made larger, so that its border can lie nowhere but near the borders of "
            "cells. Make the logits larger, and cut last.",
        ),
        Misconception(
            "probabilities resized",
            probabilities_resized,
            "The sigmoid comes before the larger size. Very sure cells then count no more than sure ones, and the "
            "border moves. Interpolate the logits, then take the sigmoid.",
        ),
        Misconception(
            "blocks",
            masks_with(resize=lambda x, size: F.interpolate(x[None], size, mode="nearest")[0]),
            "Each pixel takes the logit of one cell, so the mask is made of blocks. That is what F.interpolate does by "
            'itself; ask for mode="bilinear".',
        ),
        Misconception(
            "corners on corners",
            masks_with(resize=lambda x, size: smooth(x, size, align_corners=True)),
            "The middles of the corner cells were put on the corner pixels. A cell covers a block of pixels, and its "
            "middle lies in the middle of the block: leave align_corners out.",
        ),
        Misconception(
            "best pixel",
            decided_by(lambda logits, _: logits == logits.amax((1, 2), keepdim=True)),
            "Only the best pixel of each query is inside: an argmax over pixels. An object has many pixels. Ask of "
            "each one by itself whether its probability is above the threshold.",
        ),
        Misconception(
            "softmax over pixels",
            decided_by(lambda logits, threshold: logits.flatten(1).softmax(1).view_as(logits) > threshold),
            "A softmax over the pixels shares a total of 1 among them, so that hardly any gets enough. "
            "Each pixel is asked by itself: sigmoid.",
        ),
        Misconception(
            "softmax over queries",
            decided_by(lambda logits, threshold: logits.softmax(0) > threshold),
            "A softmax over the queries lets them compete for each pixel, and somebody always wins. Here each query is "
            "asked alone, and a pixel may belong to two of them, or to none: sigmoid.",
        ),
        Misconception(
            "best query",
            decided_by(lambda logits, _: logits == logits.amax(0)),
            "Each pixel goes to the query that likes it best, however little that is. Hold the probability of each "
            "query against the threshold instead.",
        ),
        Misconception(
            "cosine",
            masks_with(lambda queries, features: products(F.normalize(queries), F.normalize(features, dim=0))),
            "These are cosines, which never leave [−1, 1], so no probability is above .74. The dot product is meant: "
            "the length of a query says how sure it is.",
        ),
        Misconception(
            "divided by √d",
            masks_with(lambda queries, features: products(queries, features) / queries.shape[1] ** 0.5),
            "The products are divided by √d, as attention does. In this task they are taken as they are.",
        ),
        Misconception(
            "outside for inside",
            decided_by(lambda logits, threshold: logits.sigmoid() < threshold),
            "This is what does not belong to each query. Inside is where the probability is above the threshold.",
        ),
        Misconception(
            "probabilities",
            decided_by(lambda logits, _: logits.sigmoid()),
            "These are probabilities. A mask says yes or no: compare them with the threshold.",
        ),
    ),
    why="A pixel belongs to a query where their embeddings point the same way. The product is taken on the small map "
    "and the logits are made larger: a line between two logits crosses the threshold somewhere between two cells.",
    at_size=AtSize(
        lambda g: (
            torch.randn(16, 128, generator=g) / 8,
            torch.randn(128, 32, 32, generator=g),
            (512, 512),
            0.5,
        ),
        seconds=4.0,
        largest_bytes=70_000_000,
    ),
)


# ------------------------------------------------------------------------------------------ find.conditional_mask

Seen = Callable[[Tensor, Tensor, int], Tensor]


def draw_prompts(
    g: Generator, counts: Sequence[int], empty: float = 0.0, mixed: bool = False
) -> tuple[Tensor, Tensor, int]:
    """Places for prompts, so many for each query, a share of them empty, in the order of the queries or in any."""
    owner = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    if mixed:
        owner = owner[torch.randperm(len(owner), generator=g)]
    given = torch.ones(len(owner), dtype=torch.bool)
    given[torch.randperm(len(owner), generator=g)[: round(empty * len(owner))]] = False
    return given, owner, len(counts)


def draw_padded_phrases(g: Generator) -> tuple[Tensor, Tensor, int]:
    """Two phrases of unequal length, padded on the right to four words."""
    lengths = [draw_int(g, 1, 2), draw_int(g, 3, 4)]
    given = torch.cat([torch.arange(4) < length for length in lengths])
    return given, torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), 2


def draw_many_questions(g: Generator) -> tuple[Tensor, Tensor, int]:
    """Some names, one phrase, one click, one picture."""
    return draw_prompts(g, [1, 1, 1, draw_int(g, 4, 6), 1, 0], empty=0.2)


def conditional_by_loop(given: Tensor, owner: Tensor, queries: int) -> Tensor:
    """Pair by pair."""
    size = queries + len(owner)
    answer = torch.zeros(size, size, dtype=torch.bool)
    for row in range(size):
        for column in range(size):
            if row == column:
                answer[row, column] = True
            elif column >= queries and bool(given[column - queries]):
                reader = row if row < queries else int(owner[row - queries])
                answer[row, column] = reader == int(owner[column - queries])
    return answer


Rule = Callable[..., Tensor]


def seen_by(rule: Rule, of_itself: Callable[..., Tensor] | None = None) -> Seen:
    """Who sees whom by a rule on rows and columns: same query, is a prompt, is given; and who sees itself."""

    def conditional_mask(given: Tensor, owner: Tensor, queries: int) -> Tensor:
        of = torch.cat([torch.arange(queries), owner])
        prompt = torch.arange(len(of)) >= queries
        there = torch.cat([torch.ones(queries, dtype=torch.bool), given])
        sees = rule(of[:, None] == of, prompt[:, None], prompt, there[:, None], there)
        own = torch.ones_like(prompt) if of_itself is None else of_itself(prompt, there)
        return torch.where(torch.eye(len(of), dtype=torch.bool), own, sees)

    return conditional_mask


right_mask = seen_by(lambda same, row, column, row_there, there: same & column & there)


def prompts_first(given: Tensor, owner: Tensor, queries: int) -> Tensor:
    """The same, prompts before queries."""
    order = torch.arange(queries + len(owner)).roll(len(owner))
    return right_mask(given, owner, queries)[order][:, order]


def only_before(given: Tensor, owner: Tensor, queries: int) -> Tensor:
    """The same, but that a prompt sees no prompt behind it."""
    sees = right_mask(given, owner, queries)
    before = torch.ones_like(sees).tril()
    before[:queries] = True
    return sees & before


def to_be_added(given: Tensor, owner: Tensor, queries: int) -> Tensor:
    """0 where a row sees a column, minus infinity elsewhere."""
    sees = right_mask(given, owner, queries)
    return torch.zeros(sees.shape).masked_fill(~sees, -math.inf)


CONDITIONAL_MASK = Task(
    id="find.conditional_mask",
    title="Who sees whom",
    function="conditional_mask",
    minutes=15,
    difficulty="hard",
    points=3,
    regimes=(
        Regime("one query, two prompts", lambda g: draw_prompts(g, [2])),
        Regime("two queries, a prompt each", lambda g: draw_prompts(g, [1, 1])),
        Regime("two queries, three prompts", lambda g: draw_prompts(g, [[1, 2], [2, 1]][draw_int(g, 0, 1)])),
        Regime("two phrases with padding", draw_padded_phrases),
        Regime("a query without prompts", lambda g: draw_prompts(g, [2, 0, 1])),
        Regime("prompts in any order", lambda g: draw_prompts(g, [2, 2, 1], mixed=True)),
        Regime("prompts in any order, some places empty", lambda g: draw_prompts(g, [3, 2, 3], 0.4, mixed=True)),
        Regime("every place empty", lambda g: draw_prompts(g, [2, 2], empty=1.0)),
        Regime("no places for prompts", lambda g: draw_prompts(g, [0, 0])),
        Regime("as many prompts as queries", lambda g: draw_prompts(g, [2, 0, 1], empty=0.34)),
        Regime("all kinds of questions", draw_many_questions),
    ),
    oracle=conditional_by_loop,
    misconceptions=(
        Misconception(
            "inverted",
            lambda *arguments: ~right_mask(*arguments),
            "True and False have changed places: some libraries mark what must not be seen. "
            "Here True means that the row sees the column.",
        ),
        Misconception(
            "transposed",
            lambda *arguments: right_mask(*arguments).T,
            "Rows and columns have changed places: here the prompts see their query, and the query sees none of them. "
            "The row looks, the column is looked at.",
        ),
        Misconception(
            "other tasks seen",
            seen_by(lambda same, row, column, row_there, there: column & there),
            "Every prompt is seen by everybody, so that one task reads the words of another. "
            "A row sees the prompts of its own query: compare the owners.",
        ),
        Misconception(
            "prompts mix",
            seen_by(lambda same, row, column, row_there, there: (same | row) & column & there),
            "The queries are kept apart and the prompts are not. After one layer each prompt holds something of the "
            "others, and its query reads it there. Keep the prompts apart by owner too.",
        ),
        Misconception(
            "prompts see their query",
            seen_by(lambda same, row, column, row_there, there: same & there),
            "The prompts see their query. No one sees a query but itself: only columns of prompts are open.",
        ),
        Misconception(
            "queries meet",
            seen_by(lambda same, row, column, row_there, there: (same & column & there) | (~row & ~column)),
            "The queries see one another, so that an answer depends on what else was asked. "
            "Each query sees itself alone among the queries.",
        ),
        Misconception(
            "padding seen",
            seen_by(lambda same, row, column, row_there, there: same & column),
            "Empty places are seen. They hold whatever stands in the place of a word: a column is open only where "
            "given is True.",
        ),
        Misconception(
            "empty rows",
            seen_by(lambda same, row, column, row_there, there: same & column & there, lambda prompt, there: there),
            "An empty place does not see itself. If nothing else of its query is given, its row is empty, and a "
            "softmax over nothing is 0/0. Every row sees itself.",
        ),
        Misconception(
            "empty places blind",
            seen_by(lambda same, row, column, row_there, there: same & column & there & row_there),
            "The rows of empty places see nothing but themselves. given closes columns: what is empty is not seen. "
            "What it sees is read by nobody, and follows the rule for all prompts.",
        ),
        Misconception(
            "queries blind to themselves",
            seen_by(lambda same, row, column, row_there, there: same & column & there, lambda prompt, there: prompt),
            "The queries do not see themselves. A query without prompts would see nothing at all, and a softmax over "
            "nothing is 0/0. The whole diagonal is True.",
        ),
        Misconception(
            "diagonal forgotten",
            seen_by(
                lambda same, row, column, row_there, there: same & column & there, lambda prompt, there: prompt & there
            ),
            "Queries and empty places do not see themselves: they are in no column that given opens, and their rows "
            "can be empty. A softmax over nothing is 0/0. Set the whole diagonal to True.",
        ),
        Misconception(
            "prompts blind to themselves",
            seen_by(lambda same, row, column, row_there, there: same & column & there, lambda prompt, there: ~prompt),
            "The prompts do not see themselves: a single prompt would have nothing to look at, and its row would be "
            "empty. The whole diagonal is True.",
        ),
        Misconception(
            "prompts blind to one another",
            seen_by(lambda same, row, column, row_there, there: same & column & there & ~row),
            "A prompt sees itself alone. The words of a phrase belong together: each sees the other prompts of its "
            "query.",
        ),
        Misconception(
            "only what came before",
            only_before,
            "A prompt sees only those before it, as in a language model that writes. Nothing is written here: a prompt "
            "sees those after it too.",
        ),
        Misconception(
            "prompts first",
            prompts_first,
            "The prompts stand before the queries. The order is: all queries, and behind them all prompts.",
        ),
        Misconception(
            "numbers to be added",
            to_be_added,
            "These are numbers to be added to the logits. Return True and False.",
        ),
    ),
    why="Each query hears itself and its own prompts, so it answers as if nobody else had asked. One pass answers all "
    "questions, and every row sees at least itself, so that no softmax is empty.",
)


# ------------------------------------------------------------------------------------------ find.iou

MeanIoU = Callable[[Tensor, Tensor, int], float]


def draw_maps(
    g: Generator, n: int = 2, size: Size = (3, 4), classes: int = 3, wrong: float = 0.4, empty: float = 0.3
) -> tuple[Tensor, Tensor, int]:
    """Class maps of n pictures, predicted and true; a share of the pixels is background, a share of answers is wrong.

    Early classes are more frequent, and each picture prefers some.
    """
    liked = torch.rand(n, classes, generator=g) * torch.linspace(2, 0.5, classes)
    truth = torch.multinomial(liked, size[0] * size[1], replacement=True, generator=g)  # (n, pixels)
    truth[torch.rand(truth.shape, generator=g) < empty] = classes
    other = torch.randint(0, classes + 1, truth.shape, generator=g)
    predicted = torch.where(torch.rand(truth.shape, generator=g) < wrong, other, truth)
    truth[0, 0], predicted[0, 0] = 0, 0  # at least one class occurs
    return predicted.view(n, *size), truth.view(n, *size), classes


def draw_with_class(g: Generator, in_truth: int, in_predicted: int) -> tuple[Tensor, Tensor, int]:
    """Maps of three classes, and a fourth that so many pixels of the truth and of the prediction have."""
    predicted, truth, classes = draw_maps(g)
    predicted, truth = (torch.where(x == classes, classes + 1, x) for x in (predicted, truth))
    places = 1 + torch.randperm(truth.numel() - 1, generator=g)  # the first pixel keeps its class
    truth.view(-1)[places[:in_truth]] = classes
    predicted.view(-1)[places[in_truth : in_truth + in_predicted]] = classes
    return predicted, truth, classes + 1


def draw_one_pixel(g: Generator) -> tuple[Tensor, Tensor, int]:
    """The last class has one pixel in all, which was found."""
    predicted, truth, classes = draw_with_class(g, 0, 0)
    place = draw_int(g, 1, truth.numel() - 1)
    predicted.view(-1)[place] = truth.view(-1)[place] = classes - 1
    return predicted, truth, classes


def draw_unlike_pictures(g: Generator) -> tuple[Tensor, Tensor, int]:
    """A picture full of one class and found well; another with a little of it and found badly."""
    truth = torch.full((2, 3, 4), 2)
    truth[0], truth[1, 0, : draw_int(g, 1, 2)], truth[1, 2] = 0, 0, 1
    predicted = truth.clone()
    predicted[1, 0], predicted[1, 2, 2:] = 2, 0
    return predicted, truth, 2


def mean_iou_by_loop(predicted: Tensor, truth: Tensor, classes: int) -> float:
    """Class by class, pixel by pixel: how many have it in both, how many in either."""
    pairs = list(zip(predicted.flatten().tolist(), truth.flatten().tolist(), strict=True))
    ious = []
    for label in range(classes):
        both = sum(p == label and t == label for p, t in pairs)
        either = sum(p == label or t == label for p, t in pairs)
        if either:
            ious.append(both / either)
    return sum(ious) / len(ious)


def counts(predicted: Tensor, truth: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels of each class in each picture: found rightly, predicted, really there; (n, classes) each."""
    found, there = (F.one_hot(x, classes + 1).flatten(1, 2).double() for x in (predicted, truth))
    return tuple(x.sum(1)[:, :classes] for x in (found * there, found, there))


def over_pixels(score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> MeanIoU:
    """Another score of the counts of each class over all pictures; classes without one are left out."""
    return lambda *arguments: score(*(x.sum(0) for x in counts(*arguments))).nanmean().item()


def over_pictures(merge: Callable[[Tensor], Tensor]) -> MeanIoU:
    """The IoU of each class in each picture, merged in another way."""

    def mean_iou(predicted: Tensor, truth: Tensor, classes: int) -> float:
        both, found, there = counts(predicted, truth, classes)
        return merge(both / (found + there - both)).item()

    return mean_iou


def background_in(predicted: Tensor, truth: Tensor, classes: int) -> float:
    """Background as one more class."""
    return mean_iou_by_loop(predicted, truth, classes + 1)


def background_out(predicted: Tensor, truth: Tensor, classes: int) -> float:
    """Pixels that are background in truth are not looked at."""
    there = truth < classes
    return mean_iou_by_loop(predicted[there], truth[there], classes)


def objects_found(predicted: Tensor, truth: Tensor, classes: int) -> float:
    """Whatever is no background, taken together."""
    found, there = predicted < classes, truth < classes
    return ((found & there).sum() / (found | there).sum()).item()


IOU = Task(
    id="find.iou",
    title="Overlap, class by class",
    function="mean_iou",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("one small picture", lambda g: draw_maps(g, 1, (2, 3), 2)),
        Regime("one picture", lambda g: draw_maps(g, 1, (4, 4), 3)),
        Regime("two pictures", draw_maps),
        Regime("five pictures", lambda g: draw_maps(g, 5)),
        Regime("two unlike pictures", draw_unlike_pictures),
        Regime("a class that does not occur", lambda g: draw_with_class(g, 0, 0)),
        Regime("a class that is only predicted", lambda g: draw_with_class(g, 0, 2)),
        Regime("a class that is never found", lambda g: draw_with_class(g, 2, 0)),
        Regime("a class of one pixel", draw_one_pixel),
        Regime("one class", lambda g: draw_maps(g, classes=1)),
        Regime("mostly background", lambda g: draw_maps(g, 3, empty=0.8, wrong=0.3)),
        Regime("no background", lambda g: draw_maps(g, 3, empty=0.0)),
        Regime("all right", lambda g: draw_maps(g, wrong=0.0)),
        Regime("48 classes", lambda g: draw_maps(g, 6, (8, 8), 48)),
    ),
    oracle=mean_iou_by_loop,
    misconceptions=(
        Misconception(
            "sum for union",
            over_pixels(lambda both, found, there: both / (found + there)),
            "The pixels of both masks are added up, so those in both count twice, and a perfect answer gets one half. "
            "The union counts each pixel once.",
        ),
        Misconception(
            "dice",
            over_pixels(lambda both, found, there: 2 * both / (found + there)),
            "This is dice: twice the intersection over the sum of both. It is 1 where IoU is 1 and kinder elsewhere. "
            "Divide the intersection by the union.",
        ),
        Misconception(
            "absent classes count as 0",
            over_pixels(lambda both, found, there: (both / (found + there - both)).nan_to_num(0)),
            "A class that occurs nowhere counts as a failure. Nobody could have found it: leave out classes that are "
            "neither in the truth nor in the prediction.",
        ),
        Misconception(
            "absent classes count as 1",
            over_pixels(lambda both, found, there: (both / (found + there - both)).nan_to_num(1)),
            "A class that occurs nowhere counts as a success. It says nothing: leave out classes that are neither in "
            "the truth nor in the prediction.",
        ),
        Misconception(
            "only classes of the truth",
            over_pixels(lambda both, found, there: both / torch.where(there > 0, found + there - both, 0)),
            "Only classes that are in the truth are counted. To see a class where there is none is a mistake too, and "
            "its IoU is 0.",
        ),
        Misconception(
            "mean of the pictures",
            over_pictures(lambda ious: ious.nanmean(1).nanmean()),
            "Each picture gets a mean of its own, and these are averaged. A class with one pixel in one picture then "
            "counts as much as where it fills the frame. Add the pixels of all pictures first, then divide.",
        ),
        Misconception(
            "each class over the pictures",
            over_pictures(lambda ious: ious.nanmean(0).nanmean()),
            "The IoU of a class is averaged over the pictures. Add its pixels of all pictures first, then divide once.",
        ),
        Misconception(
            "all classes in one",
            over_pixels(lambda both, found, there: both.sum() / (found + there - both).sum()),
            "Intersections and unions are summed over the classes before they are divided, so that large classes "
            "decide. Divide class by class, then average: every class counts alike.",
        ),
        Misconception(
            "large classes weigh more",
            over_pixels(lambda both, found, there: (both / (found + there - both) * there).nansum() / there.sum()),
            "The classes are weighted by their pixels. In mIoU every class counts alike, however small it is.",
        ),
        Misconception(
            "background as a class",
            background_in,
            "The background counts as one more class. It has the number `classes` and no IoU of its own: "
            "count from 0 to classes − 1.",
        ),
        Misconception(
            "background not looked at",
            background_out,
            "Pixels that are background in truth are left out, so that it costs nothing to paint over the border. "
            "They stay in the union of the class that was predicted there.",
        ),
        Misconception(
            "objects against background",
            objects_found,
            "This asks only whether something was found where something is, whatever its class. "
            "Compare class by class.",
        ),
        Misconception(
            "share of right pixels",
            lambda predicted, truth, classes: (predicted == truth).double().mean().item(),
            "This is the share of pixels that are right. Most pixels are background, and whoever says background "
            "everywhere does well. Take intersection over union, class by class.",
        ),
        Misconception(
            "recall",
            over_pixels(lambda both, found, there: both / there),
            "The intersection is divided by what is there: recall. Whoever claims every pixel finds everything. "
            "Divide by the union.",
        ),
        Misconception(
            "precision",
            over_pixels(lambda both, found, there: both / found),
            "The intersection is divided by what was predicted: precision. Whoever claims one sure pixel is never "
            "wrong. Divide by the union.",
        ),
    ),
    why="Pixels are added over all pictures and divided class by class, so that a missed pixel and a wrongly claimed "
    "one cost the same, and a rare class counts as much as a frequent one.",
)


# ------------------------------------------------------------------------------------------ find.interleave

Entities = list[tuple[int, int]]
Sentence = tuple[Tensor, Entities, Tensor]


def draw_sentence(
    g: Generator, length: int, entities: Entities, d: int = 2, mixed: bool = False, dtype: torch.dtype = torch.float32
) -> Sentence:
    """A sentence, some of whose words are entities, and a region for each entity; these in order, or from the last."""
    entities = entities[::-1] if mixed else list(entities)
    words = torch.randn(length, d, generator=g, dtype=dtype)
    return (words * 10).round() / 10, entities, (10 + torch.randn(len(entities), d, generator=g, dtype=dtype)).round()


def draw_entity(g: Generator, words: int) -> Sentence:
    """One entity of so many words, somewhere inside a sentence of eight."""
    start = draw_int(g, 1, 7 - words)
    return draw_sentence(g, 8, [(start, start + words)])


def draw_two_entities(g: Generator, mixed: bool = False) -> Sentence:
    """Two entities of two or three words, with words before, between and behind."""
    first, gap, second = draw_int(g, 2, 3), draw_int(g, 1, 3), draw_int(g, 2, 3)
    start = 1 + first + gap
    return draw_sentence(g, start + second + 2, [(1, 1 + first), (start, start + second)], mixed=mixed)


def interleave_by_loop(words: Tensor, entities: Entities, regions: Tensor) -> Tensor:
    """Word by word: the first word of an entity becomes its region, the others go."""
    rows = []
    for at in range(len(words)):
        inside = [i for i, (start, stop) in enumerate(entities) if start <= at < stop]
        if not inside:
            rows.append(words[at])
        elif entities[inside[0]][0] == at:
            rows.append(regions[inside[0]])
    return torch.stack(rows)


def put(
    piece: Callable[[Tensor, Tensor], list[Tensor]] = lambda own, region: [region],
    borders: Callable[[int, int], tuple[int, int]] = lambda start, stop: (start, stop),
    order: Callable[[Tensor, Entities], Tensor] = lambda regions, entities: regions,
) -> Callable[..., Tensor]:
    """What stands in the place of an entity, where its borders are, which regions come, with one slip in it."""

    def interleave(words: Tensor, entities: Entities, regions: Tensor) -> Tensor:
        regions, parts, at = order(regions, entities), [], 0
        for start, stop, region in sorted(
            (*borders(*entity), row) for entity, row in zip(entities, range(len(regions)), strict=True)
        ):
            parts += [words[at:start], *piece(words[start:stop], regions[region][None])]
            at = stop
        return torch.cat([*parts, words[at:]])

    return interleave


def places_shift(words: Tensor, entities: Entities, regions: Tensor) -> Tensor:
    """One after another, although the sentence gets shorter."""
    for (start, stop), region in zip(entities, regions, strict=True):
        words = torch.cat([words[:start], region[None], words[stop:]])
    return words


def as_listed(words: Tensor, entities: Entities, regions: Tensor) -> Tensor:
    """From left to right, in whatever order the entities come."""
    parts, at = [], 0
    for (start, stop), region in zip(entities, regions, strict=True):
        parts += [words[at:start], region[None]]
        at = stop
    return torch.cat([*parts, words[at:]])


def at_the_end(words: Tensor, entities: Entities, regions: Tensor) -> Tensor:
    """The sentence without its entities, and the regions behind it."""
    return torch.cat([put(lambda own, region: [])(words, entities, regions), regions])


def first_alone(words: Tensor, entities: Entities, regions: Tensor) -> Tensor:
    """Only the first of the entities."""
    return put()(words, entities[:1], regions[:1])


def in_reading_order(regions: Tensor, entities: Entities) -> Tensor:
    """Regions so that the leftmost entity gets the first one."""
    return regions[torch.tensor(entities).reshape(-1, 2)[:, 0].argsort().argsort()]


INTERLEAVE = Task(
    id="find.interleave",
    title="A picture among words",
    function="interleave",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("an entity of one word", lambda g: draw_entity(g, 1)),
        Regime("an entity of three words", lambda g: draw_entity(g, 3)),
        Regime("an entity at the beginning", lambda g: draw_sentence(g, 5, [(0, 2)])),
        Regime("an entity at the end", lambda g: draw_sentence(g, 5, [(3, 5)])),
        Regime("the whole sentence", lambda g: draw_sentence(g, 3, [(0, 3)])),
        Regime("two entities", draw_two_entities),
        Regime("two entities, the later one first", lambda g: draw_two_entities(g, mixed=True)),
        Regime("two entities side by side", lambda g: draw_sentence(g, 7, [(1, 3), (3, 6)])),
        Regime("three entities", lambda g: draw_sentence(g, 12, [(1, 3), (5, 6), (7, 10)])),
        Regime(
            "three entities, from right to left",
            lambda g: draw_sentence(g, 12, [(0, 2), (5, 6), (8, 10)], mixed=True),
        ),
        Regime("no entity", lambda g: draw_sentence(g, 4, [])),
        Regime("double precision", lambda g: draw_sentence(g, 6, [(2, 4)], dtype=torch.float64)),
        Regime("64 dimensions", lambda g: draw_sentence(g, 9, [(1, 4), (6, 8)], d=64)),
    ),
    oracle=interleave_by_loop,
    misconceptions=(
        Misconception(
            "text left in",
            put(lambda own, region: [region, own]),
            "The words of the entity are still there, behind its picture. Then the sentence names what it should only "
            "show, and a test of the picture tests nothing. Leave them out.",
        ),
        Misconception(
            "behind the text",
            put(lambda own, region: [own, region]),
            "The picture stands behind the words that it should replace. Leave the words from start to stop out.",
        ),
        Misconception(
            "first word alone",
            put(lambda own, region: [region, own[1:]]),
            "Only the first word of the entity gives way. All words from start up to stop belong to it.",
        ),
        Misconception(
            "a picture for each word",
            put(lambda own, region: [region.expand_as(own)]),
            "The picture stands there once for each word of the entity. One entity is one picture: one row, however "
            "many words it had.",
        ),
        Misconception(
            "at the end",
            at_the_end,
            "The pictures stand at the end of the sentence. What is left of what is then lost: put each where its "
            "words stood.",
        ),
        Misconception(
            "taken out",
            put(lambda own, region: []),
            "The words are gone and no picture came. Put the region where they stood.",
        ),
        Misconception(
            "mixed with the words",
            put(lambda own, region: [region + own.mean(0, keepdim=True)]),
            "The picture is added to the mean of its words, so that the words still tell what it shows. "
            "It stands in their place.",
        ),
        Misconception(
            "stop taken along",
            put(borders=lambda start, stop: (start, stop + 1)),
            "One word too many is replaced: the one at stop. An entity is words[start:stop], without stop itself.",
        ),
        Misconception(
            "places shift",
            places_shift,
            "The entities are replaced one after another, and the sentence has become shorter when the next one comes: "
            "start and stop count words of the sentence as it was. Collect the pieces instead, or go from right to "
            "left.",
        ),
        Misconception(
            "as listed",
            as_listed,
            "The entities are taken in the order of their list, as if that ran from left to right. Where it does not, "
            "words come twice or not at all. Sort by start, and keep each region with its entity.",
        ),
        Misconception(
            "reading order",
            put(order=in_reading_order),
            "The first region went to the leftmost entity. Region i belongs to entities[i], wherever that stands: "
            "sort both together.",
        ),
        Misconception(
            "reversed",
            put(order=lambda regions, entities: regions.flip(0)),
            "The pictures have changed places: the last region stands for the first entity. "
            "Region i belongs to entities[i].",
        ),
        Misconception(
            "first entity alone",
            first_alone,
            "Only entities[0] is replaced, the others are still words. Do it for each of them.",
        ),
        Misconception(
            "one picture for all",
            put(order=lambda regions, entities: regions[:1].expand_as(regions)),
            "The same region stands for every entity. Region i belongs to entities[i].",
        ),
    ),
    why="A picture takes the place of the words that it stands for, so what is said around it still holds. "
    "For whoever reads the rows a region is a word like any other.",
)


# ------------------------------------------------------------------------------------------ find.decide

Finding = tuple[list[float], list[float], bool]
Findings = tuple[Tensor, Tensor, list[bool], float]


def draw_findings(g: Generator, findings: list[Finding], enough: float = 0.6, off: float = 0.02) -> Findings:
    """What was reached, what a probe reads, whether it was trained for; in any order, all off by a little."""
    order = torch.randperm(len(findings), generator=g).tolist()
    tables = []
    for column in (0, 1):
        table = torch.tensor([findings[i][column] for i in order], dtype=torch.float64)
        tables.append(table + off * (2 * torch.rand(table.shape, generator=g, dtype=torch.float64) - 1))
    return tables[0], tables[1], [findings[i][2] for i in order], enough


def runs_agree(measured: float, readable: float, trained: bool, runs: int = 3) -> Finding:
    """A finding whose runs agree."""
    return [measured] * runs, [readable] * runs, trained


ONE_OF_EACH = [
    runs_agree(0.8, 0.9, True),
    runs_agree(0.1, 0.2, True),
    runs_agree(0.2, 0.9, False),
    runs_agree(0.3, 0.9, True),
]


def draw_many_findings(g: Generator) -> Findings:
    """Twelve findings of all kinds; nothing lies near the bar."""
    values = torch.rand(12, 2, generator=g)
    values = torch.where(values < 0.5, 0.1 + 0.8 * values, 0.7 + 0.5 * (values - 0.5))
    trained = (torch.rand(12, generator=g) < 0.5).tolist()
    return draw_findings(g, [runs_agree(*pair, was) for pair, was in zip(values.tolist(), trained, strict=True)])


def decide_by_loop(measured: Tensor, readable: Tensor, trained: list[bool], enough: float) -> list[str]:
    """Finding by finding, question by question."""
    verdicts = []
    for got, can, was in zip(measured.tolist(), readable.tolist(), trained, strict=True):
        if sum(got) / len(got) >= enough:
            verdicts.append("nothing")
        elif sum(can) / len(can) < enough:
            verdicts.append("frozen features")
        else:
            verdicts.append("interface" if was else "training task")
    return verdicts


def verdict(got: float, can: float, was: bool, enough: float) -> str:
    """What limits one finding."""
    if got >= enough:
        return "nothing"
    return "frozen features" if can < enough else "interface" if was else "training task"


def decide_with(
    say: Callable[[float, float, bool, float], str] = verdict,
    merge: Callable[[Tensor], Tensor] = lambda runs: runs.mean(1),
) -> Callable[..., list[str]]:
    """Another rule for a finding, or another way from runs to one number."""

    def decide(measured: Tensor, readable: Tensor, trained: list[bool], enough: float) -> list[str]:
        rows = zip(merge(measured).tolist(), merge(readable).tolist(), trained, strict=True)
        return [say(*row, enough) for row in rows]

    return decide


def by_vote(measured: Tensor, readable: Tensor, trained: list[bool], enough: float) -> list[str]:
    """Run by run, and the verdict that comes most often."""
    runs = [decide_by_loop(measured[:, [i]], readable[:, [i]], trained, enough) for i in range(measured.shape[1])]
    said = list(zip(*runs, strict=True))
    return [max(own, key=own.count) for own in said]


def training_first(got: float, can: float, was: bool, enough: float) -> str:
    """The training is asked before the features."""
    if got >= enough:
        return "nothing"
    return "training task" if not was else "frozen features" if can < enough else "interface"


def without_training(got: float, can: float, was: bool, enough: float) -> str:
    """Nobody asks what it was trained on."""
    return verdict(got, can, True, enough)


def by_gap(got: float, can: float, was: bool, enough: float) -> str:
    """Whatever is below the probe is blamed."""
    return "nothing" if got >= can else verdict(min(got, enough - 1), can, was, enough)


DECIDE = Task(
    id="find.decide",
    title="What limits it?",
    function="decide",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("one of each kind", lambda g: draw_findings(g, ONE_OF_EACH)),
        Regime("one finding", lambda g: draw_findings(g, [runs_agree(0.3, 0.8, draw_int(g, 0, 1) == 1)])),
        Regime("neither readable nor trained", lambda g: draw_findings(g, [runs_agree(0.1, 0.2, False)])),
        Regime(
            "good without training",
            lambda g: draw_findings(g, [runs_agree(0.8, 0.9, False), runs_agree(0.7, 0.9, False)]),
        ),
        Regime("below the probe, and good", lambda g: draw_findings(g, [runs_agree(0.7, 0.95, True)])),
        Regime(
            "better than the probe",
            lambda g: draw_findings(g, [runs_agree(0.7, 0.5, True), runs_agree(0.7, 0.4, False)]),
        ),
        Regime("a lucky run", lambda g: draw_findings(g, [([0.9, 0.3, 0.3], [0.9, 0.9, 0.8], True)])),
        Regime("an unlucky run", lambda g: draw_findings(g, [([0.3, 0.9, 0.9], [0.9, 0.9, 0.8], True)])),
        Regime("two good runs and a bad one", lambda g: draw_findings(g, [([0.7, 0.7, 0.1], [0.9, 0.9, 0.8], False)])),
        Regime("one good run carries two", lambda g: draw_findings(g, [([0.5, 0.95, 0.5], [0.9, 0.9, 0.8], True)])),
        Regime("the probe was lucky", lambda g: draw_findings(g, [([0.2, 0.1, 0.2], [0.9, 0.4, 0.3], True)])),
        Regime("the probe was unlucky", lambda g: draw_findings(g, [([0.2, 0.1, 0.2], [0.3, 0.9, 0.9], False)])),
        Regime(
            "just enough",
            lambda g: draw_findings(g, [runs_agree(0.5, 0.75, True, 2), runs_agree(0.25, 0.5, True, 2)], 0.5, off=0.0),
        ),
        Regime(
            "a single run", lambda g: draw_findings(g, [runs_agree(m, r, t, 1) for (m, *_), (r, *_), t in ONE_OF_EACH])
        ),
        Regime("a higher bar", lambda g: draw_findings(g, [*ONE_OF_EACH, runs_agree(0.95, 0.97, True)], enough=0.85)),
        Regime("twelve findings", draw_many_findings),
    ),
    oracle=decide_by_loop,
    misconceptions=(
        Misconception(
            "training blamed first",
            decide_with(training_first),
            "The training is blamed for what the frozen features do not hold. More training cannot bring back what the "
            "encoders threw away: ask the probe first.",
        ),
        Misconception(
            "training forgotten",
            decide_with(without_training),
            "The interface is blamed for tasks that it was never trained on. Ask what it was trained on before you "
            "build a larger one.",
        ),
        Misconception(
            "probe forgotten",
            decide_with(lambda got, can, was, enough: verdict(got, enough, was, enough)),
            "The probe is never asked, so nothing is ever the features' fault. What a probe with labels cannot read "
            "off the frozen features, no interface can.",
        ),
        Misconception(
            "features blamed for all",
            decide_with(lambda got, can, was, enough: "nothing" if got >= enough else "frozen features"),
            "Every bad result is put down to the frozen features. Where the probe reads enough, they hold what is "
            "needed: look further.",
        ),
        Misconception(
            "trained means solved",
            decide_with(lambda got, can, was, enough: "nothing" if was else verdict(got, can, was, enough)),
            "Whatever it was trained on is taken to be solved. Look at what was measured.",
        ),
        Misconception(
            "not measured",
            decide_with(lambda got, can, was, enough: verdict(enough - 1, can, was, enough)),
            "Something is blamed even where the interface does well. Ask first whether it reaches enough.",
        ),
        Misconception(
            "measured and probe swapped",
            decide_with(lambda got, can, was, enough: verdict(can, got, was, enough)),
            "What was measured and what the probe reads have changed places. The interface is judged by measured.",
        ),
        Misconception(
            "gap to the probe",
            decide_with(by_gap),
            "The interface is blamed as soon as the probe reads more. The probe has labels and is nearly always ahead: "
            "the question is whether the interface reaches enough.",
        ),
        Misconception(
            "more than enough",
            decide_with(
                lambda got, can, was, enough: verdict(math.nextafter(got, -9), math.nextafter(can, -9), was, enough)
            ),
            "Exactly enough is not taken as enough. Ask whether it is at least that: >=.",
        ),
        Misconception(
            "best run",
            decide_with(merge=lambda runs: runs.amax(1)),
            "The best run speaks for all. Another seed may say something else: take the mean over the runs.",
        ),
        Misconception(
            "worst run",
            decide_with(merge=lambda runs: runs.amin(1)),
            "The worst run speaks for all. Another seed may say something else: take the mean over the runs.",
        ),
        Misconception(
            "first run",
            decide_with(merge=lambda runs: runs[:, 0]),
            "Only the first run is looked at. Take the mean over all runs.",
        ),
        Misconception(
            "runs vote",
            by_vote,
            "Each run gets a verdict of its own, and the most frequent one wins. Take the mean over the runs first, "
            "then decide once.",
        ),
    ),
    why="Ask in this order: is it good enough, could anybody read it off the frozen features, was it trained for it. "
    "Each answer names another repair: none, other encoders, another training task, a larger or longer trained "
    "interface.",
)


TASKS = (MASKS, CONDITIONAL_MASK, IOU, INTERLEAVE, DECIDE)
