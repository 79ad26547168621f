"""How builds reach package registries: CA bundle, index and proxies, as files that steps see and images don't keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from binder_plan.dockerfile import CA_BUNDLE


@dataclass(frozen=True)
class BuildNetwork:
    """Settings of this host's network. Secrets may be in `index_url` and `proxies`; they show up in no representation.

    `proxies`: `http`, `https` and `no` to the values of HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    """

    ca_bundle: Path | None = None
    index_url: str | None = field(default=None, repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    npm_registry: str | None = None

    @property
    def ca(self) -> bool:
        return self.ca_bundle is not None

    @property
    def index(self) -> bool:
        return self.index_url is not None

    @property
    def index_secret(self) -> bool:
        """Whether the address of the index holds a password."""
        return self.index_url is not None and "@" in self.index_url.partition("://")[2].partition("/")[0]

    def files(self) -> dict[str, bytes]:
        """The files of the named context that `dockerfile.network_mounts` mounts from.

        Raises `OSError` where the CA bundle can't be read.
        """
        files = {"ca.crt": self.ca_bundle.read_bytes()} if self.ca_bundle else {}
        if self.npm_registry:
            files["npm-registry"] = self.npm_registry.encode()
        return files if self.index_secret else {**files, **self._configuration()}

    def secrets(self) -> dict[str, bytes]:
        """The secrets of a build by their ids."""
        configuration = self._configuration() if self.index_secret else {}
        return {f"binder-{name}": content for name, content in configuration.items()}

    def _configuration(self) -> dict[str, bytes]:
        return {"pip.conf": self._pip().encode(), "uv.toml": self._uv().encode()} if self.ca or self.index else {}

    def proxy_arguments(self) -> dict[str, str]:
        """The build arguments that BuildKit knows and keeps out of images by itself."""
        return {f"{name.upper()}_PROXY": value for name, value in self.proxies.items() if value}

    def _pip(self) -> str:
        lines = ["[global]"]
        if self.ca:
            lines.append(f"cert = {CA_BUNDLE}")
        if self.index_url:
            lines.append(f"index-url = {self.index_url}".replace("\n", ""))
        return "\n".join(lines) + "\n"

    def _uv(self) -> str:
        lines = ["system-certs = true"] if self.ca else []
        if self.index_url:
            lines += ["[[index]]", f"url = {json.dumps(self.index_url)}", "default = true"]
        return "\n".join(lines) + "\n"
