"""What holds for every command: quick help, one line for an error, exit codes."""

import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from embedcourse import course
from embedcourse.cli import app

COMMANDS = ("start", "reset", "lab", "check", "grade", "progress", "world", "claims", "checkpoint", "doctor")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_help_names_all_commands_and_imports_nothing_heavy():
    code = "import sys\nfrom embedcourse.cli import main\ntry: main(['--help'])\nfinally: print('torch' in sys.modules)"
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - started)
    assert all(name in done.stdout for name in COMMANDS)
    assert done.stdout.splitlines()[-1] == "False"
    assert min(seconds) < 2  # half a second on a quiet computer


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "No such command"),
        (["start", "no such chapter"], "is no chapter of this course; the chapters are: "),
        (["lab", "--chapter", "99"], "is no chapter of this course"),
        (["lab", "--port", "0"], "--port"),
        (["reset"], "Missing argument"),
        (["check", "--timeout", "0", "x.ipynb"], "--timeout"),
        (["check", "--unknown", "x.ipynb"], "--unknown"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(command, words, said):
    ended = command(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("embedcourse: ")
    assert ended.err.count("\n") == 1
    assert said in ended.err


@pytest.mark.parametrize("words", [["start"], ["progress"], ["lab"], ["reset", "2", "--yes"]])
def test_a_package_without_notebooks_is_one_line(command, words, monkeypatch):
    def nowhere():
        raise FileNotFoundError("embedcourse was installed without its notebooks")

    monkeypatch.setattr(course, "root", nowhere)
    ended = command(*words)
    assert ended.code == 2
    assert ended.err == "embedcourse: embedcourse was installed without its notebooks\n"


def test_ctrl_c_is_one_line(command, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "chapters", stop)
    ended = command("start")
    assert ended.code == 130
    assert "Traceback" not in ended.err
