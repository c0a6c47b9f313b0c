"""Pictures that others collected, from the Hugging Face hub: Fashion-MNIST and CIFAR-10, where you are online."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

from embedcourse.data.pictures import Pictures, as_tensor

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["hub_answers", "load_hub_pictures"]

#: Where each collection lies: a repository of the hub, or a folder of the same form.
REPOSITORIES = {"fashion-mnist": "zalando-datasets/fashion_mnist", "cifar-10": "uoft-cs/cifar10"}


def load_hub_pictures(
    name: str, *, fallback: Pictures, split: Literal["train", "test"] = "train", limit: int | None = None
) -> Pictures:
    """A collection from the hub, or from this disk where it was fetched before; else the fallback.

    "fashion-mnist" holds 70,000 pieces of clothing, grey, 28×28 (36 MB to fetch); "cifar-10" 60,000 animals and
    vehicles, in colour, 32×32 (144 MB); both have ten classes. Where the collection cannot be had, one printed
    sentence says why, and the fallback is returned.

    limit: how many pictures, the first ones; None takes all.

    Raises: ValueError for an unknown name or split, or a limit below 1.
    Source: Xiao, Rasul and Vollgraf 2017, "Fashion-MNIST"; Krizhevsky 2009, "Learning Multiple Layers of Features from
    Tiny Images".
    """
    check_choices(name, split, limit)
    try:
        rows = fetch(REPOSITORIES[name], split)
    except ModuleNotFoundError:
        print(f"{name} needs the package `datasets` (pip install datasets): the fallback is used instead.")
        return fallback
    except Exception as error:
        if not out_of_reach(error):
            raise
        print(f"{name} is not on this disk and cannot be fetched: the fallback is used instead.")
        return fallback
    return as_pictures(rows if limit is None else rows.take(min(limit, len(rows))))


def check_choices(name: str, split: str, limit: int | None) -> None:
    """Refuse what is not on offer, by name."""
    if name not in REPOSITORIES:
        raise ValueError(f"name: expected one of {', '.join(map(repr, REPOSITORIES))}, got {name!r}")
    if split not in ("train", "test"):
        raise ValueError(f"split: expected 'train' or 'test', got {split!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit: expected at least 1 picture, or None for all, got {limit}")


def fetch(repository: str, split: str) -> "Dataset":
    """The rows of a split, from the hub if it answers, else from the disk."""
    import datasets

    if hub_answers():
        return datasets.load_dataset(repository, split=split)
    with offline():
        return datasets.load_dataset(repository, split=split)


@contextmanager
def offline() -> Iterator[None]:
    """Keep `datasets` from asking the network, which it would do for minutes, and from saying that it did not."""
    import datasets
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE, datasets.logging.get_verbosity()
    datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before[:2]
        datasets.logging.set_verbosity(before[2])


def out_of_reach(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that a file or the network cannot be had."""
    while error is not None:
        if isinstance(error, OSError) or type(error).__module__.split(".")[0] in ("httpx", "requests", "aiohttp"):
            return True
        error = error.__cause__
    return False


def as_pictures(rows: "Dataset") -> Pictures:
    """Rows of a picture and a class number, whatever their columns are called."""
    from datasets import ClassLabel, Image

    columns = rows.features.items()
    image = next(name for name, kind in columns if isinstance(kind, Image))
    label = next(name for name, kind in columns if isinstance(kind, ClassLabel))
    images = torch.stack([as_tensor(picture) for picture in rows[image]])
    return Pictures(images, torch.tensor(list(rows[label])), tuple(rows.features[label].names))


def hub_answers(seconds: float = 3.0) -> bool:
    """Whether the hub is allowed and answers soon; the libraries themselves would retry for half a minute or longer."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=seconds).close()
    except urllib.error.HTTPError:
        return True  # it answers, if only to refuse this question
    except OSError:
        return False
    return True
