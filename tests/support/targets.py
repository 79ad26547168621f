"""Addresses that stand for what an application may and may not reach, on this machine, and who gets through to them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.cluster import Cluster

METADATA, PUBLIC = "169.254.169.254", "11.22.33.44"
PRIVATE = ("10.1.2.3", "172.31.9.9", "192.168.77.1", "100.64.9.9")
_DEVICE = "binder-test0"
_ASK = """
import json, socket, sys, threading
found = {}
def ask(target):
    host, port = target.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=3):
            found[target] = True
    except OSError:
        found[target] = False
threads = [threading.Thread(target=ask, args=(each,)) for each in sys.argv[1:]]
for each in threads: each.start()
for each in threads: each.join()
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Targets:
    """`metadata`, `public` and `private` are host:port, where somebody listens."""

    metadata: str
    public: str
    private: tuple[str, ...]


@contextmanager
def targets() -> Iterator[Targets]:
    """The addresses are of a bridge without ports, so that nothing leaves this machine."""
    _ip("link", "add", _DEVICE, "type", "bridge")
    try:
        for each in (METADATA, PUBLIC, *PRIVATE):
            _ip("addr", "add", f"{each}/32", "dev", _DEVICE)
        _ip("link", "set", _DEVICE, "up")
        with ThreadingHTTPServer(("0.0.0.0", 0), _Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            port = server.server_address[1]
            try:
                yield Targets(f"{METADATA}:{port}", f"{PUBLIC}:{port}", tuple(f"{each}:{port}" for each in PRIVATE))
            finally:
                server.shutdown()
                thread.join()
    finally:
        _ip("link", "del", _DEVICE)


def answering(cluster: Cluster, namespace: str, pod: str, wanted: Iterable[str], python: str = "python3") -> set[str]:
    """To which of these, host:port, a connection is made from inside that pod."""
    command = ("exec", pod, f"--namespace={namespace}", "--", python, "-c", _ASK, *wanted)
    told = json.loads(cluster.kubectl(*command))
    return {target for target, answered in told.items() if answered}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def _ip(*words: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)
