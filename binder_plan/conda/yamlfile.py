"""YAML of repositories, read with care: every scalar is text, nothing has a tag, nothing is there twice or too deep.

Text is what files such as environment.yml mean by their scalars anyway: `3.10` is a version, not 3.1. An alias counts
as much as what it stands for, so that a small file can't unfold into a large one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import yaml

from binder_protocol.errors import InvalidRepository

MAX_DEPTH = 30
MAX_NODES = 500_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = ("", "~", "null", "Null", "NULL")


class Text(str):
    """A scalar, and the number of the line where it stands."""

    line: int

    def __new__(cls, value: str, line: int) -> Text:
        made = super().__new__(cls, value)
        made.line = line
        return made


Value: TypeAlias = "Text | list[Value] | dict[str, Value] | None"


def parse_yaml(text: str, path: str) -> Value:
    """The one document of `text`; None where it is empty. Raises `InvalidRepository` that names `path` and the line."""
    reader = _Reader(path)
    try:
        return reader.document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise reader.refusal(line, f"this is not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise reader.refusal(1, f"this is not valid YAML: {str(error).splitlines()[0]}") from None


class _Reader:
    """Makes values of one file's events."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._nodes = 0
        self._anchors: dict[str, tuple[Value, int]] = {}

    def refusal(self, line: int, what: str) -> InvalidRepository:
        return InvalidRepository(
            f"{self._path}, line {line}: {what}"[:300], suggestions=(f"correct that line of {self._path}",)
        )

    def document(self, events: Iterator[yaml.Event]) -> Value:
        found: Value = None
        seen = False
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    raise self.refusal(_line(event), "there is a second document")
                seen = True
                found = self._value(next(events), events, 0)
        return found

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Value:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        assert isinstance(event, yaml.NodeEvent)
        before = self._nodes
        self._count(event, 1)
        if depth > MAX_DEPTH:
            raise self.refusal(_line(event), "this is nested too deeply")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self.refusal(_line(event), f"the tag {tag} is not supported: plain values alone are")
        value: Value
        if isinstance(event, yaml.ScalarEvent):
            plain = not event.style and event.value in _NULLS
            value = None if plain else Text(event.value, _line(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(events, depth)
        else:
            value = self._dict(events, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _alias(self, event: yaml.AliasEvent) -> Value:
        if event.anchor not in self._anchors:
            raise self.refusal(_line(event), "this alias stands for nothing, or for what it is in itself")
        value, size = self._anchors[event.anchor]
        self._count(event, size)
        return value

    def _list(self, events: Iterator[yaml.Event], depth: int) -> list[Value]:
        found: list[Value] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            found.append(self._value(event, events, depth + 1))
        return found

    def _dict(self, events: Iterator[yaml.Event], depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._value(event, events, depth + 1)
            if not isinstance(key, str):
                raise self.refusal(_line(event), "a key must be plain text")
            if key == "<<":
                raise self.refusal(_line(event), "merge keys (<<) are not supported")
            if key in found:
                raise self.refusal(_line(event), f"the key {key[:50]!r} is there twice")
            found[key] = self._value(next(events), events, depth + 1)
        return found

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self.refusal(_line(event), "this file holds too much, or unfolds into too much")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
