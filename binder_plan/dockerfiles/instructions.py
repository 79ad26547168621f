"""The text of a Dockerfile as instructions with line numbers, read as BuildKit reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_OTHER_SYNTAX = re.compile(r"//\s*syntax\s*=\s*(.+?)\s*$", re.I)
_HEREDOC = re.compile(r"(?:^|\s)\d*<<(?P<dash>-?)\s*(?P<quote>['\"]?)(?P<word>[A-Za-z0-9_.-]+)(?P=quote)")
_FLAG = re.compile(r"\s*(--[a-zA-Z][\w-]*(?:=\S*)?)(?=\s|$)")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?P<rest>[^}]*)\})")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: `name` in upper case, its `flags`, the rest as one line; `first` and `last` lines from 1."""

    name: str
    flags: tuple[str, ...]
    value: str
    first: int
    last: int

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments, of the JSON form, too."""
        if self.value.startswith("["):
            try:
                found = json.loads(self.value)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, list):
                return tuple(str(each) for each in found)
        return tuple(self.value.split())


def directives(text: str) -> dict[str, tuple[str, int]]:
    """The directives at the top, such as `# syntax=…`, by lower-case name, with their lines; in all spellings."""
    found: dict[str, tuple[str, int]] = {}
    lines = text.split("\n")
    start = 1 if lines and lines[0].startswith("#!") else 0
    for number, line in enumerate(lines[start:], start + 1):
        match = _DIRECTIVE.match(line.strip())
        if not match:
            break
        found.setdefault(match[1].lower(), (match[2], number))
    if "syntax" not in found:
        other = next(((m[1], n) for n, line in enumerate(lines, 1) if (m := _OTHER_SYNTAX.match(line.strip()))), None)
        if other is None and re.search(r'^\s*\{.*"syntax"', text, re.S):
            other = ("json", 1)
        if other is not None:
            found["syntax"] = other
    return found


def instructions(text: str, *, heredocs: bool = True) -> list[Instruction]:
    """The instructions in their order; with `heredocs` off, the lines of here-documents are instructions, too."""
    escape = directives(text).get("escape", ("\\", 0))[0]
    escape = escape if escape in ("\\", "`") else "\\"
    continued = re.compile(rf"(?:^|[^{re.escape(escape)}]){re.escape(escape)}[ \t]*$")
    lines = text.split("\n")
    found: list[Instruction] = []
    at = 0
    while at < len(lines):
        first = at
        joined, at = _logical(lines, at, continued)
        if not joined.strip():
            continue
        instruction = _instruction(joined.strip(), first + 1, at)
        if heredocs and instruction.name in ("RUN", "COPY", "ADD"):
            at = _skip_heredocs(instruction.value, lines, at)
            instruction = Instruction(instruction.name, instruction.flags, instruction.value, first + 1, at)
        found.append(instruction)
    return found


def expand(text: str, variables: Mapping[str, str]) -> str | None:
    """`text` with its variables put in; None where one isn't known or is written in a way that isn't plain."""
    unknown = False

    def value(match: re.Match[str]) -> str:
        nonlocal unknown
        known = variables.get(match["plain"] or match["name"])
        rest = match["rest"] or ""
        if rest and not rest.startswith((":-", "-")):
            unknown = True
            return ""
        if known:
            return known
        unknown = unknown or not rest
        return rest.lstrip(":").removeprefix("-")

    expanded = _VARIABLE.sub(value, text)
    return None if unknown or "$" in expanded else expanded


def _logical(lines: list[str], at: int, continued: re.Pattern[str]) -> tuple[str, int]:
    """One line with those that continue it, comments and empty ones among them left out; the index behind them."""
    joined = ""
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.strip().startswith("#") or (joined and not line.strip()):
            if not joined:
                return "", at
            continue
        match = continued.search(line)
        if not match:
            return joined + line, at
        # Without the escape and what is behind it.
        joined += line.rstrip(" \t")[:-1]
    return joined, at


def _instruction(line: str, first: int, last: int) -> Instruction:
    name, _, rest = line.replace("\t", " ").partition(" ")
    flags: list[str] = []
    while match := _FLAG.match(rest):
        flags.append(match[1])
        rest = rest[match.end() :]
    if name.upper() == "ONBUILD" and rest.strip():
        inner = _instruction(rest.strip(), first, last)
        return Instruction(f"ONBUILD {inner.name}", inner.flags, inner.value, first, last)
    return Instruction(name.upper(), tuple(flags), rest.strip(), first, last)


def _skip_heredocs(value: str, lines: list[str], at: int) -> int:
    for match in _HEREDOC.finditer(value):
        end = at
        while end < len(lines):
            line = lines[end].lstrip("\t") if match["dash"] else lines[end]
            end += 1
            if line == match["word"]:
                at = end
                break
    return at
