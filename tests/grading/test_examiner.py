"""The examiner: honest work gets what it gets in self-study, nothing else gets anything, one task costs one task."""

import json
import secrets
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from embedcourse import course
from embedcourse.checks import chapter_tasks
from embedcourse.checks.answer import Answer, Raised
from embedcourse.checks.judge import Verdict, examine
from embedcourse.checks.registry import modules
from embedcourse.grading import examiner, wire
from embedcourse.grading.box import Box, BoxLost, Limits, NoBox
from embedcourse.grading.examiner import answer_of, examine_submission, raised_of
from embedcourse.grading.submissions import Cell

from .boxed import gone, needs_box, processes

SEED = 20260101
QUICK = Limits(seconds=60, task_seconds=1.0, cell_seconds=1.0)
IMPORTS = Cell("imports", "import torch\nfrom embedcourse.checks import check")
TASKS = {task.id.split(".")[1]: task for task in chapter_tasks("hamming")}


def solution(stem: str) -> list[Cell]:
    """The code cells of a solution."""
    notebook = json.loads((course.root() / "solutions" / f"{stem}.ipynb").read_text(encoding="utf-8"))
    return [Cell(c["id"], "".join(c["source"])) for c in notebook["cells"] if c["cell_type"] == "code"]


RIGHT = {cell.id: cell for cell in solution("02_hamming") if cell.id.startswith("hamming-")}


def submission(**changed: str) -> list[Cell]:
    """The solution of chapter 2 with other code in the cells of some tasks."""
    other = {f"hamming-{name}": Cell(f"hamming-{name}", source) for name, source in changed.items()}
    return [IMPORTS, *(other.get(name, cell) for name, cell in RIGHT.items())]


def kinds(cells: list[Cell], limits: Limits = QUICK) -> dict[str, str]:
    """What each task of a submission of chapter 2 got, but for those that passed."""
    verdicts = examine_submission("hamming", cells, SEED, limits)
    assert [v.task for v in verdicts] == [task.id for task in TASKS.values()]
    assert [v.points for v in verdicts] == [task.points for task in TASKS.values()]
    return {v.task.split(".")[1]: v.kind for v in verdicts if not v.passed}


# ------------------------------------------------------------------------------------------------- honest work


@needs_box
@pytest.mark.parametrize(("chapter", "module"), modules().items())
def test_a_solution_gets_full_marks(chapter, module):
    verdicts = examine_submission(chapter, solution(module.removeprefix("ch")), SEED)
    assert [v.message for v in verdicts if not v.passed] == []
    assert [v.task for v in verdicts] == [task.id for task in chapter_tasks(chapter)]
    assert [v.message for v in verdicts] == [task.why for task in chapter_tasks(chapter)]


WRONG = [
    {
        "count": "def hamming(x, y):\n    return (x != y).double().mean(-1) if torch.is_tensor(x) else "
        "sum(a != b for a, b in zip(x, y, strict=True))",
        "binarize": "def binarize(z, corpus):\n    return z > 0",
        "packed": "def packed_distance(x, y):\n    return (x[:, None] != y).sum(-1)",
        "search": "def search(query, corpus, k, candidates):\n    return (corpus @ query).argsort(descending=True)[:k]",
        "recall": "def recall(found, true):\n"
        "    return (true[:, :, None] == found[:, None, :]).any(-1).any(-1).double().mean().item()",
        "choose": "def choose(methods, wanted, vectors, memory):\n    return min(methods, key=lambda m: m[3])[0]",
    },
    {
        "count": "def hamming(x, y):\n    return sum(a != b for a, b in zip(x, y))",
        "binarize": "def binarize(z, corpus):\n    return (z > corpus.mean(0)).numpy()",
        "packed": "def packed_distance(x, y):\n    x ^= x\n    return x",
        "search": "def search(query, corpus, k, candidates):\n    return torch.topk(corpus @ query, k)",
        "recall": "def recall(found, true):\n    return {1, 2}",
        "choose": "def choose(methods, wanted, vectors, memory):\n    raise NotImplementedError()",
    },
    {
        "count": "def hamming(x, y):\n    return 10 ** 400",
        "binarize": "def binarize(z, corpus):\n    return z > corpus.nowhere",
        "packed": "def packed_distance(x, y):\n    pass",
        "search": "def search(query):\n    return query",
        "recall": "def recall(found, true):\n    return torch.tensor(0.5)",
        "choose": "def choose(methods, wanted, vectors, memory):\n    return [methods[0][0]]",
    },
]


