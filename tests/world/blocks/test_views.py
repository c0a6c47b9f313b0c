"""Views: what is drawn where, and what each view tells apart."""

import torch

from embedcourse.world.blocks.gripper import act
from embedcourse.world.blocks.states import COLOURS, State, sample_states
from embedcourse.world.blocks.views import RGB, render_depth, render_side, slots, state_vectors

STATE = State((("red", "blue"), (), ("green",), ()), 2)
HELD = State((("red", "blue"), (), (), ()), 3, "green")


def test_the_picture_by_hand():
    picture = render_side([STATE, HELD])
    assert picture.shape == (2, 3, 32, 32)
    assert picture.min() >= 0
    assert picture.max() <= 1
    for row, column, block in [(28, 4, "red"), (22, 4, "blue"), (28, 20, "green")]:
        torch.testing.assert_close(picture[0, :, row, column], torch.tensor(RGB[block]))
    torch.testing.assert_close(picture[1, :, 4, 28], torch.tensor(RGB["green"]))
    torch.testing.assert_close(picture[0, :, 28, 12], picture[0, :, 12, 4])  # air


def test_the_picture_shows_the_whole_state():
    states = list(set(sample_states(400, seed=0)))
    states += [act(state, "pick") for state in states if state.stacks[state.gripper]]
    pictures = render_side(states).flatten(1)
    distances = torch.cdist(pictures, pictures) + torch.eye(len(states)) * 9
    assert distances.min() > 0.1


def test_depth_by_hand_and_blind_to_colour():
    depth = render_depth([STATE])
    assert depth.shape == (1, 1, 32, 32)
    assert [depth[0, 0, 16, column].item() for column in (4, 12, 20, 28)] == [2, 0, 1, 0]
    assert depth[0, 0, 2].max() == 0
    recoloured = State((("green", "yellow"), (), ("purple",), ()), 0)
    assert torch.equal(depth, render_depth([recoloured]))


def test_slots_by_hand():
    rows = slots([STATE, HELD])
    assert rows.shape == (2, len(COLOURS), 10)
    assert rows[0, COLOURS.index("blue")].tolist() == [1, 1, 0, 0, 0, 0, 1, 0, 0, 0]
    assert rows[0, COLOURS.index("purple")].sum() == 0
    assert rows[1, COLOURS.index("green")].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_a_vector_is_the_slots_and_the_gripper():
    vectors = state_vectors([STATE, HELD])
    assert torch.equal(vectors[:, :80], slots([STATE, HELD]).flatten(1))
    assert vectors[:, 80:].tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]


def test_no_states_give_no_rows():
    assert render_side([]).shape == (0, 3, 32, 32)
    assert render_depth([]).shape == (0, 1, 32, 32)
    assert slots([]).shape == (0, 8, 10)
    assert state_vectors([]).shape == (0, 84)
