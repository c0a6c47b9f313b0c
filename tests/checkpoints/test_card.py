"""A card survives being written, and what is no card is refused by its file's name."""

import json

import pytest

from embedcourse.checkpoints.card import Card

CARD = Card(
    name="thing",
    purpose="For tests.",
    command="embedcourse checkpoint make thing",
    data="ten rows",
    seed=3,
    steps=7,
    metrics={"accuracy": 0.5},
    small_steps=2,
    small_metrics={"accuracy": 0.25},
    torch="2.6.0",
    parameters=4,
    bytes=99,
    sha256="0" * 64,
)


def test_what_is_written_is_read_and_is_json_for_others(tmp_path):
    CARD.write(tmp_path / "thing.json")
    assert Card.read(tmp_path / "thing.json") == CARD
    told = json.loads((tmp_path / "thing.json").read_text(encoding="utf-8"))
    assert (told["sha256"], told["metrics"]["accuracy"]) == ("0" * 64, 0.5)


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"name": "thing"}', "\x80"])
def test_anything_else_is_no_card(text, tmp_path):
    (tmp_path / "thing.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"thing\.json is no card"):
        Card.read(tmp_path / "thing.json")


def test_a_missing_card_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"thing\.json"):
        Card.read(tmp_path / "thing.json")
