"""What the course needs, part by part: OK or FAIL, what was found, and what to do. Bug reports start with this."""

import importlib.metadata
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from embedcourse import course, progress

__all__ = ["Finding", "examine"]

SETUP = "run `make setup` in the course's folder"
RESTORE = "run `git checkout embedcourse/checkpoints`"
KERNEL_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    do: str = ""

    def line(self) -> str:
        """The finding in one line."""
        found = " ".join(self.found.split())
        return f"OK    {self.what}: {found}" if self.ok else f"FAIL  {self.what}: {found}; {self.do}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for machines."""
        return asdict(self)


def examine() -> Iterator[Finding]:
    """Look at everything, one finding after the other. What an examination raises is a finding too."""
    for what, look, do in EXAMINATIONS:
        try:
            yield from look()
        except Exception as error:
            yield Finding(what, False, f"{type(error).__name__}: {error}", do)


def python() -> Iterator[Finding]:
    """Python's version against the range in pyproject.toml."""
    wanted = SpecifierSet(project()["requires-python"])
    found = f"{platform.python_version()} at {sys.prefix}"
    yield Finding(
        "Python", wanted.contains(platform.python_version(), prereleases=True), found, f"install Python {wanted}"
    )


def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    return tomllib.loads((course.root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def packages() -> Iterator[Finding]:
    """Every package that the course needs, against the versions it was tested with and the ranges in pyproject.toml."""
    tested, ranges = tested_versions(), direct_ranges()
    needed, newer, wrong = needed_packages(ranges), [], []
    for name in sorted(needed | {name for name in tested if version_of(name)}):
        version = version_of(name)
        fault = fault_of(version, tested.get(name), ranges.get(name, SpecifierSet()))
        if fault:
            wrong.append(Finding(f"package {name}", False, fault, SETUP))
        elif name in tested and version > tested[name]:
            newer.append(f"{name} {version}")
    yield from wrong
    found = f"{len(needed)} needed, {len(newer)} newer than tested" + (f" ({', '.join(newer)})" if newer else "")
    yield Finding("packages", not wrong, f"{found}, {len(wrong)} wrong", f"see above; {SETUP}")


def fault_of(version: Version | None, tested: Version | None, wanted: SpecifierSet) -> str | None:
    """What is wrong with an installed version, if anything.

    Older than tested is wrong, but for conda, whose packages come out later than the tested ones.
    """
    if version is None:
        return "is missing"
    if not wanted.contains(version, prereleases=True):
        return f"{version} is not {wanted}"
    if tested is not None and version < tested and not (Path(sys.prefix) / "conda-meta").is_dir():
        return f"{version} is older than {tested}, with which the course was tested"
    return None


def tested_versions() -> dict[str, Version]:
    """The versions in constraints.txt, by package."""
    lines = (course.root() / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version.split(";")[0].strip()) for name, version in pins}


def direct_ranges() -> dict[str, SpecifierSet]:
    """The ranges of the packages that pyproject.toml asks for."""
    requirements = map(Requirement, project()["dependencies"])
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in requirements}


def needed_packages(direct: Iterable[str]) -> set[str]:
    """The packages asked for, and those that they ask for on this computer, and so on."""
    needed, queue = set(), [(name, frozenset()) for name in direct]
    seen = set()
    while queue:
        name, extras = queue.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        needed.add(name)
        if version_of(name) is not None:
            queue += [(canonicalize_name(r.name), frozenset(r.extras)) for r in asked_by(name, extras)]
    return needed


def asked_by(name: str, extras: frozenset[str]) -> list[Requirement]:
    """What an installed package asks for on this computer, with some of its extras."""
    requirements = map(Requirement, importlib.metadata.requires(name) or [])
    return [r for r in requirements if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras | {""})]


def version_of(name: str) -> Version | None:
    """The installed version of a package, without the local part such as torch's "+cpu"; None when it is missing."""
    try:
        return Version(Version(importlib.metadata.version(name)).public)
    except importlib.metadata.PackageNotFoundError:
        return None


def device() -> Iterator[Finding]:
    """Where torch computes. No GPU is needed, so a CPU is OK."""
    import torch

    found = f"CPU, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        found = f"CUDA, {torch.cuda.get_device_name()}"
    elif torch.backends.mps.is_available():
        found = "MPS, Apple's GPU"
    total = (torch.arange(4.0, device="cuda" if found.startswith("CUDA") else "cpu") * 2).sum().item()
    yield Finding("torch", total == 12, f"{torch.__version__} on {found}", SETUP)


def kernel() -> Iterator[Finding]:
    """A Jupyter kernel of this Python is started and asked for 1 + 1."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=KERNEL_SECONDS)
        reply = client.execute("", user_expressions={"sum": "1 + 1"}, reply=True, timeout=KERNEL_SECONDS)
        answer = reply["content"]["user_expressions"]["sum"]["data"]["text/plain"]
        yield Finding("Jupyter kernel", answer == "2", f"1 + 1 = {answer}", SETUP)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def write_access() -> Iterator[Finding]:
    """A file is written and removed again where the learner's notebooks and their progress go."""
    places = {"my_work": course.root() / "my_work", "progress": progress.folder()}
    for name, folder in places.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"embedcourse")
        except OSError as error:
            do = "make that folder writable" + (", or set EMBEDCOURSE_HOME" if name == "progress" else "")
            yield Finding(f"{name} can be written", False, f"{there}: {error.strerror}", do)
        else:
            yield Finding(f"{name} can be written", True, str(folder))


def sentence_model() -> Iterator[Finding]:
    """The weights of the sentence model are there, and are the original ones."""
    from embedcourse.data import sentences

    yield Finding("sentence model", True, f"MiniLM's weights are the original ones, in {sentences.verify_weights()}")


SEARCH = """
import torch, faiss
index = faiss.IndexFlatL2(2)
index.add(torch.eye(2).matmul(torch.eye(2)).numpy())
print(index.search(torch.ones(1, 2).numpy(), 1)[0].item())
"""


def vector_index() -> Iterator[Finding]:
    """torch and faiss work in one process, where each brings a library of threads; a clash would end that process."""
    done = subprocess.run([sys.executable, "-c", SEARCH], capture_output=True, text=True)
    found = "faiss searches beside torch" if done.stdout == "1.0\n" else f"ended with {done.returncode}, {done.stderr}"
    do = "chapter 6 alone needs it; install torch and faiss from one source, such as conda-forge"
    yield Finding("vector index", done.stdout == "1.0\n", found[-300:], do)


def checkpoints() -> Iterator[Finding]:
    """The small weights that come with the course are those that their cards describe."""
    from embedcourse.cli import checkpoint_list  # here, as it needs Finding

    findings = checkpoint_list.examine()
    wrong = "; ".join(finding.found for finding in findings if not finding.ok)
    yield Finding("checkpoints", not wrong, wrong or f"{len(findings)} as their cards say", RESTORE)


#: What is looked at, in this order: its name, how, and what to do when looking itself fails.
EXAMINATIONS: tuple[tuple[str, Callable[[], Iterator[Finding]], str], ...] = (
    ("Python", python, "run this in a full copy of the course"),
    ("packages", packages, SETUP),
    ("torch", device, SETUP),
    ("Jupyter kernel", kernel, SETUP),
    ("write access", write_access, "run this in a full copy of the course"),
    ("sentence model", sentence_model, SETUP),
    ("vector index", vector_index, SETUP),
    ("checkpoints", checkpoints, RESTORE),
)
