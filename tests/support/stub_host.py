"""An address of this machine that build steps can reach, on an interface of its own, and a directory served there."""

from __future__ import annotations

import functools
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Of the range for tests of networks (RFC 2544): nobody's at large. Another one for each process.
ADDRESS = f"198.18.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
_INTERFACE = f"bstub{os.getpid()}"


@contextmanager
def stub_address() -> Iterator[str]:
    """ADDRESS, on a bridge without anything else for as long as the block lasts. Needs root."""
    _ip("link", "add", _INTERFACE, "type", "bridge")
    try:
        _ip("addr", "add", f"{ADDRESS}/32", "dev", _INTERFACE)
        _ip("link", "set", _INTERFACE, "up")
        yield ADDRESS
    finally:
        _ip("link", "del", _INTERFACE)


@contextmanager
def served(directory: Path, address: str) -> Iterator[str]:
    """The files below `directory` at `http://address:port`."""
    http = ThreadingHTTPServer((address, 0), functools.partial(_Quiet, directory=str(directory)))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://{address}:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join(5)


class _Quiet(SimpleHTTPRequestHandler):
    timeout = 30

    def log_message(self, *_: Any) -> None:
        """Nobody asked."""


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 0, done.stderr
