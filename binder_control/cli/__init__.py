"""The command line: `binder-control`."""

from __future__ import annotations

import importlib.util
import sys

_NEEDED = ("psutil", "supervisor", "fastapi")


def main() -> None:
    """Runs the command line, where the light client is not all that is installed."""
    if not all(map(importlib.util.find_spec, _NEEDED)):
        sys.exit("binder-control runs the suite, and only the client is installed here: pip install 'binder[server]'")
    from binder_control.cli.app import main as run

    run()
