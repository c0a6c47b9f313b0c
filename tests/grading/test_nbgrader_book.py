"""The trusted scores in nbgrader's grade book, and the course's notebooks in the hands of the real nbgrader."""

import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import nbformat
import pytest
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from embedcourse.grading.grade import grade
from embedcourse.grading.gradebook import Settings
from embedcourse.grading.nbgrader_book import Course, Filled, found_by, marked_copy
from embedcourse.grading.submissions import cells_of
from tests.grading.handed_in import HOSTILE, TASKS, code, notebook, solved, taken_at_its_word

STEM = "02_hamming"
POINTS = [task.points for task in TASKS]
IDS = [task.id.replace(".", "-") for task in TASKS]
ONE_WRONG = ("passed", "value", *("passed",) * (len(TASKS) - 2))


def nbgrader(folder: Path) -> NbGraderAPI:
    patient = Config({"Execute": {"timeout": 180}})  # of a cell; nbgrader's 30 s do not suffice beside other tests
    return NbGraderAPI(coursedir=CourseDirectory(root=str(folder)), config=patient)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A course folder in which nbgrader has made an assignment from a solution."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "nbgrader_config.py").write_text("c = get_config()\n")
    source = folder / "source" / "ps1" / f"{STEM}.ipynb"
    source.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "solutions" / source.name, source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")  # nbgrader calls alembic by its name
        done = nbgrader(folder).generate_assignment("ps1")
    assert done["success"], done
    return folder


@pytest.fixture
def course(generated, tmp_path):
    return shutil.copytree(generated, tmp_path / "course")


def submit(course, student, text, assignment="ps1", file=f"{STEM}.ipynb", stamp="2026-11-20 10:00:00 UTC"):
    path = course / "submitted" / student / assignment / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (path.parent / "timestamp.txt").write_text(stamp)
    return path


def fill(folder, out, seed=1) -> Filled:
    """Grade and fill the grade book, by an examiner that runs nothing."""
    course = Course(folder)
    return course.write_scores(found_by(grade(course.submitted, out, seed=seed, jobs=1, examine=taken_at_its_word)))


def rows(course):
    """All that stands in the grade book."""
    with closing(sqlite3.connect(course / "gradebook.db")) as book:
        return list(book.iterdump())


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ----------------------------------------------------------------------------- the solutions, in nbgrader's own hands


def test_nbgrader_releases_what_the_exercise_is(generated, root):
    released = nbformat.read(generated / "release" / "ps1" / f"{STEM}.ipynb", as_version=4)
    exercise = nbformat.read(root / "exercises" / f"{STEM}.ipynb", as_version=4)
    assert [cell.source for cell in released.cells] == [cell.source for cell in exercise.cells]
    assert [cell.metadata.get("nbgrader") for cell in released.cells] == [
        cell.metadata.get("nbgrader") for cell in exercise.cells
    ]


