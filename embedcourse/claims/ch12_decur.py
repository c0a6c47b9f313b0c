"""Chapter 12: what two senses have in common is split from what one of them knows alone.

`prepare`, `train` and `read_off` are the recipe, which the chapter uses as it stands; `measure` runs it for both pairs,
for DeCUR and what is left of it without one of its parts, and for several shares of common dimensions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from embedcourse.claims.claim import Claim
from embedcourse.data.augmentations import augmentations
from embedcourse.evaluation import effective_rank, linear_probe, noisy_probe, variance_explained
from embedcourse.losses import DeCURLoss, cross_correlation
from embedcourse.models.decur import DeCUR
from embedcourse.models.encoders import SmallCNN, SmallCNN1d
from embedcourse.models.projector import Projector
from embedcourse.training import History, Objective, Watch, fit
from embedcourse.world import Scenes, render, sample

__all__ = [
    "CLAIMS",
    "DIMENSIONS",
    "PAIRS",
    "VARIANTS",
    "CrossCorrelations",
    "Pair",
    "Seen",
    "Variant",
    "build",
    "measure",
    "parts",
    "prepare",
    "read_off",
    "train",
    "view",
]

DIMENSIONS, HIDDEN, BATCH = 64, 128, 256
SCENES, TESTED, PROBED, BACKGROUND = 6000, 2000, 1500, 0.2


@dataclass(frozen=True)
class Pair:
    """Two senses, the factors that both know, the one that each knows alone, and how they are trained."""

    senses: tuple[str, str]
    common: tuple[str, ...]
    private: dict[str, str]
    steps: int
    #: λ of the loss. The paper's 0.0051 is for 8,192 dimensions; of 64 each has fewer others to differ from.
    lambd: float
    #: Shares of common dimensions to try besides a half.
    shares: tuple[float, ...] = ()

    def factors(self, sense: str) -> tuple[str, ...]:
        """What is looked for in a sense: the common factors, then its own."""
        return (*self.common, self.private[sense])


PAIRS = {
    "imu-audio": Pair(
        senses=("imu", "audio"),
        common=("motion", "size"),
        private={"imu": "shape", "audio": "material"},
        steps=100,
        lambd=0.02,
        shares=(0.125, 0.25, 0.75, 0.875),
    ),
    "image-thermal": Pair(
        senses=("image", "thermal"),
        common=("size", "position"),
        private={"image": "colour", "thermal": "temperature"},
        steps=100,
        lambd=0.0075,
    ),
}


class Variant(NamedTuple):
    """What a run is made of: a part of the dimensions kept unique or not, the intra-modal terms used or not."""

    split: bool
    intra: bool


VARIANTS = {
    "DeCUR": Variant(split=True, intra=True),
    "without intra": Variant(split=True, intra=False),
    "without split": Variant(split=False, intra=True),
    "Barlow Twins": Variant(split=False, intra=False),  # between the two modalities alone
}

WORLD = (
    "two senses of a generated world in place of radar and optical satellite images; networks of 0.1 million weights "
    "and 64 dimensions in place of a ResNet-50 and 8,192; factors read off frozen embeddings in place of land cover"
)
NO_FIGURE = "draws what is common and what is unique, and reports no such figure"
INTRA = "BigEarthNet-MM, 1 % of the labels, as reported: 81.7, without the intra-modal terms 80.1"
SPLIT = "BigEarthNet-MM, 1 % of the labels, as reported: 81.7, without decoupling 81.1"


def claimed() -> Iterator[Claim]:
    """The claims, in the order in which the chapter makes them."""
    for name, pair in PAIRS.items():
        yield Claim(f"{name}, DeCUR: common diagonal", at_least=0.85, paper=NO_FIGURE, differs=WORLD)
        yield Claim(f"{name}, DeCUR: unique diagonal", at_most=0.10, paper=NO_FIGURE, differs=WORLD)
        for sense, factor in pair.private.items():
            yield Claim(f"{sense} {factor}: unique over common", at_least=5, paper=NO_FIGURE, differs=WORLD)
        yield Claim(f"{name}: least common over unique", at_least=5, paper=NO_FIGURE, differs=WORLD)
    for (sense, factor), limits in READ.items():
        head, what = pair_of(sense), f"{sense} {factor}"
        yield Claim(f"{head}, DeCUR: {what}, unique: noisy", at_least=limits.decur, paper=INTRA, differs=WORLD)
        alone, twins = f"{head}, without intra: {what}, unique", f"{head}, Barlow Twins: {what}, all"
        yield Claim(f"{alone}: noisy", at_most=limits.no_intra, paper=INTRA, differs=WORLD)
        yield Claim(f"{twins}: variance", at_most=0.03, paper=SPLIT, differs=WORLD)
        yield Claim(f"{twins}: noisy", at_most=limits.twins, paper=SPLIT, differs=WORLD)
        if limits.standardised is not None:
            yield Claim(f"{twins}: standardised", at_least=limits.standardised, paper=NO_FIGURE, differs=WORLD)


class Limits(NamedTuple):
    """How well a private factor is read: by the noisy probe off DeCUR's unique dimensions, at least, and off those that
    had no intra-modal terms, at most; off all of Barlow Twins by the noisy probe, at most, and by the standardised one,
    at least, where it finds what the noisy one does not.
    """

    decur: float
    no_intra: float
    twins: float
    standardised: float | None = None


#: Thermal pictures are so full of temperature that an untrained network shows it too: there the terms add least.
READ = {
    ("imu", "shape"): Limits(decur=0.7, no_intra=0.25, twins=0.25),
    ("audio", "material"): Limits(decur=0.8, no_intra=0.65, twins=0.5, standardised=0.6),
    ("image", "colour"): Limits(decur=0.85, no_intra=0.65, twins=0.25, standardised=0.25),
    ("thermal", "temperature"): Limits(decur=0.85, no_intra=0.85, twins=0.55, standardised=0.75),
}


def pair_of(sense: str) -> str:
    """The name of the pair that a sense belongs to."""
    return next(name for name, pair in PAIRS.items() if sense in pair.senses)


CLAIMS = tuple(claimed())


class Seen(NamedTuple):
    """Scenes, and what each sense makes of them."""

    scenes: Scenes
    by: dict[str, Tensor]


def prepare(pair: Pair, n: int, *, seed: int) -> Seen:
    """n scenes in both senses; warmth is moved into [0, 1], as pictures are augmented."""
    scenes = sample(n, seed=seed, background=BACKGROUND)
    by = {sense: render(scenes, sense) for sense in pair.senses}
    return Seen(scenes, {sense: (x + 0.6) / 1.6 if sense == "thermal" else x for sense, x in by.items()})


def signal_view(
    x: Float[Tensor, "n *shape time"], *, gain: float = 0.0, loudness: float = 0.0, shift: int = 0, noise: float = 0.0
) -> Float[Tensor, "n *shape time"]:
    """Signals a little stronger or weaker, earlier or later, with noise, each by numbers of its own.

    They are multiplied by 1 ± up to `gain`, up to ± `loudness` is added (a gain, where values are logarithms), up to
    ± `shift` moments are moved from one end to the other, and noise of that standard deviation comes on top.
    """
    one_each = (len(x), *[1] * (x.ndim - 1))
    louder, stronger = 2 * torch.rand(2, *one_each, device=x.device) - 1
    moved = torch.randint(-shift, shift + 1, one_each, device=x.device)
    moments = (torch.arange(x.shape[-1], device=x.device) - moved) % x.shape[-1]
    x = x.gather(-1, moments.expand_as(x))
    return (1 + gain * stronger) * x + loudness * louder + noise * torch.randn_like(x)


#: What makes a view in each sense. It changes nuisances, and no factor that is looked for.
VIEWS = {
    "imu": lambda: partial(signal_view, gain=0.1, shift=4, noise=0.05),
    "audio": lambda: partial(signal_view, loudness=0.1, shift=2, noise=0.05),
    "image": lambda: augmentations(zoom=None, colour=0.2, shuffle=0, noise=0.05),
    "thermal": lambda: augmentations(zoom=None, colour=0, shuffle=0, noise=0.05),
}


@cache
def view(sense: str) -> Callable[[Tensor], Tensor]:
    """The random change that makes a view in a sense."""
    return VIEWS[sense]()


ENCODERS = {
    "imu": SmallCNN1d,
    "audio": partial(SmallCNN, channels=1),
    "image": SmallCNN,
    "thermal": partial(SmallCNN, channels=1),
}


def build(pair: Pair, dim_common: int, *, seed: int) -> DeCUR:
    """The two encoders and projectors before training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoders: dict[str, nn.Module] = {sense: ENCODERS[sense]() for sense in pair.senses}
        projectors = {sense: Projector(f.embedding_dim, HIDDEN, DIMENSIONS) for sense, f in encoders.items()}
        return DeCUR(encoders, projectors, dim_common)


