"""What an application prints and what becomes of it, told once or followed as it happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from binder_deploy.applications import Applications
from binder_deploy.backends import Backend, Line, Lines
from binder_deploy.records import Record
from binder_protocol.errors import NoRecord, Unavailable
from binder_protocol.models import ApplicationEvent, ApplicationLogLine, WireModel
from binder_protocol.service.answers import dump
from binder_protocol.service.streams import Event, sse

_FOLLOWERS = 200
_ALL_LINES = 100_000
_LOOK_SECONDS = 2.0


class Output:
    """Logs are numbered from 1 as the backend keeps them; the last lines of a failed application outlive it."""

    def __init__(self, applications: Applications, backend: Backend) -> None:
        self._applications = applications
        self._backend = backend
        self._places = threading.BoundedSemaphore(_FOLLOWERS)

    async def logs(self, template: str, identity: str, *, follow: bool, text: bool, after: int) -> Response:
        """Its log as JSON lines or text, or with `follow` as server-sent events until it ends."""
        record = await run_in_threadpool(self._applications.of, template, identity)
        if follow:
            return sse(self._followed(record, after))
        lines = await run_in_threadpool(self._lines, record)
        return _told(lines, (each.text for each in lines) if text else None)

    async def events(self, template: str, identity: str, *, follow: bool, text: bool, after: int) -> Response:
        """Its states as JSON lines or text, or with `follow` as server-sent events until it has ended."""
        record = await run_in_threadpool(self._applications.of, template, identity)
        if follow:
            return sse(self._happening(record.id, after))
        events = await run_in_threadpool(self._applications.store.events, record.id, after)
        return _told(events, (_sentence(each) for each in events) if text else None)

    def _lines(self, record: Record) -> list[ApplicationLogLine]:
        try:
            lines = self._backend.logs(record.id, tail=_ALL_LINES)
        except NoRecord:
            return self._last_lines(record)
        return [_line(number, line) for number, line in enumerate(lines, 1)]

    def _last_lines(self, record: Record) -> list[ApplicationLogLine]:
        kept = record.failure.log if record.failure is not None else []
        return [ApplicationLogLine(id=number, text=text) for number, text in enumerate(kept, 1)]

    async def _happening(self, identity: str, after: int) -> AsyncIterator[list[Event]]:
        store = self._applications.store
        with self._applications.feed.follow(identity) as news:
            while True:
                news.clear()
                events = await run_in_threadpool(store.events, identity, after)
                if events:
                    after = events[-1].id
                    yield [Event(str(each.id), "message", dump(each).decode()) for each in events]
                record = await run_in_threadpool(store.find, identity)
                if record is None or (not record.active and not await run_in_threadpool(store.events, identity, after)):
                    return
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):  # another process may be at work on the same database
                        await news.wait()
                except TimeoutError:
                    continue

    async def _followed(self, record: Record, after: int) -> AsyncIterator[list[Event]]:
        with self._a_place():
            try:
                lines = await run_in_threadpool(self._backend.logs, record.id, follow=True)
            except NoRecord:
                if record.active:
                    raise
                for line in self._last_lines(record)[after:]:
                    yield [_event(line)]
                return
            number = 0
            async for batch in _bridged(lines):
                numbered = [_line(number + place, line) for place, line in enumerate(batch, 1)]
                number += len(batch)
                news = [_event(each) for each in numbered if each.id > after]
                if news:
                    yield news

    @contextmanager
    def _a_place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Unavailable(f"{_FOLLOWERS} logs are followed already", retry_after=30)
        try:
            yield
        finally:
            self._places.release()


async def _bridged(lines: Lines) -> AsyncIterator[list[Line]]:
    """What a thread reads, for a coroutine to take; a slow follower holds the thread up, not the memory."""
    loop = asyncio.get_running_loop()
    batches: asyncio.Queue[list[Line] | BaseException | None] = asyncio.Queue(maxsize=2)
    over = threading.Event()

    def put(batch: list[Line] | BaseException | None) -> None:
        waiting = asyncio.run_coroutine_threadsafe(batches.put(batch), loop)
        while not over.is_set():
            try:
                waiting.result(0.5)
                return
            except TimeoutError:
                continue
        waiting.cancel()

    thread = threading.Thread(target=_read, args=(lines, put), name="log-follower", daemon=True)
    thread.start()
    try:
        while (batch := await batches.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        over.set()
        await run_in_threadpool(lines.close)


def _read(lines: Lines, put: Callable[[list[Line] | BaseException | None], None]) -> None:
    try:
        for line in lines:
            put([line])
        put(None)
    except Exception as error:  # noqa: BLE001 - raised again where the lines are awaited
        put(error)


def _told(records: Iterable[WireModel], text: Iterable[str] | None) -> Response:
    if text is not None:
        return StreamingResponse((f"{line}\n" for line in text), media_type="text/plain; charset=utf-8")
    return StreamingResponse((dump(each) + b"\n" for each in records), media_type="application/x-ndjson")


def _line(number: int, line: Line) -> ApplicationLogLine:
    return ApplicationLogLine(id=number, text=line.text, time=line.time)


def _event(line: ApplicationLogLine) -> Event:
    return Event(str(line.id), "message", dump(line).decode())


def _sentence(event: ApplicationEvent) -> str:
    return f"{event.time:%H:%M:%S} {event.status}: {event.message}"
