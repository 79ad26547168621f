"""Applications within this process, each a small web server on the loopback: for tests, demos, machines without Docker.

It keeps the laws of every backend, and nothing else: there is neither an image nor isolation. What an application does
is read from its command: `exit CODE` ends at once, `silent` never listens, `print WORDS…` prints a line and serves;
anything else serves.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from binder_deploy.backends import Endings, Instance, Line, Lines, State
from binder_deploy.launches import Launch
from binder_protocol.errors import ImageNotFound, NoRecord
from binder_protocol.models import Placement, PreloadStatus

_WAIT_SECONDS = 0.5


class MemoryBackend:
    """`images` are those that are "here"; without, every image is."""

    def __init__(self, images: frozenset[str] | None = None) -> None:
        self._known_images = images
        self._lock = threading.Lock()
        self._running: dict[str, _Application] = {}
        self._listeners: list[_MemoryEndings] = []

    def launch(self, launch: Launch) -> Instance:
        self.preload(launch.image)
        with self._lock:
            there = self._running.get(launch.id)
            if there is not None and there.instance.state is State.RUNNING:
                return there.instance
            started = self._running[launch.id] = _Application(launch)
        words = launch.command or ()
        if words[:1] == ("exit",):
            self.crash(launch.id, int(words[1]))
        return started.instance

    def instance(self, identity: str) -> Instance | None:
        with self._lock:
            found = self._running.get(identity)
            return found.instance if found is not None else None

    def instances(self) -> list[Instance]:
        with self._lock:
            return [each.instance for each in self._running.values()]

    def stop(self, identity: str) -> None:
        with self._lock:
            found = self._running.pop(identity, None)
        if found is not None:
            found.end(137)
            self._tell(identity)

    def logs(self, identity: str, *, follow: bool = False, tail: int | None = None) -> Lines:
        with self._lock:
            found = self._running.get(identity)
        if found is None:
            raise NoRecord(f"nothing is kept of what application {identity} printed")
        return _MemoryLines(found, follow, tail)

    def endings(self) -> Endings:
        listener = _MemoryEndings()
        with self._lock:
            self._listeners.append(listener)
        return listener

    def preload(self, image: str, placement: Placement | None = None) -> None:  # noqa: ARG002
        if self._known_images is not None and image not in self._known_images:
            raise ImageNotFound(f"the image {image} is not on this host")

    def preloaded(self, image: str) -> Mapping[str, PreloadStatus]:  # noqa: ARG002
        return {}

    def room(self, launch: Launch) -> int | None:  # noqa: ARG002
        return None

    def ping(self) -> None:
        """It always works."""

    def crash(self, identity: str, code: int, *, out_of_memory: bool = False) -> None:
        """Lets the application end by itself."""
        with self._lock:
            found = self._running[identity]
        found.end(code, out_of_memory=out_of_memory)
        self._tell(identity)

    def close(self) -> None:
        """They live in this process, and end with it."""
        for each in self.instances():
            self.stop(each.id)

    def _tell(self, identity: str) -> None:
        with self._lock:
            for listener in self._listeners:
                listener.put(identity)


class _Application:
    """One web server, and what it "printed"."""

    def __init__(self, launch: Launch) -> None:
        self.lines: list[Line] = []
        self.changed = threading.Condition()
        words = launch.command or ()
        self._server = None if words[:1] in (("silent",), ("exit",)) else _serve()
        address = ("127.0.0.1", self._server.server_port) if self._server else ("127.0.0.1", 9)
        self.instance = Instance(launch.id, State.RUNNING, address)
        if words[:1] == ("print",):
            self.print(" ".join(words[1:]))

    def print(self, text: str) -> None:
        with self.changed:
            self.lines.append(Line(text, datetime.now(UTC)))
            self.changed.notify_all()

    def end(self, code: int, *, out_of_memory: bool = False) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        with self.changed:
            self.instance = replace(
                self.instance, state=State.EXITED, address=None, exit_code=code, out_of_memory=out_of_memory,
                ended=datetime.now(UTC),
            )  # fmt: skip
            self.changed.notify_all()


@dataclass
class _MemoryLines:
    application: _Application
    follow: bool
    tail: int | None
    _closed: threading.Event = field(default_factory=threading.Event)

    def __iter__(self) -> Iterator[Line]:
        lines = self.application.lines
        told = 0 if self.tail is None else max(0, len(lines) - self.tail)
        while not self._closed.is_set():
            with self.application.changed:
                news = lines[told:]
                over = not self.follow or self.application.instance.state is State.EXITED
                if not news and not over:
                    self.application.changed.wait(_WAIT_SECONDS)
            yield from news
            told += len(news)
            if over:
                return

    def close(self) -> None:
        self._closed.set()
        with self.application.changed:
            self.application.changed.notify_all()


class _MemoryEndings:
    def __init__(self) -> None:
        self._ids: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def put(self, identity: str) -> None:
        self._ids.put(identity)

    def __iter__(self) -> Iterator[str]:
        while (identity := self._ids.get()) is not None:
            yield identity

    def close(self) -> None:
        self._ids.put(None)


class _Hello(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        body = b"hello from an application in memory\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server names its methods so

    def log_message(self, *words: object) -> None:
        """Nothing: the service's log isn't the application's."""


def _serve() -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    server.daemon_threads = True
    threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True).start()
    return server
