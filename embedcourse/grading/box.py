"""A box for somebody else's code: no network, nothing to read but Python and torch, nothing to write but its memory.

The box is bubblewrap's: own namespaces, no capabilities, a filter of system calls. The judge keeps a watch on it from
outside, and ends it by killing its first process, with which all others end, whatever they do about signals.
"""

import contextlib
import errno
import functools
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import embedcourse
from embedcourse.grading import wire

__all__ = ["Box", "BoxLost", "Limits", "NoBox", "Usage", "open_parts", "probe"]


@dataclass(frozen=True)
class Limits:
    """What one submission may use; sizes in bytes.

    `seconds` is for the whole submission, by the clock. A task and a cell have so many seconds of computing each, and
    three times as many by the clock, for a computer that is busy with others.
    """

    seconds: float = 60.0
    task_seconds: float = 10.0
    cell_seconds: float = 10.0
    memory: int = 2 * 2**30
    output: int = 32 * 2**20
    processes: int = 64
    file_bytes: int = 64 * 2**20
    files: int = 256


class BoxLost(Exception):
    """The box had to be ended, or ended itself: `kind` is timeout, memory, crashed or forged."""

    def __init__(self, kind: str, words: str = "") -> None:
        self.kind = kind
        super().__init__(words or kind)


class NoBox(RuntimeError):
    """No box could be started: the computer's fault, not the submission's."""


@dataclass(frozen=True)
class Usage:
    """What all processes of a box use: bytes of memory now, and seconds of computing so far."""

    memory: int
    seconds: float


# ------------------------------------------------------------------------------------------------ what is visible

PACKAGE = Path(embedcourse.__file__).resolve().parent

#: Parts of the package that any chapter's cells may import: inputs, the world, pictures, and what those stand on.
OPEN = (
    *("__init__", "_arguments", "course", "memory", "plotting", "training"),
    *("data/__init__", "data/digits", "data/hub", "data/pictures", "data/proverbs", "data/sentences", "data/words"),
    *("world/__init__", "world/contact_sheet", "world/factors", "world/noise", "world/scenes", "world/senses"),
    *("world/audio", "world/depth", "world/image", "world/imu", "world/shapes", "world/text", "world/thermal"),
    *("models/__init__", "models/encoders", "models/projector"),
    *("checks/answer", "checks/compare", "checks/task"),
    *("grading/__init__", "grading/wire", "grading/worker", "grading/zygote"),
)


def open_parts(chapter: str) -> tuple[str, ...]:
    """The files of the package that a chapter's submissions may import, as paths inside it.

    To what all may import come the modules that the chapter's tasks name in `imports`. No reference answer is among
    them: neither the checks of a chapter, nor the measures, losses and models that its tasks ask for.
    """
    from embedcourse.checks import chapter_tasks

    named = {name for task in chapter_tasks(chapter) for name in task.imports}
    parts = [Path(name.removeprefix("embedcourse.").replace(".", "/")) for name in sorted(named)]
    above = [str(folder / "__init__") for part in parts for folder in part.parents if folder != Path()]
    return tuple(dict.fromkeys(file for part in (*OPEN, *above, *map(str, parts)) for file in files_of(part)))


def files_of(part: str) -> Iterator[str]:
    """The files of a module, or of a package with all it holds."""
    if (PACKAGE / part).is_dir():
        found = (f for f in sorted((PACKAGE / part).rglob("*")) if f.is_file() and f.suffix != ".pyc")
        yield from (str(f.relative_to(PACKAGE)) for f in found)
    else:
        yield from (f"{part}{end}" for end in (".py", ".txt") if (PACKAGE / f"{part}{end}").is_file())


def readable() -> list[Path]:
    """The folders with Python, its packages and the system's libraries."""
    site = [p for p in site_folders() if p.is_dir()]
    found: list[Path] = []
    for path in [Path("/usr"), Path(sys.prefix), Path(sys.base_prefix), *site]:
        if not any(path.is_relative_to(known) for known in found):
            found.append(path)
    return found


def site_folders() -> list[Path]:
    """Where Python finds installed packages."""
    return [Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]


