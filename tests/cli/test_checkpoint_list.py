"""`embedcourse checkpoint` lists and verifies; `make` writes where it may."""

import pytest
from torch import nn

from embedcourse.checkpoints import RECIPES, SHIPPED, Recipe, verify
from embedcourse.cli import checkpoint_list


@pytest.fixture
def thing(monkeypatch) -> Recipe:
    """A recipe that takes no time, and whose weights do not come with the course."""
    recipe = Recipe(
        "thing",
        purpose="For tests.",
        data="none",
        steps=5,
        small_steps=2,
        build=lambda: nn.Linear(3, 2),
        train=lambda model, steps, seed: nn.init.constant_(model.weight, steps),
        measure=lambda model: {"mean": model.weight.mean().item()},
    )
    monkeypatch.setitem(RECIPES, "thing", recipe)
    return recipe


def test_what_comes_with_the_course_is_listed_and_as_its_cards_say(command):
    ended = command("checkpoint")
    assert (ended.code, ended.err) == (0, "")
    lines, card = ended.out.splitlines(), verify("imagebind_hub")
    assert len(lines) == len(RECIPES)
    expected = f"OK    imagebind_hub: {card.bytes / 1e6:.1f} MB, {card.steps} steps; "
    assert any(line.startswith(expected) and "zero-shot colour 1.00" in line for line in lines)
    told = command("checkpoint", "--json").json
    assert [(finding["what"], finding["ok"]) for finding in told] == [(name, True) for name in RECIPES]


def test_what_is_missing_fails_with_the_command_that_makes_it(command, thing):
    ended = command("checkpoint")
    assert ended.code == 1
    [line] = [line for line in ended.out.splitlines() if line.startswith("FAIL")]
    assert line == (
        f"FAIL  thing: {SHIPPED / 'thing.json'} is missing; `embedcourse checkpoint make thing --replace` makes it "
        "again; or run `git checkout embedcourse/checkpoints`"
    )
    assert [finding.ok for finding in checkpoint_list.examine()].count(False) == 1


def test_make_writes_and_says_where_and_how_good(command, thing, tmp_path):
    ended = command("checkpoint", "make", "thing", "--out", tmp_path)
    assert ended.code == 0
    assert ended.out == f"{tmp_path / 'thing.safetensors'}: 0.0 MB, 5 steps; mean 5.00\n"
    assert verify("thing", tmp_path).metrics == {"mean": 5.0}
    again = command("checkpoint", "make", "thing", "--steps", "3", "--out", tmp_path)
    assert (again.code, verify("thing", tmp_path).steps) == (2, 5)
    assert again.err == (
        f"embedcourse: {tmp_path / 'thing.safetensors'} is there already; name another folder with --out, or say "
        "--replace\n"
    )
    assert command("checkpoint", "make", "thing", "--steps", "3", "--out", tmp_path, "--replace").code == 0
    assert verify("thing", tmp_path).steps == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("hub",), "'hub' is no checkpoint of this course; they are: imagebind_hub"),
        (("imagebind_hub", "--steps", "3", "--replace"), "steps: the course's imagebind_hub has"),
        (("imagebind_hub", "--steps", "0"), "'--steps'"),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line(words, told, command):
    ended = command("checkpoint", "make", *words)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1