def train(
    pair: Pair,
    seen: Seen,
    variant: str = "DeCUR",
    *,
    share: float = 0.5,
    seed: int = 0,
    steps: int | None = None,
    watch: Watch | None = None,
    watch_every: int = 25,
) -> tuple[DeCUR, History]:
    """Train a variant on a pair of senses; `share` of the dimensions are common where the variant splits them."""
    split, intra = VARIANTS[variant]
    model = build(pair, round(share * DIMENSIONS) if split else DIMENSIONS, seed=seed)
    loss = DeCURLoss(model.dim_common, pair.lambd, "sum")
    history = fit(
        model,
        objective(pair.senses, loss, intra),
        tuple(seen.by[sense] for sense in pair.senses),
        steps=steps or pair.steps,
        batch_size=min(BATCH, len(seen.scenes)),
        lr=4e-3,
        seed=seed,
        watch=watch,
        watch_every=watch_every,
        progress=False,
    )
    return model, history


def objective(senses: tuple[str, str], loss: DeCURLoss, intra: bool) -> Objective:
    """Two views of each sense for DeCUR; without the intra-modal terms one is enough."""
    a, b = senses

    def terms(model: DeCUR, x_a: Tensor, x_b: Tensor) -> dict[str, Tensor]:
        z_a, z_b = model(a, view(a)(x_a)), model(b, view(b)(x_b))
        if intra:
            return loss.terms(z_a, model(a, view(a)(x_a)), z_b, model(b, view(b)(x_b)))
        cross = loss.cross(z_a, z_b)
        return {"loss": cross["common"] + cross["unique"]} | cross

    return terms


