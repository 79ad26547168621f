"""The stubs that are made by code: each writes into a directory what a server of its kind would hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.conda_channel import make_channel, small_packages


def conda(directory: Path) -> Path:
    """A channel of the name `stub`, to be served as conda.anaconda.org is."""
    make_channel(directory / "stub", small_packages())
    return directory


STUBS: dict[str, Callable[[Path], Path]] = {"conda": conda}
