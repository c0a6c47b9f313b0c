"""`embedcourse world` draws the world, and writes over nothing unasked."""

import matplotlib.image
import pytest


def test_it_writes_a_picture_and_says_where(command, tmp_path):
    ended = command("world", "--out", str(tmp_path / "sheet.png"), "--scenes", "2")
    assert (ended.code, ended.out) == (0, f"{tmp_path / 'sheet.png'}: 2 scenes, six senses each\n")
    height, width = matplotlib.image.imread(tmp_path / "sheet.png").shape[:2]
    assert width > 600
    assert height > 150


def test_the_same_seed_draws_the_same_scenes(command, tmp_path):
    sheets = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        command("world", "--out", str(tmp_path / f"{name}.png"), "--scenes", "1", "--seed", seed)
        sheets.append(matplotlib.image.imread(tmp_path / f"{name}.png").tobytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_nothing_is_written_over_unasked(command, tmp_path):
    file = tmp_path / "sheet.svg"
    file.write_text("mine")
    ended = command("world", "--out", str(file))
    assert ended.code == 2
    assert "is there already" in ended.err
    assert file.read_text() == "mine"
    assert command("world", "--out", str(file), "--scenes", "1", "--replace").code == 0
    assert "<svg" in file.read_text()


@pytest.mark.parametrize(("name", "words"), [("sheet.txt", "ends in .png"), ("none/sheet.png", "there is no folder")])
def test_bad_names_are_told_in_one_line(command, tmp_path, name, words):
    ended = command("world", "--out", str(tmp_path / name))
    assert ended.code == 2
    assert words in ended.err
