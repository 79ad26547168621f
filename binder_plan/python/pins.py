"""Lines of requirements made from what other files say: the one form that the installer is given."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from binder_plan.addresses import Allowed, check_addresses
from binder_protocol.errors import InvalidRepository

PYPI = ("https://pypi.org/simple", "https://pypi.python.org/simple")
_HASH = re.compile(r"(?:sha256|sha384|sha512):[0-9a-f]{64,128}")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[a-z+]+://[^\s\"'\\]+")
_MAX_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file asks for: lines to install, lines that only pin versions, indexes besides PyPI.

    `local`: packages that lie in the repository, as paths from its root, and whether each is editable.
    """

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    local: tuple[tuple[str, bool], ...] = ()
    python: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """One package as a table of a file describes it; `where` names the file and the package in messages."""

    name: str
    where: str
    version: str = ""
    extras: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    address: str = ""
    hashes: tuple[str, ...] = field(default=())

    def line(self, allowed: Allowed) -> str:
        """As a line of requirements. Raises `InvalidRepository` for what is none, or asks a host that isn't allowed."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        if self.address:
            check_addresses(self.address, self.where, allowed)
            if not _ADDRESS.fullmatch(self.address):
                raise _wrong(self.where)
        target = f" @ {self.address}" if self.address else self.version
        markers = " and ".join(f"({each})" if len(self.markers) > 1 else each for each in self.markers)
        text = f"{self.name}{extras}{target}" + (f" ; {markers}" if markers else "")
        try:
            # As the library writes it, so that nothing of the file is taken over as it is.
            line = str(Requirement(text))
        except InvalidRequirement:
            raise _wrong(self.where) from None
        if not all(_HASH.fullmatch(each) for each in self.hashes) or "\n" in line:
            raise _wrong(self.where)
        return " ".join([line, *(f"--hash={each}" for each in sorted(self.hashes))])


def canonical(name: Any, path: str) -> str:
    """The one spelling of a package's name. Raises `InvalidRepository` where it is none."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRepository(f"{path} names a package that can't be one", suggestions=(f"correct {path}",))
    return canonicalize_name(name)


def words(value: Any) -> tuple[str, ...]:
    """The strings of a list; empty where it is none."""
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def table(value: Any) -> dict[str, Any]:
    """`value` where it is a table, else an empty one."""
    return value if isinstance(value, dict) else {}


def git_address(url: Any, revision: Any, subdirectory: Any) -> str:
    """The address of a repository as requirements have it."""
    url = re.sub(r"^git@([\w.-]+):", r"ssh://git@\1/", url) if isinstance(url, str) else ""
    at = f"@{revision}" if isinstance(revision, str) and re.fullmatch(r"[\w./+-]{1,200}", revision) else ""
    inside = f"#subdirectory={subdirectory}" if isinstance(subdirectory, str) and subdirectory else ""
    return f"git+{url.removeprefix('git+')}{at}{inside}"


def checked_indexes(addresses: Iterable[Any], where: str, allowed: Allowed) -> tuple[str, ...]:
    """The indexes besides PyPI, each once. Raises `InvalidRepository` for one that builds don't get to."""
    found: dict[str, None] = {}
    for address in addresses:
        if not isinstance(address, str) or not re.fullmatch(r"https?://[^\s\"'\\$`;&|<>()]+", address):
            raise InvalidRepository(f"{where}: an index has no plain address", suggestions=("write https://host/path",))
        check_addresses(address, where, allowed)
        if address.rstrip("/") not in PYPI:
            found[address] = None
    return tuple(found)


def bounded(lines: Iterable[str], path: str) -> tuple[str, ...]:
    """The lines, each once, sorted. Raises `InvalidRepository` where there are too many."""
    found = tuple(sorted(set(lines)))
    if len(found) > _MAX_LINES:
        raise InvalidRepository(f"{path} names more than {_MAX_LINES} packages")
    return found


def _wrong(where: str) -> InvalidRepository:
    return InvalidRepository(
        f"{where}: version, extras, markers or address are not as they should be",
        suggestions=("write the entry anew with the tool that the file belongs to",),
    )
