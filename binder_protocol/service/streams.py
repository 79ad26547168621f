"""Server-sent events: many cheap followers, a heartbeat, a last event that differs from a lost connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from binder_protocol.errors import BinderError

log = structlog.get_logger()

END = "end"
"""The name of the last event of every stream that was told to its end."""

_STALLED_SECONDS = 60
_HEARTBEAT = b": \n\n"


@dataclass(frozen=True)
class Event:
    """One event. `data` is text, in most cases the JSON of a model; `id` is what a follower resumes after.

    Its bytes are made once: sources that serve many followers hand the same object to all of them.
    """

    id: str | None
    event: str
    data: str

    @cached_property
    def encoded(self) -> bytes:
        """The event as it goes over the wire."""
        lines = [f"event: {_line(self.event)}"] if self.event != "message" else []
        if self.id is not None:
            lines.append(f"id: {_line(self.id)}")
        lines += [f"data: {line}" for line in self.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        return ("\n".join(lines) + "\n\n").encode()


def _line(text: str) -> str:
    return text.replace("\n", "").replace("\r", "").replace("\0", "")


def sse(events: AsyncIterator[Event | list[Event]], heartbeat: float = 15) -> Response:
    """A response that follows `events`; several that are there at once are best given as a list, sent in one piece.

    After the last one it sends `event: end`, unless the source ended with one of its own. A BinderError of the source
    becomes `event: error` with the error's body, then `end`. When the service stops, or the source fails in another
    way, the connection just closes: the follower comes back with Last-Event-ID.
    """
    return _EventResponse(events, heartbeat)


def last_event_id(headers: object) -> int:
    """The number in `Last-Event-ID`, 0 without one or where it isn't a number. Takes Starlette's headers."""
    given = headers.get("last-event-id", "") if hasattr(headers, "get") else ""
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else 0


class _EventResponse(Response):
    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[Event | list[Event]], heartbeat: float) -> None:
        self._events = events
        self._heartbeat = heartbeat
        self._sending_since: float | None = None
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        tell = asyncio.ensure_future(self._tell(send))
        watch = asyncio.ensure_future(self._watch(receive, send))
        stopping = _stopping(scope)
        waits: set[asyncio.Future[None]] = {tell, watch}
        if stopping is not None:
            waits.add(stopping)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (tell, watch):
                task.cancel()
            # Both end at once now; the source's own clean-up runs within.
            await asyncio.gather(tell, watch, return_exceptions=True)
        if not tell.cancelled():
            failure = tell.exception()
            if failure is not None and not isinstance(failure, OSError):
                log.error("a stream's source failed", exc_info=failure)
        # Without a last chunk the server closes the connection, which is how a follower knows that there is more.
        if not tell.cancelled() and tell.exception() is None:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, send: Send) -> None:
        last: Event | None = None
        try:
            async for given in self._events:
                batch = given if isinstance(given, list) else [given]
                if batch:
                    last = batch[-1]
                    await self._send(send, b"".join(each.encoded for each in batch))
        except BinderError as error:
            last = None
            await self._send(send, Event(None, "error", json.dumps(error.body())).encoded)
        finally:
            close = getattr(self._events, "aclose", None)
            if close is not None:
                with contextlib.suppress(RuntimeError):
                    await close()
        if last is None or last.event != END:
            await self._send(send, Event(None, END, "{}").encoded)

    async def _send(self, send: Send, chunk: bytes) -> None:
        self._sending_since = asyncio.get_running_loop().time()
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._sending_since = None

    async def _watch(self, receive: Receive, send: Send) -> None:
        """Ends when the follower is gone, or takes nothing for a minute; between events it sends heartbeats."""
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    message = await receive()
                if message["type"] == "http.disconnect":
                    return
            except TimeoutError:
                since = self._sending_since
                if since is None:
                    await send({"type": "http.response.body", "body": _HEARTBEAT, "more_body": True})
                elif asyncio.get_running_loop().time() - since > _STALLED_SECONDS:
                    return


def _stopping(scope: Scope) -> asyncio.Future[None] | None:
    app = scope.get("app")
    return getattr(app.state, "stopping", None) if app is not None else None
