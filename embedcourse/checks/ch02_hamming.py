"""Checks of chapter 2: count differences, make codes of bits, search with them, and judge what is lost."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from embedcourse.checks.draw import draw_int
from embedcourse.checks.task import AtSize, Misconception, Regime, Task

__all__ = ["TASKS"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def draw_places(g: Generator, d: int, differences: int) -> list[int]:
    """That many places out of d."""
    return torch.randperm(d, generator=g)[:differences].tolist()


# ------------------------------------------------------------------------------------------ hamming.count


def draw_word(g: Generator, length: int) -> str:
    """A word of small letters."""
    return "".join(LETTERS[i] for i in torch.randint(26, (length,), generator=g).tolist())


def draw_word_pair(g: Generator, length: int, differences: int) -> tuple[str, str]:
    """Two words that differ in so many places, never in all."""
    x = draw_word(g, length)
    y = list(x)
    for i in draw_places(g, length, differences):
        y[i] = LETTERS[(LETTERS.index(x[i]) + draw_int(g, 1, 25)) % 26]
    return x, "".join(y)


def draw_capital(g: Generator) -> tuple[str, str]:
    """A word, and the same word with a capital."""
    x = draw_word(g, draw_int(g, 4, 8))
    return x.capitalize(), x


def draw_longer(g: Generator) -> tuple[str, str]:
    """A word, and the same word with one more letter in it."""
    x = draw_word(g, draw_int(g, 4, 8))
    at = draw_int(g, 0, len(x))
    return x, x[:at] + draw_word(g, 1) + x[at:]


def draw_pair(g: Generator, rows: tuple[int, ...], d: int, low: int = -9, high: int = 9) -> tuple[Tensor, Tensor]:
    """Whole numbers in rows; each row differs in one to d − 1 places, there by 3 (1 and 4: XOR gives 5)."""
    x = torch.randint(low, high + 1, (*rows, d), generator=g)
    x[..., 0] = 1
    y = x.clone()
    for row in y.view(-1, d):
        row[[0, *draw_places(g, d - 1, draw_int(g, 0, d - 2))]] += 3
    return x, y


def draw_bits_pair(g: Generator) -> tuple[Tensor, Tensor]:
    """Two vectors of eight bits that differ in one to seven places."""
    x = torch.rand(8, generator=g) < 0.5
    y = x.clone()
    places = draw_places(g, 8, draw_int(g, 1, 7))
    y[places] = ~y[places]
    return x, y


def draw_nearly_equal(g: Generator) -> tuple[Tensor, Tensor]:
    """Two vectors that differ in two of six places, in one of them by very little."""
    x = torch.rand(6, generator=g, dtype=torch.float64) + 1
    y = x.clone()
    little, much = draw_places(g, 6, 2)
    y[little] += 1e-12
    y[much] -= 0.5
    return x, y


def draw_one_against_many(g: Generator) -> tuple[Tensor, Tensor]:
    """One row of five, and three rows of five."""
    x, y = draw_pair(g, (3,), 5)
    return x[0], y


def count_by_loop(x: Tensor | str, y: Tensor | str) -> Tensor | int:
    """Position by position."""
    if isinstance(x, str):
        if len(x) != len(y):
            raise ValueError(f"x and y: expected words of one length, got {len(x)} and {len(y)} letters")
        return sum(1 for i in range(len(x)) if x[i] != y[i])
    x, y = torch.broadcast_tensors(x, y)
    if x.dim() == 1:
        return torch.tensor(sum(1 for a, b in zip(x.tolist(), y.tolist(), strict=True) if a != b))
    return torch.stack([count_by_loop(a, b) for a, b in zip(x, y, strict=True)])


def words_else(of_tensors: Callable) -> Callable:
    """Right on words, one wrong idea on tensors."""
    return lambda x, y: count_by_loop(x, y) if isinstance(x, str) else of_tensors(x, y)


def tensors_else(of_words: Callable) -> Callable:
    """Right on tensors, one wrong idea on words."""
    return lambda x, y: of_words(x, y) if isinstance(x, str) else count_by_loop(x, y)


def truncated(x: str, y: str) -> int:
    """Zip stops at the end of the shorter word."""
    return sum(a != b for a, b in zip(x, y, strict=False))


def xor_of_values(x: Tensor, y: Tensor) -> Tensor:
    """Right on numbers with a fraction, which have no XOR."""
    return (x != y if x.is_floating_point() else x ^ y).sum(-1)


def absolute_differences(x: Tensor, y: Tensor) -> Tensor:
    """The Manhattan distance."""
    return (x != y if x.dtype == torch.bool else (x - y).abs()).sum(-1)


COUNT = Task(
    id="hamming.count",
    title="Count the differences",
    function="hamming",
    minutes=8,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("two words of one length", lambda g: draw_word_pair(g, draw_int(g, 5, 9), draw_int(g, 1, 4))),
        Regime("a word and itself", lambda g: draw_word_pair(g, 6, 0)),
        Regime("a capital is another letter", draw_capital),
        Regime("one letter more", draw_longer),
        Regime("words of unequal length", lambda g: (draw_word(g, draw_int(g, 6, 9)), draw_word(g, draw_int(g, 2, 4)))),
        Regime("two vectors of bits", draw_bits_pair),
        Regime("two vectors of whole numbers", lambda g: draw_pair(g, (), 6)),
        Regime("several rows at once", lambda g: draw_pair(g, (3,), 6)),
        Regime("as many rows as positions", lambda g: draw_pair(g, (4,), 4)),
        Regime("one row against many", draw_one_against_many),
        Regime("numbers that differ by very little", draw_nearly_equal),
        Regime("long vectors", lambda g: draw_pair(g, (2,), 1000)),
    ),
    oracle=count_by_loop,
    misconceptions=(
        Misconception(
            "fraction",
            words_else(lambda x, y: (x != y).double().mean(-1)),
            "This is the fraction of positions that differ, as SciPy returns it, and the count is asked for. "
            "Sum the differences instead of averaging them.",
        ),
        Misconception(
            "fraction of letters",
            tensors_else(lambda x, y: count_by_loop(x, y) / max(len(x), 1)),
            "For words this is the fraction of letters that differ, and the count is asked for. "
            "Leave out the division by the length.",
        ),
        Misconception(
            "xor of values",
            words_else(xor_of_values),
            "This adds up the XOR of the values: 1 and 4 give 5. "
            "A position that differs counts 1, whatever stands there: compare with !=.",
        ),
        Misconception(
            "size of the differences",
            words_else(absolute_differences),
            "This adds up how far apart the values are, which is the Manhattan distance of chapter 3. "
            "A position that differs counts 1, by however much it differs.",
        ),
        Misconception(
            "equal positions",
            lambda x, y: len(x) - count_by_loop(x, y) if isinstance(x, str) else (x == y).sum(-1),
            "This counts the positions that are equal. Count those that differ: a vector is at distance 0 to itself.",
        ),
        Misconception(
            "zip truncates",
            tensors_else(truncated),
            "zip stops at the end of the shorter word, so the rest is never looked at. "
            "The Hamming distance of words of unequal length is not defined: raise a ValueError.",
        ),
        Misconception(
            "missing letters counted",
            tensors_else(lambda x, y: truncated(x, y) + abs(len(x) - len(y))),
            "This counts each missing letter as a difference. "
            "The Hamming distance of words of unequal length is not defined: raise a ValueError.",
        ),
        Misconception(
            "one number for all rows",
            words_else(lambda x, y: (x != y).sum()),
            "This is one number for all rows together. Each row has its own distance: sum the last dimension only.",
        ),
        Misconception(
            "sum over the rows",
            words_else(lambda x, y: (x != y).sum(0)),
            "This sums down the rows, so you get a number for each column. Sum over the last dimension: sum(-1).",
        ),
        Misconception(
            "nearly equal taken for equal",
            words_else(lambda x, y: (~torch.isclose(x, y)).sum(-1)),
            "This forgives small differences. Hamming knows only equal and not equal: compare with !=.",
        ),
    ),
    why="Each position counts 1 or 0, however large the difference, and only the last dimension is summed, "
    "so every row keeps a distance of its own. Words of unequal length have no Hamming distance.",
    at_size=AtSize(lambda g: tuple(torch.randint(9, (2, 500, 4000), generator=g)), seconds=2.0),
)


# ---------------------------------------------------------------------------------------- hamming.binarize


def draw_batch_and_corpus(
    g: Generator, n: int, m: int, d: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Embeddings whose dimensions have means of their own, far from zero; the batch's mean is not the corpus's."""
    means = torch.arange(d) - d / 2 + 0.75
    corpus = means + torch.randn(m, d, generator=g)
    away = torch.randn(n, d, generator=g) + 0.5
    away = torch.where(away < 0, away - 0.1, away + 0.1)  # never so near to the mean that rounding decides the bit
    away[:, -2:] = torch.tensor([0.5, -0.5])  # above and below the corpus's mean
    return (corpus.mean(0) + away).to(dtype), corpus.to(dtype)


