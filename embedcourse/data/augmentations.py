"""Random changes that leave a picture's meaning alone: two of them make two views of one picture.

All work on whole batches, where the batch is, and draw from torch's own generator: seed that, and the views are the
same again.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Augmentations", "augmentations", "two_views"]


class Augmentations(nn.Sequential):
    """Augmentations one after another, each on its own for every picture; without gradient and in full precision."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Changed pictures, of the same shape, with values in [0, 1].

        Raises: ValueError for what is no batch of pictures.
        """
        if x.ndim != 4:
            raise ValueError(f"x: expected pictures of shape (n, c, h, w), got {tuple(x.shape)}")
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):  # bfloat16 would bend the warp
            for augmentation in self:
                if x.shape[1] == 3 or type(augmentation).__name__ not in COLOUR_ONLY:
                    x = augmentation(x)
            return x.clamp(0, 1)


#: What needs red, green and blue, and is passed over for grey pictures.
COLOUR_ONLY = ("RandomChannelShuffle", "RandomSaturation", "RandomGrayscale")


def augmentations(
    *,
    zoom: tuple[float, float] | None = (1.0, 1.4),
    shift: float = 0.1,
    rotation: float = 15.0,
    flip: bool = True,
    colour: float = 0.4,
    shuffle: float = 0.5,
    grey: float = 0.0,
    noise: float = 0.02,
) -> Augmentations:
    """A chain of random changes by kornia; each is left out at 0, False or None.

    zoom, shift, rotation: the picture is magnified by a factor from this range, moved by up to this share of its
        width and height, and turned by up to so many degrees, all in one warp; what comes in at the border mirrors
        what is there. A zoom of 1.4 shows half of the area: this is the random crop.
    flip: mirrored left to right, every second one.
    colour: up to this number is added to all values or taken from them (brightness), and they are multiplied by
        1 ± up to this (contrast); the distance of the colours from grey is multiplied likewise (saturation).
    shuffle: share of pictures whose red, green and blue change places: it does what a change of hue is for, in a
        fraction of the time.
    grey: share of pictures that lose their colours after that: the three channels become their weighted mean.
    noise: standard deviation of Gaussian noise, in units of the pixel values.

    Raises: ValueError for a number outside its range.
    Source: Chen et al. (2020), "SimCLR", section 3 and appendix A, which crops, flips, jitters and drops colours, and
    blurs; this choice: this course.
    """
    check_ranges(zoom, shift=shift, rotation=rotation, colour=colour, shuffle=shuffle, grey=grey, noise=noise)
    import kornia.augmentation as K

    factors = (1 - colour, 1 + colour)
    chain = [
        (zoom or shift or rotation)
        and K.RandomAffine(rotation, (shift, shift), zoom, padding_mode="reflection", p=1.0),
        flip and K.RandomHorizontalFlip(),
        shuffle and K.RandomChannelShuffle(p=shuffle),
        colour and K.RandomBrightness(factors, p=1.0),
        colour and K.RandomContrast(factors, p=1.0),
        colour and K.RandomSaturation(factors, p=1.0),
        grey and K.RandomGrayscale(p=grey),
        noise and K.RandomGaussianNoise(std=noise, p=1.0),
    ]
    return Augmentations(*(augmentation for augmentation in chain if augmentation))


def two_views(
    augment: nn.Module, x: Float[Tensor, "n c h w"]
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
    """Two independent views of every picture: row i of both comes from picture i.

    Raises: ValueError as `Augmentations`.
    Source: Chen et al. (2020), "SimCLR", Algorithm 1: t, t′ ∼ 𝒯.
    """
    return augment(x), augment(x)


def check_ranges(zoom: tuple[float, float] | None, **numbers: float) -> None:
    """Refuse numbers that no augmentation can have, by name."""
    if zoom is not None and not 0 < zoom[0] <= zoom[1]:
        raise ValueError(f"zoom: expected two factors above 0, the smaller first, or None; got {zoom}")
    largest = {"shift": 1.0, "rotation": 180.0, "colour": 1.0, "shuffle": 1.0, "grey": 1.0, "noise": float("inf")}
    for name, number in numbers.items():
        if not 0 <= number <= largest[name]:
            raise ValueError(f"{name}: expected a number from 0 to {largest[name]}, got {number}")
