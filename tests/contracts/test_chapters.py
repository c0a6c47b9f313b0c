"""What every chapter promises its reader, read off the notebooks as they are committed."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from embedcourse import course

CHAPTERS = course.chapters()
BUDGET = {1: 45} | dict.fromkeys(range(2, 8), 20) | dict.fromkeys(range(8, 16), 90)
HEADINGS = (
    "By hand",
    "From the loop to the package",
    "Seen",
    "On real data",
    "Where it breaks",
    "At scale",
    "In this chapter we",
    "Quiz",
    "Exercise",
    "Papers",
)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
COST = re.compile(
    r"\*\*Cost\.\*\* \d+ minutes to read · at most (?P<seconds>\d+) seconds to run on 2 CPU cores · "
    r"needs no GPU and no network\."
)


def path_of(chapter: course.Chapter, folder: str = "chapters") -> Path:
    return course.root() / folder / f"{chapter.stem}.ipynb"


def cells_of(chapter: course.Chapter, folder: str = "chapters") -> list[nbformat.NotebookNode]:
    return nbformat.read(path_of(chapter, folder), as_version=4).cells


def sections(chapter: course.Chapter) -> list[tuple[str, list[nbformat.NotebookNode]]]:
    """The chapter's sections: heading (empty for what stands before the first) and cells."""
    found: list[tuple[str, list]] = [("", [])]
    for cell in cells_of(chapter):
        heading = re.match(r"## (.+)", cell.source) if cell.cell_type == "markdown" else None
        if heading:
            found.append((heading[1], []))
        found[-1][1].append(cell)
    return found


def section(chapter: course.Chapter, start: str) -> str:
    """The text of the section whose heading starts with some words."""
    cells = next(cells for heading, cells in sections(chapter) if heading.startswith(start))
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@each_chapter
def test_it_opens_with_title_promise_and_cost(chapter):
    first, second = cells_of(chapter)[:2]
    assert first.source.startswith(f"# {chapter.number} · ")
    assert "\n\n**Promise.** " in first.source
    cost = COST.search(first.source)
    assert cost, "no cost line in the agreed form"
    assert int(cost["seconds"]) == BUDGET[chapter.number]
    assert second.cell_type == "code"


@each_chapter
def test_its_headings_stand_in_order(chapter):
    headings = [heading for heading, _ in sections(chapter)]
    for cell in cells_of(chapter):
        if cell.cell_type == "markdown":
            assert len(re.findall(r"^## ", cell.source, re.MULTILINE)) <= 1, (
                f"two sections in a cell: {cell.source[:60]}"
            )
    at = -1
    for wanted in HEADINGS:
        at = next((i for i in range(at + 1, len(headings)) if headings[i].startswith(wanted)), None)
        assert at is not None, f"no section {wanted!r} in its place among {headings}"


@each_chapter
def test_the_picture_that_carries_it_comes_early(chapter):
    early = [cell for _, cells in sections(chapter)[:3] for cell in cells]
    assert any("image/png" in output.get("data", {}) for cell in early for output in cell.get("outputs", []))


@each_chapter
def test_every_figure_has_a_caption_and_they_are_numbered(chapter):
    numbers = []
    for cell in cells_of(chapter):
        outputs = cell.get("outputs", [])
        for picture, below in zip(outputs, [*outputs[1:], {}], strict=False):  # no outputs, no pairs
            if "image/png" not in picture.get("data", {}):
                continue
            caption = re.match(r"\*\*Figure (\d+)\.(\d+)\.\*\* (.+)", below.get("data", {}).get("text/markdown", ""))
            assert caption, f"a picture without a caption in the cell:\n{cell.source}"
            assert picture["metadata"]["image/png"]["alt"] == caption[3]
            numbers.append((int(caption[1]), int(caption[2])))
    assert numbers == [(chapter.number, i + 1) for i in range(len(numbers))]
    assert numbers


