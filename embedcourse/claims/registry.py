"""Where a chapter's claims are found. One module a chapter, `chNN_name`, holds `CLAIMS` and `measure`.

`CLAIMS` is a tuple of `Claim`; `measure(seed, *, shorter=1)` trains and measures all with one seed and returns a number
for the key of each claim, and further ones as it likes; `shorter` divides steps and data, for tests.
"""

import importlib
from pathlib import Path
from types import ModuleType

import embedcourse.claims
from embedcourse import course

__all__ = ["chapters_with_claims", "find_chapter", "module_of"]


def chapters_with_claims() -> tuple[course.Chapter, ...]:
    """The chapters whose claims can be measured, in lesson order; their notebooks need not be there."""
    return course.chapters_with_module(embedcourse.claims)


def find_chapter(text: str | Path) -> course.Chapter:
    """The chapter with claims that a number, a name or a stem stands for.

    Raises: ValueError for a chapter without claims, listing those that have some.
    """
    return course.find_chapter(text, chapters_with_claims(), "with claims")


def module_of(chapter: course.Chapter) -> ModuleType:
    """The module that holds the chapter's CLAIMS and its `measure`."""
    return importlib.import_module(f"embedcourse.claims.{chapter.module}")
