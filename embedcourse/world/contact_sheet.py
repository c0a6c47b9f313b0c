"""A picture of the world: a few scenes as every sense has them."""

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from embedcourse.world.factors import Scenes
from embedcourse.world.imu import CHANNELS
from embedcourse.world.senses import SENSES, render
from embedcourse.world.text import decode

__all__ = ["contact_sheet"]

#: How each sense is shown: colour map and range of what is a picture in one channel.
SCALES = {"depth": ("gray", -0.2, 0.8), "thermal": ("inferno", -0.6, 1.0), "audio": ("magma", 0.0, 1.0)}
#: How wide each sense is drawn, in heights.
WIDTHS = (1, 1, 1, 1, 1.4, 1.4)
#: Okabe and Ito's colours and three line styles for the six channels of the IMU.
LINES = tuple((colour, style) for colour in ("#0072B2", "#D55E00") for style in ("-", "--", ":"))


def contact_sheet(scenes: Scenes) -> Figure:
    """A row a scene, a column a sense: pictures, the log-mel with time to the right, the IMU as lines, the caption.

    Raises: ValueError for no scenes, or more than 24.
    Source: this course.
    """
    if not 1 <= len(scenes) <= 24:
        raise ValueError(f"scenes: expected 1 to 24, got {len(scenes)}")
    figure = Figure(figsize=(10, 1.45 * len(scenes) + 0.7), layout="constrained")
    grid = figure.subplots(len(scenes), len(SENSES), squeeze=False, width_ratios=WIDTHS)
    for column, sense in enumerate(SENSES):
        grid[0, column].set_title(sense, loc="left")
        for axes, sensed in zip(grid[:, column], render(scenes, sense).cpu(), strict=True):
            draw(axes, sense, sensed)
            axes.set_box_aspect(1 / WIDTHS[column])
    label_rows(list(grid[:, 0]), scenes)
    figure.legend(
        *grid[0, list(SENSES).index("imu")].get_legend_handles_labels(), loc="outside lower right", ncols=6, fontsize=8
    )
    return figure


def draw(axes: Axes, sense: str, sensed: Tensor) -> None:
    """What one sense makes of one scene."""
    axes.set(xticks=[], yticks=[])
    if sense == "text":
        axes.text(0, 0.5, textwrap.fill(*decode(sensed[None]), 18), va="center", fontsize=9)
        axes.axis("off")
    elif sense == "imu":
        for signal, name, (colour, style) in zip(sensed, CHANNELS, LINES, strict=True):
            axes.plot(signal.numpy(), style, color=colour, label=name, linewidth=1.2)
        axes.set_ylim(-3, 3)
    elif sense == "image":
        axes.imshow(sensed.permute(1, 2, 0).numpy())
    else:
        colours, lowest, highest = SCALES[sense]
        axes.imshow(
            sensed[0].numpy(), colours, vmin=lowest, vmax=highest, origin="lower" if sense == "audio" else "upper"
        )


def label_rows(column: Sequence[Axes], scenes: Scenes) -> None:
    """The true factors at the left of each row."""
    factors = ("size", "temperature", "colour", "material", "shape", "motion")
    for axes, *values in zip(column, *map(scenes.names, factors), strict=True):
        axes.set_ylabel("\n".join(values), rotation=0, ha="right", va="center", fontsize=8)
