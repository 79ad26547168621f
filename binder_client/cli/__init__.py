"""The command line: `binder-client`. Importing it loads neither HTTP nor models; commands do when they run."""

from binder_client.cli.app import app, main

__all__ = ["app", "main"]
