"""Every measure of a space agrees with scikit-learn or with a loop, and knows its extremes."""

import math

import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from embedcourse.data.digits import load_digits
from embedcourse.evaluation import (
    alignment,
    auroc,
    effective_rank,
    knn_accuracy,
    linear_probe,
    retrieval_recall,
    uniformity,
)


def clouds(generator, device, dtype, n=120, m=80, d=6, classes=4):
    """Overlapping clouds with class numbers that start at 3, so that a probe is right now and then."""
    centres = 0.6 * torch.randn(classes, d, generator=generator)
    parts = []
    for count in (n, m):
        labels = torch.randint(classes, (count,), generator=generator)
        x = centres[labels] + torch.randn(count, d, generator=generator)
        parts += [x.to(device, dtype), (labels + 3).to(device)]
    return parts


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "manhattan"])
@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_neighbours_vote_as_in_scikit_learn(k, metric, device, dtype, generator):
    parts = clouds(generator, device, dtype)
    train, train_labels, test, test_labels = (part.cpu().numpy() for part in parts)
    classifier = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(train, train_labels)
    expected = classifier.score(test, test_labels)
    assert 0.3 < expected < 0.95
    assert knn_accuracy(*parts, k=k, metric=metric) == pytest.approx(expected)


def test_a_tie_of_votes_goes_to_the_smallest_label():
    train, labels = torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2], [1, 0.3]]), torch.tensor([7, 2, 2, 7])
    assert knn_accuracy(train, labels, train[:1], torch.tensor([2]), k=4) == 1
    assert knn_accuracy(train, labels, train[:1], torch.tensor([7]), k=4) == 0
    assert knn_accuracy(train, labels, train[:1], torch.tensor([7]), k=1) == 1


def test_a_class_never_seen_is_never_found(generator):
    x = torch.randn(6, 3, generator=generator)
    assert knn_accuracy(x, torch.zeros(6, dtype=torch.long), x, torch.ones(6, dtype=torch.long), k=1) == 0


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_the_linear_probe_is_scikit_learns_on_standardised_features(C, device, dtype, generator):
    parts = clouds(generator, device, dtype)
    parts[0] *= 100
    parts[2] *= 100
    train, train_labels, test, test_labels = (part.cpu().numpy() for part in parts)
    scaler = StandardScaler().fit(train)
    regression = LogisticRegression(C=C, max_iter=2000).fit(scaler.transform(train), train_labels)
    expected = regression.score(scaler.transform(test), test_labels)
    assert 0.3 < expected < 0.95
    assert linear_probe(*parts, C=C) == pytest.approx(expected)


def test_probes_read_digits_off_raw_pixels():
    digits = load_digits()
    train, test = digits.train_images.flatten(1), digits.test_images.flatten(1)
    assert knn_accuracy(train, digits.train_labels, test, digits.test_labels) > 0.97
    assert linear_probe(train, digits.train_labels, test, digits.test_labels) > 0.93


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_alignment_matches_the_loop(alpha, device, dtype, generator):
    x, y = (torch.randn(20, 5, dtype=dtype, generator=generator) for _ in range(2))
    distances = [(a / a.norm() - b / b.norm()).norm().item() for a, b in zip(x.double(), y.double(), strict=True)]
    expected = sum(distance**alpha for distance in distances) / 20
    assert alignment(x.to(device), y.to(device), alpha) == pytest.approx(expected, rel=1e-6)


def test_alignment_knows_its_extremes(generator):
    x = torch.randn(20, 5, generator=generator)
    assert alignment(x, 3 * x) == pytest.approx(0, abs=1e-12)
    assert alignment(x, -x) == pytest.approx(4)
    assert alignment(x, -x, alpha=3) == pytest.approx(8)


@pytest.mark.parametrize("t", [0.5, 2.0])
def test_uniformity_matches_scipys_pairs(t, device, dtype, generator):
    x = torch.randn(30, 4, dtype=dtype, generator=generator)
    unit = (x / x.norm(dim=1, keepdim=True)).numpy()
    expected = math.log(sum(math.exp(-t * distance**2) for distance in pdist(unit)) / math.comb(30, 2))
    assert uniformity(x.to(device), t) == pytest.approx(expected, rel=1e-5)


def test_uniformity_knows_its_extremes():
    assert uniformity(torch.ones(5, 3)) == 0
    assert uniformity(torch.tensor([[1.0, 0], [-1, 0]])) == pytest.approx(-8)


def test_effective_rank_is_the_entropy_of_the_singular_values(device, dtype, generator):
    x = torch.randn(40, 6, dtype=dtype, generator=generator) * torch.tensor([5, 3, 1, 0.5, 0.1, 0.01]) + 10
    values = torch.linalg.svd(x.double() - x.double().mean(0)).S.numpy()
    rank, std = effective_rank(x.to(device))
    assert rank == pytest.approx(math.exp(entropy(values)), rel=1e-5)
    assert std == pytest.approx(x.numpy().std(0, ddof=1).mean(), rel=1e-5)


def test_effective_rank_counts_directions_of_equal_size():
    cross = torch.eye(4, 7)
    x = torch.cat([cross, -cross])
    assert effective_rank(x).rank == pytest.approx(4)
    assert effective_rank(1000 * x + 5).rank == pytest.approx(4)
    assert effective_rank(x[[0, 4]]).rank == pytest.approx(1)


