"""Lessons say what is true, what is shown is another picture of the same thing, and every task learns."""

import re

import pytest
import torch
import torch.nn.functional as F

from embedcourse.losses import ClipLoss, dice_loss
from embedcourse.models.find_scenes import (
    CLASSES,
    WEIGHTS,
    FrozenEncoders,
    Lessons,
    SceneEncoder,
    SceneFIND,
    WordEncoder,
    class_map,
    class_names,
    find_objective,
    lessons,
    one_pixel_each,
)
from embedcourse.models.text_transformer import TextTransformer
from embedcourse.training import fit
from embedcourse.world import FACTORS, encode
from embedcourse.world.scenes import GROUP_LENGTH, group_captions, sample_groups, thing_captions
from embedcourse.world.text import VOCABULARY, WORDS, decode

N = 60
GROUPS, LESSONS = sample_groups(N, seed=5), lessons(N, seed=5)
RELATION = re.compile(r" (left of|right of|above|below) ")


def small_model(seed: int = 0) -> SceneFIND:
    """Untrained, but with batch norms that have seen pictures: else all pictures look alike to it."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        encoders = FrozenEncoders(width=4, embedding_dim=16)
        for _ in range(30):
            encoders.vision(LESSONS.pictures)
        return SceneFIND(encoders)


def named(text: str, factor: str) -> int:
    """The value of a factor that a phrase names."""
    (found,) = [i for i, words in enumerate(WORDS[factor]) for word in words if word in text.split()]
    return found


def test_encoders_shapes_and_places(device):
    vision = SceneEncoder(4, 16).to(device)(LESSONS.pictures[:3].to(device))
    assert [tuple(x.shape) for x in vision] == [(3, 8, 16, 16), (3, 16, 8, 8), (3, 16)]
    encoder = SceneEncoder(4, 16).eval()
    changed = LESSONS.pictures[:1].clone()
    changed[..., :8, :8] = 0
    difference = (encoder(changed).fine - encoder(LESSONS.pictures[:1]).fine).abs().amax((0, 1))
    assert difference[:4, :4].max() > 0
    assert difference[8:, 8:].max() == 0  # a place of the fine map knows its surroundings alone


def test_words_are_read_as_by_the_text_transformer(generator):
    """The same weights in a TextTransformer, whose mean of all words, projected, is the mean of the projected words."""
    encoder = WordEncoder(16, 8)
    twin = TextTransformer(len(VOCABULARY), GROUP_LENGTH, 16)
    twin.load_state_dict({k: v for k, v in encoder.state_dict().items() if not k.startswith("projection")})
    tokens = LESSONS.captions[:10]
    torch.testing.assert_close(encoder(tokens), encoder.projection(twin(tokens)))
    assert not encoder.read(tokens)[tokens == 0].any()
    torch.testing.assert_close(encoder.read(tokens).sum(1) / (tokens != 0).sum(1, keepdim=True), encoder(tokens))


def test_captions_and_expressions_are_those_of_the_scenes():
    assert decode(LESSONS.captions) == group_captions(GROUPS)
    related = 0
    for place in range(4):
        for i, text in enumerate(decode(LESSONS.expressions[:, place])):
            k = place if GROUPS.present[i, place] else 0
            own = RELATION.split(text)[0]
            assert named(own, "colour") == LESSONS.colour[i, k]
            assert named(own, "shape") == LESSONS.shape[i, k]
            assert (RELATION.search(text) is not None) == ((k - int(LESSONS.shown[i])) % 2 == 0)
            related += RELATION.search(text) is not None
    assert 0.4 < related / (4 * N) < 0.75


def test_what_is_shown_is_not_named():
    full = decode(LESSONS.expressions[torch.arange(N), LESSONS.shown])
    for with_thing, text in zip(decode(LESSONS.with_thing), full, strict=True):
        assert with_thing == "the thing " + text[RELATION.search(text).start() + 1 :]
    assert decode(LESSONS.caption_with_thing) == thing_captions(GROUPS, LESSONS.shown)
    assert GROUPS.present[torch.arange(N), LESSONS.shown].all()
    assert set(LESSONS.shown.tolist()) == {0, 1, 2, 3}


def test_another_picture_shows_a_thing_of_the_same_colour_alone():
    """Colours of the pixels inside the region are nearer to those of the object that is shown than to most others."""
    own = LESSONS.masks[torch.arange(N), LESSONS.shown]
    assert (LESSONS.regions.sum((1, 2, 3)) >= 15).all()
    assert not torch.equal(LESSONS.others, LESSONS.pictures)

    def hue(pictures, masks):
        return F.normalize((pictures * masks[:, None]).sum((2, 3)) / masks.sum((1, 2))[:, None] - 0.3, dim=1)

    there, here = hue(LESSONS.others, LESSONS.regions[:, 0]), hue(LESSONS.pictures, own)
    place = (there @ here.T).argsort(dim=1, descending=True).argsort(dim=1).diagonal()
    assert place.double().mean() < N / 6


def test_pairs_that_are_held_out_are_neither_seen_nor_named():
    held_out = [("red", "cube"), ("blue", "sphere")]
    part = lessons(200, seed=6, hold_out=held_out)
    pairs = {
        (FACTORS["colour"][c], FACTORS["shape"][s])
        for c, s in zip(part.colour.flatten(), part.shape.flatten(), strict=True)
    }
    assert len(pairs) == 46
    assert not pairs & set(held_out)


@pytest.mark.parametrize(
    ("kind", "count", "example"),
    [("colour", 8, "a red object"), ("shape", 6, "a sphere"), ("colour and shape", 48, "a red sphere")],
)
def test_every_pixel_has_its_class(kind, count, example):
    names, truth = class_names(kind), class_map(LESSONS, kind)
    assert len(names) == count
    assert names[0] == example
    for i in range(10):
        for y, x in torch.randint(32, (20, 2)).tolist():
            inside = [k for k in range(4) if LESSONS.masks[i, k, y, x]]
            if not inside:
                assert truth[i, y, x] == count
                continue
            name = names[int(truth[i, y, x])]
            if "colour" in kind:
                assert named(name, "colour") == LESSONS.colour[i, inside[0]]
            if "shape" in kind:
                assert named(name, "shape") == LESSONS.shape[i, inside[0]]


def test_a_click_is_a_pixel_of_its_mask(device):
    masks = LESSONS.masks.to(device)
    clicks = one_pixel_each(masks)
    assert torch.equal(clicks.sum((2, 3)) == 1, masks.any(3).any(2))
    assert not (clicks & ~masks).any()
    many = torch.stack([one_pixel_each(masks[:1, 0:1])[0, 0] for _ in range(60)]).any(0)
    assert many.sum() > 20  # now here, now there


def test_encoders_stay_frozen_while_the_interface_learns():
    model = small_model()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    history = fit(model, find_objective, tuple(LESSONS), steps=3, batch_size=20, lr=1e-2, device="cpu", progress=False)
    assert history.terms.keys() == {"loss", "gradient norm", *WEIGHTS}
    after = model.state_dict()
    assert all(torch.equal(x, after[name]) for name, x in before.items() if name.startswith("encoders"))
    changed = [name for name, x in before.items() if not torch.equal(x, after[name])]
    assert len(changed) == len(list(model.interface.parameters()))


@pytest.mark.parametrize("task", WEIGHTS)
def test_each_task_alone_can_be_learned_by_heart(task):
    """A few scenes, seen again and again: the loss falls well below where it began."""
    data = tuple(x[:12] for x in LESSONS)

    def objective(model, *batch):
        return find_objective(model, *batch, tasks=[task])

    history = fit(small_model(), objective, data, steps=30, batch_size=12, lr=4e-3, device="cpu", progress=False)
    assert sum(history.loss[-5:]) / 5 < 0.8 * sum(history.loss[:5]) / 5


def test_the_loss_is_the_weighted_sum_of_what_each_answer_costs():
    model = small_model()
    batch = Lessons(*(x[:8] for x in LESSONS))
    terms = find_objective(model, *batch)
    assert terms["loss"].item() == pytest.approx(sum(WEIGHTS[task] * terms[task].item() for task in WEIGHTS), rel=1e-5)
    vision = model.see(batch.pictures)
    asked = [model.phrases(batch.expressions), model.whole(8), model.caption(batch.captions)]
    found, image, text = model.interface(vision, asked)
    there = torch.stack([found.masks[i, k] for i in range(8) for k in range(4) if batch.masks[i, k].any()])
    truth = torch.stack([batch.masks[i, k] for i in range(8) for k in range(4) if batch.masks[i, k].any()])
    expected = F.binary_cross_entropy_with_logits(there, truth.float()) + dice_loss(there, truth)
    torch.testing.assert_close(terms["grounding"], expected.detach())
    retrieval = ClipLoss()(image.semantic[:, 0], text.semantic[:, 0], 1 / 0.07)
    torch.testing.assert_close(terms["retrieval"], retrieval.detach(), rtol=1e-3, atol=1e-3)
    region = model.region(batch.others, batch.regions)
    asked = [
        model.shown("interleaved grounding", batch.with_thing, region),
        model.shown("interleaved retrieval", batch.caption_with_thing, region),
    ]
    found, text = model.interface(vision, asked)
    masks, truth = found.masks[:, 0], batch.masks[torch.arange(8), batch.shown]
    expected = F.binary_cross_entropy_with_logits(masks, truth.float()) + dice_loss(masks, truth)
    torch.testing.assert_close(terms["interleaved grounding"], expected.detach())
    retrieval = ClipLoss()(image.semantic[:, 0], text.semantic[:, 0], 1 / 0.07)
    torch.testing.assert_close(terms["interleaved retrieval"], retrieval.detach(), rtol=1e-3, atol=1e-3)


def test_every_way_to_ask_gives_the_answer_of_the_interface():
    model, part = small_model(1), Lessons(*(x[:6] for x in LESSONS))
    vision, names = model.see(part.pictures), class_names("shape")
    clicks, region = one_pixel_each(part.masks), model.region(part.others, part.regions)
    asked = [
        model.classes(encode(names), 6),
        model.phrases(part.expressions[:, :1]),
        model.clicks(vision, clicks),
        model.shown("interleaved grounding", part.with_thing, region),
        model.whole(6),
        model.caption(part.captions),
        model.shown("interleaved retrieval", part.caption_with_thing, region),
    ]
    with torch.no_grad():
        classes, phrase, clicked, shown, image, text, mixed = model.interface(vision, asked)
    assert torch.equal(model.segment(part.pictures, names), F.pad(classes.masks, (0, 0, 0, 0, 0, 1)).argmax(1))
    sentences = decode(part.expressions[:, 0])
    with_thing, caption_with_thing = decode(part.with_thing), decode(part.caption_with_thing)
    for found, expected in (
        (model.ground(part.pictures, sentences), phrase.masks[:, 0]),
        (model.select(part.pictures, clicks), clicked.masks),
        (model.ground_shown(part.pictures, with_thing, part.others, part.regions), shown.masks[:, 0]),
        (model.embed_image(part.pictures), image.semantic[:, 0]),
        (model.embed_text(decode(part.captions)), text.semantic[:, 0]),
        (model.embed_shown(caption_with_thing, part.others, part.regions), mixed.semantic[:, 0]),
    ):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        assert not found.requires_grad


def test_the_frozen_part_never_trains():
    model = small_model().train()
    assert model.interface.training
    assert not any(part.training for part in model.encoders.modules())
    assert not any(parameter.requires_grad for parameter in model.encoders.parameters())
    terms = find_objective(model, *(x[:8] for x in LESSONS))
    terms["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.interface.parameters())


def test_segmentation_asks_for_the_classes_that_occur_alone():
    from embedcourse.models.find_scenes import occurring

    part = Lessons(*(x[:3] for x in LESSONS))
    for kind in CLASSES:
        names, truth = occurring(part, kind)
        full = class_map(part, kind)
        every = encode(class_names(kind))
        assert set(truth.unique().tolist()) == set(range(len(names) + 1))
        background = truth == len(names)
        assert torch.equal(background, full == len(every))
        assert torch.equal(names[truth[~background]], every[full[~background]])


@pytest.mark.usefixtures("as_a_user")
def test_bad_requests_are_refused_by_name():
    model = small_model()
    with pytest.raises(ValueError, match="x: expected pictures"):
        SceneEncoder(4, 16)(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match="kind: expected one of colour, shape, colour and shape; got 'size'"):
        class_names("size")
    for tasks in ([], ["grounding", "counting"]):
        with pytest.raises(ValueError, match="tasks: expected some of segmentation, grounding"):
            find_objective(model, *LESSONS, tasks=tasks)
    with pytest.raises(ValueError, match="regions: expected one for each of 0 places, got 2"):
        model.shown("interleaved retrieval", LESSONS.captions[:2], torch.zeros(2, 64))
