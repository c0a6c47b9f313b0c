"""Masks show the objects that are there, each pixel once; sentences are true and point at one object."""

import re

import pytest
import torch

from embedcourse.world.factors import FACTORS
from embedcourse.world.scenes import (
    GROUP_LENGTH,
    GROUP_RADII,
    PLACES,
    expressions_for,
    group_captions,
    phrases,
    referring_expressions,
    render_groups,
    sample_groups,
    thing_captions,
)
from embedcourse.world.text import UNKNOWN, encode
from tests.world.reading import claims, facts

GROUPS = sample_groups(400, seed=0)
PICTURES, MASKS = render_groups(GROUPS)
POSITIONS = GROUPS.objects.position.view(-1, PLACES, 2)
RELATION = re.compile(r" (left of|right of|above|below) | and ")


def objects(i: int) -> list[dict[str, str]]:
    """The facts of the objects that are present in scene i."""
    count = int(GROUPS.present[i].sum())
    return FACTS[PLACES * i : PLACES * i + count]


FACTS = facts(GROUPS.objects)


def place(i: int, phrase: str) -> int:
    """The one object of scene i that fits a phrase."""
    fitting = [k for k, true in enumerate(objects(i)) if claims(phrase).items() <= true.items()]
    assert len(fitting) == 1, phrase
    return fitting[0]


def holds(i: int, one: int, relation: str, two: int) -> bool:
    """Whether a relation is true, looked up in the positions."""
    x, y = (POSITIONS[i, one] - POSITIONS[i, two]).tolist()
    return {"left of": x < -0.2, "right of": x > 0.2, "above": y > 0.2, "below": y < -0.2}[relation]


def test_two_to_four_objects_of_distinct_colour_and_shape():
    counts = GROUPS.present.sum(1)
    assert set(counts.tolist()) == {2, 3, 4}
    for i in range(len(GROUPS)):
        pairs = [(thing["colour"], thing["shape"]) for thing in objects(i)]
        assert len(set(pairs)) == len(pairs)
    assert all(set(GROUPS.objects.names(factor)) == set(FACTORS[factor]) for factor in ("colour", "shape", "size"))


def test_pictures_and_masks():
    assert PICTURES.shape == (400, 3, 32, 32)
    assert PICTURES.min() >= 0
    assert PICTURES.max() <= 1
    assert (MASKS.sum(1) <= 1).all()  # no pixel twice
    assert not MASKS[~GROUPS.present].any()
    assert (MASKS[GROUPS.present].sum((1, 2)) >= 15).all()


def test_little_of_an_object_is_hidden():
    disc = 3.14159 * torch.tensor(GROUP_RADII)[GROUPS.objects.size] ** 2 * 16**2
    ball = (GROUPS.objects.shape == 0) & GROUPS.present.flatten()
    seen = MASKS.flatten(0, 1).sum((1, 2))
    assert (seen[ball] / disc[ball] > 0.75).all()
    assert (seen[ball] / disc[ball]).mean() > 0.95


def test_a_mask_lies_around_its_object():
    line = (torch.arange(32) + 0.5) / 16 - 1
    weight = MASKS / MASKS.sum((2, 3), keepdim=True).clamp(min=1)
    centre = torch.stack([(weight * line).sum((2, 3)), (weight * -line[:, None]).sum((2, 3))], dim=2)
    assert (centre - POSITIONS)[GROUPS.present].norm(dim=1).max() < 0.25  # a cone's middle is not its axis' middle


def test_pixels_outside_all_masks_and_shadows_do_not_change_with_the_objects():
    changed, _ = render_groups(type(GROUPS)(GROUPS.objects.change("red"), GROUPS.present))
    difference = (changed - PICTURES).abs().amax(1)
    assert difference[MASKS.any(1)].mean() > 0.2
    assert (difference[~MASKS.any(1)] > 0.02).float().mean() < 0.1  # edges alone


def test_captions_are_true_and_name_all_objects():
    for i, text in enumerate(group_captions(GROUPS)):
        one, relation, two, *others = RELATION.split(text)
        named = [place(i, phrase) for phrase in (one, two, *others[1::2])]
        assert sorted(named) == list(range(len(objects(i)))), text
        assert holds(i, named[0], relation, named[1]), text


def test_referring_expressions_fit_their_object_alone():
    texts, target = referring_expressions(GROUPS)
    for i, text in enumerate(texts):
        one, relation, two = RELATION.split(text)
        assert place(i, one) == target[i]
        assert holds(i, place(i, one), relation, place(i, two)), text
    assert all((target == k).sum() > 20 for k in range(PLACES))


