"""The worker: which statements of a notebook run, and what it makes of a notebook that is damaged."""

import json
import sys
import types

import pytest

from embedcourse import course
from embedcourse.checks import chapter_tasks
from embedcourse.checks.registry import modules
from embedcourse.grading.worker import Closed, Notebook, Unit, main, needed, units_of


def chosen(*cells: str, names: tuple[str, ...] = ("f",)) -> list[str]:
    """The first lines of the statements that run."""
    units = [unit for i, source in enumerate(cells) for unit in units_of(i, source)]
    lines = [source.split("\n") for source in cells]
    return [lines[unit.cell][unit.nodes[0].lineno - 1].strip() for unit in needed(units, names)]


def notebook_of(*cells: str, names: tuple[str, ...] = ("f",)) -> Notebook:
    """A notebook whose cells have run."""
    notebook, units = Notebook(), []
    for i, source in enumerate(cells):
        units += units_of(i, source)
    for i, source in enumerate(cells):
        notebook.run(i, f"cell {i}", source, [unit for unit in needed(units, names) if unit.cell == i])
    return notebook


def test_what_a_function_uses_runs_and_what_only_shows_does_not():
    cells = (
        "import math\nimport json\nfrom os import path",
        "def f(x):\n    return g(x) + LIMIT",
        "def g(x):\n    return math.floor(x)\n\nLIMIT = 3\nOTHER = 4",
        "for i in range(10**9):\n    print(f(i))",
        "y = f(2)\nprint(y)",
    )
    assert chosen(*cells) == ["import math", "def f(x):", "def g(x):", "LIMIT = 3"]


def test_a_parameter_is_not_the_variable_of_its_name():
    assert chosen("z = slow()", "def f(z):\n    return [z for q in z]", "q = slow()") == ["def f(z):"]


def test_all_that_a_name_was_goes_with_it():
    cells = ("def f(): return 1", "f = cached(f)", "def cached(g): return g")
    assert chosen(*cells) == ["def f(): return 1", "f = cached(f)", "def cached(g): return g"]


def test_what_is_defined_again_before_it_is_used_does_not_run():
    loop = "for g in slow(): print(g)"
    again = "def g(): return 1"
    assert chosen(loop, "check('a.b', f)", again, "def f(): return g()") == [
        "check('a.b', f)",
        again,
        "def f(): return g()",
    ]
    assert loop in chosen(loop, "k = g", again, "def f(): return g(), k")
    assert loop in chosen(loop, "@g\ndef g(): return 1", "def f(): return g()")
    assert loop in chosen(loop, "def g(x=g): return 1", "def f(): return g()")
    assert loop in chosen(loop, "if f: g = 1", "def f(): return g()")
    assert loop in chosen(again, loop, "def f(): return g()")


@pytest.mark.parametrize(
    "change",
    ["t.append(1)", "t[0] = 1", "t.x.y = 1", "fill(t)", "del t[0]", "t += [1]", "for i in (1, 2): t.append(i)"],
)
def test_what_changes_a_needed_object_runs(change):
    assert change in chosen("t = []", change, "u = []\nu.append(1)", "def f(): return t")
    assert len(chosen("t = []", change, "u = []\nu.append(1)", "def f(): return t")) == 3


@pytest.mark.parametrize("shown", ["print(t)", "display(t)", "t.manual_seed(0)", "t", "u.append(g(t))", "v = len(t)"])
def test_what_changes_nothing_does_not_run(shown):
    assert chosen("t = torch", shown, "def f(): return t") == ["t = torch", "def f(): return t"]


def test_names_that_are_made_in_hidden_ways_are_kept():
    hidden = "exec('K = 3')"
    star = "from math import *"
    assert chosen(hidden, star, "globals()['a'] = 1", "x = 1") == [hidden, star, "globals()['a'] = 1"]


def test_a_global_that_a_function_sets_counts():
    assert chosen("def setup():\n    global K\n    K = 3", "def f(): return K")[0] == "def setup():"


def test_calls_of_check_always_run():
    assert chosen("def g(): pass", "check('a.b', g)", "x = 1") == ["def g(): pass", "check('a.b', g)"]


