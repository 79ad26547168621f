"""Which Python a repository asks for, and whether the base image's is that one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from binder_plan.recipe import Base
from binder_protocol.errors import InvalidRepository

NEWEST, OLDEST = 14, 8
"""The minor versions of Python 3 that are chosen from where a repository gives a range."""

_PATCHES = 30
_VERSION = re.compile(r"(?P<minor>3\.\d{1,2})(?:\.(?:\d{1,3}|\*|x))?", re.ASCII)
_TWO = re.compile(r"2(?:\.\d+)*", re.ASCII)
_RUNTIME = re.compile(r"(?P<language>[a-z]+)(?:-(?P<version>\S+))?", re.I)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A minor version, the file that decided, and whether it is the base image's own."""

    version: str
    source: str = ""
    is_base: bool = True
    warnings: tuple[str, ...] = ()


def parse_runtime(text: str, path: str = "runtime.txt") -> str | None:
    """The Python that runtime.txt names (`python-3.12`); None where it names another language.

    Raises `InvalidRepository`, which says what is possible, where it names neither.
    """
    words = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = _RUNTIME.fullmatch(words[0]) if len(words) == 1 else None
    if found is None:
        raise InvalidRepository(f"{path} holds no runtime", suggestions=("write one line, such as python-3.12",))
    if found["language"].lower() != "python":
        return None
    return _checked(found["version"] or "", path)


def parse_version_file(text: str) -> str | None:
    """The first Python 3 that `.python-version` names; None for other implementations and names of environments."""
    for line in text.splitlines():
        word = line.partition("#")[0].strip().removeprefix("cpython-").removeprefix("cpython@")
        if _VERSION.fullmatch(word):
            return word
    return None


def from_version(wanted: str, source: str, base: Base) -> Chosen:
    """The minor version of `wanted`. Raises `InvalidRepository` where it is no version of Python 3."""
    if wanted == "3":
        return Chosen(base.python, source)
    minor = ".".join(_checked(wanted, source).split(".")[:2])
    is_base = minor == base.python
    patch = is_base and wanted != minor
    warnings = (f"{source} asks for Python {wanted}: the base image's newest {minor} is taken",) if patch else ()
    return Chosen(minor, source, is_base, warnings)


def from_range(wanted: Any, source: str, base: Base) -> Chosen:
    """The base's Python where it is in the range `wanted` (such as `>=3.10`), else the newest that is."""
    try:
        allowed = SpecifierSet(wanted if isinstance(wanted, str) else "no range")
    except InvalidSpecifier:
        raise InvalidRepository(
            f"{source}: requires-python is no range of versions", suggestions=('write it as ">=3.10"',)
        ) from None
    for minor in (base.python, *(f"3.{number}" for number in range(NEWEST, OLDEST - 1, -1))):
        if any(f"{minor}.{patch}" in allowed for patch in range(_PATCHES)):
            return Chosen(minor, source, minor == base.python)
    raise InvalidRepository(
        f"{source}: no Python from 3.{OLDEST} to 3.{NEWEST} is in the range of requires-python",
        suggestions=("widen requires-python",),
    )


def as_offered(chosen: Chosen, base: Base, *, others: bool) -> Chosen:
    """`chosen`, or the base's Python with a warning where there are no `others`."""
    if chosen.is_base or others:
        return chosen
    said = f"{chosen.source} asks for Python {chosen.version}: there is {base.python} alone, which is taken"
    return Chosen(base.python, chosen.source, warnings=(*chosen.warnings, said))


def _checked(version: str, path: str) -> str:
    if _TWO.fullmatch(version):
        raise InvalidRepository(
            f"{path}: Python 2 can't be had any more", suggestions=("name a Python 3, such as python-3.12",)
        )
    if version != "3" and not _VERSION.fullmatch(version):
        raise InvalidRepository(
            f"{path} names no version of Python", suggestions=("write the version with a dot, such as 3.12",)
        )
    return version
