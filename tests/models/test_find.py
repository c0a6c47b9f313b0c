"""The interface: who sees whom, attention against a loop and against torch, masks by hand, and answers that stay."""

import math

import pytest
import torch
from torch import nn

from embedcourse.models.find import (
    FIND,
    TASKS,
    Attention,
    InterfaceLayer,
    Question,
    Vision,
    conditional_mask,
    content_mask,
    interleave,
    mask_logits,
    pooled,
    waves,
)

SMALL = {"feature_dim": 6, "fine_dim": 5, "dim": 8, "layers": 2, "heads": 2}


def vision_of(n: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Vision:
    shapes = ((n, 5, 8, 8), (n, 6, 4, 4), (n, 6))
    return Vision(*(torch.randn(shape, generator=generator).to(device) for shape in shapes))


def question(task: str, n: int, queries: int, prompts: int, generator: torch.Generator) -> Question:
    given = torch.rand(n, queries, prompts, generator=generator) < 0.7
    given[..., :1] = True
    return Question(task, torch.randn(n, queries, prompts, 8, generator=generator), given)


def all_questions(n: int, generator: torch.Generator) -> list[Question]:
    sizes = {"segmentation": (3, 1), "image retrieval": (1, 0), "grounding": (2, 4)}
    return [question(task, n, *sizes.get(task, (1, 3)), generator) for task in TASKS]


def small_find(generator: torch.Generator) -> FIND:
    """A model in which every weight matters: none is zero, none of the gains one."""
    model = FIND(**SMALL)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.4
    return model.eval()


def test_who_sees_whom_by_hand():
    """Two queries; the first has two prompts of which one is given, the second has one."""
    given = torch.tensor([[True, False, True]])
    sees = conditional_mask(given, torch.tensor([0, 0, 1]), 2)
    expected = [
        [1, 0, 1, 0, 0],
        [0, 1, 0, 0, 1],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
    ]
    assert sees[0].int().tolist() == expected


def test_who_sees_whom_in_words(generator):
    queries, owner = 4, torch.tensor([0, 0, 0, 1, 3, 3])
    given = torch.rand(5, 6, generator=generator) < 0.6
    sees = conditional_mask(given, owner, queries)
    for scene in range(5):
        for row in range(10):
            for column in range(10):
                a = row if row < queries else int(owner[row - queries])
                if row == column:
                    expected = True
                elif column < queries:
                    expected = False
                else:
                    expected = bool(given[scene, column - queries]) and a == int(owner[column - queries])
                assert sees[scene, row, column] == expected, (scene, row, column)


def test_what_queries_read_by_hand():
    """The first query reads the picture of two patches, the second its own words."""
    given = torch.tensor([[True, True, True, False]])
    reads = content_mask(given, torch.tensor([0, 1, 1, 1]), torch.tensor([True, False]), 2)
    assert reads[0].int().tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 0]]


def test_attention_is_a_loop(device, dtype, generator):
    attention = Attention(6, 2).to(device, dtype)
    x, memory = (torch.randn(2, k, 6, generator=generator).to(device, dtype) for k in (3, 4))
    sees = (torch.rand(2, 3, 4, generator=generator) < 0.6).to(device)
    sees[..., 0] = True
    taken = torch.zeros_like(x)
    q, k, v = (
        layer(y).detach() for layer, y in ((attention.query, x), (attention.key, memory), (attention.value, memory))
    )
    for n in range(2):
        for row in range(3):
            for part in (slice(0, 3), slice(3, 6)):
                weights = [
                    math.exp(float(q[n, row, part] @ k[n, m, part]) / math.sqrt(3)) if sees[n, row, m] else 0.0
                    for m in range(4)
                ]
                taken[n, row, part] = sum(w / sum(weights) * v[n, m, part] for m, w in enumerate(weights))
    torch.testing.assert_close(attention(x, memory, sees), attention.output(taken), atol=1e-5, rtol=1e-5)


