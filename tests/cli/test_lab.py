"""`embedcourse lab`: the printed address is the true one, nothing is asked, Ctrl-C ends it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from embedcourse import course
from embedcourse.cli import lab

from .conftest import write_notebook


@pytest.mark.parametrize(
    ("platform", "environment", "seen"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": ":0", "SSH_CONNECTION": "a b"}, False),
        ("darwin", {}, True),
        ("win32", {}, True),
        ("darwin", {"CI": "true"}, False),
        ("win32", {"SSH_TTY": "x"}, False),
    ],
)
def test_a_browser_is_opened_where_it_is_seen(monkeypatch, platform, environment, seen):
    for name in ("CI", "SSH_CONNECTION", "SSH_TTY", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert lab.has_screen() is seen


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture
def copy_of_course(tmp_path: Path) -> Path:
    """A copy of the package with one small chapter."""
    copy = tmp_path / "a course"
    for name in ("embedcourse", "embedcourse/cli"):
        (copy / name).mkdir(parents=True, exist_ok=True)
        for file in (Path(course.__file__).parent.parent / name).glob("*.py"):
            (copy / name / file.name).write_bytes(file.read_bytes())
    for folder in ("chapters", "exercises"):
        (copy / folder).mkdir()
        write_notebook(copy / folder / "01_first.ipynb", "1 + 1")
    return copy


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200
        return answer.read().decode()


def test_it_serves_the_first_chapter_at_the_address_that_it_prints(copy_of_course, busy_port):
    environment = os.environ | {"PYTHONPATH": str(copy_of_course), "PORT": str(busy_port), "JUPYTER_TOKEN": "s3cret"}
    command = [sys.executable, "-c", "from embedcourse.cli import main; main()", "lab", "--no-browser"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
    listen = partial(signal.signal, signal.SIGINT, signal.default_int_handler)  # tests in the background ignore Ctrl-C
    process = subprocess.Popen(command, env=environment, cwd=copy_of_course, preexec_fn=listen, **pipes)
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        url = re.fullmatch(r"JupyterLab is at (\S+)   \(Ctrl-C ends it\)\n", lines[-1])[1]
        base, token = re.fullmatch(r"(.*)lab/tree/my_work/chapters/01_first\.ipynb(\?token=s3cret)", url).groups()
        assert not base.endswith(f":{busy_port}/")
        page = fetched(url)
        settings = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
        assert settings["news"] == {"disabled": True}
        assert "@jupyterlab/apputils-extension:announcements" in settings["disabledExtensions"]  # which asks about news
        extensions = {extension["name"] for extension in settings["federated_extensions"]}
        assert "@jupyter-widgets/jupyterlab-manager" in extensions
        assert "@jupyter/nbgrader" not in extensions
        assert settings["treePath"] == "my_work/chapters/01_first.ipynb"
        notebook = json.loads(fetched(f"{base}api/contents/my_work/chapters/01_first.ipynb{token}"))
        assert notebook["content"]["cells"][0]["source"] == "1 + 1"
        assert "my_work/exercises" in fetched(f"{base}api/contents/my_work{token}")
        assert json.loads(fetched(f"{base}lab/api/update{token}"))["notification"] is None
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "JupyterLab has ended" in rest
    finally:
        process.kill()
        process.wait()
