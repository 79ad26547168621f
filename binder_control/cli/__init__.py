"""The command line: `binder-control`."""

from binder_control.cli.app import app, main

__all__ = ["app", "main"]
