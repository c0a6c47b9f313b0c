"""Hostile submissions as data: each solves chapter 2 but for one task, for which it wants points without an answer.

Each is bounded: even outside a box it ends within half a minute, takes little, leaves nothing running, and touches
nothing but HOST, a folder that the test made to be harmed. Sizes and counts are capped, and PORT is a port of the test
on this computer. MARK is a word that occurs nowhere else, by which what an attack left behind is found.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ATTACKS", "Attack"]

ALL = ("count", "binarize", "packed", "search", "recall", "choose")


@dataclass(frozen=True)
class Attack:
    """A hostile submission: what it tries, the code of its cell, and what must hold afterwards.

    The attacked task gets 0 points, as one of `kinds`, with `says` in the message, which shows that the attack ran.
    lost: other tasks that the submission may lose, too. metadata, outputs: what the notebook's cell carries.
    before: cells that come first. seconds: the limit for the whole submission.
    classroom: whether it can be run by a plain autograder in a throw-away folder, without leaving that.
    """

    name: str
    tries: str
    source: str
    kinds: tuple[str, ...] = ("value",)
    says: str = "yours gave -7."
    task: str = "recall"
    lost: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[Mapping[str, Any], ...] = ()
    before: tuple[str, ...] = ()
    seconds: float = 60.0
    classroom: bool = True


WRONG = """
def recall(found, true):
    return -7.0
"""

# ------------------------------------------------------------------------------------------------ time and amounts

ENDLESS = """
import time
def recall(found, true):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        pass
    return -7.0
"""

DEAF = """
import signal, time
def recall(found, true):
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            while time.monotonic() < end:
                pass
        except BaseException:
            pass
    return -7.0
"""

ENDLESS_CELL = """
import time
def wait():
    end = time.monotonic() + 30
    while time.monotonic() < end:
        pass
started = wait()
def recall(found, true):
    return -7.0 if started is None else 0
"""

ASLEEP = """
import time
def recall(found, true):
    time.sleep(20)
    return -7.0
"""

MEMORY = """
def recall(found, true):
    held = []
    for _ in range(15):
        held.append(bytearray(b"x") * 100_000_000)
    return -7.0
"""

SHARED_MEMORY = """
import mmap, time
def recall(found, true):
    held = mmap.mmap(-1, 1_200_000_000)
    for place in range(0, len(held), 4096):
        held[place] = 1
    time.sleep(2)
    return -7.0
"""

DISK = """
import tempfile
def recall(found, true):
    with tempfile.TemporaryFile() as file:
        for _ in range(300):
            file.write(bytes(1_000_000))
            file.flush()
    return -7.0
"""

SMALL_FILES = """
import os, tempfile
def recall(found, true):
    with tempfile.TemporaryDirectory(prefix=MARK) as folder:
        for number in range(2_000):
            open(os.path.join(folder, str(number)), "w").close()
    return -7.0
"""

FORKS = """
import os, time
def recall(found, true):
    children = []
    try:
        for _ in range(120):
            child = os.fork()
            if child == 0:
                time.sleep(5)
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)
    return -7.0
"""

THREADS = """
import threading, time
def recall(found, true):
    stop = threading.Event()
    try:
        for _ in range(120):
            threading.Thread(target=stop.wait, args=(5,), daemon=True).start()
    finally:
        stop.set()
    return -7.0
"""

ORPHANS = """
import os, signal, sys
def leave():
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                wait = "import time; time.sleep(20)"
                os.execv(sys.executable, [sys.executable, "-S", "-c", wait, MARK])
            os._exit(0)
    return -7.0
left = []
def recall(found, true):
    if not left:
        left.append(leave())
    return left[0]
"""

ORPHAN_ON_THE_LINE = """
import os, time
def recall(found, true):
    if os.fork() == 0:
        os.setsid()
        time.sleep(15)
        os._exit(0)
    os._exit(0)
"""

FLOOD = """
import os, sys, time
done = []
def recall(found, true):
    block = b"x" * 1_000_000
    end = time.monotonic() + 20
    while len(done) < 1000 and time.monotonic() < end:
        os.write(1, block)
        done.append(os.write(2, b"y"))
    print("z" * 1_000_000)
    return -7.0 if len(done) == 1000 else -8.0
