"""What the chassis costs: requests per second of the registry beside a bare FastAPI that does the same.

    python benchmarks/chassis.py [--rounds 7] [--seconds 1.5]

Both run under uvicorn (uvloop, httptools) in processes of their own and take turns, so that a busy machine
disturbs both; the bare one writes no access log, the registry logs every status call. Prints medians and ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from binder_protocol.models import Template, TemplateSpec
from binder_protocol.service.storage import Database
from binder_registry.main import main as registry_main
from binder_registry.store import TemplateStore
from binder_registry.templates import Ceilings, Templates

KEY = "benchmark-key"
CONNECTIONS = 16
CALLS = {"healthz": "/healthz", "status": "/templates/plot"}


def main() -> None:
    """Measures and prints one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--serve", choices=("bare", "registry"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve == "bare":
        serve_bare(options.port)
    elif options.serve == "registry":
        serve_registry()
    else:
        measure(options.rounds, options.seconds)


def measure(rounds: int, seconds: float) -> None:
    """Every round asks each server for each call; the order turns round."""
    rates: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        ports = {kind: stack.enter_context(server(kind)) for kind in ("bare", "registry")}
        for number in range(rounds + 1):
            kinds = list(ports) if number % 2 else list(reversed(ports))
            for call, path in CALLS.items():
                for kind in kinds:
                    rate = asyncio.run(rate_of(ports[kind], path, seconds))
                    if number:  # the first round warms up
                        rates.setdefault((call, kind), []).append(rate)
    report = {}
    for call in CALLS:
        bare, ours = (statistics.median(rates[call, kind]) for kind in ("bare", "registry"))
        report[call] = {"bare": round(bare), "registry": round(ours), "ratio": round(ours / bare, 2)}
        print(f"{call:8} bare {bare:7.0f}/s   registry {ours:7.0f}/s   ratio {ours / bare:.2f}")
    print(json.dumps(report))


async def rate_of(port: int, path: str, seconds: float) -> float:
    """Requests per second over keep-alive connections."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    deadline = time.perf_counter() + seconds
    counts = await asyncio.gather(*(_one_connection(port, request, deadline) for _ in range(CONNECTIONS)))
    return sum(counts) / seconds


async def _one_connection(port: int, request: bytes, deadline: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


@contextmanager
def server(kind: str) -> Iterator[int]:
    """The port of a server of that kind, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        environ = os.environ | {"BINDER_HOME": home, "BINDER_API_KEY": KEY, "BINDER_REGISTRY_PORT": str(port)}
        command = [sys.executable, __file__, "--serve", kind, "--port", str(port)]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
        try:
            _prepare(port)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _prepare(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).read()
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    body = json.dumps({"name": "plot", "image": "nginx", "command": ["serve", "--port={port}"]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/templates", body, headers, method="PUT")
    urllib.request.urlopen(request, timeout=5).read()


def serve_bare(port: int) -> None:
    """FastAPI as its tutorial has it, before the same use case and database."""
    database = Database(f"sqlite:///{Path(os.environ['BINDER_HOME']) / 'bare.db'}", "binder_registry.migrations")
    database.migrate()
    templates = Templates(TemplateStore(database), Ceilings.of(memory="1Ti", cpu="256", pids=1000))
    app = FastAPI()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/templates/{name}", response_model_exclude_none=True)
    def fetch(name: str) -> Template:
        return templates.fetch(name)

    @app.put("/templates")
    def register(spec: TemplateSpec) -> Template:
        return templates.register(spec)

    uvicorn.run(app, port=port, access_log=False, log_level="warning")


def serve_registry() -> None:
    """The registry as it is."""
    sys.argv = sys.argv[:1]
    registry_main()


if __name__ == "__main__":
    main()