def draw_at_threshold(g: Generator) -> tuple[Tensor, Tensor]:
    """A corpus of whole numbers with an exact mean, and a batch with values that are that mean."""
    middle = torch.randint(-5, 6, (4,), generator=g).float()
    step = torch.randint(1, 4, (4,), generator=g).float()
    z = torch.stack([middle, middle + step, middle - 2 * step])
    return z, torch.stack([middle - step, middle, middle, middle + step])


def draw_one_sided(g: Generator, sign: int) -> tuple[Tensor, Tensor]:
    """Embeddings that are all positive, or all negative, as behind a ReLU."""
    return (torch.rand(4, 5, generator=g) + 0.1) * sign, (torch.rand(20, 5, generator=g) + 0.1) * sign


def bits_by_loop(z: Tensor, corpus: Tensor) -> Tensor:
    """Value by value against the mean of its column."""
    mean = [sum(column) / len(column) for column in corpus.double().T.tolist()]
    return torch.tensor([[value > mean[i] for i, value in enumerate(row)] for row in z.double().tolist()])


BINARIZE = Task(
    id="hamming.binarize",
    title="From numbers to bits",
    function="binarize",
    minutes=6,
    difficulty="easy",
    points=2,
    regimes=(
        Regime("a few embeddings", lambda g: draw_batch_and_corpus(g, 3, 6, 4)),
        Regime("one embedding", lambda g: draw_batch_and_corpus(g, 1, 5, 3)),
        Regime("as many rows as dimensions", lambda g: draw_batch_and_corpus(g, 4, 4, 4)),
        Regime("values at the threshold", draw_at_threshold),
        Regime("all values positive", lambda g: draw_one_sided(g, 1)),
        Regime("all values negative", lambda g: draw_one_sided(g, -1)),
        Regime("double precision", lambda g: draw_batch_and_corpus(g, 3, 7, 4, torch.float64)),
        Regime("384 dimensions", lambda g: draw_batch_and_corpus(g, 5, 12, 384)),
    ),
    oracle=bits_by_loop,
    misconceptions=(
        Misconception(
            "zero as threshold",
            lambda z, corpus: z > 0,
            "The threshold is zero here. Where a dimension is nearly always positive, that bit is nearly always 1 and "
            "tells nothing: compare with the corpus's mean of that dimension.",
        ),
        Misconception(
            "mean of the batch",
            lambda z, corpus: z > z.mean(0),
            "The threshold is the mean of the batch itself, so one embedding gets other bits in other company. "
            "Take the mean of the corpus, for queries too.",
        ),
        Misconception(
            "one threshold for all dimensions",
            lambda z, corpus: z > corpus.mean(),
            "This is one threshold for all dimensions. Each dimension has a mean of its own: corpus.mean(0).",
        ),
        Misconception(
            "median",
            lambda z, corpus: z > corpus.median(0).values,
            "The threshold is the median of each dimension here. A sensible one too, but the mean was asked for.",
        ),
        Misconception(
            "mean over the dimensions",
            lambda z, corpus: z > corpus.mean(1),
            "corpus.mean(1) is a mean for each row. You need one for each dimension, over all rows: corpus.mean(0).",
        ),
        Misconception(
            "signs",
            lambda z, corpus: (z - corpus.mean(0)).sign(),
            "These are signs, −1, 0 and 1. A bit is True or False, and a value at the threshold is not above it.",
        ),
        Misconception(
            "at the threshold",
            lambda z, corpus: z >= corpus.mean(0),
            "A value that equals the threshold gets a 1 here. Asked for is above the threshold: > and not >=.",
        ),
        Misconception(
            "upside down",
            lambda z, corpus: z < corpus.mean(0),
            "The bits are upside down: True where the value is above the corpus's mean.",
        ),
    ),
    why="Each dimension is compared with the mean of that dimension in the corpus, so about half the bits are 1 and "
    "each tells as much as it can. The threshold belongs to the corpus: a query gets its bits by the same rule.",
)