def test_every_object_can_be_referred_to():
    for k in range(PLACES):
        there = GROUPS.present[:, k]
        target = torch.where(there, k, 0)
        for i, text in enumerate(expressions_for(GROUPS, target)):
            one, relation, two = RELATION.split(text)
            assert place(i, one) == target[i]
            assert holds(i, int(target[i]), relation, place(i, two)), text


def test_who_is_unnamed_is_a_thing_and_all_else_stays():
    unnamed = GROUPS.present.sum(1) - 1
    for row, k, with_thing in zip(phrases(GROUPS), unnamed.tolist(), phrases(GROUPS, unnamed), strict=True):
        assert with_thing == [*row[:k], "thing", *row[k + 1 :]]
    texts, target = referring_expressions(GROUPS)
    for text, full in zip(expressions_for(GROUPS, target, unnamed=True), texts, strict=True):
        assert RELATION.split(text)[1:] == RELATION.split(full)[1:]
        assert text.startswith("the thing ")


def test_what_is_said_beside_a_thing_is_true_of_others():
    """A third object by its colour alone, where there is one."""
    target = GROUPS.present.sum(1) - 1
    short = expressions_for(GROUPS, target, unnamed=True)
    thirds = []
    for i, (text, beginning) in enumerate(zip(thing_captions(GROUPS, target), short, strict=True)):
        more = text.removeprefix(beginning)
        assert bool(more) == (len(objects(i)) > 2)
        if more:
            named = {int(target[i]), place(i, RELATION.split(beginning)[2])}
            (article, colour, thing) = more.removeprefix(" and ").split()
            assert (article, thing) == ("an" if colour == "orange" else "a", "object")
            fitting = [k for k, facts in enumerate(objects(i)) if facts["colour"] == colour and k not in named]
            assert fitting, text
            thirds.append(fitting[0])
    assert len(set(thirds)) > 1


def test_pairs_that_are_held_out_never_occur_and_others_stay_common():
    pairs = [("red", "cube"), ("blue", "torus"), ("pink", "cone")]
    objects = sample_groups(2000, seed=3, hold_out=pairs).objects
    drawn = set(zip(objects.names("colour"), objects.names("shape"), strict=True))
    assert len(drawn) == 45
    assert not drawn & set(pairs)
    same = sample_groups(20, seed=3, hold_out=())
    assert torch.equal(same.objects.colour, sample_groups(20, seed=3).objects.colour)


def test_every_word_has_a_token_and_every_sentence_room():
    texts = [*group_captions(GROUPS), *referring_expressions(GROUPS)[0]]
    assert (encode(texts, GROUP_LENGTH) != UNKNOWN).all()


def test_the_same_scene_in_every_chunk_slice_and_on_every_device(device):
    groups = sample_groups(400, seed=0, device=device)[10:30]
    picture, mask = render_groups(groups, chunk_size=7)
    torch.testing.assert_close(picture.cpu(), PICTURES[10:30], atol=2e-3 if device.type == "cuda" else 1e-4, rtol=0)
    assert torch.equal(mask.cpu(), MASKS[10:30])
    assert group_captions(groups) == group_captions(GROUPS)[10:30]
    assert not torch.equal(sample_groups(400, seed=1).objects.shape, GROUPS.objects.shape)
    assert len(render_groups(GROUPS[:0])[0]) == 0


@pytest.mark.usefixtures("as_a_user")
def test_bad_requests_are_refused_by_name():
    with pytest.raises(ValueError, match="n: expected a number of scenes"):
        sample_groups(-1, seed=0)
    with pytest.raises(ValueError, match="background: expected"):
        sample_groups(1, seed=0, background=2)
    with pytest.raises(ValueError, match="chunk_size: expected at least 1, got 0"):
        render_groups(GROUPS, chunk_size=0)
    with pytest.raises(ValueError, match=r'hold_out: expected pairs such as \("red", "cube"\), got \'cube red\''):
        sample_groups(1, seed=0, hold_out=[("cube", "red")])
    every = [(colour, shape) for colour in FACTORS["colour"] for shape in FACTORS["shape"]]
    with pytest.raises(ValueError, match="hold_out: expected at least 4 pairs to be left, got 3"):
        sample_groups(1, seed=0, hold_out=every[3:])
    for speak in (expressions_for, thing_captions):
        with pytest.raises(ValueError, match="target: expected places where objects stand, got 3"):
            speak(GROUPS, torch.full((400,), 3))
    with pytest.raises(ValueError, match="slice"):
        GROUPS[::2]
