"""What of a repository stays out of its image: .dockerignore and .containerignore, never at the cost of the build."""

from __future__ import annotations

import re
from collections.abc import Iterable

from binder_plan.tree import Tree

IGNORE_FILES = (".dockerignore", ".containerignore")
_GIT = (".git", "**/.git")
_CLASS = re.compile(r"\[\^?(?:[^\]\\]|\\.)+\]")
_ORDINARY = re.compile(r"[^\[\\]+|\\.")


def own_patterns(tree: Tree) -> tuple[list[str], list[str]]:
    """The repository's own patterns: those of .dockerignore, then those of .containerignore; and warnings.

    A pattern that no builder could read would end the build: it is left out, with a warning.
    """
    patterns: list[str] = []
    warnings: list[str] = []
    for name in IGNORE_FILES:
        if not tree.is_file(name):
            continue
        for number, line in enumerate(tree.text(name).split("\n"), 1):
            pattern = line.strip()
            if not pattern or line.startswith("#"):
                continue
            if _readable(pattern):
                patterns.append(pattern)
            else:
                warnings.append(f"{name}, line {number} is no pattern; it has no effect")
    return patterns, warnings


def dockerignore(own: list[str], needed: Iterable[str]) -> str:
    """The text of a .dockerignore: what git keeps, the repository's own patterns, but nothing that is `needed`."""
    kept = [f"!{_literal(path)}" for path in dict.fromkeys(needed)] if own else []
    return "\n".join([*_GIT, *own, *kept]) + "\n"


def _readable(pattern: str) -> bool:
    pattern = pattern.removeprefix("!").strip()
    place = 0
    while place < len(pattern):
        found = _ORDINARY.match(pattern, place) or _CLASS.match(pattern, place)
        if found is None:
            return False
        place = found.end()
        if found[0].startswith("["):
            try:
                re.compile(found[0])
            except re.error:  # a range from a later to an earlier character
                return False
    return bool(pattern)


def _literal(path: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", path)
