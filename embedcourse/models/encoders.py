"""Encoders of pictures and signals: small networks in one file, and the way to a large one that others trained.

All map pictures, or signals over time, to embeddings, z = f(x): n of them in, n rows of d numbers out.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from embedcourse.data.hub import hub_answers
from embedcourse.data.sentences import no_loading_bar

__all__ = [
    "PretrainedResNet",
    "SmallCNN",
    "SmallCNN1d",
    "SmallResNet",
    "embed_in_chunks",
    "evaluation_mode",
    "load_image_encoder",
    "train_on_labels",
]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions whose result is added to the block's own input (He et al. 2016, figure 2)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:  # the sum needs equal shapes: option B of section 3.3
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """What the convolutions add, plus what came in: Eq. 1 of He et al. 2016."""
        residual = F.relu(self.norm1(self.conv1(x)))  # (n, c2, h2, w2)
        residual = self.norm2(self.conv2(residual))  # (n, c2, h2, w2)
        return F.relu(residual + self.shortcut(x))  # (n, c2, h2, w2)


class SmallResNet(nn.Module):
    """A residual network small enough to train on a laptop in seconds: pictures in, embeddings out.

    Three blocks, each of the later two with half the height and width and twice the channels, then the mean over all
    places and one linear layer. The mean makes it take pictures of any height and width.
    The paper's networks for small pictures stack more blocks of the same kind.
    Source: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2.
    """

    def __init__(self, embedding_dim: int = 32, width: int = 16, channels: int = 1) -> None:
        super().__init__()
        check_sizes(embedding_dim=embedding_dim, width=width, channels=channels)
        self.channels, self.embedding_dim = channels, embedding_dim
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(
            ResidualBlock(width, width, stride=1),
            ResidualBlock(width, 2 * width, stride=2),
            ResidualBlock(2 * width, 4 * width, stride=2),
        )
        self.head = nn.Linear(4 * width, embedding_dim)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The embedding of each picture, with a gradient.

        Raises: ValueError for what is no batch of pictures with the right number of channels.
        """
        check_pictures(x, self.channels)
        x = F.relu(self.norm(self.stem(x)))  # (n, width, h, w)
        x = self.blocks(x)  # (n, 4·width, h/4, w/4), sizes rounded up
        x = x.mean(dim=(2, 3))  # (n, 4·width)
        return self.head(x)  # (n, embedding_dim)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The embedding of each picture in evaluation mode, without a gradient; the mode is put back afterwards."""
        return embed_in_chunks(self, x)


class SmallCNN(nn.Module):
    """Four 3×3 convolutions, each with half the height and width and twice the channels, then the mean over all places.

    The quickest encoder of the course: pictures of 32×32 become 16, 8, 4 and 2 places a side, and 8 · width numbers.
    The channels of a place lie side by side in memory, which a CPU works through faster.
    Source: this course; batch norm before each ReLU: Ioffe and Szegedy 2015, "Batch Normalization", section 3.2.
    """

    def __init__(self, width: int = 16, channels: int = 3) -> None:
        super().__init__()
        check_sizes(width=width, channels=channels)
        self.channels, self.embedding_dim = channels, 8 * width
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        self.layers = nn.Sequential(*(convolution(*pair) for pair in pairwise(widths)))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The embedding of each picture, with a gradient.

        Raises: ValueError for what is no batch of pictures with the right number of channels.
        """
        check_pictures(x, self.channels)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.layers(x)  # (n, 8·width, h/16, w/16), sizes rounded up
        return x.mean(dim=(2, 3))  # (n, 8·width)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The embedding of each picture in evaluation mode, without a gradient; the mode is put back afterwards."""
        return embed_in_chunks(self, x)


def convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """A 3×3 convolution that halves height and width, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class SmallCNN1d(nn.Module):
    """The same over time: four convolutions of three steps, each halves their number, then the mean over what is left.

    Signals of six channels and 64 steps, as of the world's motion sensor, become 4 steps, and 8 · width numbers.
    Source: this course, as `SmallCNN`.
    """

    def __init__(self, width: int = 16, channels: int = 6) -> None:
        super().__init__()
        check_sizes(width=width, channels=channels)
        self.channels, self.embedding_dim = channels, 8 * width
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        self.layers = nn.Sequential(*(convolution1d(*pair) for pair in pairwise(widths)))

    def forward(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n d"]:
        """The embedding of each signal, with a gradient.

        Raises: ValueError for what is no batch of signals with the right number of channels.
        """
        if x.dim() != 3 or x.shape[1] != self.channels:
            raise ValueError(f"x: expected signals of shape (n, {self.channels}, t), got {tuple(x.shape)}")
        return self.layers(x).mean(dim=2)  # (n, 8·width, t/16), rounded up, and its mean

    def embed(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n d"]:
        """The embedding of each signal in evaluation mode, without a gradient; the mode is put back afterwards."""
        return embed_in_chunks(self, x)


def convolution1d(channels_in: int, channels_out: int) -> nn.Sequential:
    """A convolution of three steps that halves their number, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv1d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm1d(channels_out),
        nn.ReLU(inplace=True),
    )


