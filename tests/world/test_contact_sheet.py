"""The contact sheet shows every sense of every scene."""

import pytest
import torch

from embedcourse.world.contact_sheet import contact_sheet
from embedcourse.world.factors import sample
from embedcourse.world.senses import SENSES, render
from embedcourse.world.text import captions

SCENES = sample(3, seed=0)


def test_a_row_a_scene_and_a_column_a_sense(device):
    figure = contact_sheet(SCENES.to(device))
    assert len(figure.axes) == 3 * len(SENSES)
    assert [axes.get_title(loc="left") for axes in figure.axes[: len(SENSES)]] == list(SENSES)
    figure.canvas.draw()


def test_what_is_shown_is_what_is_rendered():
    axes = contact_sheet(SCENES).axes[len(SENSES) : 2 * len(SENSES)]
    shown = dict(zip(SENSES, axes, strict=True))
    image = torch.as_tensor(shown["image"].images[0].get_array())
    torch.testing.assert_close(image, render(SCENES, "image")[1].permute(1, 2, 0))
    for sense in ("depth", "thermal", "audio"):
        picture = torch.as_tensor(shown[sense].images[0].get_array().data)
        torch.testing.assert_close(picture, render(SCENES, sense)[1, 0])
    lines = torch.stack([torch.as_tensor(line.get_ydata()) for line in shown["imu"].lines])
    torch.testing.assert_close(lines, render(SCENES, "imu")[1])
    assert " ".join(shown["text"].texts[0].get_text().split()) == captions(SCENES)[1]


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("n", [0, 25])
def test_too_few_or_too_many_scenes_are_refused(n):
    with pytest.raises(ValueError, match=f"scenes: expected 1 to 24, got {n}"):
        contact_sheet(sample(n, seed=0))
