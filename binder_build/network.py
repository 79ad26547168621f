"""How builds reach package registries: CA bundle, index and proxies, as files that steps see and images don't keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from binder_build.dockerfile import CA_BUNDLE


@dataclass(frozen=True)
class BuildNetwork:
    """Settings of this host's network. Secrets may be in `index_url` and `proxies`; they show up in no representation.

    `proxies`: `http`, `https` and `no` to the values of HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    """

    ca_bundle: Path | None = None
    index_url: str | None = field(default=None, repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def ca(self) -> bool:
        return self.ca_bundle is not None

    @property
    def index(self) -> bool:
        return self.index_url is not None

    def secrets(self) -> dict[str, bytes]:
        """The secret files of a build by the ids under which `dockerfile.secret_mounts` mounts them.

        Raises `OSError` where the CA bundle can't be read.
        """
        files: dict[str, bytes] = {}
        if self.ca_bundle is not None:
            files["binder-ca"] = self.ca_bundle.read_bytes()
        if self.ca or self.index:
            files["binder-pip"] = self._pip().encode()
            files["binder-uv"] = self._uv().encode()
        return files

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
        lines = ["native-tls = true"] if self.ca else []
        if self.index_url:
            lines += ["[[index]]", f"url = {json.dumps(self.index_url)}", "default = true"]
        return "\n".join(lines) + "\n"
