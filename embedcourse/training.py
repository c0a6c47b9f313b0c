"""One way to train every system of the course: `fit` draws batches, steps, notes, saves, and goes on where it stopped.

A system brings its model and its objective, a function of the model and a batch; all else is here.
"""

import io
import itertools
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from embedcourse._arguments import check_not_negative, check_positive
from embedcourse.course import write_whole

__all__ = ["History", "Objective", "Watch", "fit", "shuffled_batches", "warmup_cosine"]

#: What is made small: takes the model and a batch, gives the loss, or a dict with "loss" and further terms to note.
Objective = Callable[..., Tensor | dict[str, Tensor]]
#: What is looked at every few steps: takes the step and the model, gives numbers by name.
Watch = Callable[[int, nn.Module], dict[str, Any]]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Method = Literal["adamw", "muon"]


@dataclass
class History:
    """What a run noted: at every step its loss and terms, every few steps what `watch` saw, and how long it took."""

    #: By name, one number a step: "loss", the objective's other terms, and "gradient norm" before it is clipped.
    terms: dict[str, list[float]] = field(default_factory=dict)
    #: By name, one number for each of `watched_at`.
    watched: dict[str, list[float]] = field(default_factory=dict)
    #: After how many steps `watch` looked; the first time is before any.
    watched_at: list[int] = field(default_factory=list)
    #: Steps done.
    steps: int = 0
    #: Time spent, over all sittings.
    seconds: float = 0.0

    @property
    def loss(self) -> list[float]:
        """The loss of each step."""
        return self.terms.get("loss", [])

    def add_terms(self, terms: dict[str, float]) -> None:
        """Note one step."""
        self.steps += 1
        append_all(self.terms, terms, "the objective's terms")

    def add_watched(self, numbers: dict[str, Any]) -> None:
        """Note what was seen after the steps done so far."""
        self.watched_at.append(self.steps)
        append_all(self.watched, {name: float(number) for name, number in numbers.items()}, "what watch returns")


def append_all(lists: dict[str, list[float]], numbers: dict[str, float], what: str) -> None:
    """Lengthen each list by its number; the names stay those of the first time."""
    if lists and lists.keys() != numbers.keys():
        raise ValueError(f"{what} must have the same names every time: first {sorted(lists)}, now {sorted(numbers)}")
    for name, number in numbers.items():
        lists.setdefault(name, []).append(number)


def fit(
    model: nn.Module,
    objective: Objective,
    data: Tensor | tuple[Tensor, ...],
    *,
    steps: int,
    batch_size: int = 256,
    lr: float = 2e-3,
    weight_decay: float = 0.01,
    clip: float | None = 1.0,
    optimizer: Method = "adamw",
    seed: int = 0,
    device: str | torch.device | None = None,
    precision: Precision = "auto",
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 100,
    watch: Watch | None = None,
    watch_every: int = 25,
    progress: bool = True,
) -> History:
    """Train a model in place so that `objective(model, *batch)` becomes small; it ends in evaluation mode.

    data: a tensor or several with equally many rows; a batch holds the same rows of each. Every epoch is shuffled
        anew, without replacement; rows that do not fill a last batch wait for the next epoch.
    objective: everything that learns belongs to the model; its parameters without gradient are frozen, and a part
        that is frozen whole stays in evaluation mode.
    lr, weight_decay: of the optimizer. The rate rises and falls as `warmup_cosine`; only weights of two or more
        dimensions decay, no gains and no biases.
    clip: the largest norm of all gradients together; None leaves them as they are.
    optimizer: "adamw", or "muon", which moves the matrices of layers (two dimensions, no table of words) along
        orthogonalised steps of the size of AdamW's, and the rest by AdamW: transformers learn in fewer steps with it.
    seed: of batches and of all else that draws from torch's own generators, which the caller finds unchanged.
    device: where to train; None takes a GPU where there is one. The model stays there.
    precision: "auto" is automatic mixed precision on a GPU (bfloat16, on older ones float16 with a scaled loss)
        and float32 on a CPU.
    checkpoint: a file to save to every `checkpoint_every` steps and at the end, whole or not at all. Where it exists
        the run goes on from it, on a CPU with as many threads to the same bits as without the stop; a finished run
        is only read.
    watch: called before the first step, every `watch_every` steps and after the last, without gradient; what it does
        to modes and generators is undone.
    progress: draw a bar that is gone afterwards.

    Raises: TypeError and ValueError for what cannot be trained; FloatingPointError, which names the step, for a loss
    or a gradient that is NaN or infinite; ValueError for a checkpoint of another run.
    Source: Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization", Algorithm 2; which weights decay:
    Radford et al. (2021), "CLIP", section 2.5; Jordan et al. (2024), "Muon", with the size of steps of Liu et al.
    (2025), "Muon is Scalable for LLM Training", Eq. 4; Micikevicius et al. (2018), "Mixed Precision
    Training", section 3.
    """
    tensors = (data,) if isinstance(data, Tensor) else data
    check_data(tensors)
    check_all_learns(model, objective)
    check_positive(checkpoint_every=checkpoint_every, watch_every=watch_every)
    device = chosen_device(device)
    settings = Settings(steps, batch_size, lr, weight_decay, clip, optimizer, seed, chosen_precision(precision, device))
    batches = shuffled_batches(len(tensors[0]), batch_size, seed)
    run = Run(model.to(device), settings, device)
    file = Checkpoint(checkpoint, run, tensors)
    with own_generators(device, seed):
        file.load()
        with progress_bar(steps, run.history.steps, progress) as bar:
            if run.history.steps == 0:
                run.look(watch)
            for rows in itertools.islice(batches, run.history.steps, steps):
                run.step(objective, [tensor[rows.to(tensor.device)].to(device) for tensor in tensors])
                if run.is_due(watch_every):
                    run.look(watch)
                if run.is_due(checkpoint_every):
                    file.save()
                bar.set_postfix(loss=f"{run.history.loss[-1]:.3g}", refresh=False)
                bar.update()
    model.eval()
    return run.history


