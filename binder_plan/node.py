"""package.json and its neighbours: which Node, which package manager, and what needs the whole repository. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

VERSIONS = (24, 22, 20)
"""The major versions of Node that there are, the newest long-term one first."""

VERSION_FILES = (".nvmrc", ".node-version")
"""They count where package.json names no version."""

_NAMES = {"iron": 20, "jod": 22, "krypton": 24}
_NEWEST = ("lts/*", "lts", "node", "stable", "latest", "current")
_COMPARATOR = re.compile(
    r"(?P<op>\^|~>?|>=?|<=?|=)?\s*v?(?P<version>(?:\d{1,6}|[xX*])(?:\.(?:\d{1,6}|[xX*])){0,2})(?:-[\w.-]{1,50})?"
)
_ANY_LATER = 10**7
_MANAGER = re.compile(r"(?P<name>npm|pnpm|yarn)@(?P<version>\d{1,4}\.\d{1,4}\.\d{1,5})(?:[-+][\w.+/=-]*)?")
_LOCKS = {"package-lock.json": "npm", "npm-shrinkwrap.json": "npm", "pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}
_PINNED = {"pnpm": "10.20.0", "yarn": "1.22.22"}
_PINNED_BERRY = "4.10.3"
_OLD_PNPM = {"5": "7.33.7", "6": "8.15.9"}
# Scripts of the project itself that an installation runs: they may want any of its files.
_INSTALLING = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
_LOCAL = re.compile(r'"(?:file|link|portal|patch|workspace):|"\.{1,2}/')
_WHOLE_NAMES = ("pnpm-workspace.yaml", ".pnpmfile.cjs", ".yarn", "patches")


@dataclass(frozen=True, slots=True)
class Manager:
    """A package manager at a version; None is what comes with Node."""

    name: str
    version: str | None = None

    @property
    def berry(self) -> bool:
        """Yarn from 2 on, which shares no more than the name with the one before."""
        return self.name == "yarn" and self.version is not None and not self.version.startswith("1.")


@dataclass(frozen=True, slots=True)
class Project:
    """A package.json and what lies around it. `files` are enough to install it, unless it is `whole`."""

    facts: Mapping[str, Any]
    manager: Manager
    lock: str | None
    files: tuple[str, ...]
    whole: bool

    def script(self, name: str) -> str | None:
        """The script of that name."""
        return script(self.facts, name)


def read_project(tree: Tree) -> Project:
    """The project in the root of `tree`. Raises `InvalidRepository` where its files can't be used."""
    text = tree.text("package.json")
    facts = package_facts(text)
    locks = [name for name in _LOCKS if tree.is_file(name)]
    wanted = _wanted(facts)
    lock = next((name for name in locks if wanted and _LOCKS[name] == wanted.name), next(iter(locks), None))
    name = _LOCKS[lock] if lock else wanted.name if wanted else "npm"
    manager = wanted if wanted and wanted.name == name and name != "npm" else _pinned(name, lock, tree)
    around = [each for each in (".npmrc", ".yarnrc", ".yarnrc.yml") if tree.is_file(each)]
    whole = bool(
        "workspaces" in facts
        or any(script(facts, each) for each in _INSTALLING)
        or _LOCAL.search(text)
        or any(tree.has(each) for each in _WHOLE_NAMES)
    )
    return Project(facts, manager, lock, ("package.json", *([lock] if lock else []), *around), whole)


def package_facts(text: str) -> dict[str, Any]:
    """The object that package.json holds. Raises `InvalidRepository`."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRepository(
            f"package.json is not valid JSON: {error}"[:300], suggestions=("correct package.json",)
        ) from None
    if not isinstance(facts, dict):
        raise InvalidRepository("package.json holds no object", suggestions=("correct package.json",))
    return facts


def node_version(tree: Tree, facts: Mapping[str, Any]) -> int:
    """The major version that engines.node, .nvmrc or .node-version asks for, else the newest.

    Raises `InvalidRepository` where there is no such one.
    """
    engines = facts.get("engines")
    wish = engines.get("node") if isinstance(engines, dict) else None
    if isinstance(wish, str) and wish.strip():
        return choose(wish, "package.json, engines.node")
    for name in VERSION_FILES:
        if tree.has(name):
            lines = (line.partition("#")[0].strip() for line in tree.text(name).split("\n"))
            return choose(next(filter(None, lines), ""), name)
    return VERSIONS[0]


def choose(wish: str, origin: str) -> int:
    """The newest major version that `wish`, a range as npm has them or a name as nvm has them, lets in.

    Of a version given in full only the major part counts: the newest of it is taken.
    """
    words = wish.strip().lower()
    if words in _NEWEST:
        return VERSIONS[0]
    named = _NAMES.get(words.removeprefix("lts/"))
    if named is not None:
        return named
    for version in VERSIONS:
        if any(_lets_in(each, version) for each in words[:500].split("||")):
            return version
    there = ", ".join(map(str, sorted(VERSIONS)))
    raise InvalidRepository(
        f"{origin} asks for Node {wish.strip()[:60]}; the versions that are there are {there}",
        suggestions=(f"ask for one of Node {there}",),
    )


def _lets_in(alternative: str, major: int) -> bool:
    span = re.fullmatch(r"\s*(\S+)\s+-\s+(\S+)\s*", alternative)
    comparators = f">={span[1]} <={span[2]}" if span else alternative
    at = 0
    comparators = comparators.strip()
    while at < len(comparators):
        match = _COMPARATOR.match(comparators, at)
        if match is None or not _holds(match["op"] or "", match["version"], major):
            return False
        at = match.end()
        if at < len(comparators) and not comparators[at].isspace():
            return False
        at += len(comparators[at:]) - len(comparators[at:].lstrip())
    return True


def _holds(op: str, version: str, major: int) -> bool:
    """Whether the newest version of `major` is let in by one comparator."""
    parts = [int(each) for each in re.split(r"\.?[xX*].*", version)[0].split(".") if each]
    if not parts:
        return op not in ("<", ">")
    newest, least = (major, _ANY_LATER, _ANY_LATER), tuple(parts)
    match op:
        case ">=":
            return newest >= least
        case ">":
            return newest[: len(parts)] > least
        case "<":
            return newest < least
        case "<=":
            return newest[: len(parts)] <= least
    return parts[0] == major


def _wanted(facts: Mapping[str, Any]) -> Manager | None:
    wish = facts.get("packageManager")
    if not isinstance(wish, str):
        return None
    match = _MANAGER.fullmatch(wish.strip())
    if match is None:
        raise InvalidRepository(
            "package.json, packageManager: npm, pnpm and yarn are known, each with its version",
            suggestions=(f'as in "packageManager": "pnpm@{_PINNED["pnpm"]}"',),
        )
    return Manager(match["name"], match["version"])


def _pinned(name: str, lock: str | None, tree: Tree) -> Manager:
    head = tree.text(lock)[:2_000] if lock and name != "npm" else ""
    if name == "yarn" and "__metadata:" in head:
        return Manager(name, _PINNED_BERRY)
    version = re.search(r"^lockfileVersion: ['\"]?(\d)", head, re.M)
    return Manager(name, _OLD_PNPM.get(version[1] if version else "", _PINNED.get(name)))


def script(facts: Mapping[str, Any], name: str) -> str | None:
    """The script of that name in package.json."""
    scripts = facts.get("scripts")
    found = scripts.get(name) if isinstance(scripts, dict) else None
    return found if isinstance(found, str) and found.strip() else None