def test_nbgrader_autogrades_a_solution_and_writes_feedback(course, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing is fetched
    text = (course / "source" / "ps1" / f"{STEM}.ipynb").read_text()
    submit(course, "ann", text.replace("return z > corpus.mean(0)", "return z > 0"))
    api = nbgrader(course)
    done = api.autograde("ps1", "ann")
    assert done["success"], done
    said = api.get_submission("ps1", "ann")
    assert (said["autograded"], said["score"], said["max_score"]) == (True, sum(POINTS) - POINTS[1], sum(POINTS))
    assert api.generate_feedback("ps1", "ann")["success"]
    page = (course / "feedback" / "ann" / "ps1" / f"{STEM}.html").read_text()
    assert f"(Score: {said['score']} / {said['max_score']})" in page


# ------------------------------------------------------------------------------------------------ the trusted scores


def test_formgrader_shows_the_trusted_scores(course, tmp_path):
    submit(course, "ann", solved())
    submit(course, "bob", solved(*ONE_WRONG))
    filled = fill(course, tmp_path / "out")
    assert filled == Filled(2)
    api = nbgrader(course)
    shown = {s["student"]: s for s in api.get_submissions("ps1")}
    assert {name: s["score"] for name, s in shown.items()} == {"ann": sum(POINTS), "bob": sum(POINTS) - POINTS[1]}
    for said in shown.values():
        assert (said["autograded"], said["needs_manual_grade"], said["max_score"]) == (True, False, sum(POINTS))
        assert said["timestamp"] == "2026-11-20T10:00:00"
    with api.gradebook as book:
        grades = [book.find_grade(f"grade-{name}", STEM, "ps1", "bob").score for name in IDS]
    assert grades == [POINTS[0], 0, *POINTS[2:]]


def test_nbgrader_makes_its_feedback_of_them(course, tmp_path):
    submit(course, "bob", solved(*ONE_WRONG))
    fill(course, tmp_path / "out", seed=77)
    assert nbgrader(course).generate_feedback("ps1", "bob")["success"]
    page = (course / "feedback" / "bob" / "ps1" / f"{STEM}.html").read_text()
    most = float(sum(POINTS))
    assert f"(Score: {most - POINTS[1]} / {most})" in page
    assert "Seed 77" in page  # the words of the verdict


def test_filling_twice_changes_nothing(course, tmp_path):
    submit(course, "ann", solved())
    submit(course, "bob", solved(*ONE_WRONG))
    fill(course, tmp_path / "out")
    before = rows(course), files(course / "autograded")
    fill(course, tmp_path / "again")
    assert (rows(course), files(course / "autograded")) == before


def test_a_new_version_gets_its_own_score_and_a_score_by_hand_stays(course, tmp_path):
    submit(course, "ann", solved(*ONE_WRONG))
    fill(course, tmp_path / "out")
    with nbgrader(course).gradebook as book:
        given = book.find_grade(f"grade-{IDS[1]}", STEM, "ps1", "ann")
        given.manual_score, given.needs_manual_grade = 1.5, False
        book.db.commit()
    fill(course, tmp_path / "out")
    assert not nbgrader(course).get_submission("ps1", "ann")["needs_manual_grade"]
    submit(course, "ann", solved("value", *("passed",) * (len(TASKS) - 1)), stamp="2026-11-21 10:00:00 UTC")
    fill(course, tmp_path / "out")
    said = nbgrader(course).get_submission("ps1", "ann")
    assert said["score"] == sum(POINTS) - POINTS[0] - POINTS[1] + 1.5
    assert said["needs_manual_grade"]
    assert said["timestamp"] == "2026-11-21T10:00:00"


def test_a_teachers_own_points_count(course, tmp_path):
    with nbgrader(course).gradebook as book:
        book.find_grade_cell(f"grade-{IDS[0]}", STEM, "ps1").max_score = 10
        book.db.commit()
    submit(course, "ann", solved())
    fill(course, tmp_path / "out")
    assert nbgrader(course).get_submission("ps1", "ann")["score"] == sum(POINTS) - POINTS[0] + 10


def test_lost_ids_and_another_file_name_cost_nothing(course, tmp_path):
    bare = json.loads(solved())
    for cell in bare["cells"]:
        del cell["id"]
    submit(course, "ann", json.dumps(bare), file="homework (1).ipynb")
    assert fill(course, tmp_path / "out") == Filled(1)
    assert nbgrader(course).get_submission("ps1", "ann")["score"] == sum(POINTS)
    assert (course / "autograded" / "ann" / "ps1" / f"{STEM}.ipynb").is_file()


def test_what_cannot_be_put_there_is_told_and_stops_nobody(course, tmp_path):
    submit(course, "ann", solved())
    submit(course, "broken", "{")
    submit(course, "deep", solved(), assignment="ps1/more")
    submit(course, "unknown", solved(), assignment="ps9")
    filled = fill(course, tmp_path / "out")
    assert filled.written == 1
    assert [problem.split(":")[0] for problem in filled.problems] == [
        f"broken (ps1/{STEM}.ipynb)",
        f"deep (ps1/more/{STEM}.ipynb)",
        f"unknown (ps9/{STEM}.ipynb)",
    ]
    for problem, said in zip(filled.problems, ("JSON is broken", "STUDENT/ASSIGNMENT", "ment ps9"), strict=True):
        assert said in problem
    assert filled.lines()[0].startswith("1 submissions are in")
    assert len(filled.lines()) == 4


def test_a_notebook_that_changed_after_it_was_graded_is_left_out(course, tmp_path):
    path = submit(course, "ann", solved("value"))
    outcome = grade(course / "submitted", tmp_path / "out", seed=1, jobs=1, examine=taken_at_its_word)
    path.write_text(solved())
    (problem,) = Course(course).write_scores(found_by(outcome)).problems
    assert "changed since" in problem


@pytest.mark.parametrize("stamp", ["", "soon", "9" * 5000, "\x00"])
def test_a_timestamp_that_is_none_stops_nobody(course, tmp_path, stamp):
    submit(course, "ann", solved(), stamp=stamp)
    assert fill(course, tmp_path / "out") == Filled(1)


def test_a_timestamp_is_not_read_through_a_link(course, tmp_path):
    path = submit(course, "ann", solved())
    (tmp_path / "secret").write_text("2020-01-01 00:00:00 UTC")
    (path.parent / "timestamp.txt").unlink()
    (path.parent / "timestamp.txt").symlink_to(tmp_path / "secret")
    fill(course, tmp_path / "out")
    assert not (course / "autograded" / "ann" / "ps1" / "timestamp.txt").exists()


# ------------------------------------------------------------------------------------------------- the marked copy


def copy_of(text: str, texts=()) -> nbformat.NotebookNode:
    verdicts = taken_at_its_word(*cells_of(text.encode()), Settings(1, 60, 2**30))
    copy = nbformat.reads(marked_copy(text.encode(), verdicts, texts).decode(), as_version=4)
    nbformat.validate(copy)
    return copy


@pytest.mark.parametrize("words", HOSTILE)
def test_nothing_of_a_learners_but_code_and_literal_text_is_kept(words):
    forged = {"output_type": "display_data", "data": {"text/html": words}, "metadata": {}}
    full = {"grade": True, "grade_id": f"grade-{IDS[1]}", "points": 99, "schema_version": 3, "locked": True}
    cells = [
        *json.loads(solved(*ONE_WRONG))["cells"],
        {"cell_type": "markdown", "id": "cell-0", "metadata": {"x": words}, "source": f"{words}\n\n# {words}"},
        {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": words},
        code("1", "cell-0") | {"outputs": [forged], "metadata": {"nbgrader": full}},
        code("1", f"grade-{IDS[1]}") | {"outputs": [forged], "metadata": {"nbgrader": full}},
        "damaged",
    ]
    copy = copy_of(notebook(cells, metadata={"title": words, "widgets": words}))
    graded = [cell for cell in copy.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert [cell.metadata.nbgrader.grade_id for cell in graded] == [f"grade-{name}" for name in IDS]
    assert [cell.metadata.nbgrader.points for cell in graded] == POINTS
    assert [cell.outputs[0].text.split("\n")[0] for cell in graded] == list(ONE_WRONG)
    assert all(not cell.outputs for cell in copy.cells if cell.cell_type == "code" and cell not in graded)
    assert {cell.cell_type for cell in copy.cells} == {"code", "markdown"}
    (text,) = [cell.source for cell in copy.cells if cell.cell_type == "markdown"]
    assert all(line.startswith("    ") for line in text.splitlines())  # a block of code to markdown


def test_a_teachers_text_is_shown_as_text():
    text = "## Task 1\n\n**Predict first.**"
    cells = [{"cell_type": "markdown", "metadata": {}, "source": [text[:5], text[5:]]}, *json.loads(solved())["cells"]]
    assert copy_of(notebook(cells), {text}).cells[0].source == text
    assert copy_of(notebook(cells)).cells[0].source != text


# --------------------------------------------------------------------------------------------------- wrong folders


def test_a_folder_that_is_no_course_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no nbgrader course"):
        Course(tmp_path)


def test_a_course_without_a_grade_book_is_told_what_to_run_first(tmp_path):
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    with pytest.raises(ValueError, match="nbgrader generate_assignment"):
        Course(tmp_path)


def test_without_nbgrader_it_says_what_to_install(course, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbgrader.coursedir", None)
    with pytest.raises(ValueError, match=re.escape("embedcourse[classroom]")):
        Course(course)


def test_a_grade_book_that_is_none_is_an_error(course):
    (course / "gradebook.db").write_text("not a database")
    with pytest.raises(OSError, match="grade book"):
        Course(course).write_scores(lambda data: None)


def test_a_courses_own_names_of_folders_are_kept(course, tmp_path):
    (course / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.submitted_directory = "in"\n')
    submit(course, "ann", solved())
    (course / "submitted").rename(course / "in")
    assert Course(course).submitted == course / "in"
    assert fill(course, tmp_path / "out") == Filled(1)
