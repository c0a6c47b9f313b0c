"""Every point against every point: a matrix of distances, or the nearest neighbours without the matrix."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64, Num, Shaped
from torch import Tensor

from embedcourse.distances._arguments import check_pair, check_tensor, difference, result_dtype
from embedcourse.distances.arc_length import from_chords
from embedcourse.distances.cosine import unit, within_one
from embedcourse.distances.euclidean import norm
from embedcourse.distances.hamming import check_packed, comparable, unpack_bits
from embedcourse.distances.mahalanobis import apply_whitening, cholesky_factor

__all__ = ["METRICS", "Neighbours", "cdist", "nearest"]


def cdist(
    x: Shaped[Tensor, "n d"],
    y: Shaped[Tensor, "m d"] | None = None,
    metric: str = "euclidean",
    *,
    chunk_size: int | None = None,
    **options: Any,
) -> Num[Tensor, "n m"]:
    """The measure between every row of x and every row of y (of x itself without y).

    metric: one of `METRICS`, the measures' own names, or an alias: cityblock, l1 (manhattan), l2 (euclidean),
        cosine (cosine_similarity), arc (negative_arc_length). Similarities stay similarities: "cosine" is 1 where
        scipy's is 0. "packed_hamming" takes codes made by `pack_bits`.
    chunk_size: rows of x worked on at a time, which bounds the temporary memory; None chooses a size that is fast.
        Where gradients are recorded, memory grows with n·m whatever the chunks.
    options: normalize (hamming), squared (euclidean, mahalanobis), covariance (mahalanobis, required).

    As exact as the measure itself for every pair, on CPU at the speed of a matrix product; the diagonal of x against
    itself is exactly 0 for distances. NaN in a row gives NaN in that row's results. Gradients exist to second order,
    for manhattan to first. Zero rows give an empty matrix.

    Range, dtype: as the measure.
    Raises: TypeError and ValueError as the measure; ValueError for an unknown metric or option or a bad chunk_size.
    Source: the conventions of `scipy.spatial.distance.cdist`; the algorithm is at `_Distances`.
    """
    with torch.autocast(_check_rows(x, x if y is None else y), enabled=False):
        pairs = _pairs(x, x if y is None else y, metric, options)
        rows = _check_chunk(chunk_size) or _rows_for(len(pairs.y))
        return torch.cat([pairs.block(block, pairs.y) for block in pairs.x.split(rows)])


class Neighbours(NamedTuple):
    """The k best rows of y for every row of x, best first."""

    values: Num[Tensor, "n k"]
    indices: Int64[Tensor, "n k"]


def nearest(
    x: Shaped[Tensor, "n d"],
    y: Shaped[Tensor, "m d"],
    k: int,
    metric: str = "euclidean",
    *,
    chunk_size: int | None = None,
    **options: Any,
) -> Neighbours:
    """The k rows of y nearest to every row of x: smallest distances or largest similarities, best first.

    Among equals the lowest index comes first, also where only some of them fit into k.
    Works on blocks of chunk_size rows of x against chunk_size rows of y and never holds the n × m matrix.
    metric and options are those of `cdist`. The values carry no gradient: for one, measure x against y[indices].

    Raises: as `cdist`; ValueError for NaN or infinity, or k outside 1…m.
    Source: exact search as `IndexFlat` of Johnson, Douze and Jégou (2017), "Billion-scale similarity search with GPUs".
    """
    with torch.autocast(_check_rows(x, y), enabled=False), torch.no_grad():
        _check_k(k, len(y))
        _check_finite(x, "x")
        _check_finite(y, "y")
        pairs = _pairs(x, y, metric, options)
        rows, columns = [_check_chunk(chunk_size)] * 2 if chunk_size is not None else _TILE
        found = [_search(block, pairs, k, columns) for block in pairs.x.split(rows)]
        return Neighbours(*(torch.cat(part) for part in zip(*found, strict=True)))


_TILE = (512, 4096)  # rows of x, rows of y: 16 MB of float64


def _rows_for(m: int) -> int:
    """Rows of x in a block: 8 MB of float64, but 512 rows if 128 MB hold them, as every block prepares all of y."""
    return max(64, 2**20 // max(1, m), min(512, 2**24 // max(1, m)))


class _Pairs(NamedTuple):
    """Rows made ready once (normalised, whitened…), and what compares a block of them with another."""

    x: Tensor
    y: Tensor
    block: Callable[[Tensor, Tensor], Tensor]
    largest: bool = False  # whether more is nearer


def _pairs(x: Tensor, y: Tensor, metric: str, options: dict[str, Any]) -> _Pairs:
    name = _ALIASES.get(metric, metric) if isinstance(metric, str) else metric
    if name not in METRICS:
        raise ValueError(f"metric must be one of {', '.join((*METRICS, *_ALIASES))}; got {metric!r}")
    measure = _MEASURES[name]
    known = [option for option, kind in inspect.signature(measure).parameters.items() if kind.kind == kind.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            takes = f"takes only {', '.join(known)}" if known else "takes no option"
            raise ValueError(f"unknown option {option!r}: {name} {takes} (and chunk_size)")
    return measure(x, y, **options)


# Each measure for all pairs, in the order of the lessons.


def _hamming(x: Tensor, y: Tensor, *, normalize: bool = False) -> _Pairs:
    d, dtype = x.shape[-1], torch.get_default_dtype()
    if x.dtype == y.dtype == torch.bool:
        # Zeros and ones are exact in every float format, and so are the sums of their products.
        x, y, count = x.float(), y.float(), _count_unequal_bits
    elif _exact_in_float64(x) and _exact_in_float64(y):
        x, y, count = x.detach().to(_wide(x)), y.detach().to(_wide(x)), _count_nonzero_differences
    else:
        (x, y), count = comparable(x, y), _count_unequal
    return _Pairs(x, y, lambda a, b: count(a, b).to(dtype) / d if normalize else count(a, b))


def _packed_hamming(x: Tensor, y: Tensor) -> _Pairs:
    check_packed(x, "x")
    check_packed(y, "y")
    # Unpacked block by block: a matrix product of bits is faster than counting ones pair by pair.
    return _Pairs(x, y, lambda a, b: _count_unequal_bits(unpack_bits(a).float(), unpack_bits(b).float()))


def _count_unequal_bits(x: Tensor, y: Tensor) -> Tensor:
    """Ones of x and ones of y, less twice the ones they share."""
    return (x.sum(1, keepdim=True) + y.sum(1) - 2 * (x @ y.T)).long()


def _exact_in_float64(x: Tensor) -> bool:
    """Whether x's differences as float64 are 0 for equal values alone: ∞ − ∞ is not, nor are integers from 2⁵³ on."""
    if x.device.type == "mps":  # no float64 there
        return False
    exact = x.isfinite() if x.is_floating_point() else (x.long() > -(2**53)) & (x.long() < 2**53)
    return bool(exact.all())


