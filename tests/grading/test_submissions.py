"""Whatever is handed in becomes a submission: to be graded, or with a problem said in a sentence."""

import json
import os
import socket

import pytest

from embedcourse import checks
from embedcourse.checks.registry import modules
from embedcourse.grading import submissions
from embedcourse.grading.submissions import Cell, Submission, Unusable, cells_of, find_submissions, read_notebook

from .handed_in import CHAPTER, HOSTILE, TASKS, code, hand_in, notebook, solved

COUNT = TASKS[0]


def problems(folder) -> dict[str, str | None]:
    return {s.learner: s.problem for s in find_submissions(folder)}


def chapter_and_ids(*cells, **other) -> tuple[str, list[str]]:
    chapter, found = cells_of(notebook(cells, **other).encode())
    return chapter, [cell.id for cell in found]


# ----------------------------------------------------------------------------------------- the real notebooks


@pytest.mark.parametrize("folder", ["exercises", "solutions"])
@pytest.mark.parametrize("chapter", modules())
def test_every_exercise_of_the_course_is_recognised_with_all_its_tasks(root, folder, chapter):
    path = root / folder / f"{modules()[chapter].removeprefix('ch')}.ipynb"
    found, cells = read_notebook(path)
    sources = {cell.id: cell.source for cell in cells}
    assert found == chapter
    for task in checks.chapter_tasks(chapter):
        assert f"def {task.function}(" in sources[task.id.replace(".", "-")]


@pytest.mark.parametrize("chapter", modules())
def test_they_are_recognised_by_their_functions_too_when_an_editor_threw_all_ids_away(root, chapter):
    path = root / "exercises" / f"{modules()[chapter].removeprefix('ch')}.ipynb"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["metadata"] = {}
    for cell in content["cells"]:
        del cell["id"]
        cell["source"] = [line for line in cell["source"] if not line.startswith("check(")]
    found, cells = cells_of(json.dumps(content).encode())
    assert found == chapter
    assert {task.id.replace(".", "-") for task in checks.chapter_tasks(chapter)} <= {cell.id for cell in cells}


# ------------------------------------------------------------------------------------------------- who and what


def test_a_notebook_a_learner(tmp_path):
    hand_in(tmp_path, bob=solved(), alice=solved())
    assert find_submissions(tmp_path) == [
        Submission("alice", tmp_path / "alice.ipynb", None, CHAPTER),
        Submission("bob", tmp_path / "bob.ipynb", None, CHAPTER),
    ]


def test_a_folder_a_learner_with_notebooks_of_several_chapters_in_the_order_of_the_course(tmp_path):
    first, second, *_ = modules()
    hand_in(tmp_path / "alice" / "deep" / "er", a=solved(chapter=second))
    hand_in(tmp_path / "alice", z=solved(chapter=first))
    hand_in(tmp_path / "alice" / ".ipynb_checkpoints", z=solved())
    hand_in(tmp_path / "alice" / "chapters", lesson="{}")
    (tmp_path / "alice" / "z.kept-2026-01-01.ipynb").write_text("{}")
    assert [(s.learner, s.chapter, s.problem) for s in find_submissions(tmp_path)] == [
        ("alice", first, None),
        ("alice", second, None),
    ]


def test_what_systems_and_editors_leave_behind_is_nobodys(tmp_path):
    hand_in(tmp_path, alice=solved())
    hand_in(tmp_path / "__MACOSX", alice=solved())
    hand_in(tmp_path / ".ipynb_checkpoints", alice=solved())
    for name in (".DS_Store", "._alice.ipynb", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"\0")
    assert problems(tmp_path) == {"alice": None}


