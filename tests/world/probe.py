"""What a linear probe on random features reads from a sense: weak, fast, and the same for every sense."""

import torch
import torch.nn.functional as F
from torch import Tensor

from embedcourse.world import FACTORS, render, sample
from embedcourse.world.text import VOCABULARY

TRAIN, TEST = 3000, 1000


def accuracies(sense: str, seed: int) -> dict[str, float]:
    """Share of unseen scenes whose factor a ridge regression on one-hot labels names rightly, for every factor."""
    scenes = sample(TRAIN + TEST, seed=seed)
    x = features(render(scenes, sense), seed)
    x = torch.cat([(x - x.mean(0)) / (x.std(0) + 1e-3), torch.ones(len(x), 1)], dim=1).double()
    gram = x[:TRAIN].T @ x[:TRAIN] + 100 * torch.eye(x.shape[1])
    labels = {factor: scenes.labels(factor) for factor in FACTORS}
    targets = torch.cat([F.one_hot(labels[factor], len(FACTORS[factor])) for factor in FACTORS], dim=1).double()
    scores = x[TRAIN:] @ torch.linalg.solve(gram, x[:TRAIN].T @ targets[:TRAIN])
    parts = scores.split([len(names) for names in FACTORS.values()], dim=1)
    return {f: (s.argmax(1) == labels[f][TRAIN:]).double().mean().item() for f, s in zip(FACTORS, parts, strict=True)}


def features(x: Tensor, seed: int) -> Tensor:
    """Bags of words for text; for the rest random filters, rectified and averaged over patches."""
    if x.dtype == torch.int64:
        return F.one_hot(x, len(VOCABULARY)).amax(1).float()
    x = x.unsqueeze(2) if x.ndim == 3 else x  # a signal is a picture one pixel high
    x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
    height = min(x.shape[2], 5)
    filters = torch.randn(64, x.shape[1], height, 7, generator=torch.Generator().manual_seed(seed))
    filters = filters / filters.flatten(1).norm(dim=1)[:, None, None, None]
    maps = F.conv2d(x, filters, stride=(min(height, 2), 2))
    return F.adaptive_avg_pool2d(maps.relu(), (min(maps.shape[2], 4), 4)).flatten(1)
