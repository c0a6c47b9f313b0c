"""What README.md and CONTRIBUTING.md show can be typed."""

import re
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

from embedcourse import cli, course

ROOT = course.root()
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
BLOCKS = [(name, *block) for name, text in PAGES.items() for block in BLOCK.findall(text)]
PYTHON = [(name, code) for name, language, code in BLOCKS if language == "python"]
SHELL = sorted(
    {line for _, language, code in BLOCKS if language in ("bash", "sh") for line in code.split("\n") if line}
)


@pytest.mark.parametrize(("name", "code"), PYTHON, ids=[f"{n}-{i}" for i, (n, _) in enumerate(PYTHON)])
def test_python_blocks_run_and_print_what_they_say(name, code, capsys):
    exec(compile(code, name, "exec"), {})
    said = re.findall(r"#> (.*)", code)
    assert capsys.readouterr().out.splitlines() == said


@pytest.mark.parametrize("line", SHELL)
def test_shell_lines_name_what_exists(line):
    words = shlex.split(line, comments=True)
    words = [word for word in words if "=" not in word or word.startswith("-")]
    if words[0] == "make":
        done = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    elif words[0] == "embedcourse":
        done = CliRunner().invoke(cli.app, [words[1], "--help"])
        assert done.exit_code == 0, done.output
    else:
        assert words[0] in {"git", "cd", "conda", "pip", "jupytext", "."}, f"nobody tests {words[0]}"


def test_files_that_are_named_exist():
    for name, text in PAGES.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (ROOT / target).exists(), f"{name}: {target}"


def test_the_ci_runs_what_the_readme_names():
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert "make test" in SHELL
