"""Chapters are found by all their names, and a file that is written in one step is never half there."""

import importlib.util
import json
import os
import stat
from pathlib import Path
from types import ModuleType

import pytest

from embedcourse import course
from embedcourse.course import Chapter


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of three chapters."""
    (tmp_path / "chapters").mkdir()
    for name in ("10_clip.ipynb", "02_hamming.ipynb", "01_embedding_spaces.ipynb", "notes.ipynb", "3_short.ipynb"):
        (tmp_path / "chapters" / name).write_text("{}")
    monkeypatch.setattr(course, "root", lambda: tmp_path)
    return tmp_path


def test_root_holds_the_package_and_the_chapters(root: Path) -> None:
    assert course.root() == root


def loaded_from(folder: Path) -> ModuleType:
    """The module as it would be if the package lay in a folder."""
    copy = folder / "embedcourse" / "course.py"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(Path(course.__file__).read_bytes())
    spec = importlib.util.spec_from_file_location("course_elsewhere", copy)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


def test_a_package_without_its_notebooks_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"without its notebooks; clone the course and run `make setup`"):
        loaded_from(tmp_path).root()


def test_a_package_beside_its_notebooks_finds_them(tmp_path: Path) -> None:
    (tmp_path / "chapters").mkdir()
    assert loaded_from(tmp_path).root() == tmp_path.resolve()


def test_chapters_come_in_lesson_order_and_other_notebooks_are_none(small: Path) -> None:
    assert course.chapters() == (Chapter(1, "embedding_spaces"), Chapter(2, "hamming"), Chapter(10, "clip"))


def test_the_chapters_of_this_course_are_its_notebooks(root: Path) -> None:
    assert [f"{c.stem}.ipynb" for c in course.chapters()] == sorted(p.name for p in (root / "chapters").glob("*.ipynb"))


@pytest.mark.parametrize(
    "text",
    ["2", "02", "hamming", "02_hamming", "02_hamming.ipynb", "exercises/02_hamming.ipynb", Path("a/02_hamming.ipynb")],
)
def test_a_chapter_has_many_names(small: Path, text: str | Path) -> None:
    assert course.find_chapter(text) == Chapter(2, "hamming")


@pytest.mark.parametrize("text", ["3", "short", "ham", "", "02_ham", "-2", "²"])
def test_an_unknown_chapter_is_answered_with_the_known_ones(small: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"is no chapter .*: 1 embedding_spaces, 2 hamming, 10 clip$"):
        course.find_chapter(text)


def test_chapters_may_be_found_among_some_that_need_no_notebook(small: Path) -> None:
    assert course.find_chapter("12", [Chapter(12, "decur")]) == Chapter(12, "decur")
    with pytest.raises(ValueError, match="'2' is no chapter with wings; the chapters are: 12 decur"):
        course.find_chapter("2", [Chapter(12, "decur")], "with wings")


def test_chapters_with_a_module_come_in_lesson_order(tmp_path: Path) -> None:
    for name in ("ch10_clip", "ch02_hamming", "ch3_short", "judge"):
        (tmp_path / f"{name}.py").touch()
    package = ModuleType("package")
    package.__path__ = [str(tmp_path)]
    assert course.chapters_with_module(package) == (Chapter(2, "hamming"), Chapter(10, "clip"))


def test_stem_and_module_are_made_of_number_and_name() -> None:
    assert Chapter(1, "embedding_spaces").stem == "01_embedding_spaces"
    assert Chapter(1, "embedding_spaces").module == "ch01_embedding_spaces"


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("# 2 · Hamming distance\n\nText.", "Hamming distance"),
        (["# 2 · In ", "lines\n", "x"], "In lines"),
        ("x", "Hamming"),
    ],
)
def test_the_title_is_the_notebooks_heading(small: Path, source: str | list[str], title: str) -> None:
    (small / "chapters" / "02_hamming.ipynb").write_text(json.dumps({"cells": [{"source": source}]}))
    assert Chapter(2, "hamming").title == title


def test_write_whole_makes_folders_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file.json"
    course.write_whole(file, b"old")
    course.write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(file.parent.iterdir()) == [file]


def test_write_whole_gives_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    course.write_whole(tmp_path / "whole", b"")
    assert stat.S_IMODE((tmp_path / "whole").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        course.write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
