"""A folder of pictures is read as people see them, in a fixed order, and what is wrong with it is said."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from embedcourse.data.augmentations import augmentations, two_views
from embedcourse.data.pictures import load_pictures
from embedcourse.losses import NTXentLoss
from embedcourse.models.encoders import SmallCNN
from embedcourse.models.projector import Projector
from embedcourse.models.simclr import SimCLR
from embedcourse.training import fit

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def save(path, colour=RED, size=(40, 40), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def test_subfolders_are_classes_in_alphabetical_order(tmp_path):
    save(tmp_path / "zebra" / "1.png", BLUE)
    save(tmp_path / "ant" / "2.png", RED)
    save(tmp_path / "ant" / "deep" / "1.JPG", GREEN)
    found = load_pictures(tmp_path, size=8)
    assert found.images.shape == (3, 3, 8, 8)
    assert found.images.dtype == torch.float32
    assert found.classes == ("ant", "zebra")
    assert found.labels.tolist() == [0, 0, 1]
    torch.testing.assert_close(found.images[0].mean((1, 2)), torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(found.images[1].mean((1, 2)), torch.tensor([0.0, 1, 0]), atol=0.02, rtol=0)
    torch.testing.assert_close(found.images[2].mean((1, 2)), torch.tensor([0.0, 0, 1]))


def test_a_folder_without_subfolders_has_no_labels(tmp_path):
    save(tmp_path / "b.png", BLUE)
    save(tmp_path / "a.gif", RED)
    images, labels, classes = load_pictures(str(tmp_path))
    assert images.shape == (2, 3, 32, 32)
    assert images[:, 2].mean((1, 2)).tolist() == [0, 1]
    assert labels is None
    assert classes == ()


def test_the_middle_square_is_kept_and_scaled(tmp_path):
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200  # the middle square
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    torch.testing.assert_close(load_pictures(tmp_path, size=10).images[0], torch.full((3, 10, 10), 200 / 255))


def test_rows_go_down_and_columns_right(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20
    Image.fromarray(pixels).save(tmp_path / "four.png")
    expected = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    torch.testing.assert_close(load_pictures(tmp_path, size=2).images[0], expected)


def test_the_cameras_note_of_how_it_was_held_is_honoured(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255  # bright above, as the sensor saw it
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to look at it
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    image = load_pictures(tmp_path, size=8).images[0]
    assert image[:, :, 5:].mean() > 0.9  # so bright to the right
    assert image[:, :, :3].mean() < 0.1


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 51, [0.2] * 3),
        ("1", 1, [1] * 3),
        ("I;16", 51 * 257, [0.2] * 3),
        ("RGBA", (255, 0, 0, 0), [1, 1, 1]),
        ("RGBA", (0, 0, 0, 51), [0.8] * 3),
        ("LA", (0, 255), [0] * 3),
    ],
)
def test_every_kind_of_pixel_becomes_a_colour(mode, colour, expected, tmp_path):
    save(tmp_path / "one.png", colour, mode=mode)
    torch.testing.assert_close(
        load_pictures(tmp_path).images[0].mean((1, 2)), torch.tensor(expected, dtype=torch.float)
    )


def test_a_palette_with_a_transparent_colour_is_read_without_a_warning(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "palette.png", transparency=b"\x00\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(load_pictures(tmp_path).images, torch.ones(1, 3, 32, 32))


def test_a_file_that_cannot_be_read_is_named_and_left_out(tmp_path):
    save(tmp_path / "good" / "a.png")
    save(tmp_path / "bad" / "cut.png", size=(200, 200))
    cut = tmp_path / "bad" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:80])
    with pytest.warns(UserWarning, match=r"cut\.png' cannot be read as a picture and is left out"):
        found = load_pictures(tmp_path)
    assert found.classes == ("good",)
    assert found.labels.tolist() == [0]


def test_a_system_trains_on_a_folder(tmp_path):
    for i in range(12):
        save(tmp_path / f"{i}.png", (20 * i, 0, 255 - 20 * i))
    images = load_pictures(tmp_path, size=16).images
    model, augment, loss = SimCLR(SmallCNN(width=2), Projector(16, 8, 4)), augmentations(), NTXentLoss()

    def objective(model, x):
        x0, x1 = two_views(augment, x)
        return loss(model(x0), model(x1))

    assert fit(model, objective, images, steps=3, batch_size=6, progress=False).steps == 3
    assert model.embed(images).isfinite().all()


def test_hidden_files_and_other_kinds_are_passed_over(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / ".cache" / "b.png")
    (tmp_path / "._a.png").write_bytes(b"what a Mac leaves behind")
    (tmp_path / "notes.txt").write_text("not a picture")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_pictures(tmp_path).images) == 1


def test_a_hidden_folder_above_does_not_matter(tmp_path):
    save(tmp_path / ".mine" / "a.png")
    assert len(load_pictures(tmp_path / ".mine").images) == 1


@pytest.mark.usefixtures("as_a_user")
def test_what_is_wrong_with_the_folder_is_said(tmp_path):
    with pytest.raises(NotADirectoryError, match=r"folder: '.*nowhere' is no folder on this disk"):
        load_pictures(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="found none that can be read"):
        load_pictures(tmp_path)
    save(tmp_path / "loose.png")
    save(tmp_path / "cat" / "a.png")
    with pytest.raises(ValueError, match=r"all pictures in subfolders, one a class, or none; 'loose\.png' is in none"):
        load_pictures(tmp_path)
    with pytest.raises(ValueError, match="size: expected at least 1 pixel, got 0"):
        load_pictures(tmp_path, size=0)
