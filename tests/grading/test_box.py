"""The box, tried by force: each thing that it promises is attempted inside, with amounts that hurt nobody outside."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import embedcourse
from embedcourse.checks.registry import modules
from embedcourse.grading import box as box_module
from embedcourse.grading.box import BoxLost, Limits, NoBox, open_parts, probe

from .boxed import box, gone, needs_box, processes, told

MB = 2**20
pytestmark = needs_box


def lost(program: str, limits: Limits, seconds: float = 0.3) -> tuple[str, float, bool]:
    """How a box was lost, how long that took, and whether it left nothing behind."""
    with box(program, limits) as running:
        assert running.receive(10)  # the program has begun
        started = time.monotonic()
        with pytest.raises(BoxLost) as caught:
            running.receive(seconds)
        took = time.monotonic() - started
        family_of_box = processes(running)
    return caught.value.kind, took, all(map(gone, family_of_box))


# ------------------------------------------------------------------------------------------------ nothing to reach


def test_there_is_no_network():
    program = """
tell([tried(socket.socket), tried(socket.create_connection, ("127.0.0.1", 1), 1),
      tried(socket.socket, socket.AF_INET6), tried(socket.getaddrinfo, "localhost", 1),
      tried(socket.socket, 40), tried(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)])
"""
    assert "done" not in (answers := told(program))[:3] + answers[4:]
    assert told("tell(open('/proc/net/dev').read().count(':') - 1)") <= 1  # a loopback of its own, and it is closed


def test_nothing_can_be_written_but_its_own_memory():
    places = ["/", "/usr", "/course", "/course/embedcourse", "/etc", "/dev", "/proc", sys.prefix, sys.base_prefix]
    program = f"""
tell([tried(open, os.path.join(place, "mark"), "w") for place in {places!r}] + [
      tried(open, "/course/embedcourse/grading/worker.py", "a"), tried(os.remove, os.__file__),
      tried(os.chmod, "/usr", 0o777), tried(os.rename, "/course", "/away"), tried(os.mkdir, "/new")])
"""
    assert set(told(program)) <= {"OSError", "PermissionError", "FileNotFoundError"}
    assert told("tell([tried(open, '/tmp/mark', 'w'), tried(open, '/dev/shm/mark', 'w')])") == ["done", "done"]
    assert not Path("/tmp/mark").exists()


def test_solutions_checks_and_submissions_cannot_be_seen(tmp_path):
    submission = tmp_path / "other.ipynb"
    submission.write_text("{}")
    top = Path(embedcourse.__file__).parent.parent
    program = f"""
seen = [os.path.exists(path) for path in {[str(submission), *(str(top / n) for n in ROOMS)]!r}]
files = [os.path.join(folder, name) for folder, _, names in os.walk("/course") for name in names]
tell([seen, files, os.path.exists({str(top / ".git")!r})])
"""
    seen, files, history = told(program)
    assert not any(seen)
    assert not history
    assert not [f for f in files if "/ch0" in f or "judge" in f or "distances" in f or "losses" in f]
    assert "/course/embedcourse/data/words.py" in files


ROOMS = ("solutions", "exercises", "chapters", "tests", "embedcourse", "pyproject.toml")


def test_the_environment_tells_nothing(monkeypatch):
    monkeypatch.setenv("SECRET_SEED", "12345")
    program = """
def of_the_kernel():
    with open("/proc/self/environ") as file:
        return file.read()
tell([dict(os.environ), "" if tried(of_the_kernel) != "done" else of_the_kernel(), os.getcwd(), os.uname().nodename])
"""
    environment, of_the_kernel, folder, name = told(program)
    assert environment.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"  # Python sets it itself
    assert environment.pop("PWD", folder) == folder  # bubblewrap does
    assert environment == box_module.ENVIRONMENT
    assert "12345" not in of_the_kernel
    assert (folder, name) == ("/tmp", "box")


def test_only_its_own_processes_can_be_seen():
    pids = told("tell([p for p in os.listdir('/proc') if p.isdigit()])")
    assert len(pids) <= 3
    assert told(f"tell(tried(os.kill, {os.getpid()}, 0))") == "ProcessLookupError"


def test_it_has_no_rights_and_gets_none():
    program = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    return getattr(libc, name)(*arguments)
status = dict(row.split(":", 1) for row in open("/proc/self/status").read().splitlines())
tell([int(status["CapEff"], 16), int(status["CapPrm"], 16), status["NoNewPrivs"].strip(), status["Seccomp"].strip(),
      os.getuid() > 0, tried(os.setuid, 0) != "done", call("unshare", 0x10000000), call("ptrace", 16, 1, 0, 0),
      call("mount", b"none", b"/tmp", b"tmpfs", 0, 0), call("memfd_create", b"x", 0), call("shmget", 0, 4096, 0o1600)])
"""
    assert told(program) == [0, 0, "1", "2", True, True, -1, -1, -1, -1, -1]


