"""A whole suite of a test's own: its home, its ports, and `binder-control` as people call it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from binder_deploy.settings import DeploySettings
from tests.support.deploying import docker_backend

SERVICES = ("registry", "build", "deploy", "health")
_SCRIPTS = Path(sys.executable).parent


@dataclass
class Suite:
    """Not started yet. `ports` by service; `front-door` and `metrics` are those of the front door."""

    home: Path
    ports: dict[str, int]
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['front-door']}"

    @property
    def key(self) -> str:
        return (self.home / "key").read_text().strip()

    @property
    def environ(self) -> dict[str, str]:
        """The environment of people who use this suite."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BINDER_")}
        return {**kept, "BINDER_HOME": str(self.home), "COLUMNS": "200"}

    def write_config(self, **tables: str) -> None:
        """binder.toml: the ports, and what `tables` add to each table."""
        of_control = f"port = {self.ports['front-door']}\nmetrics-port = {self.ports['metrics']}\nhost = '127.0.0.1'\n"
        text = {"control": of_control, **{name: f"port = {self.ports[name]}\n" for name in SERVICES}}
        for name, lines in tables.items():
            text[name] += lines
        self.home.mkdir(exist_ok=True)
        body = "\n".join(f"[{name}]\n{lines}" for name, lines in text.items())
        (self.home / "binder.toml").write_text(body, encoding="utf-8")

    def control(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Calls binder-control."""
        return self._run("binder-control", arguments, self.environ, timeout)

    def client(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Calls binder-client, with this suite's address and key."""
        environ = {**self.environ, "BINDER_URL": self.url, "BINDER_API_KEY": self.key, "HOME": str(self.home)}
        return self._run("binder-client", arguments, environ, timeout)

    def status(self) -> dict[str, dict[str, Any]]:
        """The rows of `status --json`, by name; empty where nothing runs."""
        done = self.control("status", "--json")
        return {row["name"]: row for row in json.loads(done.stdout or "[]")}

    @contextmanager
    def call(
        self, program: str, *arguments: str, out: IO[str] | None = None, err: IO[str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A call that goes on beside the test, and is ended with the block."""
        process = subprocess.Popen(
            [str(_SCRIPTS / program), *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=out or subprocess.DEVNULL,
            stderr=err or subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)

    @staticmethod
    def _run(
        program: str, arguments: tuple[str, ...], environ: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        command = [str(_SCRIPTS / program), *arguments]
        return subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in sockets]


@contextmanager
def suite(home: Path, **tables: str) -> Iterator[Suite]:
    """A suite on free ports, configured and not started; whatever of it runs at the end is stopped."""
    names = (*SERVICES, "front-door", "metrics")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    found = Suite(home, ports)
    found.write_config(**{"health": "delay = 3600\n", **tables})
    try:
        yield found
    finally:
        found.write_config()
        if (home / "control").exists():
            stopped = found.control("stop-all")
            assert stopped.returncode == 0, stopped.stderr
            dismantle(home)


def dismantle(home: Path) -> None:
    """Takes a suite's containers, network and rules away from the engine."""
    with docker_backend(DeploySettings(home=home)):
        pass