def test_a_layer_is_made_of_torchs_own_parts(device, generator):
    """Post-norm: the same numbers from torch's MultiheadAttention with the same weights, where a mask forbids."""
    layer = InterfaceLayer(8, 2).to(device)
    queries, prompts, features = (torch.randn(2, k, 8, generator=generator).to(device) for k in (2, 3, 5))
    reads = torch.ones(2, 2, 5, dtype=torch.bool, device=device)
    reads[:, 0, 3:] = False
    sees = conditional_mask(
        torch.ones(2, 3, dtype=torch.bool, device=device), torch.tensor([0, 0, 1], device=device), 2
    )

    def torchs(own: Attention, x, memory, allowed):
        theirs = nn.MultiheadAttention(8, 2, batch_first=True, device=device)
        parts = (own.query, own.key, own.value)
        theirs.in_proj_weight.data = torch.cat([part.weight.data for part in parts])
        theirs.in_proj_bias.data = torch.cat([part.bias.data for part in parts])
        theirs.out_proj.load_state_dict(own.output.state_dict())
        return theirs(x, memory, memory, attn_mask=~allowed.repeat_interleave(2, dim=0))[0]

    a = layer.norms[0](queries + torchs(layer.content, queries, features, reads))
    x = torch.cat([a, prompts], dim=1)
    x = layer.norms[1](x + torchs(layer.conditional, x, x, sees))
    x = layer.norms[2](x + layer.feed_forward(x))
    found = layer(queries, prompts, features, reads, sees)
    torch.testing.assert_close(torch.cat(found, dim=1), x, atol=1e-5, rtol=1e-5)
    as_last, unchanged = layer(queries, prompts, features, reads, sees, last=True)
    torch.testing.assert_close(as_last, x[:, :2], atol=1e-5, rtol=1e-5)
    assert torch.equal(unchanged, prompts)


