"""Pictures of the course: one style, a caption under every figure, controls that leave a picture behind.

Colours are Okabe and Ito's, which people with any colour vision can tell apart; where colour carries meaning,
a marker or a label carries it too.
"""

import base64
import io
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import matplotlib as mpl
import matplotlib.pyplot as plt
from cycler import cycler
from IPython.display import Markdown, display
from matplotlib.figure import Figure

__all__ = ["COLOURS", "MARKERS", "Explorer", "Scoreboard", "explore", "show", "use_course_style"]

#: Okabe and Ito (2008), "Color Universal Design"; black last, yellow left out because it is faint on white.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "grey": "#767676",
    "black": "#000000",
}
#: One marker a class, so that nothing is told by colour alone.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")


def use_course_style() -> None:
    """Set matplotlib to the course's style: large type, few lines, colours that everybody can tell apart."""
    mpl.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=list(COLOURS.values())),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 13,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "figure.figsize": (8.0, 4.5),
            "font.size": 12,
            "image.cmap": "cividis",
            "legend.frameon": False,
            "lines.linewidth": 2.0,
        }
    )


def png(figure: Figure) -> str:
    """A figure as a base64 PNG, the same bytes for the same picture, and the figure closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, facecolor="white", metadata={"Software": None})
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()


def show(figure: Figure, number: str, caption: str) -> None:
    """Show a figure with its caption below; the caption is also the picture's text alternative.

    Raises: ValueError where the caption is too short to say what to see.
    """
    require_caption(caption)
    display({"image/png": png(figure), "text/plain": caption}, metadata={"image/png": {"alt": caption}}, raw=True)
    display(Markdown(f"**Figure {number}.** {caption}"))


def require_caption(caption: str) -> None:
    """A caption is a sentence that says what to see."""
    if len(caption.split()) < 6:
        raise ValueError(f"caption: expected a sentence that says what to see in the figure, got {caption!r}")


class Explorer:
    """A figure that is drawn anew whenever one of its controls moves.

    With a kernel it shows the controls and the figure; a reader without one sees the figure as first drawn.
    """

    def __init__(self, draw: Callable[..., Figure], caption: str, controls: dict[str, widgets.ValueWidget]) -> None:
        self.draw, self.caption, self.controls = draw, caption, controls
        self.picture = widgets.Image(format="png")
        self.figure: Figure | None = None
        self.widget = widgets.VBox([widgets.HBox(list(controls.values())), self.picture])
        for control in controls.values():
            control.observe(lambda _: self.redraw(), names="value")
        self.redraw()

    def redraw(self) -> None:
        """Draw the figure for the present values of the controls."""
        self.figure = self.draw(**{name: control.value for name, control in self.controls.items()})
        self.static = png(self.figure)
        self.picture.value = base64.b64decode(self.static)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        # A front end picks the richest form that it can show: the live widget, else the picture.
        live = self.widget._repr_mimebundle_()
        live = live[0] if isinstance(live, tuple) else live
        return (
            {**live, "image/png": self.static, "text/plain": self.caption},
            {"image/png": {"alt": self.caption}},
        )


def explore(draw: Callable[..., Figure], number: str, caption: str, **controls: widgets.ValueWidget) -> Explorer:
    """Show a figure with controls: `draw` gets the value of each control by name and returns the figure.

    Raises: ValueError without a control, or where the caption is too short to say what to see.
    """
    require_caption(caption)
    if not controls:
        raise ValueError("controls: expected at least one, such as k=ipywidgets.IntSlider(3, 1, 10)")
    explorer = Explorer(draw, caption, controls)
    display(explorer)
    display(Markdown(f"**Figure {number}.** {caption}"))
    return explorer


class Scoreboard:
    """A table that grows a row per method: the same columns all through a chapter."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self.rows: dict[str, tuple[str, ...]] = {}

    def add(self, method: str, *cells: str | int | float) -> "Scoreboard":
        """Add a row, or replace the row of that method. Numbers below 1,000 are shown to three decimals.

        Raises: ValueError where the cells do not fit the columns.
        """
        if len(cells) != len(self.columns):
            raise ValueError(f"cells: expected {len(self.columns)} ({', '.join(self.columns)}), got {len(cells)}")
        self.rows[method] = tuple(map(written, cells))
        return self

    def _repr_markdown_(self) -> str:
        lines = [("method", *self.columns), ("---", *["---:"] * len(self.columns))]
        lines += [(method, *cells) for method, cells in self.rows.items()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def __repr__(self) -> str:
        return self._repr_markdown_()


def written(cell: str | int | float) -> str:
    """A number as it stands in a table."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{cell:,.0f}"
    return f"{cell:.3f}"