@each_chapter
def test_it_is_committed_run_without_errors_and_small(chapter):
    cells = [cell for cell in cells_of(chapter) if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {(o.output_type, o.get("name")) for cell in cells for o in cell.outputs}
    assert not {kind for kind in kinds if kind[0] == "error" or kind[1] == "stderr"}
    assert path_of(chapter).stat().st_size <= 1_500_000


@each_chapter
def test_it_asserts_and_asks_and_moves(chapter):
    code = "\n".join(cell.source for cell in cells_of(chapter) if cell.cell_type == "code")
    text = "\n".join(cell.source for cell in cells_of(chapter) if cell.cell_type == "markdown")
    assert len([n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Assert)]) >= 5
    assert "explore(" in code
    assert "**Predict first.**" in text
    assert text.count("**Try it.**") >= 2


@each_chapter
def test_the_quiz_has_three_questions_and_explains_every_option(chapter):
    questions = re.split(r"\*\*Question \d\.\*\*", section(chapter, "Quiz"))[1:]
    assert len(questions) == 3
    for question in questions:
        options = re.findall(r"<details>\s*<summary>([A-Z]) · (.+?)</summary>(.+?)</details>", question, re.DOTALL)
        assert [letter for letter, _, _ in options] == [chr(65 + i) for i in range(len(options))]
        assert len(options) >= 3
        assert all(len(why.split()) >= 5 for _, _, why in options)
        assert sum(why.strip().startswith("Right.") for _, _, why in options) == 1


@each_chapter
def test_it_leads_to_its_exercise_and_to_papers(chapter):
    link = re.search(r"\]\((\.\./exercises/[\w.]+)\)", section(chapter, "Exercise"))
    assert link
    assert (path_of(chapter).parent / link[1]).resolve() == path_of(chapter, "exercises").resolve()
    papers = [line for line in section(chapter, "Papers").splitlines() if line.startswith("- ")]
    assert len(papers) >= 2
    assert any(re.search(r"[Ss]ection|Eq\.|[Cc]hapter|§", paper) for paper in papers)


@each_chapter
def test_links_to_files_are_alive(chapter):
    for folder in ("chapters", "solutions", "exercises"):
        path = path_of(chapter, folder)
        text = "\n".join(cell.source for cell in cells_of(chapter, folder) if cell.cell_type == "markdown")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (path.parent / target).exists(), f"{path.name}: {target} leads nowhere"


@each_chapter
def test_each_section_needs_only_the_first_cell(chapter, tmp_path):
    first = next(cell.source for cell in cells_of(chapter) if cell.cell_type == "code")
    for i, (_, cells) in enumerate(sections(chapter)):
        code = [cell.source for cell in cells if cell.cell_type == "code" and cell.source != first]
        (tmp_path / f"section_{i}.py").write_text("\n\n".join([first, *code]), encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


NUMBER = re.compile(r"(?<![\w.,])\d+(?:\.\d+|(?=\s?%))")
NOT_PROSE = re.compile(
    r"\$\$.*?\$\$|\$[^$]*\$|```.*?```|`[^`]*`|\]\([^)]*\)|arXiv:[\d.]+|^#+ .*?$", re.DOTALL | re.MULTILINE
)


@each_chapter
def test_numbers_in_prose_come_from_a_cell(chapter):
    outputs = json.dumps([cell.outputs for cell in cells_of(chapter) if cell.cell_type == "code"])
    for heading, cells in sections(chapter):
        if heading == "Papers":
            continue
        for cell in cells:
            if cell.cell_type == "markdown":
                numbers = NUMBER.findall(NOT_PROSE.sub(" ", cell.source))
                unseen = [n for n in numbers if n not in outputs]
                assert not unseen, f"{unseen} in no output of the notebook:\n{cell.source}"


@each_chapter
def test_it_keeps_its_budget_on_the_machine_that_made_it(chapter):
    results = json.loads((course.root() / "benchmarks" / "results" / "chapters.json").read_text())
    assert results[chapter.stem]["cpu_cores"] <= 2
    assert results[chapter.stem]["seconds"] <= BUDGET[chapter.number]
