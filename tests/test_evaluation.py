"""Every measure of a space agrees with scikit-learn or with a loop, and knows its extremes."""

import math

import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import entropy, f_oneway
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import jaccard_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from embedcourse.data.digits import load_digits
from embedcourse.evaluation import (
    alignment,
    auroc,
    chance_agreement,
    class_iou,
    effective_rank,
    iou,
    knn_accuracy,
    linear_probe,
    match_agreement,
    mean_iou,
    modality_gap,
    noisy_probe,
    retrieval_recall,
    uniformity,
    variance_explained,
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


def test_the_linear_probe_takes_features_as_they_are_where_asked(device, dtype, generator):
    parts = clouds(generator, device, dtype)
    for x in (parts[0], parts[2]):
        x[:, :3] *= 1e-3
    train, train_labels, test, test_labels = (part.cpu().numpy() for part in parts)
    expected = LogisticRegression(max_iter=2000).fit(train, train_labels).score(test, test_labels)
    assert linear_probe(*parts, standardise=False) == pytest.approx(expected)
    assert expected < linear_probe(*parts) - 0.05


def test_the_linear_probe_keeps_to_one_thread_and_puts_the_others_back(monkeypatch, generator):
    def blas_threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    seen = []

    def fit(self, *arguments):
        seen.append(blas_threads())
        return fit_as_ever(self, *arguments)

    fit_as_ever = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", fit)
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        linear_probe(*clouds(generator, "cpu", torch.float32))
        assert blas_threads() == before
    assert seen == [{1}]


def test_probes_read_digits_off_raw_pixels():
    digits = load_digits()
    train, test = digits.train_images.flatten(1), digits.test_images.flatten(1)
    assert knn_accuracy(train, digits.train_labels, test, digits.test_labels) > 0.97
    assert linear_probe(train, digits.train_labels, test, digits.test_labels) > 0.93


def test_without_noise_the_noisy_probe_is_the_linear_probe(device, dtype, generator):
    parts = clouds(generator, device, dtype)
    assert noisy_probe(*parts, noise=0.0, C=0.1) == pytest.approx(linear_probe(*parts, C=0.1))


def test_noise_hides_what_lies_in_a_direction_of_tiny_variance(device, dtype, generator):
    labels = torch.randint(2, (400,), generator=generator)
    sign = 2.0 * labels - 1
    loud, silent = torch.randn(2, 400, generator=generator)
    x = torch.stack([loud, 0.01 * (sign + 0.1 * silent)], 1).to(device, dtype)
    labels = labels.to(device)
    assert linear_probe(x, labels, x, labels) == 1
    assert noisy_probe(x, labels, x, labels) < 0.65
    assert noisy_probe(1000 * x, labels, 1000 * x, labels) < 0.65  # the scale is the embedding's own
    evenly = torch.stack([loud.to(x), sign.to(x)], 1)
    assert noisy_probe(evenly, labels, evenly, labels) > 0.9


def test_the_noisy_probe_is_the_same_for_the_same_seed(generator):
    parts = clouds(generator, "cpu", torch.float32)
    found = [noisy_probe(*parts, noise=2.0, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert found[0] == found[1]
    assert len(set(found)) > 1


def test_variance_explained_is_a_loop_over_classes(device, dtype, generator):
    x, labels, *_ = clouds(generator, device, dtype, n=60)
    x = x * torch.tensor([1, 2, 0.1, 1, 5, 1], device=device) + 3
    mean, between, total = x.double().mean(0), 0.0, 0.0
    for row, label in zip(x.double(), labels, strict=True):
        between += float((x[labels == label].double().mean(0) - mean).square().sum())
        total += float((row - mean).square().sum())
    assert 0.05 < between / total < 0.95
    assert variance_explained(x, labels) == pytest.approx(between / total, rel=1e-6)


def test_variance_explained_of_one_dimension_is_the_f_tests(generator):
    x, labels, *_ = clouds(generator, "cpu", torch.float64, n=60, d=1)
    groups = [x[labels == label, 0].numpy() for label in labels.unique()]
    f = f_oneway(*groups).statistic * (len(groups) - 1) / (len(x) - len(groups))  # between over within
    assert variance_explained(x, labels) == pytest.approx(f / (1 + f))


def test_variance_explained_knows_its_extremes(generator):
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    means = torch.randn(3, 4, generator=generator)
    assert variance_explained(means[labels], labels) == pytest.approx(1)
    assert variance_explained(torch.tensor([[1.0], [-1]]).repeat(3, 1), labels) == pytest.approx(0)
    assert variance_explained(torch.ones(6, 2), labels) == 0
    x, chance = torch.randn(4000, 8, generator=generator), torch.randint(5, (4000,), generator=generator)
    assert variance_explained(x, chance) == pytest.approx(4 / 3999, rel=0.6)


def test_variance_explained_listens_to_what_is_loud(generator):
    labels = torch.randint(2, (500,), generator=generator)
    x = torch.stack([torch.randn(500, generator=generator), 0.01 * labels], 1)
    assert variance_explained(x[:, 1:], labels) == pytest.approx(1)
    assert variance_explained(x, labels) < 0.02


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


def test_the_gap_is_the_distance_of_the_mean_directions(device, dtype, generator):
    x, y = (
        torch.randn(40, 5, dtype=dtype, generator=generator) + 1,
        torch.randn(30, 5, dtype=dtype, generator=generator),
    )
    means = [sum(row / row.norm() for row in z.double()) / len(z) for z in (x, y)]
    expected = sum((a - b) ** 2 for a, b in zip(*means, strict=True)).sqrt().item()
    assert expected > 0.3
    assert modality_gap(x.to(device), y.to(device)) == pytest.approx(expected, rel=1e-5)
    assert modality_gap(7 * y.to(device), x.to(device)) == pytest.approx(expected, rel=1e-5)


def test_the_gap_knows_its_extremes():
    x = torch.tensor([[3.0, 0], [0, 2]])
    assert modality_gap(x, x.flip(0)) == pytest.approx(0, abs=1e-12)
    assert modality_gap(x[:1], -x[:1]) == pytest.approx(2)
    assert modality_gap(x[:1], x[1:]) == pytest.approx(math.sqrt(2))


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


def test_agreement_is_a_loop_over_the_best_matches(device, dtype, generator):
    queries, keys = (torch.randn(n, 4, generator=generator).to(device, dtype) for n in (60, 90))
    query_labels, key_labels = (torch.randint(2, (n, 2), generator=generator).to(device) for n in (60, 90))
    hits = 0
    for query, labels in zip(queries, query_labels, strict=True):
        cosines = [float(query @ key / (query.norm() * key.norm())) for key in keys]
        hits += key_labels[cosines.index(max(cosines))].tolist() == labels.tolist()
    assert 0 < hits < 60
    assert match_agreement(queries, keys, query_labels, key_labels) == pytest.approx(hits / 60)


def test_agreement_asks_for_every_column_and_knows_its_extremes(device):
    x, labels = torch.eye(3, device=device), torch.tensor([[0, 5], [1, 5], [2, 6]], device=device)
    assert match_agreement(x, 7 * x, labels, labels) == 1
    assert match_agreement(x, x.flip(0), labels, labels) == pytest.approx(1 / 3)
    assert match_agreement(x, x[[1, 0, 2]], labels, labels) == pytest.approx(1 / 3)
    assert match_agreement(x, x[[1, 0, 2]], labels[:, 1:], labels[:, 1:]) == 1
    assert match_agreement(x, x, labels, labels + 9) == 0


def test_a_search_that_knows_nothing_agrees_by_chance(generator):
    queries, keys = torch.randn(2, 4000, 8, generator=generator)
    query_labels, key_labels = torch.randint(3, (2, 4000, 2), generator=generator)
    chance = chance_agreement(query_labels, key_labels)
    assert chance == pytest.approx(1 / 9, abs=0.01)
    assert match_agreement(queries, keys, query_labels, key_labels) == pytest.approx(chance, abs=0.02)


def test_chance_is_a_count_of_pairs(device, generator):
    query_labels = torch.randint(-1, 2, (30, 2), generator=generator).to(device)
    key_labels = torch.randint(0, 4, (50, 2), generator=generator).to(device)
    pairs = [(q == k).all() for q in query_labels for k in key_labels]
    assert chance_agreement(query_labels, key_labels) == pytest.approx(sum(map(bool, pairs)) / 1500)
    assert chance_agreement(query_labels[:1], query_labels[:1]) == 1
    assert chance_agreement(query_labels, key_labels + 9) == 0


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
NAN, P = X.clone().fill_(math.nan), torch.stack([L, L], dim=1)


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
        (lambda: noisy_probe(X, L, X, L, noise=-1), ValueError, "noise must be 0 or above, got -1"),
        (lambda: noisy_probe(X, L, X[:, :2], L), ValueError, "same number of features, got 3 and 2"),
        (lambda: variance_explained(X, L[:5]), ValueError, "labels must be a tensor of 6 integers, one a row of x"),
        (lambda: variance_explained(X, X[:, 0]), ValueError, "labels must be a tensor of 6 integers"),
        (lambda: variance_explained(X[:1], L[:1]), ValueError, r"x must have shape \(n, d\) with n of at least 2"),
        (lambda: variance_explained(NAN, L), ValueError, "x must be finite"),
        (lambda: alignment(X, X[:2]), ValueError, "x and y must have one shape"),
        (lambda: alignment(X[:0], X[:0]), ValueError, r"x must have shape \(n, d\) with n of at least 1"),
        (lambda: alignment(X, X, 0), ValueError, "alpha must be above 0"),
        (lambda: uniformity(X[:1]), ValueError, "n of at least 2"),
        (lambda: uniformity(X, -1), ValueError, "t must be above 0"),
        (lambda: modality_gap(X, X[:, :2]), ValueError, "same number of dimensions, got 3 and 2"),
        (lambda: modality_gap(X, X[:0]), ValueError, r"y must have shape \(n, d\) with n of at least 1"),
        (lambda: modality_gap(NAN, X), ValueError, "x must be finite"),
        (lambda: effective_rank(X[0]), ValueError, r"got \(3,\)"),
        (lambda: effective_rank(NAN), ValueError, "x must be finite"),
        (lambda: retrieval_recall(X, X, 0), ValueError, "k must be from 1 to the 6 rows of y, got 0"),
        (lambda: retrieval_recall(X, X, 7), ValueError, "k must be from 1 to the 6 rows of y, got 7"),
        (lambda: retrieval_recall(X, NAN), ValueError, "y must be finite"),
        (lambda: match_agreement(X, X[:, :2], P, P), ValueError, "queries and keys must have one width, got 3 and 2"),
        (lambda: match_agreement(X, X, P[:5], P), ValueError, "query_labels must have a row for each of the 6"),
        (lambda: match_agreement(X, X, P, P[:, :1]), ValueError, r"equally many columns, got \[2, 1\]"),
        (lambda: match_agreement(X, X, P, L), ValueError, r"key_labels must have shape \(n, f\).*got \(6,\)"),
        (lambda: match_agreement(X, NAN, P, P), ValueError, "keys must be finite"),
        (lambda: chance_agreement(P.float(), P), TypeError, "query_labels must be a tensor of integers, got torch.fl"),
        (lambda: chance_agreement(P, P[:0]), ValueError, r"key_labels must have shape \(n, f\).*got \(0, 2\)"),
        (lambda: auroc(X[:, 0], L), TypeError, "scores and positive must be tensors, of floats and of bools"),
        (lambda: auroc(X[:5, 0], L == 1), ValueError, r"one shape \(n,\), got \(5,\) and \(6,\)"),
        (lambda: auroc(X[:, 0], L < 5), ValueError, "positive must hold both kinds, got 6 of 6"),
        (lambda: auroc(NAN[:, 0], L == 1), ValueError, "scores must be finite"),
    ],
)
def test_bad_arguments_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_iou_of_masks_is_the_jaccard_score(device, generator):
    predicted, truth = (torch.rand(5, 3, 6, 7, generator=generator) < p for p in (0.5, 0.3))
    pairs = zip(truth.view(15, -1), predicted.view(15, -1), strict=True)
    found = iou(predicted.to(device), truth.to(device)).flatten()
    assert found.tolist() == pytest.approx([jaccard_score(t, p) for t, p in pairs], abs=1e-6)


def test_iou_by_hand():
    truth = torch.tensor([[1, 1, 0], [1, 1, 0]]).bool()
    predicted = torch.tensor([[0, 1, 1], [0, 1, 1]]).bool()
    assert iou(predicted, truth) == pytest.approx(2 / 6)
    assert iou(truth, truth) == iou(~truth & truth, ~truth & truth) == 1
    assert iou(~truth, truth) == iou(torch.zeros_like(truth), truth) == 0


def test_iou_of_classes_sums_pixels_over_all_pictures_first(device, generator):
    predicted, truth = (torch.randint(4, (6, 5, 4), generator=generator) for _ in range(2))
    expected = jaccard_score(truth.flatten(), predicted.flatten(), average=None, labels=range(3))
    found = class_iou(predicted.to(device), truth.to(device), 3)  # 3 is the background
    assert found.cpu().numpy() == pytest.approx(expected)
    assert mean_iou(predicted, truth, 3) == pytest.approx(expected.mean())


def test_a_class_that_never_occurs_does_not_count():
    truth, predicted = torch.tensor([[[0, 0, 3, 3]]]), torch.tensor([[[0, 1, 1, 3]]])
    assert class_iou(predicted, truth, 3).tolist() == pytest.approx([0.5, 0.0, math.nan], nan_ok=True)
    assert mean_iou(predicted, truth, 3) == 0.25
    background = torch.full_like(truth, 3)
    assert math.isnan(mean_iou(background, background, 3))


@pytest.mark.usefixtures("as_a_user")
def test_what_is_no_mask_is_refused_by_name():
    mask = torch.zeros(2, 3, dtype=torch.bool)
    with pytest.raises(TypeError, match=r"predicted must be a tensor of bools, got torch\.float32"):
        iou(mask.float(), mask)
    with pytest.raises(TypeError, match="truth must be a tensor of bools, got list"):
        iou(mask, [True])
    with pytest.raises(ValueError, match=r"must have one shape, got \(2, 3\) and \(1, 3\)"):
        iou(mask, mask[:1])
    with pytest.raises(ValueError, match=r"must have one shape, got \(1, 2, 3\) and \(1, 1, 3\)"):
        class_iou(mask[None].long(), mask[None, :1].long(), 2)
    with pytest.raises(ValueError, match="classes must be above 0, got 0"):
        mean_iou(mask[None].long(), mask[None].long(), 0)
