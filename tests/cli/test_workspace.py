"""my_work/ is filled and never overwritten; a reset keeps what was there."""

import json
import re
from pathlib import Path

import pytest

from embedcourse import course
from embedcourse.cli import workspace


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.ipynb")}


def update(root: Path, name: str) -> None:
    """What a pull of a newer course does to one file."""
    (root / name).write_text('{"newer": true}')


@pytest.fixture
def first(stems: list[str]) -> str:
    return f"exercises/{stems[0]}.ipynb"


def test_start_copies_chapters_and_exercises_side_by_side(small_course, command, stems):
    ended = command("start")
    expected = {f"{folder}/{stem}.ipynb" for folder in ("chapters", "exercises") for stem in stems}
    copies = contents(small_course / "my_work")
    assert (ended.code, ended.err) == (0, "")
    assert copies.keys() == expected
    assert all(copies[name] == (small_course / name).read_bytes() for name in expected)
    assert ended.out == f"my_work: {len(expected)} notebooks copied, 0 left as they are.\n"


def test_start_of_one_chapter(small_course, command, stems):
    assert command("start", stems[-1]).code == 0
    assert contents(small_course / "my_work").keys() == {f"chapters/{stems[-1]}.ipynb", f"exercises/{stems[-1]}.ipynb"}


def test_start_again_overwrites_nothing(small_course, command, first):
    command("start")
    mine = small_course / "my_work" / first
    mine.write_text("my answer")
    ended = command("start")
    assert mine.read_text() == "my answer"
    assert "0 notebooks copied" in ended.out
    assert "newer" not in ended.out


def test_start_renews_what_nobody_touched(small_course, command, first):
    command("start")
    update(small_course, first)
    ended = command("start")
    assert "took their place" in ended.out
    assert re.findall(r"^  (.*)$", ended.out, re.MULTILINE) == [f"my_work/{first}"]
    assert (small_course / "my_work" / first).read_bytes() == (small_course / first).read_bytes()
    assert "newer" not in command("start").out.lower()


def test_start_names_what_became_newer_and_the_way_to_it(small_course, command, first):
    command("start")
    (small_course / "my_work" / first).write_text("my answer")
    update(small_course, first)
    for _ in range(2):
        ended = command("start")
        assert ended.code == 0
        assert re.findall(r"^  (.*)$", ended.out, re.MULTILINE) == [f"my_work/{first}"]
        assert "embedcourse reset" in ended.out
        assert (small_course / "my_work" / first).read_text() == "my answer"
    command("reset", "--yes", f"my_work/{first}")
    assert "newer" not in command("start").out


def test_an_unchanged_copy_of_unknown_origin_is_known_from_then_on(small_course, command, first):
    command("start")
    (small_course / "my_work" / ".origin.json").unlink()
    assert "newer" not in command("start").out
    (small_course / "my_work" / first).write_text("my answer")
    update(small_course, first)
    assert f"my_work/{first}" in command("start").out


@pytest.mark.parametrize("damaged", ["{", "[1]", "\x00"])
def test_a_damaged_note_of_origins_is_told_and_costs_no_copy(small_course, command, first, damaged):
    command("start")
    (small_course / "my_work" / first).write_text("my answer")
    (small_course / "my_work" / ".origin.json").write_text(damaged)
    ended = command("start")
    assert ended.code == 0
    assert ".origin.json is damaged" in ended.err
    assert ended.err.count("\n") == 1
    assert (small_course / "my_work" / first).read_text() == "my answer"
    assert command("start").err == ""


def test_reset_keeps_the_old_notebook_beside_the_new_one(small_course, command, first):
    command("start")
    mine = small_course / "my_work" / first
    for answer in ("my answer", "my second answer"):
        mine.write_text(answer)
        ended = command("reset", f"my_work/{first}", "--yes")
        assert ended.code == 0
        assert mine.read_bytes() == (small_course / first).read_bytes()
        (name,) = re.findall(r"kept as (\S+)", ended.out)
        assert re.fullmatch(rf"{mine.stem}\.kept-\d{{4}}-\d\d-\d\d-\d{{6}}(-\d+)?\.ipynb", name)
        assert (mine.parent / name).read_text() == answer
    assert len(list(mine.parent.glob("*.kept-*"))) == 2


