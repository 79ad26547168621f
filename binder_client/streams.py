"""Streams of server-sent events and of lines: read within limits, taken up again where a connection was lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from binder_protocol.errors import BadResponse, Refused, TimedOut, Unavailable

MAX_LINE = 2**20
"""Bytes of a line, and of an event, above which the stream is given up."""
HEARTBEAT_SECONDS = 15
"""How often a server says at least something."""
QUIET_SECONDS = 3 * HEARTBEAT_SECONDS
"""Silence after which a connection counts as lost."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

Opener = Callable[[str | None], AbstractContextManager[Iterator[bytes]]]
"""Opens the stream behind the event of that id, or from its beginning."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event. `end` is the kind of the last one of a stream that came to its end.

    `id` is the event's own; one without an id doesn't inherit that of the event before it.
    """

    kind: str = "message"
    data: str = ""
    id: str | None = None


@dataclass(slots=True)
class _Fields:
    kind: str = "message"
    data: list[str] = field(default_factory=list)
    size: int = 0
    id: str | None = None


def lines(chunks: Iterator[bytes], limit: int = MAX_LINE) -> Iterator[str]:
    """The lines of a stream, without their ends; what isn't UTF-8 is replaced. Raises BadResponse for one above limit.

    A last line without its end is none: it is what a lost connection leaves.
    """
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if len(line) > limit:
                raise _too_long(limit)
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
        if len(rest) > limit:
            raise _too_long(limit)


def events(chunks: Iterator[bytes], limit: int = MAX_LINE) -> Iterator[Event | None]:
    """The events of a stream, and None for each sign of life between them. Raises BadResponse above the limit."""
    fields = _Fields()
    for line in lines(chunks, limit):
        if line.startswith(":"):
            yield None
            continue
        if not line:
            if fields.data or fields.kind != "message":
                yield Event(fields.kind, "\n".join(fields.data), fields.id)
            fields = _Fields()
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            fields.data.append(value)
            fields.size += len(value)
            if fields.size > limit:
                raise _too_long(limit)
        elif name == "event":
            fields.kind = value
        elif name == "id" and "\0" not in value:
            fields.id = value


def follow(open_stream: Opener, *, patience: float = 60) -> Iterator[Event]:
    """The events up to and with the one that ends the stream, over as many connections as it takes.

    A connection that breaks, or stays silent for too long, is opened again behind the last event; after `patience`
    seconds without a sign of life the last failure is raised. An event that comes twice is passed on once.
    """
    last_id: str | None = None
    alive, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        failure: Exception = Refused("the server broke off the stream before its end")
        try:
            with open_stream(last_id) as chunks:
                for event in events(chunks):
                    if event is None:
                        alive = time.monotonic()
                        continue
                    if _seen(event.id, last_id):
                        continue
                    alive, pause = time.monotonic(), _FIRST_PAUSE
                    last_id = event.id or last_id
                    yield event
                    if event.kind == "end":
                        return
        except (Refused, TimedOut, Unavailable) as error:
            failure = error
        if time.monotonic() - alive > patience:
            raise failure
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _seen(identity: str | None, last: str | None) -> bool:
    """Ids count upwards; one that is no number can't be compared, and is passed on."""
    if identity is None or last is None or not (identity.isdecimal() and last.isdecimal()):
        return False
    return int(identity) <= int(last)


def _too_long(limit: int) -> BadResponse:
    return BadResponse(f"the server sends a line of more than {limit // 1024} KiB")
