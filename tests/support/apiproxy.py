"""A way to the API server that can be cut, silent, slow, or answer for it: what happens to a client then."""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.cluster import pki
from tests.cluster.config import kubeconfig

_CHUNK = 65_536


@dataclass(frozen=True)
class Upstream:
    """The API server. `identified` shows the kubeconfig's certificate, `anonymous` none."""

    host: str
    port: int
    identified: ssl.SSLContext
    anonymous: ssl.SSLContext
    user: dict[str, bytes | str]


@dataclass
class ApiProxy:
    """Switches, which count from the next piece of a request or an answer on; `kubeconfig` leads through here.

    `refused` answers requests whose "METHOD /path" contains a key with that HTTP status. `silent` carries nothing
    while connections stay open. `slow` delays each request by so many seconds. `requests` are all that came.
    """

    kubeconfig: Path
    upstream: Upstream
    loop: asyncio.AbstractEventLoop
    refused: dict[str, int] = field(default_factory=dict)
    slow: float = 0
    silent: bool = False
    down: bool = False
    requests: list[str] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Ends all connections; new ones end at once until `mend`."""
        self.down = True

        async def end() -> None:
            for each in self.open:
                each.transport.abort()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)

    def mend(self) -> None:
        """Everything is as it was in the beginning."""
        self.refused.clear()
        self.slow, self.silent, self.down = 0, False, False

    def refusal(self, request: str) -> int | None:
        """The status to answer it with, instead of the server."""
        return next((status for part, status in list(self.refused.items()) if part in request), None)


@contextmanager
def api_proxy(source: Path, folder: Path, *, expired: bool = False) -> Iterator[ApiProxy]:
    """A proxy before the API server of the kubeconfig `source`. With `expired` its own certificate is out of date."""
    root = pki.authority("api-proxy-ca")
    shown = pki.issue(root, "api-proxy", hosts=["127.0.0.1", "localhost"], days=-1 if expired else 1)
    shown.write(folder / "api-proxy")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "api-proxy.crt", folder / "api-proxy.key")
    loop = asyncio.new_event_loop()
    proxy = ApiProxy(folder / "api-proxy.kubeconfig", upstream(source), loop)
    running = threading.Thread(target=loop.run_forever, name="api-proxy", daemon=True)
    running.start()
    starting = asyncio.start_server(_Carrier(proxy).serve, "127.0.0.1", 0, ssl=context, backlog=256)
    server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
    try:
        port = server.sockets[0].getsockname()[1]
        text = kubeconfig(f"https://127.0.0.1:{port}", root.certificate_pem, proxy.upstream.user)
        proxy.kubeconfig.touch(mode=0o600)
        proxy.kubeconfig.write_text(text)
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(_finish(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        running.join(10)
        loop.close()


def upstream(source: Path) -> Upstream:
    """The server of a kubeconfig whose user has a certificate or a token in it."""
    given = yaml.safe_load(source.read_text())
    context = _named(given, "context", given["current-context"])
    cluster, user = _named(given, "cluster", context["cluster"]), _named(given, "user", context["user"])
    url = urlsplit(cluster["server"])
    authority = _pem(cluster, "certificate-authority").decode()
    anonymous, identified = (ssl.create_default_context(cadata=authority) for _ in range(2))
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    who: dict[str, bytes | str] = {"client-certificate-data": certificate, "client-key-data": key}
    if certificate:
        with tempfile.NamedTemporaryFile() as both:
            both.write(certificate + b"\n" + key)
            both.flush()
            identified.load_cert_chain(both.name)
    else:
        assert user.get("token"), f"the user of {source} has neither certificate nor token in it"
        who = {"token": user["token"]}
    return Upstream(url.hostname or "", url.port or 443, identified, anonymous, who)


def _named(given: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each[kind] for each in given[f"{kind}s"] if each["name"] == name)
    return found


def _pem(given: dict[str, Any], name: str) -> bytes:
    if f"{name}-data" in given:
        return base64.b64decode(given[f"{name}-data"])
    return Path(given[name]).read_bytes() if name in given else b""


async def _finish(server: asyncio.Server) -> None:
    server.close()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for each in rest:
        each.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


class _Carrier:
    """Carries the bytes of connections, piece by piece."""

    def __init__(self, proxy: ApiProxy) -> None:
        self._proxy = proxy

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        proxy = self._proxy
        proxy.open.add(writer)
        with suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            if not proxy.down:
                # Who has a token of its own comes as itself, any other as the kubeconfig's user.
                head = await reader.readuntil(b"\r\n\r\n")
                own = b"\r\nauthorization:" in head.lower()
                where = proxy.upstream
                context = where.anonymous if own else where.identified
                connected = await asyncio.open_connection(where.host, where.port, ssl=context)
                await self._carry(head, reader, writer, *connected)
        proxy.open.discard(writer)
        writer.transport.abort()

    async def _carry(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        server: asyncio.StreamWriter,
    ) -> None:
        directions = (self._requests(head, reader, writer, server), self._answers(answers, writer))
        tasks = [asyncio.ensure_future(each) for each in directions]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.transport.abort()

    async def _requests(
        self, chunk: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        proxy = self._proxy
        while chunk:
            request = _request(chunk)
            if request:
                proxy.requests.append(request)
                await asyncio.sleep(proxy.slow)
                status = proxy.refusal(request)
                if status is not None:
                    writer.write(_refusal(status))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
                    return
            if not proxy.silent:
                server.write(chunk)
                await server.drain()
            chunk = await reader.read(_CHUNK)

    async def _answers(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await answers.read(_CHUNK):
            if not self._proxy.silent:
                writer.write(chunk)
                await writer.drain()
        writer.close()
        await writer.wait_closed()


def _request(chunk: bytes) -> str:
    """ "METHOD /path" where a request begins in `chunk`."""
    method, path, version = (*chunk.partition(b"\r\n")[0].split(b" "), b"", b"", b"")[:3]
    begins = method.isupper() and version.startswith(b"HTTP/")
    return f"{method.decode()} {path.decode(errors='replace')}" if begins else ""


def _refusal(status: int) -> bytes:
    body = b'{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"message":"refused by a test"}' % status
    retry = "Retry-After: 1\r\n" if status in (429, 503) else ""
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\n{retry}Content-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
