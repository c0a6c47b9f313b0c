"""The contact sheet of the generated world, written to a file."""

import io
from pathlib import Path

from embedcourse import course

__all__ = ["write"]

FORMATS = (".png", ".pdf", ".svg")


def write(path: Path, scenes: int, seed: int, replace: bool = False) -> Path:
    """Draw some scenes as all six senses perceive them, and write the picture whole or not at all.

    Raises: ValueError for another format than .png, .pdf or .svg; FileExistsError where a file is in the way;
    FileNotFoundError where the folder is missing.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"out: expected a file that ends in {', '.join(FORMATS)}, got {path}")
    if path.exists() and not replace:
        raise FileExistsError(f"out: {path} is there already; name another file, or say --replace")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"out: there is no folder {path.parent}")
    from embedcourse.world import sample
    from embedcourse.world.contact_sheet import contact_sheet

    picture = io.BytesIO()
    contact_sheet(sample(scenes, seed=seed)).savefig(picture, format=path.suffix[1:], dpi=100)
    course.write_whole(path, picture.getvalue())
    return path
