"""Runs inside the box: what a notebook defines, then calls of its functions. Nothing that it says is trusted.

`python worker.py SETTINGS`, where SETTINGS is JSON, started by `box.py`, or forked by `zygote.py`. It takes requests
from a socket: cells to run, then tasks to answer. A statement of a notebook is run only where a task's function depends
on it: what draws, prints, trains or loads for the eye costs no time here, and cannot fail.
"""

import ast
import contextlib
import gc
import importlib.abc
import importlib.machinery
import json
import linecache
import os
import re
import resource
import socket
import symtable
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

__all__ = ["Notebook", "Unit", "main", "needed", "units_of"]


# ------------------------------------------------------------------------------------ what of a notebook matters


@dataclass(frozen=True)
class Unit:
    """The statements of a cell that share lines: the names that they bind, use, and may change."""

    cell: int
    nodes: tuple[ast.stmt, ...]
    binds: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    always: bool = False


def units_of(cell: int, source: str) -> list[Unit]:
    """The statements of a cell. Lines of the shell and magics are left out.

    Raises: SyntaxError, ValueError, RecursionError or MemoryError where it is not Python.
    """
    tree, source = parsed(source)
    lines = source.split("\n")
    return [unit_of(cell, nodes, "\n".join(lines[first - 1 : last])) for first, last, nodes in line_groups(tree.body)]


def parsed(source: str) -> tuple[ast.Module, str]:
    """A cell as Python reads it, if need be without what only a notebook understands."""
    source = source.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ")
    try:
        return ast.parse(source), source
    except SyntaxError:
        plain = re.sub(r"^(\s*)(?:[%!?].*|.*\?)$", r"\1pass", source, flags=re.MULTILINE)
        return ast.parse(plain), plain


def line_groups(body: list[ast.stmt]) -> Iterator[tuple[int, int, tuple[ast.stmt, ...]]]:
    """First line, last line and statements of each run of statements that share lines."""
    group: list[ast.stmt] = []
    first = last = 0
    for node in body:
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        if group and start > last:
            yield first, last, tuple(group)
            group = []
        first = first if group else start
        last = max(last, node.end_lineno or start)
        group.append(node)
    if group:
        yield first, last, tuple(group)


def unit_of(cell: int, nodes: tuple[ast.stmt, ...], text: str) -> Unit:
    """A unit with its names, as Python's own tables of symbols tell them."""
    table = symtable.symtable(text, "cell", "exec")
    binds = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    uses = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    for inner in tables_in(table):
        for s in inner.get_symbols():
            uses |= {s.get_name()} if s.is_global() and s.is_referenced() else set()
            binds |= {s.get_name()} if s.is_declared_global() and s.is_assigned() else set()
    star = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in nodes)
    dynamic = bool(uses & {"exec", "eval", "globals", "setattr", "delattr", "vars", "locals", "check", "__import__"})
    changes = frozenset(name for node in nodes for name in changed_by(node))
    return Unit(cell, nodes, frozenset(binds), frozenset(uses), changes, star or dynamic)