def hidden(folders: list[Path]) -> list[Path]:
    """Folders of the course that lie inside a folder that is visible, and must not be."""
    rooms = [PACKAGE, *(PACKAGE.parent / room for room in ("chapters", "solutions", "exercises", "tests", "my_work"))]
    return [room for room in rooms if room.is_dir() and any(room.is_relative_to(folder) for folder in folders)]


# ---------------------------------------------------------------------------------------------- the command line

COURSE = "/course"  # where the open parts of the package lie in the box
ROOMS = ("/tmp", "/dev/shm")  # where a program may write


def command(chapter: str, limits: Limits, program: Sequence[str], info: int, rules: int) -> list[str]:
    """The command that starts a program in a box; `info` and `rules` are open files."""
    rooms = [word for folder in ROOMS for word in room(folder, limits.file_bytes)]
    return bubblewrap(chapter, [*namespaces(), "--seccomp", str(rules)], rooms, program, info)


def bubblewrap(chapter: str, rights: list[str], rooms: list[str], program: Sequence[str], info: int) -> list[str]:
    """The command of bubblewrap for a program with some rights and rooms, and a chapter's view of the computer."""
    return [
        *(which_bwrap(), *rights, "--die-with-parent", "--new-session", "--hostname", "box"),
        *("--clearenv", *environment(), "--info-fd", str(info)),
        *view(chapter),
        *("--proc", "/proc", "--dev", "/dev"),
        *rooms,
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--"),
        *program,
    ]


def which_bwrap() -> str:
    """Where bubblewrap is."""
    return shutil.which("bwrap") or "bwrap"


