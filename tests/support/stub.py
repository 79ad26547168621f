"""An HTTP server that answers what a test wrote down, well or badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from binder_protocol.errors import BinderError


@dataclass
class Reply:
    """An answer. `chunks`, in place of `body`, are sent as they come; then the connection is closed."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] | None = None


@dataclass
class Seen:
    """A request that came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


def failing(error: BinderError, status: int | None = None, **headers: str) -> Reply:
    """The answer that reports `error`."""
    return Reply(error.body(), status or error.status, headers)


class Stub:
    """Replies by `METHOD /path`, used one after the other; the last of them stays. Others are answered 404."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.seen: list[Seen] = []
        self.url = ""
        self.stopping = threading.Event()

    def on(self, operation: str, *replies: Reply | dict[str, Any] | list[Any]) -> None:
        self.replies[operation] = [each if isinstance(each, Reply) else Reply(each) for each in replies]

    def answer(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        left = self.replies.get(f"{seen.method} {seen.path}", [])
        if not left:
            return Reply({"type": "not-found", "error": "there is nothing at this address"}, 404)
        return left.pop(0) if len(left) > 1 else left[0]


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment, or each request waits for a delayed acknowledgement

        def log_message(self, *arguments: object) -> None:
            pass

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            text = self.rfile.read(length)
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(text) if text else None
            seen = Seen(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            self._send(stub.answer(seen))

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name.replace("_", "-"), value)
            if reply.chunks is None:
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            self.close_connection = True
            self.end_headers()
            self.wfile.flush()
            try:
                for chunk in reply.chunks:
                    self.wfile.write(chunk)
                    self.wfile.flush()
                    if stub.stopping.is_set():
                        break
            except OSError:
                pass  # the client has gone

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that go away are part of the tests


@contextmanager
def stub_server() -> Iterator[Stub]:
    """A running stub on a free port of the loopback."""
    stub = Stub()
    server = _Server(("127.0.0.1", 0), _handler(stub))
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


NOW = "2026-11-23T12:00:00.000Z"


def build(name: str = "owner-repo", **fields: Any) -> dict[str, Any]:
    """A completed build on the wire."""
    return {
        "name": name,
        "display-name": "owner/repo",
        "repository": "https://github.com/owner/repo",
        "status": "completed",
        "phase": "finished",
        "start-time": NOW,
        "end-time": "2026-11-23T12:00:07.500Z",
        "commit": "a" * 40,
        "image": f"sha256:{'b' * 64}",
        "template": name,
        **fields,
    }


def template(name: str = "owner-repo", **fields: Any) -> dict[str, Any]:
    """A template on the wire."""
    image = f"sha256:{'b' * 64}"
    return {
        "name": name,
        "revision": 1,
        "image": image,
        "image-name": name,
        "image-source": image,
        "port": 8888,
        "time-created": NOW,
        "time-modified": NOW,
        **fields,
    }


def application(identity: str = "k3v9", **fields: Any) -> dict[str, Any]:
    """A deployed application on the wire."""
    return {
        "id": identity,
        "template-name": "owner-repo",
        "status": "deployed",
        "location": f"http://127.0.0.1:8080/user/{identity}/?token=t",
        "start-time": NOW,
        "timings": {"deployed": 0.8},
        **fields,
    }


def log_line(identity: int, text: str = "", **fields: Any) -> dict[str, Any]:
    """An entry of a build's log on the wire."""
    return {"id": identity, "time": NOW, "kind": "line", "text": text, **fields}


def event(identity: int, data: Any, kind: str = "") -> bytes:
    """A server-sent event."""
    named = f"event: {kind}\n" if kind else ""
    return f"{named}id: {identity}\ndata: {json.dumps(data)}\n\n".encode()
