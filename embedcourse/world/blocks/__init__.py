"""A world for planning: coloured blocks in stacks, a gripper, a small language, and a simulator that runs plans."""

from embedcourse.world.blocks.examples import TASKS, Example, sample_conversations, sample_examples, sample_unguessable
from embedcourse.world.blocks.goals import Goal, next_move, plan, sample_goals
from embedcourse.world.blocks.gripper import COMMANDS, act, current_move, next_command
from embedcourse.world.blocks.language import (
    ask,
    decode,
    describe,
    encode,
    parse_command,
    parse_plan,
    write_command,
    write_plan,
)
from embedcourse.world.blocks.loops import calm, closed_loop, first_move, one_command, open_loop, slips, stranger
from embedcourse.world.blocks.states import (
    COLOURS,
    Impossible,
    Move,
    Run,
    State,
    disturb,
    execute,
    is_held_out,
    moved,
    sample_states,
)
from embedcourse.world.blocks.views import render_depth, render_side, slots, state_vectors

__all__ = [
    "COLOURS",
    "COMMANDS",
    "TASKS",
    "Example",
    "Goal",
    "Impossible",
    "Move",
    "Run",
    "State",
    "act",
    "ask",
    "calm",
    "closed_loop",
    "current_move",
    "decode",
    "describe",
    "disturb",
    "encode",
    "execute",
    "first_move",
    "is_held_out",
    "moved",
    "next_command",
    "next_move",
    "one_command",
    "open_loop",
    "parse_command",
    "parse_plan",
    "plan",
    "render_depth",
    "render_side",
    "sample_conversations",
    "sample_examples",
    "sample_goals",
    "sample_states",
    "sample_unguessable",
    "slips",
    "slots",
    "state_vectors",
    "stranger",
    "write_command",
    "write_plan",
]
