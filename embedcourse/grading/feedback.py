"""What a learner reads: a page each, with what every task got and the idea behind a fault. What a teacher reads: one.

Pages are whole files without scripts. Everything in them that a learner may have written is escaped by the templates.
"""

import base64
import hashlib
import io
import re
import statistics
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from embedcourse import course
from embedcourse.checks import chapter_tasks, find_task
from embedcourse.checks.judge import Verdict
from embedcourse.checks.task import Task
from embedcourse.grading.gradebook import Graded, in_order, stem_of
from embedcourse.grading.submissions import cell_id

__all__ = ["feedback_page", "page_names", "summary_page"]

LABELS = {
    "passed": "Passed",
    "missing": "Function not found",
    "unwritten": "Not written yet",
    "raised": "An error",
    "changed": "Changes its input",
    "type": "Wrong type",
    "shape": "Wrong shape",
    "dtype": "Wrong kind of number",
    "device": "Wrong device",
    "value": "Wrong value",
    "gradient": "Wrong gradient",
    "slow": "Too slow",
    "hungry": "Takes too much memory",
    "timeout": "Stopped: it took too long",
    "memory": "Stopped: it took too much memory",
    "crashed": "It ended the Python process",
    "forged": "Refused: not an answer of the function",
}
STOPPED = ("timeout", "memory", "crashed", "forged")

