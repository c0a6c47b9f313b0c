"""Chapter 14's claims: what is picked, what is held out, and what a short run measures."""

import pytest
import torch

from embedcourse.checkpoints.find import HELD_OUT
from embedcourse.claims import ch14_find
from embedcourse.claims.ch14_find import answers, found, interface, picked, segmented, untrained
from embedcourse.models.find_scenes import FrozenEncoders, SceneFIND, class_map, class_names, lessons
from embedcourse.world import prompts

TEST = lessons(20, seed=3)


class Knowing(SceneFIND):
    """Answers from the truth: every pixel has its class but those of one pair, every text is its picture."""

    def __init__(self, lost: str = "") -> None:
        super().__init__(FrozenEncoders(4, 16))
        self.lost = lost

    def segment(self, pictures, names):
        kind = next(kind for kind in ch14_find.CLASSES if class_names(kind) == names)
        truth = class_map(TEST, kind)
        return truth.masked_fill(truth == names.index(self.lost), len(names)) if self.lost in names else truth

    def embed_image(self, pictures):
        return torch.eye(len(pictures))

    def embed_text(self, texts):
        return torch.eye(len(texts))

    def embed_shown(self, texts, others, regions):
        return torch.eye(len(texts)) if regions.any() else torch.eye(len(texts)).roll(1, 0)


def test_the_object_that_the_mask_claims_most_is_picked():
    masks = torch.zeros(2, 4, 6, 6, dtype=torch.bool)
    masks[:, 0, :2, :2] = True  # four pixels
    masks[:, 1, 3:, :] = True  # eighteen
    logits = torch.full((2, 6, 6), -9.0)
    logits[0, :2, :2] = 9  # all of the small one
    logits[0, 3:5, :4] = 9  # more pixels of the large one, but a smaller share
    logits[1, 3:, :] = -1
    assert picked(logits, masks).tolist() == [0, 1]


def test_who_knows_all_is_right_everywhere_and_blanked_nowhere():
    measured = dict(segmented(Knowing(), TEST)) | dict(found(Knowing(), TEST))
    blanked = measured.pop("interleaved -> image R@1, region blanked")
    assert blanked == 0
    assert set(measured.values()) == {1.0}


def test_pairs_never_seen_are_counted_apart():
    names = prompts("colour", "shape", template="a {}")
    occurring = [names[i] for i in class_map(TEST, "colour and shape").unique() if i < 48]
    new = [name for name in occurring if tuple(name.split()[1:]) in HELD_OUT]
    old = [name for name in occurring if name not in new]
    assert new
    lost = dict(segmented(Knowing(new[0]), TEST))
    prefix = "segmentation: mIoU by colour and shape"
    assert lost[prefix] == pytest.approx(1 - 1 / len(occurring))
    assert lost[f"{prefix}, seen pairs"] == 1
    assert lost[f"{prefix}, pairs never seen"] == pytest.approx(1 - 1 / len(new))
    assert dict(segmented(Knowing(old[0]), TEST))[f"{prefix}, seen pairs"] == pytest.approx(1 - 1 / len(old))


def test_an_interface_is_decided_by_its_seed():
    encoders, data = FrozenEncoders(4, 16), lessons(32, seed=4)
    first, again, other = (interface(encoders, data, steps=1, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(x, again[name]) for name, x in first.items())
    assert not torch.equal(first["interface.order"], other["interface.order"])


def test_untrained_encoders_are_decided_by_the_seed_and_have_seen_pictures():
    first, again, other = (untrained(seed, TEST) for seed in (0, 0, 1))
    assert all(torch.equal(x, y) for x, y in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.vision.image_projection.weight, other.vision.image_projection.weight)
    assert first.vision.fine[0][1].running_mean.abs().sum() > 0


def test_answers_need_no_weights_that_are_shipped():
    model = interface(FrozenEncoders(4, 16), lessons(32, seed=4), steps=1)
    measured = dict(answers(model, TEST, 0))
    assert all(0 <= number <= 1 for number in measured.values())
    assert len(measured) == 13


def test_a_short_run_measures_shares(short_run):
    measured = dict(short_run("find"))
    assert measured.pop("CPU seconds of training") > 0
    assert all(0 <= number <= 1 for number in measured.values())
    of_joint = [key for key in measured if key.startswith(("grounding: ", "segmentation: ", "interactive: "))]
    for name in (*ch14_find.ALONE, "random features"):
        assert {f"{name}: {key}" for key in of_joint} <= measured.keys()
