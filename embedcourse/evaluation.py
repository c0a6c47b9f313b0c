"""How good is an embedding space? Read labels off it, ask how its points lie, search in it.

Numbers are plain floats. What trains a classifier follows scikit-learn's conventions.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from embedcourse._arguments import check_not_negative, check_positive
from embedcourse.distances import nearest
from embedcourse.distances.cosine import unit

__all__ = [
    "EffectiveRank",
    "alignment",
    "auroc",
    "chance_agreement",
    "class_iou",
    "effective_rank",
    "iou",
    "knn_accuracy",
    "linear_probe",
    "match_agreement",
    "mean_iou",
    "modality_gap",
    "noisy_probe",
    "retrieval_recall",
    "uniformity",
    "variance_explained",
]


def knn_accuracy(
    train: Float[Tensor, "n d"],
    train_labels: Int[Tensor, " n"],
    test: Float[Tensor, "m d"],
    test_labels: Int[Tensor, " m"],
    *,
    k: int = 5,
    metric: str = "cosine",
) -> float:
    """Share of test embeddings to whose class most of their k nearest training embeddings belong.

    Every neighbour has one vote; of classes with equally many the smallest label wins, as in scikit-learn's
    KNeighborsClassifier. metric: any of `embedcourse.distances.nearest`.

    Range: [0, 1].
    Raises: TypeError and ValueError for parts that do not fit, NaN, or k outside 1…n.
    Source: Cover and Hart (1967), "Nearest neighbor pattern classification"; as a probe of learned embeddings Wu et
    al. (2018), "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section 3.4.
    """
    check_parts(train, train_labels, test, test_labels)
    classes, own = train_labels.unique(return_inverse=True)  # (c,), sorted; (n,)
    neighbours = own[nearest(test, train, k, metric).indices]  # (m, k)
    votes = torch.nn.functional.one_hot(neighbours, len(classes)).sum(1)  # (m, c)
    found = classes[votes.argmax(1)]  # (m,); argmax takes the first of equals
    return (found == test_labels).double().mean().item()


def linear_probe(
    train: Float[Tensor, "n d"],
    train_labels: Int[Tensor, " n"],
    test: Float[Tensor, "m d"],
    test_labels: Int[Tensor, " m"],
    *,
    C: float = 1.0,
    standardise: bool = True,
) -> float:
    """Test accuracy of a linear classifier on frozen embeddings: features standardised, then logistic regression.

    standardise: scales each dimension to standard deviation 1, which makes directions of tiny variance as loud as the
        others. Without it the embedding is probed at its own scale, as distances see it.
    C: the inverse weight of the L2 penalty, scikit-learn's name and default.

    Range: [0, 1].
    Raises: TypeError and ValueError for parts that do not fit, NaN, a single class, or a C that is not above 0.
    Source: Alain and Bengio (2017), "Understanding intermediate layers using linear classifier probes"; Chen et al.
    (2020), "SimCLR", section 2.3 (protocol).
    """
    check_parts(train, train_labels, test, test_labels)
    check_positive(C=C)
    if len(train_labels.unique()) < 2:
        raise ValueError("train_labels must hold at least two classes, got one")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    probe = make_pipeline(StandardScaler() if standardise else "passthrough", LogisticRegression(C=C, max_iter=2000))
    with threadpool_limits(1, user_api="blas"):  # its many small products lose more by a second thread than they gain
        probe.fit(as_array(train), train_labels.cpu().numpy())
        return float(probe.score(as_array(test), test_labels.cpu().numpy()))


def noisy_probe(
    train: Float[Tensor, "n d"],
    train_labels: Int[Tensor, " n"],
    test: Float[Tensor, "m d"],
    test_labels: Int[Tensor, " m"],
    *,
    noise: float = 0.5,
    C: float = 1.0,
    seed: int = 0,
) -> float:
    """Test accuracy of `linear_probe` after Gaussian noise at the embedding's own scale is added to both parts.

    Directions whose variance is tiny beside that of the others drown in it, as they do wherever distances count; a
    standardised probe finds them all the same.
    noise: its standard deviation, as a multiple of the root mean variance of the training embeddings' dimensions.

    Range: [0, 1].
    Raises: TypeError and ValueError as `linear_probe`, and ValueError for a negative noise.
    Source: this course.
    """
    check_parts(train, train_labels, test, test_labels)
    check_not_negative(noise=noise)
    generator = torch.Generator().manual_seed(seed)
    scale = noise * train.double().var(0, correction=0).mean().sqrt()

    def disturbed(x: Tensor) -> Tensor:
        return x.double() + scale * torch.randn(x.shape, generator=generator).to(x.device)

    return linear_probe(disturbed(train), train_labels, disturbed(test), test_labels, C=C)


def variance_explained(x: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> float:
    """Share of the total variance of some dimensions that a factor explains: variance of its classes' means over all.

    Both variances are summed over the dimensions as they are, so that one that hardly varies hardly counts. The
    dimensions may be a part of an embedding: `variance_explained(z[:, model.unique], labels)`. A factor that has
    nothing to do with x comes out at about (classes − 1) / (n − 1), not at 0.

    Range: [0, 1]; 0 where nothing varies.
    Raises: TypeError and ValueError for parts that do not fit, fewer than two rows, or NaN.
    Source: the correlation ratio η² of Pearson (1905), its sums of squares added up over the dimensions.
    """
    check_rows(x=x, least=2)
    check_labels("x", x, "labels", labels)
    x = x.double() - x.double().mean(0)
    _, own, sizes = labels.unique(return_inverse=True, return_counts=True)
    sums = x.new_zeros(len(sizes), x.shape[1]).index_add_(0, own, x)  # (classes, d)
    between, total = (sums.square() / sizes[:, None]).sum(), x.square().sum()
    return (between / total).item() if total > 0 else 0.0


def alignment(x: Float[Tensor, "n d"], y: Float[Tensor, "n d"], alpha: float = 2.0) -> float:
    """How far the two embeddings of a pair lie apart on the unit sphere: the mean of ‖x − y‖^α. Less is better.

    Row i of x and row i of y are a positive pair; both are scaled to length 1 first.

    Range: [0, 2^α].
    Raises: TypeError and ValueError for what is no pair of batches, no rows, NaN, or an alpha that is not above 0.
    Source: Wang and Isola (2020), "Understanding Contrastive Representation Learning through Alignment and Uniformity
    on the Hypersphere", section 4.1.
    """
    check_rows(x=x, y=y)
    check_same_shape(x, y)
    check_positive(alpha=alpha)
    return (unit(x.double()) - unit(y.double())).norm(dim=1).pow(alpha).mean().item()


def uniformity(x: Float[Tensor, "n d"], t: float = 2.0) -> float:
    """How evenly embeddings cover the unit sphere: log of the mean of exp(−t‖xᵢ − xⱼ‖²), i < j. Less is better.

    All are scaled to length 1 first. Time and memory grow with n².

    Range: [−4t, 0]; 0 when all lie in one point.
    Raises: TypeError and ValueError for fewer than two rows, NaN, or a t that is not above 0.
    Source: Wang and Isola (2020), "Understanding Contrastive Representation Learning through Alignment and Uniformity
    on the Hypersphere", section 4.1.
    """
    check_rows(x=x, least=2)
    check_positive(t=t)
    return torch.pdist(unit(x.double())).square().mul(-t).exp().mean().log().item()


def modality_gap(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    """How far apart two kinds of embeddings lie as clouds: the distance between their means on the unit sphere.

    All are scaled to length 1 first. Pairs may find each other across a wide gap, as only the order of cosines counts.

    Range: [0, 2].
    Raises: TypeError and ValueError for what is no batch, unequal widths, no rows, or NaN.
    Source: Liang et al. (2022), "Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive
    Representation Learning", the length of their gap vector.
    """
    check_rows(x=x, y=y)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must have the same number of dimensions, got {x.shape[1]} and {y.shape[1]}")
    return (unit(x.double()).mean(0) - unit(y.double()).mean(0)).norm().item()


class EffectiveRank(NamedTuple):
    """How many directions a cloud of embeddings fills, and how large it is: one says little without the other."""

    rank: float
    std: float


def effective_rank(x: Float[Tensor, "n d"]) -> EffectiveRank:
    """exp of the entropy of the cloud's singular values, and the mean standard deviation of its dimensions.

    The cloud is centred. One that has collapsed to a point still has the rank of its rounding noise, which may be
    high: its std gives it away.

    Range: rank from 1 to min(n − 1, d), 0 for a single point; std [0, ∞), in units of x, divided by n − 1.
    Raises: TypeError and ValueError for fewer than two rows, or NaN.
    Source: Roy and Vetterli (2007), "The effective rank: a measure of effective dimensionality" (of any matrix;
    centring it is this course's).
    """
    check_rows(x=x, least=2)
    centred = x.double() - x.double().mean(0)
    values = torch.linalg.svdvals(centred)
    p = values / values.sum()
    entropy = -torch.special.xlogy(p, p).sum()
    rank = entropy.exp().item() if values.sum() > 0 else 0.0
    return EffectiveRank(rank, x.double().std(0).mean().item())


def retrieval_recall(x: Float[Tensor, "n d"], y: Float[Tensor, "n d"], k: int = 1) -> float:
    """Recall at k: share of the rows of x whose own row of y is among the k of all of y with the largest cosine.

    The place of the own row counts those that are as near as itself against it: a collapsed space finds nothing.

    Range: [0, 1].
    Raises: TypeError and ValueError for what is no pair of batches, no rows, NaN, or k outside 1…n.
    Source: Hodosh, Young and Hockenmaier (2013), "Framing Image Description as a Ranking Task" (R@k); of
    ties: this course.
    """
    check_rows(x=x, y=y)
    check_same_shape(x, y)
    if not 1 <= k <= len(x):
        raise ValueError(f"k must be from 1 to the {len(x)} rows of y, got {k!r}")
    u, v = unit(x.double()), unit(y.double())
    hits = 0
    for rows in torch.arange(len(u), device=u.device).split(1024):
        cosines = u[rows] @ v.T  # (r, n)
        own = (u[rows] * v[rows]).sum(1, keepdim=True)  # (r, 1)
        places = (cosines >= own - ROUNDING).scatter(1, rows[:, None], True).sum(1)  # (r,), 1 is the best
        hits += int((places <= k).sum())
    return hits / len(x)


#: Cosines in float64 that differ by less are equal: two ways to sum the same products may differ so much.
ROUNDING = 1e-12


def match_agreement(
    queries: Float[Tensor, "n d"],
    keys: Float[Tensor, "m d"],
    query_labels: Int[Tensor, "n f"],
    key_labels: Int[Tensor, "m f"],
) -> float:
    """Share of queries whose best match, the key with the largest cosine, has the same labels in all f columns.

    It says how well one sense finds what another perceived, when many scenes are equally right. The keys should be of
    other scenes than the queries: of the same ones, what both senses know beside the labels would give the pair away.

    Range: [0, 1]; a search that knows nothing reaches `chance_agreement`.
    Raises: TypeError and ValueError for parts that do not fit, or NaN.
    Source: this course.
    """
    check_rows(queries=queries, keys=keys)
    if queries.shape[1] != keys.shape[1]:
        raise ValueError(f"queries and keys must have one width, got {queries.shape[1]} and {keys.shape[1]}")
    check_combinations(query_labels=query_labels, key_labels=key_labels)
    for name, x, labels in (("query", queries, query_labels), ("key", keys, key_labels)):
        if len(x) != len(labels):
            raise ValueError(f"{name}_labels must have a row for each of the {len(x)} embeddings, got {len(labels)}")
    best = nearest(queries, keys, 1, "cosine").indices[:, 0]  # (n,)
    return (query_labels == key_labels[best]).all(1).double().mean().item()


def chance_agreement(query_labels: Int[Tensor, "n f"], key_labels: Int[Tensor, "m f"]) -> float:
    """Share of all pairs of a query and a key that have the same labels in all f columns: what guessing reaches.

    Range: [0, 1].
    Raises: TypeError and ValueError for labels that do not fit.
    Source: this course.
    """
    check_combinations(query_labels=query_labels, key_labels=key_labels)
    _, number = torch.cat([query_labels, key_labels]).unique(dim=0, return_inverse=True)
    parts = number.split([len(query_labels), len(key_labels)])
    of_queries, of_keys = (torch.bincount(part, minlength=int(number.max()) + 1).double() for part in parts)
    return (of_queries @ of_keys).item() / (len(query_labels) * len(key_labels))


def auroc(scores: Float[Tensor, " n"], positive: Bool[Tensor, " n"]) -> float:
    """Probability that a positive has a larger score than a negative, ties counted half: the area under the ROC curve.

    Range: [0, 1]; ½ for a score that knows nothing.
    Raises: TypeError and ValueError for parts that do not fit, NaN or infinity, or only one kind.
    Source: Hanley and McNeil (1982), "The meaning and use of the area under a receiver operating characteristic (ROC)
    curve".
    """
    if not isinstance(scores, Tensor) or not isinstance(positive, Tensor) or positive.dtype != torch.bool:
        raise TypeError("scores and positive must be tensors, of floats and of bools")
    if scores.ndim != 1 or scores.shape != positive.shape:
        shapes = f"{tuple(scores.shape)} and {tuple(positive.shape)}"
        raise ValueError(f"scores and positive must have one shape (n,), got {shapes}")
    if not scores.isfinite().all():
        raise ValueError("scores must be finite, got NaN or infinity in it")
    if positive.all() or not positive.any():
        raise ValueError(f"positive must hold both kinds, got {int(positive.sum())} of {len(positive)}")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive.cpu().numpy(), as_array(scores)))


def iou(predicted: Bool[Tensor, "*batch h w"], truth: Bool[Tensor, "*batch h w"]) -> Float[Tensor, "*batch"]:
    """Intersection over union of masks: the pixels that both have, over those that either has.

    Range: [0, 1]; 1 where both masks are empty, as they are equal.
    Raises: TypeError for what is no pair of masks, ValueError for unequal shapes.
    Source: Jaccard (1912), "The distribution of the flora in the alpine zone"; Everingham et al. (2010), "The Pascal
    Visual Object Classes (VOC) Challenge"; of empty masks: this course.
    """
    check_masks(predicted, truth)
    both, either = (predicted & truth).sum((-2, -1)), (predicted | truth).sum((-2, -1))
    return torch.where(either == 0, 1.0, both / either.clamp(min=1))


def class_iou(
    predicted: Int[Tensor, "n h w"], truth: Int[Tensor, "n h w"], classes: int
) -> Float[Tensor, " {classes}"]:
    """IoU of each class over all pixels of all pictures: pixels are summed first, then divided.

    Labels outside 0, …, classes − 1, such as one for the background, have no IoU of their own.

    Range: [0, 1]; NaN for a class that occurs neither in the truth nor among the predictions.
    Raises: ValueError for unequal shapes, or less than one class.
    Source: Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge" (segmentation accuracy).
    """
    check_positive(classes=classes)
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted and truth must have one shape, got {shapes_of(predicted, truth)}")
    ious = []
    for label in range(classes):
        found, there = predicted == label, truth == label
        ious.append((found & there).sum().double() / (found | there).sum())  # 0/0 is NaN
    return torch.stack(ious)


def mean_iou(predicted: Int[Tensor, "n h w"], truth: Int[Tensor, "n h w"], classes: int) -> float:
    """The mean of `class_iou` over the classes that occur: every class counts alike, however small it is.

    Range: [0, 1]; NaN where no class occurs.
    Raises: ValueError as `class_iou`.
    Source: Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge"; Long, Shelhamer and Darrell
    (2015), "Fully Convolutional Networks for Semantic Segmentation", section 5 (mean IU).
    """
    return class_iou(predicted, truth, classes).nanmean().item()


def check_masks(predicted: object, truth: object) -> None:
    """Refuse what is no pair of masks of one shape."""
    for name, mask in (("predicted", predicted), ("truth", truth)):
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
            raise TypeError(f"{name} must be a tensor of bools, got {got}; logits become a mask by > 0")
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted and truth must have one shape, got {shapes_of(predicted, truth)}")


def shapes_of(x: Tensor, y: Tensor) -> str:
    """Both shapes, to be read."""
    return f"{tuple(x.shape)} and {tuple(y.shape)}"


def as_array(x: Float[Tensor, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """A tensor as scikit-learn takes it; half precision, which numpy lacks in part, as float32."""
    x = x.detach().cpu()
    return (x if x.dtype == torch.float64 else x.float()).numpy()


def check_rows(*, least: int = 1, **batches: object) -> None:
    """Refuse what is no batch of finite embeddings with enough rows, by name."""
    for name, x in batches.items():
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise TypeError(
                f"{name} must be a tensor of floats, got {x.dtype if isinstance(x, Tensor) else type(x).__name__}"
            )
        if x.ndim != 2 or x.shape[1] == 0 or len(x) < least:
            raise ValueError(f"{name} must have shape (n, d) with n of at least {least}, got {tuple(x.shape)}")
        if not x.isfinite().all():
            raise ValueError(f"{name} must be finite, got NaN or infinity in it")


def check_same_shape(x: Tensor, y: Tensor) -> None:
    """Refuse two batches whose rows cannot correspond."""
    if x.shape != y.shape:
        raise ValueError(f"x and y must have one shape, row i of both from sample i, got {shapes_of(x, y)}")


def check_parts(train: object, train_labels: object, test: object, test_labels: object) -> None:
    """Refuse a training and a test part that do not belong together."""
    check_rows(train=train, test=test)
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            f"train and test must have the same number of features, got {train.shape[1]} and {test.shape[1]}"
        )
    check_labels("train", train, "train_labels", train_labels)
    check_labels("test", test, "test_labels", test_labels)


def check_labels(rows: str, x: Tensor, name: str, labels: object) -> None:
    """Refuse labels that are not one integer a row, by name."""
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.shape != (len(x),):
        got = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise ValueError(f"{name} must be a tensor of {len(x)} integers, one a row of {rows}, got {got}")


def check_combinations(**batches: object) -> None:
    """Refuse what is no pair of batches of labels, several a row, with equally many columns, by name."""
    for name, labels in batches.items():
        if not isinstance(labels, Tensor) or labels.is_floating_point():
            got = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
            raise TypeError(f"{name} must be a tensor of integers, got {got}")
        if labels.ndim != 2 or 0 in labels.shape:
            raise ValueError(f"{name} must have shape (n, f), a column a factor, got {tuple(labels.shape)}")
    columns = {name: labels.shape[1] for name, labels in batches.items()}
    if len(set(columns.values())) > 1:
        raise ValueError(f"{' and '.join(columns)} must have equally many columns, got {list(columns.values())}")
