"""The proverbs are a clean corpus: sorted, unique, plain sentences."""

import string

from embedcourse.data.proverbs import proverbs

PLAIN = set(string.ascii_letters + " ,.;'-")


def test_about_three_hundred_sorted_and_unique():
    rows = proverbs()
    assert 250 <= len(rows) <= 400
    assert list(rows) == sorted(set(rows))


def test_no_proverb_stands_there_twice_in_another_spelling():
    bare = ["".join(c for c in row.lower() if c.isalpha()) for row in proverbs()]
    assert len(set(bare)) == len(bare)


def test_every_row_is_one_plain_sentence():
    for row in proverbs():
        assert row == row.strip()
        assert row[0].isupper()
        assert row.endswith(".")
        assert set(row) <= PLAIN, f"{row}: {set(row) - PLAIN}"
        assert 2 <= len(row.split()) <= 20


def test_the_ones_that_the_course_searches_for_are_there():
    assert {"Don't count your chickens before they hatch.", "Better late than never."} <= set(proverbs())


def test_the_file_is_read_once():
    assert proverbs() is proverbs()
