"""Forked boxes: what every box promises, tried on them again, and that neither boxes nor zygote hear of each other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedcourse.grading import box as box_module
from embedcourse.grading import forked
from embedcourse.grading.box import Box, BoxLost, Limits, NoBox, Usage, family
from embedcourse.grading.forked import ForkedBox, Zygotes, open_box

from . import boxed
from .boxed import box, gone, heard, needs_box, processes, told
from .test_box import (  # noqa: F401  all that a box promises
    TAKES_SHARED_MEMORY,
    test_a_box_that_does_not_listen_is_given_up,
    test_a_loop_that_ignores_signals_is_ended_in_time,
    test_a_message_that_is_too_long_is_not_read,
    test_a_message_that_never_ends_is_given_up,
    test_a_python_that_does_not_start_is_the_computers_fault,
    test_a_sleep_without_end_is_ended_by_the_clock,
    test_a_worker_that_ends_itself_is_noticed_at_once,
    test_children_end_when_the_worker_does,
    test_children_that_leave_their_family_are_ended_too,
    test_files_and_disks_are_limited,
    test_files_of_the_judge_are_closed,
    test_it_has_no_rights_and_gets_none,
    test_no_file_and_no_process_is_left,
    test_nothing_can_be_written_but_its_own_memory,
    test_only_its_own_processes_can_be_seen,
    test_open_files_are_limited,
    test_output_without_end_goes_nowhere,
    test_processes_are_limited,
    test_solutions_checks_and_submissions_cannot_be_seen,
    test_the_environment_tells_nothing,
    test_the_memory_that_was_given_back_is_told,
    test_there_is_no_network,
    test_threads_count_as_processes,
    test_what_is_sent_arrives_whole,
)

MB = 2**20
pytestmark = needs_box


@pytest.fixture(autouse=True)
def forking(monkeypatch):
    """All boxes of this file are forked."""
    assert forked.why_not("hamming") is None
    monkeypatch.setattr(boxed, "KIND", "forked")


@pytest.fixture
def zygotes(monkeypatch):
    """Zygotes of this test alone."""
    own = Zygotes()
    monkeypatch.setattr(forked, "ZYGOTES", own)
    yield own
    own.end()


def wait_for(condition, seconds: float = 5.0) -> bool:
    """Whether a condition holds within so many seconds."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


# ------------------------------------------------------------------------------------------- what is seen from inside


def test_every_right_is_gone_for_good():
    program = """
rows = (row.split(":", 1) for row in open("/proc/self/status"))
tell({name: value.split() for name, value in rows})
"""
    status = told(program)
    caps = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert {name: int(status[name][0], 16) for name in caps} == dict.fromkeys(caps, 0)
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == (["1"], ["2"], ["1"])
    assert "0" not in status["Uid"] + status["Gid"]
    assert (status["Pid"], status["PPid"]) == (["2"], ["1"])
    if os.getuid() == 0:
        assert status["Groups"] == []


