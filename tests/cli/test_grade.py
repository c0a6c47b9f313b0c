"""`embedcourse grade`: what it takes, what it prints, and how it ends."""

from contextlib import contextmanager

import pytest

from embedcourse.grading import cluster, grade, nbgrader_book
from embedcourse.grading.gradebook import Settings
from embedcourse.grading.nbgrader_book import Filled
from tests.grading.handed_in import hand_in, solved, taken_at_its_word


@pytest.fixture
def submissions(tmp_path):
    return hand_in(tmp_path / "in", alice=solved(), bob=solved("value"))


@pytest.fixture
def settings(monkeypatch):
    """The settings with which notebooks were examined, by an examiner that runs nothing."""
    seen = []

    def examine(chapter, cells, settings):
        seen.append(settings)
        return taken_at_its_word(chapter, cells, settings)

    monkeypatch.setattr(grade, "in_a_box", lambda unsafe: examine)
    return seen


def test_it_grades_a_folder_and_says_where_the_report_is(command, submissions, settings, tmp_path):
    ended = command("grade", submissions, "--out", tmp_path / "report", "--seed", 3)
    assert (ended.code, ended.err) == (0, "")
    assert "2 of 2 notebooks are graded." in ended.out
    for name in ("summary.html", "grades.csv", "lms.csv", "feedback"):
        assert str(tmp_path / "report" / name) in ended.out
        assert (tmp_path / "report" / name).exists()
    assert "--seed 3" in ended.out
    assert settings[0] == Settings(seed=3, timeout=60.0, memory=2 * 2**30, sandbox=True)


@pytest.mark.parametrize(
    ("words", "size"),
    [("512M", 512 * 2**20), ("1.5G", 3 * 2**29), ("2gb", 2**31), ("1GiB", 2**30), ("100000000", 10**8)],
)
def test_memory_is_written_as_people_write_it(command, submissions, settings, tmp_path, words, size):
    options = ("--seed", 3, "--memory", words, "--timeout", "7.5", "--jobs", 1, "--unsafe-no-sandbox")
    ended = command("grade", submissions, "--out", tmp_path / "report", *options)
    assert ended.code == 0
    assert (settings[0].memory, settings[0].timeout, settings[0].sandbox) == (size, 7.5, False)
    assert "without the sandbox" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--out", "report"], "no such folder of submissions"),
        (["in"], "--out"),
        (["in", "--out", "report", "--memory", "much"], "a size such as 2G"),
        (["in", "--out", "report", "--memory", "-1"], "a size such as 2G"),
        (["in", "--out", "report", "--memory", "1K"], "at least 64M"),
        (["in", "--out", "report", "--jobs", "0"], "--jobs"),
        (["in", "--out", "report", "--timeout", "0"], "--timeout"),
        (["in", "--out", "report", "--seed", "-1"], "--seed"),
        (["in", "--out", "report", "--resume"], "--resume"),
        (["in", "--out", "in/report"], "lies in the folder of submissions"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_written(
    command, submissions, settings, monkeypatch, tmp_path, words, said
):
    monkeypatch.chdir(tmp_path)
    ended = command("grade", *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert said in ended.err
    assert not (tmp_path / "report").exists()


def test_without_a_box_it_says_what_to_do(command, submissions, monkeypatch, tmp_path):
    monkeypatch.setattr("embedcourse.grading.box.probe", lambda: "No box here; install bubblewrap.")
    ended = command("grade", submissions, "--out", tmp_path / "report")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "embedcourse: No box here; install bubblewrap.\n"


def test_a_failing_grader_ends_with_code_1(command, submissions, monkeypatch, tmp_path):
    def broken(*_):
        raise OSError("no more processes")

    monkeypatch.setattr(grade, "in_a_box", lambda unsafe: broken)
    ended = command("grade", submissions, "--out", tmp_path / "report", "--seed", 3)
    assert ended.code == 1
    assert "0 of 2 notebooks are graded." in ended.out
    assert "OSError: no more processes" in ended.out


def test_ctrl_c_says_how_to_go_on(command, submissions, monkeypatch, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(grade, "grade", stop)
    ended = command("grade", submissions, "--out", tmp_path / "report")
    assert ended.code == 130
    assert "the same command with --resume goes on in" in ended.err
    assert "Traceback" not in ended.err


def test_a_folder_or_an_nbgrader_course_and_not_both(command, submissions, tmp_path):
    for words in ([], [submissions, "--nbgrader", tmp_path]):
        ended = command("grade", *words, "--out", tmp_path / "report")
        assert (ended.code, ended.out) == (2, "")
        assert "either a folder with SUBMISSIONS" in ended.err


def test_an_nbgrader_course_is_graded_into_its_grade_book(command, settings, monkeypatch, tmp_path):
    """The grade book itself is tested where it is filled: tests/grading/test_nbgrader_book.py."""
    seen = []

    class Course:
        def __init__(self, folder):
            self.submitted = folder / "submitted"

        def write_scores(self, find):
            seen.extend(find(path.read_bytes()) for path in self.submitted.rglob("*.ipynb"))
            return Filled(1, ("bob: why not",))

    monkeypatch.setattr(nbgrader_book, "Course", Course)
    hand_in(tmp_path / "submitted" / "alice" / "ps1", hamming=solved())
    ended = command("grade", "--nbgrader", tmp_path, "--seed", 3)
    assert (ended.code, ended.err) == (0, "")
    assert "1 submissions are in nbgrader's grade book" in ended.out
    assert "bob: why not" in ended.out
    assert [verdict.passed for verdict in seen[0]] == [True] * len(seen[0])
    assert (tmp_path / "report" / "grades.csv").exists()


def test_a_folder_that_is_no_nbgrader_course_is_refused_before_anything_is_graded(command, settings, tmp_path):
    ended = command("grade", "--nbgrader", tmp_path)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "no nbgrader course" in ended.err
    assert not settings


def test_a_cluster_grades_as_many_as_it_can_take(command, submissions, settings, monkeypatch, tmp_path):
    """The cluster itself is tested where it is asked: tests/grading/test_cluster.py."""
    asked = []

    class There:
        jobs = 2
        examine = staticmethod(lambda *words: asked.append(words) or taken_at_its_word(*words))

    @contextmanager
    def connected(address, *, unsafe):
        asked.append((address, unsafe))
        yield There

    monkeypatch.setattr(cluster, "connected", connected)
    ended = command("grade", submissions, "--out", tmp_path / "report", "--scheduler", "tcp://there:8786")
    assert (ended.code, ended.err) == (0, "")
    assert asked[0] == ("tcp://there:8786", False)
    assert len(asked) == 3
    assert not settings  # nothing is graded here


def test_nobody_at_the_schedulers_address_is_one_line(command, submissions, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    ended = command("grade", submissions, "--out", tmp_path / "report", "--scheduler", "tcp://127.0.0.1:9")
    assert (ended.code, ended.out) == (2, "")
    assert "tcp://127.0.0.1:9" in ended.err
    assert not (tmp_path / "report").exists()
