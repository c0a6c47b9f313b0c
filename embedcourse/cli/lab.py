"""JupyterLab on the learner's notebooks: it asks nothing, fetches nothing, and says where it listens."""

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedcourse import course

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["has_screen", "serve"]

CLASSROOM = ("assignment_list", "course_list", "formgrader", "validate_assignment")  # nbgrader's parts of the server


def has_screen() -> bool:
    """Whether a browser opened here would be seen: not over SSH, not in CI, not on a Linux without a desktop."""
    away = any(os.environ.get(name) for name in ("CI", "SSH_CONNECTION", "SSH_TTY"))
    desktop = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return not away and (desktop or sys.platform in ("darwin", "win32"))


def serve(chapter: course.Chapter, port: int, browser: bool) -> None:
    """Run JupyterLab on the course until Ctrl-C, opened at a chapter's copy in my_work/."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this Python's own kernel, whatever kernels the user has besides
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ.setdefault("JUPYTER_TOKEN", secrets.token_hex(24))
    from jupyterlab.labapp import LabApp

    print("Starting JupyterLab ...", flush=True)
    page = f"lab/tree/my_work/chapters/{chapter.stem}.ipynb"
    server = LabApp.initialize_server(argv=options(page, port, browser))
    server.web_app.settings["page_config_hook"] = quiet_page
    # Jupyter binds its port, the next free one when it is busy, in the loop's first step: this is the second.
    server.io_loop.add_callback(lambda: print(address(server, page), flush=True))
    server.start()
    print("JupyterLab has ended. Your notebooks are in my_work/.")


def quiet_page(handler: object, page: dict[str, Any]) -> dict[str, Any]:
    """JupyterLab's page without the menus of nbgrader, which are for teachers, and without the question about news."""
    extensions = [e for e in page["federated_extensions"] if e["name"] != "@jupyter/nbgrader"]
    disabled = [*page.get("disabledExtensions", []), "@jupyterlab/apputils-extension:announcements"]
    return page | {"federated_extensions": extensions, "disabledExtensions": disabled}


def options(page: str, port: int, browser: bool) -> list[str]:
    """JupyterLab's options."""
    return [
        f"--ServerApp.root_dir={course.root()}",
        f"--LabApp.default_url=/{page}",
        f"--ServerApp.port={port}",
        f"--ServerApp.open_browser={browser}",
        f"--LabApp.open_browser={browser}",
        f"--ServerApp.allow_root={hasattr(os, 'geteuid') and os.geteuid() == 0}",
        "--ServerApp.answer_yes=True",  # Ctrl-C ends it without a question
        "--Application.log_level=ERROR",  # of Jupyter and all its parts, so that the address is not lost in the log
        "--LabApp.news_url=None",  # no look for news or updates on the network
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *(f"--ServerApp.jpserver_extensions=nbgrader.server_extensions.{name}=False" for name in CLASSROOM),
    ]


def address(server: "ServerApp", page: str) -> str:
    """The line that says where JupyterLab is to be found, with the token that lets its reader in."""
    token = server.identity_provider.token
    query = f"?token={token}" if token else ""
    return f"JupyterLab is at {server.connection_url.rstrip('/')}/{page}{query}   (Ctrl-C ends it)"
