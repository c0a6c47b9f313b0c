"""The two-sided gate: for every task the stub fails, the solution passes, every wrong idea is refused and named."""

import ast
import signal
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from embedcourse import course
from embedcourse.checks import all_tasks, chapter_tasks
from embedcourse.checks.answer import Answer
from embedcourse.checks.judge import Exam, Verdict, exam_of, examine, judge
from embedcourse.checks.registry import modules
from embedcourse.checks.task import Misconception, Task

from .mutants import mutants
from .notebooks import definitions, function_named, run

CHAPTER_OF = {task.id: chapter for chapter in modules() for task in chapter_tasks(chapter)}
#: A task's tests follow each other, so that its exams are drawn once for all of them.
each_task = pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.id, scope="module")

#: Mutants that answer as the solution does on every input that a learner's function may meet, each with the reason.
EQUIVALENT: dict[str, dict[str, str]] = {}


def notebook(folder: str, task: Task) -> Path:
    return course.root() / folder / f"{course.find_chapter(CHAPTER_OF[task.id]).stem}.ipynb"


@each_task
def test_the_stub_is_refused_as_unwritten(task: Task) -> None:
    function = run(definitions(notebook("exercises", task)))[task.function]
    assert examine(task, function, seed=0).kind == "unwritten"


@pytest.fixture(scope="module")
def seeds(request: pytest.FixtureRequest) -> range:
    """As many as --seeds says: few in every test run, many where a check has changed."""
    return range(request.config.getoption("--seeds"))


@each_task
def test_the_solution_passes_whatever_the_seed(task: Task, seeds: range, as_a_user: None) -> None:
    function = run(definitions(notebook("solutions", task)))[task.function]
    verdicts = [unhurried(task, function, seed) for seed in seeds] + [examine(task, function, seed=0)]
    assert [v.message for v in verdicts if not v.passed] == []


def unhurried(task: Task, function: Callable, seed: int) -> Verdict:
    """The verdict without the large input, on which an oracle is slow on purpose."""
    exam = exam_of(task, seed)
    return judge(exam, exam.ask_all(function))


@each_task
def test_the_oracle_passes_and_none_is_no_answer(task: Task) -> None:
    assert unhurried(task, task.oracle, seed=1).passed
    assert not unhurried(task, lambda *_: None, seed=1).passed


@each_task
def test_a_wrong_idea_is_refused_and_named_whatever_the_seed(task: Task, seeds: range, as_a_user: None) -> None:
    exams = (exam_of(task, seed) for seed in seeds[: -(-len(seeds) // 3)])
    seen = {(idea.name, taken_for(exam, idea, answers)) for exam in exams for idea, answers, _ in exam.wrong}
    assert seen == {(idea.name, idea.name) for idea in task.misconceptions}


def taken_for(exam: Exam, idea: Misconception, answers: list[Answer]) -> str | None:
    """The wrong idea that is named when somebody answers as one would who has `idea`."""
    verdict = judge(exam, answers)
    if verdict.passed:
        return f"accepted with seed {exam.seed}"
    right = verdict.misconception == idea.name and verdict.message.startswith(idea.says)
    return idea.name if right else f"{verdict.misconception}, with seed {exam.seed}"


@each_task
def test_mutants_of_the_solution_are_refused(task: Task, as_a_user: None) -> None:
    module = definitions(notebook("solutions", task))
    function = function_named(module, task.function)
    survivors = [name for name, mutant in mutants(function) if survives(task, module, function, mutant)]
    assert sorted(set(survivors)) == sorted(EQUIVALENT.get(task.id, {}))


def survives(task: Task, module: ast.Module, function: ast.FunctionDef, mutant: ast.FunctionDef) -> bool:
    """Whether a mutant passes; one that does not end within ten seconds does not."""
    nodes = [mutant if node is function else node for node in module.body]
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(10)
    try:
        return examine(task, run(ast.Module(nodes, type_ignores=[]))[task.function], seed=0).passed
    except TimeoutError:
        return False
    finally:
        signal.alarm(0)


def out_of_time(*_: object) -> None:
    raise TimeoutError


@each_task
def test_a_task_is_complete(task: Task) -> None:
    assert task.id.split(".")[0].isidentifier()
    assert len(task.regimes) >= 5
    assert len({r.name for r in task.regimes}) == len(task.regimes)
    assert len(task.misconceptions) >= 3
    assert len({m.name for m in task.misconceptions}) == len(task.misconceptions)
    assert all(m.says.endswith(".") and len(m.says) > 20 for m in task.misconceptions)
    assert task.why.endswith(".")
    assert task.points > 0
    assert task.minutes > 0


@each_task
def test_the_notebook_says_what_the_task_says(task: Task) -> None:
    cells = nbformat.read(notebook("solutions", task), as_version=4).cells
    points = "1 point" if task.points == 1 else f"{task.points} points"
    line = f"`{task.id}` · {task.minutes} minutes · {task.difficulty} · {points}"
    texts = [cell.source for cell in cells if cell.cell_type == "markdown" and line in cell.source.splitlines()]
    assert len(texts) == 1, f"no text cell with the line: {line}"
    assert f" · {task.title}\n" in texts[0].splitlines(keepends=True)[0]
    assert texts[0].count("<details>") >= 2, "fewer than two folded hints"


def test_ids_are_unique_and_every_chapter_has_four_to_six_tasks() -> None:
    assert len({task.id for task in all_tasks()}) == len(all_tasks())
    assert {chapter: 4 <= len(chapter_tasks(chapter)) <= 6 for chapter in modules()} == dict.fromkeys(modules(), True)
