"""The words are a clean vocabulary that the model can tell apart."""

import re

from embedcourse.data.sentences import embed, minilm
from embedcourse.data.words import words


def test_about_fifteen_hundred_sorted_and_unique():
    assert 1400 <= len(words()) <= 1700
    assert list(words()) == sorted(set(words()))


def test_every_one_is_a_plain_word_in_lower_case():
    assert [word for word in words() if not re.fullmatch(r"[a-z]{2,14}", word)] == []


def test_the_ones_that_the_lessons_ask_for_are_there():
    wanted = "king queen bicycle hot cold happy sad dog cat music river bread winter piano brave buy sell fast slow"
    assert set(wanted.split()) <= set(words())


def test_the_model_knows_them():
    unknown = minilm().tokenizer.unk_token_id
    assert all(unknown not in ids for ids in minilm().tokenizer(list(words()))["input_ids"])


def test_no_two_of_a_sample_share_an_embedding():
    z = embed(words()[::20])
    assert (z @ z.T).fill_diagonal_(0).max() < 0.99


def test_the_file_is_read_once():
    assert words() is words()
