"""Following a log: first what the file holds, then what is added, to its last line. Costs no thread while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from binder_build.logs.log import LogName, Logs, event_of, parsed
from binder_build.logs.tail import Tail
from binder_protocol.models import BuildStatus, LogLine
from binder_protocol.service.streams import END, Event

Ended = Callable[[], BuildStatus | None]
"""The status of the attempt once it has ended. May block."""

_GRACE_SECONDS = 2.0


async def follow(logs: Logs, name: LogName, after: int, ended: Ended) -> AsyncIterator[list[Event]]:
    """The events behind number `after`, as they come; the last one is `end`.

    Where an attempt ended without a last line in its log (its service died, or the disk was full), one is made up.
    """
    tail = logs.tail(name)
    with tail.followed():
        position, offset, wait = after, 0, 0.0
        while True:
            batch, offset = await _next(logs, name, tail, position, offset)
            if batch:
                position = _number(batch[-1], position)
                yield batch
                if batch[-1].event == END:
                    return
            elif wait == 0.0 or not await tail.wait(position, wait):
                status = await asyncio.to_thread(ended)
                if status is not None and wait == _GRACE_SECONDS:
                    yield [_made_up(position + 1, status)]
                    return
                wait = logs.look_seconds(name) if status is None else _GRACE_SECONDS


async def _next(logs: Logs, name: LogName, tail: Tail, position: int, offset: int) -> tuple[list[Event], int]:
    """What comes behind `position`: from memory, else from the file at `offset`; and how far the file is read."""
    recent = tail.after(position)
    if recent is not None:
        return recent, offset
    while True:
        lines, further = await asyncio.to_thread(logs.chunk, name, offset)
        batch = [event for event in map(parsed, lines) if _number(event, 0) > position]
        if batch or further == offset:
            return batch, further
        offset = further


def _number(event: Event, otherwise: int) -> int:
    return int(event.id) if event.id is not None else otherwise


def _made_up(number: int, status: BuildStatus) -> Event:
    line = LogLine(id=number, time=datetime.now(UTC), kind="end", status=status.value)
    return event_of(number, line.model_dump_json(by_alias=True, exclude_none=True), END)
