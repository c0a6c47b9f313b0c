"""The command line: what each command takes, what it prints, and how it ends.

Exit codes: 0 done, 1 not passed or something FAILs, 2 wrong use or bad input, 130 stopped with Ctrl-C.
"""

import json
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from embedcourse import course

__all__ = ["app", "main"]

app = typer.Typer(
    name="embedcourse",
    help="Work through the course: open it, check exercises, see your progress, find out what is wrong.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
#: The base of typer's own errors, by way of a name that every version of typer exports.
UsageError = typer.BadParameter.__base__

Chapters = Annotated[list[str] | None, typer.Argument(help="Chapters, such as 2 or hamming; all when none is given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit code; a wrong use is told in one line."""
    warnings.showwarning = lambda message, *_: complain(f"warning: {message}")
    try:
        code = app(args=arguments, prog_name="embedcourse", standalone_mode=False)
    except UsageError as error:
        complain(error.format_message())
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        complain("stopped")
        code = 130
    sys.exit(code or 0)


def complain(text: str) -> None:
    """Print one line on stderr."""
    print(f"embedcourse: {' '.join(text.split())}", file=sys.stderr)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn the errors that this package raises on bad input into one line and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        complain(str(error))
        raise typer.Exit(2) from error


@app.command()
def start(chapters: Chapters = None) -> None:
    """Copy the notebooks to my_work/, where you work. Nothing that is there is overwritten."""
    from embedcourse.cli import workspace

    with told_in_one_line():
        print("\n".join(workspace.fill(chosen(chapters)).lines()))


def chosen(names: list[str] | None) -> tuple[course.Chapter, ...]:
    """The chapters that were named, all when none was."""
    return tuple(course.find_chapter(name) for name in names) if names else course.chapters()


@app.command()
def reset(
    notebooks: Annotated[list[str], typer.Argument(metavar="NOTEBOOK|CHAPTER...", help="What to start again.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Start notebooks of my_work/ again from the course's version. Your own version is kept beside it."""
    from embedcourse.cli import workspace

    with told_in_one_line():
        files = [file for notebook in notebooks for file in workspace.resettable(notebook)]
        if not yes and not sys.stdin.isatty():
            raise ValueError("reset asks before it replaces a notebook, and nobody can answer here; say --yes")
        for file in files:
            if yes or typer.confirm(f"Start {workspace.shown(file)} again? Yours is kept beside it."):
                print(workspace.restore(file))
            else:
                print(f"{workspace.shown(file)}: left as it is.")


@app.command()
def lab(
    port: Annotated[int, typer.Option(envvar="PORT", min=1, max=65535, help="Port; the next when it is busy.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a browser where there is a screen.")] = True,
    chapter: Annotated[str, typer.Option(help="The chapter to open, such as 2 or hamming.")] = "1",
) -> None:
    """Fill my_work/ and open it in JupyterLab. Ctrl-C ends it."""
    from embedcourse.cli import lab, workspace

    with told_in_one_line():
        opened = course.find_chapter(chapter)
        print("\n".join(workspace.fill(course.chapters()).lines()))
        lab.serve(opened, port, browser=browser and lab.has_screen())


@app.command()
def check(
    notebooks: Annotated[list[str], typer.Argument(metavar="NOTEBOOK...", help="Notebooks, folders or chapters.")],
    as_json: AsJson = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one cell may run.")] = 120,
) -> None:
    """Run notebooks and say which tasks pass and which idea is wrong. The notebooks are not changed."""
    from embedcourse.cli import notebook_check

    files, results = notebook_check.notebooks_in(notebooks), []
    for file in files:
        result = notebook_check.check_notebook(file, timeout)
        results.append(result)
        if result.error:
            complain(f"{result.notebook}: {result.error}")
        elif not as_json:
            notebook_check.show(result)
    if as_json:
        print(json.dumps([result.as_dict() for result in results], indent=2, ensure_ascii=False))
    raise typer.Exit(notebook_check.exit_code(results))


@app.command()
def progress(as_json: AsJson = False) -> None:
    """Show which tasks you have passed, and what comes next."""
    from embedcourse.cli import standing

    with told_in_one_line():
        now = standing.standing()
        print(json.dumps(now.as_dict(), indent=2, ensure_ascii=False)) if as_json else standing.show(now)


@app.command()
def world(
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .pdf or .svg.")] = Path("world.png"),
    scenes: Annotated[int, typer.Option(min=1, max=40, help="How many scenes to show.")] = 6,
    seed: Annotated[int, typer.Option(help="Which scenes: the same ones for the same number.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Write over a picture that is there.")] = False,
) -> None:
    """Draw a sheet of the generated world: a few scenes, each as all six senses perceive it."""
    from embedcourse.cli import world_sheet

    with told_in_one_line():
        print(f"{world_sheet.write(out, scenes, seed, replace)}: {scenes} scenes, six senses each")


@app.command()
def claims(
    chapters: Annotated[
        list[str] | None, typer.Argument(help="Chapters with claims, such as 8 or simclr; all when none is given.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds to measure with; as many as before, or 3, when left out.")
    ] = None,
    stored: Annotated[bool, typer.Option("--stored", help="Measure nothing: judge what was measured before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure again what the chapters claim, and write CLAIMS.md. A chapter takes minutes."""
    from embedcourse.claims import registry, report, runner

    with told_in_one_line():
        course.root()  # without the course's folder there is nowhere to keep a result
        named = [registry.find_chapter(name) for name in chapters or []] or registry.chapters_with_claims()
        for chapter in named:
            if not stored:
                runner.run(chapter, seeds, tell=complain)
            report.write_page()
        tables = [report.latest_table(chapter) for chapter in named]
    if as_json:
        print(json.dumps([table.as_dict() for table in tables], indent=2, ensure_ascii=False))
    else:
        print("\n".join(line for table in tables for line in table.lines()))
    raise typer.Exit(0 if all(table.hold for table in tables) else 1)


def size(text: str) -> int:
    """Bytes as people write them: 2G, 512M, or a plain number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)i?B?", str(text).strip(), re.IGNORECASE)
    found = round(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " ")) if match else 0
    if not 64 * 2**20 <= found < 2**50:
        raise typer.BadParameter(f"expected a size such as 2G or 512M, at least 64M, got {text!r}")
    return found


@app.command()
def grade(
    submissions: Annotated[
        Path | None, typer.Argument(help="A folder: a notebook a learner, or a folder a learner.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder for the report: grades, feedback and a summary.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draws the inputs; a fresh secret one when left out. Keep it to yourself.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Notebooks graded at a time; one a processor when left out.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one notebook may take.")] = 60,
    memory: Annotated[int, typer.Option(parser=size, metavar="SIZE", help="Memory that one notebook may take.")] = "2G",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run was stopped.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe-no-sandbox", help="Run notebooks unprotected. Only those that you wrote yourself.")
    ] = False,
    nbgrader: Annotated[
        Path | None,
        typer.Option(metavar="COURSE_DIR", help="Grade an nbgrader course's submissions into its grade book."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask cluster whose workers grade: tcp://10.0.0.1:8786.")
    ] = None,
) -> None:
    """Grade the notebooks of a class in a sandbox, and write grades, feedback pages and a summary.

    Exit code 0 when everything is graded that can be, 1 when grading failed on a notebook, 2 when nothing was begun.
    """
    from embedcourse.grading import grade, nbgrader_book

    with told_in_one_line():
        if (submissions is None) == (nbgrader is None):
            raise ValueError("name either a folder with SUBMISSIONS, or an nbgrader course with --nbgrader")
        taught = None if nbgrader is None else nbgrader_book.Course(nbgrader)
        if taught is not None:
            submissions, out = taught.submitted, out or nbgrader / "report"
        if out is None:
            raise ValueError("--out: name a folder for the report")
        settings = {"seed": seed, "timeout": timeout, "memory": memory, "resume": resume, "unsafe": unsafe}
        try:
            with graders(scheduler, jobs, unsafe) as who:
                outcome = grade.grade(submissions, out, **settings, **who)
        except KeyboardInterrupt:
            complain(f"what is graded so far is kept: the same command with --resume goes on in {out}")
            raise
        print("\n".join(outcome.lines()))
        if taught is not None:
            print("\n".join(taught.write_scores(nbgrader_book.found_by(outcome)).lines()))
    raise typer.Exit(outcome.exit_code)


@contextmanager
def graders(scheduler: str | None, jobs: int | None, unsafe: bool) -> Iterator[dict[str, Any]]:
    """Who grades, and how many notebooks at a time: this computer, or the workers of a cluster."""
    if scheduler is None:
        yield {"jobs": jobs}
        return
    from embedcourse.grading import cluster

    with cluster.connected(scheduler, unsafe=unsafe) as there:
        yield {"jobs": jobs or there.jobs, "examine": there.examine}


checkpoint = typer.Typer(
    help="List the small weights that come with the course and verify them, or make them again.",
    invoke_without_command=True,
)
app.add_typer(checkpoint, name="checkpoint")


@checkpoint.callback()
def checkpoints(context: typer.Context, as_json: AsJson = False) -> None:
    """List the small weights that come with the course, and verify that each is what its card says."""
    if context.invoked_subcommand:
        return
    from embedcourse.cli import checkpoint_list

    findings = checkpoint_list.examine()
    if as_json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=2, ensure_ascii=False))
    else:
        print("\n".join(finding.line() for finding in findings))
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@checkpoint.command()
def make(
    name: Annotated[str, typer.Argument(help="The weights to make, by their name in the list.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Other steps than the recipe's; needs --out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Another folder than the course's.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over weights that are there.")] = False,
) -> None:
    """Train weights again by their recipe, which takes minutes, and write them with their card."""
    from embedcourse.cli import checkpoint_list

    with told_in_one_line():
        print(checkpoint_list.make(name, out, steps, replace))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look at everything that the course needs, and say OK or FAIL and what to do."""
    from embedcourse.cli import doctor

    findings = []
    for finding in doctor.examine():
        findings.append(finding)
        if not as_json:
            print(finding.line(), flush=True)
    if as_json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=2, ensure_ascii=False))
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)