def test_files_of_the_judge_are_closed():
    with open(os.devnull) as file:  # noqa: F841  open on this side
        open_files = told("tell(sorted(map(int, os.listdir('/proc/self/fd'))))")
    assert len(open_files) <= 5  # three that lead nowhere, the line, and the folder that is being listed


# ------------------------------------------------------------------------------------------------------- limits


def test_processes_are_limited():
    program = """
def storm():
    for _ in range(40):
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
tell(tried(storm))
"""
    assert told(program, Limits(processes=20)) == "BlockingIOError"


def test_threads_count_as_processes():
    program = """
import threading
def storm():
    for _ in range(40):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
tell(tried(storm))
"""
    assert told(program, Limits(processes=20)) == "RuntimeError"


def test_memory_of_its_own_is_limited():
    assert told(f"tell(tried(bytearray, {300 * MB}))", Limits(memory=200 * MB)) == "MemoryError"


TAKES_SHARED_MEMORY = f"""
import mmap
tell("begun")
shared = mmap.mmap(-1, {150 * MB})
for i in range(0, len(shared), 4096):
    shared[i] = 1
time.sleep(20)
"""


def test_shared_memory_is_limited_from_outside():
    assert lost(TAKES_SHARED_MEMORY, Limits(memory=60 * MB), seconds=10) == ("memory", pytest.approx(1, abs=3), True)


def test_memory_is_counted_over_all_processes():
    program = f"""
tell("begun")
for _ in range(4):
    if os.fork() == 0:
        held = bytearray({25 * MB})
        time.sleep(20)
time.sleep(20)
"""
    assert lost(program, Limits(memory=80 * MB), seconds=10)[::2] == ("memory", True)


def test_what_forked_processes_share_counts_once():
    program = f"""
held = b"x" * {30 * MB}
for _ in range(4):
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
time.sleep(0.5)
tell("lived")
"""
    assert told(program, Limits(memory=100 * MB)) == "lived"


def test_files_and_disks_are_limited():
    program = f"""
def fill(path):
    with open(path, "wb") as file:
        for _ in range(12):
            file.write(bytes({MB}))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
tell([tried(fill, "/tmp/a"), tried(fill, "/tmp/b"), tried(fill, "/dev/shm/c"), sum(
      os.path.getsize(p) for p in ("/tmp/a", "/tmp/b"))])
"""
    *results, size = told(program, Limits(file_bytes=8 * MB))
    assert set(results) == {"OSError"}
    assert size <= 8 * MB


def test_what_the_kernel_keeps_of_empty_files_counts_as_memory():
    program = """
tell("begun")
for i in range(60_000):
    os.close(os.open(f"/tmp/{i}", os.O_CREAT))
time.sleep(20)
"""
    assert lost(program, Limits(memory=100 * MB), seconds=10)[::2] == ("memory", True)


def test_the_memory_that_was_given_back_is_told():
    program = f"""
tell("begun")
line.recv(1)
held = bytes(b"x") * {100 * MB}
del held
tell("done")
time.sleep(20)
"""
    with box(program) as running:
        running.receive(10)
        before = running.forget_peak()
        running.line.send(b"x")
        running.receive(10)
        assert running.usage().memory < before + 20 * MB
        assert before + 95 * MB < running.peak() < before + 150 * MB
        assert running.forget_peak() < before + 20 * MB


def test_open_files_are_limited():
    program = "tell(tried(lambda: [open(os.devnull) for _ in range(50)] and None))"
    assert told(program, Limits(files=30)) == "OSError"


def test_output_without_end_goes_nowhere():
    program = """
block = b"x" * (1 << 20)
for i in range(1000):
    os.write(1 + i % 2, block)
tell("done")
"""
    assert told(program) == "done"


