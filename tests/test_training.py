"""`fit` minimises, draws as it says, leaves the caller's world alone, and goes on where it stopped to the same bits."""

import copy
import math
import warnings

import nbclient
import nbformat
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from embedcourse import training
from embedcourse.data.augmentations import augmentations, two_views
from embedcourse.losses import NTXentLoss
from embedcourse.models.encoders import SmallCNN
from embedcourse.models.projector import Projector
from embedcourse.models.simclr import SimCLR
from embedcourse.training import History, fit, shuffled_batches, warmup_cosine


def quadratic(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(model(x), y)


def line(generator: torch.Generator, n: int = 64) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 3, generator=generator)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 3


def small(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 1)


def train(model: nn.Module, data, objective=quadratic, **options) -> History:
    return fit(model, objective, data, **{"steps": 10, "batch_size": 16, "progress": False} | options)


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().cpu()


@pytest.fixture
def half(request, monkeypatch):
    """A precision that `fit` keeps for GPUs, allowed everywhere: a CPU computes in it too, only slowly."""
    monkeypatch.setattr(training, "chosen_precision", lambda *_: request.param)
    return request.param


def test_a_line_is_found(device, generator):
    model = small()
    history = train(model, line(generator), steps=400, lr=0.1, weight_decay=0.0, device=device)
    assert history.loss[-1] < 1e-3 < history.loss[0]
    torch.testing.assert_close(weights(model), torch.tensor([1.0, -2, 0.5, 3]), atol=0.02, rtol=0)
    assert next(model.parameters()).device.type == device.type
    assert not model.training
    assert history.steps == 400
    assert history.seconds > 0


def test_it_takes_the_steps_of_adamw_written_out(generator):
    """An oracle: torch's AdamW in a loop of one's own, over the batches and rates that the functions give."""
    data, model, expected = line(generator), small(), small()
    train(model, data, lr=0.05, weight_decay=0.1, clip=0.5, seed=3)
    optimizer = torch.optim.AdamW(
        [{"params": [expected.weight], "weight_decay": 0.1}, {"params": [expected.bias], "weight_decay": 0.0}]
    )
    for step, rows in zip(range(10), shuffled_batches(64, 16, 3), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * warmup_cosine(step, 10)
        optimizer.zero_grad()
        quadratic(expected, data[0][rows], data[1][rows]).backward()
        gradients = torch.cat([expected.weight.grad.flatten(), expected.bias.grad])
        for parameter in expected.parameters():
            parameter.grad *= min(1, 0.5 / gradients.norm())
        optimizer.step()
    torch.testing.assert_close(weights(model), weights(expected), atol=1e-6, rtol=1e-5)


class Words(nn.Module):
    """A table of words, a matrix, a gain and a matrix that no layer holds; output and input share the table."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)
        self.layer, self.norm, self.output = nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 5, bias=False)
        self.positions = nn.Parameter(torch.zeros(3, 4))
        self.output.weight = self.table.weight

    def forward(self, x):
        return self.output(self.norm(self.layer(self.table(x) + self.positions)))


def next_word(model, x):
    return nn.functional.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())


def test_it_takes_the_steps_of_muon_and_adamw_written_out(generator):
    """An oracle: torch's two in a loop of one's own; Muon has the layer's matrix, AdamW all else."""
    torch.manual_seed(0)
    model = Words()
    expected, data = copy.deepcopy(model), torch.randint(5, (32, 4), generator=generator)
    fit(model, next_word, data, steps=10, batch_size=8, lr=0.05, weight_decay=0.1, optimizer="muon", progress=False)
    rest = [expected.table.weight, expected.positions]
    flat = [expected.layer.bias, expected.norm.weight, expected.norm.bias]
    both = [
        torch.optim.Muon([expected.layer.weight], weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW([{"params": rest, "weight_decay": 0.1}, {"params": flat, "weight_decay": 0.0}]),
    ]
    for step, rows in zip(range(10), shuffled_batches(32, 8, 0), strict=False):
        expected.zero_grad()
        next_word(expected, data[rows]).backward()
        nn.utils.clip_grad_norm_(expected.parameters(), 1.0)
        for optimizer in both:
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * warmup_cosine(step, 10)
            optimizer.step()
    for own, other in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own, other)


def test_gradients_are_clipped_and_their_norm_noted_before(generator):
    data = line(generator)
    model = small()
    history = train(model, data, steps=1)
    expected = small()
    rows = next(shuffled_batches(64, 16, 0))
    quadratic(expected, data[0][rows], data[1][rows]).backward()
    norm = torch.cat([p.grad.flatten() for p in expected.parameters()]).norm()
    assert norm > 1
    assert history.terms["gradient norm"] == pytest.approx([norm.item()], rel=1e-5)
    clipped = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert clipped.norm() == pytest.approx(1, rel=1e-4)
    train(model := small(), data, steps=1, clip=None)
    assert torch.cat([p.grad.flatten() for p in model.parameters()]).norm() == pytest.approx(norm.item(), rel=1e-5)


def test_every_epoch_holds_every_row_at_most_once_and_is_shuffled_anew():
    batches = shuffled_batches(10, 3, seed=0)
    epochs = [torch.cat([next(batches) for _ in range(3)]) for _ in range(50)]
    assert all(len(set(epoch.tolist())) == 9 for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 50
    left_out = [(set(range(10)) - set(epoch.tolist())).pop() for epoch in epochs]
    assert set(left_out) == set(range(10))
    other = shuffled_batches(10, 3, seed=1)
    assert not torch.equal(torch.cat([next(other) for _ in range(3)]), epochs[0])


def test_a_batch_holds_the_same_rows_of_every_tensor():
    rows, seen = torch.arange(20.0), []

    def objective(model, x, y, z):
        assert torch.equal(x[:, 0] * 2, y)
        assert torch.equal(z, x[:, 0].long())
        seen.extend(z.tolist())
        return model(x).sum()

    fit(nn.Linear(1, 1), objective, (rows[:, None], rows * 2, rows.long()), steps=4, batch_size=5, progress=False)
    assert sorted(seen) == list(range(20))


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 300])
def test_the_rate_rises_in_a_line_and_falls_as_a_cosine(steps):
    rates = [warmup_cosine(step, steps) for step in range(steps)]
    top = math.ceil(steps / 10)
    assert max(rates) == rates[top - 1] == 1
    torch.testing.assert_close(rates[:top], [(i + 1) / top for i in range(top)])
    after = rates[top - 1 :]
    cosine = [0.5 + 0.5 * math.cos(math.pi * max(i - 1, 0) / max(1, steps - top)) for i in range(len(after))]
    assert after == pytest.approx(cosine)
    assert min(rates) > 0


