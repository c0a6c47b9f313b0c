"""Handwritten digits that come with scikit-learn: 1,797 pictures of 8×8 pixels, ten classes."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Digits", "load_digits"]


class Digits(NamedTuple):
    """Pictures with values in [0, 1] and labels 0 to 9, split into a training and a test part."""

    train_images: Float[Tensor, "n 1 8 8"]
    train_labels: Int[Tensor, " n"]
    test_images: Float[Tensor, "m 1 8 8"]
    test_labels: Int[Tensor, " m"]


def load_digits(seed: int = 0, test_size: float | int = 1 / 3) -> Digits:
    """The digits, split so that both parts hold each class in the same proportion; other seeds split otherwise.

    test_size: a share of all pictures, in (0, 1), or a number of pictures.
    Raises: ValueError where a part would hold fewer than one picture a class.
    Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI repository (test part).
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    images, labels = datasets.load_digits(return_X_y=True)
    count = round(test_size * len(labels)) if isinstance(test_size, float) else test_size
    if not 10 <= count <= len(labels) - 10:
        raise ValueError(
            f"test_size: expected a share or a number that leaves each part at least 10 of the {len(labels)} pictures, "
            f"one a class; {test_size!r} means {count} in the test part"
        )
    parts = train_test_split(images, labels, test_size=count, stratify=labels, random_state=seed)
    train_x, test_x, train_y, test_y = map(torch.as_tensor, parts)
    return Digits(as_pictures(train_x), train_y.long(), as_pictures(test_x), test_y.long())


def as_pictures(rows: Float[Tensor, "n 64"]) -> Float[Tensor, "n 1 8 8"]:
    """Rows of 64 pixel counts from 0 to 16, as float32 pictures in [0, 1]."""
    return (rows / 16).float().reshape(-1, 1, 8, 8)
