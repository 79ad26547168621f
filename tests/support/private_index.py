"""A Python package index that wants a login, with one small wheel made on the spot."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class PrivateIndex:
    """The index at `url`, for `user` with `password` alone. `refused` counts requests without them."""

    url: str
    user: str
    password: str
    wheels: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0
    served: list[str] = field(default_factory=list)

    def add(self, name: str, version: str, source: str) -> None:
        """A wheel of one module."""
        self.wheels[f"{name}-{version}-py3-none-any.whl"] = _wheel(name, version, source)


@contextmanager
def private_index(address: str, user: str, password: str) -> Iterator[PrivateIndex]:
    """An index on `address`, served for as long as the block lasts."""
    index = PrivateIndex("", user, password)
    expected = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != expected:
                index.refused += 1
                self._answer(401, b"", ("WWW-Authenticate", 'Basic realm="test"'))
                return
            index.served.append(self.path)
            place, _, name = self.path.strip("/").rpartition("/")
            if place == "files" and name in index.wheels:
                self._answer(200, index.wheels[name])
            elif place == "simple":
                self._page(name)
            else:
                self._answer(404, b"")

        def _page(self, project: str) -> None:
            files = [each for each in index.wheels if each.partition("-")[0].replace("_", "-") == project]
            links = [f'<a href="/files/{each}#sha256={_digest(index.wheels[each])}">{each}</a>' for each in files]
            self._answer(200 if links else 404, "".join(links).encode(), ("Content-Type", "text/html"))

        def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nobody asked."""

        do_HEAD = do_GET  # noqa: N815

    http = ThreadingHTTPServer((address, 0), Handler)
    http.daemon_threads = True
    index.url = f"http://{address}:{http.server_address[1]}/simple/"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _wheel(name: str, version: str, source: str) -> bytes:
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{each},,\n" for each in [*files, f"{about}/RECORD"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for each, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(each, text)
    return packed.getvalue()
