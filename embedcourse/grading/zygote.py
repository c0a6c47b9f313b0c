"""Runs in an outer box: has Python and torch loaded once, and forks a box of its own for each submission.

`python zygote.py SETTINGS`, where SETTINGS is JSON, started by `forked.py`. It has the rights that it takes to make
namespaces, and sees what a box sees: no file, process or network of the computer's. It hears the grader alone. A child
gives up all rights, for good, before it listens to the line on which somebody else's code will come, and nothing of
what it does comes back here.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

LINE = 3  # the number of the only open file of a box that leads out of it
MOST = 1 << 20  # bytes of what the grader asks


def main() -> NoReturn:
    """Load what every submission needs, then fork a box whenever the grader asks for one, until it hangs up."""
    settings = json.loads(sys.argv[1])
    sys.path[:0] = settings["path"]
    from embedcourse.grading import worker

    zygote = Zygote(worker, worker.loaded(settings["checks"]), bytes.fromhex(settings["rules"]))
    control = socket.socket(fileno=settings["control"])
    require_one_thread()
    require_nothing_shared(Path("/proc/self/maps").read_text())
    control.send(b"ready")
    while True:
        request, lines, _, _ = socket.recv_fds(control, MOST, 1)
        if not request:
            os._exit(0)
        zygote.fork_a_box(json.loads(request), lines[0])


def require_one_thread() -> None:
    """Refuse to fork a process with threads: the child would have their locks, and nobody to open them."""
    if len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("a library has started threads")


def require_nothing_shared(maps: str) -> None:
    """Refuse to fork a process with memory that its children would go on sharing, and could write to."""
    shared = [row for row in maps.splitlines() if row.split()[1].endswith("s") and "w" in row.split()[1]]
    if shared:
        raise RuntimeError(f"a library shares memory: {shared[0]}")


class Zygote:
    """What each box starts from: the worker with all that it has loaded, and the filter of system calls."""

    def __init__(self, worker: types.ModuleType, loaded: tuple, rules: bytes) -> None:
        self.worker, self.loaded, self.rules = worker, loaded, rules
        self.as_user = os.getuid() != 0
        self.line = -1

    def fork_a_box(self, own: dict[str, Any], line: int) -> None:
        """Fork a box with a line to the grader. The child on the way there is waited for, the box is not."""
        require_one_thread()
        child = os.fork()
        if child == 0:
            self.line = line
            self.to_the_end(lambda: self.enter(own))
        os.close(line)
        os.waitpid(child, 0)

    def to_the_end(self, do: Callable[[], Any]) -> NoReturn:
        """Do what a child is there for, and end it: it must never become a second zygote. What fails is told."""
        try:
            do()
            os._exit(0)
        except BaseException as error:
            os.write(self.line, f"!{type(error).__name__}: {error}"[:300].encode())
        finally:
            os._exit(1)

    def enter(self, own: dict[str, Any]) -> None:
        """Make new namespaces, and fork the first process in them; this one, on the way between, then ends.

        Who is no administrator needs a user namespace for each box: it gives the rights to make the others, and its
        processes are counted for it alone.
        """
        me, group = os.getuid(), os.getgid()
        call("unshare", NAMESPACES | (CLONE_NEWUSER if self.as_user else 0))
        if self.as_user:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{me} {me} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        if os.fork() == 0:
            self.to_the_end(lambda: self.first_process(own))

    def first_process(self, own: dict[str, Any]) -> None:
        """Give up all rights, tell the grader which process this is, and let a second one do the work.

        This one waits, as the first process of a system does: with it all others end, and it ends with the second one.
        """
        os.setsid()
        keep_only(self.line)
        self.line = LINE
        furnish(own["file_bytes"], self.as_user)
        self.give_up_rights(own)
        tell_who(LINE)
        second = os.fork()
        if second == 0:
            self.second_process(own | {"line": LINE})
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.close(LINE)
        while os.wait()[0] != second:
            pass

    def give_up_rights(self, own: dict[str, Any]) -> None:
        """Give up all rights, limit what is used, and let the kernel refuse what the filter says. For good."""
        drop_bounding_set()
        self.worker.drop_rights(own)
        call("capset", struct.pack("=Ii", 0x20080522, 0), bytes(24))  # nothing effective, permitted or inheritable
        if self.as_user:
            call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # or the grader could not count its memory
        call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        load_filter(self.rules)

    def second_process(self, own: dict[str, Any]) -> NoReturn:
        """Be the worker, or what is given in its place to try the box."""
        try:
            if "numpy.random" in sys.modules:  # Python's own numbers are drawn anew at a fork, torch's are given
                sys.modules["numpy.random"].seed()
            if "program" in own:
                run_program(own)
            else:
                self.worker.work(own, *self.loaded)
        finally:
            os._exit(1)


# ---------------------------------------------------------------------------------------------- the way into a box


def keep_only(line: int) -> None:
    """Close every file but the line, which gets its number; input and output lead nowhere."""
    if line != LINE:
        os.dup2(line, LINE, inheritable=False)
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # what listed them is closed
            if number > LINE:
                os.close(number)


def furnish(file_bytes: int, as_user: bool) -> None:
    """Put a view of its own processes and empty rooms where those of the outer box are."""
    plain = MS_NOSUID | MS_NODEV
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", plain | MS_NOEXEC)
    for name in () if as_user else ("sys", "sysrq-trigger", "irq", "bus"):  # which an administrator could write
        read_only(f"/proc/{name}")
    for folder in ("/tmp", "/dev/shm"):
        mount(
            "none", folder, "", MS_BIND | MS_REMOUNT | MS_RDONLY | plain
        )  # the zygote's own, covered by the next line
        mount("tmpfs", folder, "tmpfs", plain, f"mode=1777,size={file_bytes}")
    mount("tmpfs", "/dev/pts", "tmpfs", plain | MS_NOEXEC | MS_RDONLY, "mode=755,size=4096")  # terminals are shared
    os.chdir("/tmp")
    if as_user:
        Path("/proc/sys/user/max_user_namespaces").write_text("0")  # none inside this one


def read_only(path: str) -> None:
    """Let a part of the file system be read only."""
    if os.path.exists(path):
        mount(path, path, "", MS_BIND | MS_REC)
        mount("none", path, "", MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def drop_bounding_set() -> None:
    """Give up every capability that a later program could get: not even the administrator's would have one."""
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        call("prctl", PR_CAPBSET_DROP, number, 0, 0, 0)