# ------------------------------------------------------------------------------------------ hamming.packed


def draw_codes(g: Generator, n: int, m: int, b: int) -> tuple[Tensor, Tensor]:
    """Codes of b bytes; in the first bytes 3 bits differ and 4 are common, so no two ways to count them agree."""
    x = torch.randint(256, (n, b), generator=g, dtype=torch.uint8)
    y = torch.randint(256, (m, b), generator=g, dtype=torch.uint8)
    x[0, 0], y[0, 0] = 0b0111_0111, 0b1011_0110
    return x, y


def draw_extremes(g: Generator) -> tuple[Tensor, Tensor]:
    """All bits 0 and all bits 1."""
    return torch.tensor([[0, 0], [255, 255]], dtype=torch.uint8), torch.tensor([[255, 255]] * 3, dtype=torch.uint8)


def draw_equal_codes(g: Generator) -> tuple[Tensor, Tensor]:
    """The same codes on both sides."""
    x, _ = draw_codes(g, 3, 3, 2)
    return x, x.clone()


def bits_that_differ(x: Tensor, y: Tensor) -> Tensor:
    """Every pair of codes, byte by byte, written in binary."""
    pairs = [[list(zip(a, b, strict=True)) for b in y.tolist()] for a in x.tolist()]
    return torch.tensor([[sum(bin(p ^ q).count("1") for p, q in pair) for pair in row] for row in pairs])