def test_a_run_is_decided_by_its_seed_and_leaves_torchs_generator_alone(generator):
    def noisy(model, x, y):
        return quadratic(model, x + torch.randn(x.shape), y)

    data, model = line(generator), small()
    before = torch.get_rng_state()
    first = train(model, data, noisy, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert train(small(), data, noisy, seed=1).loss == first.loss
    assert train(small(), data, noisy, seed=2).loss != first.loss


def test_the_generator_is_put_back_after_an_error_too(generator):
    def broken(model, x, y):
        torch.rand(3)
        raise KeyError("mine")

    before = torch.get_rng_state()
    with pytest.raises(KeyError, match="mine"):
        train(small(), line(generator), broken)
    assert torch.equal(torch.get_rng_state(), before)


def test_terms_are_noted_and_the_loss_among_them_is_made_small(generator):
    def objective(model, x, y):
        error = quadratic(model, x, y)
        return {"loss": 2 * error, "error": error, "largest": x.abs().max(), "number": 7}

    history = train(small(), line(generator), objective)
    assert history.terms.keys() == {"loss", "error", "largest", "number", "gradient norm"}
    assert all(len(numbers) == 10 for numbers in history.terms.values())
    assert history.loss == pytest.approx([2 * error for error in history.terms["error"]])
    assert history.terms["number"] == [7] * 10


def test_watch_sees_the_start_every_few_steps_and_the_end(generator):
    data = line(generator)

    def watch(step, model):
        assert not torch.is_grad_enabled()
        model.eval()
        torch.rand(100)  # must not change what training draws
        return {"step": step, "loss": quadratic(model, *data)}

    def dropped(model, x, y):
        return quadratic(model, F.dropout(x, 0.5, model.training), y)

    history = train(small(), data, dropped, steps=25, watch=watch, watch_every=10)
    assert history.watched_at == history.watched["step"] == [0, 10, 20, 25]
    assert history.watched["loss"][0] == pytest.approx(quadratic(small(), *data).item())
    assert history.loss == train(small(), data, dropped, steps=25).loss


def test_what_is_frozen_stays_as_it_is_and_in_evaluation_mode(generator):
    frozen = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).requires_grad_(False)
    half = nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Dropout(0.5), nn.Linear(4, 1))
    model, modes = nn.Sequential(frozen, half), []

    def objective(model, x, y):
        modes.append([frozen.training, frozen[1].training, frozen[2].training, half[1].training, half[2].training])
        return quadratic(model, x, y)

    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, line(generator), objective)
    assert modes == [[False, False, False, True, True]] * 10
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"1.2.weight", "1.2.bias"}