class CrossCorrelations:
    """A watch for `fit`: keeps the cross-correlation matrix of pairs that are not trained on, by step."""

    def __init__(self, pair: Pair, seen: Seen) -> None:
        self.pair, self.seen = pair, seen
        self.matrices: dict[int, Tensor] = {}

    def __call__(self, step: int, model: DeCUR) -> dict[str, float]:
        """Keep the matrix, and note the means of its diagonals."""
        self.matrices[step] = cross_correlation(*embed(model, self.pair, self.seen).values())
        return diagonals(model, self.matrices[step])


def embed(model: DeCUR, pair: Pair, seen: Seen) -> dict[str, Float[Tensor, "n 64"]]:
    """z of each sense."""
    return {sense: model.embed(sense, seen.by[sense], projected=True) for sense in pair.senses}


def diagonals(model: DeCUR, c: Float[Tensor, "64 64"]) -> dict[str, float]:
    """How far the two modalities agree in the dimensions that should, and how far in those that should not."""
    found = {"common diagonal": c.diagonal()[model.common].mean().item()}
    if len(c) > model.dim_common:
        found["unique diagonal"] = c.diagonal()[model.unique].abs().mean().item()
    return found


def parts(model: DeCUR, z: Float[Tensor, "n 64"]) -> dict[str, Float[Tensor, "n d"]]:
    """The dimensions by what they are for: "all", and "common" and "unique" where the model has both."""
    split = {"common": z[:, model.common], "unique": z[:, model.unique]}
    return {"all": z} | (split if all(part.shape[1] for part in split.values()) else {})


