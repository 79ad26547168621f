"""JSON with comments and trailing commas, as devcontainer.json has it; strict in all else. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

# Each alternative ends at the end of the text at the latest: no scan begins twice at the same place.
_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*(?:"|\\?\Z))|(?P<line>//[^\n]*)|(?P<block>/\*.*?(?P<end>\*/|\Z))', re.DOTALL
)
_TRAILING = re.compile(r'(?P<string>"(?:[^"\\]|\\.)*(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)


def parse(text: str) -> Any:
    """The value that `text` holds. Raises ValueError, whose message has line and column, for what is no such JSON."""
    try:
        return json.loads(_TRAILING.sub(lambda match: match["string"] or " ", _TOKEN.sub(_blank, text)))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _blank(match: re.Match[str]) -> str:
    """A comment as spaces and line ends, so that what is behind it stays in its place."""
    if match["string"]:
        return match["string"]
    if match["block"] and not match["end"]:
        raise ValueError("a comment has no end")
    return re.sub(r"[^\n]", " ", match[0])
