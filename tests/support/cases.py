"""The repositories of `tests/repos`: what each holds, and what its `case.toml` says of how it is built.

A case is a directory whose files are the repository, but for `case.toml` (all of whose entries may be left out):

    buildpack = "python"            # that wins
    subdir = "…"                    # what is built
    options = { submodules = true } # of the request
    settings = { memory = "1G" }    # of the build service, for this case alone
    stub = true                     # `{stub}` in a file's text is the address of the directory `<case>.stub`, served
    stub = "conda"                  # the same for a directory that tests/support/stubs.py makes
    pad = { "a.txt" = 10_000_000 }  # bytes to which a file is filled up
    timeout = 240                   # seconds
    fails = "dependency-failed"     # the type of its failure, then
    says = ["no such package"]      # regular expressions found in the failure's message, lines or suggestions
    log = ["nothing is installed"]  # regular expressions found in the log

The script `verify` is part of the repository. It runs in the built image, by the image's own entry point and without a
network, and must exit with 0.
"""

from __future__ import annotations

import hashlib
import re
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
    stub: bool | str = False
    pad: dict[str, int] = field(default_factory=dict)
    timeout: float = 240
    fails: str | None = None
    says: tuple[str, ...] = ()
    log: tuple[str, ...] = ()

    def files(self, stub: str, served: Path | None = None) -> dict[str, tuple[bytes, int]]:
        """Contents and mode of each file by its path; `{sha256:NAME}` and `{md5:NAME}` are of files that are served."""
        found = {}
        for path in sorted(self.directory.rglob("*")):
            name = path.relative_to(self.directory).as_posix()
            if name == "case.toml" or (path.is_dir() and not path.is_symlink()):
                continue
            if path.is_symlink():
                found[name] = (str(path.readlink()).encode(), 0o120000)
            else:
                content = path.read_bytes()
                if self.stub:
                    content = _with_hashes(content.replace(b"{stub}", stub.encode()), served)
                content = content.ljust(self.pad.get(name, 0), b"#")
                found[name] = (content, path.stat().st_mode & 0o777)
        return found


def _with_hashes(content: bytes, served: Path | None) -> bytes:
    def digest(match: re.Match[bytes]) -> bytes:
        assert served is not None
        name = match[2].decode()
        place = next(path for path in served.rglob(Path(name).name) if path.as_posix().endswith(name))
        return hashlib.new(match[1].decode(), place.read_bytes()).hexdigest().encode()

    return re.sub(rb"\{(sha256|md5):([^}\s]+)\}", digest, content)


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