def read_off(model: DeCUR, pair: Pair, seen: Seen, tested: Seen) -> dict[str, float]:
    """What the dimensions say of each factor, measured on scenes that were not trained on.

    Keys such as "imu shape, unique: variance"; the measures are "variance" (`variance_explained`), "noisy"
    (`noisy_probe`) and "standardised" (`linear_probe`). "imu, unique: rank" is the effective rank.
    """
    probed = Seen(seen.scenes[:PROBED], {sense: x[:PROBED] for sense, x in seen.by.items()})
    z_train, z_test = embed(model, pair, probed), embed(model, pair, tested)
    found = diagonals(model, cross_correlation(*z_test.values()))
    for sense in pair.senses:
        test_parts = parts(model, z_test[sense])
        for part, train in parts(model, z_train[sense]).items():
            test = test_parts[part]
            found[f"{sense}, {part}: rank"] = effective_rank(test).rank
            for factor in pair.factors(sense):
                labelled = train, probed.scenes.labels(factor), test, tested.scenes.labels(factor)
                name = f"{sense} {factor}, {part}"
                found[f"{name}: variance"] = variance_explained(*labelled[2:])
                found[f"{name}: noisy"] = noisy_probe(*labelled)
                found[f"{name}: standardised"] = linear_probe(*labelled)
    return found


def measure(seed: int, *, shorter: int = 1) -> dict[str, float]:
    """Every variant on both pairs, the untrained networks beside them, and the sweep of the common share.

    Keys are those of `read_off` after "imu-audio, DeCUR: " and the like, "imu-audio, share 0.25: " in the sweep;
    without such a head, the ratios that are claimed.
    """
    found: dict[str, float] = {}
    for name, pair in PAIRS.items():
        seen = prepare(pair, SCENES // shorter, seed=2 * seed)
        tested = prepare(pair, TESTED // shorter, seed=2 * seed + 1)
        for run, model in trained(pair, seen, seed, shorter):
            numbers = read_off(model, pair, seen, tested)
            found |= {f"{name}, {run}: {key}": number for key, number in numbers.items()}
        found |= ratios(name, pair, found)
    return found


def trained(pair: Pair, seen: Seen, seed: int, shorter: int) -> Iterator[tuple[str, DeCUR]]:
    """The networks to be measured, by name, one after another."""
    steps = max(pair.steps // shorter, 1)
    yield "untrained", build(pair, DIMENSIONS // 2, seed=seed)
    for variant in VARIANTS:
        yield variant, train(pair, seen, variant, seed=seed, steps=steps)[0]
    for share in pair.shares:
        yield f"share {share:g}", train(pair, seen, share=share, seed=seed, steps=steps)[0]


def ratios(name: str, pair: Pair, found: dict[str, float]) -> dict[str, float]:
    """How many times as much of a factor's variance DeCUR keeps on its own side of the split as on the other."""
    result = {}
    for sense in pair.senses:
        for factor in pair.factors(sense):
            common, unique = (
                found[f"{name}, DeCUR: {sense} {factor}, {part}: variance"] for part in ("common", "unique")
            )
            if factor == pair.private[sense]:
                result[f"{sense} {factor}: unique over common"] = unique / common
            else:
                result[f"{sense} {factor}: common over unique"] = common / unique
    least = min(ratio for key, ratio in result.items() if key.endswith("common over unique"))
    return result | {f"{name}: least common over unique": least}