IDEAS = ["fraction", "zero as threshold", "bytes instead of bits", "floats only", "at least one", "recall ignored"]


@pytest.mark.parametrize("sandbox", [pytest.param(True, marks=needs_box), False], ids=["boxed", "unboxed"])
def test_misconceptions_are_named(sandbox):
    verdicts = examine_submission("hamming", submission(**WRONG[0]), SEED, sandbox=sandbox)
    assert [v.misconception for v in verdicts] == IDEAS
    for verdict in verdicts:
        task = TASKS[verdict.task.split(".")[1]]
        says = {m.name: m.says for m in task.misconceptions}
        assert verdict.message.startswith(says[verdict.misconception])


@needs_box
@pytest.mark.parametrize("wrong", WRONG, ids=["ideas", "types", "slips"])
def test_a_wrong_answer_is_told_in_the_words_of_self_study(wrong):
    verdicts = examine_submission("hamming", submission(**wrong), SEED)
    for verdict, (name, source) in zip(verdicts, wrong.items(), strict=True):
        namespace: dict = {"torch": torch}
        file = Path(f"<cell hamming-{name}>")
        exec(compile(source, str(file), "exec"), namespace)
        if "10 ** 400" in source:  # a number that no reply carries; self-study calls it a wrong value
            assert (verdict.kind, "very large int" in verdict.message) == ("type", True) or verdict.kind == "raised"
            continue
        expected = examine(TASKS[name], namespace[TASKS[name].function], SEED)
        told = verdict.message.replace(f", at the line: {line_of(verdict)}", "")
        assert (verdict.kind, verdict.misconception, verdict.regime) == (
            *(expected.kind, expected.misconception, expected.regime),
        ), name
        assert told == expected.message


def line_of(verdict: Verdict) -> str:
    """The line that a verdict quotes: in this test, self-study has no notebook to quote from."""
    return verdict.message.rpartition(", at the line: ")[2] if ", at the line: " in verdict.message else "-"


@needs_box
def test_damaged_missing_and_renamed_cost_their_own_task_only():
    cells = submission(
        count="def hamming(x, y:\n    this is no Python",
        binarize="# deleted",
        packed=RIGHT["hamming-packed"].source.replace("packed_distance", "my_distance"),
        search="k = 1 / 0\n" + "def other(): pass",
    )
    cells = [Cell(f"lost its id {i}", cell.source) for i, cell in enumerate(cells)]
    assert kinds(cells) == {"count": "missing", "binarize": "missing", "search": "missing"}


@needs_box
def test_a_missing_function_is_told_with_the_error_of_its_cell():
    count, binarize, *_ = examine_submission(
        "hamming", submission(count="def hamming(x, y:", binarize="binarize = 1 / 0"), SEED, QUICK
    )
    assert count.message.startswith("There is no function hamming to check: its cell is missing, or stopped before")
    assert "\nThe cell ended in SyntaxError: " in count.message
    assert binarize.message.endswith("\nThe cell ended in ZeroDivisionError: division by zero")


@needs_box
def test_a_part_of_the_package_that_solves_the_task_is_closed():
    source = "def hamming(x, y):\n    from embedcourse.distances import hamming as solved\n    return solved(x, y)"
    count = examine_submission("hamming", submission(count=source), SEED, QUICK)[0]
    assert count.kind == "raised"
    assert "embedcourse.distances may not be used in this exercise" in count.message


