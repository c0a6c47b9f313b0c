"""Everyday English words to compare and to search among."""

from functools import cache
from importlib.resources import files

__all__ = ["words"]


@cache
def words() -> tuple[str, ...]:
    """About 1,500 everyday English words in lower case, sorted, each once.

    Source: words.txt beside this file, chosen by hand for this course: animals, food, family, work, feelings, ….
    """
    return tuple(files(__package__).joinpath("words.txt").read_text(encoding="utf-8").splitlines())
