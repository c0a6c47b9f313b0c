"""Fixtures shared by all tests; annotations of the package are checked at run time while they run."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import rich
import rich.table

import tests.annotations  # noqa: F401  the hook below looks it up by name

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # tests prove that nothing is fetched at run time

# Before the first import of these packages, so that every annotated call is checked against its shapes.
CHECKED = (
    *("distances", "losses", "models", "data", "checks", "world", "training", "evaluation", "plotting"),
    *("checkpoints", "claims", "grading"),
)
jaxtyping.install_import_hook([f"embedcourse.{name}" for name in CHECKED], "tests.annotations.checked")

import torch  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for `make gpu-check` and `make gate`."""
    parser.addoption("--table", action="store_true", help="end with a table: a row a file, passed, failed, seconds")
    parser.addoption("--seeds", type=int, default=20, help="seeds a solution is tried with; a third for wrong ideas")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of --table."""
    if not config.getoption("--table"):
        return
    reports = [r for kind in ("passed", "failed", "error") for r in terminalreporter.stats.get(kind, [])]
    table = rich.table.Table("file", "passed", "failed", "seconds")
    for file in sorted({r.location[0] for r in reports}):
        own = [r for r in reports if r.location[0] == file]
        passed = sum(r.passed for r in own)
        table.add_row(file, str(passed), str(len(own) - passed), f"{sum(r.duration for r in own):.1f}")
    terminalreporter.ensure_newline()
    rich.print(table)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device of this computer."""
    return torch.device(request.param)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    """The two precisions in which every numeric claim holds."""
    return request.param


@pytest.fixture
def generator(request: pytest.FixtureRequest) -> torch.Generator:
    """A generator seeded from the test's name: the same numbers in every run, other numbers in every test."""
    return torch.Generator().manual_seed(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def as_a_user() -> Iterator[None]:
    """Switch the run-time annotation checks off: a user has none, and must see the package's own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def root() -> Path:
    """The course's top folder."""
    return ROOT


@pytest.fixture(autouse=True)
def home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the progress of whoever runs it."""
    monkeypatch.setenv("EMBEDCOURSE_HOME", str(tmp_path_factory.mktemp("home")))
