"""A small course on disk, and the command run on it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from embedcourse import course
from embedcourse.checks.registry import modules
from embedcourse.cli import main


class Ended(NamedTuple):
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        return json.loads(self.out)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run `embedcourse` with some words."""
    monkeypatch.setattr("warnings.showwarning", None)  # the command sets its own; this puts the old one back
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words: str | Path) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def stems() -> list[str]:
    """The first two chapters that have tasks, as their files are called."""
    return [module.removeprefix("ch") for module in modules().values()][:2]


@pytest.fixture
def small_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stems: list[str]) -> Path:
    """A course of few chapters in a folder of its own, in which the command is run."""
    root = tmp_path / "course"
    for folder in ("chapters", "exercises", "solutions"):
        (root / folder).mkdir(parents=True)
        for stem in stems:
            write_notebook(root / folder / f"{stem}.ipynb", f"# {folder} {stem}")
    monkeypatch.setattr(course, "root", lambda: root)
    monkeypatch.chdir(root)
    return root


def write_notebook(path: Path, *cells: str, chapter: str | None = None) -> Path:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    if chapter is not None:
        notebook.metadata["embedcourse"] = {"chapter": chapter}
    nbformat.write(notebook, path)
    return path
