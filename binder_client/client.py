"""The library: `Client`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType

from binder_client.address import base_url
from binder_client.calls import Calls
from binder_client.sections import BuildSection, DeploySection, HealthSection, RegistrySection
from binder_client.transport import Transport
from binder_protocol.operations import OPERATIONS

SECTIONS = tuple(dict.fromkeys(operation.section for operation in OPERATIONS))


class Client:
    """A connection to Binder: one method per operation, `client.build.start(…)`, errors raised by type.

        with Client("https://binder.example.org", key) as client:
            build = client.build.start("owner/repo")
            client.build.wait(build.name)

    Threads may share one; it costs little to make, and keeps its connections until it is closed.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        urls: Mapping[str, str] | None = None,
        timeout: float = 30,
        retries: int = 3,
        request_id: Callable[[], str | None] | None = None,
    ) -> None:
        """`url` is the front door's; `urls` names services that are asked directly, by section.

        `timeout` is in seconds, for each request; `request_id` gives the id that requests carry on to the services.
        Raises RequestError for what is no address, or a key that no header can carry.
        """
        bases = dict.fromkeys(SECTIONS, base_url(url))
        bases.update((section, base_url(each)) for section, each in (urls or {}).items())
        self._transport = Transport(key, timeout=timeout, retries=retries, request_id=request_id)
        self.calls = Calls(self._transport, bases)
        self.build = BuildSection(self.calls)
        self.registry = RegistrySection(self.calls)
        self.deploy = DeploySection(self.calls)
        self.health = HealthSection(self.calls)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