def namespaces() -> list[str]:
    """Everything of its own. The administrator's worker drops to a user of its own; all others are nobody inside.

    A user namespace would map the administrator to nobody by name only, and processes would not be counted.
    """
    own = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    own += ["--cap-drop", "ALL"]
    if os.getuid() == 0:
        return [*own, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    further = ["--disable-userns"] if "--disable-userns" in options() else []  # the filter refuses them, too
    return [*own, "--unshare-user", *further, "--uid", "65534", "--gid", "65534"]


@functools.cache
def options() -> str:
    """What this version of bubblewrap knows."""
    return subprocess.run([which_bwrap(), "--help"], capture_output=True, text=True, check=False).stdout


ENVIRONMENT = {
    **{"PATH": "/usr/bin", "HOME": "/tmp", "USER": "learner", "LANG": "C.UTF-8", "TMPDIR": "/tmp"},
    **{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    **{"PYTHONHASHSEED": "0", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg"},
}


def environment() -> list[str]:
    """The few variables that are set; nothing of the judge's."""
    return [word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)]


def view(chapter: str) -> list[str]:
    """What can be read: Python, the system's libraries, and the open parts of the package."""
    folders = readable()
    binds = {folder: folder for folder in folders}
    binds |= {f"{COURSE}/embedcourse/{file}": PACKAGE / file for file in open_parts(chapter)}
    words = [w for folder in folders_above(binds) for w in ("--perms", "0755", "--dir", folder)]
    for inside, outside in binds.items():
        words += ["--ro-bind", str(outside), str(inside)]
    for name in ("/bin", "/sbin", "/lib", "/lib64", "/lib32"):
        if os.path.islink(name):
            words += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            words += ["--ro-bind", name, name]
    for name in ("/etc/ld.so.cache", "/etc/alternatives"):
        words += ["--ro-bind-try", name, name]
    for folder in hidden(folders):
        words += ["--size", "4096", "--tmpfs", str(folder), "--remount-ro", str(folder)]
    return words


def folders_above(paths: Iterable[str | Path]) -> list[str]:
    """The folders that must be there before something can be put into them, from the top down."""
    above = {"/etc", *(str(folder) for path in paths for folder in Path(path).parents)}
    return sorted(above - {"/"})


def room(folder: str, size: int) -> list[str]:
    """A folder in memory, of limited size."""
    return ["--perms", "1777", "--size", str(size), "--tmpfs", folder]


def python(*arguments: str) -> list[str]:
    """Python, without what a user or a site adds to it."""
    return [sys.executable, "-s", "-S", "-P", "-B", *arguments]


@functools.cache
def refused_calls() -> bytes:
    """A filter that refuses system calls which no notebook needs and which reach out of the box, or around its limits.

    Raises: ImportError or OSError where libseccomp is not installed.
    """
    import pyseccomp as seccomp

    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    no = seccomp.ERRNO(errno.EPERM)
    for name in REFUSED:
        with contextlib.suppress(Exception):  # a call that this machine's kernel has not
            rules.add_rule(no, name)
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags cannot be read; libc goes on with clone
    for flag in NAMESPACES:
        rules.add_rule(no, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    rules.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", seccomp.Arg(0, seccomp.NE, socket.AF_UNIX))
    with open(file_with(b""), "w+b") as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


REFUSED = (
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "perf_event_open", "bpf"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "keyctl", "add_key", "request_key"),
    *("memfd_create", "memfd_secret", "shmget", "msgget", "semget", "mq_open"),  # memory that no limit counts
    *("init_module", "finit_module", "delete_module", "kexec_load", "reboot", "swapon", "acct", "quotactl"),
    *("open_by_handle_at", "name_to_handle_at", "personality", "syslog", "fanotify_init", "inotify_init1"),
)
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)  # CLONE_NEW…


# ------------------------------------------------------------------------------------------------------- the box


class Box:
    """A worker in a box, with a line to it. Used by one thread, which must live as long as the box.

    with Box("hamming", Limits()) as box: box.send(...); box.receive(...)

    boxed: without it the worker is a process like any other, with limits and nothing else.
    worker: arguments of Python that start something else than the worker, to try the box; settings are added.
    """

    def __init__(
        self, chapter: str, limits: Limits, *, boxed: bool = True, worker: Sequence[str] | None = None
    ) -> None:
        package = COURSE if boxed else str(PACKAGE.parent)
        self.limits, self.boxed = limits, boxed
        self.worker = worker or (f"{package}/embedcourse/grading/worker.py",)
        self.line, theirs = socket.socketpair()
        self.first: int | None = None  # the first process of the box, as a file that stands for it
        self.process: subprocess.Popen | None = None
        try:
            with theirs:
                self._start(chapter, theirs)
            self.line.setblocking(False)
        except BaseException:
            self.close()
            raise

    def _start(self, chapter: str, theirs: socket.socket) -> None:
        line = theirs.fileno()
        program = python(*self.worker, json.dumps(self._settings(line)))
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if not self.boxed:
            self.process = subprocess.Popen(program, env=ENVIRONMENT, pass_fds=[line], start_new_session=True, **quiet)
            self._first_process(self.process.pid)
            return
        told, tell = os.pipe()
        rules = file_with(refused_calls())
        try:
            boxed = command(chapter, self.limits, program, tell, rules)
            self.process = subprocess.Popen(boxed, env={}, pass_fds=[line, tell, rules], **quiet)
            os.close(tell)
            tell = -1
            self._first_process(json.loads(all_of(told))["child-pid"])
        except (ValueError, KeyError, ProcessLookupError) as error:
            raise NoBox("bubblewrap did not build the box; `embedcourse grade` says why when it starts") from error
        finally:
            for file in {told, tell, rules} - {-1}:
                os.close(file)

    def _settings(self, line: int) -> dict:
        limits = self.limits
        top = COURSE if self.boxed else str(PACKAGE.parent)
        return {
            "line": line,
            "boxed": self.boxed,
            "uid": 1_000_000_000 + secrets.randbelow(1_000_000_000),
            "path": [top, *map(str, site_folders())],
            "checks": f"{top}/embedcourse/checks",
            "output": limits.output,
            "most": 2**30,
            "limits": {
                "RLIMIT_CORE": 0,
                "RLIMIT_CPU": int(limits.seconds) + 30,
                "RLIMIT_DATA": limits.memory,
                "RLIMIT_FSIZE": limits.file_bytes,
                "RLIMIT_NOFILE": limits.files,
                **({"RLIMIT_NPROC": limits.processes} if self.boxed else {}),
            },
        }

    def _first_process(self, pid: int) -> None:
        self.pid = pid
        if self.first is None and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):  # a kernel without it
                self.first = os.pidfd_open(pid)

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the box and wait until none of its processes is left."""
        self.line.close()
        if self.first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.first, signal.SIGKILL)
        if self.process is not None:
            if self.first is None or not self.boxed:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, signal.SIGKILL) if not self.boxed else self.process.kill()
            self.process.wait()
        if self.first is not None:
            select.select([self.first], [], [], 10)  # readable when the last process is gone
            os.close(self.first)
            self.first = None

    def usage(self) -> Usage:
        """What the box uses, as the kernel counts it; nothing where the kernel does not tell.

        Processes that forked share most of their pages. These are counted again and again while that does no harm, and
        once where it would count against the box: the exact count takes longer. To the memory belongs what the kernel
        keeps of each file, be it empty.
        """
        resident, ticks = {}, 0
        for pid in family(self.pid):
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                resident[pid] = int(fields[21]) * PAGE
                ticks += sum(map(int, fields[11:15]))
        if (memory := sum(resident.values())) > self.limits.memory and len(resident) > 1:
            memory = sum(min(told_bytes(pid, "smaps_rollup", "Pss", most), most) for pid, most in resident.items())
        return Usage(memory + FILE_BYTES * self.files(), ticks / TICKS)

    def files(self) -> int:
        """How many files and folders there are in what can be written in the box."""
        count = 0
        if self.boxed:
            for folder in ROOMS:
                with contextlib.suppress(OSError):  # it is just being built, or has ended
                    about = os.statvfs(f"/proc/{self.pid}/root{folder}")
                    count += about.f_files - about.f_ffree
        return count

    def forget_peak(self) -> int:
        """Let the kernel note anew how much memory the box takes at most; what it takes now."""
        for pid in family(self.pid):
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")
        return self.peak()

    def peak(self) -> int:
        """The most bytes that its processes have taken since then; 0 where the kernel does not tell."""
        return sum(told_bytes(pid, "status", "VmHWM", 0) for pid in family(self.pid))

    def loaded(self) -> int:
        """The bytes of a box in which Python and torch are loaded, and nothing of a submission has run: `peak` then."""
        return self.peak()

    def await_start(self) -> None:
        """Wait until Python and torch are loaded. Nothing of a submission has run before that.

        Raises: NoBox where they do not load.
        """
        try:
            wire.unpack(self.receive(START_SECONDS))
        except (BoxLost, wire.Malformed) as lost:
            raise NoBox(f"Python and torch do not load in the box ({lost})") from lost

    def send(self, data: bytes, seconds: float = 10.0) -> None:
        """Send one message.

        Raises: BoxLost where the box does not take it.
        """
        left = memoryview(wire.FRAME.pack(len(data)) + data)
        watch = Watch(self, seconds)
        while left:
            try:
                left = left[self.line.send(left[: 1 << 20]) :]
            except BlockingIOError:
                watch.wait(writing=True)
            except OSError:
                raise BoxLost("crashed") from None

    def receive(self, seconds: float, most: int | None = None) -> bytes:
        """Wait for one message. The box has so many seconds of computing for it, and three times as many by the clock.

        Raises: BoxLost where none comes in time, too much comes, or the box uses too much or ends.
        """
        watch = Watch(self, seconds)
        (length,) = wire.FRAME.unpack(self._exactly(wire.FRAME.size, watch))
        if length > (self.limits.output if most is None else most) + 2**20:
            raise BoxLost("forged", f"a message of {length} bytes")
        return self._exactly(length, watch)

    def _exactly(self, count: int, watch: "Watch") -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                part = self.line.recv(min(count - len(data), 1 << 20))
            except BlockingIOError:
                watch.wait()
                continue
            except OSError:
                part = b""
            if not part:
                raise BoxLost("crashed")
            data += part
        return bytes(data)


class Watch:
    """Looks at a box while a message is awaited: its time, its memory, whether it lives."""

    def __init__(self, box: Box, seconds: float) -> None:
        self.box, self.seconds = box, seconds
        self.started, self.computed, self.looked = time.monotonic(), None, 0.0

    def wait(self, writing: bool = False) -> None:
        """Wait for the line, a moment at most, and look at the box if the last look was a moment ago.

        Raises: BoxLost.
        """
        line = [self.box.line]
        ready = select.select([] if writing else line, line if writing else [], [], MOMENT)
        if any(ready) and time.monotonic() - self.looked < MOMENT:
            return
        self.looked = time.monotonic()
        usage = self.box.usage()
        if usage.memory > self.box.limits.memory:
            raise BoxLost("memory")
        self.computed = usage.seconds if self.computed is None else self.computed
        if usage.seconds - self.computed > self.seconds or self.looked - self.started > 3 * self.seconds:
            raise BoxLost("timeout")


MOMENT = 0.02
FILE_BYTES = 2048  # of the kernel's memory: a file's record, its name, and its place in the folder
START_SECONDS = 60.0  # of computing
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def told_bytes(pid: int, file: str, name: str, otherwise: int) -> int:
    """Bytes that the kernel tells about a process under a name; 0 where it has ended, `otherwise` where none are told.

    Pss in smaps_rollup: all it has, of what it shares with n others its part alone. VmHWM in status: the most it had.
    """
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
    except ProcessLookupError:  # it is ending, and has no memory any more
        return 0
    except (OSError, ValueError):
        return otherwise if os.path.exists(f"/proc/{pid}") else 0


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    waiting = [pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                waiting += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())


def file_with(data: bytes) -> int:
    """An open file in memory, to be read from its beginning."""
    file = os.memfd_create("box")
    os.write(file, data)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def all_of(pipe: int) -> bytes:
    """All that comes through a pipe until its other end is closed."""
    data = b""
    while part := os.read(pipe, 4096):
        data += part
    return data


def probe() -> str | None:
    """Try the box on this computer: None where it holds, else a sentence that says what is missing and what to do."""
    if sys.platform != "linux":
        return f"{CANNOT} the box is made of Linux namespaces, and this is {sys.platform}. {CONTAINER}"
    if shutil.which("bwrap") is None:
        return f"{CANNOT} bubblewrap is not installed. Install it with `sudo apt install bubblewrap`, or {CONTAINER}"
    try:
        refused_calls()
    except (ImportError, OSError, RuntimeError):
        packages = "`sudo apt install libseccomp2` and `pip install 'embedcourse[grading]'`"
        return f"{CANNOT} the filter of system calls is missing. Install it with {packages}."
    from embedcourse.checks.registry import modules

    rules, nothing = file_with(refused_calls()), os.open(os.devnull, os.O_WRONLY)
    try:
        line = command(next(iter(modules())), Limits(), python("-c", PROBE), nothing, rules)
        tried = subprocess.run(line, pass_fds=[rules, nothing], capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return f"{CANNOT} bubblewrap does not answer. {CONTAINER}"
    finally:
        os.close(rules)
        os.close(nothing)
    if tried.returncode == 0:
        return None
    reason = (tried.stderr.strip().splitlines() or ["it does not say why"])[-1][:200]
    return f"{CANNOT} bubblewrap cannot build it here ({reason}). {BLOCKED}"


CANNOT = "Submissions are not run: no safe box can be built on this computer;"
CONTAINER = (
    "run `embedcourse grade` in a Linux virtual machine or a container that allows user namespaces; "
    "docs/classroom.md (Without bubblewrap) says how."
)
BLOCKED = (
    "docs/classroom.md (Without bubblewrap) says what to do: on Ubuntu 24.04 load the AppArmor profile "
    "bwrap-userns-restrict; in Docker grade as an ordinary user with `--security-opt` seccomp=unconfined, "
    "apparmor=unconfined and systempaths=unconfined. No other sandbox takes its place: none that was tried held."
)
PROBE = """
import os, socket
try:
    socket.socket()
except OSError:
    pass
else:
    raise SystemExit("the network is open in it")
if os.access("/usr", os.W_OK):
    raise SystemExit("files can be written in it")
"""