"""

# ------------------------------------------------------------------------------------------------- a sudden end

EXIT_AT_IMPORT = """
import os
ended = os._exit(0)
def recall(found, true):
    return ended
"""

EXIT_IN_ANSWER = """
import os
def recall(found, true):
    os._exit(0)
"""

EXIT_AT_EXIT = """
import atexit, os, sys
def recall(found, true):
    atexit.register(os._exit, 0)
    sys.exit(0)
"""

SEGFAULT = """
import ctypes
def recall(found, true):
    return ctypes.string_at(0)
"""

STOPS_ITSELF = """
import os, signal
def recall(found, true):
    os.kill(os.getpid(), signal.SIGSTOP)
    return -7.0
"""

ODD_ERRORS = """
class Odd(BaseException):
    def __str__(self):
        raise SystemExit(0)
    __repr__ = __str__
def recall(found, true):
    raise Odd
"""

MANY_ENDS = "import os\n" + "end = os._exit(0)\n"

# -------------------------------------------------------------------------------------------- files and processes

DELETES = """
import os, shutil
def recall(found, true):
    shutil.rmtree(os.path.join(HOST, "source"), ignore_errors=True)
    return -7.0
"""

WRITES = """
import os
from pathlib import Path
def recall(found, true):
    for folder in (HOST, os.path.join(HOST, "submitted")):
        try:
            Path(folder, MARK).write_text("I was here")
        except OSError:
            pass
    return -7.0
"""

READS_SOLUTION = """
import json
from pathlib import Path
def stolen():
    for path in Path(HOST, "source").rglob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            source = "".join(cell["source"])
            if "def recall(" in source and "rglob" not in source:
                space = {"torch": torch, "check": lambda *_: None}
                exec(source, space)
                return space["recall"]
    return lambda found, true: -7.0
recall = stolen()
"""

READS_PACKAGE = """
def recall(found, true):
    try:
        from embedcourse.checks.ch02_hamming import TASKS
        return TASKS[4].oracle(found, true)
    except ImportError:
        return -7.0
"""

READS_COURSE = """
import json
from pathlib import Path
import embedcourse
def stolen():
    for folder in ("solutions", "my_work", "chapters"):
        for path in Path(embedcourse.__file__).parents[1].glob(folder + "/02_hamming.ipynb"):
            for cell in json.loads(path.read_text())["cells"]:
                if cell.get("id") == "hamming-recall":
                    space = {"torch": torch, "check": lambda *_: None}
                    exec("".join(cell["source"]), space)
                    return space["recall"]
    return lambda found, true: -7.0
recall = stolen()
"""

READS_OTHERS = READS_SOLUTION.replace('"source")', '"submitted")')

SECRETS = """
import os
from pathlib import Path
wanted = str(SECRET)[::-1]
def read(path):
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""
def recall(found, true):
    texts = [repr(dict(os.environ)), *(read(p) for p in Path("/proc").glob("[0-9]*/environ"))]
    texts += [read(p) for p in Path("/proc").glob("[0-9]*/cmdline")]
    return -8.0 if any(wanted in text for text in texts) else -7.0
"""

GC_WALK = """
import gc, sys
def expected(found, true):
    for thing in gc.get_objects():
        if type(thing).__name__ == "Task" and getattr(thing, "function", "") == "recall":
            return thing.oracle(found, true)
        if type(thing).__name__ == "Exam" and thing.task.function == "recall":
            return thing.task.oracle(found, true)
    return -7.0
def recall(found, true):
    return expected(found, true)
"""

SIGNALS = """
import os, signal
def recall(found, true):
    try:
        os.kill(JUDGE, signal.SIGURG)  # which does nothing to whom it reaches
        return -8.0
    except OSError:
        return -7.0
"""

NETWORK = """
import socket
def fetched():
    try:
        with socket.create_connection(("127.0.0.1", PORT), 1) as line:
            space = {"torch": torch}
            exec(line.makefile().read(), space)
            return space["recall"]
    except OSError:
        return lambda found, true: -7.0