def _count_nonzero_differences(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, p=0.0).round().long()


def _count_unequal(x: Tensor, y: Tensor) -> Tensor:
    """Position after position, for values that cannot be subtracted; no n × m × d comparison is held."""
    count = torch.zeros(len(x), len(y), dtype=torch.int32, device=x.device)
    for column, other in zip(x.T.contiguous(), y.T.contiguous(), strict=True):
        count += column[:, None] != other
    return count.long()


def _manhattan(x: Tensor, y: Tensor) -> _Pairs:
    whole = not (x.is_floating_point() or y.is_floating_point())
    dtype = result_dtype(x, y)

    def block(a: Tensor, b: Tensor) -> Tensor:
        distance = torch.cdist(a, b, p=1.0)
        return distance.round().long() if whole else distance.to(dtype)

    return _Pairs(*_floats(x, y), block)


def _euclidean(x: Tensor, y: Tensor, *, squared: bool = False) -> _Pairs:
    dtype = result_dtype(x, y)
    x, y = _floats(x, y)
    scale = _scale(x, y)
    unscale = scale.square() if squared else scale

    def block(a: Tensor, b: Tensor) -> Tensor:
        return (_Distances.apply(a, b, squared, _threshold(dtype)) * unscale).to(dtype)

    return _Pairs(x / scale, y / scale, block)


def _mahalanobis(x: Tensor, y: Tensor, *, covariance: Tensor | None = None, squared: bool = False) -> _Pairs:
    if covariance is None:
        raise ValueError("mahalanobis needs covariance=, a (d, d) tensor: GaussianReference().fit(data).covariance")
    dtype = result_dtype(x, y, covariance)
    factor = cholesky_factor(covariance, x)
    anchor = y[:1] if len(y) else x[:1]  # small numbers in, so that the whitening rounds little
    x, y = (apply_whitening(factor, difference(rows, anchor)) for rows in (x, y))
    return _Pairs(x, y, lambda a, b: _Distances.apply(a, b, squared, _threshold(dtype)).to(dtype))


def _cosine_similarity(x: Tensor, y: Tensor) -> _Pairs:
    dtype, wide = result_dtype(x, y), _wide(x)
    return _Pairs(unit(x.to(wide)), unit(y.to(wide)), lambda a, b: within_one(a @ b.T).to(dtype), largest=True)


def _negative_arc_length(x: Tensor, y: Tensor) -> _Pairs:
    dtype, wide = result_dtype(x, y), _wide(x)

    def block(u: Tensor, v: Tensor) -> Tensor:
        minus = _Distances.apply(u, v, False, _threshold(dtype))
        plus = _Distances.apply(u, -v, False, _threshold(dtype))
        return from_chords(minus, plus).to(dtype)

    return _Pairs(unit(x.to(wide)), unit(y.to(wide)), block, largest=True)


