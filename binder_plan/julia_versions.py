"""Which Julia a project gets: the releases there are, and what a project's compat entry says of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from binder_protocol.errors import InvalidRepository

Version = tuple[int, int, int]

# The newest patch of each minor version of Julia 1. To be brought up to date with its releases.
RELEASES = {0: 5, 1: 1, 2: 0, 3: 1, 4: 2, 5: 4, 6: 7, 7: 3, 8: 5, 9: 4, 10: 13, 11: 9, 12: 6}

_LAST: Version = (10**6, 0, 0)
_NUMBER = r"\d{1,5}(?:\.\d{1,5}){0,2}"
_SINGLE = re.compile(rf"(?P<operator>\^|~|=|>=|≥|>|<=|≤|<)?\s*v?(?P<number>{_NUMBER})", re.ASCII)
_SPAN = re.compile(rf"v?(?P<low>{_NUMBER})\s+-\s+v?(?P<high>{_NUMBER})", re.ASCII)
_EXACT = re.compile(r"1\.(\d{1,3})\.(\d{1,3})(?P<more>[-+].*)?", re.ASCII)
_MAX_RANGES = 50


def parse_compat(text: str, path: str = "Project.toml") -> tuple[tuple[Version, Version], ...]:
    """The ranges that a compat entry allows, each from its first version to the first that is too new."""
    parts = [part.strip() for part in text.split(",")]
    ranges = [_range(part) for part in parts[:_MAX_RANGES]]
    if len(parts) > _MAX_RANGES or None in ranges:
        raise InvalidRepository(
            f"{path}: the compat entry of julia can't be read", suggestions=('write julia = "1.10" or julia = "~1.10"',)
        )
    return tuple(each for each in ranges if each is not None)


def newest_of(compat: str | None, path: str) -> str:
    """The newest release that `compat` allows, or of all. Raises `InvalidRepository` that names those there are."""
    allowed = parse_compat(compat, path) if compat is not None else ((_padded([0]), _LAST),)
    for version in _newest_first():
        if any(low <= version < high for low, high in allowed):
            return ".".join(map(str, version))
    raise _unknown(compat or "", path)


def of_manifest(stated: str, path: str) -> str:
    """The release that made a manifest. Raises `InvalidRepository` that names those there are."""
    found = _EXACT.fullmatch(stated)
    if found is None or int(found[1]) not in RELEASES:
        raise _unknown(stated, path)
    minor = int(found[1])
    return f"1.{minor}.{RELEASES[minor] if found['more'] else int(found[2])}"


def _newest_first() -> Iterator[Version]:
    for minor in sorted(RELEASES, reverse=True):
        for patch in range(RELEASES[minor], -1, -1):
            yield 1, minor, patch


def _range(text: str) -> tuple[Version, Version] | None:
    span = _SPAN.fullmatch(text)
    if span:
        return _padded(_numbers(span["low"])), _after(_numbers(span["high"]))
    single = _SINGLE.fullmatch(text)
    if single is None:
        return None
    given = _numbers(single["number"])
    version = _padded(given)
    following = (version[0], version[1], version[2] + 1)
    match single["operator"]:
        case "=":
            return version, following
        case ">=" | "≥":
            return version, _LAST
        case ">":
            return following, _LAST
        case "<":
            return (0, 0, 0), version
        case "<=" | "≤":
            return (0, 0, 0), following
        case "~":
            return version, _after(given[:2])
        case _:
            return version, _after(_significant(given))


def _significant(given: list[int]) -> list[int]:
    """The numbers up to the first that is not 0: versions that agree in them are compatible."""
    first = next((at for at, number in enumerate(given) if number), len(given) - 1)
    return given[: first + 1]


def _after(given: list[int]) -> Version:
    """The first version beyond all that start with these numbers."""
    return _padded([*given[:-1], given[-1] + 1])


def _padded(given: list[int]) -> Version:
    major, minor, patch = [*given, 0, 0][:3]
    return major, minor, patch


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(".")]


def _unknown(wanted: str, path: str) -> InvalidRepository:
    known = ", ".join(f"1.{minor}.{patch}" for minor, patch in sorted(RELEASES.items(), reverse=True))
    shown = wanted if re.fullmatch(r"[\w.,+^~=<>≤≥ -]{1,60}", wanted) else "that version"
    return InvalidRepository(
        f"{path} asks for Julia {shown}, which is not known here", suggestions=(f"there are {known}",)
    )