def tables_in(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """All tables inside a table."""
    for inner in table.get_children():
        yield inner
        yield from tables_in(inner)


def changed_by(node: ast.AST) -> Iterator[str]:
    """Names whose objects a statement may change: `a.b = 1`, `a[0] = 1`, `a.append(1)`, `fill(a)`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        yield from root_of(node)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from changed_by_call(node.value)
    for child in ast.iter_child_nodes(node):
        yield from changed_by(child)


def changed_by_call(call: ast.Call) -> Iterator[str]:
    """Names whose objects a call may change, if nobody keeps what it returns: else why would it be there?"""
    shows = isinstance(call.func, ast.Name) and call.func.id in ("print", "display")
    seeds = isinstance(call.func, ast.Attribute) and call.func.attr == "manual_seed"  # every call is seeded anew
    if not shows and not seeds:
        for part in (call.func, *call.args) if isinstance(call.func, ast.Attribute) else call.args:
            yield from root_of(part)


def root_of(node: ast.AST) -> Iterator[str]:
    """The name at the left end of `a.b[0].c`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def needed(units: list[Unit], names: Iterable[str]) -> list[Unit]:
    """The units that some names depend on, in the order of the notebook."""
    wanted, chosen, before = set(names), set(), -1
    while len(chosen) != before:
        before = len(chosen)
        for i, unit in enumerate(units):
            bound = (name for name in unit.binds & wanted if not defined_again(units, i, name, chosen))
            if i not in chosen and (unit.always or unit.changes & wanted or any(bound)):
                chosen.add(i)
                wanted |= unit.uses
    return [units[i] for i in sorted(chosen)]


def defined_again(units: list[Unit], at: int, name: str, chosen: set[int]) -> bool:
    """Whether a later definition takes the name before anything that runs could use what it stands for here."""
    for i, unit in enumerate(units[at + 1 :], at + 1):
        if name in unit.binds and all(only_defines(node, name) for node in unit.nodes):
            return True
        if i in chosen and not all(only_defines(node) or is_check(node) for node in unit.nodes):
            return False
    return False


def only_defines(node: ast.stmt, name: str = "") -> bool:
    """Whether a statement is an import, or a function that is made without a look at a name."""
    if isinstance(node, ast.FunctionDef):
        looked = (n.id for n in ast.walk(node.args) if isinstance(n, ast.Name))
        return not node.decorator_list and name not in looked
    return isinstance(node, ast.Import | ast.ImportFrom)


def is_check(node: ast.stmt) -> bool:
    """Whether a statement is a call of `check`, which calls nothing here."""
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check"


# ------------------------------------------------------------------------------------------------- the notebook


@dataclass
class Notebook:
    """The names that a notebook has made so far, and the functions that it gave to `check`."""

    module: types.ModuleType = field(default_factory=lambda: types.ModuleType("__main__"))
    checked: dict[str, Callable] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.module.__dict__.update(__builtins__=__builtins__, display=lambda *_, **__: None, check=self.check)

    def check(self, task_id: Any, function: Any = None, **_: Any) -> None:
        """Stands for `embedcourse.checks.check`: it notes what is to be judged, and says nothing."""
        if type(task_id) is str and callable(function):
            self.checked[task_id] = function

    def run(self, cell: int, name: str, source: str, units: list[Unit]) -> None:
        """Run those statements of a cell that matter; one that fails costs only what it defines."""
        shown = f"<cell {name}>"
        linecache.cache[shown] = (len(source), None, [line + "\n" for line in source.split("\n")], shown)
        for unit in units:
            try:
                exec(compile(ast.Module(list(unit.nodes), []), shown, "exec"), self.module.__dict__)
            except BaseException as error:  # whatever a learner's code raises
                self.errors[cell] = described(error)

    def function(self, task_id: str, name: str) -> Callable | None:
        """What was given to `check` for a task, else the function of its name."""
        found = self.checked.get(task_id, self.module.__dict__.get(name))
        return found if callable(found) else None


def described(error: BaseException) -> str:
    """The class of an error and its message."""
    try:
        return f"{type(error).__name__}: {error}"[:500]
    except BaseException:  # a message can be code, too
        return "an error"


# --------------------------------------------------------------------------------------------------- the worker


def main() -> NoReturn:
    """Take requests until the judge hangs up."""
    settings = json.loads(sys.argv[1])
    drop_rights(settings)
    if not settings["boxed"]:
        end_with_parent()
    sys.path[:0] = settings["path"]
    work(settings, *loaded(settings["checks"]))


def loaded(checks: str) -> tuple[Notebook, types.ModuleType]:
    """An empty notebook, and what it takes to hear of it; torch is loaded. This is the same for all submissions.

    checks: the folder with what may be seen of the checks.
    """
    gc.disable()
    import torch

    torch.set_num_threads(1)
    notebook = Notebook()
    stand_in_for_checks(notebook, checks)
    sys.meta_path.append(Closed())
    from embedcourse.grading import wire

    gc.enable()
    gc.freeze()
    return notebook, wire


def work(settings: dict[str, Any], notebook: Notebook, wire: types.ModuleType) -> NoReturn:
    """Take requests from the line until the judge hangs up."""
    sys.modules["__main__"] = notebook.module
    line = socket.socket(fileno=settings["line"])
    with contextlib.suppress(EOFError):
        serve(line, notebook, wire, settings)
    os._exit(0)


def drop_rights(settings: dict[str, Any]) -> None:
    """Give up the administrator's rights, then limit this process; neither can be taken back."""
    if settings["boxed"] and os.getuid() == 0:
        os.setgroups([])
        for uid in (settings["uid"], 65534):  # one of its own, so that processes are counted for this box alone
            with contextlib.suppress(OSError):
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                break
    for name, most in settings["limits"].items():
        number = getattr(resource, name, None)
        if number is not None:
            with contextlib.suppress(ValueError, OSError):  # already lower, or not known to this system
                resource.setrlimit(number, (most, most))


def end_with_parent() -> None:
    """Ask the kernel to end this process when the judge ends, as a box does; where it is no Linux, it cannot."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def stand_in_for_checks(notebook: Notebook, folder: str) -> None:
    """Give `from embedcourse.checks import check` something to import: how to ask is there, what is right is not."""
    import embedcourse

    package = types.ModuleType("embedcourse.checks", "Stands for the checks, which are outside.")
    package.__path__ = [folder]
    package.check = notebook.check
    package.report = lambda *_, **__: []
    package.CheckFailed = type("CheckFailed", (AssertionError,), {})
    sys.modules["embedcourse.checks"] = embedcourse.checks = package


class Closed(importlib.abc.MetaPathFinder):
    """Says in words that a part of embedcourse is not there on purpose."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Asked last, after all who could find the module."""
        if fullname.startswith("embedcourse."):
            raise ModuleNotFoundError(f"{fullname} may not be used in this exercise", name=fullname)
        return None


def serve(line: socket.socket, notebook: Notebook, wire: types.ModuleType, settings: dict[str, Any]) -> None:
    """Answer one request after the other; each reply repeats the word that came with its request."""
    send(line, wire, {"ready": True})
    while True:
        request = wire.unpack(wire.read_frame(line, settings["most"]))
        replies = cells if request["do"] == "cells" else answers
        for reply in replies(notebook, request, line, wire, settings):
            send(line, wire, {"word": request["word"], **reply}, settings["output"])


def send(line: socket.socket, wire: types.ModuleType, reply: dict[str, Any], most: int = 0) -> None:
    """Send a reply; a value that is too large is replaced by the name of its type."""
    try:
        data = wire.pack(reply, strangers=True)
    except (ValueError, RuntimeError, MemoryError, RecursionError):
        data = b""
    if not data or len(data) > most > 0:
        name = f"{type(reply.get('value')).__name__} too large to hand over"
        lean = {**reply, "value": wire.Stranger.of(name, "…"), "gradients": ()}
        data = wire.pack(lean, strangers=True)
    wire.write_frame(line, data)


def cells(notebook: Notebook, request: dict, *_: Any) -> Iterator[dict[str, Any]]:
    """Read all cells, then run them; one reply a cell each time, so that the judge knows where this ended."""
    units: list[Unit] = []
    for i, (_name, source) in enumerate(request["cells"]):
        if i not in request["skip"]:
            try:
                units += units_of(i, source)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                notebook.errors[i] = described(error)
        yield {"cell": i, "error": None}
    chosen = needed(units, request["functions"])
    for i, (name, source) in enumerate(request["cells"]):
        notebook.run(i, name, source, [unit for unit in chosen if unit.cell == i])
        yield {"cell": i, "error": notebook.errors.get(i)}


def answers(
    notebook: Notebook, request: dict, line: socket.socket, wire: types.ModuleType, settings: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Call a task's function on each case; one reply a case. The cases come in a message of their own."""
    from embedcourse.checks import answer
    from embedcourse.checks.task import Case

    cases = wire.unpack(wire.read_frame(line, settings["most"]))
    function = notebook.function(request["task"], request["function"])
    yield {"found": function is not None}
    if function is None:
        return
    for i, (arguments, seed) in enumerate(cases):
        case = Case("", arguments, seed)
        try:
            given = answer.ask(function, case, request["gradients"], measure=request["measure"])
        except BaseException as error:  # such as KeyboardInterrupt, which `ask` leaves to those who sit at a keyboard
            given = answer.Answer(raised=answer.Raised.of(error))
        yield as_data(i, given)


def as_data(case: int, given: Any) -> dict[str, Any]:
    """An answer as plain data."""
    raised = given.raised
    return {
        "case": case,
        "value": given.value,
        "raised": None if raised is None else [list(raised.types)[:20], raised.message[:2000], raised.line[:300]],
        "gradients": tuple(given.gradients),
        "changed": list(given.changed),
        "seconds": given.seconds,
        "largest_bytes": given.largest_bytes,
    }


if __name__ == "__main__":
    main()
