"""A real image registry (Debian's docker-registry) on the loopback, behind a proxy that can be slow or refuse."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.eventually import eventually
from tests.support.processes import free_port

PROGRAM = "docker-registry"
LOGIN = ("people", "s3cret-of-people")
# htpasswd's bcrypt of the password above.
_HTPASSWD = "people:$2y$05$HSOBGUfqobrbMnB/VhTp9.aVAbWUqFT8X/R2vQpgJAc94pxFrbDNi\n"
_CHUNK = 16_384


@dataclass
class ImageRegistry:
    """The registry at `address` (host:port) and its switches, which count from the next piece of a request on.

    `bytes_per_second` bounds what is sent to it. A request whose path contains a key of `refused` is answered with that
    HTTP status. `open` connections are there just now.
    """

    address: str
    root: Path
    bytes_per_second: int | None = None
    refused: dict[str, int] = field(default_factory=dict)
    open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def refusal(self, chunk: bytes) -> int | None:
        """The status to answer with, where a request that is refused begins in `chunk`."""
        method, path, version = (*chunk.partition(b"\r\n")[0].split(b" "), b"", b"", b"")[:3]
        if not method.isupper() or not version.startswith(b"HTTP/"):
            return None
        return next((status for part, status in self.refused.items() if part.encode() in path), None)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Counts a connection as open."""
        with self.lock:
            self.open += 1
        try:
            yield
        finally:
            with self.lock:
                self.open -= 1

    def tags(self, repository: str) -> list[str]:
        """The tags of `repository`; none where it doesn't exist."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/v2/{repository}/tags/list", timeout=10) as reply:
                return list(json.load(reply)["tags"] or ())
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return []
            raise

    def unfinished(self) -> int:
        """The bytes of uploads that have begun and not ended."""
        return sum(each.stat().st_size for each in self.root.glob("docker/registry/v2/**/_uploads/*/data"))


@contextmanager
def image_registry(root: Path, *, login: bool = False) -> Iterator[ImageRegistry]:
    """A registry with its data below `root`; with `login` it wants the `LOGIN` of who comes."""
    root.mkdir(parents=True)
    port = free_port()
    process = _start(root, port, login=login)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        registry = ImageRegistry(f"127.0.0.1:{listener.getsockname()[1]}", root / "data")
        proxy = threading.Thread(target=_accept, args=(registry, listener, port), daemon=True)
        try:
            eventually(lambda: process.poll() is not None or _listens(port), within=20, what="the registry's start")
            assert process.poll() is None, (root / "log").read_text()[-2000:]
            proxy.start()
            yield registry
        finally:
            registry.closing.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            process.terminate()
            process.wait(10)
    proxy.join(5)


def _start(root: Path, port: int, *, login: bool) -> subprocess.Popen[bytes]:
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}, "delete": {"enabled": True}},
        # Relative addresses, so that uploads go through the proxy, too.
        "http": {"addr": f"127.0.0.1:{port}", "relativeurls": True},
    }
    if login:
        (root / "people").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(root / "people")}}
    (root / "config.yml").write_text(json.dumps(config))
    with (root / "log").open("wb") as log:
        return subprocess.Popen([PROGRAM, "serve", str(root / "config.yml")], stdout=log, stderr=log)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _accept(registry: ImageRegistry, listener: socket.socket, port: int) -> None:
    while not registry.closing.is_set():
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(registry, client, port), daemon=True).start()


def _serve(registry: ImageRegistry, client: socket.socket, port: int) -> None:
    with client, registry.counted(), suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_answers, args=(server, client), daemon=True)
        back.start()
        _requests(registry, client, server)
        back.join()


def _requests(registry: ImageRegistry, client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while chunk := client.recv(_CHUNK):
            status = registry.refusal(chunk)
            if status is not None:
                client.sendall(_refusal(status))
                break
            server.sendall(chunk)
            if registry.bytes_per_second:
                registry.closing.wait(len(chunk) / registry.bytes_per_second)
    _shut(client, server)


def _answers(server: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while chunk := server.recv(_CHUNK):
            client.sendall(chunk)
    _shut(client, server)


def _shut(*connections: socket.socket) -> None:
    for each in connections:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _refusal(status: int) -> bytes:
    challenge = 'WWW-Authenticate: Basic realm="test"\r\n' if status == 401 else ""
    return f"HTTP/1.1 {status} Refused\r\n{challenge}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
