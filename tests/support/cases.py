"""The repositories of `tests/repos`: what each holds, and what its `case.toml` says of how it is built.

A case is a directory whose files are the repository, but for `case.toml` (all of whose entries may be left out):

    buildpack = "python"            # that wins
    subdir = "…"                    # what is built
    options = { submodules = true } # of the request
    settings = { memory = "1G" }    # of the build service, for this case alone
    stub = true                     # `{stub}` in a file's text is the address of the directory `<case>.stub`, served
    timeout = 240                   # seconds
    fails = "dependency-failed"     # the type of its failure, then
    says = ["no such package"]      # regular expressions found in the failure's message, lines or suggestions
    log = ["nothing is installed"]  # regular expressions found in the log

The script `verify` is part of the repository. It runs in the built image, by the image's own entry point and without a
network, and must exit with 0.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOS = Path(__file__).parents[1] / "repos"


@dataclass(frozen=True)
class Case:
    """One directory of `tests/repos`."""

    name: str
    directory: Path
    buildpack: str | None = None
    subdir: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    stub: bool = False
    timeout: float = 240
    fails: str | None = None
    says: tuple[str, ...] = ()
    log: tuple[str, ...] = ()

    def files(self, stub: str) -> dict[str, tuple[bytes, int]]:
        """Contents and mode of each file by its path."""
        found = {}
        for path in sorted(self.directory.rglob("*")):
            name = path.relative_to(self.directory).as_posix()
            if name == "case.toml" or (path.is_dir() and not path.is_symlink()):
                continue
            if path.is_symlink():
                found[name] = (str(path.readlink()).encode(), 0o120000)
            else:
                content = path.read_bytes()
                content = content.replace(b"{stub}", stub.encode()) if self.stub else content
                found[name] = (content, path.stat().st_mode & 0o777)
        return found


def cases() -> list[Case]:
    """All of them, by name."""
    return [_case(each) for each in sorted(REPOS.iterdir()) if each.is_dir() and each.suffix != ".stub"]


def _case(directory: Path) -> Case:
    facts: dict[str, Any] = {}
    if (directory / "case.toml").exists():
        facts = tomllib.loads((directory / "case.toml").read_text())
    for name in ("says", "log"):
        facts[name] = tuple(facts.get(name, ()))
    return Case(directory.name, directory, **facts)
