"""Where a fault stands in binder.toml, and tables that nobody knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from binder_protocol.service.settings import SECTIONS


def misspelt_tables(file: Path, table: Mapping[str, object]) -> Iterator[str]:
    """A fault for every table that belongs to no service."""
    for name, value in table.items():
        if isinstance(value, dict) and name not in SECTIONS:
            nearest = difflib.get_close_matches(name, SECTIONS, n=1, cutoff=0.5)
            hint = f"did you mean [{nearest[0]}]?" if nearest else f"there are {', '.join(SECTIONS)}"
            yield f"{file}: [{name}]: there is no such table; {hint}"


def with_line(fault: str, file: Path) -> str:
    """`file: [table] key: …` as `file, line N: [table] key: …`, where that line is found."""
    found = re.match(rf"{re.escape(str(file))}: (?:\[(?P<table>[\w.-]+)\] ?)?(?P<key>[\w-]*): ", fault)
    if not found:
        return fault
    number = _line_of(file.read_text(encoding="utf-8"), found["table"], found["key"])
    return fault if number is None else fault.replace(f"{file}: ", f"{file}, line {number}: ", 1)


def _line_of(text: str, table: str | None, key: str) -> int | None:
    """The number of the line with `key` below [table], or of the heading where there is no key."""
    current: str | None = None
    assignment = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    for number, line in enumerate(text.splitlines(), 1):
        heading = re.match(r"\s*\[\s*([\w.-]+)\s*\]", line)
        if heading:
            current = heading[1]
        if current == table and (heading if not key else assignment.match(line)):
            return number
    return None