@needs_box
def test_the_same_submission_gets_the_same_verdicts():
    # The order of a set is the same each time, and an address is not shown; where in a set an address stands is chance.
    wrong = submission(count="def hamming(x, y):\n    return [*{'a', 'b', 'c', 'd', 'e'}, str(object())]", **{})
    assert examine_submission("hamming", wrong, SEED) == examine_submission("hamming", wrong, SEED)


# ----------------------------------------------------------------------------------------------- hostile work


@needs_box
def test_each_task_that_misbehaves_costs_itself_alone():
    cells = submission(
        binarize="def binarize(z, corpus):\n    import os\n    os._exit(0)",
        search="def search(*_):\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass",
        recall="def recall(*_):\n    return bytearray(10**11)",
    )
    assert kinds(cells) == {"binarize": "crashed", "search": "timeout", "recall": "memory"}


@needs_box
def test_cells_that_misbehave_cost_what_they_define():
    cells = submission(
        count="import os\nhamming = os._exit(0)",
        packed="packed_distance = all(True for _ in iter(int, 1))",
        recall="def recall(x, y): return 0\nrecall = bytearray(10**11)",
    )
    assert kinds(cells) == {"count": "crashed", "packed": "timeout", "recall": "value"}


FORGERIES = {
    "garbage": "os.write({fd}, b'x' * 1000)",
    "a pickle": "os.write({fd}, (5).to_bytes(8) + b'\\x80\\x04K\\x01.')",
    "a reply to nothing": "os.write({fd}, frame(dict(word='0' * 16, case=0, value=1)))",
    "a closed line": "os.close({fd})",
}
FORGED = """
import os, sys
from embedcourse.grading import wire
line = next(fd for fd in range(3, 200) if os.path.exists(f"/proc/self/fd/{fd}")
            and os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"))
def frame(value):
    data = wire.pack(value)
    return len(data).to_bytes(8) + data
def hamming(x, y):
    FORGERY
"""


@needs_box
@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_messages_get_nothing(forgery):
    source = FORGED.replace("FORGERY", forgery.format(fd="line"))
    assert kinds(submission(count=source)) == {"count": "crashed" if "close" in forgery else "forged"}


@needs_box
def test_forged_answers_are_only_answers():
    source = """
from embedcourse.checks import answer
def all_right(*_, **__):
    return answer.Answer(value=1.0, seconds=0.0)
def recall(found, true):
    answer.ask = all_right
    return 1.0
"""
    assert set(kinds(submission(recall=source))) == {"recall", "choose"}


@needs_box
def test_lies_about_equality_time_and_type_are_not_heard():
    cells = submission(
        count="class Liar(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
        "def hamming(x, y): return Liar(99)",
        binarize="class Liar(torch.Tensor):\n    @classmethod\n"
        "    def __torch_function__(cls, func, types, args=(), kwargs=None): return True\n"
        "def binarize(z, corpus): return torch.zeros(z.shape).as_subclass(Liar)",
        packed="import time\ntime.perf_counter = lambda: 0.0\n"
        "def packed_distance(x, y):\n    if len(x) * len(y) > 10_000:\n        n = 0\n"
        "        for _ in range(10**9): n += 1\n"
        "    ones = torch.tensor([b.bit_count() for b in range(256)])\n"
        "    return ones[(x[:, None] ^ y).long()].sum(-1)",
    )
    assert kinds(cells) == {"count": "raised", "binarize": "type", "packed": "slow"}


BLIND = """
import torch
from embedcourse.memory import LargestTensor
def blind(self, func, types, args=(), kwargs=None):
    return func(*args, **(kwargs or {}))
def pairwise(x, y):
    LargestTensor.__torch_dispatch__ = blind
    return (x[:, None] - y).abs().sum(-1)
"""


