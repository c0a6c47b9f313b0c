"""Collections of the hub are read from files of their form; without them one sentence says why, and nothing waits."""

import builtins
import io
import subprocess
import sys
import time
import urllib.error
import urllib.request

import datasets
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image

from embedcourse.data import hub
from embedcourse.data.augmentations import augmentations, two_views
from embedcourse.data.hub import hub_answers, load_hub_pictures
from embedcourse.data.pictures import Pictures
from embedcourse.losses import VICRegLoss
from embedcourse.models.encoders import SmallCNN
from embedcourse.models.projector import Projector
from embedcourse.models.vicreg import VICReg
from embedcourse.training import fit

FALLBACK = Pictures(torch.zeros(1, 1, 2, 2), torch.zeros(1, dtype=torch.long), ("nothing",))
CLASSES = ["airplane", "automobile", "bird"]
COLUMNS = {"fashion-mnist": "image", "cifar-10": "img"}


def pictures_of(name: str, split: str) -> np.ndarray:
    generator = np.random.default_rng(len(name) + len(split))
    return generator.integers(0, 256, (5, 28, 28) if name == "fashion-mnist" else (5, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def repositories(tmp_path, monkeypatch):
    """Small repositories of the form that the hub has: parquet files of PNG pictures and class numbers, two splits."""
    for name, column in COLUMNS.items():
        features = datasets.Features({column: datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)})
        for split in ("train", "test"):
            rows = {column: [Image.fromarray(p) for p in pictures_of(name, split)], "label": [2, 0, 1, 1, 0]}
            file = tmp_path / name / "plain_text" / f"{split}-00000-of-00001.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            datasets.Dataset.from_dict(rows, features=features).to_parquet(file)
        monkeypatch.setitem(hub.REPOSITORIES, name, str(tmp_path / name))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """A computer that is allowed to ask the hub, and cannot reach it; whatever waits for it fails the test."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    asked = []

    def refuse(request, **_):
        asked.append(request.full_url)
        assert len(asked) == 1
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return asked


@pytest.mark.usefixtures("repositories")
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", COLUMNS)
def test_pictures_and_classes_are_read(name, split):
    images, labels, classes = load_hub_pictures(name, split=split, fallback=FALLBACK)
    pixels = pictures_of(name, split)
    expected = torch.from_numpy(pixels.reshape(*pixels.shape[:3], -1)).permute(0, 3, 1, 2) / 255
    assert torch.equal(images, expected)
    assert labels.tolist() == [2, 0, 1, 1, 0]
    assert labels.dtype == torch.int64
    assert classes == tuple(CLASSES)


@pytest.mark.usefixtures("repositories")
@pytest.mark.parametrize("name", COLUMNS)
def test_a_system_trains_on_them(name):
    images = load_hub_pictures(name, fallback=FALLBACK).images
    channels, augment, loss = images.shape[1], augmentations(), VICRegLoss()
    model = VICReg(SmallCNN(2, channels), Projector(16, 8, 8, 8))

    def objective(model, x):
        x0, x1 = two_views(augment, x)
        return loss(model(x0), model(x1))

    assert fit(model, objective, images, steps=3, batch_size=4, progress=False).steps == 3
    assert model.embed(images).isfinite().all()


@pytest.mark.usefixtures("repositories")
def test_a_limit_takes_the_first_ones():
    few = load_hub_pictures("cifar-10", limit=2, fallback=FALLBACK)
    assert torch.equal(few.images, load_hub_pictures("cifar-10", fallback=FALLBACK).images[:2])
    assert few.labels.tolist() == [2, 0]
    assert len(load_hub_pictures("cifar-10", limit=99, fallback=FALLBACK).images) == 5


def test_without_the_network_one_sentence_says_so_and_nothing_waits(no_network, capfd):
    started = time.perf_counter()
    assert load_hub_pictures("cifar-10", fallback=FALLBACK) is FALLBACK
    assert time.perf_counter() - started < 5
    assert capfd.readouterr() == (
        "cifar-10 is not on this disk and cannot be fetched: the fallback is used instead.\n",
        "",
    )
    assert len(no_network) == 1
    assert not constants.HF_HUB_OFFLINE
    assert not datasets.config.HF_HUB_OFFLINE


def test_a_connection_that_breaks_midway_is_out_of_reach_too(monkeypatch, capfd):
    class ConnectError(Exception):
        pass

    ConnectError.__module__ = "httpx"

    def load_dataset(*_, **__):
        raise datasets.exceptions.DatasetGenerationError("halfway") from ConnectError()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert load_hub_pictures("cifar-10", fallback=FALLBACK) is FALLBACK
    assert "cannot be fetched" in capfd.readouterr().out


@pytest.mark.usefixtures("repositories")
def test_damaged_files_are_an_error_and_not_a_reason_to_fall_back(tmp_path):
    for file in (tmp_path / "cifar-10").rglob("*.parquet"):
        file.write_bytes(b"no parquet")
    with pytest.raises(Exception, match=r"(?i)parquet|generat"):
        load_hub_pictures("cifar-10", fallback=FALLBACK)


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch, capfd):
    real = builtins.__import__

    def without_datasets(name, *args, **options):
        if name == "datasets":
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without_datasets)
    assert load_hub_pictures("fashion-mnist", fallback=FALLBACK) is FALLBACK
    expected = "fashion-mnist needs the package `datasets` (pip install datasets): the fallback is used instead.\n"
    assert capfd.readouterr() == (expected, "")


def test_importing_the_module_does_not_load_the_library():
    code = "import sys, embedcourse.data.hub; print('datasets' in sys.modules, 'PIL' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False False\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (io.BytesIO(), True),
        (urllib.error.HTTPError("", 403, "", {}, None), True),
        (urllib.error.URLError("no route"), False),
        (TimeoutError(), False),
    ],
)
def test_the_hub_answers_even_when_it_refuses(monkeypatch, answer, expected):
    def urlopen(*_, **__):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert hub_answers() is expected


def test_told_to_stay_offline_it_asks_nobody(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    assert hub_answers() is False


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "mnist"}, "name: expected one of 'fashion-mnist', 'cifar-10', got 'mnist'"),
        ({"split": "validation"}, "split: expected 'train' or 'test', got 'validation'"),
        ({"limit": 0}, "limit: expected at least 1 picture, or None for all, got 0"),
    ],
)
def test_bad_choices_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        load_hub_pictures(**{"name": "cifar-10", "fallback": FALLBACK} | change)
