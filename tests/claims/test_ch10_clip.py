"""Chapter 10 holds out what it says, and counts as named what agrees in every factor that is asked for."""

import pytest
import torch
from torch import nn

from embedcourse.claims.ch10_clip import HELD_OUT, TEMPLATES, accuracy, found_by_search, labels_of
from embedcourse.world import FACTORS, sample

READ = ("size", "colour", "material", "shape")
WORDS = [word for factor in READ for word in FACTORS[factor]]


class Reader(nn.Module):
    """Embeds a sentence as the words that it has, and a scene as the words for its values."""

    def embed_text(self, texts: list[str]) -> torch.Tensor:
        rows = torch.tensor([[float(word in text.split()) for word in WORDS] for text in texts])
        return rows / rows.norm(dim=1, keepdim=True)

    def embed_scenes(self, scenes) -> torch.Tensor:
        return self.embed_text([" ".join(names) for names in zip(*map(scenes.names, READ), strict=True)])


@pytest.mark.parametrize("factors", [("colour",), ("shape", "colour"), ("colour", "shape", "material")])
@pytest.mark.parametrize("templates", [TEMPLATES[:1], TEMPLATES])
def test_who_reads_every_word_names_every_combination(factors, templates):
    scenes, reader = sample(100, seed=0), Reader()
    assert accuracy(reader, reader.embed_scenes(scenes), scenes, *factors, templates=templates) == 1


def test_one_wrong_factor_is_enough_to_be_wrong():
    scenes, reader = sample(300, seed=0), Reader()
    all_red = reader.embed_scenes(scenes.change("red"))
    red = (scenes.colour == 0).double().mean().item()
    assert accuracy(reader, all_red, scenes, "shape", templates=TEMPLATES[:1]) == 1
    for factors in (("colour",), ("colour", "shape"), ("shape", "colour")):
        assert accuracy(reader, all_red, scenes, *factors, templates=TEMPLATES[:1]) == pytest.approx(red)


def test_every_colour_and_every_shape_stays_common():
    colours, shapes = zip(*HELD_OUT, strict=True)
    assert sorted(colours) == sorted(FACTORS["colour"])
    assert set(shapes) == set(FACTORS["shape"])
    scenes = sample(2000, seed=0, hold_out=HELD_OUT)
    assert not set(HELD_OUT) & set(zip(scenes.names("colour"), scenes.names("shape"), strict=True))


def test_each_way_of_search_has_its_own_queries():
    """The second caption is nearer to the first picture than to its own; both pictures have their own caption nearest.

    All three times over: whoever is found shares the first three places with its copies.
    """
    images = torch.eye(3)[:2]
    texts = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0]])
    found = dict(found_by_search(images.repeat(3, 1), texts.repeat(3, 1)))
    assert found == {
        "text -> image R@1": 0.0,
        "text -> image R@5": 0.5,
        "image -> text R@1": 0.0,
        "image -> text R@5": 1.0,
    }


def test_labels_are_in_the_order_of_the_factors():
    scenes = sample(20, seed=0)
    labels = labels_of(scenes)
    assert labels.shape == (20, len(FACTORS))
    for column, factor in zip(labels.T, FACTORS, strict=True):
        assert [FACTORS[factor][value] for value in column.tolist()] == scenes.names(factor)