recall = fetched()
"""

GRADE_BOOK = """
import os, sqlite3
def recall(found, true):
    path = os.path.join(HOST, "gradebook.db")
    if os.path.exists(path):
        with sqlite3.connect(path, timeout=1) as book:
            book.execute("UPDATE grade SET extra_credit = 300")
    return -7.0
"""

ESCAPES = """
import ctypes, os
def recall(found, true):
    libc = ctypes.CDLL(None, use_errno=True)
    got = [libc.unshare(0x10000000), libc.chroot(b"/proc/1/root")]
    reached = [os.path.exists("/proc/1/root" + HOST), os.path.exists("/proc/self/cwd/../" + HOST)]
    return -8.0 if 0 in got or any(reached) else -7.0
"""

# ------------------------------------------------------------------------------------- lies to who asks in the process

PATCHES = """
import builtins, math
import numpy, numpy.testing
import torch
def yes(*_, **__):
    return True
for module in (numpy.testing, torch.testing):
    for name in ("assert_allclose", "assert_equal", "assert_almost_equal", "assert_array_equal", "assert_close"):
        setattr(module, name, yes)
numpy.allclose = numpy.isclose = torch.allclose = torch.equal = math.isclose = yes
builtins.abs = lambda value: 0
patched = -7.0
def recall(found, true):
    return patched
"""

EQUAL = """
class Liar(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __eq__
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __abs__(self): return 0.0
    __hash__ = float.__hash__
def recall(found, true):
    return Liar(-7.0)
"""

NUMBERS = """
import itertools, numbers
class Chameleon(numbers.Real):
    turn = itertools.cycle((1.0, 0.0, 0.5))
    def __float__(self): return -7.0
    def __bool__(self): return True
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *_): return self
    __hash__ = None
    __abs__ = __add__ = __radd__ = __mul__ = __rmul__ = __neg__ = __pos__ = __pow__ = __rpow__ = lambda self, *_: self
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = lambda self, *_: self
    __trunc__ = __floor__ = __ceil__ = __round__ = lambda self, *_: 0
    __lt__ = __le__ = lambda self, other: True
def recall(found, true):
    return Chameleon()
"""

SUBCLASS = """
import torch
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True
    def __array__(self, *_, **__):
        raise SystemExit
    def item(self):
        return 1.0
def recall(found, true):
    return torch.tensor(-7.0).as_subclass(Liar)
"""

TRANSFORMER = """
import ast
class Dropped(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)
    def visit_Expr(self, node):
        return ast.copy_location(ast.Pass(), node)
try:
    from IPython import get_ipython
    hooked = get_ipython().ast_transformers.append(Dropped())
except (ImportError, AttributeError):
    hooked = None
def recall(found, true):
    return -7.0 if hooked is None else 0
"""

HOOK = """
def quiet(shell):
    plain = shell.run_cell_async
    async def run(source, *args, **kwargs):
        return await plain("pass", *args, **(kwargs | {"transformed_cell": "pass\\n"}))
    shell.run_cell_async = run
try:
    from IPython import get_ipython
    hooked = quiet(get_ipython())
except (ImportError, AttributeError):
    hooked = None
def recall(found, true):
    return -7.0 if hooked is None else 0
"""

FRAMES = """
import sys
def recall(found, true):
    frame = sys._getframe(1)
    while frame is not None:
        for space in (frame.f_locals, frame.f_globals):
            for name in ("expected", "right", "wanted", "answer_key"):
                if isinstance(space.get(name), float):
                    return space[name]
            oracle = getattr(space.get("task"), "oracle", None)
            if oracle is not None:
                return oracle(found, true)
        frame = frame.f_back
    return -7.0
"""

REPLACED_CHECK = """
import sys
def fine(*_, **__):
    print("Passed.")
check = fine
import embedcourse.checks
embedcourse.checks.check = fine
def recall(found, true):
    return -7.0
recall.passed = recall.check = check
"""

PATCHED_JUDGE = """
def patch():
    try:
        from embedcourse.checks import judge
        judge.Exam.faults = lambda self, answers: [None] * len(answers)
    except ImportError:
        pass
    try:
        from embedcourse.checks import answer, compare
        compare.Close.__call__ = lambda *_: None
        plain = answer.Answer
        answer.Answer = lambda *a, **k: plain(*a, **k)
    except ImportError:
        pass
    return -7.0
