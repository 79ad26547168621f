"""HTTP as bytes, for requests that no client library would send."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """One response: header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def exchange(
    url: str,
    method: str,
    target: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    chunks: Iterable[bytes] | None = None,
    timeout: float = 10,
) -> Reply:
    """Sends one request as it is given, then reads until the server closes or the response is complete."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port or 80), timeout) as connection:
        head = [f"{method} {target} HTTP/1.1", "Host: test", "Connection: close"]
        head += [f"{name}: {value}" for name, value in headers]
        if chunks is not None:
            head.append("Transfer-Encoding: chunked")
        elif body:
            head.append(f"Content-Length: {len(body)}")
        try:
            connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
            for chunk in chunks or ():
                connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            if chunks is not None:
                connection.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has answered already
        return parse(_read_all(connection))


def parse(answer: bytes) -> Reply:
    """The response in these bytes."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Reply(int(status.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, body)


def _read_all(connection: socket.socket) -> bytes:
    received = bytearray()
    try:
        while piece := connection.recv(65_536):
            received += piece
    except ConnectionResetError:
        pass
    return bytes(received)