# ------------------------------------------------------------------------------------------------------ its end


def test_a_loop_that_ignores_signals_is_ended_in_time():
    program = """
import signal
for number in range(1, 65):
    tried(signal.signal, number, signal.SIG_IGN)
tell("begun")
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
    kind, took, clean = lost(program, Limits())
    assert (kind, clean) == ("timeout", True)
    assert took < 2


def test_a_sleep_without_end_is_ended_by_the_clock():
    kind, took, clean = lost("tell('begun'); time.sleep(60)", Limits(), seconds=0.1)
    assert (kind, clean) == ("timeout", True)
    assert 0.25 < took < 2


def test_children_that_leave_their_family_are_ended_too():
    program = """
import signal
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        tell("begun")
        time.sleep(60)
    os._exit(0)
time.sleep(60)
"""
    kind, _, clean = lost(program, Limits(), seconds=0.1)
    assert (kind, clean) == ("timeout", True)


def test_children_end_when_the_worker_does():
    program = """
tell("begun")
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
time.sleep(0.1)
os._exit(0)
"""
    kind, took, clean = lost(program, Limits(), seconds=20)
    assert (kind, clean) == ("crashed", True)
    assert took < 5


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)", "line.close(); time.sleep(1)"])
def test_a_worker_that_ends_itself_is_noticed_at_once(end):
    kind, took, clean = lost(f"tell('begun'); {end}", Limits(), seconds=20)
    assert (kind, clean) == ("crashed", True)
    assert took < 5


@pytest.mark.parametrize("length", [2**63, 40 * MB], ids=["quintillions", "forty megabytes"])
def test_a_message_that_is_too_long_is_not_read(length):
    program = f"tell('begun'); line.sendall(struct.pack('!Q', {length})); time.sleep(20)"
    assert lost(program, Limits(), seconds=20)[::2] == ("forged", True)


def test_a_message_that_never_ends_is_given_up():
    program = """
tell("begun")
line.sendall(struct.pack("!Q", 1000))
while True:
    line.sendall(b"x")
    time.sleep(0.01)
"""
    assert lost(program, Limits(), seconds=0.1)[::2] == ("timeout", True)


def test_a_box_that_does_not_listen_is_given_up():
    with box("tell('begun'); time.sleep(60)") as running:
        running.receive(10)
        with pytest.raises(BoxLost, match="timeout"):
            running.send(bytes(10 * MB), seconds=0.1)


def test_what_is_sent_arrives_whole():
    program = """
data = b""
while len(data) < 8 + 3_000_000:
    data += line.recv(1 << 20)
tell([len(data), data[8:].count(b"y")])
"""
    with box(program) as running:
        running.send(b"y" * 3_000_000)
        assert b"[3000008, 3000000]" in running.receive(10)


def test_the_box_ends_with_its_judge_even_when_that_is_killed():
    program = """
import sys
from tests.grading.boxed import box
with box("tell('begun'); time.sleep(60)") as running:
    running.receive(20)
    print(running.process.pid, running.pid, flush=True)
    sys.stdin.read()
"""
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", program]
    judge = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with judge:
        pids = [int(word) for word in judge.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(map(gone, pids))
        judge.kill()
        judge.wait()
        until = time.monotonic() + 5
        while time.monotonic() < until and not all(map(gone, pids)):
            time.sleep(0.02)
        assert all(map(gone, pids))


def test_without_a_box_the_worker_ends_with_its_judge_even_when_that_is_killed(root):
    program = """
