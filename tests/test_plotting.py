"""Captions, text alternatives, controls that redraw, and the scoreboard."""

import base64

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest
from IPython.utils.capture import capture_output

from embedcourse import plotting
from embedcourse.plotting import COLOURS, MARKERS, Scoreboard, explore, show, use_course_style

CAPTION = "Look at the one point that lies above all the others."


def point(height: float = 1.0):
    figure, axes = plt.subplots(figsize=(2, 2))
    axes.plot([0], [height], MARKERS[0])
    return figure


@pytest.fixture
def shown():
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.instance()
    with capture_output() as captured:
        yield captured
    InteractiveShell.clear_instance()


def test_a_figure_is_shown_with_its_caption_as_text_alternative(shown):
    show(point(), "1.2", CAPTION)
    picture, below = shown.outputs
    assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")
    assert picture.metadata["image/png"]["alt"] == CAPTION
    assert below.data["text/markdown"] == f"**Figure 1.2.** {CAPTION}"
    assert plt.get_fignums() == []


def test_the_same_picture_is_the_same_bytes():
    assert plotting.png(point()) == plotting.png(point())
    assert plotting.png(point()) != plotting.png(point(2))


def test_a_control_redraws_the_figure(shown):
    explorer = explore(point, "1.3", CAPTION, height=widgets.FloatSlider(1, min=0, max=9))
    before = explorer.picture.value
    explorer.controls["height"].value = 4
    assert explorer.figure.axes[0].lines[0].get_ydata().tolist() == [4]
    assert explorer.picture.value != before
    assert shown.outputs[-1].data["text/markdown"] == f"**Figure 1.3.** {CAPTION}"


def test_a_reader_without_a_kernel_gets_the_picture(shown):
    explorer = explore(point, "1.3", CAPTION, height=widgets.FloatSlider(1, min=0, max=9))
    data, metadata = explorer._repr_mimebundle_()
    assert data["image/png"] == base64.b64encode(explorer.picture.value).decode()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert metadata["image/png"]["alt"] == CAPTION


def test_a_caption_says_what_to_see(as_a_user):
    with pytest.raises(ValueError, match="a sentence that says what to see"):
        show(point(), "1.2", "A point.")
    with pytest.raises(ValueError, match="controls: expected at least one"):
        explore(point, "1.2", CAPTION)
    plt.close("all")


def test_a_scoreboard_grows_a_row_a_method():
    board = Scoreboard("accuracy", "bytes").add("chance", 0.1, "none").add("pixels", 0.98765, 256)
    board.add("chance", 0.125, "–")
    assert repr(board).splitlines() == [
        "| method | accuracy | bytes |",
        "| --- | ---: | ---: |",
        "| chance | 0.125 | – |",
        "| pixels | 0.988 | 256 |",
    ]
    assert Scoreboard("n").add("many", 12345.6)._repr_markdown_().endswith("| many | 12,346 |")
    with pytest.raises(ValueError, match=r"expected 2 \(accuracy, bytes\), got 1"):
        board.add("x", 1)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, "relative luminance")."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_style_uses_colours_that_stand_out_from_white():
    use_course_style()
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    assert cycle == list(COLOURS.values())
    assert all(1.05 / (luminance(colour) + 0.05) >= 2 for colour in cycle)
    assert len(set(MARKERS)) == len(MARKERS) == 10