def load_filter(rules: bytes) -> None:
    """Let the kernel refuse system calls by rules, for this process and all that come from it."""
    code = ctypes.create_string_buffer(rules, len(rules))
    program = Program(len(rules) // 8, ctypes.addressof(code))
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0)


class Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def tell_who(line: int) -> None:
    """Send a file that stands for this process, which has no number that is valid outside."""
    me = os.pidfd_open(os.getpid())
    with socket.socket(fileno=os.dup(line)) as out:
        socket.send_fds(out, [b"+"], [me])
    os.close(me)


def run_program(own: dict[str, Any]) -> None:
    """Run what is given in the worker's place, as `python -c` would."""
    sys.argv = ["-c", json.dumps(own)]
    sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(own["program"], "<string>", "exec"), sys.modules["__main__"].__dict__)


# ------------------------------------------------------------------------------------------------ the kernel's names

CLONE_NEWUSER = 0x10000000
NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000  # mount, uts, ipc, pid, net
NAMESPACES |= 0x02000000 if os.path.exists("/proc/self/ns/cgroup") else 0

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 22, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL, SECCOMP_MODE_FILTER = 4, 2

LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """Call a function of the C library.

    Raises: OSError where it fails.
    """
    words = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if (result := getattr(LIBC, name)(*words)) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Call mount(2)."""
    call("mount", source.encode(), target.encode(), kind.encode(), flags, options.encode())


if __name__ == "__main__":
    main()
