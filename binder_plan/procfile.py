"""Procfile: one process type in a line, as `web: gunicorn app:app`."""

from __future__ import annotations

import re

from binder_protocol.errors import InvalidRepository

WEB = "web"
_LINE = re.compile(r"(?P<type>[A-Za-z0-9_-]{1,64})[ \t]*:[ \t]*(?P<command>\S.*)")
_LONGEST = 8_000
# A program with its arguments and nothing else takes the shell's place, and hears the signals that end it.
_PLAIN = re.compile(r"(?!(?:cd|eval|exec|exit|export|if|for|set|source|trap|until|while)\b)[\w./-]+(?:\s[^;&|<>()`]*)?")


def parse_procfile(text: str, path: str = "Procfile") -> dict[str, str]:
    """The commands by their process types. Raises `InvalidRepository` that names the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise _refusal(path, number, "a line is a process type, a colon and a command")
        if len(line) > _LONGEST:
            raise _refusal(path, number, f"a command has at most {_LONGEST} characters")
        if match["type"] in found:
            raise _refusal(path, number, f"{match['type']} is there twice")
        found[match["type"]] = match["command"]
    return found


def shell_command(line: str) -> tuple[str, ...]:
    """What runs `line` as a shell would, `$PORT` and all."""
    return ("bash", "-c", f"exec {line}" if _PLAIN.fullmatch(line) else line)


def _refusal(path: str, number: int, reason: str) -> InvalidRepository:
    return InvalidRepository(
        f"{path}, line {number}: {reason}", suggestions=(f"correct {path}, as in: web: python server.py --port $PORT",)
    )
