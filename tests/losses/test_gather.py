"""Two processes with half of a batch each learn exactly what one process learns from the whole."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from embedcourse.losses import BarlowTwinsLoss, ClipLoss, NTXentLoss, VICRegLoss


class WithScale(nn.Module):
    """CLIP's loss with a scale that learns."""

    def __init__(self, gather: bool) -> None:
        super().__init__()
        self.loss, self.log_scale = ClipLoss(gather=gather), nn.Parameter(torch.tensor(1.5, dtype=torch.float64))

    def forward(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.loss(z0, z1, self.log_scale.exp())


LOSSES = {
    "NT-Xent": lambda gather: NTXentLoss(0.3, gather=gather),
    "NT-Xent, whole": lambda gather: NTXentLoss(0.3, chunk_size=None, gather=gather),
    "NT-Xent, small tiles": lambda gather: NTXentLoss(0.3, chunk_size=3, gather=gather),
    "NT-Xent, official": lambda gather: NTXentLoss(0.3, convention="official", gather=gather),
    "NT-Xent, arc": lambda gather: NTXentLoss(0.3, "arc", gather=gather),
    "VICReg": lambda gather: VICRegLoss(gather=gather),
    "Barlow Twins": lambda gather: BarlowTwinsLoss(gather=gather),
    "CLIP": WithScale,
}
PROCESSES = 2


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)).double()


def views() -> tuple[Tensor, Tensor]:
    x = torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x, x + 0.3 * torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def step(model: nn.Module, loss: nn.Module, x0: Tensor, x1: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The loss and the gradients of all parameters, those of the loss included."""
    model.zero_grad()
    z0, z1 = model(torch.cat([x0, x1])).chunk(2)
    value = loss(z0, z1)
    value.backward()
    return value.detach(), [parameter.grad.clone() for parameter in (*model.parameters(), *loss.parameters())]


def run(rank: int, folder: str) -> None:
    """One process: its half of the batch through every loss."""
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=PROCESSES)
    model = DistributedDataParallel(network())
    x0, x1 = (x.chunk(PROCESSES)[rank] for x in views())
    torch.save({name: step(model, make(True), x0, x1) for name, make in LOSSES.items()}, f"{folder}/{rank}.pt")
    dist.barrier()  # neither goes while the other still needs it
    del model  # before the group that it talks through: the other way round they may wait for each other
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What each process found."""
    folder = tmp_path_factory.mktemp("gloo")
    mp.spawn(run, (str(folder),), nprocs=PROCESSES)
    return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(PROCESSES)]


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradients_are_those_of_the_joint_batch(name, found):
    value, gradients = step(network(), LOSSES[name](False), *views())
    for of_rank in found:
        its_value, its_gradients = of_rank[name]
        torch.testing.assert_close(its_value, value, rtol=1e-9, atol=1e-12)
        for its, joint in zip(its_gradients, gradients, strict=True):
            torch.testing.assert_close(its, joint, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_without_other_processes_gathering_changes_nothing(name):
    one, other = (step(network(), LOSSES[name](gather), *views()) for gather in (True, False))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