_MEASURES: dict[str, Callable[..., _Pairs]] = {
    "hamming": _hamming,
    "packed_hamming": _packed_hamming,
    "manhattan": _manhattan,
    "euclidean": _euclidean,
    "mahalanobis": _mahalanobis,
    "cosine_similarity": _cosine_similarity,
    "negative_arc_length": _negative_arc_length,
}
_ALIASES = {
    "cityblock": "manhattan",
    "l1": "manhattan",
    "l2": "euclidean",
    "cosine": "cosine_similarity",
    "arc": "negative_arc_length",
}
#: The names that `cdist` and `nearest` know.
METRICS = tuple(_MEASURES)


def _wide(x: Tensor) -> torch.dtype:
    """Half precision included: the expansion of a square needs all digits that it can get."""
    return torch.float32 if x.device.type == "mps" else torch.float64


def _floats(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both as floats, for a measure of differences: large integers are first moved near 0, where none is lost."""
    if x.is_floating_point() or y.is_floating_point():
        # On an accelerator differences are taken directly, which needs no more digits than the answer has.
        wide = torch.float64 if x.device.type == "cpu" else torch.promote_types(result_dtype(x, y), torch.float32)
        return x.to(wide), y.to(wide)
    anchor = y[:1] if len(y) else x[:1]
    return difference(x, anchor), difference(y, anchor)


def _scale(x: Tensor, y: Tensor) -> Tensor:
    """The power of two below the largest finite entry: dividing by it is exact, and then no square overflows."""
    entries = torch.cat([x.detach().flatten(), y.detach().flatten(), x.new_zeros(1)])
    largest = torch.where(entries.isfinite(), entries.abs(), 0).amax()
    return torch.where(largest > 0, largest.log2().floor().exp2(), 1)


def _threshold(dtype: torch.dtype) -> float:
    """Below this share of ‖x‖² + ‖y‖² the expanded square, computed in float64, has lost digits that dtype shows."""
    return 1e-3 if dtype == torch.float64 else 1e-6


class _Distances(torch.autograd.Function):
    """‖x − y‖ (or its square) for all pairs of rows, as exact as by differences and as fast as a matrix product.

    ‖x‖² + ‖y‖² − 2 xᵀy costs one product but cancels for close points. So the rows are centred, the sum is taken in
    float64, and the few pairs for which it still cancels are computed again from their difference.
    Backward has the same shape: one product for the far pairs, differences for the close ones; coincident points
    get gradient 0. It is made of differentiable operations, so a second derivative exists.

    Source: scikit-learn's `euclidean_distances` (float64 blocks); the recomputation of close pairs is this package's.
    """

    @staticmethod
    def forward(x: Tensor, y: Tensor, squared: bool, threshold: float) -> Tensor:
        if x.device.type != "cpu":
            return _direct(x, y, squared)
        centre = _centre(y)
        total, square = _expansion(x - centre, y - centre)
        close = ~(square > total.mul_(threshold))  # true for NaN, which an infinite entry makes of the expansion
        rows, columns = close.nonzero(as_tuple=True)
        if 16 * len(rows) > close.numel():
            return _direct(x, y, squared)
        distance = square if squared else square.sqrt_()
        for i, j in _portions(rows, columns, x.shape[1]):
            delta = x[i] - y[j]
            distance[i, j] = delta.square().sum(1) if squared else norm(delta)
        return distance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, y, ctx.squared, ctx.threshold = inputs
        ctx.save_for_backward(x, y, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, y, distance = ctx.saved_tensors
        wide = _wide(x)
        grad_x, grad_y = _gradients(
            x.to(wide), y.to(wide), distance.to(wide), gradient.to(wide), ctx.squared, ctx.threshold
        )
        return grad_x.to(x.dtype), grad_y.to(y.dtype), None, None


def _direct(x: Tensor, y: Tensor, squared: bool) -> Tensor:
    distance = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.square() if squared else distance


def _centre(y: Tensor) -> Tensor:
    """Mean of the finite entries of each feature: one NaN must not spread to every pair."""
    y = y.detach()
    return torch.where(y.isfinite(), y, 0).sum(0) / max(1, len(y))


def _expansion(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """‖x‖² + ‖y‖², and the same less 2 xᵀy."""
    total = x.square().sum(1, keepdim=True) + y.square().sum(1)
    return total, torch.addmm(total, x, y.T, alpha=-2)


def _portions(rows: Tensor, columns: Tensor, d: int) -> Iterator[tuple[Tensor, Tensor]]:
    """So many pairs at a time that their differences take no more than 32 MB."""
    size = max(1, 2**22 // d)
    return zip(rows.split(size), columns.split(size), strict=True)


def _gradients(
    x: Tensor, y: Tensor, distance: Tensor, gradient: Tensor, squared: bool, threshold: float
) -> tuple[Tensor, Tensor]:
    """Σⱼ wᵢⱼ (xᵢ − yⱼ) and its mirror, with w = 2·gradient of the square or gradient/distance of the distance."""
    positive = distance > 0
    pull = 2 * gradient if squared else torch.where(positive, gradient / torch.where(positive, distance, 1), 0)
    centre = _centre(y)
    x_c, y_c = x - centre, y - centre
    total = x_c.detach().square().sum(1, keepdim=True) + y_c.detach().square().sum(1)
    close = ~((distance if squared else distance.square()).detach() > threshold * total)
    far = pull.masked_fill(close, 0)
    grad_x = far.sum(1, keepdim=True) * x_c - far @ y_c
    grad_y = far.sum(0).unsqueeze(1) * y_c - far.T @ x_c
    for i, j in _portions(*close.nonzero(as_tuple=True), x.shape[1]):
        part = pull[i, j].unsqueeze(1) * (x[i] - y[j])
        grad_x, grad_y = grad_x.index_add(0, i, part), grad_y.index_add(0, j, -part)
    return grad_x, grad_y


# The search.


def _search(x: Tensor, pairs: _Pairs, k: int, columns: int) -> tuple[Tensor, Tensor]:
    """A running best k over blocks of y, kept in the order of their indices until the end."""
    values, indices, start = None, None, 0
    for y in pairs.y.split(columns):
        new_values, new_indices = _best(pairs.block(x, y), min(k, len(y)), pairs.largest)
        new_indices = new_indices + start
        if values is None:
            values, indices = new_values, new_indices
        else:
            indices = torch.cat([indices, new_indices], 1)
            values, kept = _best(torch.cat([values, new_values], 1), min(k, indices.shape[1]), pairs.largest)
            indices = indices.gather(1, kept)
        start += len(y)
    return _ranked(values, indices, pairs.largest)


def _best(values: Tensor, k: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The k best of each row in the order of their columns; of equal values the first, which topk does not promise."""
    best, columns = values.topk(k, largest=largest)
    last = best[:, -1:]
    margin = _margin(last, largest)
    low, high = last - margin, last + margin
    tied = _between(values, low, high).sum(1) > _between(best, low, high).sum(1)
    if tied.any():
        columns[tied] = _first_columns(values[tied], low[tied], high[tied], k, largest)
    columns = columns.sort(1).values
    return values.gather(1, columns), columns


def _margin(values: Tensor, largest: bool) -> Tensor:
    """Equal points may differ by this much, as a product rounds by position; other dtypes round that away."""
    if values.dtype != torch.float64:
        return torch.zeros_like(values)
    size = torch.ones_like(values) if largest else values.abs()
    return (2e-12 * size).nan_to_num(posinf=0)


def _between(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return (values >= low) & (values <= high)


def _first_columns(values: Tensor, low: Tensor, high: Tensor, k: int, largest: bool) -> Tensor:
    """All columns better than the k-th value, and the first of those equal to it that still fit."""
    better = values > high if largest else values < low
    equal = _between(values, low, high)
    room = k - better.sum(1, keepdim=True)
    chosen = better | (equal & (equal.cumsum(1, dtype=torch.int32) <= room))
    return chosen.nonzero()[:, 1].view(-1, k)


def _ranked(values: Tensor, indices: Tensor, largest: bool) -> tuple[Tensor, Tensor]:
    """Best first; indices that ascend keep that order among equals."""
    values, order = values.sort(dim=1, descending=largest, stable=True)
    indices = indices.gather(1, order)
    step = values.diff(dim=1).abs() > _margin(values[:, 1:], largest)
    group = torch.nn.functional.pad(step.cumsum(1), (1, 0))
    order = indices.argsort(dim=1)  # by index, and then, stably, by group
    order = order.gather(1, group.gather(1, order).sort(dim=1, stable=True).indices)
    return values, indices.gather(1, order)


# Arguments of both.


def _check_rows(x: object, y: object) -> str:
    check_pair(x, y, ndim=2)
    return x.device.type


def _check_chunk(chunk_size: object) -> int | None:
    if chunk_size is None or (isinstance(chunk_size, int) and not isinstance(chunk_size, bool) and chunk_size >= 1):
        return chunk_size
    raise ValueError(f"chunk_size must be None or a whole number of rows, at least 1, got {chunk_size!r}")


def _check_k(k: object, m: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= m:
        raise ValueError(f"k must be a whole number from 1 to the {m} rows of y, got {k!r}")


def _check_finite(x: Tensor, name: str) -> None:
    check_tensor(x, name)
    if not x.isfinite().all():
        raise ValueError(f"{name} must be finite to be ranked, got NaN or infinity in it")
