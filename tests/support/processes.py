"""Services as processes of their own, to be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.eventually import eventually


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    process: subprocess.Popen[bytes]
    url: str

    def kill(self) -> None:
        """Ends it without any chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self) -> int:
        """Asks it to stop; its exit code."""
        self.process.terminate()
        return self.process.wait(20)


@contextmanager
def service(module: str, home: Path, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    """`python -m module` on a free port, answering /healthz; killed on leaving where it still runs."""
    section = module.removeprefix("binder_").upper()
    port = free_port()
    given = {"BINDER_HOME": str(home), f"BINDER_{section}_PORT": str(port)} | dict(environ or {})
    log = (home / f"{module}.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", module], env=os.environ | given, stdout=log, stderr=subprocess.STDOUT
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: process.poll() is not None or _answers(url), within=30, what=f"{module}'s start")
        assert process.poll() is None, (home / f"{module}.log").read_text()[-3000:]
        yield Running(process, url)
    finally:
        log.close()
        if process.poll() is None:
            process.kill()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
