"""The build service and the registry as real servers, and what tests ask of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from binder_build.main import build_app
from binder_build.settings import BuildSettings
from binder_client.client import Client
from binder_protocol.models import Build, BuildStatus, LogLine
from binder_registry.main import build_app as registry_app
from binder_registry.settings import RegistrySettings
from tests.support.eventually import eventually
from tests.support.raw_http import exchange
from tests.support.server import running

KEY = "a-key-for-tests"
HOST_CA = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass
class Suite:
    """Both services' addresses, and a client of them."""

    url: str
    registry_url: str
    home: Path
    client: Client

    def ended(self, name: str, within: float = 120) -> Build:
        """The newest attempt, once it has ended."""

        def probe() -> Build | None:
            build = self.client.build.status(name)
            return build if build.status.ended else None

        build = eventually(probe, within=within, every=0.05, what=f"the end of {name}")
        assert build is not None
        return build

    def completed(self, repository: str, within: float = 120, **request: Any) -> Build:
        """Builds `repository`; the finished build. A failure fails the test with its log's last lines."""
        started = self.client.build.start(repository, **request)
        build = started if started.status.ended else self.ended(started.name, within)
        assert build.status is BuildStatus.COMPLETED, (build.failure, [line.text for line in self.log(build)][-20:])
        return build

    def log(self, build: Build) -> list[LogLine]:
        """What its log holds by now."""
        return list(self.client.build.logs(build.name, attempt=build.attempt))

    def leftovers(self) -> list[str]:
        """Files of builds that are still there."""
        return [each.name for each in (self.home / "build" / "work").iterdir()]


def settings(home: Path, **more: Any) -> BuildSettings:
    """Settings for tests: a loopback git server is allowed, the engine is the environment's."""
    given: dict[str, Any] = {
        "home": home,
        "api_key": KEY,
        "deploy_url": "http://127.0.0.1:9",
        "allow_hosts": ["127.0.0.1"],
        "ca_bundle": HOST_CA if HOST_CA.exists() else None,
        "min_free_bytes": 0,
        "base_image": os.environ.get("BINDER_TEST_BASE", "binder-base:latest"),
    }
    if base := os.environ.get("BINDER_TEST_BASE"):
        given["base_image"] = base
    return BuildSettings.model_validate(given | more)


@contextmanager
def registry(home: Path) -> Iterator[str]:
    """A registry's address."""
    with running(registry_app(RegistrySettings.model_validate({"home": home, "api_key": KEY, "port": 0}))) as url:
        yield url


@contextmanager
def build_suite(home: Path, **more: Any) -> Iterator[Suite]:
    """Both services; `more` are settings of the build service."""
    with (
        registry(home) as registry_url,
        running(build_app(settings(home, **({"registry_url": registry_url} | more)))) as url,
        Client(url, KEY, urls={"registry": registry_url}) as client,
    ):
        yield Suite(url, registry_url, home, client)


@dataclass
class BuildProcess:
    """A build service in a process of its own."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    client: Client

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def children(self) -> list[psutil.Process]:
        """Processes at work for a service of this home, whoever their parent is now."""
        place = str(self.home)
        return [each for each in psutil.process_iter(["cmdline"]) if any(place in word for word in _command(each))]


def _command(process: psutil.Process) -> list[str]:
    return process.info["cmdline"] or []


@contextmanager
def build_process(home: Path, **more: Any) -> Iterator[BuildProcess]:
    """`python -m binder_build`, ready; stopped in the end, if it still runs. `more` are settings."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    given = settings(home, **more).model_dump(exclude={"home", "api_key", "port"}, exclude_unset=True, mode="json")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BINDER_")}
    environ |= {"BINDER_HOME": str(home), "BINDER_API_KEY": KEY, "BINDER_BUILD_PORT": str(port)}
    for name, value in given.items():
        if value is not None:
            environ[f"BINDER_BUILD_{name.upper()}"] = ",".join(value) if isinstance(value, list) else str(value)
    process = subprocess.Popen([sys.executable, "-m", "binder_build"], env=environ)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(url), within=30, what="the build service's start")
        with Client(url, KEY, urls={"registry": str(given["registry_url"])}, retries=0) as client:
            yield BuildProcess(url, home, process, client)
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return exchange(url, "GET", "/healthz").status == 200
    except OSError:
        return False


@contextmanager
def silent_server() -> Iterator[str]:
    """host:port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"
