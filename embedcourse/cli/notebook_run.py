"""Run a notebook from its first cell in a kernel of its own, and ask that kernel for the verdicts on tasks.

A cell that hangs, or that takes the kernel with it, costs the tasks of that cell; all others still run.
"""

import ast
import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from embedcourse.checks import find_task

__all__ = ["failed", "run", "tasks_in"]

VERDICTS = "application/vnd.embedcourse.verdicts+json"
REPORT = """\
import embedcourse.checks, IPython.display
IPython.display.display({{{mime!r}: embedcourse.checks.report(globals(), [{task!r}])}}, raw=True)"""
RECOVERY_SECONDS = 5  # how long an interrupted kernel may take to answer again
SILENT = logging.getLogger("embedcourse.silent")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False  # what nbclient logs is told in the verdicts


def run(notebook: NotebookNode, folder: Path, tasks: list[str], timeout: float) -> dict[str, dict[str, Any]]:
    """Run a notebook's cells in a folder, each for so many seconds at most, and return a verdict a task.

    Raises: RuntimeError where no kernel can be started.
    """
    reports = {task: nbformat.v4.new_code_cell(REPORT.format(mime=VERDICTS, task=task)) for task in tasks}
    owned = [(cell, tasks_in(cell), only_checks(cell)) for cell in notebook.cells]
    owned += [(cell, [task], True) for task, cell in reports.items()]
    notebook.cells += reports.values()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []  # what was saved with the notebook says nothing about this run
    stopped: dict[int, str] = {}
    while True:
        try:
            with kernel(notebook, folder) as client:
                unsolved = run_cells(client, owned, stopped, timeout)
            return {task: verdict(task, cell, unsolved.get(task), owned) for task, cell in reports.items()}
        except KernelLost:  # the cell that did it is in `stopped` now, and will not run again
            continue


def run_cells(client: NotebookClient, owned: list[tuple], stopped: dict[int, str], timeout: float) -> dict[str, str]:
    """Run all cells but the stopped ones; return the tasks whose last cell was stopped, with the words for it.

    A cell that only checks tasks is left out when the cells that should solve them were stopped: it would hang again.
    """
    unsolved: dict[str, str] = {}
    for index, (cell, tasks, repeats) in enumerate(owned):
        if index not in stopped and not (repeats and all(task in unsolved for task in tasks)):
            run_cell(client, cell, index, stopped, timeout)
        for task in tasks:
            if index in stopped:
                unsolved[task] = stopped[index]
            elif not repeats:
                unsolved.pop(task, None)
    return unsolved


def run_cell(client: NotebookClient, cell: NotebookNode, index: int, stopped: dict[int, str], timeout: float) -> None:
    """Run one cell, and note it when it has to be stopped or ends the kernel.

    Raises: KernelLost where the kernel cannot go on.
    """
    client.timeout = timeout
    try:
        client.execute_cell(cell, index)
    except CellTimeoutError:
        stopped[index] = f"Its cell ran for {timeout:g} s and was stopped. Is there a loop without an end?"
        interrupt(client)
    except DeadKernelError as error:
        stopped[index] = "Its cell ended the Python process: it ran out of memory, crashed, or called exit."
        raise KernelLost from error


class KernelLost(Exception):
    """The kernel is dead, or deaf to interrupts."""


def interrupt(client: NotebookClient) -> None:
    """Interrupt the running cell and wait until the kernel answers.

    Raises: KernelLost where it does not.
    """
    run_sync(client.km.interrupt_kernel)()
    try:
        run_sync(client.kc.get_shell_msg)(timeout=RECOVERY_SECONDS)
    except Empty as error:
        raise KernelLost from error


class VerdictClient(NotebookClient):
    """Keeps of all outputs only errors and verdicts, so that no flood of output fills the memory."""

    def output(self, outs: list, msg: dict, display_id: str | None, cell_index: int) -> NotebookNode | None:
        """Handle one output of a cell."""
        if msg["msg_type"] == "error" or VERDICTS in msg["content"].get("data", {}):
            return super().output(outs, msg, display_id, cell_index)
        return None


@contextmanager
def kernel(notebook: NotebookNode, folder: Path) -> Iterator[NotebookClient]:
    """A kernel of this Python, started in a folder, and killed at the end whatever it is doing then.

    What its checks note as progress goes to a folder that is thrown away: the command notes it itself.
    """
    native = KernelSpecManager(kernel_dirs=[])  # no other kernel of this computer that calls itself python3
    client = VerdictClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=native, log=SILENT),
        allow_errors=True,
        shutdown_kernel="immediate",
        log=SILENT,
    )
    with tempfile.TemporaryDirectory() as home:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # of the process; cells have their own
        environment = os.environ | {"EMBEDCOURSE_HOME": home}
        with client.setup_kernel(cleanup_kc=True, cwd=str(folder), env=environment, **quiet):
            yield client


def verdict(task: str, report: NotebookNode, stopped: str | None, owned: list[tuple]) -> dict[str, Any]:
    """The verdict on a task as the kernel gave it, or why it gave none."""
    points = find_task(task).points
    if stopped is not None:
        return failed(task, points, "stopped", stopped)
    given = [output["data"][VERDICTS][0] for output in report.outputs if VERDICTS in output.get("data", {})]
    if not given:
        return failed(task, points, "unjudged", f"It could not be judged. {last_error([report])}")
    if given[0]["kind"] == "missing":
        said = last_error([cell for cell, tasks, repeats in owned if task in tasks and not repeats])
        given[0]["message"] += f"\n{said}" if said else ""
    return given[0]


def last_error(cells: list[NotebookNode]) -> str:
    """The last error in which some cells ended, in words; nothing when they ended in none."""
    errors = [o for cell in cells for o in cell.get("outputs", []) if o.output_type == "error"]
    return f"The cell ended in {errors[-1].ename}: {errors[-1].evalue}" if errors else ""


def failed(task: str, points: int, kind: str, message: str) -> dict[str, Any]:
    """A verdict of the same form as the kernel's, on a task that the kernel could not judge."""
    about = {"task": task, "points": points, "kind": kind, "message": message}
    return about | {"misconception": None, "regime": None, "passed": False}


def tasks_in(cell: NotebookNode) -> list[str]:
    """The ids in the calls `check("...", ...)` of a code cell."""
    tree = parse(cell)
    if tree is None:  # a cell that is not Python still belongs to its task
        return re.findall(r"^\s*check\(\s*[\"']([\w.]+)[\"']", cell.source, re.MULTILINE) if is_code(cell) else []
    return [task for node in ast.walk(tree) if (task := checked_by(node)) is not None]


def checked_by(node: ast.AST) -> str | None:
    """The task's id, if a piece of code is a call of `check` with one."""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return None
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)
    return node.args[0].value if name == "check" and isinstance(node.args[0].value, str) else None


def only_checks(cell: NotebookNode) -> bool:
    """Whether a cell does nothing else than to check, as those at the end of an exercise."""
    tree = parse(cell)
    return tree is not None and all(isinstance(s, ast.Expr) and checked_by(s.value) is not None for s in tree.body)


def is_code(cell: NotebookNode) -> bool:
    """Whether a cell holds code."""
    return cell.cell_type == "code" and bool(cell.source.strip())


def parse(cell: NotebookNode) -> ast.Module | None:
    """A code cell as Python reads it, magics replaced; None where it is no code, or not Python."""
    try:
        return ast.parse(TransformerManager().transform_cell(cell.source)) if is_code(cell) else None
    except (SyntaxError, ValueError):
        return None