def test_a_collapsed_cloud_shows_in_its_std_and_not_in_its_rank(generator):
    noise = 1e-6 * torch.randn(200, 20, generator=generator)
    collapsed, alive = effective_rank(1 + noise), effective_rank(1e6 * noise)
    assert collapsed.rank > 15
    assert collapsed.std < 1e-5 < 0.9 < alive.std
    assert effective_rank(torch.ones(5, 3)) == (0, 0)


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_recall_matches_a_sort_of_each_row(k, device, dtype, generator):
    x = torch.randn(40, 8, dtype=dtype, generator=generator)
    y = x + 1.5 * torch.randn(40, 8, dtype=dtype, generator=generator)
    hits = 0
    for i in range(40):
        cosines = torch.nn.functional.cosine_similarity(x[i].double(), y.double())
        hits += i in cosines.sort(descending=True).indices[:k]
    assert k == 40 or hits < 40
    assert retrieval_recall(x.to(device), y.to(device), k) == hits / 40


def test_recall_is_the_same_in_blocks(generator):
    x = torch.randn(2100, 4, generator=generator)
    y = x + 0.3 * torch.randn(2100, 4, generator=generator)
    u, v = (torch.nn.functional.normalize(z.double()) for z in (x, y))
    cosines = u @ v.T
    expected = (cosines > cosines.diagonal()[:, None] + 1e-12).sum(1).lt(5).double().mean().item()
    assert 0.1 < expected < 0.9
    assert retrieval_recall(x, y, 5) == expected


def test_ties_count_against_recall(dtype):
    x = torch.full((5, 3), 0.1, dtype=dtype)
    assert [retrieval_recall(x, x, k) for k in (1, 4, 5)] == [0, 0, 1]
    x[4] = torch.tensor([1.0, 0, 0])
    assert [retrieval_recall(x, x, k) for k in (1, 3, 4)] == [0.2, 0.2, 1]
    assert retrieval_recall(torch.zeros(3, 2), torch.eye(3)[:, :2]) == 0  # what has no direction finds nothing


def test_auroc_is_scikit_learns_and_a_count_of_pairs(device, dtype, generator):
    scores = torch.randint(6, (30,), generator=generator).to(device, dtype)
    positive = (torch.rand(30, generator=generator) < 0.4).to(device)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive].tolist() for b in scores[~positive].tolist()]
    assert auroc(scores, positive) == pytest.approx(sum(pairs) / len(pairs))
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive.cpu().numpy(), scores.cpu().numpy()))


def test_auroc_knows_its_extremes():
    positive = torch.tensor([False, False, True])
    assert auroc(torch.tensor([0.0, 1, 2]), positive) == 1
    assert auroc(torch.tensor([2.0, 1, 0]), positive) == 0
    assert auroc(torch.ones(3), positive) == 0.5


def test_half_precision_is_taken(generator):
    x = torch.randn(30, 4, generator=generator)
    labels = (x[:, 0] > 0).long()
    half = x.to(torch.bfloat16)
    assert linear_probe(half, labels, half, labels) > 0.9
    assert knn_accuracy(half, labels, half, labels, k=1) == 1
    assert auroc(half[:, 0], labels == 1) == 1
    assert effective_rank(half).rank == pytest.approx(effective_rank(half.float()).rank)


X, L = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 0, 1, 1, 1])
NAN = X.clone().fill_(math.nan)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: knn_accuracy(X, L[:5], X, L), ValueError, "train_labels must be a tensor of 6 integers"),
        (lambda: knn_accuracy(X, L, X, L.float()), ValueError, "test_labels must be a tensor of 6 integers"),
        (lambda: knn_accuracy(X, L, X[:, :2], L), ValueError, "same number of features, got 3 and 2"),
        (lambda: knn_accuracy(X, L, X, L, k=7), ValueError, "k "),
        (lambda: knn_accuracy(X, L, X, L, metric="nearly"), ValueError, "metric must be one of"),
        (lambda: linear_probe(X, L * 0, X, L), ValueError, "train_labels must hold at least two classes"),
        (lambda: linear_probe(X, L, X, L, C=0), ValueError, "C must be above 0, got 0"),
        (lambda: linear_probe(NAN, L, X, L), ValueError, "train must be finite"),
        (lambda: linear_probe(X.numpy(), L, X, L), TypeError, "train must be a tensor of floats, got ndarray"),
        (lambda: linear_probe(X.long(), L, X, L), TypeError, "train must be a tensor of floats, got torch.int64"),
        (lambda: alignment(X, X[:2]), ValueError, "x and y must have one shape"),
        (lambda: alignment(X[:0], X[:0]), ValueError, r"x must have shape \(n, d\) with n of at least 1"),
        (lambda: alignment(X, X, 0), ValueError, "alpha must be above 0"),
        (lambda: uniformity(X[:1]), ValueError, "n of at least 2"),
        (lambda: uniformity(X, -1), ValueError, "t must be above 0"),
        (lambda: effective_rank(X[0]), ValueError, r"got \(3,\)"),
        (lambda: effective_rank(NAN), ValueError, "x must be finite"),
        (lambda: retrieval_recall(X, X, 0), ValueError, "k must be from 1 to the 6 rows of y, got 0"),
        (lambda: retrieval_recall(X, X, 7), ValueError, "k must be from 1 to the 6 rows of y, got 7"),
        (lambda: retrieval_recall(X, NAN), ValueError, "y must be finite"),
        (lambda: auroc(X[:, 0], L), TypeError, "scores and positive must be tensors, of floats and of bools"),
        (lambda: auroc(X[:5, 0], L == 1), ValueError, r"one shape \(n,\), got \(5,\) and \(6,\)"),
        (lambda: auroc(X[:, 0], L < 5), ValueError, "positive must hold both kinds, got 6 of 6"),
        (lambda: auroc(NAN[:, 0], L == 1), ValueError, "scores must be finite"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
