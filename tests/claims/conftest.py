"""A course of two chapters whose claims are measured in no time."""

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

import embedcourse.claims
from embedcourse import course
from embedcourse.claims import registry
from embedcourse.claims.runner import run

HEIGHTS = """
from embedcourse.claims import Claim

CLAIMS = (
    Claim("height", at_least=1.5, paper="2.5 (table 1)", differs="smaller"),
    Claim("width", at_least=0.1, at_most=0.2, differs="smaller"),
)


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    return {"height": 1.0 + seed, "width": 0.15, "extra": 7.0}
"""
WEIGHTS = """
from embedcourse.claims import Claim

CLAIMS = (Claim("weight", at_most=10.0),)


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    return {"weight": 5.0 * (seed + 1)}
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The course's folder; the modules ch01_heights.py and ch12_weights.py lie in its folder modules/."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "modules").mkdir()
    (tmp_path / "chapters" / "01_heights.ipynb").write_text('{"cells": [{"source": "# 1 · How high"}]}')
    write_module(tmp_path, "ch01_heights", HEIGHTS)
    write_module(tmp_path, "ch12_weights", WEIGHTS)
    (tmp_path / "modules" / "claim_free.py").write_text("")
    monkeypatch.setattr(course, "root", lambda: tmp_path)
    monkeypatch.setattr(embedcourse.claims, "__path__", [str(tmp_path / "modules")])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a changed module of the same second must be read anew
    yield tmp_path
    forget()


def write_module(folder: Path, name: str, source: str) -> None:
    """Put a module of claims in its place; the next import reads it."""
    (folder / "modules" / f"{name}.py").write_text(source)
    forget()


def forget() -> None:
    """Let no made-up module be remembered."""
    for name in ("ch01_heights", "ch12_weights"):
        sys.modules.pop(f"embedcourse.claims.{name}", None)


@pytest.fixture
def measured(tiny: Path) -> Path:
    """The same course, with the heights measured with three seeds."""
    run(course.Chapter(1, "heights"), 3, tell=lambda line: None)
    return tiny


@pytest.fixture(scope="session")
def short_run() -> Callable[[str], dict[str, float]]:
    """What a chapter's claims measure in a fiftieth of the work; measured once for all tests that look at it."""

    @lru_cache
    def measured(name: str) -> dict[str, float]:
        return registry.module_of(registry.find_chapter(name)).measure(0, shorter=50)

    return measured
