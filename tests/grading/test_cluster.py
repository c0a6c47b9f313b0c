"""Grading on a cluster: real workers in processes of their own, one of which is killed at work."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict

import pytest
from distributed import LocalCluster

from embedcourse.grading import cluster
from embedcourse.grading.box import probe
from embedcourse.grading.cluster import Cluster, connected, examined
from embedcourse.grading.grade import JOURNAL, NoSandbox, grade
from embedcourse.grading.gradebook import Journal, Settings, checks_version
from embedcourse.grading.submissions import read_notebook
from tests.grading.handed_in import TASKS, code, hand_in, notebook

UNSAFE = probe() is not None  # where there is no box, the cluster is tried without


@pytest.fixture
def solution(root):
    """The code cells of a solved notebook, those that only show left out."""
    ids = {task.id.replace(".", "-") for task in TASKS}
    cells = read_notebook(root / "solutions" / "02_hamming.ipynb")[1]
    return {cell.id: cell.source for cell in cells if cell.id in ids or cell.source.startswith("import torch")}


def handed_in(cells, **changed):
    return notebook(code(changed.get(name.replace("-", "_"), source), name) for name, source in cells.items())


@contextmanager
def two_workers(folder):
    """A scheduler in this process, and two workers as `dask worker` starts them: processes by their addresses."""
    words = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder))
    with LocalCluster(n_workers=0, dashboard_address=None) as started:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", started.scheduler_address, *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        workers = [subprocess.Popen([*command, "--name", str(n)], **quiet) for n in range(2)]
        try:
            until = time.monotonic() + 60
            while len(started.scheduler.workers) < 2 and time.monotonic() < until:
                time.sleep(0.05)
            yield started.scheduler, {w.address: workers[int(w.name)] for w in started.scheduler.workers.values()}
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


def test_a_killed_worker_loses_nothing_and_nothing_is_graded_twice(solution, tmp_path, monkeypatch):
    wrong = solution["hamming-binarize"].replace("corpus.mean(0)", "0")
    learners = {f"l{n}": handed_in(solution | {"own": f"# by learner {n}"}) for n in range(4)}
    learners |= {"wrong": handed_in(solution, hamming_binarize=wrong), "twin": learners["l0"]}
    submissions, out, noted, killed = hand_in(tmp_path / "in", **learners), tmp_path / "out", [], []
    add = Journal.add
    monkeypatch.setattr(Journal, "add", lambda self, *words: (add(self, *words), noted.append(1)))

    def kill_one_at_work(scheduler, workers):
        while not killed and not stop.wait(0.01):
            busy = [w.address for w in scheduler.workers.values() if w.processing]
            if len(noted) >= 2 and busy and all(task.state != "memory" for task in scheduler.tasks.values()):
                workers[busy[0]].send_signal(signal.SIGKILL)
                killed.append(busy[0])

    stop = threading.Event()
    checks_version.cache_clear()  # the workers read the package now, so this process does, too
    with two_workers(tmp_path) as (scheduler, workers), connected(scheduler.address, unsafe=UNSAFE) as there:
        killer = threading.Thread(target=kill_one_at_work, args=(scheduler, workers))
        killer.start()
        try:
            outcome = grade(submissions, out, seed=1, jobs=there.jobs, unsafe=UNSAFE, examine=there.examine)
        finally:
            stop.set()
            killer.join()
        log = [(key, finish) for key, _, finish, *_ in scheduler.transition_log if len(str(key)) == 64]
        left = list(scheduler.workers)
    assert (outcome.exit_code, len(killed), len(left)) == (0, 1, 1)
    assert killed[0] not in left
    points = {g.learner: [v.points * v.passed for v in g.verdicts] for g in outcome.graded}
    full = [task.points for task in TASKS]
    assert points == dict.fromkeys(learners, full) | {"wrong": [full[0], 0, *full[2:]]}
    times = Counter(key for key, finish in log if finish == "memory")
    assert set(times.values()) == {1}  # done once, whoever began it
    assert len(times) == len(learners) - 1  # the twins hand in the same code
    assert max(Counter(key for key, finish in log if finish == "processing").values()) == 2  # begun again elsewhere
    assert len(Journal.read(out / JOURNAL)) == len(times)

    def again(*_):
        raise AssertionError("what stands in the journal is not asked for again")

    before = (out / "grades.csv").read_bytes()
    grade(submissions, out, seed=1, jobs=2, resume=True, unsafe=UNSAFE, examine=again)
    assert (out / "grades.csv").read_bytes() == before


class Workers:
    """Stands for a cluster whose workers answer the first question as they are told."""

    def __init__(self, states):
        self.states = states

    def wait_for_workers(self, *_, **__):
        if not self.states:
            raise TimeoutError

    def run(self, function, unsafe):
        if isinstance(self.states, Exception):
            raise self.states
        return self.states


@pytest.mark.parametrize(
    ("states", "error", "said"),
    [
        ({}, OSError, "no worker; start some"),
        ({"tcp://a": ("other", None)}, OSError, "tcp://a has another version"),
        ({"tcp://a": ("this", "No box.")}, NoSandbox, "tcp://a: No box."),
        (ModuleNotFoundError("No module named 'embedcourse'"), OSError, "a worker cannot grade .*No module named"),
    ],
)
def test_workers_that_cannot_grade_are_refused(states, error, said, monkeypatch):
    monkeypatch.setattr(cluster, "checks_version", lambda: "this")
    with pytest.raises(error, match=said):
        Cluster(Workers(states)).require_fit_workers(unsafe=False)


def test_workers_that_can_grade_are_taken():
    Cluster(Workers({"tcp://a": (checks_version(), None)})).require_fit_workers(unsafe=False)


def test_nobody_at_the_address_is_an_error_of_one_sentence(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:9"), connected("tcp://127.0.0.1:9"):
        pass


def test_a_worker_of_another_version_grades_nothing():
    with pytest.raises(OSError, match="another version"):
        examined("hamming", [], asdict(Settings(1, 60, 2**31)), "other")


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"embedcourse\[cluster\]"), connected("tcp://127.0.0.1:9"):
        pass


class Lost:
    """A future that nobody works on."""

    def __init__(self, cancelled):
        self._cancelled = cancelled

    def add_done_callback(self, function):
        if self._cancelled:
            function(self)

    def cancelled(self):
        return self._cancelled


class Empty:
    """A cluster that all workers have left."""

    def scheduler_info(self):
        return {"workers": {}}


@pytest.mark.parametrize(("cancelled", "said"), [(True, "scheduler"), (False, "no worker left")])
def test_a_cluster_that_is_lost_is_an_error_and_no_wait_without_end(monkeypatch, cancelled, said):
    monkeypatch.setattr(cluster, "ALONE_SECONDS", 0)
    with pytest.raises(OSError, match=said):
        Cluster(Empty()).wait_for(Lost(cancelled))
