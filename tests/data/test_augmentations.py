"""Views are changed pictures: each change does what it says, in its range, and torch's generator decides it."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from embedcourse.data.augmentations import Augmentations, augmentations, two_views

NONE = {
    "zoom": None,
    "shift": 0.0,
    "rotation": 0.0,
    "flip": False,
    "colour": 0.0,
    "shuffle": 0.0,
    "grey": 0.0,
    "noise": 0.0,
}


def only(**change) -> Augmentations:
    return augmentations(**NONE | change)


@pytest.mark.parametrize("shape", [(5, 3, 32, 32), (1, 1, 8, 8), (3, 1, 5, 9), (2, 3, 7, 4)])
def test_views_have_the_pictures_shape_and_range(shape, device, generator):
    x = torch.rand(shape, generator=generator).to(device)
    for view in two_views(augmentations(noise=0.5, colour=1.0), x):
        assert view.shape == x.shape
        assert view.dtype == x.dtype
        assert view.device == x.device
        assert 0 <= view.min() < view.max() <= 1


def test_two_views_differ_from_each_other_and_from_picture_to_picture():
    x = torch.rand(1, 3, 8, 8).expand(4, 3, 8, 8)
    x0, x1 = two_views(augmentations(), x)
    views = torch.cat([x0, x1])
    assert torch.pdist(views.flatten(1)).min() > 0.1


def test_torchs_generator_decides_the_views():
    augment, x = augmentations(), torch.rand(4, 3, 8, 8)

    def views(seed: int):
        torch.manual_seed(seed)
        return torch.stack(two_views(augment, x))

    assert torch.equal(views(1), views(1))
    assert not torch.equal(views(1), views(2))


def test_without_any_change_the_pictures_come_back():
    x = torch.rand(3, 3, 8, 8)
    assert len(only()) == 0
    assert torch.equal(only()(x), x)


def test_about_half_are_flipped_and_the_rest_left_alone(generator):
    torch.manual_seed(0)
    x = torch.rand(400, 3, 4, 4, generator=generator)
    y = only(flip=True)(x)
    flipped = (y == x.flip(3)).flatten(1).all(1)
    assert torch.equal(y[~flipped], x[~flipped])
    assert 150 < flipped.sum() < 250


def test_channels_change_places_and_nothing_else(generator):
    torch.manual_seed(0)
    x = torch.rand(400, 3, 4, 4, generator=generator)
    y = only(shuffle=1.0)(x)
    assert torch.equal(y.sort(1).values, x.sort(1).values)
    kept = (y == x).flatten(1).all(1)
    assert 30 < kept.sum() < 110  # one order in six is the one that was


def test_a_share_of_the_pictures_loses_its_colours_and_the_rest_is_left_alone(generator):
    torch.manual_seed(0)
    x = torch.rand(400, 3, 4, 4, generator=generator)
    y = only(grey=0.3)(x)
    luma = (x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)  # ITU-R BT.601
    changed = (y != x).flatten(1).any(1)
    torch.testing.assert_close(y[changed], luma[changed].expand(-1, 3, -1, -1))
    assert 90 < changed.sum() < 150


def test_noise_has_the_deviation_asked_for():
    torch.manual_seed(0)
    x = torch.full((50, 3, 16, 16), 0.5)
    noise = only(noise=0.05)(x) - x
    assert noise.mean().abs() < 0.002
    assert noise.std() == pytest.approx(0.05, rel=0.02)


def test_colour_adds_and_multiplies_by_at_most_its_share():
    torch.manual_seed(0)
    grey = torch.full((500, 1, 4, 4), 0.5)
    level = only(colour=0.2)(grey).mean((1, 2, 3)) / 0.5
    assert 0.8 * (1 - 0.2 / 0.5) < level.min() < 0.6
    assert 1.5 < level.max() < 1.2 * (1 + 0.2 / 0.5)
    assert torch.equal(only(colour=0.2)(grey).flatten(1).std(1), torch.zeros(500))


def test_grey_pictures_pass_what_mixes_colours(generator):
    x = torch.rand(5, 1, 8, 8, generator=generator)
    assert torch.equal(only(shuffle=1.0, grey=1.0)(x), x)
    assert only(colour=0.5)(x).shape == x.shape


def test_a_zoom_magnifies_about_the_middle():
    square = torch.zeros(1, 1, 33, 33)
    square[..., 12:21, 12:21] = 1  # 9 × 9
    area = only(zoom=(2.0, 2.0))(square).sum()
    assert area == pytest.approx(18**2, rel=0.05)
    assert only(zoom=(1.0, 1.0))(square).sum() == pytest.approx(81, rel=1e-4)


def test_a_shift_moves_and_mirrors_at_the_border():
    torch.manual_seed(0)
    spot = torch.zeros(200, 1, 21, 21)
    spot[..., 10, 10] = 1
    moved = only(shift=0.2)(spot)
    places = torch.arange(21.0)
    right = (moved.sum((1, 2)) * places).sum(1) - 10
    assert -4.3 < right.min() < -3.5
    assert 3.5 < right.max() < 4.3
    ones = torch.ones(50, 1, 8, 8)
    torch.testing.assert_close(only(shift=0.5, rotation=45.0)(ones), ones)


def test_a_rotation_turns_by_at_most_its_angle():
    torch.manual_seed(0)
    bar = torch.zeros(300, 1, 41, 41)
    bar[..., 20, 25:36] = 1
    turned = only(rotation=30.0)(bar)
    places = torch.arange(41.0) - 20
    x, y = ((turned.sum((1, axis)) * places).sum(1) for axis in (2, 3))
    angle = torch.rad2deg(torch.atan2(y, x))
    assert -30.5 < angle.min() < -27
    assert 27 < angle.max() < 30.5


def test_half_precision_does_not_bend_the_warp(device, generator):
    x = torch.rand(8, 3, 32, 32, generator=generator).to(device)
    augment = augmentations(noise=0.0)
    torch.manual_seed(0)
    expected = augment(x)
    torch.manual_seed(0)
    with torch.autocast(device.type, torch.bfloat16):
        view = augment(x)
    assert view.dtype == torch.float32
    torch.testing.assert_close(view, expected)


def test_no_gradient_is_kept():
    x = torch.rand(2, 3, 8, 8, requires_grad=True)
    assert not augmentations()(x).requires_grad


def test_a_module_of_ones_own_makes_views_too():
    x0, x1 = two_views(nn.Identity(), torch.zeros(2, 1, 3, 3))
    assert torch.equal(x0, x1)


def test_importing_the_module_does_not_load_kornia():
    code = "import sys, embedcourse.data.augmentations; print('kornia' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zoom": (0.0, 1.0)}, "zoom: expected two factors above 0, the smaller first, or None; got"),
        ({"zoom": (2.0, 1.0)}, "zoom: expected two factors"),
        ({"shift": 1.5}, "shift: expected a number from 0 to 1.0, got 1.5"),
        ({"rotation": -1}, "rotation: expected a number from 0 to 180.0, got -1"),
        ({"colour": 2}, "colour: expected a number from 0 to 1.0, got 2"),
        ({"shuffle": -0.1}, "shuffle: expected a number from 0 to 1.0"),
        ({"grey": 1.1}, "grey: expected a number from 0 to 1.0, got 1.1"),
        ({"noise": -0.1}, "noise: expected a number from 0 to inf"),
    ],
)
def test_numbers_outside_their_range_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        augmentations(**change)


@pytest.mark.usefixtures("as_a_user")
def test_what_is_no_batch_of_pictures_is_refused():
    with pytest.raises(ValueError, match=r"x: expected pictures of shape \(n, c, h, w\), got \(3, 8, 8\)"):
        augmentations()(torch.rand(3, 8, 8))