def test_session_limits_and_files_are_its_own():
    names = ("CORE", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC")
    program = f"""
import resource
limits = [resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in {names!r}]
files = [os.readlink(f"/proc/self/fd/{{n}}").split(":")[0] for n in range(4)]
tell([os.getsid(0), os.getpgid(0), files, limits, os.fstat(0).st_rdev, os.stat("/dev/null").st_rdev])
"""
    session, group, files, limits, *devices = told(program)
    assert (session, group, files) == (1, 1, ["/dev/null"] * 3 + ["socket"])
    assert devices[0] == devices[1]
    own = Limits()
    most = [0, int(own.seconds) + 30, own.memory, own.file_bytes, own.files, own.processes]
    assert limits == [[n, n] for n in most]


def test_what_is_mounted_is_read_only_or_its_own():
    program = """
rows = [row.split() for row in open("/proc/self/mountinfo")]
tell([[row[4], row[5].split(","), row[row.index("-") + 1]] for row in rows])
"""
    mounts = told(program, Limits(file_bytes=4 * MB))
    top = {place: (options, kind) for place, options, kind in mounts}  # the last one covers those before
    writable = {place for place, (options, _) in top.items() if "rw" in options}
    devices = {place for place in writable if place.startswith("/dev/") and place != "/dev/shm"}
    assert writable - devices == {"/tmp", "/dev/shm", "/proc"}
    assert all("nosuid" in options for options, _ in top.values())
    sizes = "tell([os.statvfs(p).f_blocks * os.statvfs(p).f_frsize for p in ('/tmp', '/dev/shm')])"
    assert told(sizes, Limits(file_bytes=4 * MB)) == [4 * MB, 4 * MB]
    assert told("tell([os.listdir(p) for p in ('/tmp', '/dev/shm', '/dev/pts')])") == [[], [], []]


def test_the_program_that_it_is_made_of_cannot_be_changed():
    """A fork runs the zygote's own file; the link to it leads to nothing that could be written."""
    program = """
exe, library = "/proc/self/exe", os.__file__
tell([tried(os.chmod, exe, 0o755), tried(os.utime, exe), tried(open, exe, "r+b"), tried(os.truncate, exe, 0),
      tried(os.link, exe, "/tmp/python"), tried(os.setxattr, exe, "user.mark", b"x"),
      tried(os.chmod, library, 0o755), tried(os.utime, library), tried(open, "/proc/sys/kernel/hostname", "w")])
"""
    assert set(told(program)) <= {"OSError", "PermissionError"}


def test_covered_rooms_cannot_be_uncovered():
    program = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
places = (b"/proc", b"/tmp", b"/dev/shm", b"/dev/pts", b"/")
tell([[libc.umount2(p, flag), libc.mount(b"none", p, None, 32 | 4096, None)] for p in places for flag in (0, 2, 8)])
"""
    assert {answer for answers in told(program) for answer in answers} == {-1}


def test_it_is_another_space_than_the_zygotes_and_the_graders():
    with box("tell(1); time.sleep(20)") as running:
        assert heard(running) == 1
        names = os.listdir(f"/proc/{running.pid}/ns")
        inside, zygote, grader = (
            {name: os.stat(f"/proc/{pid}/ns/{name}").st_ino for name in names}
            for pid in (processes(running)[-1], running.zygote.pid, os.getpid())
        )
        for other in (zygote, grader):
            same = {name for name in names if inside[name] == other[name]}
            assert same <= {"time", "time_for_children"} | ({"user"} if os.getuid() == 0 else set())


# ----------------------------------------------------------------------------------------------------- memory, time


def base() -> Usage:
    """What a box uses in which nothing happens: torch is loaded, and shared."""
    with box("tell('begun'); time.sleep(20)") as running:
        running.receive(10)
        tight = Limits(memory=1)
        running.limits = tight  # so that what is shared counts once
        return running.usage()


def lost_with(program: str, more: int) -> str:
    """How a box is lost that may use so many bytes more than it begins with, by the count from outside."""
    allowed = Limits(memory=base().memory + more)
    with box(program) as running:
        assert heard(running) == "begun"
        running.limits = allowed
        with pytest.raises(BoxLost) as caught:
            running.receive(10)
    return caught.value.kind


def test_memory_of_its_own_is_limited():
    program = f"""
held = int(next(row for row in open("/proc/self/status") if row.startswith("VmData")).split()[1]) * 1024
tell([held, tried(bytearray, {300 * MB})])
"""
    held, said = told(program)
    assert said == "done"
    assert told(program, Limits(memory=held + 200 * MB))[1] == "MemoryError"
    assert told(program, Limits(memory=held + 400 * MB))[1] == "done"


def test_shared_memory_is_limited_from_outside():
    assert lost_with(TAKES_SHARED_MEMORY, 60 * MB) == "memory"


def test_memory_is_counted_over_all_processes():
    program = f"""
tell("begun")
for _ in range(4):
    if os.fork() == 0:
        held = bytearray(b"x") * {50 * MB}
        time.sleep(20)
time.sleep(20)
"""
    assert lost_with(program, 100 * MB) == "memory"


def test_what_the_kernel_keeps_of_empty_files_counts_as_memory():
    program = """
tell("begun")
for i in range(100_000):
    os.close(os.open(f"/tmp/{i}", os.O_CREAT))
time.sleep(20)
"""
    assert lost_with(program, 100 * MB) == "memory"


def test_what_forked_processes_share_counts_once():
    program = f"""
tell("begun")
held = b"x" * {30 * MB}
for _ in range(4):
    if os.fork() == 0:
        time.sleep(20)
        os._exit(0)
time.sleep(0.5)
tell("lived")
"""
    allowed = Limits(memory=base().memory + 150 * MB)
    with box(program) as running:
        assert heard(running) == "begun"
        running.limits = allowed
        assert heard(running) == "lived"


def test_the_box_counts_what_it_uses_and_not_what_the_zygote_used():
    program = f"""
tell(time.process_time())
line.recv(1)
held = bytearray(b"x") * {50 * MB}
until = time.process_time() + 0.2
while time.process_time() < until:
    pass
tell(1)
time.sleep(20)
"""
    with box(program) as running:
        assert heard(running) < 0.2
        before = running.usage()
        running.line.send(b"x")
        running.receive(10)
        after = running.usage()
    assert 45 * MB < after.memory - before.memory < 60 * MB
    assert before.seconds < 0.5
    assert 0.15 < after.seconds - before.seconds < 1


def test_what_it_begins_with_is_what_a_box_from_the_ground_takes():
    with Box("hamming", Limits()) as built, ForkedBox("hamming", Limits()) as other:
        built.await_start()
        other.await_start()
        first = box_module.told_bytes(other.pid, "status", "VmHWM", 0)
        assert other.loaded() - first == pytest.approx(built.loaded(), rel=0.1)
        assert other.peak() <= other.loaded() + 5 * MB


# -------------------------------------------------------------------------------------- one box and the others


WRITES = """
import ctypes
for path in ("/tmp/mark", "/dev/shm/mark"):
    open(path, "w").write("x")
server = socket.socket(socket.AF_UNIX)
server.bind("\\0mark")
server.listen()
tell([os.getpid(), tried(ctypes.CDLL(None).sethostname, b"mark", 4), os.uname().nodename])
line.recv(1)
tell("alive")
time.sleep(20)
"""
LOOKS = """
import signal
found = [os.path.exists(p) for p in ("/tmp/mark", "/dev/shm/mark")]
called = tried(socket.socket(socket.AF_UNIX).connect, "\\0mark")
sockets = open("/proc/net/unix").read().count("mark")
pids = sorted(p for p in os.listdir("/proc") if p.isdigit())
signals = [tried(os.kill, 3, 0), tried(os.kill, -1, signal.SIGCONT)]
tell([found, called, sockets, pids, os.uname().nodename, os.getppid(), *signals])
os.kill(1, signal.SIGKILL)
tried(os.kill, -1, signal.SIGKILL)
"""


def test_two_boxes_do_not_see_each_other():
    with box(WRITES) as one:
        assert heard(one)[0] == 2
        with box(LOOKS) as other:
            assert other.zygote is one.zygote
            seen = heard(other)
        assert seen[:4] == [[False, False], "ConnectionRefusedError", 0, ["1", "2"]]
        assert seen[4:] == ["box", 1, "ProcessLookupError", "ProcessLookupError"]
        one.line.send(b"x")
        assert heard(one) == "alive"
    assert told(LOOKS)[:4] == [[False, False], "ConnectionRefusedError", 0, ["1", "2"]]


HARMS = """
import builtins, torch
torch.manual_seed = torch.tensor = builtins.sorted = os.fork = os.listdir = socket.recv_fds = None
for number in range(3, 60):
    tried(os.close, number) if number != line.fileno() else None
tell("done")
"""


def test_what_one_box_changes_no_later_one_has():
    assert told(HARMS) == "done"
    asks = "import torch; tell([torch.tensor([2]).tolist(), sorted([3, 1]), callable(os.fork), os.listdir('/tmp')])"
    assert told(asks) == [[2], [1, 3], True, []]
    with open_box("hamming", Limits()) as running:
        running.await_start()
        assert isinstance(running, ForkedBox)


def test_no_two_boxes_draw_the_same():
    draws = "import random, numpy, torch, secrets; tell([random.random(), numpy.random.rand(), secrets.randbits(60)])"
    one, other = told(draws), told(draws)
    assert all(a != b for a, b in zip(one, other, strict=True))
    start = "import torch; tell(torch.initial_seed())"
    assert told(start) == told(start)  # as in every fresh Python


def test_nothing_of_the_grader_is_in_the_zygote(monkeypatch, zygotes):
    monkeypatch.setenv("SECRET_SEED", "12345")
    zygote = zygotes.borrow("hamming")
    pids = list(family(zygote.pid))
    assert len(pids) == 2
    for pid in pids:
        assert not [name for name in ("environ", "cmdline") if b"12345" in Path(f"/proc/{pid}/{name}").read_bytes()]
        assert os.readlink(f"/proc/{pid}/cwd") == "/tmp"
        assert not os.path.exists(f"/proc/{pid}/root{forked.boxes.PACKAGE.parent}/solutions")
        status = dict(row.split(":", 1) for row in Path(f"/proc/{pid}/status").read_text().splitlines())
        rights = int(status["CapEff"], 16)
        needed = (6, 7, 8, 21) if os.getuid() == 0 else ()  # SETGID, SETUID, SETPCAP, SYS_ADMIN
        assert rights & ~sum(1 << n for n in needed) == 0


# --------------------------------------------------------------------------------------------- the zygote's own end


def test_a_zygote_that_was_killed_is_replaced_and_no_submission_pays(zygotes):
    with box("tell('begun'); time.sleep(60)") as running:
        running.receive(10)
        first = running.zygote
        os.kill(sorted(family(first.pid))[1], signal.SIGKILL)  # bubblewrap's, the zygote's, the box's
        with pytest.raises(NoBox, match="has ended, and this box with it"):
            running.receive(10)
    assert told("tell('again')") == "again"
    assert zygotes.of["hamming"] is not first


def test_a_zygote_that_ends_as_it_is_asked_is_replaced_once(zygotes, monkeypatch):
    ask, asked = forked.Zygote.ask, []

    def deadly(zygote, *words, times):
        asked.append(zygote)
        if len(asked) <= times:
            zygote.end()
        ask(zygote, *words)

    monkeypatch.setattr(forked.Zygote, "ask", lambda *words: deadly(*words, times=1))
    assert told("tell(1)") == 1
    assert len(set(asked)) == 2
    asked.clear()
    monkeypatch.setattr(forked.Zygote, "ask", lambda *words: deadly(*words, times=2))
    with pytest.raises(NoBox, match="and so did the one in its place"):
        told("tell(1)")
    assert not any(zygote.users for zygote in zygotes.of.values())


def test_zygote_and_boxes_end_with_the_grader_even_when_that_is_killed(root):
    program = """
import sys, threading
from embedcourse.grading.box import family
from tests.grading import boxed
boxed.KIND = "forked"
running = []
def start():
    running.append(boxed.box("tell('begun'); time.sleep(60)"))
    running[0].receive(60)
thread = threading.Thread(target=start)
thread.start()
thread.join()  # a box outlives the thread that asked for it
print(*family(running[0].zygote.process.pid), flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as judge:
        pids = [int(word) for word in judge.stdout.readline().split()]
        assert len(pids) == 5  # bubblewrap outside and inside, the zygote, two of the box
        assert not any(map(gone, pids))
        judge.kill()
        judge.wait()
        assert wait_for(lambda: all(map(gone, pids)))


def test_zygotes_of_other_chapters_and_idle_ones_end(zygotes):
    with box("tell(1); time.sleep(20)") as running:
        hamming = running.zygote
        other = zygotes.borrow("cosine")
        assert not hamming.ended()
        zygotes.end(idle=True)
        assert not hamming.ended()
        zygotes.give_back(other)
        assert heard(running) == 1
    zygotes.end(idle=True)
    assert hamming.ended()
    assert other.ended()
    assert zygotes.of == {}


# ----------------------------------------------------------------------------------- where it does not hold, it is not


def test_a_process_that_is_no_box_is_refused():
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        with pytest.raises(NoBox, match=r"not closed \(.*NoNewPrivs, Seccomp.*NSpid.*mnt") as caught:
            forked.require_closed(sleeper.pid, os.getpid())
        assert os.getuid() != 0 or "CapEff" in str(caught.value)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_without_the_filter_no_box_is_forked(zygotes, monkeypatch):
    allows = bytes.fromhex("06000000" + "0000ff7f")  # returns ALLOW at once
    monkeypatch.setattr(box_module, "refused_calls", lambda: allows)
    assert "the network is open in it" in zygotes.why_not("hamming")


def test_where_none_can_be_forked_boxes_are_built_from_the_ground(zygotes, monkeypatch):
    monkeypatch.setattr(forked, "rights", lambda: ["--no-such-option"])
    with open_box("hamming", Limits()) as running:
        assert type(running) is Box
        running.await_start()
    assert "does not start" in zygotes.reason
    assert zygotes.why_not("hamming") == zygotes.reason  # tried once


def test_a_zygote_without_the_rights_says_so(zygotes, monkeypatch):
    monkeypatch.setattr(forked, "rights", lambda: [*box_module.namespaces(), "--cap-drop", "ALL"])
    said = zygotes.why_not("hamming") or ""  # an ordinary user's has none anyway
    assert "no box could be forked (PermissionError: [Errno 1] unshare" in said or os.getuid() > 0


def test_unboxed_stays_unboxed():
    with open_box("hamming", Limits(), boxed=False) as running:
        assert type(running) is Box
        assert not running.boxed
