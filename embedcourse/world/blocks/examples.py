"""Tasks of the blocks world as sentences: a prompt with a place for what is seen, and the answer."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from embedcourse.world.blocks.goals import Goal, names_what_moves, plan, some_goal
from embedcourse.world.blocks.gripper import act, next_command
from embedcourse.world.blocks.language import OBSERVATION, ask, describe, parse_plan, write_command, write_plan
from embedcourse.world.blocks.states import State, execute, is_held_out, sample_states

__all__ = [
    "TASKS",
    "Example",
    "answer_question",
    "give_command",
    "make_plan",
    "observed",
    "request",
    "sample_conversations",
    "sample_examples",
    "sample_unguessable",
]

#: What can be asked for: the whole way to a goal, the gripper's next command, the answer to a question.
TASKS = ("plan", "command", "question")


@dataclass(frozen=True)
class Example:
    """A prompt about a state, and the answer to it.

    `prompt` has {seen} where the state is given: in words, or by placeholders for what a sensor saw.
    `goal` is what a plan must reach; None where nothing but the answer itself is right.
    """

    state: State
    prompt: str
    answer: str
    goal: Goal | None = None

    def in_words(self) -> str:
        """The prompt with the state described."""
        return self.with_seen(describe(self.state))

    def with_seen(self, seen: str) -> str:
        """The prompt with other words, or placeholders, for the state."""
        return self.prompt.format(seen=seen)

    def as_next_turn(self) -> str:
        """The prompt without the state, for a conversation in which that was given before."""
        return self.prompt.removeprefix("state : {seen} ")

    def is_solved_by(self, answer: str) -> bool:
        """Whether an answer is right: a plan is carried out, and may be another one than `answer`."""
        if self.goal is None:
            return answer == self.answer
        try:
            run = execute(self.state, parse_plan(answer))
        except ValueError:
            return False
        return run.failed_step is None and self.goal.holds(run.states[-1])


def observed(count: int) -> str:
    """Placeholders for an observation of so many tokens.

    Raises: ValueError for a negative count.
    Source: Driess et al. (2023), "PaLM-E: An Embodied Multimodal Language Model", section 3 (multimodal sentences).
    """
    if count < 0:
        raise ValueError(f"count: expected at least 0, got {count}")
    return " ".join([OBSERVATION] * count)


def request(task: str, goal: Goal) -> str:
    """The prompt that asks for a plan or a command.

    Raises: ValueError for a task without a goal.
    Source: this course.
    """
    if task not in TASKS[:2]:
        raise ValueError(f"task: expected one of {', '.join(TASKS[:2])}; got {task!r}")
    return f"state : {{seen}} . instruction : {goal.instruction} . {task} :"


def make_plan(state: State, goal: Goal) -> Example:
    """The whole way to a goal.

    Raises: ValueError as `plan`.
    Source: this course, after PaLM-E's task and motion planning (section 6.2).
    """
    return Example(state, request("plan", goal), write_plan(plan(state, goal)), goal)


def give_command(state: State, goal: Goal) -> Example:
    """What the gripper is to do now, after the move and the way: a model that says these first has half the answer.

    Raises: nothing.
    Source: this course, after PaLM-E's control loop (section 6.3).
    """
    return Example(state, request("command", goal), write_command(state, goal))


def answer_question(state: State, dice: random.Random) -> Example:
    """A question about what is seen.

    Raises: ValueError as `ask`.
    Source: this course, after PaLM-E's visual question answering (section 6.1).
    """
    question, answer = ask(state, dice)
    return Example(state, f"state : {{seen}} . question : {question} answer :", answer)


def sample_examples(
    task: str,
    n: int,
    *,
    seed: int,
    held_out: bool | None = False,
    least_moves: int = 0,
    given_away: bool = True,
) -> list[Example]:
    """Draw n examples of a task; the same ones for the same seed.

    held_out, least_moves, given_away, and what raises: as for `sample_conversations`.

    Raises: ValueError as `sample_conversations`.
    Source: this course.
    """
    rest = {"held_out": held_out, "least_moves": least_moves, "given_away": given_away}
    drawn = sample_conversations((task,), n, seed=seed, **rest)
    return [example for conversation in drawn for example in conversation]


def sample_unguessable(n: int, *, seed: int, held_out: bool | None = True) -> list[Example]:
    """Draw n plans of two or more moves, each moving a block that the instruction does not name; the same for a seed.

    What such plans need beyond the instruction must be seen: with eight colours even a clever guess fails mostly.

    Raises: ValueError as `sample_conversations`.
    Source: this course.
    """
    drawn = sample_examples("plan", 3 * n + 30, seed=seed, held_out=held_out, least_moves=2, given_away=False)
    return [example for example in drawn if not names_what_moves(example.goal, example.state)][:n]


def sample_conversations(
    tasks: Sequence[str],
    n: int,
    *,
    seed: int,
    held_out: bool | None = False,
    least_moves: int = 0,
    given_away: bool = True,
    pursued: bool = False,
) -> list[list[Example]]:
    """Draw n states, and for each an example of every one of the tasks, in any order; the same ones for the same seed.

    held_out: as for `sample_states`. least_moves: how far goals are at least from where a conversation starts; with 0
        some hold already, so that a model also learns when to stop. given_away: whether goals may be asked for that
        give their plan away, as `gives_away` says; without them something stands on something in every state.
    pursued: whether every state is met on the way to a goal, or at its end, and the first plan or command is about that
        goal: by chance alone, a model hardly ever meets a tower that stands already.
    Where commands are among the tasks, half of the states are met on the way to some goal; while a block hangs in the
    air, a command takes the place of a plan.

    Raises: ValueError for an unknown task or none, and as `sample_states` and `sample_goals`.
    Source: this course.
    """
    if not tasks or not set(tasks) <= set(TASKS):
        raise ValueError(f"tasks: expected some of {', '.join(TASKS)}; got {', '.join(map(repr, tasks)) or 'none'}")
    dice = random.Random(seed)
    states = sample_states(n if given_away else 2 * n + 100, seed=seed, held_out=held_out)
    if not given_away:
        states = [state for state in states if max(map(len, state.stacks)) > 1][:n]
    goal = partial(some_goal, least_moves=least_moves, dice=dice, given_away=given_away)
    return [one_conversation(state, tasks, held_out, goal, pursued, dice) for state in states]


def one_conversation(
    start: State,
    tasks: Sequence[str],
    held_out: bool | None,
    some_goal: Callable[[State], Goal],
    pursued: bool,
    dice: random.Random,
) -> list[Example]:
    """An example of every task about one state."""
    state, goals = start, []
    if pursued or ("command" in tasks and dice.random() < 0.5):
        goal = some_goal(start)
        met = on_the_way(start, goal)
        state = dice.choice([one for one in met if held_out is None or is_held_out(one) == held_out])
        goals = [goal] if pursued else []
    examples = []
    for task in dice.sample(tasks, len(tasks)):
        if task == "question":
            examples.append(answer_question(state, dice))
        else:
            make = make_plan if task == "plan" and state.held is None else give_command
            examples.append(make(state, goals.pop() if goals else some_goal(start)))
    return examples


def on_the_way(state: State, goal: Goal) -> list[State]:
    """The states that the gripper meets between here and the goal, both included."""
    met = [state]
    while (command := next_command(met[-1], goal)) != "stop":
        met.append(act(met[-1], command))
    return met
