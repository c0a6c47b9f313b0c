"""Boxes in a moment: a process that has loaded torch, the zygote, forks one for each submission.

To load torch takes seconds of computing, more than all that an honest notebook does. The zygote loads it once for a
chapter, in a box of bubblewrap's with the same view of the computer, and each submission's box is made inside that:
what the outer one closes stays closed, and own namespaces keep the submissions apart. The grader looks at each box from
outside before anything is sent to it. Where this does not hold on a computer, each box is built from its ground.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embedcourse.grading import box as boxes
from embedcourse.grading.box import COURSE, ROOMS, Box, BoxLost, Limits, NoBox

__all__ = ["ForkedBox", "Zygote", "Zygotes", "end_idle", "open_box", "why_not"]


def open_box(chapter: str, limits: Limits, *, boxed: bool = True) -> Box:
    """A box for a submission: forked where that was tried and holds, else built from its ground.

    Raises: NoBox where none can be started.
    """
    if boxed and why_not(chapter) is None:
        return ForkedBox(chapter, limits)
    return Box(chapter, limits, boxed=boxed)


def why_not(chapter: str) -> str | None:
    """Why no box can be forked on this computer, or None where that holds; tried once."""
    return ZYGOTES.why_not(chapter)


def end_idle() -> None:
    """End the zygotes that nobody uses. They also end with this process, however that ends."""
    ZYGOTES.end(idle=True)


# ----------------------------------------------------------------------------------------------------- a forked box


class ForkedBox(Box):
    """A box that a zygote forked. Used like any other, and by any thread.

    program: runs in the worker's place, to try the box.
    """

    def __init__(self, chapter: str, limits: Limits, *, program: str | None = None) -> None:
        self.program = program
        self.zygote: Zygote | None = None
        super().__init__(chapter, limits)

    def _start(self, chapter: str, theirs: socket.socket) -> None:
        request = {**self._settings(-1), "file_bytes": self.limits.file_bytes}
        if self.program is not None:
            request["program"] = self.program
        for _ in range(TRIES):
            self.zygote = ZYGOTES.borrow(chapter)
            with theirs:
                self.zygote.ask(request, theirs)
            if self._born(self.zygote):
                return
            self._give_back()
            self.line.close()
            self.line, theirs = socket.socketpair()
        theirs.close()
        raise NoBox("the process that forks the boxes ended, and so did the one in its place")

    def _born(self, zygote: "Zygote") -> bool:
        """Wait for what the box says first, and look at it from outside; False where the zygote has ended.

        Raises: NoBox where the box could not be made, or is not closed.
        """
        said, self.first = first_word(self.line)
        if self.first is not None:
            self._first_process(pid_of(self.first))
            require_closed(self.pid, zygote.pid)
            return True
        if said and not zygote.ended():
            raise NoBox(f"no box could be forked ({said.decode(errors='replace')})")
        zygote.end()  # it ended, or does not answer, and nothing in it can be reached
        return False

    def _give_back(self) -> None:
        if self.zygote is not None:
            ZYGOTES.give_back(self.zygote)
            self.zygote = None

    def close(self) -> None:
        """End the box and wait until none of its processes is left; the zygote stays for the next one."""
        super().close()
        self._give_back()

    def loaded(self) -> int:
        """The bytes of a box in which nothing of a submission has run.

        A fork begins without those pages of libraries that can be read from their files again, and gets them back as
        it works: the zygote, which has them, is what to compare with.
        """
        return boxes.told_bytes(self.pid, "status", "VmHWM", 0) + self.zygote.loaded

    def send(self, data: bytes, seconds: float = 10.0) -> None:
        """Send one message.

        Raises: BoxLost where the box does not take it; NoBox where it ended because the zygote did.
        """
        with self._not_for_nothing():
            super().send(data, seconds)

    def receive(self, seconds: float, most: int | None = None) -> bytes:
        """Wait for one message.

        Raises: BoxLost as any box; NoBox where it ended because the zygote did.
        """
        with self._not_for_nothing():
            return super().receive(seconds, most)

    @contextlib.contextmanager
    def _not_for_nothing(self) -> Iterator[None]:
        """No submission is held to account for the end of the zygote, with which all its boxes end."""
        try:
            yield
        except BoxLost as lost:
            if lost.kind == "crashed" and self.zygote is not None and self.zygote.ended(MOMENT):
                raise NoBox("the process that forks the boxes has ended, and this box with it") from lost
            raise


TRIES = 2  # a zygote that has ended is replaced once
MOMENT = 0.25  # seconds, in which who was killed has ended
BIRTH_SECONDS, LOAD_SECONDS, LOOK_SECONDS = 30.0, 180.0, 0.2  # by the clock


def first_word(line: socket.socket) -> tuple[bytes, int | None]:
    """What a box says first: who it is, as an open file that stands for its first process, or what has failed.

    It comes before anything of a submission is there; nothing where there is no box.
    """
    if not readable(line, BIRTH_SECONDS):
        return b"", None
    said, files, _, _ = socket.recv_fds(line, 1, 1, socket.MSG_CMSG_CLOEXEC)
    if said == b"+" and files:
        return said, files[0]
    while readable(line, MOMENT) and (more := line.recv(300)):
        said += more
    return said[1:], None


def readable(line: socket.socket, seconds: float) -> bool:
    """Wait until something comes, or the other end is closed. A thread that waits can be stopped."""
    until = time.monotonic() + seconds
    while not select.select([line], [], [], LOOK_SECONDS)[0]:
        if time.monotonic() > until:
            return False
    return True


def pid_of(first: int) -> int:
    """The number that a process has here, of which an open file is given.

    Raises: NoBox where it has ended.
    """
    told = dict(row.split(":", 1) for row in Path(f"/proc/self/fdinfo/{first}").read_text().splitlines())
    if (pid := int(told["Pid"])) <= 0:
        raise NoBox("a forked box ended before it began")
    return pid


def require_closed(pid: int, zygote: int) -> None:
    """Look at a box from outside, before anything of a submission is there.

    Raises: NoBox where its first process has a right left, or shares with the grader or the zygote what it must not.
    """
    try:
        told = dict(row.split(":", 1) for row in Path(f"/proc/{pid}/status").read_text().splitlines())
        spaces = [{name: os.stat(f"/proc/{p}/ns/{name}").st_ino for name in SPACES} for p in (pid, zygote, "self")]
    except OSError as error:
        raise NoBox("a forked box ended before it began") from error
    rights = [name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(told[name], 16)]
    rights += [name for name, value in CLOSED.items() if told[name].strip() != value]
    rights += ["Uid"] if "0" in told["Uid"].split() + told["Gid"].split() else []
    rights += ["Groups"] if os.getuid() == 0 and told["Groups"].split() else []
    rights += ["NSpid"] if told["NSpid"].split()[-1] != "1" else []
    own = SPACES if os.getuid() else [name for name in SPACES if name != "user"]
    shared = [name for name in own for other in spaces[1:] if spaces[0][name] == other[name]]
    if rights or shared:
        raise NoBox(f"a forked box is not closed ({', '.join([*rights, *shared])})")


CLOSED = {"NoNewPrivs": "1", "Seccomp": "2", "Threads": "1"}
SPACES = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup")


# ------------------------------------------------------------------------------------------------------ the zygote


class Zygote:
    """The process that has loaded torch, in its box. A thread keeps it, since it ends with who started it.

    Raises: NoBox where it does not start.
    """

    def __init__(self, chapter: str) -> None:
        self.users = self.pid = 0
        self.loaded = 0  # bytes that it takes
        self.process: subprocess.Popen | None = None
        self.first: int | None = None
        self.closing, self.started, self.gone = threading.Lock(), threading.Event(), threading.Event()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.keeper = threading.Thread(target=self._keep, args=(chapter, theirs), daemon=True)
        self.keeper.start()
        try:
            while not self.started.wait(LOOK_SECONDS):
                pass
            if not readable(self.control, LOAD_SECONDS) or self.control.recv(16) != b"ready":
                raise NoBox("the process that forks the boxes does not start")
            self.loaded = sum(boxes.told_bytes(pid, "status", "VmHWM", 0) for pid in list(boxes.family(self.pid))[1:])
        except BaseException:
            self.end()
            raise

    def _keep(self, chapter: str, theirs: socket.socket) -> None:
        try:
            with theirs, contextlib.suppress(OSError, ValueError, KeyError):  # whoever waits hears that it is closed
                self._start(chapter, theirs.fileno())
        finally:
            self.started.set()
        if self.process is not None:
            self.process.wait()
        self.gone.set()

    def _start(self, chapter: str, control: int) -> None:
        told, tell = os.pipe()
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            line = command(chapter, control, tell)
            self.process = subprocess.Popen(line, env={}, pass_fds=[control, tell], start_new_session=True, **quiet)
            os.close(tell)
            tell = -1
            self.pid = json.loads(boxes.all_of(told))["child-pid"]
            self.first = os.pidfd_open(self.pid)
        finally:
            for file in {told, tell} - {-1}:
                os.close(file)

    def ask(self, request: dict[str, Any], line: socket.socket) -> None:
        """Ask for a box with a line; where this has ended, nobody will be on the line's other end."""
        with contextlib.suppress(OSError):
            socket.send_fds(self.control, [json.dumps(request).encode()], [line.fileno()])

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, or does within so many seconds."""
        return self.gone.wait(seconds)

    def end(self) -> None:
        """End it, and all boxes that are left in it."""
        with self.closing:
            self.control.close()
            if self.first is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.first, signal.SIGKILL)
                select.select([self.first], [], [], 10)
                os.close(self.first)
                self.first = None
            if not self.gone.wait(1) and self.process is not None:  # bubblewrap ends with what it has built
                self.process.kill()
        self.gone.wait(10)


def command(chapter: str, control: int, info: int) -> list[str]:
    """The command that starts a zygote in its box: with what it takes to make namespaces.

    An ordinary user's has no right at all: the rights come with the user namespace of each box.
    """
    settings = {
        "control": control,
        "path": [COURSE, *map(str, boxes.site_folders())],
        "checks": f"{COURSE}/embedcourse/checks",
        "rules": boxes.refused_calls().hex(),
    }
    program = boxes.python(f"{COURSE}/embedcourse/grading/zygote.py", json.dumps(settings))
    rooms = [word for folder in ROOMS for word in boxes.room(folder, 2**20)]  # libraries want to write as they load
    return boxes.bubblewrap(chapter, rights(), rooms, program, info)


def rights() -> list[str]:
    """The namespaces and capabilities of a zygote."""
    own = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    own += ["--cap-drop", "ALL"]
    if os.getuid() != 0:
        return [*own, "--unshare-user", "--uid", "65534", "--gid", "65534"]
    needed = ("CAP_SYS_ADMIN", "CAP_SETPCAP", "CAP_SETUID", "CAP_SETGID")
    return [*own, *(word for name in needed for word in ("--cap-add", name))]


class Zygotes:
    """The zygotes of this process, one a chapter; those of other chapters end when a new one begins."""

    def __init__(self) -> None:
        self.lock, self.trying = threading.Lock(), threading.Lock()
        self.of: dict[str, Zygote] = {}
        self.owner = os.getpid()
        self.tried, self.reason = False, None

    def borrow(self, chapter: str) -> Zygote:
        """The zygote of a chapter, for a box that is then given back.

        Raises: NoBox where none starts.
        """
        with self.lock:
            zygote = self.of.get(chapter)
            if zygote is None or zygote.ended():
                self._end([name for name, other in self.of.items() if not other.users])
                zygote = self.of[chapter] = Zygote(chapter)
            zygote.users += 1
            return zygote

    def give_back(self, zygote: Zygote) -> None:
        """Say that a box is closed."""
        with self.lock:
            zygote.users -= 1

    def end(self, *, idle: bool = False) -> None:
        """End all of them, or those that nobody uses."""
        if os.getpid() != self.owner:  # this is a child that was forked, and they are its parent's
            return
        with self.lock:
            self._end([name for name, zygote in self.of.items() if not (idle and zygote.users)])

    def _end(self, names: list[str]) -> None:
        for name in names:
            self.of.pop(name).end()

    def why_not(self, chapter: str) -> str | None:
        """Why no box can be forked here, or None where that holds; tried once."""
        with self.trying:
            if not self.tried:
                self.reason = trial(chapter)
                self.tried = True
            return self.reason


ZYGOTES = Zygotes()
atexit.register(ZYGOTES.end)


def trial(chapter: str) -> str | None:
    """Fork a box and try it from inside; what is wrong with it, or None."""
    if not hasattr(os, "pidfd_open") or not hasattr(socket, "recv_fds"):
        return "this system has no files that stand for processes"
    try:
        with ForkedBox(chapter, Limits(), program=TRIAL) as box:
            said = box.receive(10).decode(errors="replace")
    except (NoBox, BoxLost, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None if said == "closed" else said


TRIAL = """
import json, os, socket, struct, sys
line, wrong = socket.socket(fileno=json.loads(sys.argv[1])["line"]), []
def refuses(what, function, *arguments):
    try:
        function(*arguments)
    except OSError:
        return
    wrong.append(what)
refuses("the network is open in it", socket.socket)
refuses("files can be written in it", open, "/mark", "w")
status = dict(row.split(":", 1) for row in open("/proc/self/status"))
wrong += [name for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb") if int(status[name], 16)]
wrong += [name for name, value in (("NoNewPrivs", "1"), ("Seccomp", "2")) if status[name].strip() != value]
if sorted(name for name in os.listdir("/proc") if name.isdigit()) != ["1", "2"]:
    wrong.append("other processes are seen in it")
if len(os.listdir("/proc/self/fd")) != 5 or os.listdir("/tmp") or os.listdir("/dev/shm"):
    wrong.append("something is left in it")
said = ("; ".join(wrong) or "closed").encode()
line.sendall(struct.pack("!Q", len(said)) + said)
"""
