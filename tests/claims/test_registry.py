"""Claims are found by chapter, and every module of claims keeps the agreement that the engine counts on."""

import math

import pytest

from embedcourse import course
from embedcourse.claims import Claim, registry

CHAPTERS = registry.chapters_with_claims()


def test_chapters_are_the_modules_in_lesson_order(tiny):
    assert registry.chapters_with_claims() == (course.Chapter(1, "heights"), course.Chapter(12, "weights"))


@pytest.mark.parametrize("text", ["12", "weights", "12_weights"])
def test_a_chapter_without_a_notebook_is_found_too(tiny, text):
    assert registry.find_chapter(text) == course.Chapter(12, "weights")


def test_an_unknown_chapter_is_answered_with_those_that_have_claims(tiny):
    with pytest.raises(ValueError, match="'2' is no chapter with claims; the chapters are: 1 heights, 12 weights"):
        registry.find_chapter("2")


def test_the_module_is_that_of_the_chapter(tiny):
    assert registry.module_of(course.Chapter(12, "weights")).measure(1) == {"weight": 10.0}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_module_measures_what_it_claims(chapter, short_run):
    module = registry.module_of(chapter)
    assert all(isinstance(claim, Claim) for claim in module.CLAIMS)
    keys = [claim.key for claim in module.CLAIMS]
    assert len(keys) == len(set(keys))
    row = short_run(chapter.name)
    assert set(keys) <= row.keys()
    assert all(isinstance(number, float | int) and math.isfinite(number) for number in row.values())


def test_a_chapter_with_claims_is_called_as_its_notebook():
    known = {chapter.number: chapter for chapter in course.chapters()}
    assert all(known.get(chapter.number, chapter) == chapter for chapter in CHAPTERS)
