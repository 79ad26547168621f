"""poetry.lock as requirements: what pyproject.toml names is installed, in the versions that the lock pins. Pure.

The lock's own entries tell only in its newest format which group and which platform each is for. So they become
constraints, with their hashes, and the installer follows the dependencies from those of pyproject.toml: what it comes
to is in the lock, and what is meant for other platforms is left out by the packages' own markers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from binder_plan.addresses import Allowed
from binder_plan.documents import read_toml
from binder_plan.python.pins import Package, Wanted, bounded, canonical, checked_indexes, git_address, table, words
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

_PLATFORMS = {"win32", "linux", "darwin", "cygwin"}


def read_poetry(tree: Tree, lock: str, project: str, allowed: Allowed) -> Wanted:
    """What `poetry install` installs: the main group and all that aren't optional.

    Raises `InvalidRepository` where the lock lacks a package that `project` names.
    """
    facts = read_toml(tree, project)
    entries = _entries(read_toml(tree, lock), lock)
    pins, places = _pins(entries, lock, allowed)
    named = {canonical(each["name"], lock) for each in entries}
    lines, local = [], dict.fromkeys(places)
    for name, wanted in _roots(facts, project):
        where = f"{project}, {name}"
        if isinstance(wanted.get("path"), str):
            local[wanted["path"], wanted.get("develop") is True] = None
            continue
        if name not in named:
            raise InvalidRepository(
                f"{lock} lacks {name}, which {project} asks for", suggestions=("make the lock anew: poetry lock",)
            )
        extras, markers = words(wanted.get("extras")), _markers(wanted)
        lines.append(Package(name, where, extras=extras, markers=markers).line(allowed))
    sources = [table(each.get("source")) for each in entries]
    indexes = [each.get("url") for each in sources if each.get("type") == "legacy"]
    return Wanted(
        requirements=bounded(lines, project),
        constraints=bounded(pins, lock),
        indexes=checked_indexes(indexes, lock, allowed),
        local=tuple(local),
    )


def _entries(facts: dict[str, Any], lock: str) -> list[dict[str, Any]]:
    found = facts.get("package", [])
    if not isinstance(found, list) or not all(isinstance(each, dict) and "name" in each for each in found):
        raise InvalidRepository(f"{lock} lists no packages", suggestions=("make the lock anew: poetry lock",))
    return found


def _pins(entries: list[dict[str, Any]], lock: str, allowed: Allowed) -> tuple[list[str], list[tuple[str, bool]]]:
    """The lock's entries as constraints, and those that lie in the repository.

    One that is there in several versions, for several platforms, is left to the dependencies' own bounds.
    """
    times = Counter(canonical(each["name"], lock) for each in entries)
    lines, places = [], []
    for each in entries:
        name = canonical(each["name"], lock)
        source = table(each.get("source"))
        address = ""
        if source.get("type") in ("directory", "file"):
            places.append((str(source.get("url", "")), False))
            continue
        if source.get("type") == "git":
            revision = source.get("resolved_reference") or source.get("reference")
            address = git_address(source.get("url"), revision, source.get("subdirectory"))
        elif source.get("type") == "url":
            address = str(source.get("url", ""))
        if times[name] == 1:
            files = each.get("files")
            hashes = [table(file).get("hash") for file in files] if isinstance(files, list) else []
            version = "" if address else f"=={each.get('version')}"
            pin = Package(name, f"{lock}, {name}", version, address=address, hashes=() if address else words(hashes))
            lines.append(pin.line(allowed))
    return lines, places


def _roots(facts: dict[str, Any], project: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The packages that pyproject.toml names, each with its table."""
    for text in words(table(facts.get("project")).get("dependencies")):
        try:
            found = Requirement(text)
        except InvalidRequirement:
            raise InvalidRepository(
                f"{project}: [project] names a dependency that is none", suggestions=(f"correct {project}",)
            ) from None
        marker = {"markers": str(found.marker)} if found.marker else {}
        yield canonical(found.name, project), {"extras": sorted(found.extras), **marker}
    poetry = table(table(facts.get("tool")).get("poetry"))
    groups = [table(poetry.get("dependencies")), table(poetry.get("dev-dependencies"))]
    more = [table(each) for each in table(poetry.get("group")).values()]
    groups += [table(each.get("dependencies")) for each in more if each.get("optional") is not True]
    for group in groups:
        for given, entries in group.items():
            if given == "python":
                continue
            for entry in entries if isinstance(entries, list) else [entries]:
                if table(entry).get("optional") is not True:
                    yield canonical(given, project), table(entry)


def _markers(wanted: dict[str, Any]) -> tuple[str, ...]:
    markers = [wanted["markers"]] if isinstance(wanted.get("markers"), str) else []
    if wanted.get("platform") in _PLATFORMS:
        markers.append(f"sys_platform == '{wanted['platform']}'")
    if isinstance(wanted.get("python"), str):
        markers += _python_markers(wanted["python"])
    return tuple(markers)


def _python_markers(text: str) -> list[str]:
    """`>=3.8,<3.11`, `^3.8` and the like; none where it is something else, so that the package is installed."""
    markers = []
    for part in text.replace(" ", "").split(","):
        operator = part.rstrip("0123456789.*")
        version = part[len(operator) :].removesuffix(".*")
        numbers = version.split(".")
        if not all(number.isdigit() for number in numbers):
            return []
        if operator in ("<", "<=", ">", ">=", "!="):
            markers.append(f"python_version {operator} '{'.'.join(numbers[:2])}'")
        elif operator == "^":
            markers.append(f"python_version >= '{'.'.join(numbers[:2])}' and python_version < '{int(numbers[0]) + 1}'")
        elif operator in ("~", "==", "=", "", "~=") and len(numbers) > 1:
            markers.append(f"python_version == '{'.'.join(numbers[:2])}'")
        else:
            return []
    return markers
