"""Your own pictures: a folder of files becomes a tensor to train on, its subfolders the classes."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Pictures", "load_pictures"]


class Pictures(NamedTuple):
    """Pictures with values in [0, 1], their class numbers, and the classes' names; labels are None without classes."""

    images: Float[Tensor, "n c h w"]
    labels: Int[Tensor, " n"] | None
    classes: tuple[str, ...]


def load_pictures(folder: str | os.PathLike, size: int = 32) -> Pictures:
    """All pictures in a folder and below it, in colour, cut to their middle square and scaled to size × size.

    Where they lie in subfolders, each subfolder is a class; numbers follow the names in alphabetical order. Cameras'
    notes of how they were held (EXIF) are honoured, what is transparent becomes white, of a film the first picture is
    taken. A file that cannot be read is left out with a warning that names it. Hidden files are passed over.

    Raises: NotADirectoryError where there is no such folder; ValueError for a folder without (readable) pictures, one
    in which some lie in subfolders and some do not, or a size below 1.
    """
    if size < 1:
        raise ValueError(f"size: expected at least 1 pixel, got {size}")
    folder = Path(folder).expanduser()
    read = {}
    for path in picture_files(folder):
        picture = read_picture(path, size)
        if picture is not None:
            read[path.relative_to(folder)] = picture
    if not read:
        raise ValueError(f"folder: expected pictures (.jpg, .png, …) in {str(folder)!r}, found none that can be read")
    return Pictures(torch.stack(list(read.values())), *labels_by_subfolder(list(read)))


def picture_files(folder: Path) -> list[Path]:
    """The files that Pillow knows as pictures by their endings, sorted."""
    from PIL import Image

    if not folder.is_dir():
        raise NotADirectoryError(f"folder: {str(folder)!r} is no folder on this disk")
    endings = Image.registered_extensions()
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in endings)
    return sorted(folder / path for path in found if not any(part.startswith(".") for part in path.parts))


def read_picture(path: Path, size: int) -> Float[Tensor, "3 size size"] | None:
    """One picture as numbers; None, with a warning, where the file holds none."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            square = ImageOps.fit(in_colour(ImageOps.exif_transpose(image)), (size, size), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # as many as there are formats
        warnings.warn(f"{str(path)!r} cannot be read as a picture and is left out: {error}", stacklevel=3)
        return None
    return as_tensor(square)


def in_colour(image: "Image") -> "Image":
    """Red, green and blue; transparent pixels on white; 16-bit grey scaled to 8, where Pillow would cut it off."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def as_tensor(image: "Image") -> Float[Tensor, "c h w"]:
    """A grey or colour picture of 8 bits as float32 in [0, 1]."""
    pixels = torch.from_numpy(np.array(image))  # (h, w) or (h, w, c)
    return pixels.reshape(image.height, image.width, -1).permute(2, 0, 1).float() / 255


def labels_by_subfolder(paths: list[Path]) -> tuple[Int[Tensor, " n"] | None, tuple[str, ...]]:
    """A class number for each path by its first folder; none where all lie in the top folder."""
    folders = [path.parts[0] if len(path.parts) > 1 else None for path in paths]
    if set(folders) == {None}:
        return None, ()
    if None in folders:
        loose = paths[folders.index(None)]
        raise ValueError(
            f"folder: expected all pictures in subfolders, one a class, or none; {str(loose)!r} is in none"
        )
    classes = sorted(set(folders))
    return torch.tensor([classes.index(name) for name in folders]), tuple(classes)