PAGES = Environment(
    loader=PackageLoader("embedcourse.grading"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def feedback_page(records: Iterable[Graded], *, unsafe: bool = False) -> str:
    """The page of one learner, as HTML: a part for each of the learner's submissions.

    unsafe: whether the submissions ran without the sandbox, which the page then says.
    """
    records = in_order(records)
    parts = [part_of(graded) for graded in records]
    page = PAGES.get_template("feedback.html.jinja")
    return page.render(learner=records[0].learner, parts=parts, unsafe=unsafe)


def part_of(graded: Graded) -> dict[str, Any]:
    """What a learner's page says of one submission."""
    tasks = [task_of(verdict, number) for number, verdict in enumerate(graded.verdicts, 1)]
    return {
        "title": title_of(graded.chapter),
        "file": graded.file,
        "problem": graded.problem,
        "points": graded.points,
        "max_points": graded.max_points,
        "passed": sum(verdict.passed for verdict in graded.verdicts),
        "tasks": tasks,
        "next": next_step(tasks),
    }


def title_of(chapter: str | None) -> str:
    """The heading of a chapter's exercise, such as "Exercise 2 · Hamming distance"."""
    if chapter is None:
        return "Your notebook"
    try:
        found = course.find_chapter(chapter)
        return f"Exercise {found.number} · {found.title}"
    except (OSError, ValueError):  # the package can grade without its notebooks
        return f"Exercise · {chapter.replace('_', ' ')}"


def task_of(verdict: Verdict, number: int) -> dict[str, Any]:
    """What a learner's page says of one task."""
    task = find_task(verdict.task)
    words, _, example = verdict.message.partition("\n")
    return {
        "id": task.id,
        "number": number,
        "anchor": cell_id(task.id),
        "title": task.title,
        "function": task.function,
        "points": verdict.points,
        "passed": verdict.passed,
        "label": LABELS.get(verdict.kind, verdict.kind),
        "idea": verdict.misconception,
        "words": words,
        "example": example,
    }


def next_step(tasks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The task to do next: the first with a mix-up that has a name, being nearest to its solution, else the first."""
    wrong = [task for task in tasks if not task["passed"]]
    return min(wrong, key=lambda task: task["idea"] is None, default=None)


MOST_BYTES = 80
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def page_names(learners: Iterable[str]) -> dict[str, str]:
    """The file name of each learner's page: the name where that is safe, else what is safe of it and a digest.

    Names that some file systems take for the same get a digest too, so that no page replaces another.
    """
    learners = list(dict.fromkeys(learners))
    held = Counter(safe(name).casefold() for name in learners)
    return {n: f"{safe(n) if safe(n) == n and held[n.casefold()] == 1 else digested(n)}.html" for n in learners}


def safe(name: str) -> str:
    """What a file name may hold of a learner's name: letters, digits, a few marks; neither too much nor nothing."""
    kept = "".join(c if c.isalnum() or c in " ._-" else "_" for c in unicodedata.normalize("NFC", name))
    kept = kept.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore").strip(" .").lstrip("-")
    return "_" if not kept or RESERVED.fullmatch(kept) else kept


def digested(name: str) -> str:
    """A safe name that no other learner has."""
    return f"{safe(name)}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:10]}"


def summary_page(graded: Iterable[Graded], seed: int, *, unsafe: bool = False) -> str:
    """The page of the class, as HTML: how each task went, the most common wrong ideas, and every learner's points."""
    records = in_order(graded)
    judged = [g for g in records if g.problem is None]
    chapters = sorted({g.chapter for g in judged}, key=stem_of)
    pages = {learner: f"feedback/{quote(page)}" for learner, page in page_names(g.learner for g in records).items()}
    return PAGES.get_template("summary.html.jinja").render(
        unsafe=unsafe,
        seed=seed,
        heading=title_of(chapters[0]) if len(chapters) == 1 else f"{len(chapters)} exercises",
        tiles=tiles(records, judged, pages),
        problems=[asdict(g) | {"page": pages[g.learner]} for g in records if g.problem is not None],
        suspects=suspects(judged, pages),
        parts=[chapter_part(chapter, [g for g in judged if g.chapter == chapter]) for chapter in chapters],
        ideas=common_ideas(judged),
        columns=[*map(short_title, chapters), *(["Total"] if len(chapters) > 1 else [])],
        rows=[row_of(learner, records, chapters, page) for learner, page in pages.items()],
    )


def short_title(chapter: str) -> str:
    """A chapter as the head of a column."""
    return f"{int(stem_of(chapter)[:2])} {chapter.replace('_', ' ')}"


def tiles(records: Sequence[Graded], judged: Sequence[Graded], pages: dict[str, str]) -> list[dict[str, Any]]:
    """The few numbers at the top."""
    shares = [100 * g.points / g.max_points for g in judged]
    found = [("learners", len(pages)), ("notebooks graded", len(judged)), ("not graded", len(records) - len(judged))]
    if shares:
        found.append(("of the points, median", f"{statistics.median(shares):.0f} %"))
        found.append(("with full points", sum(g.points == g.max_points for g in judged)))
    return [{"name": name, "value": value} for name, value in found]


def suspects(judged: Sequence[Graded], pages: dict[str, str]) -> list[dict[str, Any]]:
    """The submissions with tasks that the grader had to stop, or whose answer it refused."""
    stopped = [(g, [v for v in g.verdicts if v.kind in STOPPED]) for g in judged]
    named = [(g, [{"id": v.task, "label": LABELS[v.kind]} for v in found]) for g, found in stopped if found]
    return [{"learner": g.learner, "page": pages[g.learner], "tasks": tasks} for g, tasks in named]


def common_ideas(judged: Sequence[Graded], most: int = 12) -> list[dict[str, Any]]:
    """The known wrong ideas in the class, most common first, each with how many had it of how many."""
    times = Counter((v.task, v.misconception) for g in judged for v in g.verdicts if v.misconception)
    asked = Counter(v.task for g in judged for v in g.verdicts)
    ranked = sorted(times.items(), key=lambda entry: (-entry[1], entry[0]))[:most]
    return [
        {"name": name, "task": task, "title": find_task(task).title, "says": says(find_task(task), name)}
        | {"count": count, "of": asked[task]}
        for (task, name), count in ranked
    ]


def says(task: Task, name: str) -> str:
    """The sentence of a known wrong idea."""
    return next((idea.says for idea in task.misconceptions if idea.name == name), "")


def row_of(learner: str, records: Sequence[Graded], chapters: Sequence[str], page: str) -> dict[str, Any]:
    """A learner's row in the table of the class."""
    own = {g.chapter: g for g in records if g.learner == learner and g.problem is None}
    cells = [f"{own[c].points} / {own[c].max_points}" if c in own else "–" for c in chapters]
    if len(chapters) > 1:
        cells.append(str(sum(g.points for g in own.values())) if own else "–")
    return {"learner": learner, "page": page, "cells": cells}


# ------------------------------------------------------------------------------------------ figures of the summary


def chapter_part(chapter: str, judged: Sequence[Graded]) -> dict[str, Any]:
    """What the summary says of one chapter: its title and two figures."""
    tasks = chapter_tasks(chapter)
    height = 0.7 + 0.72 * len(tasks)
    figures = [figure_of_tasks(tasks, judged, height), figure_of_points(judged, height)]
    return {"title": title_of(chapter), "figures": figures}


#: What came of a task, with the colour and the hatching that stand for it: nothing is told by colour alone.
OUTCOMES = {
    "passed": ("#0072B2", ""),
    "known mix-up": ("#E69F00", "///"),
    "other fault": ("#CC79A7", "..."),
    "not written": ("#DDDDDD", ""),
}


def outcome(verdict: Verdict) -> str:
    """Which of the outcomes a verdict belongs to."""
    if verdict.passed:
        return "passed"
    if verdict.misconception:
        return "known mix-up"
    return "not written" if verdict.kind in ("unwritten", "missing") else "other fault"


def figure_of_tasks(tasks: Sequence[Task], judged: Sequence[Graded], height: float) -> dict[str, str]:
    """A bar a task, divided by what came of it."""
    counts = {t.id: Counter(outcome(v) for g in judged for v in g.verdicts if v.task == t.id) for t in tasks}
    figure = Figure(figsize=(5, height), layout="constrained")
    axes = figure.add_subplot()
    for row, task in enumerate(tasks):
        stacked_bar(axes, row, counts[task.id])
        title = textwrap.shorten(f"{row + 1} · {task.title}", 52, placeholder=" …")
        axes.text(0, row - 0.3, title, va="bottom", fontsize=10.5)
    axes.set(xlim=(0, max(len(judged), 1)), ylim=(len(tasks) - 0.7, -0.72), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    handles = [axes.barh(0, 0, color=c, hatch=h, edgecolor="white", label=name) for name, (c, h) in OUTCOMES.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    said = (f"{t.title}: {', '.join(f'{counts[t.id][o]} {o}' for o in OUTCOMES if counts[t.id][o])}" for t in tasks)
    return {"source": svg(figure), "title": "What came of each task", "text": f"{'; '.join(said)}."}


def stacked_bar(axes: Axes, row: int, counts: Counter[str]) -> None:
    """One bar, its pieces labelled with their counts where there is room."""
    left, whole = 0, sum(counts.values())
    for name, (colour, hatch) in OUTCOMES.items():
        count = counts[name]
        if count:
            axes.barh(row, count, 0.42, left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.8)
        if count >= 0.06 * whole and count:
            box = {"boxstyle": "round,pad=0.15", "facecolor": colour, "edgecolor": "none"}
            ink = "white" if name == "passed" else "black"
            axes.text(left + count / 2, row, count, ha="center", va="center", fontsize=10, color=ink, bbox=box)
        left += count


def figure_of_points(judged: Sequence[Graded], height: float) -> dict[str, str]:
    """How many learners got how many points."""
    points = [g.points for g in judged]
    times, most = Counter(points), judged[0].max_points
    median = statistics.median(points)
    figure = Figure(figsize=(5, height), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(range(most + 1), [times[p] for p in range(most + 1)], 0.85, color="#0072B2")
    axes.axvline(median, color="#1b2430", linestyle="--", linewidth=1.5)
    place = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom"}
    axes.annotate(f"median {median:g}", (median, 1.01), fontsize=10.5, **place)
    axes.set_xlabel(f"points, of {most}", fontsize=10.5)
    axes.set_ylabel("learners", fontsize=10.5)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlim(-0.6, most + 0.6)
    axes.spines[["top", "right"]].set_visible(False)
    said = ", ".join(f"{times[p]} with {p}" for p in range(most + 1) if times[p])
    text = f"{said} points of {most}; the median is {median:g}."
    return {"source": svg(figure), "title": "How many learners got how many points", "text": text}


def svg(figure: Figure) -> str:
    """A figure as the address of an embedded SVG, the same bytes for the same picture."""
    picture = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "embedcourse", "svg.fonttype": "path", "hatch.linewidth": 0.8}):
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.getvalue()).decode()}"
