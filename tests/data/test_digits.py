"""The digits are scikit-learn's, each once, split fairly."""

import numpy as np
import pytest
import torch
from sklearn import datasets

from embedcourse.data.digits import load_digits


def rows_in_any_order(x: np.ndarray) -> np.ndarray:
    return x[np.lexsort(x.T)]


def test_both_parts_together_are_all_pictures_of_sklearn():
    digits = load_digits()
    ours = np.concatenate(
        [
            torch.cat([images.flatten(1) * 16, labels[:, None]], dim=1).numpy()
            for images, labels in (digits[:2], digits[2:])
        ]
    )
    images, labels = datasets.load_digits(return_X_y=True)
    np.testing.assert_array_equal(rows_in_any_order(ours), rows_in_any_order(np.c_[images, labels]))


def test_form_and_range():
    digits = load_digits()
    assert digits.train_images.shape[1:] == digits.test_images.shape[1:] == (1, 8, 8)
    assert digits.train_images.dtype == torch.float32
    assert digits.train_labels.dtype == torch.int64
    assert digits.train_images.min() == 0
    assert digits.train_images.max() == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_each_class_is_split_in_the_same_proportion(seed):
    digits = load_digits(seed)
    test, train = digits.test_labels.bincount(minlength=10), digits.train_labels.bincount(minlength=10)
    np.testing.assert_allclose(test / (test + train), 1 / 3, atol=0.01)


def test_the_seed_decides_the_split():
    assert torch.equal(load_digits(3).test_images, load_digits(3).test_images)
    assert not torch.equal(load_digits(3).test_images, load_digits(4).test_images)


@pytest.mark.parametrize(("test_size", "expected"), [(100, 100), (0.5, 898), (0.1, 180)])
def test_test_size_is_a_number_or_a_share(test_size, expected):
    assert len(load_digits(test_size=test_size).test_labels) == expected


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("test_size", [0, 9, 1790, 1.0, 0.001, -0.2])
def test_a_part_without_pictures_is_refused(test_size):
    with pytest.raises(ValueError, match="test_size: expected a share or a number"):
        load_digits(test_size=test_size)
