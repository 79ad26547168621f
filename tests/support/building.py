"""The build service and the registry as real servers, and what tests ask of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binder_build.main import build_app
from binder_build.settings import BuildSettings
from binder_client.client import Client
from binder_protocol.models import Build, BuildStatus, LogLine
from binder_registry.main import build_app as registry_app
from binder_registry.settings import RegistrySettings
from tests.support.eventually import eventually
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
    }
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
