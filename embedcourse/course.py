"""This copy of the course on disk: its top folder, its chapters, and how to write a file that is whole or not there."""

import json
import os
import pkgutil
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO

__all__ = ["Chapter", "chapters", "chapters_with_module", "find_chapter", "root", "write_whole"]

FILE_NAME = re.compile(r"(?P<number>\d\d)_(?P<name>\w+)\.ipynb")


@dataclass(frozen=True, order=True)
class Chapter:
    """A chapter of the course: its number and its name, such as 2 and "hamming"."""

    number: int
    name: str

    @property
    def stem(self) -> str:
        """The name that all files of the chapter share: "02_hamming"."""
        return f"{self.number:02d}_{self.name}"

    @property
    def module(self) -> str:
        """The name of the chapter's module in a package that has one a chapter: "ch02_hamming"."""
        return f"ch{self.stem}"

    @property
    def title(self) -> str:
        """The heading of the chapter's notebook, without its number; where it has none, the name as words.

        Raises: OSError or ValueError where the notebook cannot be read.
        """
        notebook = json.loads((root() / "chapters" / f"{self.stem}.ipynb").read_text(encoding="utf-8"))
        first = next(iter(notebook.get("cells", [])), {})
        heading = re.match(r"# \d+ · (.+)", "".join(first.get("source", "")))
        return heading[1] if heading else self.name.replace("_", " ").capitalize()


def root() -> Path:
    """The folder that holds chapters/ and the package.

    Raises: FileNotFoundError where the package was installed without the notebooks.
    """
    folder = Path(__file__).resolve().parent.parent
    if not (folder / "chapters").is_dir():
        raise FileNotFoundError(
            "embedcourse was installed without its notebooks; clone the course and run `make setup` there"
        )
    return folder


def chapters() -> tuple[Chapter, ...]:
    """The chapters, in lesson order, as the files in chapters/ name them."""
    found = [FILE_NAME.fullmatch(path.name) for path in (root() / "chapters").glob("*.ipynb")]
    return tuple(sorted(Chapter(int(match["number"]), match["name"]) for match in found if match))


def chapters_with_module(package: ModuleType) -> tuple[Chapter, ...]:
    """The chapters that have a module of their own in a package, in lesson order."""
    found = [re.fullmatch(r"ch(\d\d)_(\w+)", module.name) for module in pkgutil.iter_modules(package.__path__)]
    return tuple(sorted(Chapter(int(match[1]), match[2]) for match in found if match))


def find_chapter(text: str | Path, among: Iterable[Chapter] | None = None, kind: str = "of this course") -> Chapter:
    """The chapter that a number, a name, a stem or a path of one of its files stands for.

    "2", "02", "hamming", "02_hamming" and "exercises/02_hamming.ipynb" are the same chapter.

    among: the chapters that are meant, all when left out; kind: what they have in common, for the error.
    Raises: ValueError for an unknown chapter, listing the known ones.
    """
    word = Path(text).name.removesuffix(".ipynb")
    known = chapters() if among is None else tuple(among)
    for chapter in known:
        if word in (chapter.name, chapter.stem) or (word.isdecimal() and int(word) == chapter.number):
            return chapter
    listed = ", ".join(f"{chapter.number} {chapter.name}" for chapter in known) or "none"
    raise ValueError(f"chapter: {str(text)!r} is no chapter {kind}; the chapters are: {listed}")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step: whoever reads it, or stops this process, finds the old bytes or all of the new ones.

    Raises: OSError where the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        if not written_nameless(part, data):
            with part.open("xb") as file:
                write_through(file, data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def written_nameless(path: Path, data: bytes) -> bool:
    """Write a file that gets its name when all is in it: who is killed before leaves none. False where it cannot be."""
    try:
        with os.fdopen(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb") as file:
            write_through(file, data)
            # Given a folder, os.link follows this link to the file that is open.
            os.link(f"/proc/self/fd/{file.fileno()}", path, src_dir_fd=file.fileno())
    except (AttributeError, OSError):  # another system than Linux, or a file system that cannot
        return False
    return True


def write_through(file: IO[bytes], data: bytes) -> None:
    """Write down to the disk: else a power cut may keep the new name and lose the bytes."""
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
