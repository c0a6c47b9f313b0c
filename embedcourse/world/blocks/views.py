"""A state as a sensor gives it: a picture from the side, heights from above, numbers by object."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from embedcourse.world.blocks.states import COLOURS, COLUMNS, State

__all__ = ["SLOT", "render_depth", "render_side", "slots", "state_vectors"]

#: Width and height of the pictures, and of one block with the gap around it.
PIXELS, WIDTH, HEIGHT = 32, 8, 6
#: Blocks that a column can hold, in the picture.
LEVELS = 4
#: Red, green and blue of each block, after Okabe and Ito, and of air, table and gripper.
RGB = {
    "red": (0.84, 0.15, 0.16),
    "green": (0.00, 0.62, 0.45),
    "blue": (0.00, 0.35, 0.80),
    "yellow": (0.95, 0.85, 0.20),
    "purple": (0.60, 0.25, 0.65),
    "orange": (0.90, 0.50, 0.10),
    "cyan": (0.35, 0.75, 0.92),
    "pink": (0.95, 0.60, 0.75),
}
AIR, TABLETOP, STEEL = (0.93, 0.94, 0.96), (0.45, 0.33, 0.22), (0.25, 0.25, 0.28)
#: Numbers of one object's slot: is it there, its column, its level, is it held.
SLOT = 1 + COLUMNS + LEVELS + 1


def render_side(states: Sequence[State]) -> Float[Tensor, "n 3 32 32"]:
    """Pictures from the side with values in [0, 1]: the gripper at the top, the table at the bottom.

    Raises: nothing.
    Source: this course.
    """
    blocks = block_tiles()[grid(states).flip(2)]  # (n, columns, levels, 3, h, w), the highest level first
    blocks = blocks.permute(0, 3, 2, 4, 1, 5).reshape(-1, 3, LEVELS * HEIGHT, PIXELS)
    above = gripper_tiles()[grippers(states)].permute(0, 2, 3, 1, 4).reshape(-1, 3, HEIGHT + 1, PIXELS)
    table = torch.tensor(TABLETOP).view(3, 1, 1).expand(len(blocks), 3, 1, PIXELS)
    return torch.cat([above, blocks, table], dim=2)


def grid(states: Sequence[State]) -> Int[Tensor, "n columns levels"]:
    """Which block stands where: its number in `COLOURS` counted from 1, and 0 for none."""
    rows = [
        [[1 + COLOURS.index(block) for block in stack] + [0] * (LEVELS - len(stack)) for stack in state.stacks]
        for state in states
    ]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, COLUMNS, LEVELS)


def grippers(states: Sequence[State]) -> Int[Tensor, "n columns"]:
    """What is above each column: 0 for air, 1 for an empty gripper, 2 and more for one that holds a block."""
    result = torch.zeros(len(states), COLUMNS, dtype=torch.int64)
    for row, state in zip(result, states, strict=True):
        row[state.gripper] = 2 + COLOURS.index(state.held) if state.held else 1
    return result


def block_tiles() -> Float[Tensor, "tiles 3 6 8"]:
    """Air, and a block of each colour with a darker rim."""
    tiles = air(1 + len(COLOURS), HEIGHT)
    for tile, block in zip(tiles[1:], COLOURS, strict=True):
        tile[:, :, 1:-1] = 0.6 * torch.tensor(RGB[block])[:, None, None]
        tile[:, 1:-1, 2:-2] = torch.tensor(RGB[block])[:, None, None]
    return tiles


def gripper_tiles() -> Float[Tensor, "tiles 3 7 8"]:
    """Air, the open gripper, and the gripper with a block of each colour."""
    tiles = air(2 + len(COLOURS), HEIGHT + 1)
    tiles[2:, :, 1:] = block_tiles()[1:]
    steel = torch.tensor(STEEL)[:, None, None]
    tiles[1:, :, 0] = steel[..., 0]
    tiles[1:, :, :4, [0, -1]] = steel
    return tiles


def air(n: int, height: int) -> Float[Tensor, "n 3 {height} 8"]:
    """Empty tiles."""
    return torch.tensor(AIR).view(3, 1, 1).repeat(n, 1, height, WIDTH)


def render_depth(states: Sequence[State]) -> Float[Tensor, "n 1 32 32"]:
    """Heights above the table seen from above, in blocks: each column is a square in the middle of the picture.

    The view tells how high the stacks are, and no colours; the gripper is out of the way.

    Raises: nothing.
    Source: this course.
    """
    heights = (grid(states) > 0).sum(2).float()  # (n, columns)
    strip = heights.repeat_interleave(WIDTH, dim=1)  # (n, 32)
    strip[:, torch.arange(PIXELS) % WIDTH % (WIDTH - 1) == 0] = 0  # gaps between the columns
    picture = torch.zeros(len(strip), 1, PIXELS, PIXELS)
    picture[:, 0, 13:19] = strip[:, None]
    return picture


def slots(states: Sequence[State]) -> Float[Tensor, "n 8 10"]:
    """Each state as one row of numbers for each colour: there or not, column and level one-hot, held or not.

    Raises: nothing.
    Source: Driess et al. (2023), "PaLM-E: An Embodied Multimodal Language Model", section 4 (object-centric
    representations).
    """
    result = torch.zeros(len(states), len(COLOURS), SLOT)
    for row, state in zip(result, states, strict=True):
        for column, stack in enumerate(state.stacks):
            for level, block in enumerate(stack):
                row[COLOURS.index(block), [0, 1 + column, 1 + COLUMNS + level]] = 1
        if state.held:
            row[COLOURS.index(state.held), [0, 1 + state.gripper, SLOT - 1]] = 1
    return result


def state_vectors(states: Sequence[State]) -> Float[Tensor, "n 84"]:
    """Each state as one vector: all its slots, and the gripper's column one-hot.

    Raises: nothing.
    Source: Driess et al. (2023), section 4 (state estimation vectors).
    """
    columns = torch.tensor([state.gripper for state in states], dtype=torch.int64)
    return torch.cat([slots(states).flatten(1), F.one_hot(columns, COLUMNS).float()], dim=1)