@needs_box
def test_memory_is_seen_from_outside_where_the_watch_inside_is_blinded():
    task = next(task for task in chapter_tasks("manhattan") if task.id == "manhattan.pairwise")
    with examiner.Sitting("manhattan", [Cell("manhattan-pairwise", BLIND)], Limits(), True) as sitting:
        first, again = sitting.verdict(task, SEED), sitting.verdict(task, SEED)
    assert (first.kind, first) == ("hungry", again)
    assert "many times the 20 MB that are plenty" in first.message


@needs_box
def test_a_giant_answer_is_refused_and_kept_out_of_the_judge():
    source = "def recall(found, true):\n    return torch.zeros(100_000_000, dtype=torch.uint8)"
    recall = examine_submission("hamming", submission(recall=source), SEED)[4]
    assert recall.kind == "type"
    assert "too large to hand over" in recall.message


@needs_box
def test_a_thread_that_is_left_behind_cannot_hurt_the_next_task():
    source = """
import os, threading, time
def bomb():
    time.sleep(0.05)
    os._exit(0)
def search(query, corpus, k, candidates):
    threading.Thread(target=bomb, daemon=True).start()
    time.sleep(0.03)
    return 0
"""
    assert set(kinds(submission(search=source))) == {"search"}


@needs_box
def test_time_in_all_is_limited():
    endless = {name: f"def {task.function}(*_):\n    while True: pass" for name, task in TASKS.items()}
    limits = Limits(seconds=2.5, task_seconds=1.5)
    verdicts = examine_submission("hamming", submission(**endless), SEED, limits)
    assert {v.kind for v in verdicts} == {"timeout"}
    assert verdicts[-1].message == "A notebook has 2.5 s in all, and this one had used them up."


@needs_box
def test_nothing_is_left_when_the_judge_is_interrupted(monkeypatch):
    left = []

    def interrupted(self, *_):
        left.extend(processes(self.box))
        raise KeyboardInterrupt

    monkeypatch.setattr(examiner.Sitting, "answers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        examine_submission("hamming", submission(), SEED)
    assert len(left) >= 2
    assert all(map(gone, left))


@needs_box
def test_the_seed_is_not_inside():
    source = f"""
import gc
def recall(found, true):
    wanted = "{str(SEED)[::-1]}"[::-1]
    held = [repr(o) for o in gc.get_objects() if type(o) in (dict, list, tuple) and len(o) < 50]
    held += [open(f"/proc/self/{{name}}").read() for name in ("cmdline", "stat")]
    return wanted if any(wanted in text for text in held) else "nothing"
"""
    recall = examine_submission("hamming", submission(recall=source), SEED)[4]
    assert recall.message.endswith("yours gave 'nothing'.")


def test_the_numbers_that_calls_start_from_do_not_tell_the_seed():
    starts = {seed for _, seed in wire.unpack(examiner.small_cases(TASKS["count"], SEED))}
    assert len(starts) == len(TASKS["count"].regimes)
    assert not starts & {case.seed for case in TASKS["count"].cases(SEED)}


# --------------------------------------------------------------------------------------------- without the box


def test_a_box_that_cannot_be_started_is_nobodys_fault(monkeypatch):
    def broken(self):
        raise NoBox("no box here")

    monkeypatch.setattr(Box, "await_start", broken)
    with pytest.raises(NoBox, match="no box here"):
        examine_submission("hamming", submission(), SEED)


def test_an_unknown_chapter_is_told():
    with pytest.raises(ValueError, match="'hammering' has no tasks"):
        examine_submission("hammering", [], SEED)


def test_without_the_sandbox_a_task_costs_itself_alone_too():
    cells = submission(recall="def recall(*_):\n    import os\n    os._exit(0)")
    verdicts = examine_submission("hamming", cells, SEED, QUICK, sandbox=False)
    assert [v.task for v in verdicts if not v.passed] == ["hamming.recall"]
    assert verdicts[4].kind == "crashed"


GOOD = {"case": 1, "value": 2, "raised": None, "gradients": (), "changed": [], "seconds": 0.5, "largest_bytes": 3}


def test_an_answer_is_read():
    assert answer_of(GOOD, 1, TASKS["count"]) == Answer(2, None, (), (), 0.5, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"case": 0}, {"gradients": None}, {"gradients": (1,)}, {"gradients": (torch.ones(1),)}, {"changed": [99]}),
        *({"changed": ["a"]}, {"seconds": "soon"}, {"largest_bytes": None}, {"raised": "E"}, {"raised": [[], "", ""]}),
        {"raised": [["E"], "", 3]},
    ],
    ids=str,
)
def test_an_answer_of_another_form_is_forged(wrong):
    with pytest.raises(BoxLost, match=r"another form|not as many gradients"):
        answer_of(GOOD | wrong, 1, TASKS["count"])


