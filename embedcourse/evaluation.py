"""How good is an embedding space? Read labels off it, ask how its points lie, search in it.

Numbers are plain floats. What trains a classifier follows scikit-learn's conventions.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from embedcourse.distances import nearest
from embedcourse.distances.cosine import unit

__all__ = [
    "EffectiveRank",
    "alignment",
    "auroc",
    "effective_rank",
    "knn_accuracy",
    "linear_probe",
    "retrieval_recall",
    "uniformity",
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
) -> float:
    """Test accuracy of a linear classifier on frozen embeddings: features standardised, then logistic regression.

    Standardising makes directions of tiny variance as loud as the others: beside it, look at the spread.
    C: the inverse weight of the L2 penalty, scikit-learn's name and default.

    Range: [0, 1].
    Raises: TypeError and ValueError for parts that do not fit, NaN, a single class, or a C that is not above 0.
    Source: Alain and Bengio (2017), "Understanding intermediate layers using linear classifier probes"; Chen et al.
    (2020), "SimCLR", section 2.3 (protocol).
    """
    check_parts(train, train_labels, test, test_labels)
    if not C > 0:
        raise ValueError(f"C must be above 0, got {C!r}")
    if len(train_labels.unique()) < 2:
        raise ValueError("train_labels must hold at least two classes, got one")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000))
    probe.fit(as_array(train), train_labels.cpu().numpy())
    return float(probe.score(as_array(test), test_labels.cpu().numpy()))


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
    if not alpha > 0:
        raise ValueError(f"alpha must be above 0, got {alpha!r}")
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
    if not t > 0:
        raise ValueError(f"t must be above 0, got {t!r}")
    return torch.pdist(unit(x.double())).square().mul(-t).exp().mean().log().item()


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
        shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"x and y must have one shape, row i of both from sample i, got {shapes}")


def check_parts(train: object, train_labels: object, test: object, test_labels: object) -> None:
    """Refuse a training and a test part that do not belong together."""
    check_rows(train=train, test=test)
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            f"train and test must have the same number of features, got {train.shape[1]} and {test.shape[1]}"
        )
    for name, x, labels in (("train", train, train_labels), ("test", test, test_labels)):
        if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.shape != (len(x),):
            got = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
            raise ValueError(f"{name}_labels must be a tensor of {len(x)} integers, one a row of {name}, got {got}")