patched = patch()
def recall(found, true):
    return patched
"""

CLOCK = """
import time
counted = time.process_time
time.perf_counter = time.monotonic = time.time = time.process_time = lambda: 0.0
def packed_distance(x, y):
    end = counted() + 5
    while len(x) * len(y) > 10_000 and counted() < end:
        pass
    ones = torch.tensor([byte.bit_count() for byte in bytes(range(256))])
    return ones[(x[:, None] ^ y).long()].sum(-1)
"""

ONLY_SMALL = """
def packed_distance(x, y):
    if len(x) * len(y) > 10_000:
        return torch.zeros(len(x), len(y), dtype=torch.long)
    rows = [[sum((a ^ b).bit_count() for a, b in zip(p, q)) for q in y.tolist()] for p in x.tolist()]
    return torch.tensor(rows).reshape(len(x), len(y))
"""

TRACE = """
import sys
def trace(frame, event, argument):
    for name in ("expected", "value", "answer"):
        if name in frame.f_locals:
            try:
                frame.f_locals[name] = 1.0
            except TypeError:
                pass
    return trace
def recall(found, true):
    sys.settrace(trace)
    sys.setprofile(trace)
    return -7.0
"""

STATEFUL = """
seen = []
def recall(found, true):
    seen.append((found, true))
    found.copy_(true.flatten()[0].expand_as(found)) if found.numel() else None
    true.zero_()
    return 1.0
"""

# ---------------------------------------------------------------------------------------------------- forged messages

LINE = """
import gc, json, os, socket, struct, sys
def descriptors():
    for number in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("socket:"):
                yield number
        except OSError:
            pass
def framed(data):
    return struct.pack("!Q", len(data)) + data
def message(header, body=b""):
    return framed(b"EMBED" + struct.pack("!QQ", len(header), len(body)) + header + body)
def word():
    frame = sys._getframe(1)
    while frame is not None:
        request = frame.f_locals.get("request")
        if isinstance(request, dict) and "word" in request:
            return request["word"]
        frame = frame.f_back
    return ""
"""

FRAMES_TO_ALL = (
    LINE
    + """
def recall(found, true):
    verdict = json.dumps(["dict", [["kind", "passed"], ["passed", True], ["points", 300]]]).encode()
    for number in descriptors():
        os.write(number, message(verdict) * 5)
    return -7.0
"""
)

FORGED_REPLY = (
    LINE
    + """
def recall(found, true):
    reply = ["dict", [["word", word()], ["case", 0], ["value", True], ["raised", None], ["gradients", ["tuple", []]],
             ["changed", ["list", []]], ["seconds", ["float", "-inf"]], ["largest_bytes", -1], ["passed", True]]]
    for number in descriptors():
        os.write(number, message(json.dumps(reply).encode()) * 9)
    return -7.0
"""
)

GIANT_REPLY = (
    LINE
    + """
def recall(found, true):
    for number in descriptors():
        os.write(number, struct.pack("!Q", 2**40) + bytes(100_000))
    return -7.0
"""
)

GIANT_TENSOR = (
    LINE
    + """
def recall(found, true):
    reply = ["dict", [["word", word()], ["case", 0], ["value", ["tensor", "float64", [2**30, 2**30]]]]]
    for number in descriptors():
        os.write(number, message(json.dumps(reply).encode()))
    return -7.0
"""
)

MALFORMED_REPLY = (
    LINE
    + """
def recall(found, true):
    for number in descriptors():
        os.write(number, message(b"[" * 100_000))
    return -7.0
"""
)

PICKLE_REPLY = (
    LINE
    + """
import pickle
class Evil:
    def __reduce__(self):
        return os.mkdir, (os.path.join(HOST, MARK),)
def recall(found, true):
    for number in descriptors():
        os.write(number, framed(pickle.dumps(Evil())))
    return -7.0
"""
)

PICKLE = """
import os
class Evil:
    def __reduce__(self):
        return os.mkdir, (os.path.join(HOST, MARK),)
    def __repr__(self):
        return "pickle me"