def test_reset_of_a_chapter_restores_its_notebooks_and_no_other(small_course, command, stems):
    command("start")
    for path in (small_course / "my_work").rglob("*.ipynb"):
        path.write_text("mine")
    assert command("reset", stems[0], "--yes").code == 0
    for path in (small_course / "my_work").rglob("*.ipynb"):
        assert (path.read_text() == "mine") == (path.stem != stems[0])


def test_reset_of_what_is_as_in_the_course_or_gone(small_course, command, first):
    command("start")
    assert "is the course's version already" in command("reset", f"my_work/{first}", "--yes").out
    (small_course / "my_work" / first).unlink()
    assert "copied from the course" in command("reset", f"my_work/{first}", "--yes").out
    assert (small_course / "my_work" / first).exists()
    assert list((small_course / "my_work").rglob("*.kept-*")) == []


def test_reset_asks_only_where_somebody_can_answer(small_course, command, first):
    command("start")
    mine = small_course / "my_work" / first
    mine.write_text("my answer")
    ended = command("reset", f"my_work/{first}")
    assert (ended.code, ended.out) == (2, "")
    assert "say --yes" in ended.err
    assert mine.read_text() == "my answer"


@pytest.mark.parametrize(("answer", "stays"), [(True, False), (False, True)])
def test_reset_asks_about_each_notebook(small_course, command, first, monkeypatch, answer, stays):
    command("start")
    mine = small_course / "my_work" / first
    mine.write_text("my answer")
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda text: asked.append(text) or answer)
    assert command("reset", f"my_work/{first}").code == 0
    assert asked == [f"Start my_work/{first} again? Yours is kept beside it."]
    assert (mine.read_text() == "my answer") == stays


def test_reset_touches_nothing_outside_my_work(small_course, command, first, tmp_path):
    command("start")
    outside = tmp_path / "other.ipynb"
    outside.write_text("theirs")
    (small_course / "my_work" / "link.ipynb").symlink_to(outside)
    (small_course / "my_work" / "notes.ipynb").write_text("notes")
    before = contents(small_course)
    for name in (first, outside, "my_work/../" + first, "my_work/link.ipynb", small_course / first):
        ended = command("reset", name, "--yes")
        assert (ended.code, ended.out) == (2, "")
        assert "is outside" in ended.err
    for name in ("my_work/notes.ipynb", "my_work/exercises/99_none.ipynb", "my_work/.origin.json"):
        ended = command("reset", name, "--yes")
        assert ended.code == 2
        assert "is no notebook of the course" in ended.err
    assert command("reset", "99", "--yes").code == 2
    assert contents(small_course) == before


def test_one_bad_name_leaves_everything_as_it_was(small_course, command, first):
    command("start")
    (small_course / "my_work" / first).write_text("mine")
    assert command("reset", f"my_work/{first}", "99", "--yes").code == 2
    assert (small_course / "my_work" / first).read_text() == "mine"


def test_the_notebook_is_there_at_every_moment_of_a_reset(small_course, command, first, monkeypatch):
    command("start")
    mine = small_course / "my_work" / first
    mine.write_text("my answer")
    states = []
    write = course.write_whole

    def watched(path: Path, data: bytes) -> None:
        write(path, data)
        kept = [p.read_text() for p in mine.parent.glob("*.kept-*")]
        states.append("my answer" in [mine.read_text(), *kept] and mine.exists())

    monkeypatch.setattr(course, "write_whole", watched)
    command("reset", f"my_work/{first}", "--yes")
    assert len(states) == 3
    assert all(states)


def test_my_work_that_cannot_be_written_is_one_line(small_course, command):
    (small_course / "my_work").write_text("a file in the way")
    ended = command("start")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


def test_paths_are_shown_as_one_would_type_them(small_course, monkeypatch, tmp_path):
    assert workspace.shown(small_course / "my_work" / "a.ipynb") == str(Path("my_work") / "a.ipynb")
    monkeypatch.chdir(tmp_path.parent / tmp_path.name / "course" / "chapters")
    assert workspace.shown(small_course / "my_work") == str(small_course / "my_work")


def test_origins_are_hashes_of_what_was_copied(small_course, command):
    import hashlib

    command("start")
    origins = json.loads((small_course / "my_work" / ".origin.json").read_text())
    assert origins == {n: hashlib.sha256(c).hexdigest() for n, c in contents(small_course / "my_work").items()}
