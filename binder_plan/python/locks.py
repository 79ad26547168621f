"""uv.lock and pylock.toml, which uv itself reads: what they need of the repository, and where they download from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from binder_plan.addresses import Allowed, check_addresses
from binder_plan.documents import read_toml
from binder_plan.python.pins import checked_indexes, table
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

_FILES = ("sdist", "archive", "vcs")


@dataclass(frozen=True, slots=True)
class Lock:
    """`whole`: it names packages that lie in the repository. `indexes`: those besides PyPI. `python`: a range."""

    indexes: tuple[str, ...] = ()
    whole: bool = False
    python: str | None = None


def read_uv_lock(tree: Tree, path: str, allowed: Allowed) -> Lock:
    """Raises `InvalidRepository` where it names a host that builds don't get to."""
    facts = read_toml(tree, path)
    indexes, whole = [], False
    for package in _packages(facts, "package", path):
        source = table(package.get("source"))
        for key in ("git", "url"):
            _check(source.get(key), path, allowed)
        for file in _files(package):
            _check(file.get("url"), path, allowed)
        registry = source.get("registry")
        if isinstance(registry, str):
            if "://" in registry:
                indexes.append(registry)
            else:
                whole = True  # a directory of wheels
        whole = whole or any(source.get(key, ".") != "." for key in ("editable", "virtual", "directory", "path"))
    return Lock(checked_indexes(indexes, path, allowed), whole)


def read_pylock(tree: Tree, path: str, allowed: Allowed) -> Lock:
    """Raises `InvalidRepository` where it is of no version that is known, or names a host that builds don't get to."""
    facts = read_toml(tree, path)
    if not re.fullmatch(r"1\.\d+", str(facts.get("lock-version"))):
        raise InvalidRepository(f"{path} is no lock file of version 1", suggestions=("make it anew: uv export",))
    whole = False
    for package in _packages(facts, "packages", path):
        _check(package.get("index"), path, allowed)
        for file in _files(package):
            _check(file.get("url"), path, allowed)
            whole = whole or "url" not in file
        whole = whole or "directory" in package
    python = facts.get("requires-python")
    return Lock((), whole, python if isinstance(python, str) else None)


def _packages(facts: dict[str, Any], key: str, path: str) -> list[dict[str, Any]]:
    found = facts.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidRepository(f"{path} lists no packages", suggestions=(f"make {path} anew",))
    return found


def _files(package: dict[str, Any]) -> Iterator[dict[str, Any]]:
    wheels = package.get("wheels")
    yield from (each for each in (wheels if isinstance(wheels, list) else []) if isinstance(each, dict))
    yield from (package[key] for key in _FILES if isinstance(package.get(key), dict))


def _check(address: Any, path: str, allowed: Allowed) -> None:
    if isinstance(address, str):
        check_addresses(address, path, allowed)
