"""A small corpus to search by meaning: English proverbs, which say one thing in the words of another."""

from functools import cache
from importlib.resources import files

__all__ = ["proverbs"]


@cache
def proverbs() -> tuple[str, ...]:
    """About 300 English proverbs, sorted, each once.

    Source: proverbs.txt beside this file; common property of the language, so in the public domain.
    """
    return tuple(files(__package__).joinpath("proverbs.txt").read_text(encoding="utf-8").splitlines())