def test_an_error_is_read_without_addresses():
    error = raised_of([["E", "Exception"], "<object at 0x7f00aa11bb22>", "f()"])
    assert error == Raised(("E", "Exception"), "<object at 0x…>", "f()")


def test_an_answer_that_no_comparison_takes_is_forged(monkeypatch):
    def failing(*_):
        raise OverflowError

    monkeypatch.setattr(examiner, "judge", failing)
    with pytest.raises(BoxLost, match="cannot be compared"):
        examiner.judged(examiner.exam_of(TASKS["choose"], secrets.randbits(16)), [])


@pytest.mark.parametrize(
    ("expected", "got", "passes"),
    [
        (torch.arange(1000.0), torch.arange(1000.0) * 1.001, True),
        (torch.arange(1000), torch.arange(1000).index_fill(0, torch.arange(40), -1), True),
        (torch.arange(1000), torch.arange(1000).index_fill(0, torch.arange(60), -1), False),
        (torch.arange(1000), torch.zeros(1000, dtype=torch.long), False),
        (torch.ones(5), torch.ones(4), False),
        (torch.ones(5), None, False),
        (torch.ones(5), torch.full((5,), torch.nan), False),
        (0.5, 0.51, True),
        (0.5, 0.9, False),
    ],
)
def test_a_large_answer_may_differ_by_a_few_ties_and_by_rounding(expected, got, passes):
    task = TASKS["packed"]
    verdict = examiner.right_at_size(task, task.large_case(0), Answer(expected), Answer(got))
    assert verdict.passed == passes
    assert passes or verdict.message.startswith("Right on small inputs, but not on a large one: packed_distance(")


def test_the_loading_of_a_few_boxes_is_given_and_no_more(monkeypatch):
    monkeypatch.setattr(examiner.Sitting, "run_cells", lambda self: self.end())
    monkeypatch.setattr(examiner, "open_box", SlowBox)
    with examiner.Sitting("hamming", [], Limits(seconds=0.2), True) as sitting, pytest.raises(BoxLost, match="late"):
        sitting.ready()
    assert examiner.FREE < sitting.built <= examiner.FREE + 3


def test_what_the_judge_computes_is_not_the_learners_time(monkeypatch):
    clock, cases = [0.0], examiner.small_cases

    def slowly(task, seed):
        clock[0] += 1000
        return cases(task, seed)

    monkeypatch.setattr(examiner, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(examiner, "small_cases", slowly)
    verdicts = examine_submission("hamming", solution("02_hamming"), SEED)
    assert [v.message for v in verdicts if not v.passed] == []
    assert clock[0] == 1000 * len(verdicts)


class SlowBox:
    """A box that takes its time to load, and does nothing else."""

    def __init__(self, *_, **__):
        pass

    def await_start(self):
        time.sleep(0.1)

    def loaded(self):
        return 0

    def close(self):
        pass
