"""The lines of a requirements.txt that matter before it is installed: which other files of the repository it needs."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from binder_plan.tree import Tree

_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)(?:\s+|\s*=\s*|(?<=-[rc]))(?P<path>\S+)")
_LOCAL = re.compile(
    r"(?:-e|--editable)\b|\.{1,2}(?:/|$|\[)|/|file:|[^#@]*@\s*(?:file:|\.{0,2}/)|[\w.-]+/|\S+\.(?:whl|tar\.gz|zip)$"
)
_PLAIN = re.compile(r"[\w][\w.+-]*(?:/[\w][\w.+-]*)*", re.ASCII)
_MAX_FILES = 20


@dataclass(frozen=True, slots=True)
class Requirements:
    """A requirements file with those that it includes; `whole`: it needs more of the repository than these files."""

    files: tuple[str, ...]
    whole: bool


def read_requirements(tree: Tree, path: str) -> Requirements:
    """Raises `InvalidRepository` where the file at `path` can't be read."""
    files: list[str] = []
    waiting, whole = [path], False
    while waiting:
        current = waiting.pop(0)
        if current in files:
            continue
        if not _PLAIN.fullmatch(current.removeprefix(".")) or len(files) == _MAX_FILES:
            whole = True
            continue
        if files and not tree.is_file(current):
            whole = True  # the installer says what is missing, better than we could
            continue
        files.append(current)
        for line in _lines(tree.text(current)):
            include = _INCLUDE.match(line)
            if include and "://" not in include["path"]:
                target = posixpath.normpath(posixpath.join(posixpath.dirname(current), include["path"]))
                waiting.append(target)
            elif not include and "$" not in line and _LOCAL.match(line):
                whole = True
    return Requirements(tuple(files), whole)


def needs_files(line: str) -> bool:
    """Whether a line of requirements names files of the repository."""
    return "://" not in line.partition("#")[0] and bool(_INCLUDE.match(line) or _LOCAL.match(line))


def _lines(text: str) -> list[str]:
    joined = re.sub(r"\\\n", "", text)
    return [line for raw in joined.splitlines() if (line := re.sub(r"(^|\s)#.*", "", raw).strip())]