def ones(codes: Tensor) -> Tensor:
    """How many bits of each byte are 1."""
    return sum((codes.long() >> i) & 1 for i in range(8))


PACKED = Task(
    id="hamming.packed",
    title="Count bits inside bytes",
    function="packed_distance",
    minutes=12,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("codes of one byte", lambda g: draw_codes(g, 1, 1, 1)),
        Regime("codes of two bytes", lambda g: draw_codes(g, 2, 3, 2)),
        Regime("equal codes", draw_equal_codes),
        Regime("all zeros and all ones", draw_extremes),
        Regime("one code against many", lambda g: draw_codes(g, 1, 5, 3)),
        Regime("as many codes as bytes", lambda g: draw_codes(g, 4, 4, 4)),
        Regime("384 bits", lambda g: draw_codes(g, 5, 7, 48)),
    ),
    oracle=bits_that_differ,
    misconceptions=(
        Misconception(
            "bytes instead of bits",
            lambda x, y: (x[:, None] != y).sum(-1),
            "This counts the bytes that differ. One byte holds eight bits, of which one to eight may differ: "
            "count the ones in x ^ y.",
        ),
        Misconception(
            "xor as a number",
            lambda x, y: (x[:, None] ^ y).sum(-1),
            "This adds up the XOR as a number: one high bit that differs gives 128. Count the ones in the XOR instead.",
        ),
        Misconception(
            "difference of the values",
            lambda x, y: (x[:, None].long() - y.long()).abs().sum(-1),
            "This subtracts the bytes as numbers: 127 and 128 are neighbours as numbers, "
            "yet all eight bits differ. XOR them and count the ones.",
        ),
        Misconception(
            "bits in common",
            lambda x, y: ones(x[:, None] & y).sum(-1),
            "& keeps the ones that both codes have, which measures likeness. "
            "The bits that differ are the ones of x ^ y.",
        ),
        Misconception(
            "either bit",
            lambda x, y: ones(x[:, None] | y).sum(-1),
            "| keeps the ones that either code has, so equal codes are not at distance 0. "
            "The bits that differ are the ones of x ^ y.",
        ),
        Misconception(
            "row against row",
            lambda x, y: ones(x ^ y).sum(-1),
            "This compares row with row of the same number. "
            "Every code of x is to be compared with every code of y: x[:, None] makes room for that.",
        ),
        Misconception(
            "transposed",
            lambda x, y: ones(x ^ y[:, None]).sum(-1),
            "The table is transposed: rows belong to x, columns to y.",
        ),
    ),
    why="XOR leaves a 1 where two bits differ, and a table of 256 counts tells how many ones a byte holds. "
    "That is the Hamming distance of the bits, without ever unpacking them.",
    at_size=AtSize(lambda g: draw_codes(g, 50, 1000, 48), seconds=3.0),
)


# ------------------------------------------------------------------------------------------ hamming.search


