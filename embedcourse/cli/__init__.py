"""The command `embedcourse`: one file a subject, nothing heavy imported before a command needs it."""

from embedcourse.cli.commands import app, main

__all__ = ["app", "main"]
