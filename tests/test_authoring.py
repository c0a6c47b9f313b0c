"""Notebooks come out the same whoever made them, and exercises come out of solutions."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from embedcourse import authoring, course
from embedcourse.checks import chapter_tasks

CHAPTER = course.chapters()[-1]
TASK = chapter_tasks(CHAPTER.name)[0]
SOLVED = f"""\
def {TASK.function}(x, y):
    ### BEGIN SOLUTION
    return x
    ### END SOLUTION


check("{TASK.id}", {TASK.function})"""


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return new_output("stream", name=name, text=text)


def with_outputs(*outputs: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_code_cell("1", outputs=list(outputs))])


def test_ids_depend_on_the_text_alone():
    cells = [new_markdown_cell("a"), new_markdown_cell("b"), new_markdown_cell("a"), new_code_cell("a")]
    one = authoring.normalise(new_notebook(cells=cells), "hamming")
    other = authoring.normalise(new_notebook(cells=cells[::-1]), "hamming")
    ids = [cell.id for cell in one.cells]
    assert len(set(ids)) == 4
    assert {cell.id for cell in other.cells} == set(ids)
    nbformat.validate(one)


def test_what_editors_and_machines_leave_behind_is_dropped():
    cell = new_code_cell("1", metadata={"tags": ["x"], "scrolled": True, "execution": {"iopub.status.busy": "now"}})
    language = {"name": "python", "version": "3.99"}
    left = {"language_info": language, "widgets": {}, "jupytext": {}}
    notebook = new_notebook(cells=[cell], metadata=left)
    made = authoring.normalise(notebook, "hamming")
    assert made.cells[0].metadata == {"tags": ["x"]}
    assert set(made.metadata) == {"embedcourse", "kernelspec", "language_info"}
    assert "version" not in made.metadata.language_info
    assert made.metadata.embedcourse.chapter == "hamming"


def test_the_code_of_a_drawing_is_folded():
    cells = [new_code_cell("1", metadata={"tags": ["hide-input"]}), new_code_cell("2")]
    made = authoring.normalise(new_notebook(cells=cells), "hamming")
    assert made.cells[0].metadata == {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
    assert made.cells[1].metadata == {}


def test_printed_pieces_are_joined_and_live_widgets_leave_their_picture():
    data = {"image/png": "aGk=", "text/plain": "x", authoring.LIVE_WIDGET: {"model_id": "1"}}
    made = authoring.normalise(with_outputs(stream("a"), stream("b"), new_output("display_data", data=data)), "hamming")
    text, picture = made.cells[0].outputs
    assert text.text == "ab"
    assert set(picture.data) == {"image/png", "text/plain"}


def test_a_live_widget_without_a_picture_leaves_nothing():
    bar = new_output("display_data", data={"text/plain": "0%", authoring.LIVE_WIDGET: {"model_id": "1"}})
    assert authoring.normalise(with_outputs(bar, stream("done")), "hamming").cells[0].outputs == [stream("done")]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (new_output("error", ename="E", evalue="", traceback=[]), "error or a warning"),
        (stream("careful", "stderr"), "error or a warning"),
        (stream(f"{course.root()}/chapters"), "path of this machine"),
        (stream(f"{Path.home()}/x"), "path of this machine"),
    ],
)
def test_what_must_not_be_committed_is_refused(output, words):
    with pytest.raises(ValueError, match=words):
        authoring.normalise(with_outputs(output), "hamming")


def test_normalising_does_not_touch_what_it_was_given_and_is_done_once():
    notebook = with_outputs(stream("a"), stream("b"))
    before = json.dumps(notebook)
    once = authoring.normalise(notebook, "hamming")
    assert json.dumps(notebook) == before
    assert authoring.normalise(once, "hamming") == once


def test_a_fresh_kernel_runs_every_cell(tmp_path):
    cells = [new_code_cell("import os; x = os.getcwd()"), new_markdown_cell("text"), new_code_cell("print(x)")]
    done = authoring.execute(new_notebook(cells=cells), tmp_path)
    assert done.cells[2].outputs[0].text.strip() == str(tmp_path)
    assert [done.cells[0].execution_count, done.cells[2].execution_count] == [1, 2]
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        authoring.execute(new_notebook(cells=[new_code_cell("1 / 0")]), tmp_path)


def test_an_exercise_has_stubs_marks_and_points_but_no_solution():
    solution = authoring.mark_tasks(new_notebook(cells=[new_code_cell(SOLVED)]), CHAPTER.name)
    solution = authoring.normalise(solution, CHAPTER.name)
    exercise = authoring.exercise_from(solution, CHAPTER.name)
    stub, grades = exercise.cells[0], [c for c in exercise.cells if c.metadata.get("nbgrader", {}).get("grade")]
    assert "raise NotImplementedError()" in stub.source
    assert "return x" not in stub.source
    assert stub.source.endswith(f'check("{TASK.id}", {TASK.function})')
    assert stub.id == TASK.id.replace(".", "-")
    assert [c.metadata.nbgrader.points for c in grades] == [t.points for t in chapter_tasks(CHAPTER.name)]
    assert all(c.metadata.nbgrader.locked and c.metadata.nbgrader.checksum for c in grades)


def test_marking_twice_is_marking_once():
    once = authoring.mark_tasks(new_notebook(cells=[new_code_cell(SOLVED)]), CHAPTER.name)
    once = authoring.normalise(once, CHAPTER.name)
    again = authoring.mark_tasks(nbformat.from_dict(json.loads(json.dumps(once))), CHAPTER.name)
    assert authoring.normalise(again, CHAPTER.name) == once


@pytest.mark.parametrize("source", ["### BEGIN SOLUTION\n1\n### END SOLUTION", SOLVED.replace(TASK.id, "no.such")])
def test_a_solution_without_its_check_is_refused(source):
    with pytest.raises(ValueError, match="ends with one check of a task of"):
        authoring.mark_tasks(new_notebook(cells=[new_code_cell(source)]), CHAPTER.name)


def test_a_file_is_written_only_when_it_changes(tmp_path):
    path = tmp_path / "n.ipynb"
    notebook = authoring.normalise(new_notebook(cells=[new_markdown_cell("ä")]), "hamming")
    assert authoring.write(notebook, path)
    assert not authoring.write(notebook, path)
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_refuses_unknown_chapters():
    command = [sys.executable, "-m", "embedcourse.authoring", "knitting"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=course.root())
    assert done.returncode != 0
    assert "knitting" in done.stderr