import sys
from embedcourse.grading import wire
from embedcourse.grading.box import Box, Limits
endless = [["endless", "exec('while True: pass')"]]
with Box("hamming", Limits(), boxed=False) as running:
    running.await_start()
    running.send(wire.pack({"do": "cells", "word": "", "cells": endless, "functions": [], "skip": []}))
    running.receive(20)  # the cell is read, and runs
    print(running.pid, flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as judge:
        worker = int(judge.stdout.readline())
        assert not gone(worker)
        judge.kill()
        judge.wait()
        until = time.monotonic() + 5
        while time.monotonic() < until and not gone(worker):
            time.sleep(0.02)
        assert gone(worker)


def test_no_file_and_no_process_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        told("open('/tmp/kept', 'w').write('x'); tell(1)")
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == files


def test_the_box_counts_what_it_uses():
    program = f"""
held = bytearray({50 * MB})
for i in range(0, len(held), 4096):
    held[i] = 1
until = time.process_time() + 0.2
while time.process_time() < until:
    pass
tell(1)
time.sleep(20)
"""
    with box(program) as running:
        running.receive(10)
        usage = running.usage()
    assert 50 * MB < usage.memory < 200 * MB
    assert 0.15 < usage.seconds < 3


# ----------------------------------------------------------------------------------------------- how it is built


def test_a_course_that_lies_in_a_visible_folder_is_covered(monkeypatch):
    folders = [*box_module.readable(), box_module.PACKAGE.parent]
    monkeypatch.setattr(box_module, "readable", lambda: folders)
    rooms = [str(box_module.PACKAGE.parent / room) for room in ("solutions", "tests", "embedcourse")]
    assert told(f"tell([os.listdir(room) for room in {rooms!r}])") == [[], [], []]


def test_every_chapter_opens_only_files_that_are_there_and_hold_no_answer():
    package = Path(embedcourse.__file__).parent
    for chapter in modules():
        files = open_parts(chapter)
        assert all((package / file).is_file() for file in files)
        assert not [file for file in files if file.startswith(("checks/ch", "checks/judge", "losses", "claims"))]


def test_what_a_task_names_is_opened(monkeypatch):
    class Named:
        imports = ("embedcourse.world.blocks", "embedcourse.losses.info_nce")

    monkeypatch.setattr("embedcourse.checks.chapter_tasks", lambda chapter: (Named(),))
    files = set(open_parts("any")) - set(box_module.OPEN)
    assert {"losses/info_nce.py", "losses/__init__.py", "world/blocks/__init__.py"} <= files
    assert "losses/nt_xent.py" not in files


def test_the_probe_finds_that_the_box_holds_here():
    assert probe() is None


def test_the_probe_says_what_to_install(monkeypatch):
    monkeypatch.setattr(box_module.shutil, "which", lambda name: None)
    assert "bubblewrap is not installed" in probe()
    assert "sudo apt install bubblewrap" in probe()


def test_the_probe_says_that_another_system_needs_a_container(monkeypatch):
    monkeypatch.setattr(box_module.sys, "platform", "darwin")
    assert "container" in probe()


def test_the_probe_says_why_bubblewrap_fails(monkeypatch):
    monkeypatch.setattr(box_module, "namespaces", lambda: ["--no-such-option"])
    assert "no-such-option" in probe()


def test_the_probe_tells_a_missing_filter(monkeypatch):
    def missing():
        raise ImportError

    monkeypatch.setattr(box_module, "refused_calls", missing)
    assert "libseccomp2" in probe()


def test_the_probe_tells_an_open_box(monkeypatch):
    nothing = box_module.file_with(b"")
    allows = bytes.fromhex("06000000" + "0000ff7f")  # a filter that returns ALLOW at once
    os.close(nothing)
    monkeypatch.setattr(box_module, "refused_calls", lambda: allows)
    assert "the network is open in it" in probe()


def test_a_box_that_cannot_be_built_is_the_computers_fault(monkeypatch):
    monkeypatch.setattr(box_module, "namespaces", lambda: ["--no-such-option"])
    with pytest.raises(NoBox, match="did not build"):
        box("")


def test_a_python_that_does_not_start_is_the_computers_fault():
    with box("os._exit(1)") as running, pytest.raises(NoBox, match="do not load"):
        running.await_start()


def test_without_a_box_there_are_limits_all_the_same():
    program = f"tell(['begun', tried(bytearray, {300 * MB}), len(os.environ)]); time.sleep(60)"
    with box(program, Limits(memory=200 * MB), boxed=False) as running:
        assert b"MemoryError" in running.receive(10)
        with pytest.raises(BoxLost, match="timeout"):
            running.receive(0.1)
        pid = running.pid
    assert gone(pid)


def test_a_process_that_was_killed_shows_as_gone():
    sleeper = subprocess.Popen(["sleep", "60"])
    assert not gone(sleeper.pid)
    sleeper.send_signal(signal.SIGKILL)
    sleeper.wait()
    assert gone(sleeper.pid)