def test_decorators_classes_and_lines_with_several_statements_stay_whole():
    cells = ("@twice\ndef f(x): return x", "a = 1; b = 2", "class C:\n    k = b\ndef twice(g): return C")
    assert chosen(*cells) == ["def f(x): return x", "a = 1; b = 2", "class C:", "def twice(g): return C"]


def test_magics_and_lines_of_the_shell_are_left_out():
    source = "%matplotlib inline\n!pip install x\nx?\nif True:\n    %time y\ndef f(): return 1"
    assert notebook_of(source).function("t", "f")() == 1
    assert notebook_of("%%time\ndef f(): return 2").function("t", "f")() == 2


@pytest.mark.parametrize("source", ["def f(:", "%%bash\nfor i in *; do", "\0", "(" * 500, "\ud800"], ids=ascii)
def test_a_cell_that_is_no_python_says_so(source):
    with pytest.raises((SyntaxError, ValueError, RecursionError, MemoryError)):
        units_of(0, source)


def test_an_empty_cell_is_nothing():
    assert units_of(0, "") == units_of(0, "# only words\n") == []


def test_a_statement_that_fails_costs_only_what_it_defines():
    notebook = notebook_of("a = 1 / 0\ndef f(): return 1", "def g(): return a", names=("f", "g", "a"))
    assert notebook.function("t", "f")() == 1
    assert notebook.errors == {0: "ZeroDivisionError: division by zero"}


@pytest.mark.parametrize("end", ["raise SystemExit", "raise KeyboardInterrupt", "raise GeneratorExit", "exit()"])
def test_no_error_ends_the_notebook(end):
    notebook = notebook_of(f"if f is None:\n    {end}\n", "f = None", "def f(): return 1")
    assert notebook.function("t", "f")() == 1


def test_an_error_whose_words_fail_is_one_all_the_same():
    source = "class E(Exception):\n    def __str__(self): raise self\nf = 1\nif f:\n    f = 2\n    raise E"
    assert notebook_of(source).errors == {0: "an error"}


def test_what_was_given_to_check_is_what_counts():
    notebook = notebook_of("def other(): return 2", "def f(): return 1\ncheck('a.b', other)", "check('a.b', 3)")
    assert notebook.function("a.b", "f")() == 2
    assert notebook.function("a.c", "f")() == 1
    assert notebook.function("a.c", "g") is None


def test_a_name_that_is_no_function_is_none():
    assert notebook_of("f = 3").function("a.b", "f") is None


def test_the_line_of_an_error_can_be_read():
    from embedcourse.checks.answer import ask
    from embedcourse.checks.task import Case

    notebook = notebook_of("def f(x):\n    y = x\n    return y / 0  # here")
    answer = ask(notebook.function("t", "f"), Case("", (1,), 0))
    assert answer.raised.line == "return y / 0  # here"


def test_a_closed_part_says_that_it_is_closed():
    with pytest.raises(ModuleNotFoundError, match=r"embedcourse.losses.secret may not be used in this exercise"):
        Closed().find_spec("embedcourse.losses.secret")
    assert Closed().find_spec("numpy.secret") is None


@pytest.mark.parametrize(("chapter", "module"), modules().items())
def test_no_solution_needs_more_than_torch(chapter, module):
    notebook = json.loads((course.root() / "solutions" / f"{module.removeprefix('ch')}.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    units = [unit for i, source in enumerate(cells) for unit in units_of(i, source)]
    found = needed(units, [task.function for task in chapter_tasks(chapter)])
    assert len(found) < len(units)  # what only shows is left out
    names = {name for unit in found for name in unit.binds}
    assert not names & {"faiss", "plt", "embed", "fit", "show"}


def test_a_unit_binds_what_it_imports_and_defines():
    (unit,) = units_of(3, "import a.b as c, d")
    assert isinstance(unit, Unit)
    assert (unit.cell, set(unit.binds)) == (3, {"c", "d"})


def test_the_worker_hears_its_settings_from_its_command_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["worker.py", "no settings"])
    with pytest.raises(json.JSONDecodeError):
        main()


def test_a_notebook_is_its_own_main_module():
    assert isinstance(Notebook().module, types.ModuleType)
    assert notebook_of("class f: pass").module.f.__module__ == "__main__"
