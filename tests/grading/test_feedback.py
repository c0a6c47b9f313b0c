"""Pages that a learner cannot break, and that say what is to be said."""

import base64
import re
import xml.etree.ElementTree
from html.parser import HTMLParser

import pytest

from embedcourse.checks import all_tasks, chapter_tasks
from embedcourse.checks.judge import ORDER, Verdict
from embedcourse.grading.feedback import LABELS, feedback_page, page_names, summary_page
from embedcourse.grading.gradebook import Graded

from .handed_in import CHAPTER, HOSTILE, TASKS

VOID = {"meta", "img", "br", "link", "input"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "div", "p", "h1", "h2", "h3", "span", "a"),
    *("ol", "ul", "li", "code", "strong", "small", "bdi", "table", "thead", "tbody", "tr", "th", "td", "br"),
    *("figure", "figcaption", "img", "meter"),
}


class Page(HTMLParser):
    """A page as a browser reads it: tags, attributes, visible text; an error where it is not well formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.open, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, tag: str, name: str) -> list[str]:
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]


def record(learner: str, *verdicts: Verdict, chapter: str = CHAPTER) -> Graded:
    return Graded(learner, f"{learner}.ipynb", chapter, verdicts)


def verdicts(kind: str, message: str = "Words.\nFor example: x", idea: str | None = None) -> list[Verdict]:
    return [Verdict(task.id, task.points, kind, message, idea) for task in TASKS]


def summary(*records: Graded, **options) -> Page:
    return Page(summary_page(records, 5, **options))


# ---------------------------------------------------------------------------------------------- what is escaped


TEXTS = (*HOSTILE, "</style><script>1</script>", "javascript:alert(1)", "' onclick='x", "&lt;b&gt;", "<!--", "]]>")


def hostile_records(text: str) -> tuple[Graded, Graded]:
    """A submission that says a text wherever a learner may say something, and one that could not be graded."""
    bad = [Verdict(t.id, t.points, "raised", f"{text}\n{text}\n{text}", None, text) for t in TASKS]
    return record(text, *bad), Graded(f"{text} 2", text, None, (), text)


def assert_harmless(page: Page, text: str) -> None:
    """No tag, attribute or link on a page is a learner's, and what the learner wrote is shown as it is."""
    assert set(page.tags) <= ALLOWED
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(link.startswith(("#", "feedback/")) for link in page.values("a", "href"))
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.values("img", "src"))
    assert " ".join(text.split()) in page.text


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_that_a_learner_writes_becomes_a_part_of_a_page(text):
    for one in hostile_records(text):
        assert_harmless(Page(feedback_page([one])), text)


def test_nothing_that_any_learner_writes_becomes_a_part_of_the_summary():
    page = summary(*(one for text in TEXTS for one in hostile_records(text)))
    for text in TEXTS:
        assert_harmless(page, text)


@pytest.mark.parametrize("page", [feedback_page([record("a", *verdicts("passed"))]), summary_page([], 5)])
def test_a_page_forbids_scripts_and_everything_from_elsewhere(page):
    (policy,) = [v for v in Page(page).values("meta", "content") if "default-src" in v]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert not re.search(r"https?://", page)


@pytest.mark.parametrize("make", [lambda **o: feedback_page([record("a")], **o), lambda **o: summary_page([], 5, **o)])
def test_every_page_says_when_there_was_no_sandbox(make):
    assert "Graded without the sandbox." in Page(make(unsafe=True)).text
    assert "sandbox" not in Page(make()).text


# ------------------------------------------------------------------------------------------------ file names


@pytest.mark.parametrize("name", ["alice", "José García", "王芳", "o.brien-smith_2", "Ada Lovelace"])
def test_a_decent_name_is_kept(name):
    assert page_names([name]) == {name: f"{name}.html"}


@pytest.mark.parametrize(
    "name", [*HOSTILE, "..", ".", "../../up", "a/b", "a\\b", "NUL", "lpt1.x", " a ", "é" * 200, "\ud800"]
)
def test_a_page_lies_in_its_folder_whatever_its_learner_is_called(name, tmp_path):
    page = page_names([name])[name]
    assert (tmp_path / page).resolve().parent == tmp_path.resolve()
    (tmp_path / page).write_text("x")
    assert not page.startswith((".", "-", " "))
    assert not set(page) & set('/\\:*?"<>|%#\0\x1b')
    assert page.lower().split(".")[0] not in ("con", "nul", "lpt1")
    assert len(page.encode()) <= 120


def test_no_page_replaces_another():
    names = ["alice", "Alice", "a/b", "a\\b", "a_b", "a:b", "x" * 200, "x" * 201, "", " ", "..", "CON", "con"]
    pages = page_names(names)
    assert len({page.casefold() for page in pages.values()}) == len(names)
    assert page_names(names[::-1]) == pages


# ------------------------------------------------------------------------------------------- what a learner reads


