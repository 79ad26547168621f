"""The Debian control format, in which an R package describes itself in its DESCRIPTION."""

from __future__ import annotations

import re
from collections.abc import Mapping

from binder_protocol.errors import InvalidRepository

_FIELD = re.compile(r"(?P<name>[!-9;-~]+):[ \t]*(?P<value>.*)")
MAX_FIELDS = 500


def parse_dcf(text: str, path: str = "DESCRIPTION") -> Mapping[str, str]:
    """The fields of the first record, each with its lines as one. Raises `InvalidRepository` that names the line."""
    fields: dict[str, list[str]] = {}
    name = ""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                break
            continue
        if line[0] in " \t" and name:
            fields[name].append(line.strip())
            continue
        field = _FIELD.fullmatch(line)
        if field is None or len(fields) == MAX_FIELDS:
            raise InvalidRepository(
                f"{path}, line {number}: this is no field of a package's description",
                suggestions=("lines such as Package: name; a line that goes on with one starts with a space",),
            )
        name = field["name"]
        fields[name] = [field["value"].strip()]
    return {name: " ".join(filter(None, lines)) for name, lines in fields.items()}
