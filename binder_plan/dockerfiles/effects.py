"""What a Dockerfile leads to, as far as its text tells: port, command, and the image that it stands on. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from binder_plan.dockerfiles.instructions import Instruction, expand, instructions

_COMMAND_WORDS = 50
_PORT = re.compile(r"(\d{1,5})(?:-\d{1,5})?(?:/\w+)?")


@dataclass(frozen=True, slots=True)
class Effects:
    """Of the last stage. `starts`: it states a command or an entry point itself; an `image` of None is unknown."""

    image: str | None = None
    port: int | None = None
    command: tuple[str, ...] | None = None
    starts: bool = False


def effects(text: str, arguments: Mapping[str, str] | None = None) -> Effects:
    """What building `text` with these build arguments leads to, where it says so plainly."""
    reading = _Reading(dict(arguments or {}))
    for instruction in instructions(text):
        reading.take(instruction)
    return reading.effects()


class _Reading:
    """The stages as they come; one that stands on another goes on with what that one stated."""

    def __init__(self, arguments: dict[str, str]) -> None:
        self._arguments = arguments
        self._before: dict[str, str] = {}  # ARGs above the first FROM
        self._variables: dict[str, str] | None = None
        self._found = Effects()
        self._stages: dict[str, tuple[Effects, dict[str, str]]] = {}
        self._name = ""

    def take(self, instruction: Instruction) -> None:
        match instruction.name:
            case "FROM" if instruction.words:
                self._from(instruction.words)
            case "ARG":
                self._arg(instruction)
            case "ENV" if self._variables is not None:
                self._variables |= _pairs(instruction.value, self._variables)
            case "EXPOSE" if self._found.port is None:
                self._expose(instruction)
            case "CMD":
                shell = not instruction.value.startswith("[")
                command = ("/bin/sh", "-c", instruction.value) if shell else instruction.words
                self._found = replace(self._found, command=command[:_COMMAND_WORDS] or None, starts=True)
            case "ENTRYPOINT":
                self._found = replace(self._found, starts=True)

    def effects(self) -> Effects:
        return self._found

    def _from(self, words: tuple[str, ...]) -> None:
        self._keep()
        image = expand(words[0], self._before)
        self._name = words[2].lower() if len(words) == 3 else str(len(self._stages))
        inherited = self._stages.get((image or "").lower())
        self._found, variables = inherited or (Effects(image), {})
        self._variables = dict(variables)

    def _keep(self) -> None:
        if self._variables is not None:
            self._stages[self._name] = (self._found, self._variables)

    def _arg(self, instruction: Instruction) -> None:
        known = self._before if self._variables is None else self._variables
        for name, value in _pairs(instruction.value, known, alone=True).items():
            given = self._arguments.get(name, value or self._before.get(name, ""))
            if given:
                known.setdefault(name, given)

    def _expose(self, instruction: Instruction) -> None:
        value = expand(instruction.value, self._variables or {})
        for word in (value or "").split():
            match = _PORT.fullmatch(word.strip("\"'"))
            if match and 0 < int(match[1]) < 65_536:
                self._found = replace(self._found, port=int(match[1]))
                return


def _pairs(value: str, variables: Mapping[str, str], *, alone: bool = False) -> dict[str, str]:
    """The names that ENV or ARG sets, and their values; those that can't be told before the build are left out."""
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    if words and "=" not in words[0] and not alone:
        words = [f"{words[0]}={' '.join(words[1:])}"]
    found = {}
    for word in words:
        name, _, text = word.partition("=")
        expanded = expand(text, variables)
        if expanded is not None:
            found[name] = expanded
    return found