def warmup_cosine(step: int, steps: int) -> float:
    """Share of the learning rate at a step: up in a line over the first tenth, then down half a cosine to 0.

    The schedule of SimCLR, VICReg and CLIP: large steps at the start would wreck what batch norm has not yet seen, and
    small ones at the end settle. A function of the step alone, so that there is no state to save.

    Range: (0, 1] for step = 0, …, steps − 1.
    Raises: ValueError for a step outside the run.
    Source: Goyal et al. (2017), "Accurate, Large Minibatch SGD", section 2.2 (warm-up); Loshchilov and Hutter (2017),
    "SGDR", Eq. 5 (cosine).
    """
    if not 0 <= step < steps:
        raise ValueError(f"step must be from 0 to {steps - 1}, got {step}")
    rising = -(-steps // 10)  # rounded up
    if step < rising:
        return (step + 1) / rising
    return (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def shuffled_batches(n: int, batch_size: int, seed: int) -> Iterator[Int64[Tensor, " batch"]]:
    """Row numbers of one batch after another, without end: each epoch a new order, its incomplete last batch dropped.

    Raises: ValueError for a batch larger than n.
    Source: this course; Bottou (2009), "Curiously fast convergence of some stochastic gradient descent algorithms",
    on shuffling instead of drawing.
    """
    if not 1 <= batch_size <= n:
        raise ValueError(f"batch_size must be from 1 to the {n} rows of the data, got {batch_size}")
    generator = torch.Generator().manual_seed(seed)
    orders = (torch.randperm(n, generator=generator) for _ in itertools.count())
    return itertools.chain.from_iterable(order[: n - n % batch_size].split(batch_size) for order in orders)


@dataclass(frozen=True)
class Settings:
    """The numbers that decide a run, as `fit` takes them."""

    steps: int
    batch_size: int
    lr: float
    weight_decay: float
    clip: float | None
    optimizer: str
    seed: int
    precision: str

    def __post_init__(self) -> None:
        """Refuse what no run can have, by name."""
        check_positive(steps=self.steps, lr=self.lr)
        check_not_negative(weight_decay=self.weight_decay)
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be above 0, or None, got {self.clip!r}")
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f'optimizer must be "adamw" or "muon", got {self.optimizer!r}')


class Run:
    """A model in training: its optimizer, its history, and what one step is."""

    def __init__(self, model: nn.Module, settings: Settings, device: torch.device) -> None:
        self.model, self.settings, self.device = model, settings, device
        self.learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizers = optimizers(model, settings)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self.history = History()
        training_mode(model)

    def step(self, objective: Objective, batch: list[Tensor]) -> None:
        """Forward, backward, clip, move; note the terms."""
        started = time.perf_counter()
        rate = self.settings.lr * warmup_cosine(self.history.steps, self.settings.steps)
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = rate
        with self.autocast():
            terms = as_terms(objective(self.model, *batch))
        numbers = {name: float(torch.as_tensor(term).detach()) for name, term in terms.items()}
        self.check_finite("loss", numbers["loss"])
        self.model.zero_grad()
        self.scaler.scale(terms["loss"]).backward()
        norm = self.clip_gradients()
        for optimizer in self.optimizers if math.isfinite(norm) else []:  # one alone would not see the other's overflow
            self.scaler.step(optimizer)
        self.scaler.update()
        self.history.add_terms(numbers | {"gradient norm": norm})
        self.history.seconds += time.perf_counter() - started

    def autocast(self) -> AbstractContextManager:
        """Products in half precision, where that was chosen."""
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, getattr(torch, self.settings.precision))

    def clip_gradients(self) -> float:
        """Shorten all gradients together to the length allowed; return the length that they had."""
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        limit = math.inf if self.settings.clip is None else self.settings.clip
        norm = nn.utils.clip_grad_norm_(self.learning, limit).item()
        if not self.scaler.is_enabled():  # float16 overflows now and then; the scaler skips that step
            self.check_finite("gradient", norm)
        return norm

    def check_finite(self, what: str, number: float) -> None:
        """Stop before the weights are spoilt."""
        done = self.history.steps
        if not math.isfinite(number):
            raise FloatingPointError(
                f"the {what} of step {done + 1} is {number}; the weights are as step {done} left them. "
                "A smaller lr may help, or a look for a division by zero in the objective"
            )

    def is_due(self, every: int) -> bool:
        """Whether something done every so many steps, and after the last, is to be done now."""
        return self.history.steps % every == 0 or self.history.steps == self.settings.steps

    def look(self, watch: Watch | None) -> None:
        """Note what watch sees, and put back modes and generators."""
        if watch is None:
            return
        before = generator_states(self.device)
        with torch.no_grad():
            self.history.add_watched(watch(self.history.steps, self.model))
        set_generator_states(self.device, before)
        training_mode(self.model)

    def parts(self) -> dict[str, Any]:
        """By name, what has a state of its own."""
        named = {type(optimizer).__name__: optimizer for optimizer in self.optimizers}
        return {"model": self.model, "scaler": self.scaler} | named

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        own = {"history": asdict(self.history), "generators": generator_states(self.device)}
        return {name: part.state_dict() for name, part in self.parts().items()} | own

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.history = History(**state["history"])
        set_generator_states(self.device, state["generators"])