def test_an_empty_folder_is_an_empty_class_and_a_missing_one_an_error(tmp_path):
    assert find_submissions(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        find_submissions(tmp_path / "nothing")


# ------------------------------------------------------------------------------------------------- what is wrong

BROKEN = {
    "empty": (b"", "It is empty"),
    "blank": (b" \n ", "It is empty"),
    "text": (b"my answer is 42", "JSON is broken"),
    "cut": (solved().encode()[:-20], "JSON is broken"),
    "latin": ("é".encode("latin-1"), "JSON is broken"),
    "zeros": (b"\0" * 100, "JSON is broken"),
    "deep": (b"[" * 100_000, "JSON is broken"),
    "number": (b'{"nbformat": ' + b"9" * 5000 + b"}", "JSON is broken"),
    "list": (b"[]", "JSON of another kind"),
    "other": (b'{"a": 1}', "JSON of another kind"),
    "old": (b'{"nbformat": 3, "worksheets": []}', "notebook format 3, not 4"),
    "odd": (b'{"nbformat": "\\u001b[31m", "cells": []}', "notebook format"),
    "true": (b'{"nbformat": true, "cells": []}', "notebook format True, not 4"),
    "cells": (notebook([], cells={"a": 1}).encode(), "no list of cells"),
    "nocode": (notebook([{"cell_type": "markdown", "source": "Hello"}]).encode(), "no code"),
    "blankcode": (notebook([code(" \n")]).encode(), "no code"),
    "foreign": (notebook([code("x = 1")]).encode(), "no exercise of this course"),
    "parts": (b"[" + b"[]," * 1_000_000 + b"0]", "more parts than any notebook has"),
    "toomany": (notebook([code("x = 1")] * 2001).encode(), "more than 2000 cells"),
    "toomuch": (notebook([code("#" * 1_000_001)]).encode(), "more than 1 MB of code"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_graded_is_told_in_a_sentence_and_stops_nobody(tmp_path, name):
    data, said = BROKEN[name]
    hand_in(tmp_path, good=solved())
    (tmp_path / f"{name}.ipynb").write_bytes(data)
    found = problems(tmp_path)
    assert found["good"] is None
    assert said in found[name]
    assert found[name].startswith(("It ", "There "))
    assert found[name].endswith(".")
    assert found[name].isprintable()


def test_a_notebook_of_200_mb_is_refused_by_its_size(tmp_path):
    with (tmp_path / "huge.ipynb").open("wb") as file:
        file.truncate(200_000_000)
    assert problems(tmp_path)["huge"] == "It has 200 MB; 20 MB are enough. Clear its outputs, and save."


def test_links_are_never_followed(tmp_path):
    target = hand_in(tmp_path / "elsewhere", secret=solved()) / "secret.ipynb"
    folder = hand_in(tmp_path / "in", alice=solved())
    (folder / "bob.ipynb").symlink_to(target)
    (folder / "carol").symlink_to(target.parent)
    (folder / "dora").mkdir()
    (folder / "dora" / "x.ipynb").symlink_to(target)
    (folder / "emil.ipynb").symlink_to("nowhere")
    (folder / "finn").mkdir()
    (folder / "finn" / "work").symlink_to(target.parent)
    found = problems(folder)
    assert found.pop("alice") is None
    assert found.pop("finn") == "There is no notebook in this folder."
    assert set(found.values()) == {"It is a link to another file. Hand in the notebook itself."}
    assert len(found) == 4
    with pytest.raises(Unusable, match="cannot be read"):
        read_notebook(folder / "bob.ipynb")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.ipynb")
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(tmp_path)
        listening.bind("socket.ipynb")
        assert set(problems(tmp_path).values()) == {"It is no file, but a device, a pipe or a socket."}
    with pytest.raises(Unusable, match="It is no file"):
        read_notebook(tmp_path / "pipe.ipynb")


def test_what_cannot_be_read_is_told(tmp_path, monkeypatch):
    hand_in(tmp_path, alice=solved(), bob=solved())
    hand_in(tmp_path / "carol", x=solved())
    opened, scanned = os.open, os.scandir

    def no_entry(call):  # the administrator may read everything, so that modes tell nothing here
        def refusing(path, *more):
            if "bob" in str(path) or "carol" in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return call(path, *more)

        return refusing

    monkeypatch.setattr(os, "open", no_entry(opened))
    monkeypatch.setattr(os, "scandir", no_entry(scanned))
    assert problems(tmp_path) == {
        "alice": None,
        "bob": "It cannot be read: Permission denied.",
        "carol": "It cannot be read: Permission denied.",
    }


def test_other_files_are_no_notebooks_and_a_folder_may_hold_none(tmp_path):
    (tmp_path / "essay.pdf").write_text("x")
    (tmp_path / "alice").mkdir()
    (tmp_path / "alice" / "answer.txt").write_text("x")
    assert problems(tmp_path) == {
        "essay.pdf": "It is no notebook: its name does not end in .ipynb.",
        "alice": "There is no notebook in this folder.",
    }


def test_two_of_one_name_are_both_told_and_neither_is_graded(tmp_path):
    hand_in(tmp_path, alice=solved(), Alice=solved(), bob=solved())
    hand_in(tmp_path / "alice", x=solved())
    found = find_submissions(tmp_path)
    assert [s.problem for s in found if s.learner == "bob"] == [None]
    others = [s for s in found if s.learner != "bob"]
    assert len(others) == 3
    assert all("3 submissions carry the name" in s.problem for s in others)


def test_one_name_in_two_spellings_of_unicode_is_one_name(tmp_path):
    hand_in(tmp_path, **{"Jose\u0301": solved(), "Jos\u00e9": solved()})
    assert all("carry the name José" in s.problem for s in find_submissions(tmp_path))


def test_two_notebooks_of_one_chapter_are_told_and_the_other_chapter_is_graded(tmp_path):
    first, second, *_ = modules()
    hand_in(tmp_path / "alice", a=solved(chapter=first), b=solved(chapter=first), c=solved(chapter=second))
    found = find_submissions(tmp_path)
    assert [(s.chapter, s.problem) for s in found] == [
        (first, "2 notebooks are of one chapter (a.ipynb, b.ipynb): only one may."),
        (second, None),
    ]


def test_a_folder_with_a_flood_of_notebooks_is_one_row(tmp_path):
    hand_in(tmp_path / "alice", **{f"n{i}": "" for i in range(101)})
    assert problems(tmp_path) == {"alice": "It holds more than 100 notebooks."}


@pytest.mark.parametrize("name", ["..\\..\\up.ipynb", "C:\\up.ipynb", "..ipynb", "...ipynb", "..up.ipynb", ".ipynb"])
def test_names_with_path_tricks_are_refused(tmp_path, name):
    (tmp_path / name).write_text(solved())
    (found,) = find_submissions(tmp_path)
    assert found.problem == "Its name holds a path or nothing else than dots. Rename it to the learner's name."


@pytest.mark.parametrize("name", [n for n in HOSTILE if "/" not in n])
def test_a_learners_name_is_one_line_that_can_be_seen(tmp_path, name):
    (tmp_path / f"{name}.ipynb").write_text(solved())
    (found,) = find_submissions(tmp_path)
    assert found.problem is None
    assert 0 < len(found.learner) <= 100
    assert not {"\x1b", "\x07", "\n", "\u202e"} & set(found.learner)


def test_a_name_that_is_no_utf8_is_shown_with_a_mark(tmp_path):
    with open(os.fsencode(tmp_path) + b"/a\xff\n.ipynb", "w") as file:
        file.write(solved())
    (found,) = find_submissions(tmp_path)
    assert (found.learner, found.problem) == ("a\ufffd\ufffd", None)


# ------------------------------------------------------------------------------------------------- its cells


def test_a_damaged_cell_costs_itself_and_no_other():
    damaged = [None, 3, [], {}, {"cell_type": "code"}, code(3), code([1]), {"cell_type": 7, "source": ""}, code(None)]
    chapter, ids = chapter_and_ids(*damaged, code(f"def {COUNT.function}(): ...", "hamming-count"), *damaged)
    assert (chapter, ids) == (CHAPTER, ["hamming-count"])


def test_a_source_may_be_a_list_of_lines():
    _, (cell,) = cells_of(notebook([code(["def hamming():\n", "    ..."], "hamming-count")]).encode())
    assert cell == Cell("hamming-count", "def hamming():\n    ...")


def test_half_a_character_in_the_code_does_not_stop_it_from_being_sent():
    _, (cell,) = cells_of(notebook([code("def hamming(): '\ud800'")]).encode())
    assert cell.source == "def hamming(): '?'"


@pytest.mark.parametrize("lost", [None, 7, "", "x" * 65, "a b", "../x", "é"])
def test_where_the_id_is_lost_the_function_finds_the_task(lost):
    cell = code("def hamming(x, y):\n    return 0") | ({} if lost is None else {"id": lost})
    assert chapter_and_ids(code("import torch"), cell) == (CHAPTER, ["cell-1", "hamming-count"])


def test_the_function_finds_the_task_where_the_cell_with_its_id_lacks_it():
    cells = (code("# moved below", "hamming-count"), code("hamming = lambda x, y: 0", "mine"))
    assert chapter_and_ids(*cells)[1] == ["cell-1", "hamming-count"]


@pytest.mark.parametrize("source", ["    def hamming(): ...", "hamming == 3", "def hamming_2(): ...", "'def hamming('"])
def test_what_defines_no_function_at_the_top_is_not_taken_for_it(source):
    assert chapter_and_ids(code(source, "a"), code("x", "hamming-packed"))[1] == ["a", "hamming-packed"]


def test_ids_that_occur_twice_are_told_apart_and_the_one_with_the_function_keeps_it():
    cells = (code("x", "hamming-count"), code("def hamming(): ...", "hamming-count"), code("y", "a"), code("z", "a"))
    ids = chapter_and_ids(*cells)[1]
    assert ids[1] == "hamming-count"
    assert len(set(ids)) == 4


def test_the_chapter_is_the_one_with_most_tasks_whatever_the_metadata_say():
    other = checks.chapter_tasks("manhattan")[0]
    cells = [code("x", t.id.replace(".", "-")) for t in (*TASKS[:2], other)]
    assert chapter_and_ids(*cells, metadata={"embedcourse": {"chapter": "manhattan"}})[0] == CHAPTER


def test_the_metadata_decide_between_equals_and_where_there_is_nothing_else():
    cells = [code("x", t.id.replace(".", "-")) for t in (TASKS[0], checks.chapter_tasks("manhattan")[0])]
    about = {"metadata": {"embedcourse": {"chapter": "manhattan"}}}
    assert chapter_and_ids(*cells, **about)[0] == "manhattan"
    assert chapter_and_ids(code("x = 1"), **about)[0] == "manhattan"


@pytest.mark.parametrize("about", [None, [], {"embedcourse": 3}, {"embedcourse": {"chapter": ["x"]}}])
def test_damaged_metadata_are_passed_over(about):
    assert chapter_and_ids(code("x", "hamming-count"), metadata=about)[0] == CHAPTER


def test_code_is_never_parsed_nor_run(monkeypatch):
    for name in ("eval", "exec", "compile"):
        monkeypatch.setattr(f"builtins.{name}", None)
    nested = "(" * 100_000
    assert chapter_and_ids(code(nested, "hamming-count"), code("1 / 0"))[0] == CHAPTER
    assert "ast" not in vars(submissions)