def test_only_matrices_decay():
    """Without a gradient from the loss, decay alone moves the weights: by the product of 1 − lr · decay."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}

    def nothing(model, x):
        return sum(parameter.sum() for parameter in model.parameters()) * 0

    fit(model, nothing, torch.zeros(8, 2), steps=5, batch_size=4, lr=0.1, weight_decay=0.5, progress=False)
    shrunk = math.prod(1 - 0.05 * warmup_cosine(step, 5) for step in range(5))
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, before[name] * (shrunk if name == "0.weight" else 1))


def views_run(generator: torch.Generator):
    """A run with all that draws or remembers: augmentations, dropout, batch norm, both optimizers, a term, a watch."""
    torch.manual_seed(0)
    model = SimCLR(SmallCNN(width=2), nn.Sequential(nn.Dropout(0.3), Projector(16, 8, 4)))
    augment, loss = augmentations(), NTXentLoss()

    def objective(model, x):
        x0, x1 = two_views(augment, x)
        return {"loss": loss(model(x0), model(x1)), "mean": x0.mean()}

    def watch(step, model):
        return {"std": model.embed(x[:8]).std(0).mean()}

    x = torch.rand(40, 3, 8, 8, generator=generator)
    options = {"steps": 13, "batch_size": 16, "lr": 0.01, "watch": watch, "watch_every": 4, "progress": False}
    return model, objective, x, options | {"device": "cpu", "checkpoint_every": 5, "optimizer": "muon"}


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("half", ["float32", "float16"], indirect=True)
@pytest.mark.parametrize("stop", [3, 5, 7, 10, 12])
@pytest.mark.usefixtures("half")
def test_an_interrupted_run_goes_on_to_the_same_bits(stop, tmp_path, generator):
    start = generator.get_state()
    whole, objective, x, options = views_run(generator)
    expected = fit(whole, objective, x, **options)

    def interrupted(model, x):
        if interrupted.steps == stop:
            raise Interrupted
        interrupted.steps += 1
        return objective(model, x)

    file = tmp_path / "runs" / "simclr.pt"
    interrupted.steps = 0
    model, objective, x, options = views_run(generator.set_state(start))
    with pytest.raises(Interrupted):
        fit(model, interrupted, x, **options, checkpoint=file)
    assert file.exists() == (stop >= 5)
    again, objective, x, options = views_run(generator.set_state(start))
    nn.init.normal_(again.encoder.layers[0][0].weight if stop >= 5 else torch.empty(1))  # what the file has, counts
    history = fit(again, objective, x, **options, checkpoint=file)
    assert repr((history.terms, history.watched)) == repr((expected.terms, expected.watched))  # equal where NaN too
    assert (history.watched_at, history.steps) == ([0, 4, 8, 12, 13], 13)
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in again.state_dict().items())
    assert [path.name for path in file.parent.iterdir()] == ["simclr.pt"]


def test_a_finished_run_is_read_and_not_run_again(tmp_path, generator):
    data = line(generator)
    model, other = small(), small(seed=1)
    first = train(model, data, checkpoint=tmp_path / "run.pt")
    second = train(other, data, lambda *_: pytest.fail("it ran"), checkpoint=str(tmp_path / "run.pt"))
    assert second == first
    assert torch.equal(weights(other), weights(model))
    assert not other.training


def test_a_checkpoint_holds_plain_data(tmp_path, generator):
    train(small(), line(generator), checkpoint=tmp_path / "run.pt")
    state = torch.load(tmp_path / "run.pt", weights_only=True)
    assert state.keys() == {"configuration", "model", "AdamW", "scaler", "history", "generators"}
    assert state["history"]["steps"] == 10


def frozen_bias() -> nn.Linear:
    model = small()
    model.bias.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 11}, r"steps \(saved 10, now 11\)"),
        ({"batch_size": 8}, r"batch_size \(saved 16, now 8\)"),
        ({"lr": 0.5}, r"lr \(saved 0.002, now 0.5\)"),
        ({"clip": None}, r"clip \(saved 1.0, now None\)"),
        ({"weight_decay": 0.0, "seed": 1}, r"weight_decay \(.*\), seed \("),
        ({"model": nn.Sequential(nn.Linear(3, 1))}, "model"),
        ({"model": frozen_bias()}, "parameters"),
        ({"data": (torch.zeros(64, 3), torch.zeros(64, 1))}, "data"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(change, message, tmp_path, generator):
    file = tmp_path / "run.pt"
    options = {"model": small(), "data": line(generator), "checkpoint": file}
    train(**options)
    written = file.read_bytes()
    with pytest.raises(
        ValueError, match=rf"(?s)checkpoint: .*run\.pt belongs to a run with another {message}.*Delete it"
    ):
        train(**options | change)
    assert file.read_bytes() == written


class Harmful:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return Harmful.run, ()

    @staticmethod
    def run():
        pytest.fail("a checkpoint ran code")


def test_a_checkpoint_cannot_run_code(tmp_path, generator):
    torch.save({"configuration": Harmful()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="damaged or no checkpoint"):
        train(small(), line(generator), checkpoint=tmp_path / "run.pt")


@pytest.mark.parametrize("data", [b"", b"no checkpoint", "half"])
def test_a_damaged_checkpoint_is_refused(data, tmp_path, generator):
    file = tmp_path / "run.pt"
    train(small(), line(generator), checkpoint=file)
    file.write_bytes(file.read_bytes()[: len(file.read_bytes()) // 2] if data == "half" else data)
    with pytest.raises(ValueError, match=r"run\.pt is damaged or no checkpoint; delete it"):
        train(small(), line(generator), checkpoint=file)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(generator):
    def objective(model, x, y):
        objective.steps += 1
        return quadratic(model, x, y) * (math.inf if objective.steps == 4 else 1)

    def after_three(model, x, y):
        after_three.steps += 1
        if after_three.steps == 4:
            raise Interrupted
        return quadratic(model, x, y)

    objective.steps = after_three.steps = 0
    model, expected = small(), small()
    with pytest.raises(FloatingPointError, match="the loss of step 4 is inf; the weights are as step 3 left them"):
        train(model, line(generator), objective)
    with pytest.raises(Interrupted):
        train(expected, line(generator.manual_seed(generator.initial_seed())), after_three)
    assert torch.equal(weights(model), weights(expected))


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_spoils_the_weights(generator):
    model = small()
    with pytest.raises(FloatingPointError, match="the gradient of step 1 is nan"):
        train(model, line(generator), lambda model, x, y: (model(x) * 0).sum().sqrt(), precision="float32")
    assert torch.equal(weights(model), weights(small()))


@pytest.mark.parametrize("half", ["bfloat16", "float16"], indirect=True)
def test_mixed_precision_learns_with_weights_in_float32(half, device, generator):
    seen = []

    def objective(model, x, y):
        seen.append(model(x).dtype)
        return quadratic(model, x, y)

    model = small().to(device)
    history = train(model, line(generator), objective, steps=300, lr=0.1, device=device)
    assert set(seen) == {getattr(torch, half)}
    assert history.loss[-1] < 0.01 < history.loss[0]
    assert model.weight.dtype == torch.float32


@pytest.mark.parametrize("half", ["float16"], indirect=True)
def test_a_step_that_overflows_float16_is_passed_over(half, device, generator):
    losses = []

    def objective(model, x, y):
        loss = quadratic(model, x, y)
        losses.append(loss.item())
        return loss * (1e36 if len(losses) == 1 else 1e-3)

    model = small()
    history = train(model, line(generator), objective, steps=2, batch_size=64, device=device)
    expected = small()
    (1e-3 * quadratic(expected, *line(generator.manual_seed(generator.initial_seed())))).backward()
    norms = history.terms["gradient norm"]
    assert not math.isfinite(norms[0])
    assert norms[1] == pytest.approx(nn.utils.get_total_norm(p.grad for p in expected.parameters()).item(), rel=0.01)
    assert losses[0] == pytest.approx(losses[1])  # the first step moved nothing
    assert not torch.equal(weights(model), weights(small()))  # the second did


def test_a_cpu_refuses_half_precision(generator):
    for precision in ("bfloat16", "float16"):
        with pytest.raises(ValueError, match=f"precision: '{precision}' needs a GPU"):
            train(small(), line(generator), device="cpu", precision=precision)


def test_half_precision_is_never_used_on_a_cpu(generator):
    def objective(model, x, y):
        assert model(x).dtype == torch.float32
        assert not torch.is_autocast_enabled("cpu")
        return quadratic(model, x, y)

    train(small(), line(generator), objective, device="cpu")


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be above 0, got 0"),
        ({"lr": -1.0}, ValueError, "lr must be above 0, got -1.0"),
        ({"watch_every": 0}, ValueError, "watch_every must be above 0"),
        ({"clip": 0.0}, ValueError, "clip must be above 0, or None, got 0.0"),
        ({"optimizer": "sgd"}, ValueError, 'optimizer must be "adamw" or "muon", got \'sgd\''),
        ({"weight_decay": -1.0}, ValueError, "weight_decay must be 0 or above, got -1.0"),
        ({"batch_size": 65}, ValueError, "batch_size must be from 1 to the 64 rows of the data, got 65"),
        ({"data": [torch.zeros(3, 3)]}, TypeError, "data must be a tensor or a tuple of tensors, got list"),
        ({"data": ()}, TypeError, "data must be a tensor or a tuple of tensors"),
        ({"data": (torch.zeros(3, 3), torch.zeros(2))}, ValueError, "with equally many rows, got 3, 2"),
        ({"precision": "half"}, ValueError, "precision must be .*, got 'half'"),
        ({"device": "meta"}, ValueError, "device must be a CPU or a CUDA GPU, got 'meta'"),
        ({"model": nn.Linear(3, 1).requires_grad_(False)}, ValueError, "model has no parameter that requires"),
        ({"objective": nn.Linear(3, 1)}, ValueError, r"objective has parameters .*\['weight', 'bias'\]"),
        ({"objective": lambda model, x, y: model(x)}, ValueError, r"single numbers, got 'loss' of shape \(16, 1\)"),
        ({"objective": lambda model, x, y: x.sum()}, ValueError, "got one without a gradient"),
        ({"objective": lambda model, x, y: {"loss": quadratic(model, x, y), "x": x}}, ValueError, "got 'x' of shape"),
        ({"objective": lambda model, x, y: {"error": 1}}, TypeError, 'a dict with a tensor "loss" in it'),
        ({"objective": lambda model, x, y: None}, TypeError, "objective must return a tensor, or a dict"),
        ({"watch": lambda step, model: {str(step): 0}, "watch_every": 1}, ValueError, "what watch returns must have"),
    ],
)
def test_bad_arguments_are_refused_by_name(change, error, message, generator):
    options = {"model": small(), "data": line(generator), "objective": quadratic} | change
    with pytest.raises(error, match=message):
        train(**options)


@pytest.mark.usefixtures("as_a_user")
def test_steps_and_batches_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="step must be from 0 to 9, got 10"):
        warmup_cosine(10, 10)
    for size in (0, 11):
        with pytest.raises(ValueError, match=f"batch_size must be from 1 to the 10 rows of the data, got {size}"):
            shuffled_batches(10, size, 0)


def test_a_loss_with_parameters_of_the_model_is_no_stranger(generator):
    class Whole(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, model, x, y):
            return quadratic(self.inner, x, y)

    model = small()
    assert train(model, line(generator), Whole(model)).steps == 10


def test_it_warns_of_nothing_and_says_nothing(generator, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(small(), line(generator), progress=False)
    assert capfd.readouterr() == ("", "")


NOTEBOOK = """
import torch
from embedcourse.training import fit
model = torch.nn.Linear(2, 1)
history = fit(model, lambda model, x: model(x).square().mean(), torch.randn(64, 2), steps=5, batch_size=8)
print(history.steps)
"""


def test_the_bar_leaves_no_stain_in_a_notebook(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    assert [output.text for output in outputs if output.output_type == "stream"] == ["5\n"]
    live = [output for output in outputs if output.output_type == "display_data"]
    assert all("application/vnd.jupyter.widget-view+json" in output.data for output in live)
    assert not any(kind.startswith(("image/", "text/html")) for output in live for kind in output.data)
