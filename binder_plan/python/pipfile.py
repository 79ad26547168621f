"""Pipfile and Pipfile.lock as requirements: those of both groups, as `pipenv install --dev` has it. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from binder_plan.addresses import Allowed
from binder_plan.documents import read_toml
from binder_plan.python.pins import Package, Wanted, bounded, canonical, checked_indexes, git_address, table, words
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

# Keys of a package that are markers, as PEP 508 names them.
_MARKERS = (
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_version",
    "python_full_version",
    "implementation_name",
    "implementation_version",
)
_COMPARISON = re.compile(r"(?P<operator>[<>=!~]{1,2})\s*['\"]?(?P<value>[\w.+* -]+?)['\"]?")
_SHORT = {"=": "=="}


def read_pipfile(tree: Tree, path: str, allowed: Allowed) -> Wanted:
    """What a Pipfile asks for. Raises `InvalidRepository` that names the package."""
    facts = read_toml(tree, path)
    groups = [table(facts.get(name)) for name in ("packages", "dev-packages")]
    return _wanted(groups, facts.get("source"), table(facts.get("requires")), path, allowed)


def read_lock(tree: Tree, path: str, allowed: Allowed) -> Wanted:
    """What a Pipfile.lock pins, with its hashes."""
    try:
        facts = table(json.loads(tree.text(path)))
    except (ValueError, RecursionError):
        raise InvalidRepository(f"{path} is not valid JSON", suggestions=("make it anew: pipenv lock",)) from None
    meta = table(facts.get("_meta"))
    groups = [table(facts.get(name)) for name in ("default", "develop")]
    return _wanted(groups, meta.get("sources"), table(meta.get("requires")), path, allowed)


def _wanted(
    groups: list[dict[str, Any]], sources: Any, requires: dict[str, Any], path: str, allowed: Allowed
) -> Wanted:
    lines: dict[str, str] = {}
    local: dict[tuple[str, bool], None] = {}
    for group in groups:
        for given, entry in group.items():
            name = canonical(given, path)
            where = f"{path}, {name}"
            facts = {"version": entry} if isinstance(entry, str) else table(entry)
            place = facts.get("path") or facts.get("file")
            if isinstance(place, str) and "://" not in place:
                local[place, facts.get("editable") is True] = None
            else:
                lines.setdefault(name, _package(name, where, facts, place).line(allowed))
    addresses = [each.get("url") for each in sources if isinstance(each, dict)] if isinstance(sources, list) else []
    python = requires.get("python_full_version") or requires.get("python_version")
    return Wanted(
        requirements=bounded(lines.values(), path),
        indexes=checked_indexes(addresses, path, allowed),
        local=tuple(local),
        python=python if isinstance(python, str) else None,
    )


def _package(name: str, where: str, facts: dict[str, Any], address: Any) -> Package:
    version = facts.get("version", "*")
    version = version.strip() if isinstance(version, str) else "?"
    if "git" in facts:
        address = git_address(facts["git"], facts.get("ref"), facts.get("subdirectory"))
    if isinstance(version, str) and re.match(r"\d", version):
        version = f"=={version}"
    markers = [facts["markers"]] if isinstance(facts.get("markers"), str) else []
    for key in _MARKERS:
        if key in facts:
            found = _COMPARISON.fullmatch(str(facts[key]).strip())
            # What can't be read makes a line that is refused, with the name of the package.
            markers.append(f"{key} {_SHORT.get(found[1], found[1])} '{found[2]}'" if found else "?")
    return Package(
        name=name,
        where=where,
        version="" if version in ("*", "") or address else version,
        extras=words(facts.get("extras")),
        markers=tuple(markers),
        address=address if isinstance(address, str) else "",
        hashes=words(facts.get("hashes")),
    )
