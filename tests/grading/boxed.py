"""Runs a short program in the box, in the worker's place and under the worker's limits, and hears what it tells."""

import json
from pathlib import Path
from typing import Any

import pytest

from embedcourse.grading.box import Box, Limits, family, probe
from embedcourse.grading.forked import ForkedBox
from embedcourse.grading.wire import unpack

needs_box = pytest.mark.skipif(probe() is not None, reason=str(probe()))

START = """
import json, os, socket, struct, sys, time
settings = json.loads(sys.argv[1])
sys.path[:0] = settings["path"][:1]
from embedcourse.grading.worker import drop_rights
drop_rights(settings)
line = socket.socket(fileno=settings["line"])
def tell(value):
    data = json.dumps(json.dumps(value)).encode()
    data = b"EMBED" + struct.pack("!QQ", len(data), 0) + data
    line.sendall(struct.pack("!Q", len(data)) + data)
def tried(function, *arguments):
    try:
        function(*arguments)
        return "done"
    except BaseException as error:
        return type(error).__name__
"""


KIND = "built"  # or "forked", for tests of what every box promises


def box(program: str, limits: Limits | None = None, **settings: Any) -> Box:
    """A box in which a program runs."""
    if KIND == "forked":
        return ForkedBox("hamming", limits or Limits(), program=START + program, **settings)
    return Box("hamming", limits or Limits(), worker=("-c", START + program), **settings)


def told(program: str, limits: Limits | None = None, seconds: float = 10.0) -> Any:
    """What a program tells first."""
    with box(program, limits) as running:
        return heard(running, seconds)


def heard(running: Box, seconds: float = 10.0) -> Any:
    """What the program in a box tells next."""
    return json.loads(unpack(running.receive(seconds)))


def processes(running: Box) -> list[int]:
    """All processes of a box, with the one that built it."""
    return [*([running.process.pid] if running.process else []), *family(running.pid)]


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
