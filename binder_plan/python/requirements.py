"""requirements.txt before it is installed: what it needs of the repository, and what it may not ask for."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from binder_plan.addresses import Allowed, check_addresses
from binder_plan.hosts import may_be_public
from binder_plan.recipe import REPO_DIR
from binder_plan.tree import Tree
from binder_protocol.errors import InvalidRepository

_INCLUDE = re.compile(r"(?:-r|-c|--requirements?|--constraints?)(?:\s+|\s*=\s*|(?<=-[rc]))(?P<path>\S.*)")
_FOLDER = re.compile(r"(?:-f|--find-links)(?:\s+|\s*=\s*|(?<=-f))(?P<path>\S.*)")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s+|\s*=\s*|(?<=-e))(?P<path>\S.*)")
_INDEX = re.compile(r"-i\b|--index-url\b|--extra-index-url\b|-f|--find-links\b")
_NAMED = re.compile(r"[\w.-]+\s*(?:\[[^\]]*\])?\s*@\s*(?P<path>\S.*)")
_LOCAL = re.compile(r"\.{1,2}(?:[/\[\s;]|$)|/|~|file:|[\w.-]+/|\S+\.(?:whl|tar\.gz|zip)(?:[\[\s;]|$)")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|git\+")
# Of hidden directories only .binder: others hold settings of programs, and the home directory is where they look.
_PLAIN = re.compile(r"(?:\.binder/)?\w[\w.+-]*(?:/\w[\w.+-]*)*", re.ASCII)
_MAX_FILES = 20


@dataclass(frozen=True, slots=True)
class _Line:
    """What one line asks for."""

    text: str
    includes: str = ""
    constrains: bool = False
    whole: bool = False
    indexes: bool = False
    has_project: bool = False

    @property
    def is_plain(self) -> bool:
        return not self.includes and not self.whole


@dataclass(frozen=True, slots=True)
class Requirements:
    """A requirements file with those that it includes; `whole`: it needs more of the repository than these files.

    `plain`: those of its lines that need nothing of it; none where constraints bind them. `indexes`: it names indexes
    of packages; `has_project`: it installs the root of the repository.
    """

    files: tuple[str, ...] = ()
    whole: bool = False
    plain: tuple[str, ...] = ()
    indexes: bool = False
    has_project: bool = False


def read_requirements(tree: Tree, path: str, allowed: Allowed = may_be_public) -> Requirements:
    """Raises `InvalidRepository`, with file and line, for what lies outside the repository or holds a credential.

    `allowed` says of a host whether builds get there.
    """
    files: list[str] = []
    found: list[_Line] = []
    waiting, whole = [path], False
    while waiting:
        current = waiting.pop(0)
        if current in files:
            continue
        whole = whole or not _PLAIN.fullmatch(current)
        if files and (not tree.has(current) or len(files) == _MAX_FILES):
            whole = True  # the installer says what is missing, better than we could
            continue
        for number, line in numbered_lines(tree.text(current)):
            said = _read(line, current, f"{current}, line {number}", allowed)
            found.append(said)
            if said.includes:
                waiting.append(said.includes)
        files.append(current)
    return Requirements(
        tuple(files),
        whole or any(each.whole for each in found),
        plain=() if any(each.constrains for each in found) else tuple(each.text for each in found if each.is_plain),
        indexes=any(each.indexes for each in found),
        has_project=any(each.has_project for each in found),
    )


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, without comments, each joined with what it is continued by; numbers from 1."""
    joined, first = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        first = first or number
        if raw.endswith("\\"):
            joined += raw[:-1]
            continue
        line = re.sub(r"(^|\s)#.*", "", joined + raw.rstrip("\r")).strip()
        if line:
            yield first, line
        joined, first = "", 0
    if joined.strip():
        yield first, joined.strip()


def _read(line: str, current: str, where: str, allowed: Allowed) -> _Line:
    check_addresses(line, where, allowed)
    include = _INCLUDE.match(line)
    if include:
        return _included(line, include["path"].strip("\"' "), current, where)
    if line.startswith("-"):
        local = _EDITABLE.match(line) or _FOLDER.match(line)
        target = local["path"] if local else ""
    else:
        named = _NAMED.match(line)
        target = named["path"] if named else line if _LOCAL.match(line) else ""
    target = target.strip("\"' ")
    if not target or (_REMOTE.match(target) and not target.lower().startswith("file:")):
        return _Line(line, indexes=_INDEX.match(line) is not None)
    place = _inside(target, "", where)
    return _Line(line, whole=True, has_project=place == "." and not _FOLDER.match(line))


def _included(line: str, path: str, current: str, where: str) -> _Line:
    constrains = line.startswith(("-c", "--c"))
    if _REMOTE.match(path):
        return _Line(line, constrains=constrains, whole=True)  # to be read anew with each commit
    return _Line(line, _inside(path, posixpath.dirname(current), where), constrains)


def _inside(path: str, directory: str, where: str) -> str:
    """Where `path`, from `directory` of the repository, is in it. Raises where that is outside."""
    local = re.sub(r"^file:(?://(?:localhost)?(?=/))?", "", path, flags=re.I).split(";")[0].split("[")[0].strip()
    place = posixpath.normpath(posixpath.join(REPO_DIR, directory, local))
    inside = place == REPO_DIR or place.startswith(f"{REPO_DIR}/")
    if not inside or local.startswith("~") or "${" in local:
        raise InvalidRepository(
            f"{where}: this leads out of the repository", suggestions=("name a file or directory inside it",)
        )
    return posixpath.relpath(place, REPO_DIR)


def needs_files(line: str, current: str, where: str, allowed: Allowed) -> bool:
    """Whether a line of requirements, in the file `current`, names files of the repository. Raises as above."""
    said = _read(line, current, where, allowed)
    return said.whole or bool(said.includes)
