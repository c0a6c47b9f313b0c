"""Progress outlives crashes, updates of the course and damaged files; two copies of the course do not share it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from embedcourse import course, progress


@pytest.fixture
def copy_of_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the course in a folder of its own, as far as progress needs one."""
    return make_copy(tmp_path / "embedding course")


def make_copy(folder: Path) -> Path:
    (folder / "embedcourse").mkdir(parents=True)
    (folder / "chapters").mkdir()
    package = Path(course.__file__).parent
    for name in ("__init__.py", "course.py", "progress.py"):
        shutil.copy(package / name, folder / "embedcourse")
    return folder


def started(copy: Path, code: str) -> subprocess.Popen:
    """Python code running in another process, on a copy of the course."""
    environment = os.environ | {"PYTHONPATH": str(copy)}
    command = [sys.executable, "-c", "from embedcourse import progress\n" + textwrap.dedent(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=copy)


def printed(copy: Path, code: str) -> str:
    """What Python code prints, in another process, on a copy of the course."""
    process = started(copy, code)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.strip()


def test_nothing_is_passed_at_first() -> None:
    assert progress.passed() == {}
    assert not progress.folder().exists()


def test_what_is_recorded_is_passed() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    progress.record("hamming.count", 2)
    (one,) = progress.passed().values()
    assert (one.task, one.points) == ("hamming.count", 2)
    assert before <= datetime.fromisoformat(one.at) <= datetime.now(UTC)


def test_the_first_date_stays_and_points_never_go_down() -> None:
    progress.record("hamming.count", 2)
    file = progress.folder() / "hamming.count.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"at": "2020-02-02T02:02:02+00:00"}))
    for points, kept in ((1, 2), (3, 3), (2, 3)):
        progress.record("hamming.count", points)
        assert progress.passed()["hamming.count"] == progress.Passed("hamming.count", kept, "2020-02-02T02:02:02+00:00")


def test_clear_forgets_the_named_tasks_only() -> None:
    for task in ("a.one", "a.two", "b.one"):
        progress.record(task, 1)
    progress.clear(["a.one", "b.one", "never.passed"])
    assert list(progress.passed()) == ["a.two"]


@pytest.mark.parametrize("task_id", ["", "../escape", "a/b", "A.b", "a..b", ".a", "a.b\n", None, 3])
def test_an_id_that_is_none_is_refused(task_id: object) -> None:
    with pytest.raises(ValueError, match=r"task_id: expected an id such as 'hamming\.count', got"):
        progress.record(task_id, 1)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"task": "a.one"}', '{"task": "a.two", "points": 1, "at": "2026-01-01"}',
     '{"task": "a.one", "points": Infinity, "at": "2026-01-01"}',
     '{"task": "a.one", "points": 1, "at": "soon"}', "\udcff"],
)  # fmt: skip
def test_a_damaged_file_is_told_kept_and_costs_nothing_else(content: str) -> None:
    progress.record("a.one", 1)
    progress.record("b.one", 1)
    file = progress.folder() / "a.one.json"
    damaged = content.encode("utf-8", "surrogateescape")
    file.write_bytes(damaged)
    with pytest.warns(UserWarning, match=r"a\.one\.json is damaged"):
        assert list(progress.passed()) == ["b.one"]
    assert file.read_bytes() == damaged
    progress.record("a.one", 1)
    assert list(progress.passed()) == ["a.one", "b.one"]
    assert (progress.folder() / "a.one.damaged").read_bytes() == damaged


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EMBEDCOURSE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"cannot be written \(.+\); make it writable, or set EMBEDCOURSE_HOME"):
        progress.record("a.one", 1)


def test_home_is_chosen_by_the_environment_or_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDCOURSE_HOME", str(tmp_path))
    assert progress.home() == tmp_path
    monkeypatch.delenv("EMBEDCOURSE_HOME")
    assert progress.home().name == "embedcourse"
    assert progress.home().is_absolute()


def test_every_acknowledged_record_survives_a_kill(copy_of_course: Path) -> None:
    endless = """
        for n in range(10**6):
            progress.record(f"task.number_{n}", n)
            print(n, flush=True)
    """
    for _ in range(3):
        process = started(copy_of_course, endless)
        told = process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        told += process.communicate(timeout=60)[0]
        acknowledged = told.split()[: told.count("\n")]
        assert len(acknowledged) > 5
        code = (
            "import warnings; warnings.simplefilter('error'); p = progress.passed(); print(*[p[t].points for t in p])"
        )
        kept = printed(copy_of_course, code).split()
        assert set(acknowledged) <= set(kept)


def test_two_processes_at_once_lose_nothing(copy_of_course: Path) -> None:
    code = """
        for n in range(100):
            progress.record(f"{name}.task_{n}", 1)
            progress.record(f"both.task_{n}", 1)
    """
    processes = [started(copy_of_course, f"name = {name!r}\n{textwrap.dedent(code)}") for name in ("one", "two")]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    assert printed(copy_of_course, "print(len(progress.passed()))") == "300"


def test_two_copies_of_the_course_do_not_mix(copy_of_course: Path, tmp_path: Path) -> None:
    other = make_copy(tmp_path / "elsewhere" / copy_of_course.name)  # the same name in another place
    printed(copy_of_course, "progress.record('a.one', 1)")
    printed(other, "progress.record('b.one', 1)")
    assert printed(copy_of_course, "print(*progress.passed())") == "a.one"
    assert printed(other, "print(*progress.passed())") == "b.one"


def test_a_new_version_of_the_course_changes_nothing(copy_of_course: Path) -> None:
    printed(copy_of_course, "progress.record('a.one', 1)")
    shutil.rmtree(copy_of_course)
    make_copy(copy_of_course)
    (copy_of_course / "chapters" / "16_new.ipynb").write_text("{}")
    assert printed(copy_of_course, "print(*progress.passed())") == "a.one"