def test_a_mask_by_hand():
    """A map of 2 × 2 with four numbers a pixel: the products, halved, then bilinear to 4 × 4."""
    pixels = torch.tensor([[[1.0, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [1, 0]], [[0, 0], [0, 1]]])[None]
    query = torch.tensor([[[2.0, -2, 4, 0]]])
    assert mask_logits(query, pixels, 2)[0, 0].tolist() == [[1, -1], [2, 0]]
    wide = mask_logits(query, pixels, 4)[0, 0]
    assert wide[0].tolist() == [1, 0.5, -0.5, -1]
    assert wide[:, 0].tolist() == [1, 1.25, 1.75, 2]


def test_a_mask_is_drawn_pixel_by_pixel(generator):
    """On maps of one size: what a pixel shows beside its patch and the query share, less the query's own threshold."""
    model = small_find(generator)
    queries, fine, patches = (
        torch.randn(shape, generator=generator) for shape in ((2, 3, 8), (2, 5, 4, 4), (2, 8, 4, 4))
    )
    masks = model.draw(queries, fine, patches, 4)
    for n, q, y, x in [(0, 0, 0, 0), (0, 2, 1, 3), (1, 1, 3, 2)]:
        shown = model.lateral.weight[:, :, 0, 0] @ fine[n, :, y, x] + model.lateral.bias + patches[n, :, y, x]
        pixel = shown + model.pixel_map(shown[:, None, None])[:, 0, 0]
        wanted = model.pixel(queries[n, q])
        expected = (queries[n, q] + wanted[:8]) @ pixel / math.sqrt(8) - wanted[8]
        torch.testing.assert_close(masks[n, q, y, x], expected, atol=1e-4, rtol=1e-4)


def test_every_cell_has_waves_of_its_own():
    cells = waves(torch.zeros(2, 3, 8, 6))
    assert torch.equal(cells[0], cells[1])
    assert torch.pdist(cells[0].flatten(1).T).min() > 0.1


def test_a_patch_hears_its_neighbours_and_no_others(generator):
    model, vision = small_find(generator), vision_of(1, generator)
    before = model.patch_tokens(vision)
    changed = vision.patches.clone()
    changed[:, :, 0, 0] = changed[:, :, 0, 0].flip(1)
    differ = (model.patch_tokens(vision._replace(patches=changed)) - before).abs().amax((0, 1)) > 1e-6
    assert differ.tolist() == [[y < 2 and x < 2 for x in range(4)] for y in range(4)]
    fine = vision.fine.clone()
    fine[:, :, 7, 7] += 1  # of the last patch
    differ = (model.patch_tokens(vision._replace(fine=fine)) - before).abs().amax((0, 1)) > 1e-6
    assert differ.tolist() == [[y > 1 and x > 1 for x in range(4)] for y in range(4)]
    assert not torch.allclose(*model.patch_tokens(Vision(*(x * 0 for x in vision)))[0, :, 1, 1:3].T)  # their places


def test_pictures_stand_in_the_place_of_words_in_reading_order(generator):
    words = torch.randn(2, 1, 4, 3, generator=generator)
    places = torch.tensor([[[False, True, False, False]], [[True, False, False, True]]])
    regions = torch.randn(3, 3, generator=generator)
    mixed = interleave(words, places, regions)
    expected = words.clone()
    expected[0, 0, 1], expected[1, 0, 0], expected[1, 0, 3] = regions
    assert torch.equal(mixed, expected)
    assert torch.equal(interleave(words, places & False, regions[:0]), words)


def test_the_mean_of_what_is_given(device, generator):
    x, given = torch.randn(3, 2, 4, 5, generator=generator), torch.rand(3, 2, 4, generator=generator) < 0.5
    given[0, 0] = False
    found = pooled(x.to(device), given.to(device)).cpu()
    for i in range(3):
        for j in range(2):
            own = x[i, j][given[i, j]]
            torch.testing.assert_close(found[i, j], own.mean(0) if len(own) else torch.zeros(5))


def test_a_region_is_the_mean_of_its_features(generator):
    """A region of whole cells, and a click: the cell that holds the pixel. An empty region is a picture of nothing."""
    model, vision = small_find(generator), vision_of(2, generator)
    region = torch.zeros(2, 3, 16, 16, dtype=torch.bool)
    region[:, 0, 4:12, :4] = True  # two of the four rows of patches, the first column
    region[:, 1, 9, 14] = True
    found = model.region_prompts(vision, region, placed=False)
    patches, fine = vision.patches.movedim(1, -1), vision.fine.movedim(1, -1)
    means = (patches[:, 1:3, 0].mean(1), fine[:, 2:6, :2].mean((1, 2))), (patches[:, 2, 3], fine[:, 4, 7])
    for k, (coarse, close) in enumerate(means):
        torch.testing.assert_close(found[:, k], model.project(coarse) + model.fine(close))
    nothing = model.project(torch.zeros(6)) + model.fine.bias
    torch.testing.assert_close(found[:, 2], nothing.expand(2, -1))
    where = model.region_prompts(vision, region, placed=True) - found
    torch.testing.assert_close(where[:, 1], model.place(waves(vision.fine)[:, :, 4, 7]))


def test_the_order_of_words_tells_sentences_apart(generator):
    model, vision = small_find(generator), vision_of(1, generator)
    words, given = torch.randn(1, 1, 5, 6, generator=generator), torch.ones(1, 1, 5, dtype=torch.bool)
    there, back = (
        model(vision, [Question("text retrieval", model.word_prompts(x), given)])[0].semantic
        for x in (words, words.flip(2))
    )
    assert not torch.allclose(there, back, atol=1e-3)
    torch.testing.assert_close(model.word_prompts(words) - model.order[:5], model.project(words))


def test_a_region_takes_the_place_of_a_word_and_its_place_in_the_sentence(generator):
    model, words = small_find(generator), torch.randn(2, 1, 5, 6, generator=generator)
    places = torch.zeros(2, 1, 5, dtype=torch.bool)
    places[0, 0, 3] = places[1, 0, 1] = True
    regions = torch.randn(2, 8, generator=generator)
    expected = model.word_prompts(words)
    expected[0, 0, 3], expected[1, 0, 1] = regions + model.order[[3, 1]]
    torch.testing.assert_close(model.word_prompts(words, places, regions), expected)


def test_shapes_and_unit_embeddings(device, generator):
    model = FIND(**SMALL).to(device)
    asked = [Question(q.task, q.prompts.to(device), q.given.to(device)) for q in all_questions(3, generator)]
    answers = model(vision_of(3, generator, device), asked, size=32)
    for answer, q in zip(answers, asked, strict=True):
        queries = q.given.shape[1]
        assert answer.semantic.shape == (3, queries, 8)
        assert answer.masks.shape == (3, queries, 32, 32)
        torch.testing.assert_close(answer.semantic.norm(dim=2), torch.ones(3, queries, device=device))


def test_an_answer_is_the_same_asked_alone_and_with_others(generator):
    model, vision, asked = small_find(generator), vision_of(2, generator), all_questions(2, generator)
    together = model(vision, asked)
    for own, q in zip(together, asked, strict=True):
        alone = model(vision, [q])[0]
        torch.testing.assert_close(own.semantic, alone.semantic, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(own.masks, alone.masks, atol=1e-4, rtol=1e-4)
    one = asked[list(TASKS).index("grounding")]
    first = model(vision, [Question(one.task, one.prompts[:, :1], one.given[:, :1])])[0]
    torch.testing.assert_close(first.masks, together[list(TASKS).index("grounding")].masks[:, :1], atol=1e-4, rtol=1e-4)


def test_what_is_not_given_does_not_matter(generator):
    model, vision = small_find(generator), vision_of(2, generator)
    for q in all_questions(2, generator):
        other = Question(q.task, torch.where(q.given[..., None], q.prompts, 100.0), q.given)
        for a, b in zip(model(vision, [q])[0], model(vision, [other])[0], strict=True):
            torch.testing.assert_close(a, b)


def test_prompts_and_pictures_that_a_task_reads_do_matter(generator):
    """What a query reads changes its embedding; what it does not read leaves it as it was."""
    model, vision, asked = small_find(generator), vision_of(2, generator), all_questions(2, generator)
    other = vision_of(2, generator)
    for q in asked:
        task = TASKS[q.task]
        before = model(vision, [q])[0].semantic
        assert torch.allclose(model(other, [q])[0].semantic, before, atol=1e-5) == (task.content == "language")
        if task.prompts:
            changed = Question(q.task, q.prompts.flip(-1), q.given)
            assert not torch.allclose(model(vision, [changed])[0].semantic, before, atol=1e-3)


def test_every_weight_learns(generator):
    model, vision = FIND(**SMALL), vision_of(2, generator)
    region = torch.rand(2, 1, 16, 16, generator=generator) < 0.5
    prompt = model.region_prompts(vision, region, placed=True)[:, :, None]
    words = model.word_prompts(torch.randn(2, 1, 32, 6, generator=generator))
    sentence = Question("text retrieval", words, torch.ones(2, 1, 32, dtype=torch.bool))
    asked = [
        *all_questions(2, generator),
        sentence,
        Question("interactive", prompt, torch.ones(2, 1, 1, dtype=torch.bool)),
    ]
    loss = sum((a.semantic**3).sum() + (a.masks**2).sum() for a in model(vision, asked)) + model.scale
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # The bias of keys moves all logits of a softmax alike.
        assert parameter.grad.abs().sum() > 0 or name.endswith("key.bias"), name


def test_the_scale_is_limited():
    model = FIND(**SMALL)
    assert model.scale.item() == pytest.approx(1 / 0.07)
    for far, limit in ((10.0, 100), (-10.0, 1)):
        model.logit_scale.data.fill_(far)
        model.clamp_logit_scale()
        assert model.scale.item() == pytest.approx(limit)


@pytest.mark.usefixtures("as_a_user")
def test_what_cannot_be_asked_is_refused_by_name(generator):
    model, vision = FIND(**SMALL), vision_of(2, generator)
    q = question("grounding", 2, 1, 3, generator)
    with pytest.raises(ValueError, match=r"task: expected one of segmentation, .*; got 'counting'"):
        model(vision, [q._replace(task="counting")])
    with pytest.raises(ValueError, match="prompts: image retrieval has none, got 3 for each query"):
        model(vision, [q._replace(task="image retrieval")])
    with pytest.raises(ValueError, match="given: expected at least one prompt for each query of grounding"):
        model(vision, [q._replace(given=q.given & False)])
    with pytest.raises(ValueError, match="questions: expected at least one"):
        model(vision, [])
    with pytest.raises(ValueError, match="words: expected at most 32 a sentence, got 33"):
        model.word_prompts(torch.zeros(1, 33, 6))
    with pytest.raises(ValueError, match="regions: expected one for each of 2 places, got 1"):
        interleave(torch.zeros(2, 3, 4), torch.tensor([[True, False, False]] * 2), torch.zeros(1, 4))
    with pytest.raises(ValueError, match=r"owner: expected numbers of the 2 queries, got \[0, 2\]"):
        conditional_mask(torch.ones(1, 2, dtype=torch.bool), torch.tensor([0, 2]), 2)
    with pytest.raises(ValueError, match="heads: expected a divisor of dim 8, got 3"):
        FIND(**SMALL | {"heads": 3})