def check_sizes(**sizes: int) -> None:
    """Refuse sizes below 1, by name."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")


def check_pictures(x: Tensor, channels: int) -> None:
    """Refuse what is no batch of pictures with that many channels."""
    if x.dim() != 4 or x.shape[1] != channels:
        raise ValueError(f"x: expected pictures of shape (n, {channels}, h, w), got {tuple(x.shape)}")


def embed_in_chunks(
    encoder: nn.Module, x: Shaped[Tensor, "n *shape"], *, chunk_size: int = 1024
) -> Float[Tensor, "n d"]:
    """What an encoder makes of inputs when it neither learns nor updates the statistics of its normalisation.

    chunk_size: rows worked on at a time, which bounds the temporary memory. The encoder may be on another device: the
    rows travel there and their embeddings come back.

    Raises: ValueError for a chunk_size below 1, and whatever the encoder refuses.
    Source: this course.
    """
    check_sizes(chunk_size=chunk_size)
    there = next(encoder.parameters(), x).device
    with evaluation_mode(encoder), torch.no_grad():
        return torch.cat([encoder(chunk.to(there)).to(x.device) for chunk in x.split(chunk_size)])


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards every part of the model is in the mode it had.

    Raises: nothing of its own.
    Source: this course.
    """
    before = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def train_on_labels(
    encoder: nn.Module, x: Float[Tensor, "n c h w"], labels: Int[Tensor, " n"], *, epochs: int = 6, seed: int = 0
) -> nn.Module:
    """Train an encoder, in place, so that one linear layer can tell the classes apart in its space; return it.

    Cross-entropy, AdamW, one cycle of the learning rate up to 0.02, batches of 64 in an order that the seed decides.
    The linear layer has no bias and is thrown away: what stays is the space. torch's own generator is left alone.

    Raises: ValueError for labels that do not fit the pictures, for negative labels, or for less than one epoch.
    Source: Goodfellow, Bengio and Courville 2016, "Deep Learning", sections 6.2.2 and 8.1.3; Smith 2018 for the cycle.
    """
    check_training(x, labels, epochs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = encoder.embed(x[:1]).shape[1]
        classifier = nn.Linear(width, int(labels.max()) + 1, bias=False).to(x.device)
        parameters = [*encoder.parameters(), *classifier.parameters()]
        optimizer = torch.optim.AdamW(parameters)
        steps = epochs * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=steps)
        encoder.train()
        for _ in range(epochs):
            for batch in torch.randperm(len(x)).split(BATCH):
                loss = F.cross_entropy(classifier(encoder(x[batch])), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return encoder.eval()


#: Pictures a step of training.
BATCH = 64


def check_training(x: Tensor, labels: Tensor, epochs: int) -> None:
    """Refuse what cannot be trained on, by name."""
    if labels.shape != (len(x),) or len(x) < 2:
        raise ValueError(f"labels: expected one a picture, for two or more pictures; got {tuple(labels.shape)}")
    if labels.min() < 0:
        raise ValueError(f"labels: expected class numbers from 0 on, got {int(labels.min())}")
    if epochs < 1:
        raise ValueError(f"epochs: expected at least 1, got {epochs}")


class PretrainedResNet(nn.Module):
    """A vision ResNet of transformers in the form of `SmallResNet`: pictures (n, c, h, w) in, embeddings (n, d) out.

    Pictures have values in [0, 1]; the colour statistics with which such networks are trained are taken off here.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.channels, self.embedding_dim = network.config.num_channels, network.config.hidden_sizes[-1]
        mean, std = IMAGENET_COLOURS if self.channels == 3 else ([0.5] * self.channels, [0.5] * self.channels)
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The last feature map, averaged over all places; a grey picture is repeated over the colour channels.

        Raises: ValueError for what is no batch of pictures with the right number of channels.
        """
        if x.dim() != 4 or x.shape[1] not in (1, self.channels):
            raise ValueError(f"x: expected pictures of shape (n, 1 or {self.channels}, h, w), got {tuple(x.shape)}")
        x = (x - self.mean) / self.std  # (n, channels, h, w)
        return self.network(x).pooler_output.flatten(1)  # (n, d)

    def embed(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The embedding of each picture in evaluation mode, without a gradient."""
        return embed_in_chunks(self, x)


#: Mean and standard deviation of red, green and blue over ImageNet, as torchvision and transformers subtract them.
IMAGENET_COLOURS = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def load_image_encoder(name: str | os.PathLike, *, fallback: nn.Module) -> nn.Module:
    """A pretrained ResNet from a folder, from transformers' cache, or from the network; else the fallback.

    `name` is a folder or a model's name on the Hugging Face hub, such as "microsoft/resnet-18". Where the weights
    cannot be had, one printed sentence says what is missing, and the fallback is returned. Only safetensors are read.

    Raises: TypeError when `fallback` is no module; ValueError when `name` is a model of another kind than ResNet.
    Source: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.1; weights by whoever made them.
    """
    if not isinstance(fallback, nn.Module):
        raise TypeError(f"fallback: expected a torch module such as SmallResNet(), got {fallback!r}")
    return found_or_fallback(name, pretrained_resnet, fallback)


def found_or_fallback(
    name: str | os.PathLike, find: Callable[[str | os.PathLike, bool], nn.Module], fallback: nn.Module
) -> nn.Module:
    """What `find(name, online)` finds, on the disk first: what lies there needs no network. Else the fallback, told."""
    folder = isinstance(name, os.PathLike) or name.startswith((".", "~", os.sep))
    for online in (False, True):
        if online and (folder or not hub_answers()):
            break
        try:
            return find(name, online)
        except OSError:  # what transformers raises when a file cannot be had
            continue
    print(
        f"The weights of {os.fspath(name)!r} are not on this disk and cannot be fetched: the fallback is used instead."
    )
    return fallback


def pretrained_resnet(name: str | os.PathLike, online: bool) -> PretrainedResNet:
    """The ResNet of that name, ready to embed; OSError where a file of it is out of reach."""
    from transformers import ResNetModel

    return PretrainedResNet(pretrained(ResNetModel, "resnet", name, online)).eval()


def pretrained(network: type, kind: str, name: str | os.PathLike, online: bool) -> nn.Module:
    """A network of transformers with its weights, of safetensors alone; OSError where a file is out of reach.

    Raises: ValueError for a model of another kind.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(name, local_files_only=not online)
    if config.model_type != kind:
        raise ValueError(f"name: {os.fspath(name)!r} is a model of the kind {config.model_type!r}, expected {kind!r}")
    with no_loading_bar():
        return network.from_pretrained(name, config=config, use_safetensors=True, local_files_only=not online)
