"""Grading on several computers: each worker of a Dask cluster grades one submission in a box of its own.

The class is kept here: who handed in what, the journal and the report. A worker is given code cells and the seed, and
gives back verdicts as plain data. What a worker that ends had in hand is given to another one; what it had handed back
stands in the journal, and is not asked for again.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from embedcourse.checks.judge import Verdict
from embedcourse.grading.box import probe
from embedcourse.grading.grade import Examine, NoSandbox, in_a_box
from embedcourse.grading.gradebook import Settings, checks_version
from embedcourse.grading.submissions import Cell

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Cluster", "connected"]

CONNECT_SECONDS = 10
ALONE_SECONDS = 60  # without any worker, until a submission is given up


@contextmanager
def connected(address: str, *, unsafe: bool = False) -> "Iterator[Cluster]":
    """The cluster with the scheduler at an address such as "tcp://10.0.0.1:8786", all its workers tried.

    unsafe: whether workers may grade without a box.
    Raises: ValueError where Dask is not installed or the address is none; OSError where nobody answers there or a
        worker is of another version; NoSandbox where a worker can build no box.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError("--scheduler needs Dask: pip install 'embedcourse[cluster]'") from error
    with Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client:
        cluster = Cluster(client)
        cluster.require_fit_workers(unsafe)
        yield cluster


class Cluster:
    """A cluster that grades."""

    def __init__(self, client: "Client") -> None:
        self.client = client

    @property
    def jobs(self) -> int:
        """How many submissions to give it at a time: more than it grades at once, so that no worker waits."""
        return 2 * sum(self.client.nthreads().values()) + 2

    def require_fit_workers(self, unsafe: bool) -> None:
        """Refuse a cluster on which not every worker can grade.

        Raises: OSError or NoSandbox, with a sentence that names the worker.
        """
        try:
            self.client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            states = self.client.run(state, unsafe)
        except TimeoutError as error:
            raise OSError("--scheduler: the cluster has no worker; start some with `dask worker ADDRESS`") from error
        except Exception as error:  # whatever a worker raises that has no embedcourse, or an old one
            raise OSError(f"--scheduler: a worker cannot grade ({type(error).__name__}: {error})") from error
        for worker, (version, missing) in states.items():
            if version != checks_version():
                raise OSError(f"--scheduler: {worker} has {OTHER}")
            if missing:
                raise NoSandbox(f"{worker}: {missing}")

    def examine(self, chapter: str, cells: list[Cell], settings: Settings) -> list[Verdict]:
        """Let a worker examine the code cells of a submission; it is called from many threads.

        Raises: OSError where the cluster is lost; whatever the worker raises.
        """
        plain = [[cell.id, cell.source] for cell in cells]
        name = settings.key(json.dumps([chapter, plain]).encode())  # the same notebook is graded once
        future = self.client.submit(examined, chapter, plain, asdict(settings), checks_version(), key=name, pure=True)
        try:
            self.wait_for(future)
            return [Verdict(**verdict) for verdict in future.result()]
        except Exception:
            raise
        except BaseException:  # the caller has stopped
            future.cancel()
            raise

    def wait_for(self, future: "Future") -> None:
        """Wait until a worker has done its work, or nobody is left to do it.

        Raises: OSError where the scheduler is lost, or all workers are for a minute.
        """
        ready = threading.Event()
        future.add_done_callback(lambda _: ready.set())
        seen = time.monotonic()
        while not ready.wait(0.2):  # not longer: a thread that waits cannot be stopped
            if self.client.scheduler_info()["workers"]:
                seen = time.monotonic()
            elif time.monotonic() - seen > ALONE_SECONDS:
                raise OSError("the cluster has no worker left")
        if future.cancelled():
            raise OSError("the scheduler of the cluster is lost")


OTHER = "another version of embedcourse or torch; install the same one on all computers"


# ------------------------------------------------------------------------------------------------ on a worker


def state(unsafe: bool) -> tuple[str, str | None]:
    """The version of the checks on a worker, and why it can build no box, if so."""
    return checks_version(), None if unsafe else probe()


def examined(chapter: str, cells: list[list[str]], settings: dict[str, Any], version: str) -> list[dict[str, Any]]:
    """Examine a submission on this worker: one verdict a task, in order, as plain data.

    Raises: OSError where this worker is of another version; NoSandbox where it can build no box.
    """
    if version != checks_version():  # it may have come while the others were at work
        raise OSError(f"this worker has {OTHER}")
    own = Settings(**settings)
    examine = examiner(not own.sandbox)
    return [asdict(verdict) for verdict in examine(chapter, [Cell(*cell) for cell in cells], own)]


@cache
def examiner(unsafe: bool) -> Examine:
    """What examines a notebook on this worker, tried once."""
    return in_a_box(unsafe)