def draw_search(g: Generator, n: int, d: int, k: int, candidates: int) -> tuple[Tensor, Tensor, int, int]:
    """A query and a corpus of unit vectors in which the codes and the floats disagree on the best.

    Row 3 has the query's code but points elsewhere; row 5 points nearly as the query does, with other signs where
    the query is small.
    """
    query = torch.randn(d, generator=g).sign() * (torch.rand(d, generator=g) + 0.5)
    small = draw_places(g, d, d // 2)
    query[small] *= 0.02
    corpus = torch.randn(n, d, generator=g)
    corpus[3] = query.sign() * 0.05
    corpus[3, small] *= 30
    corpus[5] = query
    corpus[5, small] *= -1
    corpus[[0, n - 1]] = -query + 0.1 * torch.randn(2, d, generator=g)
    corpus[n // 2 : n // 2 + k + 1] = query + 0.4 * query.abs() * torch.randn(k + 1, d, generator=g)
    return query / query.norm(), corpus / corpus.norm(dim=1, keepdim=True), k, candidates


def draw_with_ties(g: Generator) -> tuple[Tensor, Tensor, int, int]:
    """Only three bits, so that about fifty rows have the query's own code and the short list holds only thirty."""
    return torch.randn(3, generator=g), torch.randn(400, 3, generator=g), 10, 30


def draw_with_zeros(g: Generator) -> tuple[Tensor, Tensor, int, int]:
    """Many numbers are exactly zero, as behind a ReLU, in the query too; zero is not above zero."""
    query, corpus = torch.randn(12, generator=g), torch.randn(60, 12, generator=g)
    query[:4] = 0
    return query, corpus * (torch.rand(60, 12, generator=g) < 0.6), 12, 12


def search_by_loop(query: Tensor, corpus: Tensor, k: int, candidates: int) -> Tensor:
    """Sort all rows by bits, then the first of them by floats."""
    bits = [sum((q > 0) != (c > 0) for q, c in zip(query.tolist(), row, strict=True)) for row in corpus.tolist()]
    short_list = sorted(range(len(corpus)), key=lambda i: (bits[i], i))[:candidates]
    score = {i: sum(q * c for q, c in zip(query.tolist(), corpus[i].tolist(), strict=True)) for i in short_list}
    return torch.tensor(sorted(short_list, key=lambda i: -score[i])[:k])


def bit_distances(query: Tensor, corpus: Tensor) -> Tensor:
    """Bits that differ from the query's, a row."""
    return ((query > 0) != (corpus > 0)).sum(-1)


def short_list_of(query: Tensor, corpus: Tensor, candidates: int) -> Tensor:
    """The rows whose codes are nearest, ties in the order of the rows."""
    return bit_distances(query, corpus).argsort(stable=True)[:candidates]


def farthest_codes(query: Tensor, corpus: Tensor, k: int, candidates: int) -> Tensor:
    """The short list from the wrong end."""
    short_list = bit_distances(query, corpus).argsort(stable=True, descending=True)[:candidates]
    return short_list[(corpus[short_list] @ query).argsort(descending=True)[:k]]


def places_in_list(query: Tensor, corpus: Tensor, k: int, candidates: int) -> Tensor:
    """Numbers of the short list taken for numbers of the corpus."""
    return (corpus[short_list_of(query, corpus, candidates)] @ query).argsort(descending=True)[:k]


def first_rows_rescored(query: Tensor, corpus: Tensor, k: int, candidates: int) -> Tensor:
    """Scores of the first rows of the corpus put beside the ids of the short list."""
    short_list = short_list_of(query, corpus, candidates)
    return short_list[(corpus[:candidates] @ query).argsort(descending=True)[:k]]


def worst_first(query: Tensor, corpus: Tensor, k: int, candidates: int) -> Tensor:
    """Scores sorted like distances."""
    short_list = short_list_of(query, corpus, candidates)
    return short_list[(corpus[short_list] @ query).argsort()[:k]]


def cut_too_early(query: Tensor, corpus: Tensor, k: int, candidates: int) -> Tensor:
    """The short list as short as the answer."""
    short_list = short_list_of(query, corpus, k)
    return short_list[(corpus[short_list] @ query).argsort(descending=True)]


def ties_in_any_order(query: Tensor, corpus: Tensor, k: int, candidates: int) -> Tensor:
    """The short list by topk."""
    short_list = bit_distances(query, corpus).topk(candidates, largest=False).indices
    return short_list[(corpus[short_list] @ query).argsort(descending=True)[:k]]


SEARCH = Task(
    id="hamming.search",
    title="Search twice: first bits, then floats",
    function="search",
    minutes=15,
    difficulty="hard",
    points=4,
    regimes=(
        Regime("a small corpus", lambda g: draw_search(g, 12, 8, 2, 5)),
        Regime("only the best one", lambda g: draw_search(g, 30, 32, 1, 6)),
        Regime("a long short list", lambda g: draw_search(g, 40, 24, 4, 20)),
        Regime("a short list of exactly k", lambda g: draw_search(g, 40, 24, 4, 4)),
        Regime("the whole corpus as short list", lambda g: draw_search(g, 20, 16, 3, 20)),
        Regime("many ties", draw_with_ties),
        Regime("numbers that are zero", draw_with_zeros),
        Regime("384 dimensions", lambda g: draw_search(g, 24, 384, 4, 10)),
    ),
    oracle=search_by_loop,
    misconceptions=(
        Misconception(
            "no rescoring",
            lambda q, c, k, candidates: short_list_of(q, c, k),
            "These are the nearest codes, in the order of their bits. "
            "The second step is missing: sort the short list by the dot product with the query.",
        ),
        Misconception(
            "floats only",
            lambda q, c, k, candidates: (c @ q).argsort(descending=True)[:k],
            "This compares the query with every row in floats, so nothing is saved. "
            "Only the rows of the short list, chosen by their bits, may be scored in floats.",
        ),
        Misconception(
            "farthest codes",
            farthest_codes,
            "The short list holds the codes that differ most. A distance is good when it is small: sort ascending.",
        ),
        Misconception(
            "places in the short list",
            places_in_list,
            "These are places in the short list, not rows of the corpus. "
            "Translate them back: short_list[best] instead of best.",
        ),
        Misconception(
            "other rows rescored",
            first_rows_rescored,
            "The scores belong to the first rows of the corpus, not to the rows of the short list. "
            "Score corpus[short_list].",
        ),
        Misconception(
            "worst first",
            worst_first,
            "The last step sorts the scores upwards, so the worst come first. "
            "A similarity is good when it is large: sort descending.",
        ),
        Misconception(
            "short list of k",
            cut_too_early,
            "The short list has only k rows, so floats can reorder the answer but cannot repair it. "
            "Keep all the candidates until the scores are known.",
        ),
        Misconception(
            "ties in any order",
            ties_in_any_order,
            "Many codes are at one and the same distance, and topk promises no order among them. "
            "Use argsort(stable=True), so that earlier rows come first.",
        ),
    ),
    why="Bits choose the short list cheaply, floats put it in order. Only the candidates are ever scored in floats, "
    "and their places are translated back to rows of the corpus.",
)


# ------------------------------------------------------------------------------------------ hamming.recall


def draw_found(g: Generator, q: int, k: int, found: int, hits: int) -> tuple[Tensor, Tensor]:
    """True ids, and found ids of which up to that many are true, in mixed order and never in their own place."""
    ids = torch.stack([torch.randperm(40 * (k + found), generator=g)[: k + found] for _ in range(q)])
    true, rest = ids[:, :k], ids[:, k:]
    rows = []
    for i in range(q):
        mine = min(hits, draw_int(g, 0, hits)) if i else hits  # the first query has them all, so that there is one
        rows.append(torch.cat([rest[i, : found - mine], true[i, :mine]]))
    return torch.stack(rows), true.clone()


def draw_other_order(g: Generator) -> tuple[Tensor, Tensor]:
    """The same ids, each list turned by one place."""
    _, true = draw_found(g, 3, 4, 4, 0)
    return true.roll(1, dims=1), true


def draw_found_elsewhere(g: Generator) -> tuple[Tensor, Tensor]:
    """Each query finds what the query before it was to find."""
    _, true = draw_found(g, 3, 3, 3, 0)
    return true.roll(1, dims=0), true


def recall_by_loop(found: Tensor, true: Tensor) -> float:
    """Query by query, id by id."""
    hits = [sum(i in row for i in wanted) for row, wanted in zip(found.tolist(), true.tolist(), strict=True)]
    return sum(hits) / true.numel()


def hits_of(found: Tensor, true: Tensor) -> Tensor:
    """Which true ids were found, wherever they stand."""
    return (true[:, :, None] == found[:, None, :]).any(-1)


def same_place(found: Tensor, true: Tensor) -> float:
    """Only ids in their own place count."""
    k = min(found.shape[1], true.shape[1])
    return (found[:, :k] == true[:, :k]).sum().item() / true.numel()


RECALL = Task(
    id="hamming.recall",
    title="How much was found?",
    function="recall",
    minutes=8,
    difficulty="medium",
    points=2,
    regimes=(
        Regime("some found", lambda g: draw_found(g, 3, 4, 4, 2)),
        Regime("found in another order", draw_other_order),
        Regime("nothing found", lambda g: draw_found(g, 2, 3, 3, 0)),
        Regime("more found than wanted", lambda g: draw_found(g, 3, 2, 6, 2)),
        Regime("fewer found than wanted", lambda g: draw_found(g, 3, 5, 2, 1)),
        Regime("found for another query", draw_found_elsewhere),
        Regime("one query", lambda g: draw_found(g, 1, 3, 5, 2)),
        Regime("as many queries as ids", lambda g: draw_found(g, 4, 4, 4, 3)),
        Regime("many queries", lambda g: draw_found(g, 50, 10, 10, 7)),
    ),
    oracle=recall_by_loop,
    misconceptions=(
        Misconception(
            "order required",
            same_place,
            "An id counts here only if it stands in its own place. "
            "Recall asks whether it was found at all: the two rows are sets.",
        ),
        Misconception(
            "precision",
            lambda found, true: hits_of(found, true).sum().item() / found.numel(),
            "This divides by the number of ids found, which is precision. Recall divides by the number of true ids.",
        ),
        Misconception(
            "at least one",
            lambda found, true: hits_of(found, true).any(-1).double().mean().item(),
            "This is the share of queries with at least one hit. Recall counts every true id that was found.",
        ),
        Misconception(
            "all or nothing",
            lambda found, true: hits_of(found, true).all(-1).double().mean().item(),
            "This is the share of queries for which all true ids were found. Recall counts a part as a part.",
        ),
        Misconception(
            "any query's ids",
            lambda found, true: torch.isin(true, found).double().mean().item(),
            "An id that was found for another query counts here. Compare each row with the row of its own query.",
        ),
        Misconception(
            "count",
            lambda found, true: hits_of(found, true).sum().item(),
            "This is the number of hits. Recall is a share between 0 and 1: divide by the number of true ids.",
        ),
    ),
    why="Recall is the share of the true ids that were found, wherever they stand in the list, "
    "and it divides by how many there were to find.",
)


# ------------------------------------------------------------------------------------------ hamming.choose

Method = tuple[str, float, int, float]


def draw_methods(g: Generator, speeds: tuple[float, float, float, float]) -> list[Method]:
    """Four ways to search, by name, recall, bytes a vector in memory and milliseconds a query, in mixed order."""
    d = 64 * draw_int(g, 2, 16)
    slack = [draw_int(g, 0, 3) / 100 for _ in range(3)]
    by_recall = [
        ("float", 1.0, 4 * d),
        ("int8", 0.98 - slack[0] / 4, d),
        ("binary + rescoring", 0.93 - slack[1], d // 8),
        ("binary", 0.70 - slack[2], d // 8),
    ]
    methods = [(*m, speed * draw_int(g, 10, 14) / 10) for m, speed in zip(by_recall, speeds, strict=True)]
    return [methods[i] for i in torch.randperm(4, generator=g)]


def one_of(methods: list[Method], name: str) -> Method:
    """The method of that name."""
    return next(m for m in methods if m[0] == name)


BITS_FAST, FLOAT_FAST = (16.0, 8.0, 4.0, 1.0), (1.0, 2.0, 4.0, 8.0)


def draw_choice(
    g: Generator, speeds: tuple[float, float, float, float], wanted: str, room_for: str, room: float = 1.0
) -> tuple[list[Method], float, int, int]:
    """Wanted is the recall of one method, and there is room for another."""
    methods = draw_methods(g, speeds)
    vectors = 1000 * draw_int(g, 1, 5000)
    return methods, one_of(methods, wanted)[1], vectors, int(vectors * one_of(methods, room_for)[2] * room)


def fitting(methods: list[Method], wanted_recall: float, vectors: int, memory: int) -> list[Method]:
    """The methods that find enough and fit."""
    return [m for m in methods if m[1] >= wanted_recall and vectors * m[2] <= memory]


def fastest(methods: list[Method]) -> str | None:
    """The name of the fastest, or None when there is none."""
    return min(methods, key=lambda m: m[3])[0] if methods else None


def choose_by_loop(methods: list[Method], wanted_recall: float, vectors: int, memory: int) -> str | None:
    """One method after the other."""
    best, best_ms = None, float("inf")
    for name, found, size, ms in methods:
        if found >= wanted_recall and size * vectors <= memory and ms < best_ms:
            best, best_ms = name, ms
    return best


def nearest_miss(methods: list[Method], wanted_recall: float, vectors: int, memory: int) -> str:
    """When nothing will do, the one with the best recall all the same."""
    choice = fastest(fitting(methods, wanted_recall, vectors, memory))
    return choice or max(methods, key=lambda m: m[1])[0]


def most_accurate(methods: list[Method], wanted_recall: float, vectors: int, memory: int) -> str | None:
    """The best recall of those that will do."""
    return max((m[1], m[0]) for m in f)[1] if (f := fitting(methods, wanted_recall, vectors, memory)) else None


def slowest(methods: list[Method], wanted_recall: float, vectors: int, memory: int) -> str | None:
    """The most milliseconds of those that will do."""
    return max((m[3], m[0]) for m in f)[1] if (f := fitting(methods, wanted_recall, vectors, memory)) else None


CHOOSE = Task(
    id="hamming.choose",
    title="Choose with the numbers in hand",
    function="choose",
    minutes=10,
    difficulty="medium",
    points=3,
    regimes=(
        Regime("everything will do", lambda g: draw_choice(g, BITS_FAST, "binary", "float", 2.0)),
        Regime("the fastest finds too little", lambda g: draw_choice(g, BITS_FAST, "binary + rescoring", "float", 2.0)),
        Regime("the fastest does not fit", lambda g: draw_choice(g, FLOAT_FAST, "binary", "int8", 1.5)),
        Regime("room to the byte", lambda g: draw_choice(g, FLOAT_FAST, "binary", "float")),
        Regime("recall to the digit", lambda g: draw_choice(g, BITS_FAST, "int8", "float", 2.0)),
        Regime("a quarter of the room", lambda g: draw_choice(g, FLOAT_FAST, "int8", "float", 0.25)),
        Regime("nothing fits", lambda g: draw_choice(g, FLOAT_FAST, "binary", "binary", 0.5)),
        Regime("nothing finds enough in that room", lambda g: draw_choice(g, BITS_FAST, "float", "binary", 1.5)),
    ),
    oracle=choose_by_loop,
    misconceptions=(
        Misconception(
            "best recall",
            most_accurate,
            "This takes the best recall of those that will do. More than the wanted recall is not asked for: "
            "among those that will do, take the fastest.",
        ),
        Misconception(
            "memory ignored",
            lambda methods, wanted, vectors, memory: fastest([m for m in methods if m[1] >= wanted]),
            "The choice does not fit into the memory. All vectors must fit: vectors * bytes a vector <= memory.",
        ),
        Misconception(
            "recall ignored",
            lambda methods, wanted, vectors, memory: fastest([m for m in methods if vectors * m[2] <= memory]),
            "The choice finds too little. First keep the methods that reach the wanted recall, then take the fastest.",
        ),
        Misconception(
            "bits taken for bytes",
            lambda methods, wanted, vectors, memory: fastest(fitting(methods, wanted, vectors, 8 * memory)),
            "The sizes are divided by 8 here, but they are bytes already, not bits.",
        ),
        Misconception(
            "something at any price",
            nearest_miss,
            "Where no method will do, the honest answer is None. "
            "A method that breaks the wish for recall or memory is no answer.",
        ),
        Misconception(
            "slowest",
            slowest,
            "This is the slowest of those that will do: fewer milliseconds are better, so take the minimum.",
        ),
    ),
    why="Recall and memory are wishes that must be met, time is what is left to save: keep what meets both wishes, "
    "take the fastest of it, and say None when nothing does.",
)


TASKS = (COUNT, BINARIZE, PACKED, SEARCH, RECALL, CHOOSE)
