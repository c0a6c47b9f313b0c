"""Every control of every chapter is moved, and the data in its figure changes."""

import io
import re

import ipywidgets as widgets
import nbformat
import numpy as np
import pytest
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure

from embedcourse import course, plotting, training

from .test_chapters import cells_of, sections

WITH_CONTROLS = [
    pytest.param(chapter, i, id=f"{chapter.stem}-{i}")
    for chapter in course.chapters()
    for i, (_, cells) in enumerate(sections(chapter))
    if any("explore(" in cell.source for cell in cells if cell.cell_type == "code")
]


#: Of so many steps of a training one is done here: the figures need its notes, not what it reaches.
DONE = 20


@pytest.fixture
def hardly_trained(monkeypatch):
    """Trainings note as much as they always do, in a small part of the time."""
    step = training.Run.step

    def step_or_note(run: training.Run, objective: training.Objective, batch: list) -> None:
        if run.history.steps % DONE == 0:
            step(run, objective, batch)
        else:
            run.history.add_terms({name: noted[-1] for name, noted in run.history.terms.items()})

    monkeypatch.setattr(training.Run, "step", step_or_note)


def explorers_of(chapter: course.Chapter, cells: list[nbformat.NotebookNode]) -> list[plotting.Explorer]:
    """The figures with controls that a section makes, run after the chapter's first cell; what it asserts is left out:
    that is tested where the chapter runs whole.
    """
    first = next(cell.source for cell in cells_of(chapter) if cell.cell_type == "code")
    namespace: dict = {"__name__": "__main__"}
    for source in [first, *(cell.source for cell in cells if cell.cell_type == "code" and cell.source != first)]:
        exec(compile(re.sub(r"^%.*$", "", source, flags=re.MULTILINE), chapter.stem, "exec", optimize=1), namespace)
    return [thing for thing in namespace.values() if isinstance(thing, plotting.Explorer)]


def data_of(figure: Figure) -> bytes:
    """Everything that a figure shows: lines, points, bars, pictures, words."""
    out = io.BytesIO()
    for axes in figure.axes:
        arrays = [line.get_xydata() for line in axes.lines] + [c.get_offsets() for c in axes.collections]
        arrays += [c.get_array() for c in axes.collections if c.get_array() is not None]
        arrays += [patch.get_path().vertices @ patch.get_transform().get_matrix()[:2, :2] for patch in axes.patches]
        arrays += [image.get_array() for image in axes.images]
        for array in arrays:
            out.write(np.ascontiguousarray(np.ma.filled(array, 0)).tobytes())
        words = [axes.get_title(loc="left"), axes.get_title(), *(t.get_text() for t in axes.texts)]
        words += [label.get_text() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        out.write("|".join(words).encode())
    return out.getvalue()


def elsewhere(control: widgets.ValueWidget) -> object:
    """Another value that a control can take."""
    if isinstance(control, widgets.Checkbox | widgets.ToggleButton):
        return not control.value
    if isinstance(control, widgets.Text):
        return "music" if control.value != "music" else "river"
    if hasattr(control, "options"):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        return values[-1] if control.value != values[-1] else values[0]
    return control.max if control.value != control.max else control.min


@pytest.mark.parametrize(("chapter", "i"), WITH_CONTROLS)
@pytest.mark.usefixtures("hardly_trained")
def test_moving_a_control_changes_what_the_figure_shows(chapter, i):
    with capture_output():
        explorers = explorers_of(chapter, sections(chapter)[i][1])
        assert explorers, "keep what explore returns under a name"
        for explorer in explorers:
            for name, control in explorer.controls.items():
                before, picture = data_of(explorer.figure), explorer.picture.value
                control.value = elsewhere(control)
                assert data_of(explorer.figure) != before, f"{name} changes nothing in the figure's data"
                assert explorer.picture.value != picture


def test_every_chapter_has_a_control():
    assert {param.values[0] for param in WITH_CONTROLS} == set(course.chapters())
