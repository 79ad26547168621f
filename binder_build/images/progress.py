"""BuildKit's progress records as our events: steps with names and durations, and lines that are safe to show. Pure.

What a step prints can't pass for anything else: it becomes `Line`s without escapes or control characters, each of one
line, bounded in length and number.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from binder_build.secrets.build_secrets import NOTHING_SECRET, Redactor
from binder_plan.dockerfile import BASE_NAME, ENVIRONMENT_STAGE, LARGE_FOLDERS_CONTEXT, NETWORK_CONTEXT

MAX_LINE = 4_000
MAX_LINES_OF_STEP = 20_000
MAX_RECORD = 4_000_000
_MAX_NAME = 300
# The builder's own errands: its files and ours brought to it. People see those that fail.
_OWN_STEPS = (
    "[internal] ",
    f"[context {NETWORK_CONTEXT}] ",
    f"[context {LARGE_FOLDERS_CONTEXT}] ",
    f"[context {ENVIRONMENT_STAGE}] load metadata ",
    f"[context {BASE_NAME}] load metadata ",
)
# A cache that isn't there, or can't be written, is no failure of the build.
_CACHE_STEPS = ("importing cache manifest from ", "exporting cache to ", "inferred cache manifest type")


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step began."""

    step: str


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step ended; `seconds` is None for one that was cached. `error` is BuildKit's own word for a failure."""

    step: str
    status: Literal["done", "cached", "failed"]
    seconds: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One clean line that a step printed."""

    step: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the builder says about the build as a whole."""

    text: str


Event = StepStarted | StepEnded | Line | Note

# CSI, OSC (and the other strings ended by BEL or ST), two-character escapes; in their 8-bit forms, too.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def clean(line: str) -> str:
    """One line as a terminal would show it in the end: carriage returns folded, escapes and controls gone, bounded."""
    line = _ESCAPES.sub("", line.rstrip("\r\n"))
    line = line.rpartition("\r")[2] if "\r" in line else line
    line = _CONTROLS.sub("", line.expandtabs(4) if len(line) < MAX_LINE else line.replace("\t", " "))
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} …"


class LineSplitter:
    """Bytes of one stream as clean lines; a line without end is cut into bounded ones, a flood is cut off.

    `redact` sees whole lines, and of one that is cut as much beyond the cut as its longest secret takes.
    """

    def __init__(self, max_lines: int = MAX_LINES_OF_STEP, redact: Redactor = NOTHING_SECRET) -> None:
        self._redact = redact
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._left = max_lines

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        for line in lines:
            yield from self._line(line)
        # A progress bar rewrites its line for minutes; only its last state is kept.
        shown = self._rest.rstrip("\r")
        if "\r" in shown:
            self._rest = shown.rpartition("\r")[2] + self._rest[len(shown) :]
        while len(self._rest) > MAX_LINE + self._redact.longest:
            self._rest = self._redact(self._rest)
            piece, self._rest = self._rest[:MAX_LINE], self._rest[MAX_LINE:]
            yield from self._line(piece)

    def end(self) -> Iterator[str]:
        """What came after the last line's end."""
        rest, self._rest = self._rest, ""
        if rest:
            yield from self._line(rest)

    def _line(self, line: str) -> Iterator[str]:
        self._left -= 1
        if self._left > 0:
            yield self._redact(clean(self._redact(line)))
        elif self._left == 0:
            yield "… this step prints more than is kept; the rest is left out"


class Records:
    """The output of `docker buildx build --progress=rawjson` as JSON objects; what isn't JSON becomes plain `words`.

    buildx up to 0.13 spreads each object over several lines, later ones put each on a line of its own.
    """

    def __init__(self, redact: Redactor = NOTHING_SECRET) -> None:
        self._rest = b""
        self._open: list[bytes] = []
        self._size = 0
        self._redact = redact
        self.words: list[str] = []

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The objects that are complete now. One beyond 4 MB is dropped."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_RECORD:
            self._rest = b""
        for line in lines:
            yield from self._line(line)

    def _line(self, line: bytes) -> Iterator[dict[str, Any]]:
        if not self._open and not line.startswith(b"{"):
            text = self._redact(clean(line.decode("utf-8", "replace")))
            if text.strip():
                self.words = [*self.words[-99:], text]
            return
        self._size += len(line)
        if self._size <= MAX_RECORD:
            self._open.append(line)
        # Inside a pretty-printed object every line but its last is indented.
        if line != b"}" and not (len(self._open) == 1 and line.endswith(b"}")):
            return
        whole, self._open, self._size = b"\n".join(self._open), [], 0
        try:
            found = json.loads(whole)
        except ValueError:
            return
        if isinstance(found, dict):
            yield found


@dataclass
class _Vertex:
    step: str
    lines: LineSplitter
    own: bool
    started: bool = False
    ended: bool = False
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=50))


