"""`embedcourse doctor`: OK where all is well, FAIL and what to do where something is not."""

import sys
from dataclasses import replace

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from embedcourse import course
from embedcourse.checkpoints import RECIPES
from embedcourse.cli import doctor
from embedcourse.cli.doctor import Finding


def findings(look) -> dict[str, Finding]:
    return {finding.what: finding for finding in look()}


def test_this_computer_passes_and_every_part_is_told(command):
    ended = command("doctor", "--json")
    told = {finding["what"]: finding for finding in ended.json}
    assert [finding for finding in told.values() if not finding["ok"]] == []
    assert ended.code == 0
    parts = {"Python", "packages", "torch", "Jupyter kernel", "sentence model", "vector index", "checkpoints"}
    assert parts < told.keys()
    assert told["Jupyter kernel"]["found"] == "1 + 1 = 2"


def test_lines_and_exit_code(command, monkeypatch):
    def broken():
        raise RuntimeError("two\nlines")

    def fine():
        yield Finding("fine", True, "found")

    monkeypatch.setattr(doctor, "EXAMINATIONS", (("broken", broken, "do this"), ("fine", fine, "do that")))
    ended = command("doctor")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out == "FAIL  broken: RuntimeError: two lines; do this\nOK    fine: found\n"


@pytest.mark.parametrize(
    ("version", "tested", "wanted", "fault"),
    [
        ("2.4", "2.4", ">=2", None),
        ("2.5", "2.4", ">=2", None),
        ("2.3", "2.4", ">=2", "2.3 is older than 2.4"),
        ("1.9", "2.4", ">=2", "1.9 is not >=2"),
        ("3.0", "2.4", ">=2,<3", "3.0 is not"),
        ("2.3", None, ">=2", None),
        (None, "2.4", ">=2", "is missing"),
    ],
)
def test_a_version_against_the_tested_one_and_the_range(monkeypatch, tmp_path, version, tested, wanted, fault):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    versions = [text and Version(text) for text in (version, tested)]
    said = doctor.fault_of(*versions, SpecifierSet(wanted))
    assert said is None if fault is None else said.startswith(fault)


def test_conda_may_be_older_within_the_range(monkeypatch, tmp_path):
    (tmp_path / "conda-meta").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert doctor.fault_of(Version("2.3"), Version("2.4"), SpecifierSet(">=2")) is None
    assert doctor.fault_of(Version("1.9"), Version("2.4"), SpecifierSet(">=2")) is not None


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """A course that needs two packages."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nrequires-python = ">=3.11"\ndependencies = ["packaging>=24", "never-heard-of-it>=1"]\n'
    )
    (tmp_path / "constraints.txt").write_text("# tested\npackaging==24.0\nnever_heard_of_it==1.0\nalso-unheard==2.0\n")
    monkeypatch.setattr(course, "root", lambda: tmp_path)
    return tmp_path


def test_a_missing_package_fails_and_a_newer_one_is_named(small_course):
    told = findings(doctor.packages)
    assert told["package never-heard-of-it"].found == "is missing"
    assert not told["packages"].ok
    assert "1 newer than tested (packaging " in told["packages"].found
    assert "package also-unheard" not in told  # tested with, but asked for by nobody


def test_a_package_outside_its_range_fails(small_course):
    text = (small_course / "pyproject.toml").read_text().replace("packaging>=24", "packaging<24")
    (small_course / "pyproject.toml").write_text(text)
    assert "is not <24" in findings(doctor.packages)["package packaging"].found


def test_needed_packages_are_found_by_way_of_others():
    needed = doctor.needed_packages(["pytest"])
    assert {"pytest", "pluggy", "iniconfig"} <= needed
    assert "argcomplete" not in needed  # asked for by pytest's extra "dev" only


def test_an_old_python_fails(small_course, monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.10.9")
    (finding,) = doctor.python()
    assert not finding.ok
    assert finding.line().endswith("install Python >=3.11")


def test_folders_that_cannot_be_written_fail(small_course, monkeypatch):
    (small_course / "my_work").write_text("a file in the way")
    monkeypatch.setenv("EMBEDCOURSE_HOME", str(small_course / "my_work" / "home"))
    told = findings(doctor.write_access)
    assert [finding.ok for finding in told.values()] == [False, False]
    assert "EMBEDCOURSE_HOME" in told["progress can be written"].do


def test_looking_at_folders_leaves_nothing_behind(small_course):
    before = sorted(small_course.rglob("*"))
    assert all(finding.ok for finding in doctor.write_access())
    assert sorted(small_course.rglob("*")) == before


def test_two_libraries_that_end_each_other_are_told(monkeypatch):
    monkeypatch.setattr(
        doctor, "SEARCH", "import os, sys; print('OMP: Error #15', file=sys.stderr, flush=True); os.abort()"
    )
    (finding,) = doctor.vector_index()
    assert not finding.ok
    assert "OMP: Error #15" in finding.line()
    assert "conda-forge" in finding.line()


def test_missing_weights_are_found(monkeypatch):
    [fine] = doctor.checkpoints()
    assert fine.ok
    monkeypatch.setitem(RECIPES, "thing", replace(RECIPES["imagebind_hub"], name="thing"))
    [finding] = doctor.checkpoints()
    assert not finding.ok
    assert "thing.json is missing; `embedcourse checkpoint make thing --replace`" in finding.line()