def test_every_kind_of_verdict_has_words():
    assert set(LABELS) >= {"passed", "missing", *ORDER, "slow", "hungry", "timeout", "memory", "crashed", "forged"}


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.id)
def test_the_wrong_idea_is_named_in_its_words(task):
    idea = task.misconceptions[0]
    one = Verdict(task.id, task.points, "value", f"{idea.says}\nFor example (x): f(1)", idea.name)
    page = Page(feedback_page([record("alice", one, chapter=task.id.partition(".")[0] and chapter_of(task))]))
    assert " ".join(idea.says.split()) in page.text
    assert f"A known mix-up: {' '.join(idea.name.split())}" in page.text
    assert f"Next: task 1, {task.title}" in page.text.replace(" ,", ",")


def chapter_of(task) -> str:
    from embedcourse.checks.registry import modules

    return next(chapter for chapter in modules() if task in chapter_tasks(chapter))


def test_points_and_passed_tasks_are_told():
    given = verdicts("value")
    given[0] = Verdict(TASKS[0].id, TASKS[0].points, "passed", TASKS[0].why)
    text = Page(feedback_page([record("alice", *given)])).text
    assert "alice" in text
    assert f"2 of {sum(t.points for t in TASKS)} points" in text
    assert f"1 of {len(TASKS)} tasks passed" in text
    assert " ".join(TASKS[0].why.split()) in text
    assert text.count("✗ Wrong value") == len(TASKS) - 1


def test_who_has_everything_hears_it():
    assert "Everything passed." in Page(feedback_page([record("alice", *verdicts("passed"))])).text


def test_who_handed_in_nothing_that_can_be_graded_hears_why():
    page = Page(feedback_page([Graded("alice", "a.ipynb", None, (), "It is empty.")]))
    assert "This notebook could not be graded It is empty. File: a.ipynb" in page.text


def test_a_page_holds_all_chapters_of_a_learner_in_the_order_of_the_course():
    later = chapter_tasks("manhattan")
    records = [
        record("alice", *(Verdict(t.id, t.points, "passed", t.why) for t in later), chapter="manhattan"),
        record("alice", *verdicts("passed")),
    ]
    text = Page(feedback_page(records)).text
    assert text.index("Exercise 2 · Hamming distance") < text.index("Exercise 3 · Manhattan distance")


def test_every_link_of_a_page_leads_somewhere():
    page = Page(feedback_page([record("alice", *verdicts("value"))]))
    anchors = {value for _, name, value in page.attributes if name == "id"}
    assert {link.removeprefix("#") for link in page.values("a", "href")} <= anchors


def test_a_package_without_its_notebooks_still_makes_pages(monkeypatch):
    def nowhere(_):
        raise FileNotFoundError

    monkeypatch.setattr("embedcourse.course.find_chapter", nowhere)
    assert "Exercise · hamming" in Page(feedback_page([record("alice", *verdicts("value"))])).text


# ------------------------------------------------------------------------------------------- what a teacher reads


def test_the_summary_counts_wrong_ideas_over_the_class_most_common_first():
    idea, other = TASKS[0].misconceptions[:2]

    def one(task, name):
        return Verdict(task.id, task.points, "value", "Words.", name)

    records = [record(f"l{i}", one(TASKS[0], idea.name if i < 3 else other.name)) for i in range(5)]
    text = summary(*records).text
    assert f"{idea.name} 3 of 5" in text
    assert f"{other.name} 2 of 5" in text
    assert text.index(f"{idea.name} 3 of 5") < text.index(f"{other.name} 2 of 5")
    assert " ".join(idea.says.split()) in text


def test_the_summary_lists_every_learner_with_a_link_and_what_was_not_graded():
    records = [record("alice", *verdicts("passed")), Graded("b/ö?", "b.ipynb", None, (), "It is empty.")]
    page = summary(*records)
    most = sum(task.points for task in TASKS)
    assert f"alice {most} / {most}" in page.text
    assert "It is empty." in page.text
    assert set(page.values("a", "href")) == {"feedback/alice.html", "feedback/" + quoted("b/ö?")}
    assert "Seed 5." in page.text


def quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(page_names([name])[name])


def test_the_summary_says_whom_the_grader_had_to_stop():
    text = summary(record("alice", *verdicts("forged")), record("bob", *verdicts("passed"))).text
    assert "Stopped or refused by the grader" in text
    assert f"{TASKS[0].id} {LABELS['forged']}" in text
    assert "Stopped or refused" not in summary(record("bob", *verdicts("passed"))).text


def test_the_figures_have_a_text_for_those_who_do_not_see_them():
    records = [record("alice", *verdicts("passed")), record("bob", *verdicts("value", idea="fraction"))]
    tasks, points = summary(*records).values("img", "alt")
    assert f"{TASKS[0].title}: 1 passed, 1 known mix-up" in tasks
    most = sum(task.points for task in TASKS)
    assert f"1 with 0, 1 with {most} points of {most}" in points


def test_the_figures_are_drawings_without_scripts_and_the_same_bytes_each_time():
    sources = [summary(record("alice", *verdicts("value"))).values("img", "src") for _ in range(2)]
    assert sources[0] == sources[1]
    for source in sources[0]:
        drawing = base64.b64decode(source.partition(",")[2])
        xml.etree.ElementTree.fromstring(drawing)
        assert b"<script" not in drawing


def test_an_empty_class_and_one_without_a_graded_notebook_have_a_summary():
    assert "0 learners" in summary().text
    assert "1 not graded" in summary(Graded("alice", "a.ipynb", None, (), "It is empty.")).text