@dataclass(frozen=True, slots=True)
class Failure:
    """The step that failed: its name, BuildKit's word for it, the last lines it printed."""

    step: str
    error: str
    lines: tuple[str, ...]


class Progress:
    """Turns records into events; `titles` name steps better than their command does (see `title_of`)."""

    def __init__(self, titles: dict[str, str] | None = None, redact: Redactor = NOTHING_SECRET) -> None:
        self._titles = titles or {}
        self._redact = redact
        self._vertices: dict[str, _Vertex] = {}
        self.failure: Failure | None = None

    def events(self, record: dict[str, Any]) -> Iterator[Event]:
        """The events that one record stands for. A malformed part of it is passed over."""
        for vertex in _objects(record, "vertexes"):
            yield from self._vertex(vertex)
        for log in _objects(record, "logs"):
            yield from self._log(log)
        for warning in _objects(record, "warnings"):
            text = _decoded(warning.get("short")).decode("utf-8", "replace")
            if text:
                yield Note(clean(text.partition("\n")[0]))

    def running(self) -> tuple[str, list[str]]:
        """The step that began last and has not ended, and its last lines."""
        for vertex in reversed(self._vertices.values()):
            if vertex.started and not vertex.ended:
                return vertex.step, list(vertex.recent)
        return "", []

    def close(self) -> Iterator[Event]:
        """What was printed last by steps that never ended."""
        for vertex in self._vertices.values():
            yield from self._lines(vertex, vertex.lines.end())

    def _vertex(self, record: dict[str, Any]) -> Iterator[Event]:
        digest, name = str(record.get("digest", "")), str(record.get("name", ""))
        if name.startswith(_CACHE_STEPS):
            error = self._redact(clean(str(record.get("error") or "").replace("\n", " ")))
            if error and "not found" not in error:
                yield Note(f"warning: the steps of other hosts are not shared: {error}")
            return
        vertex = self._vertices.get(digest)
        if vertex is None:
            vertex = self._vertices[digest] = _Vertex(
                self._title(name), LineSplitter(redact=self._redact), name.startswith(_OWN_STEPS)
            )
        quiet = vertex.own and not record.get("error")
        if record.get("started") and not vertex.started and not quiet:
            vertex.started = True
            yield StepStarted(vertex.step)
        if not record.get("completed") or vertex.ended or quiet:
            return
        # BuildKit reports the lookup of a step and its run as two spans; one that is cached says so in the second.
        error = self._redact(clean(str(record.get("error") or "").replace("\n", " ")))
        status: Literal["done", "cached", "failed"] = (
            "failed" if error else "cached" if record.get("cached") else "done"
        )
        vertex.ended = True
        yield from self._lines(vertex, vertex.lines.end())
        if error and (self.failure is None or "context canceled" in self.failure.error):
            self.failure = Failure(vertex.step, error, tuple(vertex.recent))
        seconds = None if status == "cached" else _seconds(record)
        yield StepEnded(vertex.step, status, seconds, error)

    def _log(self, record: dict[str, Any]) -> Iterator[Event]:
        vertex = self._vertices.get(str(record.get("vertex", "")))
        if vertex is not None:
            yield from self._lines(vertex, vertex.lines.feed(_decoded(record.get("data"))))

    def _lines(self, vertex: _Vertex, lines: Iterator[str]) -> Iterator[Line]:
        for text in lines:
            vertex.recent.append(text)
            if vertex.started or not vertex.own:
                yield Line(vertex.step, text)

    def _title(self, name: str) -> str:
        flat = squeezed(name)
        for key, title in self._titles.items():
            if flat.endswith(key):
                return title
        return clean(re.sub(r"^\[[^\]]*?(\d+/\d+)\] ", r"[\1] ", _without_mounts(flat)))[:_MAX_NAME]


def squeezed(text: str) -> str:
    """`text` with every run of white space as one space: as BuildKit writes a command into a step's name."""
    return " ".join(text.replace("\\\n", " ").split())


def _without_mounts(name: str) -> str:
    return re.sub(r"(RUN) (?:--mount=\S+ )+", r"\1 ", name)


def _objects(record: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = record.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _decoded(data: object) -> bytes:
    try:
        return base64.b64decode(data) if isinstance(data, str) else b""
    except binascii.Error:
        return b""


def _seconds(record: dict[str, Any]) -> float | None:
    try:
        started, completed = (datetime.fromisoformat(_micro(str(record[key]))) for key in ("started", "completed"))
    except (KeyError, ValueError):
        return None
    return max(0.0, round((completed - started).total_seconds(), 3))


def _micro(moment: str) -> str:
    """RFC 3339 with at most six digits behind the point."""
    return re.sub(r"(\.\d{6})\d+", r"\1", moment)
