"""The house: names that match across rooms, nothing stray, exercises made from solutions."""

import json
import re
import subprocess

import nbformat
import pytest

from embedcourse import authoring, course
from embedcourse.checks.registry import modules

ROOT = course.root()
STEMS = [chapter.stem for chapter in course.chapters()]
NOTEBOOKS = sorted(path for folder in ("chapters", "solutions", "exercises") for path in (ROOT / folder).glob("*"))


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_chapters_are_numbered_without_gaps():
    assert [chapter.number for chapter in course.chapters()] == list(range(1, len(STEMS) + 1))


@pytest.mark.parametrize("folder", ["chapters", "solutions", "exercises"])
def test_every_room_holds_the_same_chapters_and_nothing_else(folder):
    visible = [path.name for path in (ROOT / folder).iterdir() if not path.name.startswith(".")]
    assert sorted(visible) == [f"{stem}.ipynb" for stem in STEMS]


def test_every_chapter_has_checks_of_its_name():
    assert [f"{module.removeprefix('ch')}" for module in modules().values()] == STEMS


def test_every_module_has_a_test_of_its_name():
    modules = [path.relative_to(ROOT / "embedcourse") for path in (ROOT / "embedcourse").rglob("*.py")]
    public = [m for m in modules if not m.name.startswith("_") and not re.fullmatch(r"ch\d\d_\w+\.py", m.name)]
    missing = [str(m) for m in public if not (ROOT / "tests" / m.with_name(f"test_{m.name}")).exists()]
    assert missing == []


def test_no_room_is_called_utils_helpers_or_common():
    names = {part.removesuffix(".py") for name in tracked() for part in name.split("/")}
    assert not names & {"utils", "helpers", "common", "misc", "util"}


@pytest.mark.parametrize("stem", STEMS)
def test_exercises_are_made_from_solutions(stem, tmp_path):
    chapter = course.find_chapter(stem)
    solution = authoring.read(ROOT / "solutions" / f"{stem}.ipynb")
    again = authoring.normalise(authoring.mark_tasks(solution, chapter.name), chapter.name)
    authoring.write(again, tmp_path / "solution.ipynb")
    authoring.write(authoring.exercise_from(again, chapter.name), tmp_path / "exercise.ipynb")
    assert (tmp_path / "solution.ipynb").read_bytes() == (ROOT / "solutions" / f"{stem}.ipynb").read_bytes()
    assert (tmp_path / "exercise.ipynb").read_bytes() == (ROOT / "exercises" / f"{stem}.ipynb").read_bytes()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_notebooks_are_normalised(path, tmp_path):
    notebook = authoring.read(path)
    nbformat.validate(notebook)
    authoring.write(authoring.normalise(notebook, course.find_chapter(path.stem).name), tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes(), "run `make notebooks`"


@pytest.mark.parametrize("stem", STEMS)
def test_exercises_and_solutions_hold_no_outputs(stem):
    for folder in ("solutions", "exercises"):
        cells = authoring.read(ROOT / folder / f"{stem}.ipynb").cells
        assert not any(cell.get("outputs") for cell in cells)


def test_exercises_hold_no_solution():
    for stem in STEMS:
        assert "BEGIN SOLUTION" not in (ROOT / "exercises" / f"{stem}.ipynb").read_text(encoding="utf-8")


MACHINE = re.compile(r"/(?:root|home|Users|tmp|work|var)/[\w.-]+/")


def test_no_file_holds_a_path_of_a_machine():
    texts = (".py", ".md", ".toml", ".yml", ".txt", ".ipynb", ".json", "Makefile", ".ci/run")
    found = [
        name
        for name in tracked()
        if name.endswith(texts) and MACHINE.search((ROOT / name).read_text(encoding="utf-8")) and name != str(HERE)
    ]
    assert found == []


HERE = "tests/contracts/test_house.py"


def test_results_are_json():
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert json.loads(path.read_text())