def optimizers(model: nn.Module, settings: Settings) -> list[torch.optim.Optimizer]:
    """One or two that share what learns: Muon the matrices of layers, where it was asked for, and AdamW all else."""
    tables = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
    matrices, rest = [], []
    for name, p in model.named_parameters():
        by_muon = settings.optimizer == "muon" and p.ndim == 2 and name.endswith("weight") and id(p) not in tables
        if p.requires_grad:
            (matrices if by_muon else rest).append(p)
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    muon = {"weight_decay": settings.weight_decay, "adjust_lr_fn": "match_rms_adamw"}
    return [
        *([torch.optim.Muon(matrices, **muon)] if matrices else []),
        *([torch.optim.AdamW(groups)] if groups else []),
    ]


def training_mode(model: nn.Module) -> None:
    """Training mode, but for the parts that are frozen whole: their batch norm is not to follow the new data."""
    model.train()
    for part in model.modules():
        parameters = list(part.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            part.eval()


def as_terms(result: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """What an objective returned, as terms with "loss" among them."""
    terms = {"loss": result} if isinstance(result, Tensor) else result
    if not isinstance(terms, dict) or not isinstance(terms.get("loss"), Tensor):
        raise TypeError(f'objective must return a tensor, or a dict with a tensor "loss" in it, got {result!r}')
    for name, term in terms.items():
        if isinstance(term, Tensor) and term.numel() != 1:
            raise ValueError(f"objective must return single numbers, got {name!r} of shape {tuple(term.shape)}")
    if not terms["loss"].requires_grad:
        raise ValueError("objective must return a loss that depends on the model, got one without a gradient")
    return terms


class Checkpoint:
    """A file that holds a run, together with the configuration that it belongs to; without a path it holds nothing."""

    def __init__(self, path: str | os.PathLike | None, run: Run, data: tuple[Tensor, ...]) -> None:
        self.path, self.run = None if path is None else Path(path), run
        self.configuration = {} if path is None else configuration(run, data)

    def save(self) -> None:
        """Write the run whole, or not at all."""
        if self.path is not None:
            data = io.BytesIO()
            torch.save({"configuration": self.configuration} | self.run.state(), data)
            write_whole(self.path, data.getvalue())

    def load(self) -> None:
        """Put the run where the file left it; without a file it stays at its start."""
        if self.path is None or not self.path.exists():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            saved = state.pop("configuration")
        except Exception as error:  # torch raises many kinds for bytes that are no checkpoint
            raise ValueError(
                f"checkpoint: {self.path} is damaged or no checkpoint; delete it to start again"
            ) from error
        if saved != self.configuration:
            raise ValueError(
                f"checkpoint: {self.path} belongs to a run with another {', '.join(self.differences(saved))}. "
                "Delete it to start again, or name another file"
            )
        self.run.load_state(state)

    def differences(self, saved: dict[str, Any]) -> Iterator[str]:
        """The names of what differs, with both values where they are short."""
        for name, own in self.configuration.items():
            if saved.get(name) != own:
                values = f" (saved {saved.get(name)}, now {own})"
                yield name + (values if len(values) < 80 else "")


def configuration(run: Run, data: tuple[Tensor, ...]) -> dict[str, Any]:
    """What must be equal for two runs to be one: all that the result depends on and that can be compared."""
    parameters = [(name, tuple(p.shape), p.requires_grad) for name, p in run.model.named_parameters()]
    network = {"model": str(run.model), "parameters": parameters, "device": run.device.type}
    return asdict(run.settings) | network | {"data": [(tuple(x.shape), str(x.dtype), checksum(x)) for x in data]}


def checksum(x: Tensor) -> int:
    """CRC-32 of a tensor's bytes."""
    return zlib.crc32(x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


@contextmanager
def own_generators(device: torch.device, seed: int) -> Iterator[None]:
    """torch's generators of the CPU and of the device, seeded, and put back afterwards; no other is touched."""
    before = generator_states(device)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        set_generator_states(device, before)


def generator_states(device: torch.device) -> list[Tensor]:
    """The state of torch's generator of the CPU, and of that of a GPU."""
    return [torch.get_rng_state()] + ([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])


def set_generator_states(device: torch.device, states: list[Tensor]) -> None:
    """Put torch's generators back to those states."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


@contextmanager
def progress_bar(steps: int, done: int, shown: bool) -> Iterator[Any]:
    """A bar of steps, as the surroundings draw one, that leaves nothing behind."""
    from tqdm.auto import tqdm

    with tqdm(total=steps, initial=done, disable=not shown, leave=False, unit="step") as bar:
        yield bar


def chosen_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, or a GPU where there is one."""
    device = torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be a CPU or a CUDA GPU, got {str(device)!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: {str(device)!r} was asked for, but torch sees no CUDA GPU here")
    return device


def chosen_precision(precision: str, device: torch.device) -> str:
    """The dtype in which products are computed, by name."""
    if precision not in ("auto", "float32", "bfloat16", "float16"):
        raise ValueError(f'precision must be "auto", "float32", "bfloat16" or "float16", got {precision!r}')
    if device.type != "cuda":
        if precision not in ("auto", "float32"):
            raise ValueError(f'precision: {precision!r} needs a GPU; a CPU takes "float32" or "auto"')
        return "float32"
    if precision != "auto":
        return precision
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def check_data(tensors: object) -> None:
    """Refuse what is no tensor, or several with unequally many rows."""
    if not isinstance(tensors, tuple) or not tensors or not all(isinstance(x, Tensor) for x in tensors):
        raise TypeError(f"data must be a tensor or a tuple of tensors, got {type(tensors).__name__}")
    rows = [len(x) if x.ndim else 0 for x in tensors]
    if len(set(rows)) > 1:
        raise ValueError(f"data must be tensors with equally many rows, got {', '.join(map(str, rows))}")


def check_all_learns(model: nn.Module, objective: Objective) -> None:
    """Refuse a model that cannot learn, and an objective with parameters that would never be trained."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("model has no parameter that requires a gradient: there is nothing to train")
    if isinstance(objective, nn.Module):
        inside = {id(parameter) for parameter in model.parameters()}
        left_out = [name for name, p in objective.named_parameters() if p.requires_grad and id(p) not in inside]
        if left_out:
            raise ValueError(f"objective has parameters that the model lacks and fit would not train: {left_out}")
