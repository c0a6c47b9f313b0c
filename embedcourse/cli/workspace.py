"""my_work/: the learner's own copies of the notebooks, so that nobody edits a file that git tracks."""

import hashlib
import json
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from embedcourse import course

__all__ = ["Filled", "fill", "folder", "resettable", "restore", "shown"]

FOLDERS = ("chapters", "exercises")  # side by side as in the course, so that links between them hold


def folder() -> Path:
    """The folder of the learner's copies."""
    return course.root() / "my_work"


def shown(path: Path) -> str:
    """A path as a learner would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@dataclass
class Filled:
    """What `fill` did: files made, renewed because nobody had touched them, kept, and of these the outdated ones."""

    made: list[Path] = field(default_factory=list)
    renewed: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    outdated: list[Path] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What to tell the learner."""
        lines = [f"{shown(folder())}: {len(self.made)} notebooks copied, {len(self.kept)} left as they are."]
        if self.renewed:
            lines.append("Newer versions of notebooks that you had not touched took their place:")
            lines += [f"  {shown(path)}" for path in self.renewed]
        if self.outdated:
            lines.append("The course has a newer version of:")
            lines += [f"  {shown(path)}" for path in self.outdated]
            lines.append(
                "To start one again from the new version (yours is kept beside it): embedcourse reset NOTEBOOK"
            )
        return lines


def fill(chapters: Iterable[course.Chapter]) -> Filled:
    """Copy the notebooks of chapters to my_work/. What a learner has touched there, if only by saving it, is left.

    Raises: OSError where my_work/ cannot be written.
    """
    filled, origins = Filled(), read_origins()
    for name in (f"{kind}/{chapter.stem}.ipynb" for chapter in chapters for kind in FOLDERS):
        source, mine = course.root() / name, folder() / name
        if not source.is_file():
            continue
        if not mine.exists():
            copy(source, mine, origins)
            filled.made.append(mine)
            continue
        old, now, new = origins.get(name), digest(mine), digest(source)
        if now == old != new:
            copy(source, mine, origins)
            filled.renewed.append(mine)
            continue
        filled.kept.append(mine)
        if now == new:
            origins[name] = new
        elif old not in (None, new):
            filled.outdated.append(mine)
    write_origins(origins)
    return filled


def resettable(text: str) -> list[Path]:
    """The files of my_work/ that a notebook's path or a chapter stands for.

    Raises: ValueError for a path outside my_work/, for a notebook that the course has not, for an unknown chapter.
    """
    if Path(text).name == text and not text.endswith(".ipynb"):
        names = [f"{kind}/{course.find_chapter(text).stem}.ipynb" for kind in FOLDERS]
        return [folder() / name for name in names if (course.root() / name).is_file()]
    path = Path(text) if Path(text).exists() else course.root() / text
    path, mine = path.resolve(), folder().resolve()
    if not path.is_relative_to(mine):
        raise ValueError(f"{text} is outside {shown(folder())}; only your own copies can be reset")
    if path.suffix != ".ipynb" or not (course.root() / path.relative_to(mine)).is_file():
        raise ValueError(f"{text} is no notebook of the course, so there is nothing to start again from")
    return [folder() / path.relative_to(mine)]


def restore(mine: Path) -> str:
    """Put the course's version in the place of a learner's notebook, keep theirs beside it, and say so.

    At every moment the notebook is there, theirs or the new one.

    Raises: OSError where my_work/ cannot be written.
    """
    source, origins = course.root() / origin_key(mine), read_origins()
    theirs = mine.read_bytes() if mine.exists() else None
    words = f"{shown(mine)}: copied from the course."
    if theirs == source.read_bytes():
        words = f"{shown(mine)}: is the course's version already."
    elif theirs is not None:
        kept = free_name(mine)
        course.write_whole(kept, theirs)
        words = f"{shown(mine)}: started again; yours is kept as {kept.name}"
    copy(source, mine, origins)
    write_origins(origins)
    return words


def free_name(mine: Path) -> Path:
    """A name beside a notebook that says when it was set aside and that nothing has yet."""
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    names = [f"{mine.stem}.kept-{stamp}{again}.ipynb" for again in ("", *(f"-{n}" for n in range(2, 100)))]
    return next(path for name in names if not (path := mine.with_name(name)).exists())


def copy(source: Path, mine: Path, origins: dict[str, str]) -> None:
    """Copy one notebook and note the version that it was copied from."""
    data = source.read_bytes()
    course.write_whole(mine, data)
    origins[origin_key(mine)] = hashlib.sha256(data).hexdigest()


def origin_key(mine: Path) -> str:
    """The name under which a file's origin is noted: "chapters/02_hamming.ipynb"."""
    return mine.relative_to(folder()).as_posix()


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_origins() -> dict[str, str]:
    """From which version of the course each copy was made; nothing when the note is missing or damaged."""
    path = folder() / ".origin.json"
    if not path.exists():
        return {}
    try:
        origins = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(sha) for name, sha in origins.items()}
    except (ValueError, AttributeError) as error:
        warnings.warn(f"{path} is damaged, so newer versions go unnoticed until the next reset: {error}", stacklevel=2)
        return {}


def write_origins(origins: dict[str, str]) -> None:
    """Write the note of origins."""
    text = json.dumps(dict(sorted(origins.items())), indent=1) + os.linesep
    course.write_whole(folder() / ".origin.json", text.encode())