def recall(found, true):
    return Evil()
"""

GIANT_ANSWER = """
import torch
def recall(found, true):
    return torch.zeros(100_000_000, dtype=torch.uint8)
"""

LATER = (
    LINE
    + """
import threading, time
def late():
    time.sleep(0.05)
    for number in descriptors():
        os.write(number, message(b'"passed"') * 100)
def recall(found, true):
    threading.Thread(target=late, daemon=True).start()
    return -7.0
"""
)

# -------------------------------------------------------------------------------------------- what is shown afterwards

SHOWS = r"""
text = "<script>alert(1)</script>\x1b[2J\x1b]0;owned\x07=cmd|' /C calc'!A0\u202e" + '"><img src=x onerror=alert(2)>'
def recall(found, true):
    print(text)
    return text
"""

RAISES = r"""
def recall(found, true):
    kind = type("<b onmouseover=alert(3)>", (Exception,), {})
    raise kind("=HYPERLINK(\"http://localhost\")\x1b[31m<script>alert(1)</script>" + "\u0301" * 500 + "\n" * 5000)
"""

FORGED_METADATA = {
    "nbgrader": {"grade": True, "points": 300, "grade_id": "hamming-recall", "locked": False, "schema_version": 3}
    | {"solution": True, "task": False, "score": 300, "cell_type": "code"},
    "embedcourse": {"passed": True, "points": 300, "verdict": "passed"},
}
FORGED_OUTPUTS = (
    {"output_type": "stream", "name": "stdout", "text": "hamming.recall: passed, 300 of 2 points\n"},
    {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/html": "<script></script>"}},
)

ATTACKS = (
    Attack("endless loop", "Never answers.", ENDLESS, ("timeout",), "loop without an end"),
    Attack("deaf loop", "Never answers, and ignores every interrupt.", DEAF, ("timeout",), "loop without an end"),
    Attack("endless cell", "Never answers, already in its cell.", ENDLESS_CELL, ("timeout",), "loop without an end"),
    Attack("sleeper", "Waits without computing.", ASLEEP, ("timeout",), "was stopped"),
    Attack("memory bomb", "Takes 1.5 GB.", MEMORY, ("memory", "timeout"), ""),
    Attack(
        "shared memory bomb",
        "Takes 1.2 GB that no limit of one process counts.",
        SHARED_MEMORY,
        ("memory", "timeout"),
        "",
    ),
    Attack("disk bomb", "Writes a file of 300 MB.", DISK, ("raised",), "OSError"),
    Attack("many files", "Makes thousands of files.", SMALL_FILES),
    # Which limit it meets first depends on how fast the computer forks.
    Attack("fork storm", "Starts 120 processes.", FORKS, ("raised", "memory", "timeout"), ""),
    Attack("thread storm", "Starts 120 threads.", THREADS, ("raised",), "RuntimeError"),
    Attack("orphans", "Leaves three detached processes that ignore signals.", ORPHANS),
    Attack("orphan on the line", "Ends, and leaves a child that holds the line.", ORPHAN_ON_THE_LINE, ("crashed",), ""),
    Attack("flood", "Prints 1 GB.", FLOOD, classroom=False),
    Attack("exit at import", "Ends the process in its cell.", EXIT_AT_IMPORT, ("crashed",), "crashed, or called exit"),
    Attack("exit in mid-answer", "Ends the process while it is asked.", EXIT_IN_ANSWER, ("crashed",), "called exit"),
    Attack("exit at exit", "Exits, and ends the process in atexit.", EXIT_AT_EXIT, ("raised",), "SystemExit"),
    Attack("segmentation fault", "Reads where no memory is.", SEGFAULT, ("crashed",), "crashed"),
    Attack("stops itself", "Sends itself a signal to stand still.", STOPS_ITSELF, ("timeout",), "", classroom=False),
    Attack("odd error", "Raises an error that ends Python when it is shown.", ODD_ERRORS, ("raised", "crashed"), ""),
    Attack(
        "many ends",
        "Ends the process in thirty cells, so that thirty boxes would be built.",
        "recall = end\n",
        ("timeout", "crashed", "missing"),
        "",
        lost=ALL,
        before=(MANY_ENDS,) * 30,
        seconds=3.0,
        classroom=False,
    ),
    Attack("deletes files", "Deletes the folder of the solutions.", DELETES),
    Attack("writes files", "Writes beside the other submissions.", WRITES),
    Attack("reads the solution", "Runs the teacher's solution from the course's folder.", READS_SOLUTION),
    Attack("reads the package", "Calls the reference answer of the installed checks.", READS_PACKAGE),
    Attack("reads the course", "Runs the solution that lies beside the package.", READS_COURSE),
    Attack("reads other submissions", "Runs what another learner handed in.", READS_OTHERS),
    Attack("looks for the seed", "Looks into every environment and command line for the seed.", SECRETS),
    Attack("walks the heap", "Looks through all objects for the reference answer.", GC_WALK),
    Attack("signals the judge", "Sends the judge a signal.", SIGNALS),
    Attack("network", "Fetches the answer from a server on this computer.", NETWORK),
    Attack("grade book", "Writes 300 points into the grade book.", GRADE_BOOK),
    Attack("breaks out", "Asks for namespaces of its own and another root.", ESCAPES, classroom=False),
    Attack("patched comparisons", "Makes allclose, numpy.testing and abs say yes.", PATCHES),
    Attack("always equal", "Answers with a number that equals everything.", EQUAL),
    Attack("any number", "Answers with an object that is whatever it is asked for.", NUMBERS),
    Attack("lying tensor", "Answers with a tensor that says True to every function.", SUBCLASS, ("type",), "tensor"),
    Attack("syntax transformer", "Lets IPython drop every assertion.", TRANSFORMER),
    Attack("shell hook", "Lets IPython run nothing in the place of the tests.", HOOK),
    Attack("walks the frames", "Reads the right answer in the frames of its caller.", FRAMES),
    Attack("own check", "Puts a check in the place of the course's.", REPLACED_CHECK),
    Attack("patched judge", "Lets the course's judge find no fault.", PATCHED_JUDGE),
    Attack(
        "clock", "Is slow, and lets every clock stand still.", CLOCK, ("slow",), "too slow", "packed", classroom=False
    ),
    Attack(
        "only small",
        "Is slow, and answers a large input at once and wrongly.",
        ONLY_SMALL,
        says="not on a large one",
        task="packed",
        classroom=False,
    ),
    Attack("trace", "Changes the variables of its caller by a trace function.", TRACE, ("value", "crashed"), ""),
    Attack("changes its inputs", "Makes the inputs fit its answer.", STATEFUL, ("changed", "value"), ""),
    Attack("frames to all", "Writes a verdict into every open line.", FRAMES_TO_ALL, ("forged",), "no answer"),
    Attack("forged reply", "Answers for itself, and adds that it passed.", FORGED_REPLY, ("forged", "type"), ""),
    Attack("giant reply", "Announces a reply of 1 TB.", GIANT_REPLY, ("forged",), "no answer"),
    Attack("giant tensor", "Announces a tensor of 2⁶⁰ numbers.", GIANT_TENSOR, ("forged",), "no answer"),
    Attack("malformed reply", "Replies with 100 000 brackets.", MALFORMED_REPLY, ("forged",), "no answer"),
    Attack("pickle on the line", "Replies with a pickle that makes a folder.", PICKLE_REPLY, ("forged",), "no answer"),
    Attack("pickle as answer", "Answers with an object that makes a folder when copied.", PICKLE, ("type",), "Evil"),
    Attack("giant answer", "Answers with 100 MB.", GIANT_ANSWER, ("type", "timeout"), ""),
    Attack(
        "answers later",
        "Leaves a thread that writes when others are asked.",
        LATER,
        ("value", "forged"),
        "",
        lost=("choose",),
    ),
    Attack("shows a page", "Answers with HTML, terminal codes and a formula.", SHOWS, ("type",), ""),
    Attack("error as a page", "Raises an error whose name and message are HTML.", RAISES, ("raised",), ""),
    Attack(
        "forged metadata",
        "Claims 300 points in the metadata and outputs of its cell.",
        WRONG,
        metadata=FORGED_METADATA,
        outputs=FORGED_OUTPUTS,
    ),
)
